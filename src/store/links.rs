//! Where a path of a tree really is, when links stand on the way to it.

use super::tree::{Kind, Tree};

/// More links on the way to a path than this are a loop.
const LINKS: usize = 40;

impl Tree {
    /// The path at which `path` is found when all links on the way are followed, the last one too, as a process
    /// would whose root is this tree. It need not exist. None when links go in circles.
    pub fn locate(&self, path: &str) -> Option<String> {
        let mut todo: Vec<String> = path.rsplit('/').map(str::to_owned).collect();
        let mut found: Vec<String> = Vec::new();
        let mut links = 0;
        while let Some(part) = todo.pop() {
            match part.as_str() {
                "" | "." => continue,
                // At the root `..` stays at the root.
                ".." => {
                    found.pop();
                    continue;
                }
                _ => found.push(part),
            }
            let entry = self.get(&found.join("/"));
            if let Some(Kind::Symlink { target }) = entry.map(|entry| &entry.kind) {
                links += 1;
                if links > LINKS {
                    return None;
                }
                found.pop();
                if target.starts_with('/') {
                    found.clear();
                }
                todo.extend(target.rsplit('/').map(str::to_owned));
            }
        }
        Some(found.join("/"))
    }

    /// As [`Tree::locate`], but a link at `path` itself is not followed.
    pub fn locate_entry(&self, path: &str) -> Option<String> {
        match path.rsplit_once('/') {
            Some((folder, name)) => {
                let folder = self.locate(folder)?;
                Some(if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") })
            }
            None => Some(path.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::store::{Entry, Tree};

    #[test]
    fn links_are_followed_below_the_root_only() {
        let mut tree = Tree::new();
        for (path, target) in [
            ("bin", "usr/bin"),
            ("var/run", "/run"),
            ("usr/bin/sh", "dash"),
            ("up", "../../etc"),
            ("a", "b"),
            ("b", "a"),
        ] {
            tree.insert(path, Entry::symlink(target));
        }
        for (path, expected) in [
            ("bin/sh", Some("usr/bin/dash")),
            ("var/run/app.pid", Some("run/app.pid")),
            ("up/passwd", Some("etc/passwd")),
            ("new/file", Some("new/file")),
            ("a/x", None),
        ] {
            assert_eq!(tree.locate(path).as_deref(), expected, "{path}");
        }
        assert_eq!(tree.locate_entry("bin/sh").as_deref(), Some("usr/bin/sh"));
        assert_eq!(tree.locate_entry("bin").as_deref(), Some("bin"));
    }
}
