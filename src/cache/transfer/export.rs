//! Writing a cache: what this process used, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::{FORMAT, Index, MARK, Mark, Packed, Place, archive, is_offered, layout};
use crate::cache::Error;
use crate::oci::{Digest, DigestReader, DigestWriter, to_canonical_json};
use crate::plan::Plan;
use crate::store::{self, Store};

/// What an export did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// Bytes that the folder has now.
    pub size: u64,
    /// Bytes that were written.
    pub written: u64,
}

/// Makes the folder, before anything is built. A folder that holds something else is refused.
pub fn prepare(place: &Place) -> Result<(), Error> {
    let folder = place.path();
    let blobs = folder.join("blobs/sha256");
    fs::create_dir_all(folder).map_err(store::Error::io("create", folder))?;
    let names = fs::read_dir(folder).map_err(store::Error::io("read", folder))?;
    let is_foreign = |entry: fs::DirEntry| entry.file_name() != "lock" && entry.file_name() != "blobs";
    if !folder.join(MARK).exists() && names.flatten().any(is_foreign) {
        return Err(Error::Foreign { path: folder.to_owned() });
    }
    fs::create_dir_all(&blobs).map_err(store::Error::io("create", &blobs))?;
    Ok(())
}

/// Writes what this process used, and the packages of `plans` as far as they are at hand; removes the rest.
pub fn export(place: &Place, plans: &[Plan], store: &Store) -> Result<Exported, Error> {
    let lock = place.path().join("lock");
    let file = File::create(&lock).map_err(store::Error::io("create", &lock))?;
    file.lock().map_err(store::Error::io("lock", &lock))?;
    let mut work =
        Work { place, store, known: super::import::read_index(place).unwrap_or_default(), written: 0 };
    let used = store.used();
    let index = Index {
        blobs: work.blobs(&used, plans)?,
        entries: work.entries(&used)?,
        records: records(&used, store),
    };
    let bytes = to_canonical_json(&index).map_err(|error| io::Error::other(error.to_string()));
    let bytes = bytes.map_err(store::Error::io("write", place.path()))?;
    let digest = Digest::of(&bytes);
    work.write(&place.blob(&digest), &bytes)?;
    let mark = Mark { format: FORMAT, index: digest };
    let mark = to_canonical_json(&mark).unwrap_or_default();
    work.write(&place.path().join(MARK), &mark)?;
    let keep: BTreeSet<Digest> = (index.blobs.keys())
        .chain(index.entries.values().map(|packed| &packed.blob))
        .chain([&digest])
        .copied()
        .collect();
    drop_others(place, &keep)?;
    let size = index.blobs.values().chain(index.entries.values().map(|packed| &packed.size)).sum();
    Ok(Exported { size, written: work.written })
}

struct Work<'a> {
    place: &'a Place,
    store: &'a Store,
    known: Index,
    written: u64,
}

