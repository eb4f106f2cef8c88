//! What a tampered, expired, unsigned or hostile archive leads to, and what a good one gives.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::debian_repository::{Package, Release, Repository, Signing};
use super::http_server::Fault;
use crate::definitions::Definitions;
use crate::http::{Client, Options};
use crate::oci::image::LAYER;
use crate::plan::lock::{self, Resolver as _};
use crate::plan::model::{BaseImage, BaseLayer, Blob, Catalogue as _, Root, RootRequest, Source};
use crate::rootfs::{Context, Endpoints, Machine, Purpose, compose};
use crate::store::{Kind, Store, Tree};
use crate::ui::{Diagnose, ExitCode, Progress, Reporter};

const DAY: i64 = 86_400;

struct Fixture {
    repository: Repository,
    folder: tempfile::TempDir,
    now: i64,
}

impl Fixture {
    fn new(packages: Vec<Package>) -> Self {
        let mut repository = Repository::new();
        for package in packages {
            repository.add(package);
        }
        let fixture = Self {
            repository,
            folder: tempfile::tempdir().unwrap(),
            now: jiff::Timestamp::now().as_second(),
        };
        fixture.publish(0, 7, Signing::Trusted);
        fixture
    }

    /// Publishes with times in days from now.
    fn publish(&self, date: i64, valid_until: i64, signing: Signing) {
        let time = |days| self.now + days * DAY;
        self.repository.publish(Release { date: time(date), valid_until: time(valid_until), signing });
    }

    fn context_at(&self, now: i64, offline: bool) -> Context {
        let definitions = self.folder.path().join("definitions");
        self.repository.write_definitions(&definitions);
        let definitions = Definitions::with_folder(&definitions).unwrap();
        let machine = Machine { root: PathBuf::from("/nowhere"), home: None, environment: BTreeMap::new() };
        let endpoints = Endpoints::new(machine, &BTreeMap::new(), &definitions).unwrap();
        let options = Options { offline, pause: Duration::from_millis(1), parallel: 4 };
        let client = Client::new(options).unwrap();
        let store = Store::open(self.folder.path().join("store")).unwrap();
        Context::new(store, client, Reporter::new(Progress::Quiet), definitions, endpoints, now)
    }

    fn context(&self) -> Context {
        self.context_at(self.now, false)
    }

    fn resolve(&self, names: &[&str]) -> Result<Root, Box<dyn Diagnose + Send + Sync>> {
        self.context().root(&request(names, true))
    }

    fn compose(&self, names: &[&str], purpose: Purpose) -> Result<Tree, Box<dyn Diagnose + Send + Sync>> {
        let context = self.context();
        let root = context.root(&request(names, purpose == Purpose::Build))?;
        Ok(compose(&root, purpose, &context)?)
    }
}

fn request(names: &[&str], closure: bool) -> RootRequest {
    RootRequest {
        base: "debian-13".to_owned(),
        architecture: "amd64".to_owned(),
        packages: names.iter().map(|name| ((*name).to_owned(), "base".to_owned())).collect(),
        closure,
        with_dependencies: Vec::new(),
        image: None,
    }
}

fn failure<T>(result: Result<T, Box<dyn Diagnose + Send + Sync>>) -> (&'static str, ExitCode, String) {
    let error = result.err().expect("this must fail");
    (error.id(), error.exit(), error.to_string())
}

fn text(tree: &Tree, path: &str) -> String {
    let Some(Kind::File { content, .. }) = tree.get(path).map(|entry| &entry.kind) else {
        panic!("{path} is not a file");
    };
    String::from_utf8(content.read().unwrap().into_owned()).unwrap()
}

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
fn equal_requests_give_equal_digests_and_the_second_asks_nothing() {
    let mut fixture = Fixture::new(Vec::new());
    let first = fixture.resolve(&["base-files"]).unwrap();
    assert!(!fixture.repository.server.take_requests().is_empty());
    assert_eq!(fixture.resolve(&["base-files"]).unwrap(), first);
    assert_eq!(fixture.repository.server.take_requests(), Vec::<String>::new());
    fixture.context_at(fixture.now + 3600, false).root(&request(&["base-files"], true)).unwrap();
    assert_eq!(fixture.repository.server.take_requests(), [Repository::IN_RELEASE]);
    fixture.repository.add_empty(&["further"]);
    fixture.publish(0, 7, Signing::Trusted);
    let later = fixture.context_at(fixture.now + 7200, false);
    assert_eq!(later.root(&request(&["base-files"], true)).unwrap(), first);
    let further = Source::Debian {
        base: "debian-13".to_owned(),
        architecture: "amd64".to_owned(),
        package: "further".to_owned(),
    };
    assert_eq!(later.releases(&further).unwrap()[0].version, "1.0");
}

