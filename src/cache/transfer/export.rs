//! Writing a cache: what this process used, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use super::{Damaged, FORMAT, Index, MARK, Mark, Packed, Place, archive, is_offered, layout, remote};
use crate::cache::Error;
use crate::lanes::{in_lanes, processors};
use crate::oci::registry::Registry;
use crate::oci::{Digest, DigestReader, DigestWriter, to_canonical_json};
use crate::plan::Plan;
use crate::store::{self, Store};
use crate::ui::Reporter;

/// The most entries that are packed at a time.
const MOST_LANES: NonZeroUsize = NonZeroUsize::new(4).unwrap();

/// What an export did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// Bytes that the cache has now.
    pub size: u64,
    /// Bytes that were written or sent.
    pub written: u64,
}

/// Makes the folder, before anything is built. A folder that holds something else is refused. A registry says whether it
/// takes a cache when one is pushed.
pub fn prepare(place: &Place) -> Result<(), Error> {
    let Place::Folder(folder) = place else { return Ok(()) };
    let blobs = folder.join("blobs/sha256");
    fs::create_dir_all(folder).map_err(store::Error::io("create", folder))?;
    let names = fs::read_dir(folder).map_err(store::Error::io("read", folder))?;
    let is_foreign = |entry: fs::DirEntry| entry.file_name() != "lock" && entry.file_name() != "blobs";
    if !folder.join(MARK).exists() && names.flatten().any(is_foreign) {
        return Err(Error::Foreign { path: folder.clone() });
    }
    fs::create_dir_all(&blobs).map_err(store::Error::io("create", &blobs))?;
    Ok(())
}

/// Writes what this process used, and the packages of `plans` as far as they are at hand; removes the rest.
pub fn export(
    place: &Place,
    plans: &[Plan],
    damaged: &Damaged,
    registry: &Registry,
    (store, reporter): (&Store, &Reporter),
) -> Result<Exported, Error> {
    match place {
        Place::Folder(folder) => to_folder(folder, plans, damaged, (store, reporter)),
        Place::Registry(reference) => remote::export(reference, plans, damaged, registry, (store, reporter)),
    }
}

fn to_folder(
    folder: &Path,
    plans: &[Plan],
    damaged: &Damaged,
    (store, reporter): (&Store, &Reporter),
) -> Result<Exported, Error> {
    let lock = folder.join("lock");
    let file = File::create(&lock).map_err(store::Error::io("create", &lock))?;
    file.lock().map_err(store::Error::io("lock", &lock))?;
    let known = super::import::read_index(folder).unwrap_or_default();
    let mut work = Work { folder, store, known, damaged, is_whole: true, written: 0 };
    let index = work.index(plans, reporter)?;
    let bytes = to_canonical_json(&index).map_err(|error| io::Error::other(error.to_string()));
    let bytes = bytes.map_err(store::Error::io("write", folder))?;
    let digest = Digest::of(&bytes);
    work.write(&blob_in(folder, &digest), &bytes)?;
    let mark = Mark { format: FORMAT, index: digest };
    let mark = to_canonical_json(&mark).unwrap_or_default();
    work.write(&folder.join(MARK), &mark)?;
    let keep: BTreeSet<Digest> = (index.blobs.keys())
        .chain(index.entries.values().map(|packed| &packed.blob))
        .chain([&digest])
        .copied()
        .collect();
    drop_others(folder, &keep)?;
    let size = index.blobs.values().chain(index.entries.values().map(|packed| &packed.size)).sum();
    Ok(Exported { size, written: work.written })
}

/// Where a part is in a folder.
pub(super) fn blob_in(folder: &Path, digest: &Digest) -> PathBuf {
    folder.join("blobs/sha256").join(digest.hex())
}

/// An export under way.
pub(super) struct Work<'a> {
    pub(super) folder: &'a Path,
    pub(super) store: &'a Store,
    /// What was exported before.
    pub(super) known: Index,
    damaged: &'a Damaged,
    /// Whether the folder is the cache itself. Otherwise it takes what is on its way to a registry and not in the store.
    is_whole: bool,
    pub(super) written: u64,
}

impl<'a> Work<'a> {
    /// Prepares in `folder` what a registry, which knows `known`, lacks.
    pub(super) fn staging(folder: &'a Path, store: &'a Store, known: Index, damaged: &'a Damaged) -> Self {
        Self { folder, store, known, damaged, is_whole: false, written: 0 }
    }

