//! `rpack.lock`: what it says, what it holds builds to, what drift looks like, and that nothing is asked of the network.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::debian_repository::{Package, Release, Repository, Signing};
use crate::support::http_server::{Fault, Server};
use crate::support::{Finished, RPACK, TestContext};

/// When the test's archive was made: 2023-11-14T22:13:20Z.
const MADE: i64 = 1_700_000_000;
const YEAR: i64 = 365 * 86_400;

/// A program with a Procfile that wants the package `tool`, and an archive that has it.
struct Fixture {
    repository: Repository,
    context: TestContext,
    snapshots: Server,
}

impl Fixture {
    fn new() -> Self {
        let fixture =
            Self { repository: Repository::new(), context: TestContext::new(), snapshots: Server::start() };
        fixture.context.file("Procfile", "web: ./server\n").file("server", "#!/bin/sh\n");
        fixture.context.file("rpack.toml", "name = \"shop\"\nruntime.packages = [\"tool\"]\n");
        let mut fixture = fixture;
        fixture.publish(&[tool("1.0"), library("1.0")]);
        fixture
    }

    /// Publishes these versions in place of the earlier ones.
    fn publish(&mut self, packages: &[Package]) {
        for package in packages {
            self.repository.replace(package.clone());
        }
        let now = jiff::Timestamp::now().as_second();
        self.repository.publish(Release { date: MADE, valid_until: now + YEAR, signing: Signing::Trusted });
        self.repository.write_definitions(&self.definitions());
        // As in the real base, the machine says where the archive is.
        let base = self.definitions().join("bases/debian-13.toml");
        let text = fs::read_to_string(&base).unwrap();
        let fixed = format!("url = \"{}/debian\"", self.repository.server.url());
        let ecosystem =
            "ecosystem = \"debian\"\nsnapshot = \"http://snapshot.example/archive/debian/{timestamp}/\"";
        assert!(text.contains(&fixed));
        fs::write(base, text.replace(&fixed, ecosystem)).unwrap();
    }

    fn definitions(&self) -> PathBuf {
        self.context.root().join("definitions")
    }

    /// A command with a store of its own, through this fixture's archive.
    fn command(&self, store: &str, arguments: &[&str]) -> Command {
        let mut command = self.context.command(arguments);
        let archive = format!("{}/debian", self.repository.server.url());
        command
            .env("RPACK_STORE", self.context.root().join(store))
            .env("RPACK_MIRROR__DEBIAN", archive)
            .env("RPACK_MIRROR__DEBIAN_SNAPSHOT", format!("{}/mirror", self.snapshots.url()))
            .arg("--definitions")
            .arg(self.definitions());
        command
    }

    fn rpack(&self, store: &str, arguments: &[&str]) -> Finished {
        let mut finished = self.context.finish(self.command(store, arguments).output().unwrap());
        for server in [&self.repository.server, &self.snapshots] {
            finished.stderr = finished.stderr.replace(&server.url(), "[SERVER]");
        }
        finished
    }

    /// The image's digest.
    #[track_caller]
    fn build(&self, store: &str) -> String {
        self.rpack(store, &["build", "--quiet"]).success()
    }

    fn lock(&self) -> String {
        fs::read_to_string(self.context.app().join("rpack.lock")).unwrap()
    }

    fn requests(&self) -> Vec<String> {
        let mut requests = self.repository.server.take_requests();
        requests.sort();
        requests
    }
}

fn tool(version: &str) -> Package {
    Package::new("tool", version).field("Depends: library").file("./usr/bin/tool", version, 0o755)
}

fn library(version: &str) -> Package {
    Package::new("library", version).file("./usr/lib/library.so", version, 0o644)
}

const POOL: [&str; 3] = [
    "/debian/pool/main/base-files_13_amd64.deb",
    "/debian/pool/main/library_1.0_amd64.deb",
    "/debian/pool/main/tool_1.0_amd64.deb",
];

