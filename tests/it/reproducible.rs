//! The same input gives the same digest: in another folder, as another user, with another store, from the plan.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use crate::archive::Fixture;
use crate::support::debian_repository::Signing;
use crate::support::{RPACK, TestContext, copy};

#[test]
#[ignore = "needs the network: run by .ci/run"]
fn network_a_plan_builds_the_same_digest_as_the_folder() {
    let context = TestContext::of_example("go-http");
    let direct = context.rpack(&["build", "--quiet"]).success();
    let plan = context.rpack(&["plan", "--json"]).success();
    assert_eq!(plan, context.rpack(&["plan", "--json"]).success(), "equal inputs give equal bytes");
    let from_plan = context.rpack_with_input(&["build", "--quiet", "--plan", "-"], &plan).success();
    assert_eq!(from_plan, direct);
}

#[test]
#[ignore = "needs the network and root (it becomes another user): run by .ci/run"]
fn network_root_other_folder_other_user_other_store() {
    for name in ["go-http", "python-flask", "node-express"] {
        let context = TestContext::of_example(name);
        let ours = context.rpack(&["build", "--quiet", "--name", "app"]).success();
        assert_eq!(elsewhere(name), ours, "{name}");
    }
}

/// Builds a copy in another place as uid 12345 with an empty store.
fn elsewhere(name: &str) -> String {
    let folder = tempfile::Builder::new().prefix("somewhere-else-").tempdir_in("/var/tmp").unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let app = folder.path().join("a folder");
    copy(&crate::support::repository().join("examples").join(name), &app);
    let rpack = folder.path().join("rpack");
    fs::copy(RPACK, &rpack).unwrap();
    assert!(Command::new("chown").args(["-R", "12345:12345"]).arg(folder.path()).status().unwrap().success());
    let output = Command::new("setpriv")
        .args(["--reuid=12345", "--regid=12345", "--clear-groups"])
        .arg(&rpack)
        .args(["build", "--quiet", "--name", "app"])
        .current_dir(&app)
        .env("HOME", folder.path())
        .env("XDG_CACHE_HOME", folder.path().join("cache"))
        .env_remove("RPACK_STORE")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
#[ignore = "needs the network: run by .ci/run"]
fn network_an_unchanged_build_runs_no_step_and_an_edit_does_not_install_again() {
    let context = TestContext::of_example("node-express");
    let first = context.rpack(&["build"]).success();
    let again = context.rpack(&["build", "--offline", "--progress", "plain"]);
    assert_eq!(again.stdout, first);
    assert!(again.stderr.contains("node/install"), "{}", again.stderr);
    assert!(!again.stderr.contains(" | "), "a step ran:\n{}", again.stderr);

    context.file("static/new.txt", "new\n");
    let edited = context.rpack(&["build", "--offline", "--progress", "plain"]);
    assert_eq!(edited.status, 0, "{}", edited.stderr);
    assert_ne!(edited.stdout, first);
    assert!(!edited.stderr.contains("node/install |"), "installed again:\n{}", edited.stderr);
}

/// An archive served here, and builds of the same app from it in different surroundings.
struct Surroundings<'a> {
    umask: &'a str,
    environment: &'a [(&'a str, &'a str)],
    /// The user, where it is another than the one who runs the tests.
    user: Option<&'a str>,
}

/// Builds in a folder of its own with an empty store. The image's digest, and what lies unpacked in the store:
/// each path with its kind, mode and bytes.
fn build_in(fixture: &Fixture, surroundings: &Surroundings<'_>) -> (String, Vec<String>) {
    let folder = tempfile::Builder::new().prefix("rpack test ").tempdir_in("/var/tmp").unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let (app, store) = (folder.path().join("an app"), folder.path().join("store"));
    copy(&fixture.context.app(), &app);
    let rpack = folder.path().join("rpack");
    fs::copy(RPACK, &rpack).unwrap();
    let definitions = folder.path().join("definitions");
    copy(&fixture.definitions, &definitions);
    let mut command = Command::new(if surroundings.user.is_some() { "setpriv" } else { "env" });
    if let Some(user) = surroundings.user {
        let owner = format!("{user}:{user}");
        assert!(Command::new("chown").args(["-R", &owner]).arg(folder.path()).status().unwrap().success());
        command.args([format!("--reuid={user}"), format!("--regid={user}")]).arg("--clear-groups");
    }
    let output = command
        .args(["sh", "-c", &format!("umask {}; exec \"$@\"", surroundings.umask), "sh"])
        .arg(&rpack)
        .args(["build", "--quiet", "--name", "app", "--definitions"])
        .arg(&definitions)
        .current_dir(&app)
        .env("HOME", folder.path())
        .env("RPACK_STORE", &store)
        .envs(surroundings.environment.iter().copied())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut unpacked = Vec::new();
    list(&store.join("trees"), &store.join("trees"), &mut unpacked);
    unpacked.sort();
    (String::from_utf8(output.stdout).unwrap(), unpacked)
}

fn list(folder: &Path, top: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let metadata = fs::symlink_metadata(&path).unwrap();
        let name = path.strip_prefix(top).unwrap().display().to_string();
        if metadata.is_dir() {
            // The folder of an entry is the store's own.
            if name.contains("/fs") {
                found.push(format!("{name}/ {:o}", metadata.permissions().mode()));
            }
            list(&path, top, found);
        } else if metadata.is_symlink() {
            found.push(format!("{name} -> {}", fs::read_link(&path).unwrap().display()));
        } else {
            let bytes = fs::read(&path).unwrap();
            // Beside what was unpacked lie the store's own records, whose mode follows the umask.
            let is_record = ["/entries.json", "/about"].iter().any(|record| name.ends_with(record));
            let mode = if is_record { 0 } else { metadata.permissions().mode() };
            found.push(format!("{name} {mode:o} {}", String::from_utf8_lossy(&bytes)));
        }
    }
}

const HERE: Surroundings<'_> =
    Surroundings { umask: "022", environment: &[("TZ", "UTC"), ("LANG", "C")], user: None };

#[test]
fn roots_are_the_same_whatever_the_umask_the_clock_and_the_language() {
    let fixture = Fixture::new(7, Signing::Trusted);
    let first = build_in(&fixture, &HERE);
    assert!(!first.1.is_empty());
    let environment = [("TZ", "Asia/Kathmandu"), ("LANG", "tr_TR.UTF-8"), ("LC_ALL", "tr_TR.UTF-8")];
    for umask in ["000", "077"] {
        let other = build_in(&fixture, &Surroundings { umask, environment: &environment, user: None });
        assert_eq!(other, first, "umask {umask}");
    }
}

#[test]
#[ignore = "needs root (it becomes another user): run by .ci/run"]
fn root_roots_are_the_same_for_every_user() {
    let fixture = Fixture::new(7, Signing::Trusted);
    let first = build_in(&fixture, &HERE);
    for user in ["65534", "12345"] {
        assert_eq!(build_in(&fixture, &Surroundings { user: Some(user), ..HERE }), first, "{user}");
    }
}
