//! The walk over the folder: rules applied, modes normalised, nothing followed.
//!
//! Bounded in depth and number. Folders without any file that takes part are left out, because a fresh clone
//! would not have them; sockets, pipes and devices are passed over.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, FileType};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use ignore::gitignore::Gitignore;

use super::rules::{Rules, Verdict, has_a_say};
use super::{Error, Options};
use crate::observe::{Sight, State, listing};
use crate::store::tree::is_clean;
use crate::store::{Content, Entry, Kind, Tree};

/// How many folders may stand within each other.
const MAX_DEPTH: usize = 100;

/// How many files and folders may be looked at.
const MAX_ENTRIES: usize = 500_000;

/// Files with settings of an app for one machine, by convention; they often hold secrets.
const SETTINGS: [&str; 2] = [".env", ".env.production"];

/// How many of them are remembered.
const MAX_SETTINGS: usize = 100;

/// What a walk found.
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
    let mut walk = Walk {
        rules,
        tree: Tree::new(),
        nested: Vec::new(),
        seen: BTreeMap::new(),
        count: 0,
        settings: Vec::new(),
        sights: Vec::new(),
    };
    walk.folder(root, "", Verdict::default(), 0)?;
    walk.tree.add_parents();
    walk.settings.sort();
    Ok(Walked { tree: walk.tree, settings: walk.settings, seen: walk.sights })
}

struct Walk {
    rules: Rules,
    tree: Tree,
    nested: Vec<Gitignore>,
    /// Entries looked at, by the entry of the root they are below.
    seen: BTreeMap<String, usize>,
    count: usize,
    settings: Vec<String>,
    sights: Vec<(String, Sight)>,
}

impl Walk {
    fn folder(&mut self, path: &Path, relative: &str, verdict: Verdict, depth: usize) -> Result<(), Error> {
        if depth > MAX_DEPTH {
            return Err(Error::TooDeep { path: relative.to_owned(), limit: MAX_DEPTH });
        }
        let read = Error::io("read", path);
        let (state, entries) = list(path).map_err(read)?;
        let seen = Sight::Folder(state, listing(&entries));
        self.sights.push((relative.to_owned(), seen));
        for (name, kind) in entries {
            self.entry(&path.join(name), kind, relative, verdict, depth)?;
        }
        Ok(())
    }

    fn entry(
        &mut self,
        path: &Path,
        kind: FileType,
        above: &str,
        verdict: Verdict,
        depth: usize,
    ) -> Result<(), Error> {
        let name = path.file_name().unwrap_or_default();
        let text = name.to_string_lossy();
        let relative = if above.is_empty() { text.to_string() } else { format!("{above}/{text}") };
        self.count(&relative)?;
        let verdict = self.rules.judge(verdict, path, &relative, kind.is_dir(), &self.nested);
        if kind.is_dir() {
            if !self.rules.enters(verdict, &relative) {
                return Ok(());
            }
            let nested = self.rules.nested(path, &relative)?;
            let outer = self.nested.len();
            self.nested.extend(nested);
            let result = self.folder(path, &relative, verdict, depth + 1);
            self.nested.truncate(outer);
            return result;
        }
        if !verdict.is_in() {
            if has_a_say(&text) {
                self.sights.push((relative, Sight::of_machine(path)));
            } else if kind.is_file() && SETTINGS.contains(&&*text) && self.settings.len() < MAX_SETTINGS {
                self.settings.push(relative);
            }
            return Ok(());
        }
        if name.to_str().is_none() {
            return Err(Error::NotText { path: relative });
        }
        if let Some((found, seen)) = read_entry(path, &relative, kind)? {
            self.sights.push((relative.clone(), seen));
            self.tree.insert(relative, found);
        }
        Ok(())
    }

    fn count(&mut self, relative: &str) -> Result<(), Error> {
        let top = relative.split('/').next().unwrap_or(relative);
        if let Some(seen) = self.seen.get_mut(top) {
            *seen += 1;
        } else {
            self.seen.insert(top.to_owned(), 1);
        }
        self.count += 1;
        if self.count > MAX_ENTRIES {
            let largest = self.seen.iter().max_by_key(|(_, count)| **count);
            let largest = largest.map(|(name, _)| name.clone()).unwrap_or_default();
            return Err(Error::TooMany { limit: MAX_ENTRIES, largest });
        }
        Ok(())
    }
}

/// The state of a folder, looked at before its names are read, and the names.
fn list(path: &Path) -> io::Result<(State, Vec<(OsString, FileType)>)> {
    let state = State::of(&fs::symlink_metadata(path)?);
    let entries = fs::read_dir(path)?.map(|entry| {
        let entry = entry?;
        Ok((entry.file_name(), entry.file_type()?))
    });
    Ok((state, entries.collect::<io::Result<_>>()?))
}

fn read_entry(path: &Path, relative: &str, kind: FileType) -> Result<Option<(Entry, Sight)>, Error> {
    let metadata = fs::symlink_metadata(path).map_err(Error::io("read", path))?;
    if kind.is_symlink() {
        let target = fs::read_link(path).map_err(Error::io("read", path))?;
        let target = target
            .into_os_string()
            .into_string()
            .map_err(|_| Error::NotText { path: relative.to_owned() })?;
        if !stays_inside(relative, &target) {
            return Err(Error::LinkOutside { path: relative.to_owned(), target });
        }
        let seen = Sight::Link(State::of(&metadata), target.clone().into_bytes());
        return Ok(Some((Entry::symlink(target), seen)));
    }
    if !kind.is_file() {
        return Ok(None);
    }
    let mode = if metadata.mode() & 0o100 == 0 { 0o644 } else { 0o755 };
    let kind = Kind::File { size: metadata.len(), content: Content::Path(path.to_owned()) };
    Ok(Some((Entry::new(kind, mode), Sight::of_file(&metadata))))
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
