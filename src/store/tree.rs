//! A tree of files as a value: metadata in memory, content by reference.
//!
//! Everything that becomes part of a root filesystem or a layer passes through this type: unpacked packages,
//! the source, the results of steps, generated files. Merging and splitting copy no file content, and owners
//! are recorded here, because an ordinary user cannot restore them on disk.
//!
//! Invariants: paths are relative, have no `.`, `..`, empty component or trailing slash, and are UTF-8; every
//! entry's parents exist as directories after [`Tree::add_parents`].

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Error;

/// What stands at a path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Kind {
    /// A directory. `opaque` hides what lower trees hold below it (only in the result of a step).
    Directory {
        /// Whether lower content is hidden.
        #[serde(default)]
        opaque: bool,
    },
    /// A regular file of `size` bytes.
    File {
        /// Length in bytes.
        size: u64,
        /// Where the bytes are.
        content: Content,
    },
    /// A symbolic link with its text, unresolved.
    Symlink {
        /// The text of the link.
        target: String,
    },
    /// The entry of this name in lower trees is removed (only in the result of a step).
    Whiteout,
}

/// Where the bytes of a file are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Content {
    /// In a file on disk, which nobody changes while the tree is used.
    Path(PathBuf),
    /// In memory: small generated files.
    Bytes(Vec<u8>),
}

impl Content {
    /// All bytes. The caller has looked at the size.
    ///
    /// # Errors
    /// When the file on disk cannot be read.
    pub fn read(&self) -> Result<Cow<'_, [u8]>, Error> {
        match self {
            Self::Bytes(bytes) => Ok(Cow::Borrowed(bytes)),
            Self::Path(path) => Ok(Cow::Owned(fs::read(path).map_err(Error::io("read", path))?)),
        }
    }
}

/// One entry with its metadata.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// What it is.
    #[serde(flatten)]
    pub kind: Kind,
    /// Permission bits, `0o7777` at most.
    pub mode: u32,
    /// Numeric owner in the image.
    pub uid: u32,
    /// Numeric group in the image.
    pub gid: u32,
    /// Modification time in seconds since 1970.
    pub mtime: i64,
    /// The package that brought it; none for generated files, the source and step results.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package: Option<String>,
}

impl Entry {
    /// A directory of root with mode 0755.
    pub fn directory() -> Self {
        Self::new(Kind::Directory { opaque: false }, 0o755)
    }

    /// A generated file of root with mode 0644.
    pub fn bytes(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        Self::new(Kind::File { size: bytes.len() as u64, content: Content::Bytes(bytes) }, 0o644)
    }

    /// A symbolic link.
    pub fn symlink(target: impl Into<String>) -> Self {
        Self::new(Kind::Symlink { target: target.into() }, 0o777)
    }

    /// An entry of root with time 0 and no package.
    pub fn new(kind: Kind, mode: u32) -> Self {
        Self { kind, mode, uid: 0, gid: 0, mtime: 0, package: None }
    }

    /// The same entry with other permission bits.
    #[must_use]
    pub fn with_mode(mut self, mode: u32) -> Self {
        self.mode = mode;
        self
    }
}

/// Entries by path, in the byte order of their paths.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tree {
    entries: BTreeMap<String, Entry>,
}

impl Tree {
    /// An empty tree.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts `entry` at `path`, replacing what was there.
    ///
    /// # Panics
    /// In debug builds, when the path breaks the invariants; readers of foreign data check it before.
    pub fn insert(&mut self, path: impl Into<String>, entry: Entry) {
        let path = path.into();
        debug_assert!(is_clean(&path), "{path:?} is not a clean relative path");
        self.entries.insert(path, entry);
    }

    /// The entry at `path`.
    pub fn get(&self, path: &str) -> Option<&Entry> {
        self.entries.get(path)
    }

    /// The entry at `path`, to change it.
    pub fn get_mut(&mut self, path: &str) -> Option<&mut Entry> {
        self.entries.get_mut(path)
    }

    /// Takes the entry at `path` out.
    pub fn remove(&mut self, path: &str) -> Option<Entry> {
        self.entries.remove(path)
    }

    /// Keeps the entries for which `keep` is true.
    pub fn retain(&mut self, mut keep: impl FnMut(&str, &mut Entry) -> bool) {
        self.entries.retain(|path, entry| keep(path, entry));
    }