#[test]
fn the_file_says_what_was_resolved_and_names_no_host() {
    let fixture = Fixture::new();
    let finished = fixture.rpack("store", &["lock"]);
    assert_eq!(
        finished.stderr.lines().last(),
        Some("rpack.lock: 3 Debian packages, 0 tools for linux/amd64; written")
    );
    assert_eq!(
        finished.success(),
        "platform  linux/amd64  not locked → debian-13  the lock does not cover it\n"
    );
    insta::assert_snapshot!("rpack_lock", without_sizes(&fixture.lock()));
    let first = fixture.lock();
    assert_eq!(fixture.rpack("store", &["lock", "--check"]).success(), "");
    assert_eq!(fixture.rpack("other-store", &["lock"]).success(), "");
    assert_eq!(fixture.rpack("store", &["lock", "--upgrade"]).success(), "");
    assert_eq!(fixture.lock(), first, "equal locks are equal bytes");
}

#[test]
fn a_locked_build_gives_the_same_image_whatever_is_published_later() {
    let mut fixture = Fixture::new();
    let unlocked = fixture.build("store");
    fixture.rpack("store", &["lock"]).success();
    assert_eq!(fixture.build("store"), unlocked, "the lock itself is no part of the image");

    fixture.publish(&[tool("1.1"), library("1.1")]);
    fixture.requests();
    assert_eq!(fixture.build("empty"), unlocked);
    assert_eq!(fixture.requests(), POOL, "no index was read");

    fs::rename(fixture.context.app().join("rpack.lock"), fixture.context.root().join("kept")).unwrap();
    assert_ne!(fixture.build("newer"), unlocked);
    fs::rename(fixture.context.root().join("kept"), fixture.context.app().join("rpack.lock")).unwrap();

    // Another machine with another mirror, which serves nothing but the pool.
    let mirror = Server::start();
    for path in POOL {
        mirror.put(&path.replace("/debian/", "/elsewhere/"), fixture.repository.server.get(path));
    }
    let mut command = fixture.command("elsewhere", &["build", "--quiet"]);
    command.env("RPACK_MIRROR__DEBIAN", format!("{}/elsewhere", mirror.url()));
    assert_eq!(fixture.context.finish(command.output().unwrap()).success(), unlocked);
}

#[test]
fn what_the_pool_has_dropped_comes_from_the_snapshot_of_its_time() {
    let fixture = Fixture::new();
    let digest = fixture.build("store");
    fixture.rpack("store", &["lock"]).success();
    for path in &POOL[1..] {
        fixture.repository.server.fail(path, &vec![Fault::Status(404); 20]);
    }
    let refused = fixture.rpack("gone", &["build", "--quiet"]);
    assert_eq!((refused.status, refused.stdout.as_str()), (5, ""));
    insta::assert_snapshot!("vanished", refused.stderr);

    // The snapshot of half a day later is asked first; one that is overloaded is asked again.
    fixture.snapshots.take_requests();
    let kept = |path: &str, time: &str| path.replace("/debian/", &format!("/mirror/archive/debian/{time}/"));
    let (library, tool) = (kept(POOL[1], "20231115T101320Z"), kept(POOL[2], "20231114T221320Z"));
    fixture.snapshots.put(&library, fixture.repository.server.get(POOL[1]));
    fixture.snapshots.put(&tool, fixture.repository.server.get(POOL[2]));
    fixture.snapshots.fail(&library, &[Fault::Status(503), Fault::Status(429)]);
    assert_eq!(fixture.build("restored"), digest);
    let mut requests = fixture.snapshots.take_requests();
    requests.sort();
    let missed = kept(POOL[2], "20231115T101320Z");
    assert_eq!(requests, [tool, library.clone(), library.clone(), library.clone(), missed]);

    // The digest decides: a snapshot that holds another file is refused.
    fixture.snapshots.put(&library, b"something else".to_vec());
    let refused = fixture.rpack("tampered", &["build", "--quiet"]);
    assert_eq!(refused.status, 1);
    assert!(
        refused.stderr.starts_with("error[debian/tampered]: package `library 1.0` from "),
        "{}",
        refused.stderr
    );
}

