//! Finds an image by what people type, and brings its blobs into the store.
//!
//! Read are the store's own images, OCI layouts and image archives. Every blob is checked against its digest and
//! size before anything is made of it.

use super::destination::Destination;
use super::layout::Layout;
use super::{Error, Stored};
use crate::oci::image::{
    DOCKER_INDEX, DOCKER_MANIFEST, Descriptor, IMAGE_NAME, INDEX, ImageConfig, Index, MANIFEST, Manifest,
    Platform, REF_NAME, layer_type,
};
use crate::oci::layout::{Archive, Place, read_capped};
use crate::oci::{Digest, Reference};
use crate::package::{Image, LayerDescriptor, Product};
use crate::store::{self, Store};

/// The largest manifest or config that is read.
const MAX_DOCUMENT: u64 = 8 << 20;

/// The fewest digits by which an image is found.
const MIN_PREFIX: usize = 6;

/// Finds the image for `platform` (`linux/amd64`) that `text` names: a reference or a digest (or at least six digits
/// of it) of the store, or `oci:DIR[:TAG]`, `oci-archive:FILE[:TAG]`, `docker-archive:FILE[:REFERENCE]`.
///
/// # Errors
/// When there is none or more than one, when it is for other platforms, or when it cannot be read.
pub fn find(text: &str, platform: &str, store: &Store) -> Result<Image, Error> {
    let (source, entry) = locate(text, store)?;
    let other = |available: Vec<String>| Error::OtherPlatform {
        name: text.to_owned(),
        platform: platform.to_owned(),
        available,
    };
    let fits = |found: &Platform| {
        Platform::parse(platform).is_some_and(|wanted| {
            (wanted.os, wanted.architecture) == (found.os.clone(), found.architecture.clone())
        })
    };
    let entry = if is_index(&entry) {
        let parts = members(&source, &entry, store)?;
        let found = parts.iter().find(|part| part.platform.as_ref().is_some_and(fits)).cloned();
        let platforms = || parts.iter().filter_map(|part| part.platform.as_ref()).map(ToString::to_string);
        found.ok_or_else(|| other(platforms().collect()))?
    } else {
        entry
    };
    let image = read(&source, &entry, store)?;
    if fits(&image.platform) { Ok(image) } else { Err(other(vec![image.platform.to_string()])) }
}

/// What `text` names in the words of [`find`], for all its platforms, and the reference it was built under, if it
/// says so.
///
/// # Errors
/// As [`find`], but for platforms.
pub fn find_all(text: &str, store: &Store) -> Result<(Product, Option<Reference>), Error> {
    let (source, entry) = locate(text, store)?;
    let reference = reference(&entry);
    let product = if is_index(&entry) {
        let parts = members(&source, &entry, store)?;
        let images = parts.iter().map(|part| read(&source, part, store)).collect::<Result<_, _>>()?;
        Product { root: Descriptor::new(&entry.media_type, entry.digest, entry.size), images }
    } else {
        read(&source, &entry, store)?.into()
    };
    Ok((product, reference))
}

/// The reference of an entry: as it was typed, where a store keeps that, else by its full name.
fn reference(entry: &Descriptor) -> Option<Reference> {
    let read = |key: &str| entry.annotations.get(key)?.parse::<Reference>().ok();
    let full = read(IMAGE_NAME)?;
    let typed = read(REF_NAME).filter(|typed| typed.full() == full.full());
    Some(typed.unwrap_or_else(|| full.shortened()))
}

fn is_index(entry: &Descriptor) -> bool {
    matches!(&*entry.media_type, INDEX | DOCKER_INDEX)
}

/// The images of an index. What states no platform, or `unknown` as attestations do, is no image.
fn members(source: &Place, entry: &Descriptor, store: &Store) -> Result<Vec<Descriptor>, Error> {
    let index: Index = document(source, "index", entry, store)?;
    let is_image =
        |part: &Descriptor| part.platform.as_ref().is_some_and(|platform| platform.os != "unknown");
    Ok(index.manifests.into_iter().filter(is_image).collect())
}

