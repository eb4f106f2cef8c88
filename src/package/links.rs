//! Files with several names in an archive: the first in the order of paths is the file, the others are links to it.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;

use crate::store::{Entry, Tree};

/// The links of an archive.
#[derive(Default)]
pub(crate) struct Links {
    /// The first path of each file, by its file system and number.
    files: HashMap<(u64, u64), String>,
    /// The first path of the same file, by path.
    first: HashMap<String, String>,
}

impl Links {
    /// Sees the next path and its file on disk. What the archive says of all names of a file must be equal; to link an
    /// empty one saves nothing.
    pub(crate) fn add(&mut self, tree: &Tree, path: &str, found: &Metadata) {
        if found.nlink() == 1 || found.size() == 0 {
            return;
        }
        let metadata = |entry: &Entry| (entry.mode, entry.uid, entry.gid, entry.mtime);
        match self.files.entry((found.dev(), found.ino())) {
            Slot::Vacant(slot) => {
                slot.insert(path.to_owned());
            }
            Slot::Occupied(slot) if tree.get(slot.get()).map(metadata) == tree.get(path).map(metadata) => {
                self.first.insert(path.to_owned(), slot.get().clone());
            }
            Slot::Occupied(_) => {}
        }
    }

    /// The path before `path` that is the same file.
    pub(crate) fn first(&self, path: &str) -> Option<&str> {
        self.first.get(path).map(String::as_str)
    }
}