impl Work<'_> {
    /// Copies the blobs that the folder lacks.
    fn blobs(&mut self, used: &[PathBuf], plans: &[Plan]) -> Result<BTreeMap<Digest, u64>, Error> {
        let hexes = used.iter().filter_map(|path| path.strip_prefix("blobs/sha256").ok()?.to_str());
        let mut digests: BTreeSet<Digest> = hexes.filter_map(|hex| Digest::from_hex(hex).ok()).collect();
        // Packages of a root that no step needed today are needed when one runs again.
        let roots = plans.iter().flat_map(|plan| [&plan.build_root, &plan.runtime_root]);
        digests.extend(roots.flat_map(|root| root.packages.iter().map(|package| package.sha256)));
        let mut blobs = BTreeMap::new();
        for digest in digests {
            let target = self.place.blob(&digest);
            let known = self.known.blobs.get(&digest).copied();
            if known.is_some_and(|size| fs::metadata(&target).is_ok_and(|found| found.len() == size)) {
                blobs.extend(known.map(|size| (digest, size)));
            } else if let Some(source) = self.store.blob(&digest)
                && let Some(size) = self.copy(&source, &target, &digest)?
            {
                blobs.insert(digest, size);
                self.written += size;
            }
        }
        Ok(blobs)
    }

    /// Copies a blob and returns its size; none when it is not what its name says.
    fn copy(&self, source: &Path, target: &Path, digest: &Digest) -> Result<Option<u64>, Error> {
        let mut reader = DigestReader::new(File::open(source).map_err(store::Error::io("read", source))?);
        let mut file = self.temporary()?;
        io::copy(&mut reader, &mut file).map_err(store::Error::io("write", target))?;
        let (found, size) = reader.finish();
        if found != *digest {
            return Ok(None);
        }
        persist(file, target)?;
        Ok(Some(size))
    }

    /// Packs the entries that the folder lacks, several at once.
    fn entries(&mut self, used: &[PathBuf]) -> Result<BTreeMap<String, Packed>, Error> {
        let names: Vec<String> = used.iter().filter_map(|path| wanted(path, self.store)).collect();
        let (done, failure) = (Mutex::new(BTreeMap::new()), Mutex::new(None));
        let next = std::sync::atomic::AtomicUsize::new(0);
        let work = || {
            while let Some(name) = names.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed)) {
                match self.entry(name) {
                    Ok(packed) => {
                        lock(&done).insert(name.clone(), packed);
                    }
                    Err(error) => {
                        lock(&failure).get_or_insert(error);
                    }
                }
            }
        };
        thread::scope(|scope| {
            for _ in 0..thread::available_parallelism().map_or(1, |n| n.get().min(4)) {
                scope.spawn(work);
            }
        });
        if let Some(error) = failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
            return Err(error);
        }
        let done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
        self.written += done.values().filter(|(_, new)| *new).map(|(packed, _)| packed.size).sum::<u64>();
        Ok(done.into_iter().map(|(name, (packed, _))| (name, packed)).collect())
    }

    fn entry(&self, name: &str) -> Result<(Packed, bool), Error> {
        if let Some(packed) = self.known.entries.get(name)
            && fs::metadata(self.place.blob(&packed.blob)).is_ok_and(|found| found.len() == packed.size)
        {
            return Ok((packed.clone(), false));
        }
        let source = self.store.root().join(name);
        let writer = DigestWriter::new(BufWriter::with_capacity(128 * 1024, self.temporary()?));
        let (buffered, digest, size) =
            archive::pack(&source, layout(name), writer).map_err(store::Error::io("pack", &source))?.finish();
        let target = self.place.blob(&digest);
        let file =
            buffered.into_inner().map_err(|error| store::Error::io("write", &target)(error.into_error()))?;
        persist(file, &target)?;
        Ok((Packed { blob: digest, size }, true))
    }

    fn write(&mut self, target: &Path, bytes: &[u8]) -> Result<(), Error> {
        let mut file = self.temporary()?;
        file.write_all(bytes).map_err(store::Error::io("write", target))?;
        persist(file, target)
    }

    fn temporary(&self) -> Result<tempfile::NamedTempFile, Error> {
        let folder = self.place.path().join("blobs");
        Ok(tempfile::NamedTempFile::new_in(&folder).map_err(store::Error::io("create a file in", &folder))?)
    }
}

/// Not synced: whatever a crash leaves damaged is found out by its digest.
fn persist(file: tempfile::NamedTempFile, target: &Path) -> Result<(), Error> {
    file.persist(target).map_err(|error| store::Error::io("create", target)(error.error))?;
    Ok(())
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Results of steps, and tools as they were unpacked: nothing else needs much time to be made from blobs.
fn wanted(path: &Path, store: &Store) -> Option<String> {
    let name = path.to_str()?;
    let is_tool = name.starts_with("trees/toolchain-") && store.root().join(name).join("files").is_dir();
    let is_step = name.starts_with("steps/") && store.root().join(name).is_dir();
    (is_tool || is_step).then(|| name.to_owned())
}

/// The documents that go along.
fn records(used: &[PathBuf], store: &Store) -> BTreeMap<String, String> {
    let name = |path: &PathBuf| path.strip_prefix("metadata").ok()?.to_str().map(str::to_owned);
    let names = used.iter().filter_map(name);
    names
        .filter(|name| is_offered(name))
        .filter_map(|name| {
            Some((name.clone(), fs::read_to_string(store.root().join("metadata").join(&name)).ok()?))
        })
        .collect()
}

fn drop_others(place: &Place, keep: &BTreeSet<Digest>) -> Result<(), Error> {
    for folder in [place.path().join("blobs/sha256"), place.path().join("blobs")] {
        for entry in fs::read_dir(&folder).map_err(store::Error::io("read", &folder))?.flatten() {
            let name = entry.file_name();
            let kept =
                name.to_str().and_then(|hex| Digest::from_hex(hex).ok()).is_some_and(|d| keep.contains(&d));
            if !kept && entry.file_type().is_ok_and(|kind| kind.is_file()) {
                fs::remove_file(entry.path()).map_err(store::Error::io("remove", &entry.path()))?;
            }
        }
    }
    Ok(())
}
