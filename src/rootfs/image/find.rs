//! From a name to one manifest for one platform.

use std::path::Path;

use super::{Error, platform, remember, remembered};
use crate::oci::image::{
    DOCKER_INDEX, DOCKER_MANIFEST, Descriptor, IMAGE_NAME, INDEX, Index, MANIFEST, MAX_DOCUMENT, Manifest,
    Platform, REF_NAME,
};
use crate::oci::layout::{Archive, Layout, Place, read_capped};
use crate::oci::registry::media_type;
use crate::oci::{Digest, ImageSource, Pick, Reference};
use crate::rootfs::Context;
use crate::store;

/// Indexes in indexes: a layout's, an image's, and one more.
const MAX_DEPTH: usize = 3;

/// The manifest that was chosen.
pub(super) struct Found {
    pub(super) digest: Digest,
    pub(super) manifest: Manifest,
}

/// A manifest or index on its way.
struct Document {
    media_type: String,
    digest: Digest,
    bytes: Vec<u8>,
}

/// Finds the manifest for `wanted`.
pub(super) fn find(
    reference: &str,
    source: &ImageSource,
    wanted: &Platform,
    context: &Context,
) -> Result<Found, Error> {
    let fault = |reason: String| Error::Unusable { reference: reference.to_owned(), reason };
    let mut document = match source {
        ImageSource::Registry(name) => from_registry(name, context)?,
        ImageSource::Layout { pick, .. } | ImageSource::Archive { pick, .. } => {
            let place = place(source, context)?;
            let entry = pick_entry(reference, pick, &place.entries()?, wanted)?;
            from_place(&place, &entry, context)?
        }
    };
    for _ in 0..MAX_DEPTH {
        if [MANIFEST, DOCKER_MANIFEST].contains(&document.media_type.as_str()) {
            let manifest = serde_json::from_slice(&document.bytes)
                .map_err(|error| fault(format!("manifest {}: {error}", document.digest)))?;
            return Ok(Found { digest: document.digest, manifest });
        }
        let index: Index = serde_json::from_slice(&document.bytes)
            .map_err(|error| fault(format!("index {}: {error}", document.digest)))?;
        let entry = platform::choose(&index.manifests, wanted).ok_or_else(|| Error::Platform {
            reference: reference.to_owned(),
            wanted: platform::shown(wanted),
            available: platform::offered(&index.manifests),
        })?;
        document = match source {
            ImageSource::Registry(name) => child(name, entry, context)?,
            _ => from_place(&place(source, context)?, entry, context)?,
        };
        if document.bytes.len() as u64 != entry.size {
            return Err(fault(format!("manifest {} has not the size that the index states", entry.digest)));
        }
    }
    Err(fault("it is an index in an index in an index".to_owned()))
}

/// The layout or archive; paths are relative to the source tree.
pub(super) fn place(source: &ImageSource, context: &Context) -> Result<Place, Error> {
    let at = |path: &Path| context.folder.join(path);
    Ok(match source {
        ImageSource::Layout { directory, .. } => {
            let directory = at(directory);
            context.observed(&directory.join("index.json"));
            Place::Layout(Layout::open(directory)?)
        }
        ImageSource::Archive { file, .. } => {
            context.observed(&at(file));
            Place::Archive(Archive::open(at(file))?)
        }
        ImageSource::Registry(reference) => {
            let reason = "it is in a registry".to_owned();
            return Err(Error::Unusable { reference: reference.to_string(), reason });
        }
    })
}

fn from_registry(reference: &Reference, context: &Context) -> Result<Document, Error> {
    let name = Reference::to_string(reference);
    let known =
        reference.digest().or_else(|| remembered(&name, context).filter(|_| context.client.is_offline()));
    if let Some(document) = known.map(|digest| kept(digest, context)).transpose()?.flatten() {
        return Ok(document);
    }
    if context.client.is_offline() {
        return Err(Error::Offline { reference: name });
    }
    if reference.digest().is_none() {
        context.used(context.now);
    }
    let document = context.registry.manifest(reference)?;
    context.store.put_blob(&document.bytes[..])?;
    if reference.digest().is_none() {
        remember(&name, document.digest, context)?;
    }
    let (media_type, digest, bytes) = (document.media_type, document.digest, document.bytes);
    Ok(Document { media_type, digest, bytes })
}

