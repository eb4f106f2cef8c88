//! The same input gives the same digest: in another folder, as another user, with another store, from the plan.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

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
