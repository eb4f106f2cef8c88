//! Where a path stands in the folders that a package manager made.

/// The folder of installed packages.
const MODULES: &str = "node_modules";

/// What a path is part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place<'a> {
    /// The package at this path: the path itself or a file of it.
    Package(&'a str),
    /// Below `.bin`, or it.
    Command,
    /// What other tools keep beside packages: `.prisma/client`.
    Data,
    /// Directories that only group packages, and notes of the manager beside them.
    Structure,
    /// Not in a folder of packages of the given manifests.
    Elsewhere,
}

impl<'a> Place<'a> {
    /// The place of `path`, for manifests in `folders`.
    pub(super) fn of(path: &'a str, folders: &[String]) -> Self {
        // The longest folder is the manifest's own: members stand below the root.
        let owner = folders
            .iter()
            .filter_map(|folder| path.strip_prefix(folder.as_str())?.strip_prefix('/'))
            .find_map(below_modules);
        owner.map_or(Self::Elsewhere, |rest| within(path, rest))
    }
}

/// What follows `node_modules` at the beginning of `rest`; empty for the folder itself.
fn below_modules(rest: &str) -> Option<&str> {
    match rest.strip_prefix(MODULES)? {
        "" => Some(""),
        below => below.strip_prefix('/'),
    }
}

/// The place of `path`, whose end `rest` follows a folder of packages.
fn within<'a>(path: &'a str, rest: &'a str) -> Place<'a> {
    let (first, after) = rest.split_once('/').unwrap_or((rest, ""));
    if first.is_empty() {
        return Place::Structure;
    }
    if first == ".bin" {
        return Place::Command;
    }
    if first.starts_with('.') {
        return store(path, after);
    }
    let name = match after.split_once('/') {
        _ if !first.starts_with('@') => first.len(),
        None if after.is_empty() => return Place::Structure,
        None => rest.len(),
        Some((second, _)) => first.len() + 1 + second.len(),
    };
    let inside = rest[name..].strip_prefix('/').unwrap_or_default();
    match below_modules(inside) {
        Some(nested) => within(path, nested),
        None => Place::Package(&path[..path.len() - (rest.len() - name)]),
    }
}

/// The place of a path in a folder with a dot: `.pnpm/express@5.1.0/node_modules/express`, `.prisma/client`.
fn store<'a>(path: &'a str, after: &'a str) -> Place<'a> {
    if after.is_empty() {
        return Place::Structure;
    }
    let below = |rest: &'a str| rest.split_once('/').map(|(_, below)| below);
    match below_modules(after).or_else(|| below(after).and_then(below_modules)) {
        Some(nested) => within(path, nested),
        None => Place::Data,
    }
}
