//! A layer without those below it: what it has, what it removes, and what it only names.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Error;
use crate::oci::Digest;
use crate::store::{Entry, Kind, Tree};

/// A layer by itself; contents lie in the store.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alone {
    /// What it has; what it removes is there as whiteouts and opaque directories.
    pub tree: Tree,
    /// Hard links to files that layers below have: the path of each, and that of its file. Engines write none
    /// (<https://github.com/opencontainers/image-spec/blob/main/layer.md#hardlinks> allows them); kaniko and programs
    /// that join archives do.
    pub links: BTreeMap<String, String>,
    /// Whether it removes everything below.
    pub hides_all: bool,
}

impl Alone {
    /// The layer, whose blob is `digest`, as a tree that can be applied to `below`.
    ///
    /// # Errors
    /// When a hard link leads to what is no file there.
    pub fn over(mut self, below: &Tree, digest: Digest) -> Result<Tree, Error> {
        for (path, target) in self.links {
            match below.get(&target) {
                Some(entry) if matches!(entry.kind, Kind::File { .. }) => {
                    self.tree.insert(path, entry.clone());
                }
                _ => return Err(Error::Refused { digest, path, reason: not_a_file(&target) }),
            }
        }
        if self.hides_all {
            // The root has no entry that could be opaque: everything in it is removed one by one.
            for name in below.names("") {
                remove(&mut self.tree, name, false);
            }
        }
        Ok(self.tree)
    }
}

/// Removes what is below `path`, and nothing of the layer itself; `is_folder` says that something else of it lies there.
pub(super) fn remove(tree: &mut Tree, path: &str, is_folder: bool) {
    let is_folder = is_folder || tree.below(path).next().is_some();
    match tree.get_mut(path).map(|entry| &mut entry.kind) {
        // Removed below and made anew here.
        Some(Kind::Directory { opaque }) => *opaque = true,
        Some(_) => {}
        None if is_folder => tree.insert(path, Entry::new(Kind::Directory { opaque: true }, 0o755)),
        None => tree.insert(path, Entry::new(Kind::Whiteout, 0)),
    }
}

/// Why a hard link to `target` is refused.
pub(super) fn not_a_file(target: &str) -> String {
    format!("is a link to `{target}`, which is not a file")
}