#[test]
fn offline_uses_what_is_there_and_says_what_is_not() {
    let fixture = Fixture::new(Vec::new());
    let offline = |now| fixture.context_at(now, true);
    let wanted = request(&["base-files"], true);
    let (id, exit, _) = failure(offline(fixture.now).root(&wanted));
    assert_eq!((id, exit), ("network/offline", ExitCode::Network));
    fixture.compose(&["base-files"], Purpose::Build).unwrap();
    let context = offline(fixture.now + 30 * DAY);
    let root = context.root(&wanted).unwrap();
    compose(&root, Purpose::Build, &context).unwrap();
}

#[test]
fn a_changed_package_is_refused() {
    let fixture = Fixture::new(Vec::new());
    let path = "/debian/pool/main/base-files_13_amd64.deb";
    let mut bytes = fixture.repository.server.get(path);
    *bytes.last_mut().unwrap() ^= 1;
    fixture.repository.server.put(path, bytes.clone());
    let (id, exit, message) = failure(fixture.compose(&["base-files"], Purpose::Build));
    assert_eq!((id, exit), ("debian/tampered", ExitCode::Failed));
    let url = format!("{}{path}", fixture.repository.server.url());
    assert!(
        message
            .starts_with(&format!("package `base-files 13` from {url} is not the file that Debian signed")),
        "{message}"
    );
    bytes.pop();
    fixture.repository.server.put(path, bytes);
    assert_eq!(failure(fixture.compose(&["base-files"], Purpose::Build)).0, "debian/tampered");
}

#[test]
fn metadata_that_is_expired_unsigned_changed_or_by_a_stranger_is_refused() {
    let fixture = Fixture::new(Vec::new());
    let url = format!("{}{}", fixture.repository.server.url(), Repository::IN_RELEASE);
    let refused = |id: &str, start: &str| {
        let (found, exit, message) = failure(fixture.resolve(&["base-files"]));
        assert_eq!((found, exit), (id, ExitCode::Failed), "{message}");
        assert!(message.starts_with(&format!("{url} {start}")), "{message}");
    };
    fixture.publish(-8, -1, Signing::Trusted);
    refused("debian/expired", "expired at ");
    fixture.publish(3, 7, Signing::Trusted);
    refused("debian/clock", "was made at ");
    fixture.publish(0, 7, Signing::Nobody);
    refused("debian/unsigned", "is not signed: ");
    fixture.publish(0, 7, Signing::Stranger);
    refused("debian/signature", "has no valid signature by a key of base `debian-13`");
    fixture.publish(0, 7, Signing::Trusted);
    let signed = String::from_utf8(fixture.repository.server.get(Repository::IN_RELEASE)).unwrap();
    fixture.repository.server.put(Repository::IN_RELEASE, signed.replace("Origin: Test", "Origin: Fest"));
    refused("debian/signature", "has no valid signature");
    fixture.repository.server.put(Repository::IN_RELEASE, format!("Codename: x\n{signed}"));
    refused("debian/unsigned", "is not signed: ");
}

#[test]
fn a_changed_index_is_refused() {
    let fixture = Fixture::new(Vec::new());
    fixture.resolve(&["base-files"]).unwrap();
    let path = fixture.repository.server.take_requests().pop().unwrap();
    assert!(path.contains("/by-hash/SHA256/"), "{path}");
    let mut bytes = fixture.repository.server.get(&path);
    bytes[20] ^= 1;
    fixture.repository.server.put(&path, bytes);
    std::fs::remove_dir_all(fixture.folder.path().join("store")).unwrap();
    let (id, _, message) = failure(fixture.resolve(&["base-files"]));
    assert_eq!(id, "debian/tampered");
    assert!(message.starts_with("the index of `tiny` from "), "{message}");
}

