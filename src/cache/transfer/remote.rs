//! A cache in a registry: an artifact of the image specification
//! (<https://github.com/opencontainers/image-spec/blob/main/manifest.md#guidelines-for-artifact-usage>).
//!
//! The manifest has the type [`ARTIFACT`], the empty config, and the parts of the cache as layers, the index first. Each part
//! is a blob of its own, so that only what the registry lacks is sent, and each is read when it is asked for. The tag is
//! moved when all parts are there: of several that write it the last one wins, and each is whole.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::PathBuf;

use serde::Deserialize;
use tempfile::NamedTempFile;

use super::export::{Exported, Work, blob_in};
use super::{Damaged, Index, Packed};
use crate::cache::Error;
use crate::oci::image::{Descriptor, MANIFEST};
use crate::oci::registry::{self, Registry, Way};
use crate::oci::{Content, Digest, Reference, to_canonical_json};
use crate::plan::Plan;
use crate::store::{self, Store};
use crate::ui::Reporter;

/// The type of the artifact. It changes when older versions cannot read it any more, or must not.
const ARTIFACT: &str = "application/vnd.rpack.cache.v1";
/// The config of an artifact without one, and its only content.
const EMPTY: (&str, &[u8]) = ("application/vnd.oci.empty.v1+json", b"{}");
/// The index, and the other parts.
const INDEX: &str = "application/vnd.rpack.cache.index.v1+json";
const BLOB: &str = "application/vnd.rpack.cache.blob.v1";
const ENTRY: &str = "application/vnd.rpack.cache.entry.v1+zstd";
/// The largest index.
const LARGEST_INDEX: u64 = 64 << 20;

/// Writes what this process used, and the packages of `plans` as far as they are at hand.
pub(super) fn export(
    reference: &Reference,
    plans: &[Plan],
    damaged: &Damaged,
    registry: &Registry,
    (store, reporter): (&Store, &Reporter),
) -> Result<Exported, Error> {
    let staging = store.temporary_folder()?;
    let blobs = staging.path().join("blobs/sha256");
    fs::create_dir_all(&blobs).map_err(store::Error::io("create", &blobs))?;
    // What cannot be read is written anew.
    let known = index(reference, registry, (store, reporter)).ok().flatten().unwrap_or_default();
    let mut work = Work::staging(staging.path(), store, known, damaged);
    let index = work.index(plans, reporter)?;
    let bytes = to_canonical_json(&index).map_err(|error| io::Error::other(error.to_string()));
    let bytes = bytes.map_err(store::Error::io("write", staging.path()))?;
    let put = |media_type: &str, bytes: &[u8]| -> Result<Descriptor, Error> {
        let digest = Digest::of(bytes);
        let path = blob_in(staging.path(), &digest);
        fs::write(&path, bytes).map_err(store::Error::io("write", &path))?;
        Ok(Descriptor::new(media_type, digest, bytes.len() as u64))
    };
    let config = put(EMPTY.0, EMPTY.1)?;
    let layers = parts(put(INDEX, &bytes)?, &index);
    let manifest = serde_json::json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": ARTIFACT, "config": config, "layers": layers,
    });
    let manifest = to_canonical_json(&manifest).expect("descriptors have texts as keys");
    let root = put(MANIFEST, &manifest)?;
    let open = |part: &Descriptor| open(part, &index, &work);
    let way = Way { open: &open, mounts: &[], store, reporter };
    let content = Content { root, manifests: Vec::new(), blobs: [vec![config], layers].concat() };
    let pushed = registry.push(&content, &[reference], &way)?;
    let size = content.blobs.iter().map(|blob| blob.size).sum();
    Ok(Exported { size, written: pushed.bytes })
}

/// One descriptor for each part, the index first.
fn parts(first: Descriptor, index: &Index) -> Vec<Descriptor> {
    let mut all: BTreeMap<Digest, Descriptor> = BTreeMap::new();
    for packed in index.entries.values() {
        all.insert(packed.blob, Descriptor::new(ENTRY, packed.blob, packed.size));
    }
    for (digest, size) in &index.blobs {
        all.entry(*digest).or_insert_with(|| Descriptor::new(BLOB, *digest, *size));
    }
    std::iter::once(first).chain(all.into_values()).collect()
}

/// The file of a part. What an earlier export packed, and the registry has lost, is packed again.
fn open(part: &Descriptor, index: &Index, work: &Work<'_>) -> Result<PathBuf, registry::Error> {
    let staged = blob_in(work.folder, &part.digest);
    if staged.exists() {
        return Ok(staged);
    }
    if let Some(path) = work.store.blob(&part.digest) {
        return Ok(path);
    }
    let entry = index.entries.iter().find(|(_, packed)| packed.blob == part.digest);
    match entry.map(|(name, _)| work.pack(name)) {
        Some(Ok(Packed { blob, .. })) if blob == part.digest => Ok(staged),
        _ => Err(registry::Error::Unread { reason: format!("{} is not in the store any more", part.digest) }),
    }
}

/// What a manifest says of a cache.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Artifact {
    artifact_type: Option<String>,
    layers: Vec<Descriptor>,
}

/// Why there is no index.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unusable {
    /// The registry.
    #[error(transparent)]
    Registry(#[from] registry::Error),
    /// What it has is something else.
    #[error("{0}")]
    Other(String),
}

/// The list of what is there; none when nothing is there yet.
pub(super) fn index(
    reference: &Reference,
    registry: &Registry,
    (store, reporter): (&Store, &Reporter),
) -> Result<Option<Index>, Unusable> {
    let document = match registry.manifest(reference) {
        Ok(document) => document,
        Err(registry::Error::Missing { .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let other = |text: &str| Unusable::Other(text.to_owned());
    let artifact: Artifact =
        serde_json::from_slice(&document.bytes).map_err(|error| Unusable::Other(error.to_string()))?;
    match artifact.artifact_type.as_deref() {
        Some(ARTIFACT) => {}
        Some(kind) if kind.starts_with("application/vnd.rpack.cache.") => {
            return Err(other("another version of rpack made it"));
        }
        _ => return Err(other("it is no cache of rpack")),
    }
    let found = artifact.layers.iter().find(|layer| layer.media_type == INDEX);
    let found = found.ok_or_else(|| other("it has no index"))?;
    if found.size > LARGEST_INDEX {
        return Err(other("its index is too large"));
    }
    let file = fetch(reference, found, registry, (store, reporter))?;
    let bytes = fs::read(file.path()).map_err(|error| Unusable::Other(error.to_string()))?;
    serde_json::from_slice(&bytes).map(Some).map_err(|_| other("its index is damaged"))
}

/// A part as a file of its own, with the digest and size that were asked for.
pub(super) fn fetch(
    reference: &Reference,
    part: &Descriptor,
    registry: &Registry,
    (store, reporter): (&Store, &Reporter),
) -> Result<NamedTempFile, registry::Error> {
    let progress = reporter.transfer(&format!("cache {}", part.digest.short()), part.size);
    let file = registry.fetch(reference, part, store, &progress);
    progress.finish();
    file
}

/// The part `digest` of `size` bytes.
pub(super) fn part(digest: Digest, size: u64) -> Descriptor {
    Descriptor::new(BLOB, digest, size)
}
