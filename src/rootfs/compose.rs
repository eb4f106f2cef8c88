//! Root filesystems out of packages.
//!
//! In: a [`Root`] of the plan. Out: a [`Tree`] that an image or a sandbox can start from: packages merged, what
//! maintainer scripts would have made added from the base's data, documents left out. Every entry of a runtime root
//! says which package brought it, so that layers can be cut by package; entries without one belong to the base.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::PathBuf;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use super::base::{Base, Trim, multiarch, version_in};
use super::debian::deb::Deb;
use super::debian::relation;
use super::debian::version::compare;
use super::merge::merge;
use super::{Context, Error, debian, overlay, packages, trust_store};
use crate::oci::{Digest, to_canonical_json};
use crate::plan::model::{Package, Root};
use crate::store::{Entry, Kind, Tree};

/// Changes when equal packages give another tree.
pub(super) const RULES: u32 = 2;

/// What a root is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Steps run in it.
    Build,
    /// An image is made on it.
    Runtime,
}

/// The name of the composed root in the store.
pub fn key(root: &Root, purpose: Purpose) -> String {
    let purpose = match purpose {
        Purpose::Build => "build",
        Purpose::Runtime => "runtime",
    };
    format!("root-{purpose}-{}", root.digest.hex())
}

/// The identity of a root: the rules, the base's data and the packages.
pub(super) fn identity(base: &Base, architecture: &str, packages: &[Package]) -> Digest {
    let value = (RULES, &base.digest, architecture, packages);
    let json = to_canonical_json(&value).expect("packages serialise to plain JSON");
    Digest::of(&json)
}

/// The root as a directory for the sandbox, composed only if the store does not have it.
///
/// # Errors
/// As [`compose`].
pub fn directory(root: &Root, purpose: Purpose, context: &Context) -> Result<PathBuf, Error> {
    let key = key(root, purpose);
    if let Some(entry) = context.store.entry("trees", &key) {
        context.reporter.detail(&format!("root of {}  found {key}", root.base));
        return Ok(entry.join("fs"));
    }
    context.reporter.detail(&format!("root of {}  is composed: not in the store", root.base));
    let tree = compose(root, purpose, context)?;
    let folder = context.store.materialise(&key, &tree)?;
    let about = || format!("root of {} with {} packages", root.base, root.packages.len());
    context.store.describe("trees", &key, about);
    Ok(folder)
}

/// Composes `root` as a tree.
///
/// # Errors
/// When a package cannot be fetched, is not the signed one, or cannot be unpacked.
pub fn compose(root: &Root, purpose: Purpose, context: &Context) -> Result<Tree, Error> {
    let base = Base::load(&context.definitions, &root.base)?;
    let opened = packages::open(context, &base, root, purpose)?;
    let mut debs: Vec<(&Package, Deb)> = root.packages.iter().zip(opened).collect();
    // Directories that several packages bring belong to the lowest layer, so that a further package in an
    // upper one changes nothing below it.
    debs.sort_by_key(|(package, _)| (rank(&package.layer), &package.name));
    let mut records = Vec::new();
    let mut trees = Vec::new();
    for (package, deb) in debs {
        records.push((package, deb.control, deb.md5sums));
        trees.push((package.name.clone(), deb.tree));
    }
    let replaced = replaced(&records);
    let mut tree = merge(trees, &base.usr_merge, &replaced)
        .map_err(|(package, reason)| Error::Debian(debian::Error::Deb { package, reason }))?;
    add_certificates(&mut tree, &base, root)?;
    add_links(&mut tree, &base, root);
    let trim = if purpose == Purpose::Runtime { &base.trim.runtime } else { &base.trim.build };
    apply_trim(&mut tree, trim, &base)?;
    if root.image.is_none() {
        add_fixed(&mut tree, &base);
    }
    match purpose {
        Purpose::Runtime => add_scanner_records(&mut tree, &records),
        Purpose::Build => add_status(&mut tree, &records),
    }
    tree.add_parents();
    normalise(&mut tree, &base);
    let Some(image) = &root.image else { return Ok(tree) };
    Ok(match purpose {
        Purpose::Runtime => overlay::additions(tree, &super::image::tree(image, context)?),
        Purpose::Build => overlay::over(&tree, &super::image::files(image, context)?.1, &base)?,
    })
}