#[test]
fn drift_is_a_notice_and_under_locked_an_error_that_lists_it() {
    let mut fixture = Fixture::new();
    fixture.rpack("store", &["lock"]).success();
    fixture.publish(&[
        tool("1.1"),
        library("1.1"),
        Package::new("fonts", "3").field("Depends: glyphs (>= 2)"),
        Package::new("glyphs", "2"),
    ]);
    fixture
        .context
        .file("rpack.toml", "name = \"shop\"\nruntime.packages = [\n  \"tool\",\n  \"fonts\",\n]\n");

    let noticed = fixture.rpack("fresh", &["plan"]);
    let shown = "warning[lock/outdated]: `rpack.lock` is out of date: `fonts`, `glyphs` differ; `rpack lock` brings it up \
                 to date and shows how";
    assert!(noticed.stdout.contains(shown), "{}", noticed.stdout);

    for (flags, variable) in [(&["plan", "--locked", "--offline"][..], None), (&["build"], Some("1"))] {
        let mut command = fixture.command("empty", flags);
        variable.map(|value| command.env("RPACK_LOCKED", value));
        let refused = fixture.context.finish(command.output().unwrap());
        assert_eq!((refused.status, refused.stdout.as_str()), (2, ""));
        insta::assert_snapshot!("drift_added", refused.stderr);
    }

    assert_eq!(
        fixture.rpack("fresh", &["lock", "--dry-run"]).success(),
        "package  fonts   not locked → 3  rpack.toml:4\npackage  glyphs  not locked → 2  needed by `fonts`\n"
    );
    let outdated = fixture.rpack("fresh", &["lock", "--check"]);
    assert_eq!(outdated.status, 1);
    insta::assert_snapshot!("check_fails", outdated.stderr);
    fixture.rpack("fresh", &["lock"]).success();
    assert!(fixture.lock().contains("name = \"tool\"\nversion = \"1.0\""), "the rest stays");

    fixture.context.file("rpack.toml", "name = \"shop\"\nruntime.packages = [\"fonts\"]\n");
    let refused = fixture.rpack("empty", &["build", "--locked"]);
    assert_eq!(refused.status, 2);
    insta::assert_snapshot!("drift_removed", refused.stderr);
    assert_eq!(
        fixture.rpack("empty", &["lock", "--offline"]).success(),
        "package  library  1.0 → removed  nothing needs it\npackage  tool     1.0 → removed  no longer asked for\n"
    );
}

#[test]
fn what_is_new_may_move_what_is_locked_when_it_must() {
    let mut fixture = Fixture::new();
    fixture.rpack("store", &["lock"]).success();
    let strict = Package::new("strict", "1").field("Depends: library (= 1.1)");
    fixture.publish(&[tool("1.1"), library("1.1"), strict]);
    fixture.context.file("rpack.toml", "runtime.packages = [\"tool\", \"strict\"]\n");
    assert_eq!(
        fixture.rpack("fresh", &["lock"]).success(),
        "package  library  1.0 → 1.1       needed by `strict`\npackage  strict   not locked → 1  rpack.toml:1\n"
    );
}

#[test]
fn upgrades_move_what_is_named_or_everything() {
    let mut fixture = Fixture::new();
    fixture.rpack("store", &["lock"]).success();
    fixture.publish(&[tool("1.1"), library("1.1")]);
    assert_eq!(fixture.rpack("fresh", &["lock"]).success(), "", "newer versions are no drift");
    assert_eq!(
        fixture.rpack("fresh", &["lock", "--upgrade", "library", "--dry-run"]).success(),
        "package  library  1.0 → 1.1  needed by `tool`\n"
    );
    assert_eq!(
        fixture.rpack("fresh", &["lock", "--upgrade", "tool"]).success(),
        "package  tool  1.0 → 1.1  rpack.toml:2\n"
    );
    let report = fixture.rpack("fresh", &["lock", "--upgrade", "debian-13", "--dry-run", "--json"]).success();
    assert_eq!(
        report,
        "{\"changed\":true,\"differences\":[{\"locked\":\"1.0\",\"name\":\"library\",\"subject\":\"package\",\
         \"wanted\":\"1.1\",\"why\":\"needed by `tool`\"}],\"file\":\"rpack.lock\",\"written\":false}\n"
    );
    assert_eq!(
        fixture.rpack("fresh", &["lock", "--upgrade"]).success(),
        "package  library  1.0 → 1.1  needed by `tool`\n"
    );
    let unknown = fixture.rpack("fresh", &["lock", "--upgrade", "lib"]);
    assert_eq!(unknown.status, 2);
    insta::assert_snapshot!("unknown_name", unknown.stderr);
}

