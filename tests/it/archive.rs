//! Root filesystems from an archive of packages: what is trusted, what is refused, end to end and without network.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::support::debian_repository::{Package, Release, Repository, Signing};
use crate::support::image::Layout;
use crate::support::{Finished, TestContext};

const DAY: i64 = 86_400;

/// An app of one ready program, and an archive to build it on.
pub(crate) struct Fixture {
    pub(crate) context: TestContext,
    pub(crate) repository: Repository,
    pub(crate) definitions: PathBuf,
}

#[expect(clippy::disallowed_methods, reason = "metadata is compared with the clock of the machine")]
fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().try_into().unwrap()
}

impl Fixture {
    /// An archive that is valid for so many days.
    pub(crate) fn new(days_left: i64, signing: Signing) -> Self {
        let context = TestContext::new();
        context.file("Procfile", "web: ./server --port $PORT\n").file("server", "a program\n");
        let repository = Repository::new();
        repository.publish(Release { date: now() - 20 * DAY, valid_until: now() + days_left * DAY, signing });
        let definitions = context.root().join("definitions");
        repository.write_definitions(&definitions);
        Self { context, repository, definitions }
    }

    /// Serves the archive again, as made so many days before the last time.
    pub(crate) fn publish(&self, days: i64, signing: Signing) {
        let date = now() - (20 + days) * DAY;
        self.repository.publish(Release { date, valid_until: now() + 7 * DAY, signing });
    }

    /// `rpack build` with its complete output.
    pub(crate) fn build(&self, arguments: &[&str]) -> Finished {
        let mut all = vec!["build", "--quiet", "--definitions", self.definitions.to_str().unwrap()];
        all.extend(arguments);
        let mut finished = self.context.rpack(&all);
        finished.stderr = finished.stderr.replace(&self.repository.server.url(), "[ARCHIVE]");
        finished
    }
}

#[track_caller]
fn refused(finished: &Finished, id: &str, parts: &[&str]) {
    assert_eq!(finished.stdout, "");
    assert_eq!(finished.status, 1, "{}", finished.stderr);
    assert!(finished.stderr.starts_with(&format!("error[{id}]: ")), "{}", finished.stderr);
    for part in parts {
        assert!(finished.stderr.contains(part), "`{part}` is missing in:\n{}", finished.stderr);
    }
    assert!(finished.stderr.contains("\nhint"), "{}", finished.stderr);
}

#[test]
fn a_signed_archive_makes_an_image_and_a_second_build_needs_no_server() {
    let fixture = Fixture::new(7, Signing::Trusted);
    let layout = fixture.context.root().join("layout");
    let output = format!("oci:{}:1", layout.display());
    let digest = fixture.build(&["-o", &output]).success();
    let image = Layout::open(&layout);
    let paths: Vec<String> = image.paths().into_iter().collect();
    for path in ["app/server", "etc/debian_version", "etc/passwd", "usr/bin/rpack-init"] {
        assert!(paths.iter().any(|found| found == path), "{path} is missing in {paths:?}");
    }
    assert!(paths.iter().any(|path| path == "var/lib/dpkg/status.d/base-files"), "{paths:?}");
    let entrypoint = serde_json::json!([
        "/usr/bin/rpack-init",
        "--port",
        "8080",
        "--",
        "/app/server",
        "--port",
        "${PORT}"
    ]);
    assert_eq!(image.config["config"]["Entrypoint"], entrypoint);
    assert_eq!(image.config["config"]["User"], "65532:65532");

    fixture.repository.server.take_requests();
    assert_eq!(fixture.build(&["--offline"]).success(), digest);
    assert_eq!(fixture.repository.server.take_requests(), Vec::<String>::new());
}

#[test]
fn a_tampered_package() {
    let fixture = Fixture::new(7, Signing::Trusted);
    let path = format!("/debian/{}", Package::new("base-files", "13").path());
    let mut deb = fixture.repository.server.get(&path);
    *deb.last_mut().unwrap() ^= 1;
    fixture.repository.server.put(&path, deb);
    refused(
        &fixture.build(&[]),
        "debian/tampered",
        &["package `base-files 13` from [ARCHIVE]/debian/pool/main/", "it has digest", "expected"],
    );
}

