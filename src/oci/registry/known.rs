//! Which repositories of a registry are known to have a blob: what was pushed there or pulled from there. From those it can
//! be mounted elsewhere instead of being sent.
//!
//! One document per registry in the store. It may be wrong: a blob that cannot be mounted is uploaded.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use super::host::Repository;
use crate::oci::Digest;
use crate::store::Store;

/// The blobs that are remembered of a registry.
const MOST: usize = 4096;
/// The repositories that are remembered of a blob.
const SEVERAL: usize = 3;

/// What is known of one registry.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Known {
    /// The repositories of a blob, the last one first.
    blobs: BTreeMap<Digest, VecDeque<String>>,
}

impl Known {
    /// What is known of the registry of `repository`.
    pub(super) fn of(repository: &Repository, store: &Store) -> Self {
        let bytes = store.record(&name(repository)).unwrap_or_default();
        serde_json::from_slice(&bytes).unwrap_or_default()
    }

    /// Another repository than `repository` that may have the blob.
    pub(super) fn elsewhere(&self, digest: &Digest, repository: &Repository) -> Option<String> {
        self.blobs.get(digest)?.iter().find(|path| **path != repository.path).cloned()
    }
}

/// Remembers that `repository` has `blobs`.
pub(super) fn remember(repository: &Repository, blobs: impl IntoIterator<Item = Digest>, store: &Store) {
    let name = name(repository);
    // Without the document blobs are sent that need not be, and that is all.
    let Ok(_lock) = store.lock(&format!("known-{}", Digest::of(name.as_bytes()).hex())) else { return };
    let mut known = Known::of(repository, store);
    let mut is_new = false;
    let fresh: BTreeSet<Digest> = blobs.into_iter().collect();
    for digest in &fresh {
        let paths = known.blobs.entry(*digest).or_default();
        if paths.front() != Some(&repository.path) {
            paths.retain(|path| *path != repository.path);
            paths.push_front(repository.path.clone());
            paths.truncate(SEVERAL);
            is_new = true;
        }
    }
    let excess = known.blobs.len().saturating_sub(MOST);
    let old: Vec<Digest> =
        known.blobs.keys().filter(|digest| !fresh.contains(digest)).take(excess).copied().collect();
    for digest in old {
        known.blobs.remove(&digest);
    }
    if is_new && let Ok(bytes) = serde_json::to_vec(&known) {
        let _ = store.put_record(&name, &bytes);
    }
}

fn name(repository: &Repository) -> String {
    format!("registries/{}.json", Digest::of(repository.origin.as_bytes()).hex())
}
