//! Removing entries while other processes use the store.
//!
//! An entry may go when its last use is older than an hour before the first of the other processes began: whatever those
//! use, they have marked since. Taking up an older entry and removing one exclude each other by the gate; an entry that
//! goes is renamed first, so that nobody sees half of it.

use std::cell::Cell;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::lease::{Gate, Others};
use super::usage::GRAIN;
use super::{Error, Store, remove_all};

/// The clocks of a file system and of the machine may differ by this many seconds.
const SLACK: i64 = 60;

/// The right to remove; nobody takes up an entry or begins to use the store while it is held.
#[derive(Debug)]
pub struct Removal<'a> {
    store: &'a Store,
    _gate: Gate,
    others: Others,
    bin: tempfile::TempDir,
    taken: Cell<usize>,
}

impl Store {
    /// Begins to remove. To be held for as short as possible.
    pub fn removal(&self) -> Result<Removal<'_>, Error> {
        let bin = self.temporary_folder()?;
        let gate = Gate::alone(&self.root)?;
        let others = self.shared.lease.others(&self.root)?;
        Ok(Removal { store: self, _gate: gate, others, bin, taken: Cell::new(0) })
    }
}

impl Removal<'_> {
    /// Whether no other process uses the store.
    pub fn is_alone(&self) -> bool {
        self.others.count == 0
    }

    /// Whether this process needs `path` to remove.
    pub fn is_own(&self, path: &Path) -> bool {
        path == self.bin.path() || self.store.shared.lease.is_own(path)
    }

    /// Takes the file or folder at `path`, relative to the store, out of it, unless a running process uses it. False
    /// when it stays.
    pub fn take(&self, path: &Path) -> Result<bool, Error> {
        let source = self.store.root.join(path);
        let Ok(metadata) = fs::symlink_metadata(&source) else { return Ok(false) };
        let limit = self.others.first.map(|first| first - GRAIN - SLACK);
        if limit.is_some_and(|limit| metadata.mtime() >= limit) || self.others.kept.contains(path) {
            return Ok(false);
        }
        let number = self.taken.replace(self.taken.get() + 1);
        fs::rename(&source, self.bin.path().join(number.to_string()))
            .map_err(Error::io("remove", &source))?;
        Ok(true)
    }

    /// Lets the others go on, and then removes what was taken.
    pub fn finish(self) -> Result<(), Error> {
        let Self { _gate: gate, bin, .. } = self;
        drop(gate);
        let path: PathBuf = bin.keep();
        remove_all(&path).map_err(Error::io("remove", &path))
    }
}
