//! `rpack login` and `rpack logout` at a real registry, beside other people's clients.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use crate::support::image::{layout_of, noise};
use crate::support::registry::{Registry, tool};
use crate::support::{Finished, RPACK, TestContext};

/// The command on a machine where nobody has logged in anywhere before.
pub(super) fn command(context: &TestContext, arguments: &[&str]) -> Command {
    let mut command = context.command(arguments);
    command.env("HOME", context.root().join("home"));
    for name in ["DOCKER_CONFIG", "REGISTRY_AUTH_FILE", "RPACK_REGISTRY_AUTH", "XDG_CONFIG_HOME"] {
        command.env_remove(name);
    }
    command.env("XDG_RUNTIME_DIR", context.root().join("runtime"));
    command
}

pub(super) fn rpack(context: &TestContext, arguments: &[&str]) -> Finished {
    context.finish(command(context, arguments).output().unwrap())
}

/// `rpack login HOST -u me` with the password on stdin, and further variables.
pub(super) fn log_in(
    context: &TestContext,
    host: &str,
    password: &str,
    variables: &[(&str, &str)],
) -> Finished {
    let mut command = command(context, &["login", host, "-u", "me", "--password-stdin"]);
    command.envs(variables.iter().copied());
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(password.as_bytes()).unwrap();
    context.finish(child.wait_with_output().unwrap())
}