#[test]
fn what_cannot_be_resolved_is_explained() {
    let fixture = Fixture::new(vec![
        Package::new("libapp", "1.0"),
        Package::new("app", "1").field("Depends: libapp (>= 2)"),
        Package::new("mail-a", "1").field("Provides: mail").field("Conflicts: mail"),
        Package::new("mail-b", "1").field("Provides: mail").field("Conflicts: mail"),
    ]);
    let found = |names: &[&str]| failure(fixture.resolve(names));
    assert_eq!(
        found(&["libap"]),
        ("debian/unknown-package", ExitCode::Usage, "base `debian-13` has no package `libap`".to_owned())
    );
    let hints = fixture.resolve(&["libap"]).unwrap_err().hints();
    assert_eq!(hints, ["names that look like it: `libapp`"]);
    assert_eq!(
        found(&["app"]).2,
        "base `debian-13` has nothing that satisfies `libapp (>= 2)`, which `app 1` needs; it has libapp 1.0"
    );
    assert_eq!(
        found(&["mail-a", "mail-b"]),
        (
            "debian/conflict",
            ExitCode::Usage,
            "packages `mail-a 1` and `mail-b 1` cannot be in one root: the first conflicts with `mail`"
                .to_owned()
        )
    );
}

#[test]
fn who_needs_whom_is_shown() {
    let fixture = Fixture::new(vec![
        Package::new("app", "1").field("Depends: middle"),
        Package::new("middle", "2").field("Depends: libapp (>= 2)"),
        Package::new("libapp", "1.0"),
        Package::new("other", "1").field("Depends: old"),
        Package::new("old", "3"),
        Package::new("new", "4").field("Breaks: old (<< 5)"),
    ]);
    let detail = |names: &[&str]| fixture.resolve(names).unwrap_err().detail();
    assert_eq!(detail(&["app"]).as_deref(), Some("app 1\n  needs middle 2"));
    assert_eq!(detail(&["new", "other"]).as_deref(), Some("other 1\n  needs old 3"));
    assert_eq!(
        failure(fixture.resolve(&["new", "other"])),
        (
            "debian/conflict",
            ExitCode::Usage,
            "packages `new 4` and `old 3` cannot be in one root: the first breaks `old (<< 5)`".to_owned()
        )
    );
    let hints = fixture.resolve(&["new", "other"]).unwrap_err().hints();
    assert_eq!(hints, ["ask for only one of `new` and `other` in `build.packages` or `runtime.packages`"]);
}

fn chosen(fixture: &Fixture, names: &[&str]) -> Vec<String> {
    let root = fixture.resolve(names).unwrap();
    root.packages.iter().map(|package| format!("{} {}", package.name, package.version)).collect()
}

#[test]
fn an_alternative_that_turns_out_impossible_is_taken_back() {
    let fixture = Fixture::new(vec![
        Package::new("app", "1").field("Depends: first | second, last"),
        Package::new("first", "1").field("Depends: libfirst"),
        Package::new("libfirst", "1"),
        Package::new("second", "1"),
        Package::new("last", "1").field("Conflicts: libfirst"),
        Package::new("lost", "1").field("Depends: broken | second"),
        Package::new("broken", "1").field("Depends: nothing"),
    ]);
    assert_eq!(chosen(&fixture, &["app"]), ["app 1", "last 1", "second 1"]);
    assert_eq!(chosen(&fixture, &["lost"]), ["lost 1", "second 1"]);
}

