//! Files that were added, removed or changed.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use serde::Serialize;

use super::Pair;
use crate::inspect::contents::Opened;
use crate::publish::Error;
use crate::store::{self, Content, Entry, Kind, Tree};

/// How much of two files is compared at once.
const BUFFER: usize = 128 << 10;

/// How the files of two images differ.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Files {
    /// By path. A folder is there when it is empty or has changed itself.
    pub entries: Vec<Touched>,
    /// How many others differ in nothing but their time.
    pub times: usize,
}

/// A path that was touched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Touched {
    /// Absolute.
    pub path: String,
    /// The layer that has it: its id, or what made it. Of the second image, unless it was removed.
    pub layer: String,
    /// What differs; nothing when it was added or removed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub changed: Vec<Aspect>,
    /// In the first image; none when it was added.
    pub from: Option<Node>,
    /// In the second image; none when it was removed.
    pub to: Option<Node>,
}

/// What of an entry differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Aspect {
    /// One is a file, the other a folder or link.
    Type,
    /// The bytes of a file.
    Content,
    /// Permission bits.
    Mode,
    /// User or group.
    Owner,
    /// The text of a link.
    Target,
}

impl Aspect {
    /// Its name in documents.
    pub fn name(self) -> &'static str {
        match self {
            Self::Type => "type",
            Self::Content => "content",
            Self::Mode => "mode",
            Self::Owner => "owner",
            Self::Target => "target",
        }
    }
}

/// What stands at a path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "type")]
pub enum Node {
    /// A folder.
    Folder {
        /// Octal.
        mode: String,
        /// `0:0`
        owner: String,
    },
    /// A file.
    File {
        /// Octal.
        mode: String,
        /// `0:0`
        owner: String,
        /// In bytes.
        size: u64,
    },
    /// A symbolic link.
    Link {
        /// Its text.
        target: String,
        /// `0:0`
        owner: String,
    },
}

impl Node {
    fn of(entry: &Entry) -> Option<Self> {
        let (mode, owner) = (format!("{:04o}", entry.mode), format!("{}:{}", entry.uid, entry.gid));
        match &entry.kind {
            Kind::Directory { .. } => Some(Self::Folder { mode, owner }),
            Kind::File { size, .. } => Some(Self::File { mode, owner, size: *size }),
            Kind::Symlink { target } => Some(Self::Link { target: target.clone(), owner }),
            Kind::Whiteout => None,
        }
    }
}

/// Compares two trees; `names` are those of the layers.
pub(super) fn compare(from: &Opened, to: &Opened, names: &Pair<Vec<String>>) -> Result<Files, Error> {
    let mut files = Files::default();
    let paths: BTreeSet<&str> = from.tree.iter().chain(to.tree.iter()).map(|(path, _)| path).collect();
    let layer = |opened: &Opened, names: &[String], path: &str| {
        opened.of_path.get(path).and_then(|index| names.get(*index)).cloned().unwrap_or_default()
    };
    for path in paths {
        let (before, after) = (from.tree.get(path), to.tree.get(path));
        let mut changed = Vec::new();
        match (before, after) {
            (Some(before), Some(after)) => {
                changed = aspects(before, after)?;
                if changed.is_empty() {
                    files.times += usize::from(before.mtime != after.mtime);
                    continue;
                }
            }
            (Some(_), None) if leads(&from.tree, path) => continue,
            (None, Some(_)) if leads(&to.tree, path) => continue,
            _ => {}
        }
        let layer = match after {
            Some(_) => layer(to, &names.to, path),
            None => layer(from, &names.from, path),
        };
        let (from, to) = (before.and_then(Node::of), after.and_then(Node::of));
        files.entries.push(Touched { path: format!("/{path}"), layer, changed, from, to });
    }
    Ok(files)
}

/// Whether it is a folder that is there for what is in it.
fn leads(tree: &Tree, path: &str) -> bool {
    tree.below(path).next().is_some()
}

fn aspects(before: &Entry, after: &Entry) -> Result<Vec<Aspect>, Error> {
    let mut found = Vec::new();
    match (&before.kind, &after.kind) {
        (Kind::File { size: one, content: before }, Kind::File { size: other, content: after }) => {
            if one != other || !same(before, after)? {
                found.push(Aspect::Content);
            }
        }
        (Kind::Symlink { target: one }, Kind::Symlink { target: other }) => {
            if one != other {
                found.push(Aspect::Target);
            }
        }
        (Kind::Directory { .. }, Kind::Directory { .. }) | (Kind::Whiteout, Kind::Whiteout) => {}
        _ => return Ok(vec![Aspect::Type]),
    }
    // The mode of a link means nothing.
    if before.mode != after.mode && !matches!(after.kind, Kind::Symlink { .. }) {
        found.push(Aspect::Mode);
    }
    if (before.uid, before.gid) != (after.uid, after.gid) {
        found.push(Aspect::Owner);
    }
    Ok(found)
}

/// Whether two files of one size have the same bytes.
fn same(one: &Content, other: &Content) -> Result<bool, Error> {
    let (Content::Path(one), Content::Path(other)) = (one, other) else {
        return Ok(one.read()? == other.read()?);
    };
    let open = |path: &Path| File::open(path).map_err(store::Error::io("read", path));
    let (mut first, mut second) = (BufReader::new(open(one)?), BufReader::new(open(other)?));
    let (mut left, mut right) = (vec![0; BUFFER], vec![0; BUFFER]);
    loop {
        let count = fill(&mut first, &mut left).map_err(store::Error::io("read", one))?;
        let others = fill(&mut second, &mut right).map_err(store::Error::io("read", other))?;
        if left[..count] != right[..others] {
            return Ok(false);
        }
        if count == 0 {
            return Ok(true);
        }
    }
}

/// Reads until the buffer is full or nothing is left.
fn fill(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match reader.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::{Aspect, aspects, same};
    use crate::store::{Content, Entry};

    #[test]
    fn each_aspect_is_seen() {
        let file = Entry::bytes("a");
        let owned = Entry { uid: 1, ..file.clone() };
        let later = Entry { mtime: 1, ..file.clone() };
        for (one, other, expected) in [
            (&file, &file, &[][..]),
            (&file, &later, &[]),
            (&file, &Entry::bytes("b"), &[Aspect::Content]),
            (&file, &owned, &[Aspect::Owner]),
            (&file, &Entry::bytes("ab").with_mode(0o755), &[Aspect::Content, Aspect::Mode]),
            (&file, &Entry::directory(), &[Aspect::Type]),
            (&Entry::symlink("a"), &Entry::symlink("b").with_mode(0o755), &[Aspect::Target]),
            (&Entry::symlink("a"), &Entry::symlink("a").with_mode(0o755), &[]),
            (&Entry::directory(), &Entry::directory().with_mode(0o1777), &[Aspect::Mode]),
        ] {
            assert_eq!(aspects(one, other).unwrap(), expected, "{one:?} {other:?}");
        }
    }

    #[test]
    fn files_are_compared_to_their_ends() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, length: usize, last: u8| {
            let path = folder.path().join(name);
            let mut bytes = vec![7; length];
            bytes.push(last);
            std::fs::write(&path, bytes).unwrap();
            Content::Path(path)
        };
        let one = file("one", 300_000, 1);
        assert!(same(&one, &file("same", 300_000, 1)).unwrap());
        assert!(!same(&one, &file("other", 300_000, 2)).unwrap());
    }
}