#[test]
#[ignore = "needs docker-registry, apache2-utils, skopeo and podman: run by .ci/run"]
fn tool_login_push_pull_logout() {
    let context = TestContext::new();
    let registry = Registry::with_user(context.root());
    let host = &registry.host;
    let layout = context.root().join("image");
    let digest = layout_of(&layout, &[noise(1, 1000)]);
    let (source, target) = (format!("oci:{}:1", layout.display()), format!("docker://{host}/team/app:1"));
    let config = context.root().join("home/.docker/config.json");

    let nobody = rpack(&context, &["copy", &source, &target]);
    assert_eq!(nobody.status, 5);
    assert!(nobody.stderr.contains("asked as nobody: no credential for it was found"), "{}", nobody.stderr);
    assert!(nobody.stderr.contains(&format!("log in: `rpack login {host}`")), "{}", nobody.stderr);

    let wrong = log_in(&context, host, "wrong", &[]);
    assert_eq!((wrong.status, wrong.stdout.as_str()), (5, ""));
    insta::assert_snapshot!("login_refused", wrong.stderr.replace(host, "HOST"));
    assert!(!config.exists());

    let right = log_in(&context, host, "secret\n", &[]);
    assert_eq!((right.status, right.stdout.as_str()), (0, ""));
    insta::assert_snapshot!("login", right.stderr.replace(host, "HOST"));
    assert_eq!(fs::metadata(&config).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(rpack(&context, &["copy", &source, &target]).success(), format!("{digest}\n"));
    // Others find it as well.
    let (file, image) = (config.to_str().unwrap(), format!("docker://{host}/team/app:1"));
    let inspected = tool(
        "skopeo",
        &["inspect", "--authfile", file, "--tls-verify=false", "--format", "{{.Digest}}", &image],
    );
    assert_eq!(inspected.trim(), digest);
    assert_eq!(tool("podman", &["login", "--authfile", file, "--get-login", host]).trim(), "me");

    let out = format!("rpack logout {host}");
    let removed = rpack(&context, &["logout", host]);
    assert_eq!(removed.status, 0, "{out}");
    let expected = format!("removed the credential for {host} from [ROOT]/home/.docker/config.json\n");
    assert_eq!(removed.stderr, expected);
    let again = rpack(&context, &["logout", host]);
    assert_eq!((again.status, again.stderr), (0, format!("not logged in to {host}\n")));
    // Another machine, to which nothing is known.
    let other = TestContext::new();
    let pulled = format!("oci:{}:1", other.root().join("pulled").display());
    assert_eq!(rpack(&other, &["copy", &target, &pulled]).status, 5);
}

#[test]
#[ignore = "needs docker-registry, apache2-utils and podman: run by .ci/run"]
fn tool_what_podman_wrote_is_used_and_the_other_way_round() {
    let context = TestContext::new();
    let registry = Registry::with_user(context.root());
    let host = &registry.host;
    let file = context.root().join("auth.json");
    let podmans = file.to_str().unwrap();
    let authfile = [("REGISTRY_AUTH_FILE", podmans)];
    let layout = context.root().join("image");
    layout_of(&layout, &[noise(1, 1000)]);
    let (source, target) = (format!("oci:{}:1", layout.display()), format!("docker://{host}/team/app:1"));

    let arguments = ["login", "--authfile", podmans, "--tls-verify=false", "-u", "me", "-p", "secret", host];
    tool("podman", &arguments);
    let mut copy = command(&context, &["copy", &source, &target]);
    context.finish(copy.envs(authfile).output().unwrap()).success();
    let mut logout = command(&context, &["logout", host]);
    let left = context.finish(logout.envs(authfile).output().unwrap());
    assert_eq!(left.stderr, format!("removed the credential for {host} from [ROOT]/auth.json\n"));

    log_in(&context, host, "secret", &authfile).success();
    assert!(!context.root().join("home").exists());
    assert_eq!(tool("podman", &["login", "--authfile", podmans, "--get-login", host]).trim(), "me");
    tool("podman", &["logout", "--authfile", podmans, host]);
    let mut logout = command(&context, &["logout", host]);
    let nothing = context.finish(logout.envs(authfile).output().unwrap());
    assert_eq!(nothing.stderr, format!("not logged in to {host}\n"));

    // What another place says is used nevertheless, and that is said.
    let auths = format!(r#"{{"auths":{{"{host}":{{"auth":"eW91OnA="}}}}}}"#);
    let hidden = log_in(&context, host, "secret", &[authfile[0], ("RPACK_REGISTRY_AUTH", &auths)]);
    let expected = format!(
        "warning[login/hidden]: {host} is still asked as user `you` from RPACK_REGISTRY_AUTH auths `{host}`, which \
         comes before [ROOT]/auth.json\n"
    );
    assert!(hidden.stderr.contains(&expected), "{}", hidden.stderr);
}

#[test]
#[ignore = "needs docker-registry: run by .ci/run"]
fn tool_a_registry_that_answers_everybody_proves_nothing() {
    let context = TestContext::new();
    let registry = Registry::open(context.root());
    let finished = log_in(&context, &registry.host, "anything", &[]);
    assert_eq!(finished.status, 0);
    let expected = format!(
        "warning[login/unproved]: {} answers everybody, so that it could not be tried whether the password is right\n",
        registry.host
    );
    assert!(finished.stderr.contains(&expected), "{}", finished.stderr);
}

/// What a terminal shows while `script` runs on it and a person answers each question.
fn typed(context: &TestContext, script: &str, answers: &[(&str, &str)]) -> String {
    let mut child = Command::new("script")
        .args(["-qec", script, "/dev/null"])
        .env("HOME", context.root().join("home"))
        .env("RPACK_STORE", context.store())
        .env("NO_COLOR", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (mut keyboard, mut screen) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut shown = Vec::new();
    for (question, answer) in answers {
        while !shown.ends_with(question.as_bytes()) {
            let mut byte = [0];
            assert_eq!(screen.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&shown));
            shown.extend(byte);
        }
        keyboard.write_all(answer.as_bytes()).unwrap();
    }
    screen.read_to_end(&mut shown).unwrap();
    child.wait().unwrap();
    String::from_utf8(shown).unwrap()
}

#[test]
#[ignore = "needs docker-registry, apache2-utils and util-linux: run by .ci/run"]
fn tool_a_person_is_asked_and_the_password_is_not_shown() {
    let context = TestContext::new();
    let registry = Registry::with_user(context.root());
    let host = &registry.host;
    let shown =
        typed(&context, &format!("{RPACK} login {host}"), &[(": ", "me\n"), ("Password: ", "secret\n")]);
    assert!(shown.starts_with(&format!("User name for {host}: me\r\nPassword: \r\n")), "{shown:?}");
    assert!(shown.contains(&format!("logged in to {host} as me")) && !shown.contains("secret"), "{shown:?}");

    // Ctrl-C: the terminal shows again what is typed. It reaches the shell too, which not every shell survives.
    let script = format!("trap : INT; {RPACK} login {host}; echo status $?; stty -a");
    let shown = typed(&context, &script, &[("(me): ", "\n"), ("Password: ", "\u{3}")]);
    assert!(shown.starts_with(&format!("User name for {host} (me): \r\nPassword: ")), "{shown:?}");
    assert!(
        shown.contains("status 130") && shown.contains(" echo ") && !shown.contains("-echo "),
        "{shown:?}"
    );
}

#[test]
fn without_a_terminal_the_way_is_named() {
    let context = TestContext::new();
    // A session of its own has no terminal.
    let output = Command::new("setsid")
        .args(["--wait", RPACK, "login", "registry.example"])
        .env("RPACK_STORE", context.store())
        .env("HOME", context.root().join("home"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let finished = context.finish(output);
    assert_eq!((finished.status, finished.stdout.as_str()), (2, ""));
    insta::assert_snapshot!("login_without_terminal", finished.stderr);
}

#[test]
fn wrong_usage_of_login() {
    let context = TestContext::new();
    for (arguments, input) in [
        (&["login", "registry.example", "--password-stdin"][..], "secret"),
        (&["login", "registry.example/team", "-u", "me", "--password-stdin"], "secret"),
        (&["login", "registry", "-u", "me", "--password-stdin"], "secret"),
        (&["login", "registry.example", "-u", "a:b", "--password-stdin"], "secret"),
        (&["login", "registry.example", "-u", "me", "--password-stdin"], "\n"),
        (&["login", "registry.example", "-u", "me", "--password", "secret"], ""),
    ] {
        let finished = context.rpack_with_input(arguments, input);
        assert_eq!((finished.status, finished.stdout.as_str()), (2, ""), "{arguments:?}");
        assert!(
            !finished.stderr.contains("secret") || arguments.contains(&"--password"),
            "{}",
            finished.stderr
        );
    }
}
