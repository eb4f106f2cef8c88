//! Finds an image by what people type, and brings its blobs into the store.
//!
//! Read are the store's own images, OCI layouts, image archives, registries and engines. Every blob is checked against its digest
//! and size before anything is made of it.

use std::path::PathBuf;

use tempfile::TempPath;

use super::destination::Destination;
use super::engine::{self, Engine};
use super::layout::Layout;
use super::{Error, Stored, Tools};
use crate::oci::image::{
    DOCKER_MANIFEST, Descriptor, IMAGE_NAME, ImageConfig, Index, MANIFEST, MAX_DOCUMENT, Manifest, Platform,
    REF_NAME, layer_type,
};
use crate::oci::layout::{Archive, Place, read_capped};
use crate::oci::{Content, Digest, Reference, is_document, is_index, origin};
use crate::package::{Image, LayerDescriptor, MADE_BY, Product};
use crate::store;

/// The fewest digits by which an image is found.
const MIN_PREFIX: usize = 6;

/// An image where it is: nothing but the documents that lead to it has been read.
#[derive(Debug)]
pub struct Found<'a> {
    origin: Origin,
    entry: Descriptor,
    tools: Tools<'a>,
    /// What an engine gave out, as long as it is read.
    _archive: Option<TempPath>,
}

/// Where an image is.
#[derive(Debug)]
enum Origin {
    Place(Place),
    Registry(Reference),
}

/// Finds the image for `platform` (`linux/amd64`) that `text` names: a reference or a digest (or at least six digits
/// of it) of the store, or `oci:DIR[:TAG]`, `oci-archive:FILE[:TAG]`, `docker-archive:FILE[:REFERENCE]`,
/// `docker://REFERENCE`, `docker-daemon:REFERENCE`, `containers-storage:REFERENCE`. Its blobs are in the store then.
///
/// # Errors
/// When there is none or more than one, when it is for other platforms, or when it cannot be read.
pub fn find(text: &str, platform: &str, tools: &Tools<'_>) -> Result<Image, Error> {
    let found = locate(text, tools)?;
    let image = found.choose(&found.entries()?, text, platform)?;
    found.fetch_layers(std::slice::from_ref(&image))?;
    Ok(image)
}

/// What `text` names in the words of [`find`], for all its platforms, and the reference it was built under, if it
/// says so.
///
/// # Errors
/// As [`find`], but for platforms.
pub fn find_all(text: &str, tools: &Tools<'_>) -> Result<(Product, Option<Reference>), Error> {
    let found = locate(text, tools)?;
    let product = found.product()?;
    found.fetch_layers(&product.images)?;
    Ok((product, found.reference()))
}

/// Finds what `text` names in the words of [`find`].
///
/// # Errors
/// When there is none or more than one, or when it cannot be read.
pub fn locate<'a>(text: &str, tools: &Tools<'a>) -> Result<Found<'a>, Error> {
    let destination = if Destination::is_form(text) { text.parse()? } else { Destination::Store };
    let tools = *tools;
    let (place, tag) = match destination {
        Destination::Store => {
            let place = Place::Layout(Layout::create(tools.store.images())?);
            let entry = select(&place.entries()?, text, "the store")?;
            return Ok(Found { origin: Origin::Place(place), entry, tools, _archive: None });
        }
        Destination::Registry(reference) => {
            let document = tools.registry.manifest(&reference)?;
            tools.store.put_blob(&document.bytes[..])?;
            let size = document.bytes.len() as u64;
            let entry = Descriptor::new(&document.media_type, document.digest, size);
            return Ok(Found { origin: Origin::Registry(reference), entry, tools, _archive: None });
        }
        Destination::Engine { engine, reference } => return save(engine, reference, text, tools),
        Destination::Layout { directory, tag } => (Place::Layout(Layout::open(directory)?), tag),
        Destination::OciArchive { file, tag } => (Place::Archive(Archive::open(file)?), tag),
        Destination::DockerArchive { file, reference } => {
            (Place::Archive(Archive::open(file)?), reference.map(|reference| reference.familiar()))
        }
    };
    let entries = place.entries()?;
    let shown = place.path().display().to_string();
    let entry = match tag {
        Some(tag) => select(&entries, &tag, &shown)?,
        None => only(&entries, text, &shown)?,
    };
    Ok(Found { origin: Origin::Place(place), entry, tools, _archive: None })
}

