//! Reading a file of the source: a path and a limit in, bytes out.
//!
//! Invariants: only entries of the tree are read, links are followed inside the tree and nowhere else, and no
//! more than the limit is ever held in memory.

use std::fs::File;
use std::io::{self, Read as _};

use super::Source;
use crate::store::tree::{Content, Kind, is_clean};

/// How many links in a row are followed, as the kernel does.
const LINKS: usize = 40;

impl Source {
    /// The bytes of the file at `path`, or nothing when the tree has no file there.
    ///
    /// A file longer than `limit` bytes is an error of the kind [`io::ErrorKind::FileTooLarge`].
    pub fn read(&self, path: &str, limit: u64) -> Option<io::Result<Vec<u8>>> {
        let mut path = path.to_owned();
        for _ in 0..LINKS {
            match &self.tree.get(&path)?.kind {
                Kind::File { content: Content::Bytes(bytes), .. } if bytes.len() as u64 > limit => {
                    return Some(Err(io::ErrorKind::FileTooLarge.into()));
                }
                Kind::File { content: Content::Bytes(bytes), .. } => return Some(Ok(bytes.clone())),
                Kind::File { content: Content::Path(file), .. } => return Some(read_limited(file, limit)),
                Kind::Symlink { target } => path = follow(&path, target)?,
                Kind::Directory { .. } | Kind::Whiteout => return None,
            }
        }
        None
    }
}

fn read_limited(file: &std::path::Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(file)?.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(bytes) }
}

/// Where the link at `path` with the text `target` leads, unless that is outside the tree.
fn follow(path: &str, target: &str) -> Option<String> {
    let mut parts: Vec<&str> = path.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "." => {}
            ".." => {
                parts.pop()?;
            }
            _ => parts.push(part),
        }
    }
    let joined = parts.join("/");
    is_clean(&joined).then_some(joined)
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::path::PathBuf;

    use crate::source::{Seen, Source};
    use crate::store::Tree;
    use crate::store::tree::Entry;

    fn source() -> Source {
        let mut tree = Tree::new();
        tree.insert("a/file", Entry::bytes("text"));
        tree.insert("link", Entry::symlink("./a/file"));
        tree.insert("a/up", Entry::symlink("../link"));
        tree.insert("outside", Entry::symlink("../etc/passwd"));
        tree.insert("absolute", Entry::symlink("/a/file"));
        tree.insert("loop", Entry::symlink("loop"));
        Source {
            root: PathBuf::from("/src"),
            tree,
            settings: Vec::new(),
            commit: None,
            seen: Seen::default(),
        }
    }

    #[test]
    fn links_are_followed_inside_the_tree_only() {
        let source = source();
        for path in ["a/file", "link", "a/up"] {
            assert_eq!(source.read(path, 4).unwrap().unwrap(), b"text", "{path}");
        }
        for path in ["outside", "absolute", "loop", "a", "missing"] {
            assert!(source.read(path, 4).is_none(), "{path}");
        }
    }

    #[test]
    fn a_file_over_the_limit_is_refused() {
        let error = source().read("a/file", 3).unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::FileTooLarge);
    }

    #[test]
    fn a_file_on_disk_is_read_up_to_the_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        std::fs::write(&path, "12345").unwrap();
        let mut source = source();
        let content = crate::store::tree::Content::Path(path);
        source.tree.insert("x", Entry::new(crate::store::tree::Kind::File { size: 5, content }, 0o644));
        assert_eq!(source.read("x", 5).unwrap().unwrap(), b"12345");
        assert_eq!(source.read("x", 4).unwrap().unwrap_err().kind(), ErrorKind::FileTooLarge);
    }
}
