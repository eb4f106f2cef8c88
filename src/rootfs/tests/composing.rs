//! What a root consists of: a runtime root, a build root, what is laid over an image.

use super::debian_repository::Package;
use super::fixture::{Fixture, failure, request, text};
use crate::oci::image::LAYER;
use crate::plan::catalogue::{Catalogue as _, RootRequest};
use crate::plan::model::{BaseImage, BaseLayer, Blob};
use crate::rootfs::{Context, Purpose, compose};
use crate::store::Kind;

#[test]
fn a_runtime_root_is_exactly_what_was_listed() {
    let app = Package::new("app", "1.0")
        .field("Depends: libapp")
        .file("./usr/bin/app", "app", 0o4755)
        .hard_link("./usr/bin/again", "./usr/bin/app")
        .file("./usr/share/doc/app/copyright", "licence", 0o644)
        .file("./usr/share/man/man1/app.1", "manual", 0o644);
    let fixture = Fixture::new(vec![app]);
    let tree = fixture.compose(&["base-files", "app"], Purpose::Runtime).unwrap();
    let files: Vec<_> = tree
        .iter()
        .filter(|(_, e)| !matches!(e.kind, Kind::Directory { .. }))
        .map(|(path, _)| path)
        .collect();
    assert_eq!(
        files,
        [
            "bin",
            "etc/debian_version",
            "etc/group",
            "etc/nsswitch.conf",
            "etc/passwd",
            "usr/bin/again",
            "usr/bin/app",
            "usr/bin/true",
            "usr/share/doc/app/copyright",
            "var/lib/dpkg/status.d/app",
            "var/lib/dpkg/status.d/app.md5sums",
            "var/lib/dpkg/status.d/base-files",
            "var/lib/dpkg/status.d/base-files.md5sums",
            "var/lock",
            "var/run",
        ]
    );
    assert_eq!(text(&tree, "usr/bin/again"), "app");
    let app = tree.get("usr/bin/app").unwrap();
    assert_eq!((app.mode, app.package.as_deref()), (0o755, Some("app")));
    assert!(text(&tree, "var/lib/dpkg/status.d/app").starts_with("Package: app\nVersion: 1.0\n"));
}

#[test]
fn a_build_root_holds_what_its_packages_need() {
    let fixture = Fixture::new(vec![
        Package::new("app", "1.0").field("Depends: missing | virtual (>= 2), libapp (>= 2)"),
        Package::new("libapp", "1.0"),
        Package::new("libapp", "2.0").field("Pre-Depends: base-files"),
        Package::new("zz-first", "1").field("Provides: virtual (= 1)").field("Priority: required"),
        Package::new("other", "1").field("Provides: virtual (= 2)"),
    ]);
    let root = fixture.resolve(&["app"]).unwrap();
    let found: Vec<_> = root.packages.iter().map(|p| format!("{} {}", p.name, p.version)).collect();
    assert_eq!(found, ["app 1.0", "base-files 13", "libapp 2.0", "other 1"]);
    let status = text(&fixture.compose(&["app"], Purpose::Build).unwrap(), "var/lib/dpkg/status");
    assert!(status.starts_with("Package: app\nStatus: install ok installed\nVersion: 1.0\n"), "{status}");
}

#[test]
fn java_gets_a_store_of_the_certificates() {
    let pem = "-----BEGIN CERTIFICATE-----\nYWJj\n-----END CERTIFICATE-----\n";
    let fixture = Fixture::new(vec![
        Package::new("ca-certificates", "1").file("./usr/share/ca-certificates/mozilla/A.crt", pem, 0o644),
        Package::new("openjdk-21-jre-headless", "21").file(
            "./usr/lib/jvm/java-21-openjdk-amd64/bin/java",
            "",
            0o755,
        ),
        Package::new("openjdk-9-jre-headless", "9").file(
            "./usr/lib/jvm/java-9-openjdk-amd64/bin/java",
            "",
            0o755,
        ),
    ]);
    let without = fixture.compose(&["ca-certificates"], Purpose::Runtime).unwrap();
    assert!(without.get("etc/ssl/certs/java/cacerts").is_none());
    let names = ["ca-certificates", "openjdk-21-jre-headless", "openjdk-9-jre-headless"];
    let tree = fixture.compose(&names, Purpose::Runtime).unwrap();
    let store = tree.get("etc/ssl/certs/java/cacerts").unwrap();
    assert_eq!(store.package.as_deref(), Some("ca-certificates"));
    let java = &tree.get("usr/bin/java").unwrap().kind;
    assert!(
        matches!(java, Kind::Symlink { target } if target == "../lib/jvm/java-21-openjdk-amd64/bin/java"),
        "{java:?}"
    );
}