/// A manifest that an index in the same repository names.
fn child(reference: &Reference, entry: &Descriptor, context: &Context) -> Result<Document, Error> {
    if let Some(document) = kept(entry.digest, context)? {
        return Ok(document);
    }
    if context.client.is_offline() {
        return Err(Error::Offline { reference: reference.to_string() });
    }
    let document = context.registry.manifest_by_digest(reference, entry.digest)?;
    context.store.put_blob(&document.bytes[..])?;
    let (media_type, digest, bytes) = (document.media_type, document.digest, document.bytes);
    Ok(Document { media_type, digest, bytes })
}

/// A manifest or index that the store has.
fn kept(digest: Digest, context: &Context) -> Result<Option<Document>, Error> {
    let Some(path) = context.store.blob(&digest) else { return Ok(None) };
    let bytes = read_capped(&path, MAX_DOCUMENT).map_err(store::Error::io("read", &path))?;
    document(digest, bytes, &path.display().to_string()).map(Some)
}

fn from_place(place: &Place, entry: &Descriptor, context: &Context) -> Result<Document, Error> {
    if entry.size > MAX_DOCUMENT {
        let reason = format!("it has more than {MAX_DOCUMENT} bytes");
        return Err(Error::Blob { digest: entry.digest, reason });
    }
    let path = place.import(entry, &context.store)?;
    let bytes = read_capped(&path, MAX_DOCUMENT).map_err(store::Error::io("read", &path))?;
    document(entry.digest, bytes, &path.display().to_string())
}

fn document(digest: Digest, bytes: Vec<u8>, what: &str) -> Result<Document, Error> {
    let found = Digest::of(&bytes);
    if found != digest {
        let what = what.to_owned();
        return Err(store::Error::Mismatch { what, expected: digest, found }.into());
    }
    let media_type = media_type(&bytes, None).map_err(|reason| Error::Blob { digest, reason })?;
    Ok(Document { media_type, digest, bytes })
}

/// The entry of a layout that is meant.
fn pick_entry(
    reference: &str,
    pick: &Pick,
    entries: &[Descriptor],
    wanted: &Platform,
) -> Result<Descriptor, Error> {
    let is_named = |entry: &&Descriptor, tag: &str| {
        [REF_NAME, IMAGE_NAME].iter().any(|key| entry.annotations.get(*key).is_some_and(|name| name == tag))
    };
    let found: Vec<&Descriptor> = match pick {
        Pick::Tag(tag) => entries.iter().filter(|entry| is_named(entry, tag)).collect(),
        Pick::Digest(digest) => entries.iter().filter(|entry| entry.digest == *digest).collect(),
        Pick::Only => entries.iter().collect(),
    };
    let is_image = |entry: &&&Descriptor| {
        [INDEX, MANIFEST, DOCKER_INDEX, DOCKER_MANIFEST].contains(&entry.media_type.as_str())
    };
    let mut images: Vec<&Descriptor> = found.iter().filter(is_image).copied().collect();
    images.dedup_by_key(|entry| entry.digest);
    match images[..] {
        [entry] => Ok(entry.clone()),
        [] => Err(Error::NotThere { reference: reference.to_owned(), known: names(entries) }),
        // Several images for several platforms stand side by side in the index of a layout.
        _ => match &images.iter().filter(|entry| platform::is_exact(entry, wanted)).collect::<Vec<_>>()[..] {
            [entry] => Ok((**entry).clone()),
            _ => Err(Error::Ambiguous { reference: reference.to_owned(), known: names(entries) }),
        },
    }
}

fn names(entries: &[Descriptor]) -> Vec<String> {
    let name = |entry: &Descriptor| {
        entry.annotations.get(REF_NAME).cloned().unwrap_or_else(|| entry.digest.to_string())
    };
    entries.iter().map(name).collect()
}
