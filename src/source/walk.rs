//! The walk over the folder: rules applied, modes normalised, nothing followed.
//!
//! Bounded in depth and number. Folders without any file that takes part are left out, because a fresh clone
//! would not have them; sockets, pipes and devices are passed over. Folders are read by several threads, since most of
//! the time passes in asking for the state of files; what is found does not depend on them.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs::{self, DirEntry, FileType, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use ignore::gitignore::Gitignore;

use super::rules::{Rules, Verdict, has_a_say};
use super::{Error, Options};
use crate::observe::{Sight, State, listing};
use crate::store::tree::is_clean;
use crate::store::{Content, Entry, Kind, Tree};
use crate::threads::joined;

/// How many folders may stand within each other.
const MAX_DEPTH: usize = 100;

/// How many files and folders may be looked at.
const MAX_ENTRIES: usize = 500_000;

/// More threads than these wait for each other.
const MAX_THREADS: usize = 8;

/// Files with settings of an app for one machine, by convention; they often hold secrets.
const SETTINGS: [&str; 2] = [".env", ".env.production"];

/// How many of them are remembered.
const MAX_SETTINGS: usize = 100;

/// What a walk found.
#[derive(Default)]
pub(super) struct Walked {
    pub(super) tree: Tree,
    /// Files with settings that are left out.
    pub(super) settings: Vec<String>,
    /// As [`super::Seen::inside`].
    pub(super) seen: Vec<(String, Sight)>,
}

/// Reads the tree below `root`, which is absolute.
pub(super) fn walk(root: &Path, options: &Options) -> Result<Walked, Error> {
    let rules = Rules::read(root, options)?;
    let first = Folder { path: root.to_owned(), ..Folder::default() };
    let walk = Walk { rules, state: Mutex::new(Progress::of(first)), more: Condvar::new() };
    let threads = thread::available_parallelism().map_or(1, usize::from).min(MAX_THREADS);
    let mut parts: Vec<Part> = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(|| walk.work())).collect();
        workers.into_iter().flat_map(joined).collect()
    });
    if let Some((_, error)) = walk.state.into_inner().unwrap_or_else(PoisonError::into_inner).failure {
        return Err(error);
    }
    // Nearly sorted by then, so that hardly anything is left to compare below.
    parts.sort_unstable_by(|one, other| one.folder.cmp(&other.folder));
    let mut walked = Walked::default();
    let mut entries = Vec::with_capacity(parts.iter().map(|part| part.entries.len()).sum());
    walked.seen.reserve(parts.iter().map(|part| part.sights.len()).sum());
    // Folders are known here, so that their names need not be cut out of every path again.
    let mut folders = BTreeSet::new();
    for part in parts {
        if !part.entries.is_empty() {
            with_parents(&part.folder, &mut folders);
        }
        entries.extend(part.entries);
        walked.settings.extend(part.settings);
        walked.seen.extend(part.sights);
    }
    walked.seen.sort_by(|(one, _), (other, _)| one.cmp(other));
    walked.settings.sort();
    walked.settings.truncate(MAX_SETTINGS);
    entries.extend(folders.into_iter().map(|folder| (folder, Entry::directory())));
    walked.tree = entries.into_iter().collect();
    Ok(walked)
}

/// Adds `folder` and those that it is in, but for the root.
fn with_parents(folder: &str, folders: &mut BTreeSet<String>) {
    let mut rest = Some(folder).filter(|folder| !folder.is_empty());
    while let Some(folder) = rest.filter(|folder| !folders.contains(*folder)) {
        folders.insert(folder.to_owned());
        rest = folder.rsplit_once('/').map(|(parent, _)| parent);
    }
}

/// A folder to be read.
#[derive(Clone, Default)]
struct Folder {
    path: PathBuf,
    relative: String,
    verdict: Verdict,
    depth: usize,
    /// The `.gitignore` files of the folders above, outermost first.
    nested: Arc<Vec<Arc<Gitignore>>>,
}

