//! Debian's formats, archives and registries' answers for [`crate::fuzz`].

use std::collections::BTreeMap;
use std::sync::OnceLock;

use super::debian::openpgp::Keyring;
use super::debian::{deb as package, index, relation, release, version};
use super::unpack::{Failure, unpack};
use super::{base::UsrMerge, merge, registry::npm};
use crate::definitions::Definitions;
use crate::store::{Kind, Tree, tree::is_clean};

/// Saturday, 21 November 2026: a run must not depend on the clock.
const NOW: i64 = 1_795_219_200;

/// A Packages file and a Release file: whatever is accepted is found again under its name.
pub fn deb822(bytes: &[u8]) {
    let mut table = Vec::new();
    if index::compact(bytes, &mut table).is_ok()
        && let Ok(text) = String::from_utf8(table)
    {
        let index = index::Index::open(text);
        for record in index.records().take(100) {
            assert!(index.named(record.name()).any(|found| found.version() == record.version()));
            let _ = (record.size(), record.priority(), record.sha256(), record.path());
            for field in record.depends().into_iter().chain([record.provides(), record.conflicts()]) {
                for name in relation::parse(field).into_iter().flatten().flatten() {
                    let _ = index.providers(name.name).count();
                }
            }
        }
    }
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(release) = release::Release::parse(text)
    {
        let _ = release.check(&release.codename, NOW);
    }
}

/// A .deb: what comes out can be laid over other packages.
pub fn deb(bytes: &[u8]) {
    let folder = tempfile::tempdir().expect("the temporary folder is writable");
    match package::parse(bytes, folder.path()) {
        Ok(unpacked) => {
            check(&unpacked.tree);
            let usr = UsrMerge { directories: vec!["bin".to_owned(), "lib".to_owned()] };
            if let Ok(tree) = merge::merge(
                vec![("package".to_owned(), unpacked.tree)],
                &usr,
                &std::collections::BTreeMap::new(),
            ) {
                check(&tree);
            }
        }
        Err(Failure::Archive(reason)) => assert!(!reason.is_empty()),
        Err(Failure::Store(error)) => panic!("an archive can make writing fail: {error:?}"),
    }
}

/// A tar archive of a toolchain.
pub fn archive(bytes: &[u8]) {
    let folder = tempfile::tempdir().expect("the temporary folder is writable");
    match unpack(bytes, folder.path(), |name| Some(format!("opt/{name}"))) {
        Ok(tree) => check(&tree),
        Err(Failure::Archive(reason)) => assert!(!reason.is_empty()),
        Err(Failure::Store(error)) => panic!("an archive can make writing fail: {error:?}"),
    }
}

/// Names lead nowhere else, and no file holds more than was in the archive.
fn check(tree: &Tree) {
    for (path, entry) in tree.iter() {
        assert!(is_clean(path), "{path:?}");
        if let Kind::Symlink { target } = &entry.kind {
            assert!(!target.is_empty() && !target.contains('\0'), "{path:?} -> {target:?}");
        }
    }
}

/// A signed text. The ring holds Debian's keys, so nothing that a fuzzer makes may be accepted: only texts that
/// Debian signed, such as seeds.
pub fn openpgp(bytes: &[u8]) {
    static RING: OnceLock<Keyring> = OnceLock::new();
    let ring = RING.get_or_init(|| {
        let definitions = Definitions::embedded();
        let base = super::base::Base::load(&definitions, "debian-13").expect("the embedded base is good");
        let files: BTreeMap<&str, &[u8]> =
            definitions.below("bases/keys", ".asc").map(|file| (file.shown.as_str(), &*file.bytes)).collect();
        let keys = base.archives.values().flat_map(|archive| archive.keys.clone()).collect::<Vec<_>>();
        Keyring::new(files, &keys).expect("the embedded keys are good")
    });
    if let Ok(text) = ring.verify(bytes, NOW) {
        assert!(text.contains("Origin: Debian"), "accepted: {text}");
    }
    let _ = Keyring::new([("fuzz.asc", bytes)], &["0".repeat(40)]);
}

/// Fields of relations, and versions: what is read can be written and read again; the order is one.
pub fn relations(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(clauses) = relation::parse(text) {
        for found in clauses.iter().flatten() {
            let shown = found.to_string();
            assert_eq!(relation::parse(&shown), Ok(vec![vec![*found]]), "{shown:?}");
        }
    }
    let mut words: Vec<&str> = text.split_whitespace().take(8).collect();
    for a in &words {
        for b in &words {
            assert_eq!(version::compare(a, b), version::compare(b, a).reverse(), "{a:?} {b:?}");
        }
    }
    // Panics when the order is not total.
    words.sort_by(|a, b| version::compare(a, b));
}

/// A registry's list of versions: paths stay below the registry.
pub fn packument(bytes: &[u8]) {
    for name in ["node", "@scope/name"] {
        if let Ok(releases) = npm::read(name, bytes) {
            for release in releases {
                assert!(is_clean(&release.path), "{:?}", release.path);
            }
        }
    }
}
