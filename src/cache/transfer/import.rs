//! Reading a cache: each entry when it is asked for, checked by its digest on the way.
//!
//! Nothing here fails a build. What cannot be used is not there, and a warning says so, once for each cache.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use super::export::blob_in;
use super::remote::{self, Unusable};
use super::{Damaged, FORMAT, Index, MARK, Mark, Packed, Place, archive, is_offered, layout, tree};
use crate::oci::layout::read_capped;
use crate::oci::registry::{self, Registry};
use crate::oci::{Digest, DigestReader, DigestWriter, Reference};
use crate::store::{Store, Warm};
use crate::ui::{Diagnose as _, Reporter};

/// The mark is a few lines.
const LARGEST_MARK: u64 = 4096;
/// The largest index.
const LARGEST_INDEX: u64 = 64 << 20;

/// After so many failures of a registry it is not asked any more.
const PATIENCE: usize = 3;

/// Caches to look into, in order.
#[derive(Debug)]
struct Caches {
    caches: Vec<Cache>,
}

#[derive(Debug)]
struct Cache {
    place: Place,
    source: Source,
    reporter: Reporter,
    warned: AtomicBool,
    damaged: Damaged,
}

/// Where parts come from.
#[derive(Debug)]
enum Source {
    Folder { folder: PathBuf, index: Index },
    Registry(Remote),
}

/// A registry is asked for its list when something is missing here, not before: an unchanged build misses nothing.
#[derive(Debug)]
struct Remote {
    reference: Reference,
    registry: Arc<Registry>,
    index: OnceLock<Option<Index>>,
    failures: AtomicUsize,
}

/// Lets `store` look into `places` for what it lacks. What comes back knows what will have been damaged there.
pub fn import(places: &[Place], registry: &Arc<Registry>, store: &Store, reporter: &Reporter) -> Damaged {
    let damaged = Damaged::default();
    let open = |place: &Place| Cache::open(place, registry, reporter, &damaged);
    let caches: Vec<Cache> = places.iter().filter_map(open).collect();
    if !caches.is_empty() {
        store.warm_from(Box::new(Caches { caches }));
    }
    damaged
}

/// Opens a regular file and nothing else: not what a link leads to, and no pipe that never answers.
fn open(path: &Path) -> io::Result<File> {
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let file = File::options().read(true).custom_flags(flags).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("it is not a regular file")) }
}

/// The list of what is in `folder`.
pub(super) fn read_index(folder: &Path) -> io::Result<Index> {
    let mark = read_capped(&folder.join(MARK), LARGEST_MARK)?;
    let mark: serde_json::Value = serde_json::from_slice(&mark)?;
    let format = mark.get("format").and_then(serde_json::Value::as_u64);
    if format != Some(u64::from(FORMAT)) {
        return Err(io::Error::other("another version of rpack made it"));
    }
    let mark: Mark = serde_json::from_value(mark)?;
    let bytes = read_capped(&blob_in(folder, &mark.index), LARGEST_INDEX)?;
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

    fn record(&self, name: &str, store: &Store) -> Option<Vec<u8>> {
        if !is_offered(name) {
            return None;
        }
        self.caches.iter().find_map(|cache| Some(cache.index(store)?.records.get(name)?.clone().into_bytes()))
    }
}

impl Cache {
    fn open(place: &Place, registry: &Arc<Registry>, reporter: &Reporter, damaged: &Damaged) -> Option<Self> {
        let source = match place {
            Place::Folder(folder) => {
                Source::Folder { folder: folder.clone(), index: listed(folder, reporter)? }
            }
            Place::Registry(reference) => Source::Registry(Remote {
                reference: reference.clone(),
                registry: Arc::clone(registry),
                index: OnceLock::new(),
                failures: AtomicUsize::new(0),
            }),
        };
        let (place, reporter) = (place.clone(), reporter.clone());
        Some(Self { place, source, reporter, warned: AtomicBool::new(false), damaged: damaged.clone() })
    }

    /// What is there; none when nothing can be used.
    fn index(&self, store: &Store) -> Option<&Index> {
        match &self.source {
            Source::Folder { index, .. } => Some(index),
            Source::Registry(remote) if remote.failures.load(Ordering::Relaxed) < PATIENCE => {
                remote.index.get_or_init(|| remote.ask(&self.place, (store, &self.reporter))).as_ref()
            }
            Source::Registry(_) => None,
        }
    }

