//! One file system out of the layers of an image, with its links followed.
//!
//! Invariants: of several entries for a path the one of the upper layer counts; paths are those of
//! [`Tree`](crate::store::Tree), relative to `/`.

use std::collections::BTreeMap;

use crate::store::{Entry, Kind, Tree};

/// More links on the way to a file than this are a loop, as for Linux.
const LINKS: usize = 40;

/// Trees over each other.
#[derive(Clone, Debug, Default)]
pub(super) struct View<'a> {
    trees: Vec<&'a Tree>,
    added: BTreeMap<String, Entry>,
}

impl<'a> View<'a> {
    /// The trees, from the bottom up.
    pub(super) fn new(trees: Vec<&'a Tree>) -> Self {
        Self { trees, added: BTreeMap::new() }
    }

    /// Adds what a further package brings, where nothing stands yet.
    pub(super) fn add(&mut self, path: &str, entry: Entry) {
        if self.entry(path).is_none() {
            self.added.insert(path.to_owned(), entry);
        }
    }

    /// What stands at `path`, a link as itself.
    pub(super) fn entry(&self, path: &str) -> Option<&Entry> {
        self.trees.iter().rev().find_map(|tree| tree.get(path)).or_else(|| self.added.get(path))
    }

    /// The path of the file or folder that `path` leads to, absolute or not, and what it is.
    pub(super) fn locate(&self, path: &str) -> Option<(String, &Entry)> {
        let mut rest: Vec<String> = parts(path).rev().map(str::to_owned).collect();
        let mut whole = String::new();
        let mut links = 0;
        while let Some(part) = rest.pop() {
            if part == ".." {
                whole.truncate(whole.rfind('/').unwrap_or(0));
                continue;
            }
            let here = if whole.is_empty() { part } else { format!("{whole}/{part}") };
            match self.entry(&here).map(|entry| &entry.kind) {
                Some(Kind::Symlink { target }) => {
                    links += 1;
                    if links > LINKS {
                        return None;
                    }
                    if target.starts_with('/') {
                        whole.clear();
                    }
                    rest.extend(parts(target).rev().map(str::to_owned));
                }
                Some(Kind::Directory { .. }) => whole = here,
                Some(Kind::File { .. }) if rest.is_empty() => {
                    return self.entry(&here).map(|entry| (here.clone(), entry));
                }
                _ => return None,
            }
        }
        self.entry(&whole).map(|entry| (whole.clone(), entry))
    }

    /// The path of the regular file that `path` leads to.
    pub(super) fn file(&self, path: &str) -> Option<String> {
        let (path, entry) = self.locate(path)?;
        matches!(entry.kind, Kind::File { .. }).then_some(path)
    }
}

fn parts(path: &str) -> impl DoubleEndedIterator<Item = &str> {
    path.split('/').filter(|part| !matches!(*part, "" | "."))
}

#[cfg(test)]
mod tests {
    use super::View;
    use crate::store::{Entry, Tree};

    #[test]
    fn links_are_followed_on_the_way_and_at_the_end() {
        let mut base = Tree::new();
        base.insert("lib", Entry::symlink("usr/lib"));
        base.insert("usr/lib/x/libz.so.1", Entry::symlink("libz.so.1.3"));
        base.insert("usr/lib/x/libz.so.1.3", Entry::bytes("z"));
        base.insert("usr/lib/x/up", Entry::symlink("../../../../lib/x"));
        base.insert("loop", Entry::symlink("/loop"));
        base.add_parents();
        let mut app = Tree::new();
        app.insert("app/libz.so", Entry::symlink("/lib/x/libz.so.1"));
        app.add_parents();
        let view = View::new(vec![&base, &app]);
        for path in ["/lib/x/libz.so.1", "usr/lib/x/./libz.so.1.3", "/app/libz.so", "/lib/x/up/libz.so.1"] {
            assert_eq!(view.file(path).as_deref(), Some("usr/lib/x/libz.so.1.3"), "{path}");
        }
        for path in ["/loop", "/lib/x", "/lib/y/libz.so.1", "/usr/lib/x/libz.so.1.3/more", ""] {
            assert_eq!(view.file(path), None, "{path}");
        }
    }
}