/// An image that an engine gives out as an archive of its own, under the name that was asked for.
fn save<'a>(
    engine: Engine,
    reference: Option<Reference>,
    text: &str,
    tools: Tools<'a>,
) -> Result<Found<'a>, Error> {
    let missing = || Error::Destination {
        text: text.to_owned(),
        reason: "the name of the image is missing".to_owned(),
    };
    let reference = reference.ok_or_else(missing)?;
    let task = tools.reporter.task(&format!("save from {text}"));
    let file = engine::save(engine, &reference, &tools)?;
    let place = Place::Archive(Archive::open(file.to_path_buf())?);
    let mut entry = only(&place.entries()?, text, text)?;
    entry.annotations.insert(REF_NAME.to_owned(), reference.familiar());
    entry.annotations.insert(IMAGE_NAME.to_owned(), reference.full());
    task.done(&entry.digest.to_string());
    Ok(Found { origin: Origin::Place(place), entry, tools, _archive: Some(file) })
}

impl Found<'_> {
    /// What tags name.
    pub fn root(&self) -> &Descriptor {
        &self.entry
    }

    /// The reference it was built under, or is found under in a registry.
    pub fn reference(&self) -> Option<Reference> {
        match &self.origin {
            Origin::Registry(reference) => Some(reference.clone()),
            Origin::Place(_) => reference(&self.entry),
        }
    }

    /// The repository it is in, for an image of a registry.
    pub fn repository(&self) -> Option<&Reference> {
        match &self.origin {
            Origin::Registry(reference) => Some(reference),
            Origin::Place(_) => None,
        }
    }

    /// The manifests of its images: itself, unless it is an index.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn entries(&self) -> Result<Vec<Descriptor>, Error> {
        if is_index(&self.entry.media_type) { self.members() } else { Ok(vec![self.entry.clone()]) }
    }

    /// The image for `platform` among `entries`, which the user calls `name`. Its layers need not be in the store.
    ///
    /// # Errors
    /// When there is none, or when a document cannot be read.
    pub fn choose(&self, entries: &[Descriptor], name: &str, platform: &str) -> Result<Image, Error> {
        let other = |available: Vec<String>| Error::OtherPlatform {
            name: name.to_owned(),
            platform: platform.to_owned(),
            available,
        };
        let fits = |found: &Platform| {
            Platform::parse(platform).is_some_and(|wanted| {
                (wanted.os, wanted.architecture) == (found.os.clone(), found.architecture.clone())
            })
        };
        let entry = if is_index(&self.entry.media_type) {
            let one = entries.iter().find(|part| part.platform.as_ref().is_some_and(fits));
            let platforms = || entries.iter().filter_map(|part| part.platform.as_ref());
            one.ok_or_else(|| other(platforms().map(ToString::to_string).collect()))?
        } else {
            &self.entry
        };
        let image = self.read(entry)?;
        if fits(&image.platform) { Ok(image) } else { Err(other(vec![image.platform.to_string()])) }
    }

    /// Its images, whose layers need not be in the store.
    ///
    /// # Errors
    /// When a document cannot be read.
    pub fn product(&self) -> Result<Product, Error> {
        if !is_index(&self.entry.media_type) {
            return Ok(self.read(&self.entry)?.into());
        }
        let parts = self.members()?;
        let images = parts.iter().map(|part| self.read(part)).collect::<Result<_, _>>()?;
        let root = Descriptor::new(&self.entry.media_type, self.entry.digest, self.entry.size);
        Ok(Product { root, images })
    }

    /// All it consists of, whatever that is: also what is no image.
    ///
    /// # Errors
    /// When a document cannot be read.
    pub fn content(&self) -> Result<Content, Error> {
        let read = |document: &Descriptor| self.bytes("manifest", document);
        let refuse = |document: &Descriptor, reason: String| Error::Unreadable {
            what: "manifest",
            digest: document.digest,
            reason,
        };
        let mut content = Content::follow(&self.entry, &read, &refuse)?;
        content.root.annotations.clear();
        if !content.is_index() && content.root.platform.is_none() {
            content.root.platform = self.read(&self.entry).ok().map(|image| image.platform);
        }
        Ok(content)
    }

    /// The blob or document in the store; brought there when it is missing.
    ///
    /// # Errors
    /// When it cannot be had, or is not what the descriptor says.
    pub fn fetch(&self, descriptor: &Descriptor) -> Result<PathBuf, Error> {
        let Tools { store, registry, reporter, .. } = self.tools;
        match &self.origin {
            Origin::Place(place) => {
                self.complete(place, descriptor)?;
                Ok(place.import(descriptor, store)?)
            }
            Origin::Registry(_) if store.blob(&descriptor.digest).is_some() => {
                Ok(store.blob_path(&descriptor.digest))
            }
            Origin::Registry(reference) if is_document(&descriptor.media_type) => {
                let document = registry.manifest_by_digest(reference, descriptor.digest)?;
                store.put_blob(&document.bytes[..])?;
                Ok(store.blob_path(&descriptor.digest))
            }
            Origin::Registry(reference) => {
                let blobs = std::slice::from_ref(descriptor);
                registry.blobs(
                    reference,
                    blobs,
                    &format!("blob {}", descriptor.digest.short()),
                    (store, reporter),
                )?;
                Ok(store.blob_path(&descriptor.digest))
            }
        }
    }

    /// Fetches a layer of a base image that an image of the store was built without.
    fn complete(&self, place: &Place, descriptor: &Descriptor) -> Result<(), Error> {
        let Tools { store, registry, reporter, .. } = self.tools;
        match place {
            Place::Layout(layout)
                if layout.root() == store.images() && !layout.blob_path(&descriptor.digest).exists() =>
            {
                let fetched = origin::fetch([descriptor], registry, (store, reporter));
                fetched.map_err(|error| Error::Registry(Box::new(error)))
            }
            _ => Ok(()),
        }
    }

    /// A file with the blob, wherever it is: to be read once, by somebody who checks it.
    ///
    /// # Errors
    /// As [`Found::fetch`].
    pub fn file(&self, descriptor: &Descriptor) -> Result<PathBuf, Error> {
        if let Origin::Place(Place::Layout(layout)) = &self.origin
            && !is_document(&descriptor.media_type)
        {
            let path = layout.blob_path(&descriptor.digest);
            if std::fs::symlink_metadata(&path)
                .is_ok_and(|found| found.is_file() && found.len() == descriptor.size)
            {
                return Ok(path);
            }
        }
        self.fetch(descriptor)
    }

    /// Brings all blobs and documents of `content` into the store.
    ///
    /// # Errors
    /// As [`Found::fetch`].
    pub fn fetch_all(&self, content: &Content) -> Result<(), Error> {
        if let Origin::Registry(reference) = &self.origin {
            let label = format!("pull {reference}");
            let Tools { store, registry, reporter, .. } = self.tools;
            registry.blobs(reference, &content.blobs, &label, (store, reporter))?;
        }
        content.all().try_for_each(|part| self.fetch(part).map(drop))
    }

    fn fetch_layers(&self, images: &[Image]) -> Result<(), Error> {
        self.fetch_some(images.iter().flat_map(|image| &image.layers))
    }

    /// Brings some of its layers into the store.
    ///
    /// # Errors
    /// As [`Found::fetch`].
    pub fn fetch_some<'l>(&self, layers: impl Iterator<Item = &'l LayerDescriptor>) -> Result<(), Error> {
        let layers =
            layers.map(|layer| Descriptor::new(&layer.media_type, layer.digest, layer.size)).collect();
        let root = self.entry.clone();
        self.fetch_all(&Content { root, manifests: Vec::new(), blobs: layers })
    }

    /// The images of an index. What states no platform, or `unknown` as attestations do, is no image.
    fn members(&self) -> Result<Vec<Descriptor>, Error> {
        let index: Index = self.document("index", &self.entry)?;
        let is_image =
            |part: &Descriptor| part.platform.as_ref().is_some_and(|platform| platform.os != "unknown");
        Ok(index.manifests.into_iter().filter(is_image).collect())
    }

    /// What the documents say about the image of the manifest `entry`. Its layers need not be in the store.
    ///
    /// # Errors
    /// When a document cannot be read, or is not that of an image.
    pub fn read(&self, entry: &Descriptor) -> Result<Image, Error> {
        if !matches!(&*entry.media_type, MANIFEST | DOCKER_MANIFEST) {
            let reason =
                format!("its media type is `{}`, expected one manifest for one platform", entry.media_type);
            return Err(Error::Unreadable { what: "manifest", digest: entry.digest, reason });
        }
        let manifest: Manifest = self.document("manifest", entry)?;
        let config: ImageConfig = self.document("config", &manifest.config)?;
        let diff_ids = &config.rootfs.diff_ids;
        if diff_ids.len() != manifest.layers.len() {
            let (layers, diff_ids) = (manifest.layers.len(), diff_ids.len());
            let reason = format!("it states {diff_ids} layers, its manifest {layers}");
            return Err(Error::Unreadable { what: "config", digest: manifest.config.digest, reason });
        }
        let mut history = config.history.iter().filter(|entry| !entry.empty_layer);
        let mut layers = Vec::new();
        for (layer, diff_id) in manifest.layers.iter().zip(diff_ids) {
            if layer_type(&layer.media_type).is_none() {
                let reason = format!(
                    "its media type is `{}`, expected tar, plain or with gzip or zstd",
                    layer.media_type
                );
                return Err(Error::Unreadable { what: "layer", digest: layer.digest, reason });
            }
            let made_by = history.next().map(|entry| entry.created_by.as_str()).unwrap_or_default();
            layers.push(LayerDescriptor {
                id: made_by.strip_prefix(MADE_BY).unwrap_or(made_by).to_owned(),
                media_type: layer.media_type.clone(),
                digest: layer.digest,
                size: layer.size,
                diff_id: *diff_id,
                uncompressed_size: None,
            });
        }
        let (architecture, os, variant) = (config.architecture, config.os, config.variant);
        Ok(Image {
            platform: Platform { architecture, os, variant },
            manifest: Descriptor::new(&entry.media_type, entry.digest, entry.size),
            config: Descriptor::new(
                &manifest.config.media_type,
                manifest.config.digest,
                manifest.config.size,
            ),
            layers,
        })
    }

    fn document<T: serde::de::DeserializeOwned>(
        &self,
        what: &'static str,
        descriptor: &Descriptor,
    ) -> Result<T, Error> {
        serde_json::from_slice(&self.bytes(what, descriptor)?).map_err(|error| Error::Unreadable {
            what,
            digest: descriptor.digest,
            reason: error.to_string(),
        })
    }

    fn bytes(&self, what: &'static str, descriptor: &Descriptor) -> Result<Vec<u8>, Error> {
        let unreadable = |reason: String| Error::Unreadable { what, digest: descriptor.digest, reason };
        if descriptor.size > MAX_DOCUMENT {
            return Err(unreadable(format!("it has {} bytes, more than {MAX_DOCUMENT}", descriptor.size)));
        }
        let path = self.fetch(descriptor)?;
        let bytes = read_capped(&path, MAX_DOCUMENT).map_err(store::Error::io("read", &path))?;
        if Digest::of(&bytes) != descriptor.digest {
            let reason = "its digest is another".to_owned();
            return Err(store::Error::Damaged { path, reason }.into());
        }
        Ok(bytes)
    }
}