#[test]
fn metadata_that_has_expired() {
    let fixture = Fixture::new(-1, Signing::Trusted);
    refused(&fixture.build(&[]), "debian/expired", &["[ARCHIVE]/debian/dists/tiny/InRelease"]);
}

#[test]
fn metadata_without_a_signature() {
    let fixture = Fixture::new(7, Signing::Nobody);
    refused(&fixture.build(&[]), "debian/unsigned", &["[ARCHIVE]/debian/dists/tiny/InRelease"]);
}

#[test]
fn metadata_signed_by_a_stranger() {
    let fixture = Fixture::new(7, Signing::Stranger);
    refused(&fixture.build(&[]), "debian/signature", &["[ARCHIVE]/debian/dists/tiny/InRelease"]);
}

#[test]
fn an_archive_that_does_not_answer() {
    let fixture = Fixture::new(7, Signing::Trusted);
    let Fixture { context, repository, definitions } = fixture;
    drop(repository);
    let finished =
        context.rpack(&["build", "--quiet", "--definitions", definitions.to_str().unwrap(), "--offline"]);
    assert_eq!(finished.status, 5, "{}", finished.stderr);
    assert!(finished.stderr.starts_with("error[network/offline]: "), "{}", finished.stderr);
}

#[test]
fn configuration_reaches_the_image_and_ignored_files_do_not() {
    let fixture = Fixture::new(7, Signing::Trusted);
    let context = &fixture.context;
    context.file("rpack.toml", CONFIGURATION);
    context
        .file(".gitignore", "*.log\n")
        .file("debug.log", "")
        .file(".dockerignore", "notes\n!notes/keep.txt\n");
    context.file("notes/draft.txt", "").file("notes/keep.txt", "").file("internal/plan.txt", "");
    context.file(".env", "TOKEN=secret\n").file(".git/config", "").file("node_modules/x/index.js", "");
    let layout = context.root().join("layout");
    let output = format!("oci:{}:1", layout.display());
    fixture.build(&["-o", &output, "--set", "image.labels.team=web"]).success();
    let image = Layout::open(&layout);

    let app: Vec<String> = image.paths().into_iter().filter(|path| path.starts_with("app/")).collect();
    assert_eq!(app, ["app/notes/keep.txt", "app/server"]);
    let config = &image.config["config"];
    assert_eq!(config["User"], "1000:1000");
    assert_eq!(config["ExposedPorts"], serde_json::json!({"9000/tcp": {}}));
    assert_eq!(config["Labels"]["team"], "web");
    assert_eq!(config["Labels"]["org.opencontainers.image.title"], "shop");
    assert!(
        config["Env"].as_array().unwrap().iter().any(|variable| variable == "MODE=production"),
        "{config}"
    );
    let entrypoint: Vec<&str> =
        config["Entrypoint"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
    assert_eq!(entrypoint[entrypoint.len() - 2..], ["/app/server", "serve"]);
    let data = image.listing().into_iter().find(|line| line.ends_with(" app/data/")).unwrap();
    assert!(data.starts_with("drwxrwxrwt 1000/1000 "), "{data}");
}

const CONFIGURATION: &str = r#"
name = "shop"
start.command = ["./server", "serve"]
runtime.env.MODE = "production"
source.exclude = ["/internal"]
image.user = "1000:1000"
image.ports = [9000]
image.writable = ["/app/data"]
"#;

#[test]
fn the_environment_and_flags_stand_above_the_file() {
    let fixture = Fixture::new(7, Signing::Trusted);
    fixture.context.file("rpack.toml", "name = \"file\"\n");
    let plan = |arguments: &[&str], variable: Option<&str>| {
        let mut all =
            vec!["plan", "--json", "--quiet", "--definitions", fixture.definitions.to_str().unwrap()];
        all.extend(arguments);
        let mut command = fixture.context.command(&all);
        command.envs(variable.map(|value| ("RPACK_NAME", value)));
        let printed = fixture.context.finish(command.output().unwrap()).success();
        serde_json::from_str::<serde_json::Value>(&printed).unwrap()["name"].as_str().unwrap().to_owned()
    };
    assert_eq!(plan(&[], None), "file");
    assert_eq!(plan(&[], Some("variable")), "variable");
    assert_eq!(plan(&["--name", "flag"], Some("variable")), "flag");
}
