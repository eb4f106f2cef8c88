//! Content digests of files, remembered by what the file system says of them.
//!
//! As git's index does: a file whose size, times, inode and device are as they were has the content it had. A
//! file that was written less than two seconds before it was read is not remembered, because it may be written
//! again within one tick of the file system's clock.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::{Error, Source};
use crate::observe::State;
use crate::oci::{Digest, DigestWriter};
use crate::store::{self, Store};

const FORMAT: u32 = 1;

/// Digests by path, kept in a store from one build to the next.
#[derive(Debug, Default)]
pub struct Fingerprints {
    index: Option<(Store, PathBuf)>,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    files: BTreeMap<String, Fingerprint>,
    changed: bool,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Index {
    format: u32,
    files: BTreeMap<String, Fingerprint>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Fingerprint {
    state: State,
    digest: Digest,
}

impl Fingerprints {
    /// What the store remembers of `source`. An index that is missing or damaged remembers nothing.
    pub fn open(store: &Store, source: &Source) -> Self {
        let name = Digest::of(source.root.as_os_str().as_encoded_bytes()).hex();
        let path = store.root().join("metadata").join(format!("fingerprints-{name}.json"));
        let index: Option<Index> =
            std::fs::read(&path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let mut files = index.filter(|index| index.format == FORMAT).unwrap_or_default().files;
        files.retain(|path, _| source.tree.get(path).is_some());
        let known = Mutex::new(Known { files, changed: false });
        Self { index: Some((store.clone(), path)), known }
    }

    /// The digest of the file at `path`, known as `relative`, which must have `size` bytes.
    ///
    /// # Errors
    /// When it cannot be read, or changes meanwhile.
    pub fn digest(&self, path: &Path, relative: &str, size: u64) -> Result<Digest, Error> {
        let metadata = std::fs::symlink_metadata(path).map_err(Error::io("read", path))?;
        let state = State::of(&metadata);
        if !metadata.is_file() || metadata.len() != size {
            return Err(Error::Changed { path: path.to_owned() });
        }
        if let Some(known) = self.known().files.get(relative).filter(|known| known.state == state) {
            return Ok(known.digest);
        }
        let now = crate::store::now();
        let (digest, _) = copy(path, io::sink())?;
        let after = std::fs::symlink_metadata(path).map_err(Error::io("read", path))?;
        if State::of(&after) != state {
            return Err(Error::Changed { path: path.to_owned() });
        }
        let mut known = self.known();
        if state.is_settled(now) {
            known.files.insert(relative.to_owned(), Fingerprint { state, digest });
            known.changed = true;
        }
        Ok(digest)
    }

    /// Writes what is remembered to the store, if there is anything new.
    pub fn save(&self) -> Result<(), Error> {
        let Some((store, path)) = &self.index else { return Ok(()) };
        let mut known = self.known();
        if !known.changed {
            return Ok(());
        }
        let index = Index { format: FORMAT, files: known.files.clone() };
        let mut file = store.temporary_file()?;
        serde_json::to_writer(&mut file, &index).map_err(|error| Error::io("write", path)(error.into()))?;
        file.persist(path).map_err(|error| store::Error::io("create", path)(error.error))?;
        known.changed = false;
        Ok(())
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Copies the regular file at `path`, and says what was copied. A link or pipe put in its place is not followed.
pub(super) fn copy<W: io::Write>(path: &Path, to: W) -> Result<(Digest, W), Error> {
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let file = File::options().read(true).custom_flags(flags).open(path);
    let mut file = file.map_err(|error| match error.raw_os_error() {
        Some(libc::ELOOP) => Error::Changed { path: path.to_owned() },
        _ => Error::io("read", path)(error),
    })?;
    if !file.metadata().map_err(Error::io("read", path))?.is_file() {
        return Err(Error::Changed { path: path.to_owned() });
    }
    let mut writer = DigestWriter::new(to);
    io::copy(&mut file, &mut writer).map_err(Error::io("copy", path))?;
    let (to, digest, _) = writer.finish();
    Ok((digest, to))
}