/// What one folder holds, sorted by name.
#[derive(Default)]
struct Part {
    folder: String,
    entries: Vec<(String, Entry)>,
    settings: Vec<String>,
    sights: Vec<(String, Sight)>,
}

/// What the threads share.
struct Progress {
    waiting: Vec<Folder>,
    /// How many threads read a folder now: each may find more.
    busy: usize,
    /// Entries looked at, by the entry of the root they are below.
    counts: BTreeMap<String, usize>,
    count: usize,
    /// The failure with the smallest path so far.
    failure: Option<(String, Error)>,
}

impl Progress {
    fn of(first: Folder) -> Self {
        Self { waiting: vec![first], busy: 0, counts: BTreeMap::new(), count: 0, failure: None }
    }
}

struct Walk {
    rules: Rules,
    state: Mutex<Progress>,
    more: Condvar,
}

impl Walk {
    /// Reads folders until there are none left, or until one cannot be read.
    fn work(&self) -> Vec<Part> {
        let mut parts = Vec::new();
        while let Some(folder) = self.next() {
            let mut part = Part { folder: folder.relative.clone(), ..Part::default() };
            let found = self.folder(&folder, &mut part);
            parts.push(part);
            let mut state = self.lock();
            state.busy -= 1;
            match found {
                Ok(folders) => state.waiting.extend(folders),
                Err(error) if state.failure.as_ref().is_none_or(|(path, _)| folder.relative < *path) => {
                    state.failure = Some((folder.relative, error));
                }
                Err(_) => {}
            }
            drop(state);
            self.more.notify_all();
        }
        parts
    }

