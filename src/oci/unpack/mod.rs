//! Unpacks the layers of an image into a directory, without trusting them.
//!
//! In: layers whose blobs are in the store. Out: the merged tree, and a directory that holds it. Layers are read into
//! trees first. While they are read, contents go to files with numbers for names, so no name and no link of an
//! archive is ever used as a path; the merged tree is checked, and only then written.
//!
//! Owners, setuid and setgid bits are in the tree alone: an ordinary user cannot restore the former, and nobody
//! should have the latter lying about. Devices and pipes are left out: a sandbox brings its own `/dev`. Extended
//! attributes are left out: none means anything in a tree that is only read. Sparse files, names that leave the root
//! and paths below a link are refused. docs/base-images.md lists it all.

mod alone;
pub(crate) mod compression;
pub(crate) mod entries;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod layers;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

pub use alone::Alone;

use super::{Digest, to_canonical_json};
use crate::store::{self, Content, Kind, Store, Tree};

/// A layer to unpack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layer {
    /// Digest of the blob.
    pub digest: Digest,
    /// Size of the blob in bytes.
    pub size: u64,
    /// Digest before compression.
    pub diff_id: Digest,
}

/// How much an image may hold.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Entries in all layers.
    pub entries: usize,
    /// Bytes of the names of all entries, which are kept in memory.
    pub names: usize,
    /// Bytes of all layers before compression.
    pub bytes: u64,
    /// How many times larger than its blob a layer may be, beyond the first 256 MiB. Real layers stay below 20;
    /// gzip reaches 1,000, zstd far more.
    pub ratio: u64,
}

impl Limits {
    /// More than any sensible image has: twenty times the files of a large Node app, 64 GiB.
    pub const IMAGE: Self = Self { entries: 1_000_000, names: 256 << 20, bytes: 64 << 30, ratio: 200 };
}

/// Why layers cannot be unpacked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// A layer is damaged.
    #[error("layer {digest} cannot be read: {reason}")]
    Unreadable {
        /// The layer's blob.
        digest: Digest,
        /// What is wrong with it.
        reason: String,
    },
    /// A layer holds something that is never unpacked.
    #[error("layer {digest} is refused: `{path}` {reason}")]
    Refused {
        /// The layer's blob, or the manifest when no single layer is at fault.
        digest: Digest,
        /// The entry, as the layer names it.
        path: String,
        /// Reads on after the path.
        reason: String,
    },
}

/// The layers of the image with the manifest `manifest`, from the bottom up, as a directory and as a tree whose
/// contents lie in it; unpacked only if the store does not have it.
///
/// # Errors
/// When a blob is damaged, when a layer holds what is never unpacked, or when the disk is full.
pub fn unpack(
    manifest: Digest,
    layers: &[Layer],
    limits: Limits,
    store: &Store,
) -> Result<(PathBuf, Tree), Error> {
    let key = format!("image-{}", manifest.hex());
    let about = || format!("files of image {}", manifest.short());
    let read = |folder: &Path| {
        let tree = layers::read(layers, limits, folder, store)?;
        Ok(Alone { tree, ..Alone::default() })
    };
    unpack_as(&key, about, manifest, &read, store).map(|(root, whole)| (root, whole.tree))
}

/// The image with the manifest `manifest` as [`unpack`] has left it, if the store has it.
pub fn unpacked(manifest: Digest, store: &Store) -> Option<(PathBuf, Tree)> {
    cached(&format!("image-{}", manifest.hex()), store).map(|(root, whole)| (root, whole.tree))
}

/// Where the files of the image with the manifest `manifest` are once it is unpacked.
pub fn folder(manifest: Digest, store: &Store) -> PathBuf {
    store.root().join("trees").join(format!("image-{}", manifest.hex())).join("fs")
}

/// One layer of an image, whose contents lie in the store; unpacked only if the store does not have it.
///
/// # Errors
/// As [`unpack`]; whether hard links lead to files of other layers is not looked at.
pub fn layer(layer: &Layer, limits: Limits, store: &Store) -> Result<Alone, Error> {
    let key = format!("image-{}", layer.digest.hex());
    let about = || format!("files of layer {}", layer.digest.short());
    let read = |folder: &Path| layers::read_one(layer, limits, folder, store);
    unpack_as(&key, about, layer.digest, &read, store).map(|(_, alone)| alone)
}

fn unpack_as(
    key: &str,
    about: impl FnOnce() -> String,
    digest: Digest,
    read: &dyn Fn(&Path) -> Result<Alone, Error>,
    store: &Store,
) -> Result<(PathBuf, Alone), Error> {
    if let Some(found) = cached(key, store) {
        return Ok(found);
    }
    let _lock = store.lock(key)?;
    if let Some(found) = cached(key, store) {
        return Ok(found);
    }
    let folder = store.temporary_folder()?;
    let mut found = read(folder.path())?;
    found.tree.add_parents();
    check_parents(digest, &found.tree)?;
    remember(key, &found, store)?;
    let root = store.materialise(key, &found.tree)?;
    store.describe("trees", key, about);
    point_into(&mut found.tree, &root);
    Ok((root, found))
}

/// The paths in a layer of an image that has been unpacked.
///
/// # Errors
/// When the blob is not in the store or cannot be read.
pub fn paths(layer: &Layer, store: &Store) -> Result<Vec<String>, Error> {
    layers::paths(layer, store)
}

fn record_name(key: &str) -> String {
    format!("{key}.json")
}

fn cached(key: &str, store: &Store) -> Option<(PathBuf, Alone)> {
    let root = store.entry("trees", key)?.join("fs");
    let mut found: Alone = serde_json::from_slice(&store.record(&record_name(key))?).ok()?;
    point_into(&mut found.tree, &root);
    Some((root, found))
}

/// Keeps the metadata, which the directory on disk cannot hold.
fn remember(key: &str, found: &Alone, store: &Store) -> Result<(), Error> {
    let bytes = to_canonical_json(found)
        .map_err(|error| store::Error::Damaged { path: key.into(), reason: error.to_string() })?;
    Ok(store.put_record(&record_name(key), &bytes)?)
}

fn point_into(tree: &mut Tree, root: &Path) {
    for (path, entry) in tree.iter_mut() {
        if let Kind::File { content, .. } = &mut entry.kind {
            *content = Content::Path(root.join(path));
        }
    }
}

/// With every parent a directory, writing the tree cannot follow a link of the image.
fn check_parents(manifest: Digest, tree: &Tree) -> Result<(), Error> {
    for (path, _) in tree.iter() {
        let Some((parent, _)) = path.rsplit_once('/') else { continue };
        if !tree.get(parent).is_some_and(|entry| matches!(entry.kind, Kind::Directory { .. })) {
            return Err(Error::Refused {
                digest: manifest,
                path: path.to_owned(),
                reason: format!("lies below `{parent}`, which is not a directory"),
            });
        }
    }
    Ok(())
}