/// Which packages each package may take files from, because its field Replaces says so
/// (<https://www.debian.org/doc/debian-policy/ch-relationships.html#overwriting-files-and-replacing-packages-replaces>).
fn replaced(records: &[(&Package, String, String)]) -> BTreeMap<String, BTreeSet<String>> {
    let mut replaced: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (package, control, _) in records {
        let field = control.lines().find_map(|line| line.strip_prefix("Replaces:")).unwrap_or_default();
        // What cannot be read takes nothing away.
        for relation in relation::parse(field).unwrap_or_default().into_iter().flatten() {
            let versions = records.iter().filter(|(other, ..)| other.name == relation.name);
            if versions.into_iter().any(|(other, ..)| relation.accepts(&other.version)) {
                replaced.entry(package.name.clone()).or_default().insert(relation.name.to_owned());
            }
        }
    }
    replaced
}

/// The position of a layer from below.
fn rank(layer: &str) -> u8 {
    match layer {
        "base" => 0,
        "runtime" => 1,
        _ => 2,
    }
}

/// Writes the one file with all certificates, in the byte order of their paths, and Java's store of them.
fn add_certificates(tree: &mut Tree, base: &Base, root: &Root) -> Result<(), Error> {
    let Some(rule) = &base.certificates else { return Ok(()) };
    let wrong = |path: &str, what: &str| {
        let reason = format!("the certificate `{path}` {what}");
        debian::Error::Deb { package: rule.package.clone(), reason }
    };
    let mut bundle = String::new();
    let mut certificates = Vec::new();
    for (path, entry) in tree.below(&rule.folder).filter(|(path, _)| path.strip_suffix(".crt").is_some()) {
        let Kind::File { content, .. } = &entry.kind else { continue };
        let text = String::from_utf8(content.read()?.into_owned()).map_err(|_| wrong(path, "is not text"))?;
        for line in text.lines() {
            bundle.push_str(line);
            bundle.push('\n');
        }
        let name = path.rsplit('/').next().unwrap_or(path);
        certificates.push((format!("{}.pem", name.trim_end_matches(".crt")), text));
    }
    if bundle.is_empty() {
        return Ok(());
    }
    let mut add = |path: &str, mut entry: Entry| {
        entry.package = Some(rule.package.clone());
        tree.insert(path.to_owned(), entry);
    };
    add(&rule.bundle, Entry::bytes(bundle));
    if let Some(java) = &base.trust_store {
        let reads_it = |package: &Package| {
            java.packages.iter().any(|pattern| version_in(pattern, &package.name).is_some())
        };
        if root.packages.iter().any(reads_it) {
            let store =
                trust_store::write(&certificates).map_err(|name| wrong(&name, "cannot be read as PEM"))?;
            add(&java.path, Entry::bytes(store));
        }
    }
    Ok(())
}

/// Adds the links that maintainer scripts of the root's packages would make.
fn add_links(tree: &mut Tree, base: &Base, root: &Root) {
    let mut best: BTreeMap<String, (i32, &str, String, &str)> = BTreeMap::new();
    for row in &base.links {
        let link = row.link.replace("{multiarch}", multiarch(&root.architecture));
        if tree.get(&link).is_some() {
            continue;
        }
        for package in &root.packages {
            let Some(version) = version_in(&row.package, &package.name) else { continue };
            let target =
                row.target.replace("{version}", version).replace("{architecture}", &root.architecture);
            let beats = best.get(&link).is_none_or(|(priority, known, ..)| {
                (row.priority.cmp(priority)).then_with(|| compare(version, known)).is_gt()
            });
            if beats && exists(tree, &link, &target) {
                best.insert(link.clone(), (row.priority, version, target, &package.name));
            }
        }
    }
    for (link, (.., target, package)) in best {
        let mut entry = Entry::symlink(target);
        entry.package = Some(package.to_owned());
        tree.insert(link, entry);
    }
}