/// The reference of an entry: as it was typed, where a store keeps that, else by its full name.
fn reference(entry: &Descriptor) -> Option<Reference> {
    let read = |key: &str| entry.annotations.get(key)?.parse::<Reference>().ok();
    let full = read(IMAGE_NAME)?;
    let typed = read(REF_NAME).filter(|typed| typed.full() == full.full());
    Some(typed.unwrap_or_else(|| full.shortened()))
}

/// The images of the store, in the order they were built.
///
/// # Errors
/// When the store's layout is damaged.
pub fn list(tools: &Tools<'_>) -> Result<Vec<Stored>, Error> {
    let layout = Place::Layout(Layout::create(tools.store.images())?);
    let mut images = Vec::new();
    for entry in layout.entries()? {
        let name = name(&entry);
        let found = Found { origin: Origin::Place(layout.clone()), entry, tools: *tools, _archive: None };
        let parts = found.product()?.images;
        found.fetch_layers(&parts)?;
        let size = parts.iter().flat_map(Image::blobs).map(|(_, size)| size).sum();
        images.push(Stored { name, images: parts, size });
    }
    Ok(images)
}

/// The name of an entry, or its digest when it has none.
fn name(entry: &Descriptor) -> String {
    entry.annotations.get(REF_NAME).cloned().unwrap_or_else(|| entry.digest.to_string())
}

