//! The content-addressed store: blobs, unpacked trees, step results, images.
//!
//! ```text
//! DIR/blobs/sha256/HEX       downloads and layers, named by their digest
//! DIR/trees/KEY/             unpacked or composed directories: fs/ and entries.json
//! DIR/steps/KEY/             results of build steps: fs/ (the overlay's upper) and entries.json
//! DIR/caches/ID/             package managers' own caches, shared by all projects
//! DIR/metadata/NAME          answers of registries that may be asked again (indexes, version lists)
//! DIR/metadata/bases/        what base images hold; DIR/metadata/origins/: which repository has a layer of one
//! DIR/metadata/layers/       which layer was made of what; DIR/metadata/segments/: which parts are in its blob
//! DIR/images/                an OCI layout: what `rpack build` made, by tag
//! DIR/locks/  DIR/tmp/       one lock per key; unfinished entries
//! ```
//!
//! Crash-safe: an entry is written under a temporary name, synced and renamed; readers never see half of one.
//! What is used by a running process is not removed ([`removal`]): the time of an entry is that of its last use, kept to
//! the hour, and each process says when it began. One store belongs to one user, because overlay lowers must belong to whoever mounts them.

mod clock;
mod directory;
pub mod history;
pub mod instance;
mod lease;
mod links;
pub mod removal;
pub mod tree;
mod usage;

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

pub use clock::now;
pub use directory::remove_all;
pub use tree::{Content, Entry, Kind, Tree};
pub use usage::Warm;

use crate::oci::{Digest, DigestWriter};
use crate::ui::{Diagnose, ExitCode};

/// How old an unfinished entry is when nobody works on it any more, in seconds.
const ABANDONED: i64 = 24 * 60 * 60;

/// An open store. Cheap to clone. While one is open, nothing is removed that this process has used.
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
    shared: Arc<usage::Shared>,
}

/// Why the store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file operation failed.
    #[error("cannot {action} {path}")]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// Bytes do not have the digest they were stored or fetched under.
    #[error("{what} has digest {found}, expected {expected}")]
    Mismatch {
        /// What was read.
        what: String,
        /// The digest that was asked for.
        expected: Digest,
        /// The digest of the bytes.
        found: Digest,
    },
    /// An index file in the store is damaged.
    #[error("{path} in the store is damaged: {reason}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

impl Error {
    /// For `map_err` on file operations.
    pub fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }

    fn is_full(&self) -> bool {
        matches!(self, Self::Io { source, .. } if matches!(
            source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
        ))
    }
}

impl Diagnose for Error {
    fn id(&self) -> &'static str {
        match self {
            _ if self.is_full() => "store/full",
            Self::Io { .. } => "store/io",
            Self::Mismatch { .. } => "store/digest",
            Self::Damaged { .. } => "store/damaged",
        }
    }

    fn exit(&self) -> ExitCode {
        ExitCode::Failed
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Io { path, .. } if self.is_full() => vec![
                format!("free space on the file system that holds {}", path.display()),
                "or put the store elsewhere: `RPACK_STORE=/path/with/space rpack build`".to_owned(),
            ],
            Self::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => vec![
                "each user needs a store of their own: `RPACK_STORE=$HOME/.cache/rpack rpack build`"
                    .to_owned(),
            ],
            Self::Damaged { path, .. } => {
                vec![format!("remove it, it will be made again: `rm -r {}`", path.display())]
            }
            _ => Vec::new(),
        }
    }
}

