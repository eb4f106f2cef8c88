//! Reading a cache: each entry when it is asked for, checked by its digest on the way.
//!
//! Nothing here fails a build. What cannot be used is not there, and a warning says so, once for each folder.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{FORMAT, Index, MARK, Mark, Packed, Place, archive, is_offered, layout, tree};
use crate::oci::layout::read_capped;
use crate::oci::{Digest, DigestReader, DigestWriter};
use crate::store::{Store, Warm};
use crate::ui::Reporter;

/// The mark is a few lines.
const LARGEST_MARK: u64 = 4096;
/// The largest index.
const LARGEST_INDEX: u64 = 64 << 20;

/// Caches to look into, in order.
#[derive(Debug)]
struct Caches {
    caches: Vec<Cache>,
}

#[derive(Debug)]
struct Cache {
    place: Place,
    index: Index,
    reporter: Reporter,
    warned: AtomicBool,
}

/// Lets `store` look into `places` for what it lacks.
pub fn import(places: &[Place], store: &Store, reporter: &Reporter) {
    let mut caches = Vec::new();
    for place in places {
        match read_index(place) {
            Ok(index) => {
                let (place, reporter) = (place.clone(), reporter.clone());
                caches.push(Cache { place, index, reporter, warned: AtomicBool::new(false) });
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound && !place.path().join(MARK).exists() => {
                reporter.info(&format!("no cache in {} yet", place.path().display()));
            }
            Err(error) => {
                let text = format!("the cache in {} is not used: {error}", place.path().display());
                reporter.warn("cache/unusable", &text, None);
            }
        }
    }
    if !caches.is_empty() {
        store.warm_from(Box::new(Caches { caches }));
    }
}

/// Opens a regular file and nothing else: not what a link leads to, and no pipe that never answers.
fn open(path: &Path) -> io::Result<File> {
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let file = File::options().read(true).custom_flags(flags).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("it is not a regular file")) }
}

/// The list of what is in `place`.
pub(super) fn read_index(place: &Place) -> io::Result<Index> {
    let mark = read_capped(&place.path().join(MARK), LARGEST_MARK)?;
    let mark: serde_json::Value = serde_json::from_slice(&mark)?;
    let format = mark.get("format").and_then(serde_json::Value::as_u64);
    if format != Some(u64::from(FORMAT)) {
        return Err(io::Error::other("another version of rpack made it"));
    }
    let mark: Mark = serde_json::from_value(mark)?;
    let bytes = read_capped(&place.blob(&mark.index), LARGEST_INDEX)?;
    if Digest::of(&bytes) != mark.index {
        return Err(io::Error::other("its index is damaged"));
    }
    Ok(serde_json::from_slice(&bytes)?)
}

impl Warm for Caches {
    fn blob(&self, digest: &Digest, store: &Store) -> bool {
        self.caches.iter().any(|cache| cache.blob(digest, store))
    }

    fn entry(&self, folder: &str, key: &str, store: &Store) -> bool {
        self.caches.iter().any(|cache| cache.entry(folder, key, store))
    }

    fn record(&self, name: &str) -> Option<Vec<u8>> {
        if !is_offered(name) {
            return None;
        }
        self.caches.iter().find_map(|cache| Some(cache.index.records.get(name)?.clone().into_bytes()))
    }
}

impl Cache {
    fn blob(&self, digest: &Digest, store: &Store) -> bool {
        let Some(size) = self.index.blobs.get(digest) else { return false };
        self.note(&digest.short(), self.copy(digest, *size, store))
    }

    fn copy(&self, digest: &Digest, size: u64, store: &Store) -> io::Result<()> {
        let file = store.temporary_file().map_err(io::Error::other)?;
        let mut writer = DigestWriter::new(file);
        let copied =
            io::copy(&mut open(&self.place.blob(digest))?.take(size.saturating_add(1)), &mut writer)?;
        let (file, found, _) = writer.finish();
        if copied != size || found != *digest {
            return Err(io::Error::other("it is damaged"));
        }
        store.keep_blob(file, digest).map_err(io::Error::other)?;
        Ok(())
    }

    fn entry(&self, folder: &str, key: &str, store: &Store) -> bool {
        let name = format!("{folder}/{key}");
        let is_offered = folder == "steps" || folder == "trees" && key.starts_with("toolchain-");
        let Some(packed) = self.index.entries.get(&name).filter(|_| is_offered) else { return false };
        self.note(&name, self.unpack(packed, folder, key, store))
    }

    /// Into a folder of its own, which becomes the entry when the whole archive was the one that the index names.
    fn unpack(&self, packed: &Packed, folder: &str, key: &str, store: &Store) -> io::Result<()> {
        let temporary = store.temporary_folder().map_err(io::Error::other)?;
        let file = open(&self.place.blob(&packed.blob))?.take(packed.size.saturating_add(1));
        let mut reader = DigestReader::new(BufReader::with_capacity(128 * 1024, file));
        let layout = layout(&format!("{folder}/{key}"));
        archive::unpack(&mut reader, layout, packed.size, temporary.path())?;
        io::copy(&mut reader, &mut io::sink())?;
        let (found, size) = reader.finish();
        if (found, size) != (packed.blob, packed.size) {
            return Err(io::Error::other("it is damaged"));
        }
        if layout == archive::Layout::Unpacked {
            tree::check(temporary.path())?;
        }
        store.keep_entry(folder, key, temporary).map_err(io::Error::other)?;
        Ok(())
    }

    /// Whether it worked; says so when it did not.
    fn note(&self, name: &str, result: io::Result<()>) -> bool {
        let path = self.place.path().display();
        match result {
            Ok(()) => self.reporter.detail(&format!("{name}  comes from the cache in {path}")),
            Err(error) => {
                let text = format!("{name} of the cache in {path} is not used: {error}");
                if self.warned.swap(true, Ordering::Relaxed) {
                    self.reporter.detail(&text);
                } else {
                    self.reporter.warn("cache/damaged", &text, None);
                }
                return false;
            }
        }
        true
    }
}