fn only(entries: &[Descriptor], text: &str, place: &str) -> Result<Descriptor, Error> {
    let names = || entries.iter().map(name).collect();
    match entries {
        // One image may have several names.
        [entry, others @ ..] if others.iter().all(|other| other.digest == entry.digest) => Ok(entry.clone()),
        [] => Err(Error::NotFound { name: text.to_owned(), place: place.to_owned(), known: Vec::new() }),
        _ => Err(Error::Ambiguous { name: text.to_owned(), place: place.to_owned(), candidates: names() }),
    }
}

/// A name decides before a digest, because `cafe` may be both.
fn select(entries: &[Descriptor], text: &str, place: &str) -> Result<Descriptor, Error> {
    let annotation = |entry: &Descriptor, key: &str| entry.annotations.get(key).cloned();
    if let Some(entry) = entries.iter().find(|entry| annotation(entry, REF_NAME).as_deref() == Some(text)) {
        return Ok(entry.clone());
    }
    let mut prefix = text.strip_prefix("sha256:").unwrap_or(text).to_owned();
    if let Ok(reference) = text.parse::<Reference>() {
        if let Some(digest) = reference.digest() {
            prefix = digest.hex();
        } else {
            let (familiar, full) = (Some(reference.familiar()), Some(reference.full()));
            let found = entries.iter().find(|entry| {
                annotation(entry, REF_NAME) == familiar || annotation(entry, IMAGE_NAME) == full
            });
            if let Some(entry) = found {
                return Ok(entry.clone());
            }
        }
    }
    let is_prefix =
        prefix.len() >= MIN_PREFIX && prefix.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let mut found: Vec<_> =
        entries.iter().filter(|entry| is_prefix && entry.digest.hex().starts_with(&prefix)).collect();
    found.sort_by_key(|entry| entry.digest);
    found.dedup_by_key(|entry| entry.digest);
    match found[..] {
        [entry] => Ok(entry.clone()),
        [] => Err(Error::NotFound {
            name: text.to_owned(),
            place: place.to_owned(),
            known: entries.iter().map(name).collect(),
        }),
        _ => Err(Error::Ambiguous {
            name: text.to_owned(),
            place: place.to_owned(),
            candidates: found.iter().map(|entry| entry.digest.to_string()).collect(),
        }),
    }
}
