//! Packaging: trees become layers, layers and the plan's image become a config and a manifest.
//!
//! In: one tree per layer and the image's settings. Out: the digests of an image whose blobs lie in the store.
//! Invariants: equal inputs give equal digests, on any machine and with any number of threads; no path is in
//! two layers unless it is a directory in both; a layer that did not change is neither read nor compressed, and of a
//! layer that did, only the groups of entries that changed are compressed (`groups.rs`, `segments.rs`).
//! File metadata is normalised by the rules of `layers.rs`.

mod ahead;
mod base;
mod cache;
mod compress;
mod config;
mod contents;
mod error;
mod groups;
mod image;
mod layers;
pub(crate) mod links;
mod made;
mod outcome;
mod plain;
mod replace;
mod segments;
pub(crate) mod tar;
mod write;

pub use ahead::{Ahead, foresee, is_known};
pub use base::Base;
pub use config::MADE_BY;
pub(crate) use contents::{INIT, globs};
pub use contents::{Parts, add_packages, assemble};
pub use error::Error;
pub use image::{Image, LayerDescriptor, Product};
pub use outcome::settle;
pub use replace::{Replacement, index_again, replace};

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;

use crate::interrupt;
use crate::lanes::in_lanes;
use crate::oci::image::{Descriptor, Index, Manifest, Platform};
use crate::oci::{Digest, MediaTypes, to_canonical_json};
use crate::plan;
use crate::store::history::History;
use crate::store::{Store, Tree};
use crate::ui::Reporter;
use cache::Key;
use segments::Known;
use write::Written;

/// The time of everything that must not change with each commit: 1980-01-01T00:00:01Z, in seconds since 1970.
/// Earlier times are refused by the writers of zip files and wheels.
pub const FIXED_TIME: i64 = 315_532_801;

/// What an image is made from.
#[derive(Debug)]
pub struct Input<'a> {
    /// The app's name: what of its earlier layers is still right is taken over.
    pub name: &'a str,
    /// `linux/amd64`.
    pub platform: &'a str,
    /// From the bottom up.
    pub layers: Vec<LayerInput>,
    /// What the config says.
    pub image: &'a plan::model::Image,
    /// The image below the layers, if there is one.
    pub base: Option<Base>,
    /// What the app's layers were made of the last time, where that is kept.
    pub history: Option<&'a History>,
    /// What has written layers of this image while it was not known yet what the others are made of.
    pub ahead: Option<&'a Ahead>,
}

/// What a layer is made from.
#[derive(Clone, Debug)]
pub struct LayerInput {
    /// `base`, `runtime`, `dependencies`, `app`.
    pub id: String,
    /// What `docker history` shows.
    pub comment: String,
    /// Its files; no whiteouts.
    pub tree: Tree,
    /// Which time its files carry.
    pub time: Time,
}

/// Which time the files of a layer carry that no package brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Time {
    /// [`FIXED_TIME`]: the layer stays the same from commit to commit.
    Fixed,
    /// The image's `created`: web servers derive cache validators from the times of the app's files.
    Source,
}

/// Makes an image; all its blobs are in `store` afterwards.
///
/// # Errors
/// When the layers contradict each other, or when a file cannot be read or written.
pub fn package(input: Input<'_>, store: &Store, reporter: &Reporter) -> Result<Image, Error> {
    package_with(write::threads(), input, store, reporter)
}

fn package_with(
    threads: usize,
    input: Input<'_>,
    store: &Store,
    reporter: &Reporter,
) -> Result<Image, Error> {
    let platform =
        Platform::parse(input.platform).ok_or_else(|| Error::Platform(input.platform.to_owned()))?;
    let base = input.base.as_ref();
    let layers = layers::normalise(input.layers, input.image, base.map(|base| &base.files))?;
    let mut descriptors: Vec<_> = base.into_iter().flat_map(Base::descriptors).collect();
    let packing = Packing {
        threads,
        app: input.name,
        platform: input.platform,
        image: input.image,
        history: input.history,
        ahead: input.ahead,
        store,
        reporter,
    };
    descriptors.extend(packing.all(&layers)?);
    let types = input.image.media_types;
    descriptors.iter_mut().try_for_each(|layer| layer.become_one_of(types))?;
    let config = config::config(&platform, &layers, &descriptors, input.image)?;
    let config = match base {
        Some(base) => put(store, types.config(), "config", &config::over(base, &config)?)?,
        None => put(store, types.config(), "config", &config)?,
    };
    let manifest = Manifest {
        schema_version: 2,
        media_type: types.manifest().to_owned(),
        config: config.clone(),
        layers: descriptors.iter().map(LayerDescriptor::descriptor).collect(),
        annotations: input.image.manifest_annotations(),
    };
    let manifest = put(store, types.manifest(), "manifest", &manifest)?;
    Ok(Image { platform, manifest, config, layers: descriptors })
}

/// Makes one thing of images for different platforms: several get an index, one stays what it is, because some
/// platforms start no index. A registry that is asked by platform answers with the first that fits. `annotations` are
/// those of the index.
///
/// # Errors
/// When there is no image, or the index cannot be written.
pub fn index(
    images: Vec<Image>,
    annotations: BTreeMap<String, String>,
    store: &Store,
) -> Result<Product, Error> {
    if let [image] = &images[..] {
        return Ok(image.clone().into());
    }
    let entry =
        |image: &Image| Descriptor { platform: Some(image.platform.clone()), ..image.manifest.clone() };
    let manifests: Vec<Descriptor> = images.iter().map(entry).collect();
    if manifests.is_empty() {
        return Err(Error::Empty);
    }
    let types = MediaTypes::of(&images[0].manifest.media_type);
    let annotations = if types.has_annotations() { annotations } else { BTreeMap::new() };
    let index = Index { schema_version: 2, media_type: types.index().to_owned(), manifests, annotations };
    let root = put(store, types.index(), "index", &index)?;
    Ok(Product { root, images })
}

