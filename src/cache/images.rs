//! The images of the store: which blobs each tag holds, and taking tags and leftovers out.
//!
//! A document that cannot be read holds nothing more; its own blob is kept with the tag.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::Value;

use super::Error;
use crate::oci::Digest;
use crate::oci::image::{Descriptor, Index, Manifest, REF_NAME};
use crate::oci::layout::{Layout, read_capped};
use crate::store::{self, Store};

/// No manifest is larger than this.
const LARGEST: u64 = 4 << 20;

/// A tag of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tagged {
    /// `shop:latest`, or the digest of what has no name.
    pub(super) name: String,
    /// The digest of the manifest or index.
    pub(super) root: Digest,
    /// All its blobs, with what each is in it.
    pub(super) blobs: BTreeMap<Digest, &'static str>,
}

/// The tags of the store, in the order they were made.
pub(super) fn tags(store: &Store) -> Result<Vec<Tagged>, Error> {
    if !store.images().join("oci-layout").exists() {
        return Ok(Vec::new());
    }
    let layout = Layout::open(store.images())?;
    let mut found = Vec::new();
    for entry in layout.entries()? {
        let name = entry.annotations.get(REF_NAME).cloned();
        let mut blobs = BTreeMap::new();
        collect(&layout, &entry, &mut blobs, 0);
        found.push(Tagged {
            name: name.unwrap_or_else(|| entry.digest.to_string()),
            root: entry.digest,
            blobs,
        });
    }
    Ok(found)
}

fn collect(layout: &Layout, entry: &Descriptor, blobs: &mut BTreeMap<Digest, &'static str>, depth: u32) {
    let is_index = crate::oci::is_index(&entry.media_type);
    blobs.insert(entry.digest, if is_index { "index" } else { "manifest" });
    let Ok(bytes) = read_capped(&layout.blob_path(&entry.digest), LARGEST) else { return };
    if is_index {
        let Ok(index) = serde_json::from_slice::<Index>(&bytes) else { return };
        // An index in an index is allowed, and no tool makes more than that.
        for part in index.manifests.iter().filter(|_| depth < 2) {
            collect(layout, part, blobs, depth + 1);
        }
        return;
    }
    let Ok(manifest) = serde_json::from_slice::<Manifest>(&bytes) else { return };
    blobs.insert(manifest.config.digest, "config");
    blobs.extend(manifest.layers.iter().map(|layer| (layer.digest, "layer")));
}

/// Writes the list of images without those with a digest in `gone`. The caller holds the layout's lock.
pub(super) fn untag(gone: &BTreeSet<String>, store: &Store) -> Result<(), Error> {
    let layout = Layout::open(store.images())?;
    let mut index = layout.index()?;
    let name = |entry: &Value| {
        let annotated =
            entry.get("annotations").and_then(|found| found.get(REF_NAME)).and_then(Value::as_str);
        annotated.or_else(|| entry.get("digest")?.as_str()).map(str::to_owned)
    };
    if let Some(entries) = index.get_mut("manifests").and_then(Value::as_array_mut) {
        entries.retain(|entry| name(entry).is_none_or(|name| !gone.contains(&name)));
    }
    let path = store.images().join("index.json");
    let bytes = crate::oci::to_canonical_json(&index).unwrap_or_default();
    let file = store.temporary_file()?;
    fs::write(file.path(), bytes).map_err(store::Error::io("write", &path))?;
    file.persist(&path).map_err(|error| store::Error::io("create", &path)(error.error))?;
    Ok(())
}