    /// All entries, sorted by the bytes of their paths.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.entries.iter().map(|(path, entry)| (path.as_str(), entry))
    }

    /// All entries, to change them.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&str, &mut Entry)> {
        self.entries.iter_mut().map(|(path, entry)| (path.as_str(), entry))
    }

    /// The number of entries.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Lays `upper` over this tree, as an overlay mount would: whiteouts remove, opaque directories hide,
    /// a directory over a directory merges, any other pair replaces the whole subtree.
    pub fn apply(&mut self, upper: Self) {
        for (path, entry) in upper.entries {
            let merges = match entry.kind {
                Kind::Directory { opaque } => {
                    !opaque
                        && self
                            .entries
                            .get(&path)
                            .is_none_or(|below| matches!(below.kind, Kind::Directory { .. }))
                }
                _ => false,
            };
            if !merges {
                self.remove_subtree(&path);
            }
            match entry.kind {
                Kind::Whiteout => {}
                Kind::Directory { .. } => {
                    self.entries.insert(path, Entry { kind: Kind::Directory { opaque: false }, ..entry });
                }
                _ => {
                    self.entries.insert(path, entry);
                }
            }
        }
    }

    /// Removes `path` and everything below it.
    pub fn remove_subtree(&mut self, path: &str) {
        self.entries.remove(path);
        let below: Vec<String> = self.below(path).map(|(path, _)| path.to_owned()).collect();
        for path in below {
            self.entries.remove(&path);
        }
    }

    /// The entries strictly below `path`, sorted.
    pub fn below<'a>(&'a self, path: &str) -> impl Iterator<Item = (&'a str, &'a Entry)> + use<'a> {
        self.starting_with(&format!("{path}/"))
    }

    /// The entries whose paths start with `prefix`, sorted.
    pub fn starting_with<'a>(&'a self, prefix: &str) -> impl Iterator<Item = (&'a str, &'a Entry)> + use<'a> {
        let prefix = prefix.to_owned();
        self.entries
            .range(prefix.clone()..)
            .take_while(move |(path, _)| path.starts_with(&prefix))
            .map(|(path, entry)| (path.as_str(), entry))
    }

    /// The first part of every path below `folder`, which ends in a slash or is empty: what one finds there. However much
    /// a folder holds, it is passed over in one step.
    pub fn names(&self, folder: &str) -> BTreeSet<&str> {
        let (mut names, mut from) = (BTreeSet::new(), Some(folder.to_owned()));
        while let Some(start) = from.take() {
            for path in self.entries.range(start..).map(|(path, _)| path.as_str()) {
                let Some(rest) = path.strip_prefix(folder) else { break };
                let (name, inside) = rest.split_once('/').map_or((rest, false), |(name, _)| (name, true));
                names.insert(name);
                if inside {
                    // `0` comes after the slash.
                    from = Some(format!("{folder}{name}0"));
                    break;
                }
            }
        }
        names.remove("");
        names
    }

    /// Adds the missing parent directories of every entry as [`Entry::directory`].
    pub fn add_parents(&mut self) {
        let mut missing = Vec::new();
        let mut known = "";
        for path in self.entries.keys() {
            let mut rest = path.as_str();
            while let Some((parent, _)) = rest.rsplit_once('/') {
                // Entries of one folder mostly follow each other.
                if parent == known {
                    break;
                }
                if !self.entries.contains_key(parent) {
                    missing.push(parent.to_owned());
                }
                rest = parent;
            }
            known = path.rsplit_once('/').map_or("", |(parent, _)| parent);
        }
        for path in missing {
            self.entries.entry(path).or_insert_with(Entry::directory);
        }
    }
}

impl FromIterator<(String, Entry)> for Tree {
    fn from_iter<I: IntoIterator<Item = (String, Entry)>>(entries: I) -> Self {
        Self { entries: entries.into_iter().collect() }
    }
}

/// Whether `path` is relative and has no empty, `.` or `..` component.
pub fn is_clean(path: &str) -> bool {
    !path.is_empty() && path.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

#[cfg(test)]
mod tests {
    use super::{Entry, Kind, Tree, is_clean};

    fn tree(paths: &[(&str, Entry)]) -> Tree {
        paths.iter().map(|(path, entry)| ((*path).to_owned(), entry.clone())).collect()
    }

    fn paths(tree: &Tree) -> Vec<&str> {
        tree.iter().map(|(path, _)| path).collect()
    }

    #[test]
    fn a_whiteout_removes_the_subtree_and_leaves_its_neighbours() {
        let file = Entry::bytes("x");
        let mut below = tree(&[("a", Entry::directory()), ("a/b", file.clone()), ("a.txt", file)]);
        below.apply(tree(&[("a", Entry::new(Kind::Whiteout, 0))]));
        assert_eq!(paths(&below), ["a.txt"]);
    }

    #[test]
    fn an_opaque_directory_hides_what_was_below() {
        let file = Entry::bytes("x");
        let mut below = tree(&[("a", Entry::directory()), ("a/old", file.clone())]);
        let opaque = Entry::new(Kind::Directory { opaque: true }, 0o755);
        below.apply(tree(&[("a", opaque), ("a/new", file)]));
        assert_eq!(paths(&below), ["a", "a/new"]);
    }

    #[test]
    fn a_directory_merges_with_a_directory_and_replaces_a_link() {
        let file = Entry::bytes("x");
        let mut below =
            tree(&[("a", Entry::directory()), ("a/old", file.clone()), ("l", Entry::symlink("a"))]);
        below.apply(tree(&[("a", Entry::directory()), ("l", Entry::directory()), ("l/new", file)]));
        assert_eq!(paths(&below), ["a", "a/old", "l", "l/new"]);
    }

    #[test]
    fn names_are_those_of_one_folder() {
        let empty = || Entry::bytes("");
        let tree =
            tree(&[("a/b/c", empty()), ("a-b", empty()), ("a/b.d", empty()), ("a", Entry::directory())]);
        assert_eq!(Vec::from_iter(tree.names("")), ["a", "a-b"]);
        assert_eq!(Vec::from_iter(tree.names("a/")), ["b", "b.d"]);
        assert_eq!(Vec::from_iter(tree.names("b/")), [""; 0]);
    }

    #[test]
    fn parents_are_added_once() {
        let mut tree = tree(&[("a/b/c", Entry::bytes("")), ("a/b/d", Entry::bytes(""))]);
        tree.add_parents();
        assert_eq!(paths(&tree), ["a", "a/b", "a/b/c", "a/b/d"]);
    }

    #[test]
    fn clean_paths_stay_inside() {
        assert!(is_clean("a/b..c/.d"));
        for path in ["", "/a", "a/", "a//b", "./a", "a/../b"] {
            assert!(!is_clean(path), "{path}");
        }
    }
}
