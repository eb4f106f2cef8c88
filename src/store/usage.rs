//! Last use of entries, what this process has used, and where entries come from that the store lacks.
//!
//! The modification time of a blob, of an entry's folder and of a record is when it was used last. It is written at most
//! once an hour: nothing is removed that was used in the hour before a running process began.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};

use super::lease::{Gate, Lease};
use super::{Store, now};
use crate::oci::Digest;

/// The file of an entry that says what it is, and the most bytes that are read of it.
const ABOUT: &str = "about";
const LONGEST: u64 = 4096;

/// A use is not written down again within so many seconds.
pub(super) const GRAIN: i64 = 60 * 60;

/// Where entries come from that a store lacks, such as what another machine has exported. Each answers whether the
/// store has the entry now; what is damaged or missing is not there.
pub trait Warm: fmt::Debug + Send + Sync {
    /// Brings a blob into the store.
    fn blob(&self, digest: &Digest, store: &Store) -> bool;
    /// Brings the entry `folder/key` into the store.
    fn entry(&self, folder: &str, key: &str, store: &Store) -> bool;
    /// The record `metadata/NAME`.
    fn record(&self, name: &str, store: &Store) -> Option<Vec<u8>>;
}

/// What clones of a store share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) lease: Lease,
    used: Mutex<BTreeSet<PathBuf>>,
    warm: OnceLock<Box<dyn Warm>>,
}

impl Shared {
    pub(super) fn new(lease: Lease) -> Self {
        Self { lease, used: Mutex::default(), warm: OnceLock::new() }
    }
}

impl Store {
    /// Looks there for what the store lacks, from now on. The first call counts.
    pub fn warm_from(&self, warm: Box<dyn Warm>) {
        let _ = self.shared.warm.set(warm);
    }

    /// Says that this process needs nothing more of the store than the entries at `paths`, however long it runs.
    pub fn settle(&self, paths: &[&Path]) -> Result<(), super::Error> {
        let relative = paths.iter().filter_map(|path| path.strip_prefix(&self.root).ok());
        self.shared.lease.settle(&self.root, relative)
    }

    /// What this process has used or made so far: paths below the store's folder, sorted.
    pub fn used(&self) -> Vec<PathBuf> {
        let used = self.shared.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.iter().cloned().collect()
    }

    /// The small document `metadata/NAME`, if there is one.
    pub fn record(&self, name: &str) -> Option<Vec<u8>> {
        let path = self.root.join("metadata").join(name);
        if self.claim(&path)
            && let Ok(bytes) = fs::read(&path)
        {
            return Some(bytes);
        }
        let bytes = self.shared.warm.get()?.record(name, self)?;
        self.put_record(name, &bytes).ok()?;
        Some(bytes)
    }

    /// Writes `metadata/NAME` as a whole.
    pub fn put_record(&self, name: &str, bytes: &[u8]) -> Result<(), super::Error> {
        use std::io::Write as _;
        let path = self.root.join("metadata").join(name);
        let folder = path.parent().unwrap_or(&self.root);
        fs::create_dir_all(folder).map_err(super::Error::io("create", folder))?;
        let mut file = self.temporary_file()?;
        file.write_all(bytes).map_err(super::Error::io("write", &path))?;
        file.persist(&path).map_err(|error| super::Error::io("create", &path)(error.error))?;
        self.note(&path);
        Ok(())
    }

    /// Removes `metadata/NAME`, if it is there.
    pub fn drop_record(&self, name: &str) {
        // What stays is looked at once more, and that is all.
        let _ = fs::remove_file(self.root.join("metadata").join(name));
    }

    /// Says for people what the entry `folder/key` is, once.
    pub fn describe(&self, folder: &str, key: &str, text: impl FnOnce() -> String) {
        let path = self.root.join(folder).join(key).join(ABOUT);
        if !path.exists() {
            // Nothing needs it but people.
            let _ = fs::write(path, text());
        }
    }

    /// What an entry says it is.
    pub fn description(&self, folder: &str, key: &str) -> Option<String> {
        let path = self.root.join(folder).join(key).join(ABOUT);
        let bytes = crate::oci::layout::read_capped(&path, LONGEST).ok()?;
        Some(String::from_utf8_lossy(&bytes).chars().filter(|character| !character.is_control()).collect())
    }

    /// Whether `path`, which lies in the store, is there; from now on nobody removes it while this process runs.
    pub fn claim(&self, path: &Path) -> bool {
        let Ok(metadata) = fs::symlink_metadata(path) else { return false };
        if !(0..GRAIN).contains(&(now() - metadata.mtime())) {
            // It may be about to be removed because nobody used it for long.
            let _gate = Gate::shared(&self.root);
            // A store that cannot be written cannot be pruned either.
            if touch(path) == Err(rustix::io::Errno::NOENT) {
                return false;
            }
        }
        self.note(path);
        true
    }

    /// Remembers that this process uses `path`.
    pub(super) fn note(&self, path: &Path) {
        if let Ok(relative) = path.strip_prefix(&self.root) {
            let mut used = self.shared.used.lock().unwrap_or_else(PoisonError::into_inner);
            used.insert(relative.to_owned());
        }
    }

    /// Forgets that this process has used `path`, which it has made and does not need.
    pub fn release(&self, path: &Path) {
        if let Ok(relative) = path.strip_prefix(&self.root) {
            let mut used = self.shared.used.lock().unwrap_or_else(PoisonError::into_inner);
            used.remove(relative);
        }
    }

    pub(super) fn fetch_blob(&self, digest: &Digest) -> bool {
        self.shared.warm.get().is_some_and(|warm| warm.blob(digest, self))
    }

    pub(super) fn fetch_entry(&self, folder: &str, key: &str) -> bool {
        self.shared.warm.get().is_some_and(|warm| warm.entry(folder, key, self))
    }
}

fn touch(path: &Path) -> rustix::io::Result<()> {
    let time = Timespec { tv_sec: now(), tv_nsec: 0 };
    let times = Timestamps { last_access: time, last_modification: time };
    utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)
}
