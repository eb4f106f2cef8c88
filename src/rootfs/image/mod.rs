//! Images from elsewhere as bases: from a registry, an OCI layout or an archive.
//!
//! In: how the configuration names an image ([`ImageSource`]) and a platform. Out: a [`BaseImage`] of the plan, which
//! holds everything by digest; later its config and its files as a tree ([`tree`]), for which no layer is needed once they
//! are known, its blobs in the store ([`fetch`]), and its files as a directory ([`files`]). Layers are never changed. docs/base-images.md says what is made of them.

mod debian;
mod error;
mod facts;
mod find;
mod platform;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use serde_json::Value;

pub(super) use debian::Installed;
pub use debian::{Record, STATUS, is_record, records, release};
pub use error::Error;

use super::{Context, cache};
use crate::oci::image::{Descriptor, ImageConfig, MAX_DOCUMENT, Platform, layer_type};
use crate::oci::layout::read_capped;
use crate::oci::unpack::{self, Limits};
use crate::oci::{Digest, ImageSource, origin};
use crate::plan::catalogue::ResolvedImage;
use crate::plan::model::{BaseImage, BaseLayer, Blob};
use crate::store::{self, Kind, Tree};
use find::Found;

/// More layers than container engines can mount.
const MAX_LAYERS: usize = 127;

/// The bundle of certificates that rpack's images name in `SSL_CERT_FILE`.
const CERTIFICATES: &str = "etc/ssl/certs/ca-certificates.crt";

/// Finds the image and looks at what it is. Its layers are brought into the store if that is not known yet.
pub(super) fn resolve(reference: &str, platform: &str, context: &Context) -> Result<ResolvedImage, Error> {
    let invalid = |reason: String| Error::Unusable { reference: reference.to_owned(), reason };
    let source = ImageSource::parse(reference).map_err(|error| invalid(format!("expected {error}")))?;
    let wanted =
        Platform::parse(platform).ok_or_else(|| invalid(format!("`{platform}` is not a platform")))?;
    let found = find::find(reference, &source, &wanted, context)?;
    let stated = &found.manifest.config;
    let known = facts::find(found.digest, stated.digest, &context.store);
    let config = match &known {
        Some(known) => known.config.clone(),
        None => text(blob(&source, stated, MAX_DOCUMENT, context)?, stated.digest)?,
    };
    let parsed: ImageConfig = serde_json::from_str(&config)
        .map_err(|error| invalid(format!("its config {}: {error}", found.manifest.config.digest)))?;
    let runs_on = Platform {
        architecture: parsed.architecture.clone(),
        os: parsed.os.clone(),
        variant: parsed.variant.clone(),
    };
    if !platform::fits(&wanted, &runs_on) {
        let found = format!("{}/{}", runs_on.os, runs_on.architecture);
        return Err(Error::Platform {
            reference: reference.to_owned(),
            wanted: platform.to_owned(),
            available: vec![found],
        });
    }
    let layers = layers(&found, &parsed).map_err(invalid)?;
    let mut image = BaseImage {
        reference: reference.to_owned(),
        digest: found.digest,
        config: Blob { digest: found.manifest.config.digest, size: found.manifest.config.size },
        release: None,
        layers,
    };
    let tree = match known {
        Some(known) => known.files,
        None => learn(&image, config, context)?,
    };
    image.release = debian::release(&tree)?;
    let has_certificates = tree
        .locate(CERTIFICATES)
        .and_then(|path| tree.get(&path))
        .is_some_and(|entry| matches!(entry.kind, Kind::File { size, .. } if size > 0));
    Ok(ResolvedImage { image, settings: parsed.config, has_certificates })
}

fn layers(found: &Found, config: &ImageConfig) -> Result<Vec<BaseLayer>, String> {
    let (layers, diff_ids) = (&found.manifest.layers, &config.rootfs.diff_ids);
    if layers.len() != diff_ids.len() {
        return Err(format!("its config states {} layers, its manifest {}", diff_ids.len(), layers.len()));
    }
    if layers.len() > MAX_LAYERS {
        return Err(format!(
            "it has {} layers, more than the {MAX_LAYERS} that can be mounted",
            layers.len()
        ));
    }
    let layer = |(layer, diff_id): (&Descriptor, &Digest)| {
        let media_type = layer_type(&layer.media_type).ok_or_else(|| {
            format!(
                "layer {} is `{}`, expected tar, plain or with gzip or zstd",
                layer.digest, layer.media_type
            )
        })?;
        let media_type = media_type.to_owned();
        Ok(BaseLayer { media_type, digest: layer.digest, size: layer.size, diff_id: *diff_id })
    };
    layers.iter().zip(diff_ids).map(layer).collect()
}

/// Brings the blobs of `image` into the store.
///
/// # Errors
/// When one cannot be had or is not what the plan says.
pub fn fetch(image: &BaseImage, context: &Context) -> Result<(), Error> {
    let source = source_of(image)?;
    let mut blobs = vec![Descriptor::new("", image.config.digest, image.config.size)];
    blobs.extend(image.layers.iter().map(|layer| Descriptor::new("", layer.digest, layer.size)));
    blobs.retain(|blob| context.store.blob(&blob.digest).is_none());
    blobs.sort_by_key(|blob| blob.digest);
    blobs.dedup_by_key(|blob| blob.digest);
    if blobs.is_empty() {
        return Ok(());
    }
    let ImageSource::Registry(reference) = &source else {
        let place = find::place(&source, context)?;
        for blob in &blobs {
            place.import(blob, &context.store)?;
        }
        return Ok(());
    };
    let label = format!("image {}", image.reference);
    context.registry.blobs(reference, &blobs, &label, (&context.store, &context.reporter))?;
    Ok(())
}