/// Whether the text `target` of a link at `link` names something in the tree.
fn exists(tree: &Tree, link: &str, target: &str) -> bool {
    let mut parts: Vec<&str> = if target.starts_with('/') { Vec::new() } else { link.split('/').collect() };
    parts.pop();
    for part in target.split('/').filter(|part| !matches!(*part, "" | ".")) {
        if part == ".." {
            parts.pop();
        } else {
            parts.push(part);
        }
    }
    tree.get(&parts.join("/")).is_some()
}

fn apply_trim(tree: &mut Tree, trim: &Trim, base: &Base) -> Result<(), Error> {
    let wrong = |reason: String| Error::Definition { file: format!("bases/{}.toml", base.id), reason };
    let remove = globs(&trim.remove).map_err(wrong)?;
    let keep = globs(&trim.keep).map_err(wrong)?;
    let goes = |path: &str| remove.is_match(path) && !keep.is_match(path);
    tree.retain(|path, entry| matches!(entry.kind, Kind::Directory { .. }) || !goes(path));
    // From below, so that a folder whose folders went goes as well.
    let directories: Vec<String> = tree
        .iter()
        .filter(|(path, entry)| matches!(entry.kind, Kind::Directory { .. }) && goes(path))
        .map(|(path, _)| path.to_owned())
        .collect();
    for path in directories.iter().rev() {
        if tree.below(path).next().is_none() {
            tree.remove(path);
        }
    }
    Ok(())
}

fn globs(patterns: &[String]) -> Result<GlobSet, String> {
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        let glob = GlobBuilder::new(pattern).literal_separator(true).build();
        set.add(glob.map_err(|error| format!("`{pattern}` is not a glob: {error}"))?);
    }
    set.build().map_err(|error| error.to_string())
}

/// Adds the files, links and directories that every root of the base has.
fn add_fixed(tree: &mut Tree, base: &Base) {
    for (path, target) in &base.symlinks {
        tree.remove_subtree(path);
        tree.insert(path.clone(), Entry::symlink(target.clone()));
    }
    for row in &base.directories {
        let mut entry = Entry::directory().with_mode(row.bits());
        (entry.uid, entry.gid) = (row.owner, row.owner);
        tree.insert(row.path.clone(), entry);
    }
    for (path, text) in &base.files {
        tree.insert(path.clone(), Entry::bytes(text.as_str()));
    }
}

/// Writes what vulnerability scanners read, each record owned by its package.
fn add_scanner_records(tree: &mut Tree, records: &[(&Package, String, String)]) {
    for (package, control, md5sums) in records {
        let path = format!("var/lib/dpkg/status.d/{}", package.name);
        for (path, text) in [(path.clone(), control), (format!("{path}.md5sums"), md5sums)] {
            if !text.is_empty() {
                let mut entry = Entry::bytes(text.as_str());
                entry.package = Some(package.name.clone());
                tree.insert(path, entry);
            }
        }
    }
}

/// Writes dpkg's list of installed packages.
fn add_status(tree: &mut Tree, records: &[(&Package, String, String)]) {
    let mut sorted: Vec<_> = records.iter().collect();
    sorted.sort_by_key(|(package, ..)| &package.name);
    let mut status = String::new();
    for (_, control, _) in sorted {
        let control = control.trim_end();
        let (first, rest) = control.split_once('\n').unwrap_or((control, ""));
        let _ = write!(status, "{first}\nStatus: install ok installed\n{rest}\n\n");
    }
    tree.insert("var/lib/dpkg/status", Entry::bytes(status));
}

