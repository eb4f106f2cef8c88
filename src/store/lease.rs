//! Which processes use a store now, and since when.
//!
//! `locks/session-*` is one file for each process that has the store open: locked while it runs, its time is when it
//! began, and it holds the names of the only entries that the process still needs, once it has said so. A process takes its lease, and takes up an entry that was not used for long, while it holds `locks/gate`
//! shared; whoever removes entries holds it alone, for no longer than it takes to rename them.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::Error;

const GATE: &str = "gate";
const SESSION: &str = "session-";

/// What other processes may need.
#[derive(Debug, Default)]
pub(super) struct Others {
    /// How many there are.
    pub(super) count: usize,
    /// When the first of those began that may need anything, in seconds since 1970.
    pub(super) first: Option<i64>,
    /// What the others need, relative to the store.
    pub(super) kept: BTreeSet<PathBuf>,
}

/// One process's use of a store; ends when dropped.
#[derive(Debug)]
pub(super) struct Lease {
    file: tempfile::NamedTempFile,
}

/// Held while others must not remove entries, or while nobody may take up one.
#[derive(Debug)]
pub(super) struct Gate {
    _file: File,
}

impl Gate {
    /// Waits until nobody removes.
    pub(super) fn shared(root: &Path) -> Result<Self, Error> {
        let path = root.join("locks").join(GATE);
        let file = File::create(&path).map_err(Error::io("create", &path))?;
        file.lock_shared().map_err(Error::io("lock", &path))?;
        Ok(Self { _file: file })
    }

    /// Waits until nobody else is at it.
    pub(super) fn alone(root: &Path) -> Result<Self, Error> {
        let path = root.join("locks").join(GATE);
        let file = File::create(&path).map_err(Error::io("create", &path))?;
        file.lock().map_err(Error::io("lock", &path))?;
        Ok(Self { _file: file })
    }
}

impl Lease {
    /// Says that this process uses the store from now on.
    pub(super) fn take(root: &Path) -> Result<Self, Error> {
        let folder = root.join("locks");
        let _gate = Gate::shared(root)?;
        let file = tempfile::Builder::new().prefix(SESSION).tempfile_in(&folder);
        let file = file.map_err(Error::io("create a file in", &folder))?;
        file.as_file().lock().map_err(Error::io("lock", file.path()))?;
        Ok(Self { file })
    }

    /// Whether `path` is part of it.
    pub(super) fn is_own(&self, path: &Path) -> bool {
        path == self.file.path() || path.file_name().is_some_and(|name| name == GATE)
    }

    /// Says that this process needs nothing but the entries at `paths`, relative to the store, from now on.
    pub(super) fn settle<'a>(&self, root: &Path, paths: impl Iterator<Item = &'a Path>) -> Result<(), Error> {
        let _gate = Gate::shared(root)?;
        let mut bytes = Vec::new();
        for path in paths {
            bytes.extend_from_slice(path.as_os_str().as_encoded_bytes());
            bytes.push(b'\n');
        }
        self.file.as_file().write_all(&bytes).map_err(Error::io("write", self.file.path()))
    }

    /// What the other processes that use the store may need. What processes that were killed left behind is removed.
    /// The caller holds the gate alone.
    pub(super) fn others(&self, root: &Path) -> Result<Others, Error> {
        let folder = root.join("locks");
        let mut others = Others::default();
        for entry in fs::read_dir(&folder).map_err(Error::io("read", &folder))?.flatten() {
            let path = entry.path();
            let is_session = entry.file_name().as_encoded_bytes().starts_with(SESSION.as_bytes());
            if !is_session || path == self.file.path() {
                continue;
            }
            // Whoever ends at this moment removes its own.
            let Ok(file) = File::open(&path) else { continue };
            if file.try_lock().is_ok() {
                let _ = fs::remove_file(&path);
                continue;
            }
            others.count += 1;
            match fs::read(&path).unwrap_or_default() {
                bytes if bytes.is_empty() => {
                    let began = file.metadata().map_or(0, |metadata| metadata.mtime());
                    others.first = Some(others.first.map_or(began, |first| first.min(began)));
                }
                bytes => {
                    let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
                    others.kept.extend(lines.map(|line| PathBuf::from(OsStr::from_bytes(line))));
                }
            }
        }
        Ok(others)
    }
}
