//! Laying packages over each other as dpkg would.
//!
//! In: the trees of packages, in an order that decides who owns shared directories. Out: one tree in which every
//! path is where it really is: below `/usr` for merged directories, and behind links that packages bring
//! (`/usr/share/doc/gcc` is one). A path that two packages bring belongs to the one that replaces the other, else to
//! the first.

use std::collections::{BTreeMap, BTreeSet};

use super::base::UsrMerge;
use crate::store::{Entry, Kind, Tree, tree::is_clean};

/// More links on the way to a path than this are a loop.
const LINKS: usize = 40;

/// Merges `packages`, each a name with its tree; `replaced` says whose files a package takes the place of.
///
/// # Errors
/// The name of a package and what is wrong with it.
pub(super) fn merge(
    packages: Vec<(String, Tree)>,
    usr: &UsrMerge,
    replaced: &BTreeMap<String, BTreeSet<String>>,
) -> Result<Tree, (String, String)> {
    let mut links = BTreeMap::new();
    let mut entries = Vec::new();
    for (name, tree) in packages {
        for (path, entry) in tree.iter() {
            let Some(path) = merged(path, usr) else { continue };
            if let Kind::Symlink { target } = &entry.kind {
                check_link(&path, target).map_err(|reason| (name.clone(), reason))?;
                links.entry(path.clone()).or_insert_with(|| target.clone());
            }
            entries.push((name.clone(), path, entry.clone()));
        }
    }
    let mut tree = Tree::new();
    for (name, path, mut entry) in entries {
        let path = located(&path, &links).map_err(|reason| (name.clone(), reason))?;
        let is_directory = matches!(entry.kind, Kind::Directory { .. });
        let takes_from = |owner: &Option<String>| {
            let others = replaced.get(&name);
            owner.as_ref().is_some_and(|owner| others.is_some_and(|others| others.contains(owner)))
        };
        match tree.get(&path) {
            Some(known) if is_directory || !takes_from(&known.package) => continue,
            // A directory where another package has a link: its content goes through the link.
            None if is_directory && links.contains_key(&path) => continue,
            Some(_) | None => {}
        }
        entry.package = Some(name);
        tree.insert(path, entry);
    }
    tree.add_parents();
    add_usr_links(&mut tree, usr);
    Ok(tree)
}

/// The path in a merged system; nothing for the merged directories themselves.
fn merged(path: &str, usr: &UsrMerge) -> Option<String> {
    let (first, rest) = path.split_once('/').unwrap_or((path, ""));
    if !usr.directories.iter().any(|directory| directory == first) {
        return Some(path.to_owned());
    }
    (!rest.is_empty()).then(|| format!("usr/{path}"))
}

fn add_usr_links(tree: &mut Tree, usr: &UsrMerge) {
    for directory in &usr.directories {
        let target = format!("usr/{directory}");
        let owner = tree.get(&target).map(|entry| entry.package.clone());
        if let Some(package) = owner {
            tree.insert(directory.clone(), Entry { package, ..Entry::symlink(target) });
        }
    }
}

/// Where `path` really is when links lead elsewhere on the way.
fn located(path: &str, links: &BTreeMap<String, String>) -> Result<String, String> {
    let mut path = path.to_owned();
    for _ in 0..LINKS {
        let hit = path.match_indices('/').map(|(end, _)| end).find(|end| links.contains_key(&path[..*end]));
        let Some(end) = hit else { return Ok(path) };
        let (link, rest) = path.split_at(end);
        path = format!("{}{rest}", follow(link, &links[link])?);
    }
    Err(format!("`{path}` is behind a loop of links"))
}

/// The path that a link at `link` with text `target` leads to.
fn follow(link: &str, target: &str) -> Result<String, String> {
    let mut parts: Vec<&str> = if target.starts_with('/') { Vec::new() } else { link.split('/').collect() };
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            // At the root `..` stays at the root.
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    let path = parts.join("/");
    if is_clean(&path) { Ok(path) } else { Err(format!("the link `{link}` leads to the root directory")) }
}

