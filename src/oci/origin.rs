//! Where the layers of base images can be had: those that a registry has need not be in the store until somebody wants
//! their bytes.
//!
//! One small document for each layer in the store (`metadata/origins/`). It names a repository, not what is in the blob:
//! that is checked by its digest when it comes.

use super::image::Descriptor;
use super::registry::{Error, Registry};
use super::{Digest, Reference};
use crate::store::{self, Store};
use crate::ui::Reporter;

/// Notes that the repository of `reference` has `blobs`.
///
/// # Errors
/// When the store cannot be written.
pub fn note(
    reference: &Reference,
    blobs: impl IntoIterator<Item = Digest>,
    store: &Store,
) -> Result<(), store::Error> {
    let text = reference.to_string();
    for digest in blobs {
        if store.record(&name(&digest)).as_deref() != Some(text.as_bytes()) {
            store.put_record(&name(&digest), text.as_bytes())?;
        }
    }
    Ok(())
}

/// A name in the repository that has the blob, if one is known to.
pub fn of(digest: &Digest, store: &Store) -> Option<Reference> {
    std::str::from_utf8(&store.record(&name(digest))?).ok()?.parse().ok()
}

/// Brings those of `blobs` into the store that it lacks and that are known to be somewhere.
///
/// # Errors
/// When one cannot be had from there.
pub fn fetch<'a>(
    blobs: impl IntoIterator<Item = &'a Descriptor>,
    registry: &Registry,
    (store, reporter): (&Store, &Reporter),
) -> Result<(), Error> {
    let mut missing: Vec<(Reference, Vec<Descriptor>)> = Vec::new();
    for blob in blobs.into_iter().filter(|blob| !store.blob_path(&blob.digest).exists()) {
        let Some(reference) = of(&blob.digest, store) else { continue };
        match missing.iter_mut().find(|(known, _)| *known == reference) {
            Some((_, blobs)) => blobs.push(blob.clone()),
            None => missing.push((reference, vec![blob.clone()])),
        }
    }
    missing.iter().try_for_each(|(reference, blobs)| {
        registry.blobs(reference, blobs, &format!("image {}", reference.familiar()), (store, reporter))
    })
}

fn name(digest: &Digest) -> String {
    format!("origins/{}", digest.hex())
}