#[test]
fn hostile_packages_write_nowhere_else() {
    let outside = |package: Package| {
        let fixture = Fixture::new(vec![package]);
        failure(fixture.compose(&["evil"], Purpose::Build))
    };
    let evil = || Package::new("evil", "1");
    let (id, _, message) = outside(evil().file("./../../escaped", "x", 0o644));
    assert_eq!(id, "debian/package");
    assert_eq!(
        message,
        "package `evil 1` cannot be unpacked: the name `./../../escaped` leads out of the archive"
    );
    let (_, _, message) = outside(evil().hard_link("./a", "../../../etc/passwd"));
    assert!(message.ends_with("leads out of the archive"), "{message}");
    let (_, _, message) = outside(evil().hard_link("./a", "/etc/passwd"));
    assert!(
        message.ends_with("`a` is a hard link to `etc/passwd`, which is not a file before it"),
        "{message}"
    );
    let (_, _, message) = outside(evil().link("./a", "../../etc"));
    assert!(message.ends_with("the link `a` to `../../etc` leads out of the root"), "{message}");
    let fixture = Fixture::new(vec![evil().link("./a", "/etc").file("./a/passwd", "evil", 0o644)]);
    let tree = fixture.compose(&["evil", "base-files"], Purpose::Build).unwrap();
    assert!(text(&tree, "etc/passwd").starts_with("root:x:0:0:"), "the base's own file stays");
}

/// An image of the release in the store, with these records of dpkg's and a merged `/usr`.
fn image(context: &Context, status: &str) -> BaseImage {
    let mut builder = tar::Builder::new(Vec::new());
    let mut add = |kind: tar::EntryType, path: &str, text: &str| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(0o755);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        let body = if kind.is_symlink() { "" } else { text };
        header.set_size(body.len() as u64);
        if kind.is_symlink() {
            builder.append_link(&mut header, path, text).unwrap();
        } else {
            builder.append_data(&mut header, path, body.as_bytes()).unwrap();
        }
    };
    add(tar::EntryType::Regular, "etc/os-release", "ID=debian\nVERSION_ID=13\n");
    add(tar::EntryType::Regular, "var/lib/dpkg/status", status);
    add(tar::EntryType::Symlink, "bin", "usr/bin");
    add(tar::EntryType::Regular, "usr/bin/theirs", "theirs");
    let (layer, size) = context.store.put_blob(&builder.into_inner().unwrap()[..]).unwrap();
    let (config, config_size) = context.store.put_blob(&b"{}"[..]).unwrap();
    BaseImage {
        reference: "registry.example/base:13".to_owned(),
        digest: layer,
        config: Blob { digest: config, size: config_size },
        release: Some("debian-13".to_owned()),
        layers: vec![BaseLayer { media_type: LAYER.to_owned(), digest: layer, size, diff_id: layer }],
    }
}

#[test]
fn an_image_gets_what_it_lacks_and_what_is_too_old() {
    let fixture = Fixture::new(vec![
        Package::new("tool", "1").field("Depends: lib (>= 2), present, awk").file(
            "./bin/tool",
            "ours",
            0o755,
        ),
        Package::new("lib", "2").file("./usr/lib/lib.so", "2", 0o644),
        Package::new("present", "1").field("Depends: unwanted").file("./usr/bin/present", "", 0o755),
        Package::new("unwanted", "1").file("./usr/bin/unwanted", "", 0o755),
        Package::new("mawk", "1").field("Provides: awk").file("./usr/bin/mawk", "", 0o755),
    ]);
    let context = fixture.context();
    let record = |name: &str| format!("Package: {name}\nStatus: install ok installed\nVersion: 1\n\n");
    let image = image(&context, &(record("lib") + &record("present")));
    let wanted = RootRequest { image: Some(image), ..request(&["tool"], true) };
    let root = context.root(&wanted).unwrap();
    let names: Vec<_> = root.packages.iter().map(|package| package.name.as_str()).collect();
    assert_eq!(names, ["lib", "mawk", "tool"]);
    let tree = compose(&root, Purpose::Build, &context).unwrap();
    assert_eq!(text(&tree, "usr/bin/tool"), "ours");
    assert_eq!(text(&tree, "usr/bin/theirs"), "theirs");
    assert!(matches!(&tree.get("bin").unwrap().kind, Kind::Symlink { target } if target == "usr/bin"));
    let status = text(&tree, "var/lib/dpkg/status");
    let listed: Vec<_> = status.lines().filter_map(|line| line.strip_prefix("Package: ")).collect();
    assert_eq!(listed, ["lib", "present", "lib", "mawk", "tool"]);
    // In the app's image only what is added is ours.
    let root = context.root(&RootRequest { closure: false, ..wanted }).unwrap();
    let tree = compose(&root, Purpose::Runtime, &context).unwrap();
    let files: Vec<_> = tree
        .iter()
        .filter(|(_, entry)| !matches!(entry.kind, Kind::Directory { .. }))
        .map(|(path, _)| path)
        .collect();
    let record = "var/lib/dpkg/status.d/tool";
    assert_eq!(files, ["usr/bin/tool", record, &format!("{record}.md5sums")]);
}