    fn next(&self) -> Option<Folder> {
        let mut state = self.lock();
        loop {
            if state.failure.is_some() {
                return None;
            }
            if let Some(folder) = state.waiting.pop() {
                state.busy += 1;
                return Some(folder);
            }
            if state.busy == 0 {
                return None;
            }
            state = self.more.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads one folder; the folders in it that are to be read.
    fn folder(&self, folder: &Folder, part: &mut Part) -> Result<Vec<Folder>, Error> {
        let Folder { path, relative, depth, .. } = folder;
        if *depth > MAX_DEPTH {
            return Err(Error::TooDeep { path: relative.clone(), limit: MAX_DEPTH });
        }
        let Listing { state, names, entries } = list(path).map_err(Error::io("read", path))?;
        self.count(relative, &names)?;
        part.sights.push((relative.clone(), Sight::Folder(state, listing(&names))));
        let mut folders = Vec::new();
        for ((name, kind), entry) in names.iter().zip(&entries) {
            folders.extend(self.entry(entry, name, *kind, folder, part)?);
        }
        Ok(folders)
    }

    /// Takes an entry in or leaves it out; a folder that is to be read is returned.
    fn entry(
        &self,
        entry: &DirEntry,
        name: &OsStr,
        kind: FileType,
        above: &Folder,
        part: &mut Part,
    ) -> Result<Option<Folder>, Error> {
        let path = entry.path();
        let text = name.to_string_lossy();
        let relative = below(&above.relative, &text);
        let verdict = self.rules.judge(above.verdict, &path, &relative, kind.is_dir(), &above.nested);
        if kind.is_dir() {
            if !self.rules.enters(verdict, &relative) {
                return Ok(None);
            }
            let mut nested = above.nested.clone();
            if let Some(rules) = self.rules.nested(&path, &relative)? {
                Arc::make_mut(&mut nested).push(Arc::new(rules));
            }
            return Ok(Some(Folder { path, relative, verdict, depth: above.depth + 1, nested }));
        }
        if !verdict.is_in() {
            if has_a_say(&text) {
                part.sights.push((relative, Sight::of_machine(&path)));
            } else if kind.is_file() && SETTINGS.contains(&&*text) {
                part.settings.push(relative);
            }
            return Ok(None);
        }
        if name.to_str().is_none() {
            return Err(Error::NotText { path: relative });
        }
        let metadata = entry.metadata().map_err(Error::io("read", &path))?;
        if let Some((found, seen)) = read_entry(path, &relative, &metadata)? {
            part.sights.push((relative.clone(), seen));
            part.entries.push((relative, found));
        }
        Ok(None)
    }

    fn count(&self, relative: &str, names: &[(OsString, FileType)]) -> Result<(), Error> {
        let mut state = self.lock();
        match relative.split('/').next() {
            Some(top) if !top.is_empty() => {
                *state.counts.entry(top.to_owned()).or_default() += names.len();
            }
            _ => {
                let names = names.iter().map(|(name, _)| name.to_string_lossy().into_owned());
                state.counts.extend(names.map(|name| (name, 1)));
            }
        }
        state.count += names.len();
        if state.count > MAX_ENTRIES {
            let largest = state.counts.iter().max_by_key(|(_, count)| **count);
            let largest = largest.map(|(name, _)| name.clone()).unwrap_or_default();
            return Err(Error::TooMany { limit: MAX_ENTRIES, largest });
        }
        Ok(())
    }
}

fn below(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { [folder, name].join("/") }
}

/// What a folder lists, sorted by name.
struct Listing {
    /// Looked at before the names are read.
    state: State,
    names: Vec<(OsString, FileType)>,
    entries: Vec<DirEntry>,
}

fn list(path: &Path) -> io::Result<Listing> {
    let state = State::of(&fs::symlink_metadata(path)?);
    let entries = fs::read_dir(path)?.map(|entry| {
        let entry = entry?;
        let kind = entry.file_type()?;
        Ok(((entry.file_name(), kind), entry))
    });
    let mut entries = entries.collect::<io::Result<Vec<_>>>()?;
    entries.sort_unstable_by(|((one, _), _), ((other, _), _)| one.cmp(other));
    let (names, entries) = entries.into_iter().unzip();
    Ok(Listing { state, names, entries })
}

/// None for a pipe, a socket or a device. What the file system says of the entry counts, whatever the folder listed.
fn read_entry(path: PathBuf, relative: &str, metadata: &Metadata) -> Result<Option<(Entry, Sight)>, Error> {
    if metadata.is_symlink() {
        let target = fs::read_link(&path).map_err(Error::io("read", &path))?;
        let target = target
            .into_os_string()
            .into_string()
            .map_err(|_| Error::NotText { path: relative.to_owned() })?;
        if !stays_inside(relative, &target) {
            return Err(Error::LinkOutside { path: relative.to_owned(), target });
        }
        let seen = Sight::Link(State::of(metadata), target.clone().into_bytes());
        return Ok(Some((Entry::symlink(target), seen)));
    }
    if !metadata.is_file() {
        return Ok(None);
    }
    let mode = if metadata.mode() & 0o100 == 0 { 0o644 } else { 0o755 };
    let kind = Kind::File { size: metadata.len(), content: Content::Path(path) };
    Ok(Some((Entry::new(kind, mode), Sight::of_file(metadata))))
}

/// Whether a link at `path` with the text `target` leads to a place in the tree, as far as its text says.
fn stays_inside(path: &str, target: &str) -> bool {
    if target.is_empty() || target.starts_with('/') {
        return false;
    }
    let mut depth = path.matches('/').count();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." if depth == 0 => return false,
            ".." => depth -= 1,
            _ => depth += 1,
        }
    }
    debug_assert!(is_clean(path));
    true
}

#[cfg(test)]
mod tests {
    use super::stays_inside;

    #[test]
    fn links_are_judged_by_their_text() {
        for (path, target, inside) in [
            ("a", "b", true),
            ("a", "./b/", true),
            ("a", "..", false),
            ("a", "b/../../c", false),
            ("d/a", "../b", true),
            ("d/a", "../../b", false),
            ("a", "/etc/passwd", false),
            ("a", "", false),
        ] {
            assert_eq!(stays_inside(path, target), inside, "{path} -> {target}");
        }
    }
}