/// Root owns everything but the base's own directories; no bit lets a program change its user, and only sticky
/// directories that the base names may be written by everybody.
fn normalise(tree: &mut Tree, base: &Base) {
    for (path, entry) in tree.iter_mut() {
        if base.directories.iter().any(|row| row.path == *path) {
            continue;
        }
        (entry.uid, entry.gid) = (0, 0);
        if !matches!(entry.kind, Kind::Symlink { .. }) {
            entry.mode &= 0o755;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Base, Trim, add_fixed, add_links, apply_trim, normalise};
    use crate::definitions::Definitions;
    use crate::oci::Digest;
    use crate::plan::model::{Package, Root};
    use crate::store::{Entry, Kind, Tree};

    fn base() -> Base {
        Base::load(&Definitions::embedded(), "debian-13").unwrap()
    }

    fn root(names: &[&str]) -> Root {
        let packages = names.iter().map(|name| Package {
            name: (*name).to_owned(),
            version: "1".to_owned(),
            architecture: "amd64".to_owned(),
            archive: "main".to_owned(),
            path: String::new(),
            size: 0,
            sha256: Digest::of(b""),
            layer: "base".to_owned(),
        });
        Root {
            base: "debian-13".to_owned(),
            architecture: "amd64".to_owned(),
            digest: Digest::of(b""),
            packages: packages.collect(),
            image: None,
        }
    }

    #[test]
    fn the_stronger_alternative_wins_and_needs_its_package_and_target() {
        let mut tree = Tree::new();
        for path in
            ["usr/bin/mawk", "usr/bin/gawk", "usr/bin/g++", "usr/lib/x86_64-linux-gnu/blas/libblas.so.3"]
        {
            tree.insert(path, Entry::bytes(""));
        }
        add_links(&mut tree, &base(), &root(&["gawk", "gcc", "libblas3", "mawk"]));
        let links: Vec<_> = tree
            .iter()
            .filter_map(|(path, entry)| match &entry.kind {
                Kind::Symlink { target } => Some((path, target.as_str())),
                _ => None,
            })
            .collect();
        assert_eq!(
            links,
            [
                ("usr/bin/awk", "gawk"),
                ("usr/bin/nawk", "gawk"),
                ("usr/lib/x86_64-linux-gnu/libblas.so.3", "blas/libblas.so.3"),
            ]
        );
    }

    #[test]
    fn documents_go_and_licences_stay() {
        let mut tree = Tree::new();
        for path in [
            "usr/share/doc/a/copyright",
            "usr/share/doc/a/changelog.gz",
            "usr/share/doc/a/examples/x/y",
            "usr/share/man/man1/a.1",
            "usr/lib/x86_64-linux-gnu/gconv/UTF-16.so",
            "usr/lib/x86_64-linux-gnu/gconv/EBCDIC-US.so",
        ] {
            tree.insert(path, Entry::bytes(""));
        }
        tree.insert("usr/share/doc/b", Entry::symlink("a"));
        tree.add_parents();
        let base = base();
        apply_trim(&mut tree, &base.trim.runtime, &base).unwrap();
        let left: Vec<_> = tree
            .iter()
            .filter(|(_, e)| !matches!(e.kind, Kind::Directory { .. }))
            .map(|(path, _)| path)
            .collect();
        assert_eq!(
            left,
            ["usr/lib/x86_64-linux-gnu/gconv/UTF-16.so", "usr/share/doc/a/copyright", "usr/share/doc/b"]
        );
        assert!(tree.get("usr/share/man").is_none() && tree.get("usr/share/doc/a/examples").is_none());
        let wrong = Trim { remove: vec!["[".to_owned()], keep: Vec::new() };
        assert!(apply_trim(&mut tree, &wrong, &base).is_err());
    }

    #[test]
    fn nothing_is_setuid_and_only_tmp_is_writable_by_all() {
        let mut tree = Tree::new();
        let mut shadow = Entry::bytes("").with_mode(0o4777);
        shadow.gid = 42;
        tree.insert("usr/bin/passwd", shadow);
        tree.insert("var/tmp", Entry::directory().with_mode(0o1777));
        tree.insert("var/lock", Entry::directory().with_mode(0o1777));
        let base = base();
        add_fixed(&mut tree, &base);
        normalise(&mut tree, &base);
        let seen = |path: &str| tree.get(path).map(|entry| (entry.mode, entry.uid, entry.gid)).unwrap();
        assert_eq!(seen("usr/bin/passwd"), (0o755, 0, 0));
        assert_eq!(seen("var/tmp"), (0o755, 0, 0));
        assert_eq!(seen("tmp"), (0o1777, 0, 0));
        assert_eq!(seen("home/nonroot"), (0o755, 65532, 65532));
        assert!(
            matches!(&tree.get("var/lock").unwrap().kind, Kind::Symlink { target } if target == "/run/lock")
        );
    }
}