fn put<T: serde::Serialize>(
    store: &Store,
    media_type: &str,
    document: &'static str,
    value: &T,
) -> Result<Descriptor, Error> {
    let bytes = to_canonical_json(value).map_err(|source| Error::Document { document, source })?;
    let digest = Digest::of(&bytes);
    if store.blob(&digest).is_none() {
        store.put_blob(&bytes[..])?;
    }
    Ok(Descriptor::new(media_type, digest, bytes.len() as u64))
}

/// Layers that are packed at the same time: looking at the files of one and digesting its archive keep one thread
/// busy, whatever else is left to do.
const LANES: NonZeroUsize = NonZeroUsize::new(2).unwrap();

/// How layers become blobs.
struct Packing<'a> {
    threads: usize,
    app: &'a str,
    platform: &'a str,
    image: &'a plan::model::Image,
    history: Option<&'a History>,
    ahead: Option<&'a Ahead>,
    store: &'a Store,
    reporter: &'a Reporter,
}

impl Packing<'_> {
    /// The blobs of all layers, in their order.
    fn all(&self, layers: &[LayerInput]) -> Result<Vec<LayerDescriptor>, Error> {
        let keys = in_lanes(LANES, layers, |layer| cache::key(layer, self.image.compression, self.store))?;
        let wanted = keys.iter().map(Key::digest).collect();
        let ahead = self.ahead.map(|ahead| ahead.finish(wanted)).unwrap_or_default();
        let keyed: Vec<_> = layers.iter().zip(keys).collect();
        // What is found is said in the order of the layers, whichever was looked at first.
        let found: Vec<Option<LayerDescriptor>> =
            keyed.iter().map(|(layer, key)| self.find(layer, key, &ahead)).collect();
        let missing: Vec<_> = keyed.iter().zip(&found).filter(|(_, found)| found.is_none()).collect();
        let mut written = in_lanes(LANES, &missing, |((layer, key), _)| self.write(layer, key))?.into_iter();
        Ok(found.into_iter().filter_map(|found| found.or_else(|| written.next())).collect())
    }

    /// The blob of one layer.
    fn one(&self, layer: &LayerInput) -> Result<LayerDescriptor, Error> {
        let key = cache::key(layer, self.image.compression, self.store)?;
        self.find(layer, &key, &BTreeSet::new()).map_or_else(|| self.write(layer, &key), Ok)
    }

    /// The layer, if it was written before. One that this build has written, `ahead`, is new all the same.
    fn find(&self, layer: &LayerInput, key: &Key, ahead: &BTreeSet<Digest>) -> Option<LayerDescriptor> {
        let found = cache::find(key, &layer.id, self.image.compression, self.store);
        if found.is_none() || ahead.contains(&key.digest()) {
            if let Some(history) = self.history {
                let say =
                    |reason: &str| self.reporter.detail(&format!("layer {}  is written: {reason}", layer.id));
                made::remember(layer, key, history, self.reporter.is_verbose().then_some(say));
            }
            return found;
        }
        self.reporter.task(&format!("layer {}", layer.id)).found("cached");
        if let Some(history) = self.history {
            made::remember_found(layer, key, history);
        }
        self.reporter.detail(&format!("layer {}  found {}", layer.id, key.digest().short()));
        found
    }

    fn write(&self, layer: &LayerInput, key: &Key) -> Result<LayerDescriptor, Error> {
        self.write_unless(layer, key, &interrupt::requested)
    }

    /// Writes a layer, or ends early with [`Error::Interrupted`] when `stop` says so.
    fn write_unless(
        &self,
        layer: &LayerInput,
        key: &Key,
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<LayerDescriptor, Error> {
        let compression = self.image.compression;
        let task = self.reporter.task(&format!("layer {}", layer.id));
        let known = Known::open(self.app, self.platform, layer, compression, self.store);
        let written = write::write(self.threads, (layer, key), compression, &known, self.store, stop)?;
        cache::keep(key, &written.layer, self.store)?;
        task.made(&outcome(&written));
        Ok(written.layer)
    }
}

/// The size of a layer, and how much of it was compressed where not all was.
fn outcome(written: &Written) -> String {
    let size = format!("{:.1} MB", megabytes(written.layer.size));
    match written.found {
        0 => size,
        found => format!("{size}, {} of {} parts new", written.compressed, written.compressed + found),
    }
}

#[expect(clippy::cast_precision_loss, reason = "shown with one digit after the point")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

impl LayerDescriptor {
    fn descriptor(&self) -> Descriptor {
        Descriptor::new(&self.media_type, self.digest, self.size)
    }

    /// Takes the media type that `types` have for these bytes.
    fn become_one_of(&mut self, types: MediaTypes) -> Result<(), Error> {
        let found = types.layer(&self.media_type).ok_or_else(|| Error::MediaType {
            layer: self.id.clone(),
            media_type: self.media_type.clone(),
        })?;
        found.clone_into(&mut self.media_type);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