/// The files of `image` as a tree. Contents are where the image is unpacked, which it need not be: a registry's layers
/// are not brought here when all of this is known. Who wants the bytes of its files asks for [`files`], who wants those of
/// layers [`origin::fetch`].
///
/// # Errors
/// As [`files`].
pub fn tree(image: &BaseImage, context: &Context) -> Result<Tree, Error> {
    let source = source_of(image)?;
    match &source {
        ImageSource::Registry(reference) => {
            origin::note(reference, image.layers.iter().map(|layer| layer.digest), &context.store)?;
        }
        // Only a registry can be asked again later.
        _ => fetch(image, context)?,
    }
    if let Some(known) = facts::find(image.digest, image.config.digest, &context.store) {
        return Ok(known.files);
    }
    let descriptor = Descriptor::new("", image.config.digest, image.config.size);
    let config = text(blob(&source, &descriptor, MAX_DOCUMENT, context)?, image.config.digest)?;
    learn(image, config, context)
}

/// The files of `image`, whose facts are kept from now on.
fn learn(image: &BaseImage, config: String, context: &Context) -> Result<Tree, Error> {
    let (_, files) = files(image, context)?;
    facts::keep(image, config, &files, &context.store)?;
    Ok(files)
}

/// A config as text, which JSON is.
fn text(bytes: Vec<u8>, digest: Digest) -> Result<String, Error> {
    String::from_utf8(bytes).map_err(|_| Error::Blob { digest, reason: "it is not UTF-8".to_owned() })
}

/// The config of `image` as it is, with whatever fields it has.
///
/// # Errors
/// As [`fetch`].
pub fn config(image: &BaseImage, context: &Context) -> Result<Value, Error> {
    let descriptor = Descriptor::new("", image.config.digest, image.config.size);
    let bytes = match facts::find(image.digest, image.config.digest, &context.store) {
        Some(known) => known.config.into_bytes(),
        None => blob(&source_of(image)?, &descriptor, MAX_DOCUMENT, context)?,
    };
    serde_json::from_slice(&bytes).map_err(|error| Error::Unusable {
        reference: image.reference.clone(),
        reason: format!("its config {}: {error}", image.config.digest),
    })
}

/// The files of `image` as a directory and as a tree; fetched and unpacked only if the store does not have them.
///
/// # Errors
/// As [`fetch`], and when a layer holds what is never unpacked.
pub fn files(image: &BaseImage, context: &Context) -> Result<(PathBuf, Tree), Error> {
    if let Some(found) = unpack::unpacked(image.digest, &context.store) {
        return Ok(found);
    }
    fetch(image, context)?;
    let layers: Vec<_> = image
        .layers
        .iter()
        .map(|layer| unpack::Layer { digest: layer.digest, size: layer.size, diff_id: layer.diff_id })
        .collect();
    Ok(unpack::unpack(image.digest, &layers, Limits::IMAGE, &context.store)?)
}

/// What dpkg's data say that the image has.
pub(super) fn installed(image: &BaseImage, context: &Context) -> Result<Installed, Error> {
    debian::installed(&tree(image, context)?)
}

fn source_of(image: &BaseImage) -> Result<ImageSource, Error> {
    ImageSource::parse(&image.reference).map_err(|error| Error::Unusable {
        reference: image.reference.clone(),
        reason: format!("expected {error}"),
    })
}

/// The bytes of a small blob, checked.
fn blob(source: &ImageSource, blob: &Descriptor, limit: u64, context: &Context) -> Result<Vec<u8>, Error> {
    if blob.size > limit {
        return Err(Error::Blob { digest: blob.digest, reason: format!("it has more than {limit} bytes") });
    }
    let path = match source {
        ImageSource::Registry(reference) => {
            let progress = context.reporter.transfer("image config", blob.size);
            let path = context.registry.blob(reference, blob, &context.store, &progress)?;
            progress.finish();
            path
        }
        _ => find::place(source, context)?.import(blob, &context.store)?,
    };
    let bytes = read_capped(&path, limit).map_err(store::Error::io("read", &path))?;
    let found = Digest::of(&bytes);
    if found != blob.digest {
        let what = path.display().to_string();
        return Err(store::Error::Mismatch { what, expected: blob.digest, found }.into());
    }
    Ok(bytes)
}

/// What a reference meant when it was last looked up, for when the network is off.
fn remembered(reference: &str, context: &Context) -> Option<Digest> {
    let (_, bytes) = cache::read(&context.store, &format!("image:{reference}"))?;
    std::str::from_utf8(&bytes).ok()?.parse().ok()
}

fn remember(reference: &str, digest: Digest, context: &Context) -> Result<(), Error> {
    let header = cache::Header { url: format!("image:{reference}"), fetched: context.now, etag: None };
    Ok(cache::write(&context.store, &header, digest.to_string().as_bytes())?)
}