/// Refuses links that climb above the root: they would lead elsewhere when the tree lies in a directory.
fn check_link(path: &str, target: &str) -> Result<(), String> {
    if target.starts_with('/') {
        return Ok(());
    }
    let mut depth = path.matches('/').count();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." if depth == 0 => {
                return Err(format!("the link `{path}` to `{target}` leads out of the root"));
            }
            ".." => depth -= 1,
            _ => depth += 1,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::UsrMerge;
    use crate::store::{Entry, Kind, Tree};

    fn usr() -> UsrMerge {
        UsrMerge { directories: vec!["bin".to_owned(), "lib".to_owned()] }
    }

    /// Merges packages of which `last` replaces `first`.
    fn merge(packages: Vec<(String, Tree)>, usr: &UsrMerge) -> Result<Tree, (String, String)> {
        let first = BTreeSet::from(["first".to_owned()]);
        super::merge(packages, usr, &BTreeMap::from([("last".to_owned(), first)]))
    }

    fn package(name: &str, entries: &[(&str, Entry)]) -> (String, Tree) {
        (name.to_owned(), entries.iter().map(|(path, entry)| ((*path).to_owned(), entry.clone())).collect())
    }

    fn shown(tree: &Tree) -> Vec<String> {
        tree.iter()
            .map(|(path, entry)| {
                let owner = entry.package.as_deref().unwrap_or("-");
                match &entry.kind {
                    Kind::Symlink { target } => format!("{owner} {path} -> {target}"),
                    Kind::Directory { .. } => format!("{owner} {path}/"),
                    _ => format!("{owner} {path}"),
                }
            })
            .collect()
    }

    #[test]
    fn merged_directories_become_links_and_their_content_moves() {
        let one = package("one", &[("bin", Entry::directory()), ("bin/sh", Entry::bytes("x"))]);
        let two = package("two", &[("usr", Entry::directory()), ("usr/bin", Entry::directory())]);
        let tree = merge(vec![one, two], &usr()).unwrap();
        assert_eq!(shown(&tree), ["two bin -> usr/bin", "two usr/", "two usr/bin/", "one usr/bin/sh"]);
    }

    #[test]
    fn files_below_another_packages_link_go_where_it_leads() {
        let one = package("one", &[("doc/gcc", Entry::symlink("../share/base"))]);
        let two =
            package("two", &[("doc/gcc", Entry::directory()), ("doc/gcc/copyright", Entry::bytes("x"))]);
        let tree = merge(vec![two, one], &usr()).unwrap();
        assert_eq!(
            shown(&tree),
            [
                "- doc/",
                "one doc/gcc -> ../share/base",
                "- share/",
                "- share/base/",
                "two share/base/copyright"
            ]
        );
    }

    #[test]
    fn the_first_package_owns_what_several_bring() {
        let one = package("one", &[("a", Entry::directory()), ("a/f", Entry::bytes("1"))]);
        let two = package("two", &[("a", Entry::directory()), ("a/f", Entry::bytes("2"))]);
        assert_eq!(shown(&merge(vec![one, two], &usr()).unwrap()), ["one a/", "one a/f"]);
    }

    #[test]
    fn a_package_takes_over_files_of_one_that_it_replaces() {
        let first = package(
            "first",
            &[("a", Entry::directory()), ("a/f", Entry::bytes("1")), ("g", Entry::bytes("1"))],
        );
        let last = package("last", &[("a", Entry::directory()), ("a/f", Entry::bytes("2"))]);
        let expected = ["first a/", "last a/f", "first g"];
        assert_eq!(shown(&merge(vec![first.clone(), last.clone()], &usr()).unwrap()), expected);
        // Whatever comes first.
        let expected = ["last a/", "last a/f", "first g"];
        assert_eq!(shown(&merge(vec![last, first], &usr()).unwrap()), expected);
    }

    #[test]
    fn links_that_leave_the_root_or_go_in_circles_are_refused() {
        let out = package("out", &[("a/b", Entry::symlink("../../etc"))]);
        let found = merge(vec![out], &usr()).unwrap_err();
        assert_eq!(
            found,
            ("out".to_owned(), "the link `a/b` to `../../etc` leads out of the root".to_owned())
        );
        let circle = package(
            "circle",
            &[("a", Entry::symlink("b")), ("b", Entry::symlink("a")), ("a/c", Entry::bytes(""))],
        );
        assert_eq!(merge(vec![circle], &usr()).unwrap_err().1, "`a/c` is behind a loop of links");
    }
}
