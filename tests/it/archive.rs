//! Root filesystems from an archive of packages: what is trusted, what is refused, end to end and without network.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::support::debian_repository::{Package, Release, Repository, Signing};
use crate::support::image::Layout;
use crate::support::{Finished, TestContext};

const DAY: i64 = 86_400;

/// An app of one ready program, and an archive to build it on.
struct Fixture {
    context: TestContext,
    repository: Repository,
    definitions: PathBuf,
}

#[expect(clippy::disallowed_methods, reason = "metadata is compared with the clock of the machine")]
fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().try_into().unwrap()
}

impl Fixture {
    fn new(days_left: i64, signing: Signing) -> Self {
        let context = TestContext::new();
        context.file("Procfile", "web: ./server --port $PORT\n").file("server", "a program\n");
        let repository = Repository::new();
        repository.publish(Release { date: now() - 20 * DAY, valid_until: now() + days_left * DAY, signing });
        let definitions = context.root().join("definitions");
        repository.write_definitions(&definitions);
        Self { context, repository, definitions }
    }

    fn build(&self, arguments: &[&str]) -> Finished {
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