/// Where the text leads: a place, and the entry of its `index.json`.
fn locate(text: &str, store: &Store) -> Result<(Place, Descriptor), Error> {
    let is_place = ["oci:", "oci-archive:", "docker-archive:"].iter().any(|kind| text.starts_with(kind));
    let destination = if is_place { text.parse()? } else { Destination::Store };
    let (source, tag) = match destination {
        Destination::Store => {
            let source = Place::Layout(Layout::create(store.images())?);
            let entry = select(&source.entries()?, text, "the store")?;
            return Ok((source, entry));
        }
        Destination::Layout { directory, tag } => (Place::Layout(Layout::open(directory)?), tag),
        Destination::OciArchive { file, tag } => (Place::Archive(Archive::open(file)?), tag),
        Destination::DockerArchive { file, reference } => {
            (Place::Archive(Archive::open(file)?), reference.map(|reference| reference.familiar()))
        }
    };
    let entries = source.entries()?;
    let place = source.path().display().to_string();
    let entry = match tag {
        Some(tag) => select(&entries, &tag, &place)?,
        None => only(&entries, text, &place)?,
    };
    Ok((source, entry))
}

/// The images of the store, in the order they were built.
///
/// # Errors
/// When the store's layout is damaged.
pub fn list(store: &Store) -> Result<Vec<Stored>, Error> {
    let layout = Place::Layout(Layout::create(store.images())?);
    let mut images = Vec::new();
    for entry in layout.entries()? {
        let parts = if is_index(&entry) { members(&layout, &entry, store)? } else { vec![entry.clone()] };
        let parts = parts.iter().map(|part| read(&layout, part, store)).collect::<Result<Vec<_>, _>>()?;
        let size = parts.iter().flat_map(Image::blobs).map(|(_, size)| size).sum();
        images.push(Stored { name: name(&entry), images: parts, size });
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
        [entry] => Ok(entry.clone()),
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

/// Brings an image into the store.
fn read(source: &Place, entry: &Descriptor, store: &Store) -> Result<Image, Error> {
    if !matches!(&*entry.media_type, MANIFEST | DOCKER_MANIFEST) {
        let reason =
            format!("its media type is `{}`, expected one manifest for one platform", entry.media_type);
        return Err(Error::Unreadable { what: "manifest", digest: entry.digest, reason });
    }
    let manifest: Manifest = document(source, "manifest", entry, store)?;
    let config: ImageConfig = document(source, "config", &manifest.config, store)?;
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
            let reason =
                format!("its media type is `{}`, expected tar, plain or with gzip or zstd", layer.media_type);
            return Err(Error::Unreadable { what: "layer", digest: layer.digest, reason });
        }
        source.import(layer, store)?;
        let made_by = history.next().map(|entry| entry.created_by.as_str()).unwrap_or_default();
        layers.push(LayerDescriptor {
            id: made_by.strip_prefix("rpack ").unwrap_or(made_by).to_owned(),
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
        config: Descriptor::new(&manifest.config.media_type, manifest.config.digest, manifest.config.size),
        layers,
    })
}

fn document<T: serde::de::DeserializeOwned>(
    source: &Place,
    what: &'static str,
    descriptor: &Descriptor,
    store: &Store,
) -> Result<T, Error> {
    let unreadable = |reason: String| Error::Unreadable { what, digest: descriptor.digest, reason };
    if descriptor.size > MAX_DOCUMENT {
        return Err(unreadable(format!("it has {} bytes, more than {MAX_DOCUMENT}", descriptor.size)));
    }
    let path = source.import(descriptor, store)?;
    let bytes = read_capped(&path, MAX_DOCUMENT).map_err(store::Error::io("read", &path))?;
    if Digest::of(&bytes) != descriptor.digest {
        let reason = "its digest is another".to_owned();
        return Err(store::Error::Damaged { path, reason }.into());
    }
    serde_json::from_slice(&bytes).map_err(|error| unreadable(error.to_string()))
}