#[test]
fn provided_names_have_versions_and_architectures() {
    let fixture = Fixture::new(vec![
        Package::new("any", "1").field("Depends: tool:any"),
        Package::new("here", "1").field("Depends: tool:amd64, plain:native"),
        Package::new("there", "1").field("Depends: tool:i386"),
        Package::new("strict", "1").field("Depends: plain:any"),
        Package::new("tool", "1").field("Multi-Arch: allowed"),
        Package::new("plain", "1").field("Provides: name (= 3)"),
        Package::new("virtual", "1").field("Depends: name (>= 3)"),
        Package::new("newer", "1").field("Depends: name (>= 4)"),
        Package::new("foe", "1").field("Breaks: name (<< 4)"),
        Package::new("friend", "1").field("Breaks: name (<< 3)"),
    ]);
    assert_eq!(chosen(&fixture, &["any"]), ["any 1", "tool 1"]);
    assert_eq!(chosen(&fixture, &["here"]), ["here 1", "plain 1", "tool 1"]);
    assert_eq!(chosen(&fixture, &["virtual", "friend"]), ["friend 1", "plain 1", "virtual 1"]);
    for (name, id) in [
        ("there", "debian/unsatisfied"),
        ("strict", "debian/unsatisfied"),
        ("newer", "debian/unknown-package"),
    ] {
        assert_eq!(failure(fixture.resolve(&[name])).0, id, "{name}");
    }
    assert_eq!(failure(fixture.resolve(&["foe", "virtual"])).0, "debian/conflict");
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

#[test]
fn broken_transfers_go_on_where_they_stopped() {
    let fixture = Fixture::new(Vec::new());
    let context = fixture.context();
    let root = context.root(&request(&["base-files"], true)).unwrap();
    let path = "/debian/pool/main/base-files_13_amd64.deb";
    fixture.repository.server.take_requests();
    fixture
        .repository
        .server
        .fail(path, &[Fault::BreakAfter(100), Fault::Status(503), Fault::BreakAfter(50)]);
    compose(&root, Purpose::Build, &context).unwrap();
    assert_eq!(
        fixture.repository.server.take_requests(),
        [path.to_owned(), format!("{path} from 100"), format!("{path} from 100"), format!("{path} from 150")]
    );
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

/// What `rpack lock` would keep of a root: the records of all of its packages.
fn kept(context: &Context, root: &Root) -> Vec<lock::Package> {
    let details = context.details(root).unwrap();
    let kept = |package: &crate::plan::model::Package| lock::Package {
        name: package.name.clone(),
        version: package.version.clone(),
        architecture: package.architecture.clone(),
        base: root.base.clone(),
        suite: details[&package.name].suite.clone(),
        archive: package.archive.clone(),
        path: package.path.clone(),
        size: package.size,
        sha256: package.sha256,
        date: details[&package.name].date,
        roots: vec!["build linux/amd64".to_owned()],
        needs: details[&package.name].needs.iter().cloned().collect(),
    };
    root.packages.iter().map(kept).collect()
}

fn versions(root: &Root) -> Vec<String> {
    root.packages.iter().map(|package| format!("{} {}", package.name, package.version)).collect()
}

#[test]
fn kept_packages_stay_even_when_the_archive_has_dropped_them() {
    let mut fixture = Fixture::new(vec![
        Package::new("app", "1").field("Depends: mail, libapp (>= 1)"),
        Package::new("libapp", "1"),
        Package::new("mailer", "1").field("Provides: mail"),
    ]);
    let context = fixture.context();
    let root = context.root(&request(&["app"], true)).unwrap();
    let kept = kept(&context, &root);
    let kept: Vec<&lock::Package> = kept.iter().collect();
    assert_eq!(kept[0].needs, ["libapp", "mailer"]);
    assert_eq!((kept[0].suite.as_str(), kept[0].date), ("tiny", fixture.now));
    assert_eq!(context.assemble(&request(&["app"], true), &kept).unwrap(), root);

    for package in ["app", "libapp"] {
        fixture.repository.replace(Package::new(package, "2"));
    }
    fixture.repository.replace(Package::new("mailer", "2").field("Provides: mail"));
    fixture.repository.add(Package::new("other", "1").field("Depends: mail, libapp"));
    fixture.repository.add(Package::new("newer", "1").field("Depends: libapp (>= 2)"));
    fixture.publish(0, 7, Signing::Trusted);
    let later = fixture.context_at(fixture.now + 3600, false);
    let keeping = |names: &[&str]| versions(&later.root_keeping(&request(names, true), &kept).unwrap());
    assert_eq!(keeping(&["app"]), ["app 1", "libapp 1", "mailer 1"]);
    assert_eq!(keeping(&["app", "other"]), ["app 1", "libapp 1", "mailer 1", "other 1"]);
    assert_eq!(keeping(&["app", "newer"]), ["app 1", "libapp 2", "mailer 1", "newer 1"]);
    assert_eq!(versions(&later.root(&request(&["app"], true)).unwrap()), ["app 2"]);
    let refused = later.root_keeping(&request(&["nothing"], true), &kept).unwrap_err();
    assert_eq!(refused.id(), "debian/unknown-package");
}

#[test]
fn an_index_without_a_copy_by_its_digest_is_fetched_by_its_path() {
    let fixture = Fixture::new(Vec::new());
    fixture.resolve(&["base-files"]).unwrap();
    let by_hash = fixture.repository.server.take_requests().pop().unwrap();
    fixture.repository.server.remove(&by_hash);
    std::fs::remove_dir_all(fixture.folder.path().join("store")).unwrap();
    fixture.resolve(&["base-files"]).unwrap();
    let path = "/debian/dists/tiny/main/binary-amd64/Packages.gz";
    assert_eq!(fixture.repository.server.take_requests(), [Repository::IN_RELEASE, by_hash.as_str(), path]);
}

/// A store with the InRelease of before, and a mirror that has changed since.
fn moved_on() -> (Fixture, String) {
    let mut fixture = Fixture::new(Vec::new());
    fixture.resolve(&["base-files"]).unwrap();
    let by_hash = fixture.repository.server.take_requests().pop().unwrap();
    // The index was never needed again, as after a change of the architecture or the table's form.
    for entry in std::fs::read_dir(fixture.folder.path().join("store/metadata")).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap().to_str().unwrap().starts_with("packages-") {
            std::fs::remove_file(path).unwrap();
        }
    }
    fixture.repository.add_empty(&["further"]);
    fixture.publish(0, 7, Signing::Trusted);
    fixture.repository.server.remove(&by_hash);
    (fixture, by_hash)
}

#[test]
fn a_mirror_that_changes_before_its_index_is_fetched_is_asked_again() {
    let (fixture, by_hash) = moved_on();
    let root = fixture.resolve(&["further"]).unwrap();
    assert_eq!(root.packages[0].name, "further");
    let requests = fixture.repository.server.take_requests();
    assert_eq!(
        requests[..3],
        [by_hash.as_str(), "/debian/dists/tiny/main/binary-amd64/Packages.gz", Repository::IN_RELEASE]
    );
    assert_eq!(requests.len(), 4, "{requests:?}");
}

#[test]
fn a_package_that_the_archive_has_dropped_is_said_to_be_gone() {
    let fixture = Fixture::new(Vec::new());
    let context = fixture.context();
    let root = context.root(&request(&["base-files"], true)).unwrap();
    let path = "/debian/pool/main/base-files_13_amd64.deb";
    fixture.repository.server.remove(path);
    let gone = |root| {
        let error = compose(root, Purpose::Build, &context).unwrap_err();
        (error.id(), error.exit(), error.to_string(), error.hints())
    };
    let url = format!("{}{path}", fixture.repository.server.url());
    let (id, exit, message, _) = gone(&root);
    assert_eq!((id, exit), ("debian/vanished", ExitCode::Network));
    let start = format!("package `base-files 13` is no longer at {url}: ");
    assert_eq!(message, format!("{start}the plan is older than the archive, or the mirror is incomplete"));

    fixture.publish(-1, 6, Signing::Trusted);
    fixture.repository.server.remove(path);
    let (id, exit, message, hints) = gone(&root);
    assert_eq!((id, exit), ("debian/vanished", ExitCode::Retry));
    assert_eq!(message, format!("{start}the archive has changed since its index was read"));
    assert_eq!(hints, ["run the same command again: the new index is here"]);
}
