//! Unpacks an image of the store into a directory that it can be run on.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::de::DeserializeOwned;

use super::Error;
use super::layout::check;
use crate::oci::Digest;
use crate::oci::image::{ImageConfig, MAX_DOCUMENT};
use crate::oci::layout::read_capped;
use crate::oci::unpack::{self, Alone, Limits};
use crate::package::{Image, LayerDescriptor};
use crate::store::{self, Store, Tree};

/// An unpacked image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unpacked {
    /// The directory, to be used as a read-only lower only.
    pub root: PathBuf,
    /// Its files with their owners and modes in the image; contents point into `root`.
    pub tree: Tree,
    /// How it is run.
    pub config: ImageConfig,
}

/// Unpacks `image`, or finds what was unpacked before.
///
/// # Errors
/// When a blob is damaged, when a layer holds what is never unpacked, or when the disk is full.
pub fn unpack(image: &Image, store: &Store) -> Result<Unpacked, Error> {
    unpack_within(Limits::IMAGE, image, store)
}

pub(super) fn unpack_within(limits: Limits, image: &Image, store: &Store) -> Result<Unpacked, Error> {
    let config = config(image, store)?;
    let layers: Vec<_> = image.layers.iter().map(packed).collect();
    let (root, tree) = unpack::unpack(image.manifest.digest, &layers, limits, store)?;
    Ok(Unpacked { root, tree, config })
}

/// The layer of each path of `image`, as an index into its layers: the uppermost that has the path.
///
/// # Errors
/// When a layer cannot be read. The image has been unpacked before.
pub fn layer_of_paths(image: &Image, store: &Store) -> Result<BTreeMap<String, usize>, Error> {
    let mut found = BTreeMap::new();
    for (index, layer) in image.layers.iter().enumerate() {
        for path in unpack::paths(&packed(layer), store)? {
            found.insert(path, index);
        }
    }
    Ok(found)
}

/// What each layer of `image` adds, from the bottom up; contents lie in the store.
///
/// # Errors
/// As [`unpack()`].
pub fn layers(image: &Image, store: &Store) -> Result<Vec<Tree>, Error> {
    let mut below = Tree::new();
    let mut all = Vec::new();
    for one in &image.layers {
        let tree = layer(one, store)?.over(&below, one.digest)?;
        let mut added = Tree::new();
        added.apply(tree.clone());
        below.apply(tree);
        all.push(added);
    }
    Ok(all)
}

/// One layer by itself; contents lie in the store.
///
/// # Errors
/// As [`unpack()`].
pub fn layer(layer: &LayerDescriptor, store: &Store) -> Result<Alone, Error> {
    Ok(unpack::layer(&packed(layer), Limits::IMAGE, store)?)
}

fn packed(layer: &LayerDescriptor) -> unpack::Layer {
    unpack::Layer { digest: layer.digest, size: layer.size, diff_id: layer.diff_id }
}

/// The config of `image`, as a type that knows some of its fields or as a value that has all of them.
///
/// # Errors
/// When it is damaged or no such document.
pub fn config<T: DeserializeOwned>(image: &Image, store: &Store) -> Result<T, Error> {
    let path = store.blob_path(&image.config.digest);
    let bytes = read_capped(&path, MAX_DOCUMENT).map_err(store::Error::io("read", &path))?;
    check(&path, image.config.digest, Digest::of(&bytes))?;
    serde_json::from_slice(&bytes).map_err(|error| Error::Unreadable {
        what: "config",
        digest: image.config.digest,
        reason: error.to_string(),
    })
}