/// An exclusive lock on one key of the store; released when dropped.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Store {
    /// Opens the store at `root` and makes its folders.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, Error> {
        let root = root.into();
        for folder in ["blobs/sha256", "trees", "steps", "caches", "metadata", "images", "locks", "tmp"] {
            let path = root.join(folder);
            fs::create_dir_all(&path).map_err(Error::io("create", &path))?;
        }
        let shared = Arc::new(usage::Shared::new(lease::Lease::take(&root)?));
        let store = Self { root, shared };
        store.sweep();
        Ok(store)
    }

    /// Removes what processes that were killed left unfinished: no build takes a day.
    fn sweep(&self) {
        let Ok(entries) = fs::read_dir(self.root.join("tmp")) else { return };
        for entry in entries.flatten() {
            let changed = entry.metadata().map_or(i64::MAX, |metadata| metadata.mtime());
            if changed < now() - ABANDONED {
                let path = entry.path();
                // Somebody else may remove it at the same time, and it is tried again at the next start.
                let _ = if path.is_dir() { remove_all(&path) } else { fs::remove_file(&path) };
            }
        }
    }

    /// The folder that holds everything.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where the blob with this digest is, or would be.
    pub fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.root.join("blobs/sha256").join(digest.hex())
    }

    /// The path below the store's folder of a file in one of its folders whose files never change: a blob, a file of an
    /// unpacked tree or of a step's result.
    pub fn inside<'a>(&self, file: &'a Path) -> Option<&'a Path> {
        let relative = file.strip_prefix(&self.root).ok()?;
        let is_plain = relative.components().all(|part| matches!(part, Component::Normal(_)));
        let is_kept = ["blobs", "trees", "steps"].iter().any(|folder| relative.starts_with(folder));
        (is_plain && is_kept).then_some(relative)
    }

    /// The blob's path, if it is here.
    pub fn blob(&self, digest: &Digest) -> Option<PathBuf> {
        let path = self.blob_path(digest);
        (self.claim(&path) || self.fetch_blob(digest)).then_some(path)
    }

    /// A temporary file in the store, to become a blob.
    pub fn temporary_file(&self) -> Result<tempfile::NamedTempFile, Error> {
        let folder = self.root.join("tmp");
        tempfile::NamedTempFile::new_in(&folder).map_err(Error::io("create a file in", &folder))
    }

    /// A temporary folder in the store, to become a tree or a step result.
    pub fn temporary_folder(&self) -> Result<tempfile::TempDir, Error> {
        let folder = self.root.join("tmp");
        tempfile::TempDir::new_in(&folder).map_err(Error::io("create a folder in", &folder))
    }

    /// Keeps a finished temporary file as the blob `digest`, which the caller has computed on the way.
    pub fn keep_blob(&self, file: tempfile::NamedTempFile, digest: &Digest) -> Result<PathBuf, Error> {
        let path = self.blob_path(digest);
        file.as_file().sync_data().map_err(Error::io("write", file.path()))?;
        file.persist(&path).map_err(|error| Error::io("create", &path)(error.error))?;
        self.note(&path);
        Ok(path)
    }

    /// Stores what `reader` gives as a blob.
    pub fn put_blob(&self, mut reader: impl Read) -> Result<(Digest, u64), Error> {
        let file = self.temporary_file()?;
        let mut writer = DigestWriter::new(file);
        let path = self.root.join("tmp");
        io::copy(&mut reader, &mut writer).map_err(Error::io("write to", &path))?;
        writer.flush().map_err(Error::io("write to", &path))?;
        let (file, digest, size) = writer.finish();
        self.keep_blob(file, &digest)?;
        Ok((digest, size))
    }

    /// Takes the lock of `key`, waiting for another process that holds it.
    pub fn lock(&self, key: &str) -> Result<Lock, Error> {
        let path = self.root.join("locks").join(key);
        let file = File::create(&path).map_err(Error::io("create", &path))?;
        file.lock().map_err(Error::io("lock", &path))?;
        Ok(Lock { _file: file })
    }

    /// The folder of a package manager's cache, made when missing.
    pub fn cache(&self, id: &str) -> Result<PathBuf, Error> {
        let path = self.root.join("caches").join(id);
        if !self.claim(&path) && !self.fetch_entry("caches", id) {
            fs::create_dir_all(&path).map_err(Error::io("create", &path))?;
            self.note(&path);
        }
        Ok(path)
    }

    /// The OCI layout that holds the images built here.
    pub fn images(&self) -> PathBuf {
        self.root.join("images")
    }

    /// The folder of an entry kept under `folder/key` (`trees`, `steps`), if it is complete.
    pub fn entry(&self, folder: &str, key: &str) -> Option<PathBuf> {
        let path = self.root.join(folder).join(key);
        (self.claim(&path) || self.fetch_entry(folder, key)).then_some(path)
    }

    /// Makes a finished temporary folder the entry `folder/key`; if another process was first, theirs stays.
    pub fn keep_entry(
        &self,
        folder: &str,
        key: &str,
        temporary: tempfile::TempDir,
    ) -> Result<PathBuf, Error> {
        let path = self.root.join(folder).join(key);
        let source = temporary.keep();
        match fs::rename(&source, &path) {
            Ok(()) => {}
            Err(_) if path.exists() => remove_all(&source).map_err(Error::io("remove", &source))?,
            Err(error) => return Err(Error::io("create", &path)(error)),
        }
        self.note(&path);
        Ok(path)
    }

    /// Takes the entry `folder/key` out of the store: it is `entry` in a folder of the caller's own. None when there is no
    /// such entry; of several that ask at once only one gets it.
    pub fn take_entry(&self, folder: &str, key: &str) -> Option<tempfile::TempDir> {
        let path = self.entry(folder, key)?;
        let temporary = self.temporary_folder().ok()?;
        fs::rename(path, temporary.path().join("entry")).ok()?;
        Some(temporary)
    }

    /// The directory that holds `tree` as real files, made once per `key` (`trees/KEY/fs`).
    ///
    /// Files on the same file system are hard links to their content, which is never written to: these
    /// directories are only ever used as read-only lowers.
    pub fn materialise(&self, key: &str, tree: &Tree) -> Result<PathBuf, Error> {
        if let Some(entry) = self.entry("trees", key) {
            return Ok(entry.join("fs"));
        }
        let temporary = self.temporary_folder()?;
        directory::write(tree, &temporary.path().join("fs"))?;
        Ok(self.keep_entry("trees", key, temporary)?.join("fs"))
    }

    /// Reads a directory on disk into a tree whose contents point into it; understands overlay whiteouts.
    pub fn read_directory(&self, path: &Path) -> Result<Tree, Error> {
        directory::read(path)
    }
}