    /// The bytes of a part, which are to be checked.
    fn part(&self, digest: Digest, size: u64, store: &Store) -> io::Result<File> {
        match &self.source {
            Source::Folder { folder, .. } => open(&blob_in(folder, &digest)),
            Source::Registry(Remote { reference, registry, failures, .. }) => {
                let part = remote::part(digest, size);
                let file = remote::fetch(reference, &part, registry, (store, &self.reporter));
                let file = file.map_err(|error| {
                    failures.fetch_add(1, Ordering::Relaxed);
                    io::Error::other(in_words(&error))
                })?;
                file.reopen()
            }
        }
    }

    fn blob(&self, digest: &Digest, store: &Store) -> bool {
        let Some(size) = self.index(store).and_then(|index| index.blobs.get(digest)) else { return false };
        self.note((&digest.to_string(), &digest.short()), self.copy(digest, *size, store))
    }

    fn copy(&self, digest: &Digest, size: u64, store: &Store) -> io::Result<()> {
        let file = store.temporary_file().map_err(io::Error::other)?;
        let mut writer = DigestWriter::new(file);
        let copied =
            io::copy(&mut self.part(*digest, size, store)?.take(size.saturating_add(1)), &mut writer)?;
        let (file, found, _) = writer.finish();
        if copied != size || found != *digest {
            return Err(io::Error::other("it is damaged"));
        }
        store.keep_blob(file, digest).map_err(io::Error::other)?;
        Ok(())
    }

    fn entry(&self, folder: &str, key: &str, store: &Store) -> bool {
        let name = format!("{folder}/{key}");
        let is_offered =
            ["steps", "caches"].contains(&folder) || folder == "trees" && key.starts_with("toolchain-");
        let found = self.index(store).and_then(|index| index.entries.get(&name));
        let Some(packed) = found.filter(|_| is_offered) else { return false };
        self.note((&name, &name), self.unpack(packed, folder, key, store))
    }

    /// Into a folder of its own, which becomes the entry when the whole archive was the one that the index names.
    fn unpack(&self, packed: &Packed, folder: &str, key: &str, store: &Store) -> io::Result<()> {
        let temporary = store.temporary_folder().map_err(io::Error::other)?;
        let file = self.part(packed.blob, packed.size, store)?.take(packed.size.saturating_add(1));
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
    fn note(&self, (name, shown): (&str, &str), result: io::Result<()>) -> bool {
        let path = &self.place;
        match result {
            Ok(()) => self.reporter.detail(&format!("{shown}  comes from the cache in {path}")),
            Err(error) => {
                self.damaged.add(name);
                let text = format!("{shown} of the cache in {path} is not used: {error}");
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

/// The list of a folder; says so when there is none that can be used.
fn listed(folder: &Path, reporter: &Reporter) -> Option<Index> {
    match read_index(folder) {
        Ok(index) => return Some(index),
        Err(error) if error.kind() == io::ErrorKind::NotFound && !folder.join(MARK).exists() => {
            reporter.info(&format!("no cache in {} yet", folder.display()));
        }
        Err(error) => {
            let text = format!("the cache in {} is not used: {error}", folder.display());
            reporter.warn("cache/unusable", &text, None);
        }
    }
    None
}

impl Remote {
    /// The list; says so when there is none that can be used.
    fn ask(&self, place: &Place, (store, reporter): (&Store, &Reporter)) -> Option<Index> {
        let (text, hint) = match remote::index(&self.reference, &self.registry, (store, reporter)) {
            Ok(Some(index)) => return Some(index),
            Ok(None) => {
                reporter.info(&format!("no cache in {place} yet"));
                return None;
            }
            Err(Unusable::Registry(error)) => (in_words(&error), error.hints().into_iter().next()),
            Err(Unusable::Other(reason)) => (reason, None),
        };
        let text = format!("the cache in {place} is not used: {text}");
        reporter.warn("cache/unusable", &text, hint.as_deref());
        None
    }
}

/// An error with what it says besides: whose credential it was.
pub(super) fn in_words(error: &registry::Error) -> String {
    match error.detail() {
        Some(detail) => format!("{error}; {}", detail.replace('\n', "; ")),
        None => error.to_string(),
    }
}