#[test]
fn tools_stay_until_something_else_is_asked_for() {
    let fixture = Fixture::new();
    let app = &fixture.context;
    fs::remove_file(app.app().join("Procfile")).unwrap();
    let manifest =
        |node: &str| format!("{{\n  \"name\": \"shop\",\n  \"engines\": {{ \"node\": \"{node}\" }}\n}}\n");
    app.file("package.json", &manifest(">=20")).file("server.js", "");
    app.file(
        "package-lock.json",
        "{\"name\": \"shop\", \"lockfileVersion\": 3, \"packages\": {\"\": {\"name\": \"shop\"}}}",
    );
    let registry = Server::start();
    let publish = |package: &str, versions: &[&str]| {
        let versions: serde_json::Map<_, _> = versions
            .iter()
            .map(|version| {
                let tarball = format!("http://any.example/{package}/-/{package}-{version}.tgz");
                let dist = serde_json::json!({ "tarball": tarball, "integrity": format!("sha512-{package}{version}") });
                ((*version).to_owned(), serde_json::json!({ "dist": dist }))
            })
            .collect();
        registry.put(&format!("/{package}"), serde_json::json!({ "versions": versions }).to_string());
    };
    let rpack = |store: &str, arguments: &[&str]| {
        let mut command = fixture.command(store, arguments);
        fixture.context.finish(command.env("RPACK_MIRROR__NPM", registry.url()).output().unwrap())
    };
    let node = format!("node-linux-{}", if cfg!(target_arch = "aarch64") { "arm64" } else { "x64" });
    publish(&node, &["22.1.0", "24.1.0"]);
    publish("npm", &["10.9.9", "11.1.0"]);
    rpack("store", &["lock"]).success();
    let lock = fixture.lock();
    let (start, end) = (lock.find("[[tool]]").unwrap(), lock.find("[[package]]").unwrap());
    insta::assert_snapshot!("tools", &lock[start..end]);

    publish(&node, &["22.1.0", "24.1.0", "24.2.0"]);
    registry.take_requests();
    fixture.requests();
    let locked = rpack("empty", &["plan", "--json", "--locked"]).success();
    assert!(
        locked.contains("\"requested\":\">=20\"") && locked.contains("\"version\":\"24.1.0\""),
        "{locked}"
    );
    app.file("package.json", &manifest(">=22"));
    rpack("empty", &["plan", "--locked"]).success();
    assert_eq!((registry.take_requests(), fixture.requests()), (Vec::new(), Vec::new()));

    app.file("package.json", &manifest("22"));
    for arguments in [&["plan", "--locked", "--offline"][..], &["plan", "--locked"]] {
        let refused = rpack("empty", arguments);
        assert_eq!(refused.status, 2);
        let name = if arguments.len() == 3 { "tool_drift_offline" } else { "tool_drift" };
        insta::assert_snapshot!(name, refused.stderr);
    }
    app.file("package.json", &manifest(">=20"));
    assert_eq!(
        rpack("newer", &["lock", "--upgrade", "node"]).success(),
        "tool  node  24.1.0 → 24.2.0  package.json:3 engines.node asks for >=20\n"
    );
}

#[test]
fn a_broken_lock_is_shown_at_its_line() {
    let fixture = Fixture::new();
    fixture.rpack("store", &["lock"]).success();
    let good = fixture.lock();
    let digest = good.lines().find(|line| line.starts_with("sha256 = ")).unwrap();
    let broken = [
        ("merge", good.replacen("[[root]]", "<<<<<<< HEAD\n[[root]]", 1)),
        ("digest", good.replacen(digest, "sha256 = \"md5:0\"", 1)),
        ("name", good.replacen("name = \"base-files\"", "name = \"../../etc/passwd\"", 1)),
        ("path", good.replacen("pool/main", "../pool", 1)),
        ("date", good.replacen("20231114T221320Z", "yesterday", 1)),
        ("field", good.replacen("suite = ", "sweet = ", 1)),
        ("version", good.replacen("version = 1", "version = 2", 1)),
    ];
    for (name, text) in broken {
        fixture.context.file("rpack.lock", &text);
        let refused = fixture.rpack("store", &["plan"]);
        assert_eq!((refused.status, refused.stdout.as_str()), (2, ""), "{name}: {}", refused.stderr);
        insta::assert_snapshot!(format!("broken_{name}"), refused.stderr);
    }
    fs::remove_file(fixture.context.app().join("rpack.lock")).unwrap();
    let refused = fixture.rpack("store", &["build", "--locked"]);
    assert_eq!(refused.status, 2);
    insta::assert_snapshot!("missing", refused.stderr);
}