    /// Brings everything into the folder, or finds it elsewhere, and lists it.
    pub(super) fn index(&mut self, plans: &[Plan], reporter: &Reporter) -> Result<Index, Error> {
        let used = self.store.used();
        let (blobs, mut entries) = (self.blobs(&used, plans)?, self.entries(&used)?);
        entries.extend(self.caches(&used, plans, reporter));
        Ok(Index { blobs, entries, records: records(&used, self.store) })
    }

    /// Whether a known part is where it should be. A registry is asked when the parts are sent.
    pub(super) fn has(&self, name: &str, digest: &Digest, size: u64) -> bool {
        if self.damaged.has(name) {
            return false;
        }
        !self.is_whole || fs::metadata(blob_in(self.folder, digest)).is_ok_and(|found| found.len() == size)
    }

    /// Copies the blobs that the folder lacks.
    fn blobs(&mut self, used: &[PathBuf], plans: &[Plan]) -> Result<BTreeMap<Digest, u64>, Error> {
        let hexes = used.iter().filter_map(|path| path.strip_prefix("blobs/sha256").ok()?.to_str());
        let mut digests: BTreeSet<Digest> = hexes.filter_map(|hex| Digest::from_hex(hex).ok()).collect();
        // Packages of a root that no step needed today are needed when one runs again.
        let roots = plans.iter().flat_map(|plan| [&plan.build_root, &plan.runtime_root]);
        digests.extend(roots.flat_map(|root| root.packages.iter().map(|package| package.sha256)));
        let mut blobs = BTreeMap::new();
        for digest in digests {
            let known = self.known.blobs.get(&digest).copied();
            if let Some(size) = known.filter(|size| self.has(&digest.to_string(), &digest, *size)) {
                blobs.insert(digest, size);
            } else if let Some(source) = self.store.blob(&digest)
                && let Some(size) = self.copy(&source, &digest)?
            {
                blobs.insert(digest, size);
                self.written += size;
            }
        }
        Ok(blobs)
    }

    /// Copies a blob and returns its size; none when it is not what its name says. What goes to a registry goes there from
    /// the store, and is checked by the registry.
    fn copy(&self, source: &Path, digest: &Digest) -> Result<Option<u64>, Error> {
        if !self.is_whole {
            let found = fs::metadata(source).map_err(store::Error::io("read", source))?;
            return Ok(Some(found.len()));
        }
        let target = &blob_in(self.folder, digest);
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
        let packed = in_lanes(processors(MOST_LANES), &names, |name| self.entry(name))?;
        self.written += packed.iter().filter(|(_, new)| *new).map(|(packed, _)| packed.size).sum::<u64>();
        Ok(names.into_iter().zip(packed).map(|(name, (packed, _))| (name, packed)).collect())
    }

    fn entry(&self, name: &str) -> Result<(Packed, bool), Error> {
        if let Some(packed) = self.known.entries.get(name)
            && self.has(name, &packed.blob, packed.size)
        {
            return Ok((packed.clone(), false));
        }
        Ok((self.pack(name)?, true))
    }

    /// Packs the entry `name` into the folder.
    pub(super) fn pack(&self, name: &str) -> Result<Packed, Error> {
        let source = self.store.root().join(name);
        let writer = DigestWriter::new(BufWriter::with_capacity(128 * 1024, self.temporary()?));
        let (buffered, digest, size) =
            archive::pack(&source, layout(name), writer).map_err(store::Error::io("pack", &source))?.finish();
        let target = blob_in(self.folder, &digest);
        let file =
            buffered.into_inner().map_err(|error| store::Error::io("write", &target)(error.into_error()))?;
        persist(file, &target)?;
        Ok(Packed { blob: digest, size })
    }

    fn write(&mut self, target: &Path, bytes: &[u8]) -> Result<(), Error> {
        let mut file = self.temporary()?;
        file.write_all(bytes).map_err(store::Error::io("write", target))?;
        persist(file, target)
    }

    fn temporary(&self) -> Result<tempfile::NamedTempFile, Error> {
        let folder = self.folder.join("blobs");
        Ok(tempfile::NamedTempFile::new_in(&folder).map_err(store::Error::io("create a file in", &folder))?)
    }
}

/// Not synced: whatever a crash leaves damaged is found out by its digest.
fn persist(file: tempfile::NamedTempFile, target: &Path) -> Result<(), Error> {
    file.persist(target).map_err(|error| store::Error::io("create", target)(error.error))?;
    Ok(())
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

fn drop_others(folder: &Path, keep: &BTreeSet<Digest>) -> Result<(), Error> {
    for folder in [folder.join("blobs/sha256"), folder.join("blobs")] {
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
