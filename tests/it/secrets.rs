//! Secrets: seen by the steps that ask for them, and nowhere else.

use std::fs;
use std::process::Command;

use crate::support::image::Layout;
use crate::support::{Finished, TestContext, repository};

const TOKEN: &str = "s3cr3t-T0ken-of-the-test";
const NETRC: &str = "machine registry.example login ci password an0ther-secret-value\n";

/// An app whose first step may see two secrets and whose second may see none.
fn context(first: &str, second: &str) -> TestContext {
    let context = TestContext::with_shared_store();
    context.file("Procfile", "web: bin/web\n").file("bin/web", "#!/bin/true\n");
    let step = |id: &str, command: &str, more: &str| {
        // Of its own, as a step that was run before shows no output.
        let command = toml::Value::from(format!(": {}; {command}", context.root().display()));
        format!(
            "[[step]]\nid = \"procfile/{id}\"\ntitle = \"{id}\"\nargv = [\"/bin/sh\", \"-ec\", {command}]\ninputs = \
             [\"**\"]\n{more}\n"
        )
    };
    let secrets =
        "secrets = [{ id = \"token\", variable = \"TOKEN\" }, { id = \"netrc\", path-variable = \"NETRC\" }]";
    let embedded = fs::read_to_string(repository().join("buildpacks/procfile/buildpack.toml")).unwrap();
    let steps = format!("{}{}[[layer]]", step("first", first, secrets), step("second", second, ""));
    let folder = context.root().join("definitions/buildpacks/procfile");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("buildpack.toml"), embedded.replacen("[[layer]]", &steps, 1)).unwrap();
    fs::write(context.root().join("netrc"), NETRC).unwrap();
    context
}

fn build(context: &TestContext) -> Finished {
    let mut command = context.command(&["--definitions", "../definitions", "build", "-o", "oci:../out"]);
    command.args(["--secret", "id=token,env=CI_TOKEN", "--secret", "id=netrc,src=../netrc"]);
    context.finish(command.env("CI_TOKEN", TOKEN).output().unwrap())
}

#[test]
#[ignore = "downloads Debian packages"]
fn network_userns_they_are_seen_where_they_are_asked_for_and_nowhere_else() {
    let context = context(
        "test \"$TOKEN\" = \"$(cat /run/secrets/token)\"; grep -q an0ther \"$NETRC\"
         stat -c %a /run/secrets /run/secrets/token >modes; echo \"logged in with $TOKEN\"; cat $NETRC",
        "test -z \"$TOKEN$NETRC\"; test ! -e /run/secrets; ls -A /run >run",
    );
    let finished = build(&context);
    assert_eq!(finished.status, 0, "{}", finished.stderr);
    assert!(finished.stderr.contains("logged in with •••"), "{}", finished.stderr);
    assert!(
        finished.stderr.contains("| •••\n") && !finished.stderr.contains("an0ther"),
        "{}",
        finished.stderr
    );
    let layout = context.root().join("out");
    let files = Layout::open(&layout).unpack(&context.root().join("unpacked"));
    assert_eq!(fs::read_to_string(files.join("app/modes")).unwrap(), "700\n400\n");
    assert_eq!(fs::read_to_string(files.join("app/run")).unwrap(), "lock\n");
    let plan = context.rpack(&["--definitions", "../definitions", "plan", "--json"]).success();
    fs::write(context.root().join("plan.json"), plan).unwrap();
    for place in ["out", "unpacked", "plan.json"] {
        for value in [TOKEN, "an0ther-secret-value"] {
            let found =
                Command::new("grep").args(["-rlaF", value]).arg(context.root().join(place)).output().unwrap();
            assert_eq!(String::from_utf8_lossy(&found.stdout), "", "{value} in {place}");
        }
    }
}

#[test]
#[ignore = "downloads Debian packages"]
fn network_userns_another_value_does_not_run_a_step_again() {
    let context = context("date +%N >first", "true");
    assert_eq!(build(&context).status, 0);
    let mut command = context.command(&["--definitions", "../definitions", "build"]);
    command.args(["--secret", "id=token,env=CI_TOKEN"]).env("CI_TOKEN", "an-entirely-other-value");
    let finished = context.finish(command.output().unwrap());
    assert!(finished.stderr.contains("procfile/first  first  unchanged"), "{}", finished.stderr);
}

#[test]
#[ignore = "downloads Debian packages"]
fn network_userns_a_result_that_holds_one_is_refused() {
    let context = context("mkdir -p deep/er; echo \"token=$TOKEN\" >deep/er/config", "true");
    let finished = build(&context);
    assert_eq!(finished.status, 4);
    let message =
        "error[secret/kept]: step `procfile/first` wrote the secret `token` into `/app/deep/er/config`";
    assert!(finished.stderr.contains(message), "{}", finished.stderr);
}

#[test]
fn what_is_no_secret_is_explained() {
    let context = TestContext::new();
    for (argument, expected) in [
        ("token", "error[cli/argument]: `--secret token` is not understood: it takes `id=NAME,src=FILE` or"),
        ("id=../x,env=A", "error[cli/argument]"),
        ("id=x,env=RPACK_TEST_NOT_SET", "error[secret/no-variable]: the secret `x` comes from the variable"),
        ("id=x,src=/nowhere", "error[cli/read]: cannot read /nowhere"),
    ] {
        let finished = context.rpack(&["build", "--secret", argument]);
        assert_eq!(finished.status, 2, "{argument}");
        assert!(finished.stderr.contains(expected), "{argument}: {}", finished.stderr);
    }
}