/// Sizes and digests of the packages made here depend on the compressor; they are cut.
fn without_sizes(lock: &str) -> String {
    let cut = |line: &str| match line.split_once(" = ") {
        Some((key @ ("size" | "sha256"), _)) => format!("{key} = [CUT]\n"),
        _ => format!("{line}\n"),
    };
    lock.lines().map(cut).collect()
}

#[test]
fn doctor_and_plan_mention_the_lock() {
    let fixture = Fixture::new();
    fixture.rpack("store", &["lock"]).success();
    let summary = "rpack.lock: 3 Debian packages, 0 tools for linux/amd64";
    let report = fixture.rpack("store", &["doctor", "--offline"]);
    assert!(report.stdout.contains(&format!("lock of this folder: {summary}\n")), "{}", report.stdout);
    let plan = fixture.rpack("store", &["plan"]);
    assert!(plan.stderr.contains(summary), "{}", plan.stderr);
}

/// Builds with every socket traced, in a network namespace without even a loopback interface that is up.
#[track_caller]
fn build_without_network(store: &Path, context: &TestContext, arguments: &[&str]) -> String {
    let trace = context.root().join("trace");
    let output = Command::new("unshare")
        .args(["--map-root-user", "--net", "strace", "-f", "-qq", "-e", "trace=socket,connect,sendto", "-o"])
        .arg(&trace)
        .arg(RPACK)
        .args(arguments)
        .current_dir(context.app())
        .env("RPACK_STORE", store)
        .env_remove("CI")
        .output()
        .unwrap();
    let digest = context.finish(output).success();
    let sockets = fs::read_to_string(trace).unwrap();
    let inet: Vec<&str> = sockets.lines().filter(|line| line.contains("AF_INET")).collect();
    assert_eq!(inet, Vec::<&str>::new(), "a socket was opened");
    digest
}

/// The store of the tests, which others use at the same time, as one that knows no registry.
fn without_metadata(context: &TestContext) -> PathBuf {
    let store = context.root().join("blind");
    fs::create_dir_all(store.join("metadata")).unwrap();
    for entry in fs::read_dir(context.store()).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name() != "metadata" {
            std::os::unix::fs::symlink(entry.path(), store.join(entry.file_name())).unwrap();
        }
    }
    store
}

#[test]
#[ignore = "needs the network and strace: run by .ci/run"]
fn network_a_locked_build_from_a_warm_store_opens_no_socket() {
    for name in ["go-http", "node-express", "python-flask"] {
        let context = TestContext::of_example(name);
        let arguments = ["build", "--quiet", "--name", "app"];
        let unlocked = context.rpack(&arguments).success();
        let offline = [&arguments[..], &["--offline"]].concat();
        assert_eq!(
            build_without_network(context.store(), &context, &offline),
            unlocked,
            "{name} without a lock"
        );
        context.rpack(&["lock"]).success();
        let locked = [&offline[..], &["--locked"]].concat();
        assert_eq!(build_without_network(context.store(), &context, &locked), unlocked, "{name} with a lock");
        // Without metadata of any registry the lock alone leads to the same image.
        let blind = without_metadata(&context);
        assert_eq!(
            build_without_network(&blind, &context, &locked),
            unlocked,
            "{name} with nothing but the lock"
        );
    }
}

#[test]
#[ignore = "needs the network: run by .ci/run"]
fn network_two_platforms_share_one_lock() {
    let context = TestContext::of_example("python-flask");
    context.rpack(&["lock", "--platform", "linux/amd64,linux/arm64"]).success();
    let lock = fs::read_to_string(context.app().join("rpack.lock")).unwrap();
    let tzdata: Vec<&str> = lock.split("\n\n").filter(|part| part.contains("name = \"tzdata\"\n")).collect();
    assert_eq!(tzdata.len(), 1, "a package for all architectures is there once");
    assert!(tzdata[0].contains("\"runtime linux/amd64\", \"runtime linux/arm64\""), "{}", tzdata[0]);
    assert_eq!(lock.split("\n\n").filter(|part| part.contains("name = \"libc6\"\n")).count(), 2);
    context.rpack(&["plan", "--locked", "--offline"]).success();
    assert_eq!(context.rpack(&["lock", "--check"]).success(), "", "both stay covered");
    let dropped = context.rpack(&["lock", "--platform", "linux/amd64"]).success();
    assert_eq!(dropped, "platform  linux/arm64  covered → removed  no longer asked for\n");
}
