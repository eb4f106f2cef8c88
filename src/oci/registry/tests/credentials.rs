//! Which credential is shown, from which place, and what is said when that is refused.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::super::credentials::Search;
use super::{Credentials, Machine, Places, Server, answer, auths, guarded, manifest, reference};
use crate::oci::Reference;
use crate::ui::Diagnose as _;

/// The machine's credentials; helpers have as long as `patience`.
fn credentials(machine: &Machine, patience: Duration) -> Credentials {
    let root = machine.folder.path();
    let places = Places {
        home: Some(root.join("home")),
        environment: machine.environment.clone(),
        runtime: Some(root.join("run")),
    };
    Credentials::with_patience(places, patience)
}

/// What is found for `path` at `host`, in words, with the failures on the way.
fn found(machine: &Machine, host: &str, path: &str) -> (Option<String>, Vec<String>) {
    let Search { credential, failures } =
        credentials(machine, Duration::from_secs(20)).find(host, path).unwrap();
    let shown = |text: &String| machine.shown(text);
    (
        credential.map(|credential| machine.shown(&credential.to_string())),
        failures.iter().map(shown).collect(),
    )
}

fn entry(user: &str) -> serde_json::Value {
    json!({ "auth": STANDARD.encode(format!("{user}:p")) })
}

/// A program `docker-credential-NAME` on this machine.
pub(super) fn helper(machine: Machine, name: &str, script: &str) -> Machine {
    let machine = machine.file("script", &format!("#!/bin/sh\n{script}\n"));
    let (root, bin) = (machine.folder.path(), machine.folder.path().join("bin"));
    fs::create_dir_all(&bin).unwrap();
    // Written by another process: while this one has a program open, none of its threads can start it.
    let program = bin.join(format!("docker-credential-{name}"));
    let installed = Command::new("install").args([root.join("script"), program]).status().unwrap();
    assert!(installed.success());
    let path = format!("{}:/usr/bin:/bin", bin.display());
    machine.with("PATH", &path)
}

#[test]
fn the_places_are_asked_in_their_order() {
    let host = "r.example";
    let file = |user: &str| auths(host, &entry(user));
    let mut machine = Machine::new()
        .file("mine.json", &file("variable"))
        .file("podman.json", &file("auth-file"))
        .file("docker/config.json", &file("docker-config"))
        .file("home/.docker/config.json", &file("docker-home"))
        .file("session/containers/auth.json", &file("session"))
        .file("run/auth.json", &file("runtime"))
        .file("config/containers/auth.json", &file("config"))
        .file("home/.config/containers/auth.json", &file("config-home"));
    let root = machine.folder.path().to_owned();
    let at = |name: &str| root.join(name).to_str().unwrap().to_owned();
    for (variable, value) in [
        ("RPACK_REGISTRY_AUTH", at("mine.json")),
        ("REGISTRY_AUTH_FILE", at("podman.json")),
        ("DOCKER_CONFIG", at("docker")),
        ("XDG_RUNTIME_DIR", at("session")),
        ("XDG_CONFIG_HOME", at("config")),
    ] {
        machine = machine.with(variable, &value);
    }
    let mut users = Vec::new();
    // Each is asked once those before it are gone.
    for gone in [
        "mine.json",
        "podman.json",
        "docker/config.json",
        "session/containers/auth.json",
        "config/containers/auth.json",
    ] {
        users.push(found(&machine, host, "app").0.unwrap());
        fs::write(machine.folder.path().join(gone), "{}").unwrap();
    }
    assert_eq!(found(&machine, host, "app").0, None);
    for variable in ["DOCKER_CONFIG", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME"] {
        machine = machine.with(variable, "");
    }
    for gone in ["home/.docker/config.json", "run/auth.json", "home/.config/containers/auth.json"] {
        users.push(found(&machine, host, "app").0.unwrap());
        // A file that is empty is one without entries, and so is none.
        fs::write(machine.folder.path().join(gone), "\n").unwrap();
    }
    let expected = [
        "user `variable` from [ROOT]/mine.json auths `r.example`",
        "user `auth-file` from [ROOT]/podman.json auths `r.example`",
        "user `docker-config` from [ROOT]/docker/config.json auths `r.example`",
        "user `session` from [ROOT]/session/containers/auth.json auths `r.example`",
        "user `config` from [ROOT]/config/containers/auth.json auths `r.example`",
        "user `docker-home` from [ROOT]/home/.docker/config.json auths `r.example`",
        "user `runtime` from [ROOT]/run/auth.json auths `r.example`",
        "user `config-home` from [ROOT]/home/.config/containers/auth.json auths `r.example`",
    ];
    assert_eq!(users, expected);
    let machine = Machine::new().with("RPACK_REGISTRY_AUTH", &file("text"));
    assert_eq!(
        found(&machine, host, "app").0.unwrap(),
        "user `text` from RPACK_REGISTRY_AUTH auths `r.example`"
    );
}

#[test]
fn the_most_specific_key_wins_and_may_be_written_in_several_ways() {
    let config = json!({ "auths": {
        "https://r.example/v2/": entry("address"),
        "r.example/org": entry("group"),
        "r.example/org/app": entry("app"),
        "r.example:5000": entry("port"),
        "left.example": {},
        "https://left.example/v1/": entry("left"),
        "https://index.docker.io/v1/": entry("hub"),
        "docker.io/me": entry("hub-group"),
        "null.example": null,
    }, "credHelpers": null, "credsStore": null, "psFormat": "table" });
    let machine = Machine::new().file("home/.docker/config.json", &config.to_string());
    for (host, path, user, key) in [
        ("r.example", "org/app", "app", "r.example/org/app"),
        ("r.example", "org/app/part", "app", "r.example/org/app"),
        ("r.example", "org/application", "group", "r.example/org"),
        ("r.example", "organisation/app", "address", "https://r.example/v2/"),
        ("r.example", "", "address", "https://r.example/v2/"),
        ("r.example:5000", "org/app", "port", "r.example:5000"),
        // What docker leaves beside a helper says nothing.
        ("left.example", "app", "left", "https://left.example/v1/"),
        ("registry-1.docker.io", "library/debian", "hub", "https://index.docker.io/v1/"),
        ("registry-1.docker.io", "me/app", "hub-group", "docker.io/me"),
    ] {
        let expected = format!("user `{user}` from [ROOT]/home/.docker/config.json auths `{key}`");
        assert_eq!(found(&machine, host, path).0, Some(expected), "{host}/{path}");
    }
    for (host, path) in [("null.example", "app"), ("r.example.org", "org/app"), ("example", "r.example/org")]
    {
        assert_eq!(found(&machine, host, path).0, None, "{host}/{path}");
    }
}

/// Prints the server that it is asked for as the user.
const ECHO: &str = r#"read -r server; echo "{\"Username\":\"$server\",\"Secret\":\"s\"}""#;

#[test]
fn helpers_come_before_the_file_and_the_most_specific_before_others() {
    let config = json!({
        "auths": { "r.example": entry("file"), "none.example": entry("file") },
        "credHelpers": { "a.example": "other", "r.example": "test", "r.example/org": "test", "docker.io/me": "test" },
        "credsStore": "test",
    });
    let machine = Machine::new().file("home/.docker/config.json", &config.to_string());
    let machine = helper(machine, "test", ECHO);
    let place = "from [ROOT]/home/.docker/config.json";
    for (host, path, user, part) in [
        ("r.example", "org/app", "r.example/org", "credHelpers"),
        ("r.example", "app", "r.example", "credHelpers"),
        ("registry-1.docker.io", "me/app", "docker.io/me", "credHelpers"),
        ("registry-1.docker.io", "library/debian", "https://index.docker.io/v1/", "credsStore"),
        ("none.example", "app", "none.example", "credsStore"),
    ] {
        let expected = format!("user `{user}` {place} {part} `test`");
        assert_eq!(found(&machine, host, path).0, Some(expected), "{host}/{path}");
    }
    let token = r#"echo '{"ServerURL":"x","Username":"<token>","Secret":"s"}'"#;
    let machine = helper(machine, "test", token);
    assert_eq!(
        found(&machine, "r.example", "app").0,
        Some(format!("an identity token {place} credHelpers `test`"))
    );
}

#[test]
fn a_helper_that_has_nothing_leads_on_and_its_failure_is_kept() {
    let config = json!({ "auths": { "r.example": entry("file") }, "credsStore": "test" });
    let late = Duration::from_millis(300);
    for (script, failure) in [
        ("echo 'credentials not found in native keychain'; exit 1", None),
        ("echo 'no credentials server URL'; exit 1", None),
        ("echo 'the keyring is locked'; exit 1", Some("failed: the keyring is locked")),
        ("echo 'Traceback' >&2; echo 'KeyError: x' >&2; exit 1", Some("failed: KeyError: x")),
        ("exit 3", Some("failed and did not say why")),
        ("echo hello", Some("printed something that is no credential")),
        ("exec head -c 1000000 /dev/zero", Some("failed and did not say why")),
        ("exec sleep 20", Some("gave no answer within 0.3 seconds")),
        // It has ended, but something that it left behind holds its output open.
        (r#"sleep 20 & echo '{"Username":"u","Secret":"s"}'"#, Some("gave no answer within 0.3 seconds")),
    ] {
        let machine = Machine::new().file("home/.docker/config.json", &config.to_string());
        let machine = helper(machine, "test", script);
        let patience = if script.contains("sleep") { late } else { Duration::from_secs(20) };
        let start = Instant::now();
        let search = credentials(&machine, patience).find("r.example", "app").unwrap();
        assert!(start.elapsed() < Duration::from_secs(10), "{script}");
        let failures: Vec<String> = search.failures.iter().map(|text| machine.shown(text)).collect();
        let place = "[ROOT]/home/.docker/config.json: the helper `docker-credential-test`";
        assert_eq!(failures, failure.map(|words| format!("{place} {words}")).into_iter().collect::<Vec<_>>());
        let user = search.credential.unwrap().to_string();
        assert!(user.starts_with("user `file` from "), "{user}");
    }
    for (name, words) in [("gone", "is not on PATH"), ("../../sh", "has a name that is not one of a program")]
    {
        let config = json!({ "credsStore": name });
        let machine = Machine::new().file("home/.docker/config.json", &config.to_string());
        let failures = found(&machine.with("PATH", "/usr/bin:/bin"), "r.example", "app").1;
        let place = format!("[ROOT]/home/.docker/config.json: the helper `docker-credential-{name}`");
        assert_eq!(failures, [format!("{place} {words}")]);
    }
}

#[test]
fn a_helper_is_asked_once_and_named_when_the_registry_refuses() {
    let server = guarded();
    let config = json!({ "credHelpers": { &server.host: "test" } }).to_string();
    let script = "echo x >> \"$0.count\"; echo 'the keyring is locked'; exit 1";
    let machine = helper(Machine::new().file("home/.docker/config.json", &config), "test", script);
    let registry = machine.registry();
    for _ in 0..2 {
        let error = registry.manifest(&reference(&server)).unwrap_err();
        assert_eq!(
            machine.shown(&error.detail().unwrap()),
            "asked as nobody: no credential for it was found\n\
             [ROOT]/home/.docker/config.json: the helper `docker-credential-test` failed: the keyring is locked"
        );
    }
    let count = machine.folder.path().join("bin/docker-credential-test.count");
    assert_eq!(fs::read_to_string(count).unwrap(), "x\n");
}

#[test]
fn a_damaged_place_is_an_error_that_names_it_and_does_not_show_it() {
    let r = "r.example";
    for (text, reason) in [
        (r#"{"auths": "secret"#.to_owned(), "it is not JSON of the expected form (line 1, column 17)"),
        (r#"{"auths": ["secret"]}"#.to_owned(), "it is not JSON of the expected form (line 1, column 10)"),
        (
            auths(r, &json!({"auth": "secret!"})),
            "the entry `r.example` of `auths` has an `auth` that is not text in base64",
        ),
        (
            auths(r, &json!({"auth": STANDARD.encode("secret")})),
            "the entry `r.example` of `auths` has an `auth` that is not `USER:PASSWORD` in base64",
        ),
    ] {
        let machine = Machine::new().file("home/.docker/config.json", &text);
        let error = credentials(&machine, Duration::ZERO).find(r, "app").unwrap_err();
        assert_eq!((error.id(), error.exit() as u8), ("registry/credentials", 2));
        let expected = format!("the credentials in [ROOT]/home/.docker/config.json cannot be read: {reason}");
        assert_eq!(machine.shown(&error.to_string()), expected);
        assert!(!format!("{error:?}").contains("secret\""));
        // The same text in the variable.
        let machine = Machine::new().with("RPACK_REGISTRY_AUTH", &text);
        let error = credentials(&machine, Duration::ZERO).find(r, "app").unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("the credentials in RPACK_REGISTRY_AUTH cannot be read: {reason}")
        );
    }
    let machine = Machine::new().with("RPACK_REGISTRY_AUTH", "/nowhere/auth.json");
    let error = credentials(&machine, Duration::ZERO).find(r, "app").unwrap_err();
    assert_eq!(
        error.to_string(),
        "the credentials in /nowhere/auth.json cannot be read: No such file or directory (os error 2)"
    );
    // An entry for another registry may be as it likes.
    let machine =
        Machine::new().file("home/.docker/config.json", &auths("other.example", &json!({"auth": "?"})));
    assert_eq!(found(&machine, r, "app"), (None, Vec::new()));
}

/// A registry at which `right` is the only header that opens.
fn opened_by(right: &'static str, scheme: &'static str) -> Server {
    Server::start(move |_, authorization, _| match authorization {
        Some(header) if header == right => manifest(),
        Some(_) => answer(403, &[], r#"{"errors":[{"code":"DENIED","message":"not for you"}]}"#),
        None => answer(401, &[("WWW-Authenticate", scheme)], ""),
    })
}

#[test]
fn a_registry_token_is_shown_to_the_registry_itself() {
    let server = opened_by("Bearer t", "Bearer realm=\"https://auth.example/token\"");
    let text = auths(&server.host, &json!({"registrytoken": "t"}));
    let machine = Machine::new().with("RPACK_REGISTRY_AUTH", &text);
    machine.registry().manifest(&reference(&server)).unwrap();
    assert_eq!(
        server.take_requests(),
        ["GET /v2/org/base/manifests/1", "GET /v2/org/base/manifests/1 as Bearer t"]
    );
}

#[test]
fn a_refusal_of_any_kind_names_the_credential() {
    let server = opened_by("Basic nobody", "Basic realm=\"x\"");
    let host = &server.host;
    let machine = Machine::new().with("RPACK_REGISTRY_AUTH", &auths(host, &entry("you")));
    let error = machine.registry().manifest(&reference(&server)).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "{host} refuses `org/base`: `GET /v2/org/base/manifests/1` answered `403`: DENIED: not for you"
        )
    );
    assert_eq!(
        error.detail().unwrap(),
        format!("asked as user `you` from RPACK_REGISTRY_AUTH auths `{host}`")
    );
    // What cannot be shown at all.
    let text = auths(host, &json!({"identitytoken": "i"}));
    let machine = Machine::new().with("RPACK_REGISTRY_AUTH", &text);
    let error = machine.registry().manifest(&reference(&server)).unwrap_err();
    assert_eq!(
        error.detail().unwrap(),
        format!(
            "asked as an identity token from RPACK_REGISTRY_AUTH auths `{host}`\nthe registry asks for a user \
             name and a password, which that is not"
        )
    );
}

/// A registry whose token server knows no POST, gives tokens to anybody who says nothing, and refuses all but `right`.
fn public(right: &'static str) -> Server {
    let host: std::sync::Arc<std::sync::Mutex<String>> = std::sync::Arc::default();
    let known = host.clone();
    let server = Server::start(move |request, authorization, _| {
        let realm = format!("Bearer realm=\"http://{}/token\"", known.lock().unwrap());
        match (request, authorization) {
            ("POST /token", _) => answer(404, &[], ""),
            (request, None) if request.contains("/token") => answer(200, &[], r#"{"token":"good"}"#),
            (request, Some(header)) if request.contains("/token") && header == right => {
                answer(200, &[], r#"{"token":"good"}"#)
            }
            (request, _) if request.contains("/token") => answer(401, &[], ""),
            (_, Some("Bearer good")) => manifest(),
            _ => answer(401, &[("WWW-Authenticate", &realm)], ""),
        }
    });
    server.host.clone_into(&mut host.lock().unwrap());
    server
}

#[test]
fn an_identity_token_is_shown_in_the_old_way_where_the_new_one_is_unknown() {
    // `<token>:fresh`
    let server = public("Basic PHRva2VuPjpmcmVzaA==");
    let text = auths(&server.host, &json!({"identitytoken": "fresh"}));
    let machine = Machine::new().with("RPACK_REGISTRY_AUTH", &text);
    machine.registry().manifest(&reference(&server)).unwrap();
    assert_eq!(
        server.take_requests(),
        [
            "GET /v2/org/base/manifests/1",
            "POST /token",
            "GET /token?scope=repository%3Aorg%2Fbase%3Apull as Basic PHRva2VuPjpmcmVzaA==",
            "GET /v2/org/base/manifests/1 as Bearer good",
        ]
    );
}

#[test]
fn a_credential_that_is_refused_is_an_error_even_where_nobody_needs_one() {
    let server = public("Basic right");
    Machine::new().registry().manifest(&reference(&server)).unwrap();
    let text = auths(&server.host, &entry("former"));
    let machine = Machine::new().with("RPACK_REGISTRY_AUTH", &text);
    let error = machine.registry().manifest(&reference(&server)).unwrap_err();
    let host = &server.host;
    assert_eq!(
        error.detail().unwrap(),
        format!("asked as user `former` from RPACK_REGISTRY_AUTH auths `{host}`")
    );
    assert_eq!(
        error.hints(),
        [
            "the credential is not the right one for `org/base`, or is out of date".to_owned(),
            format!("write another: `rpack login {host}`; a public image needs none: `rpack logout {host}`"),
        ]
    );
}

#[test]
fn what_a_helper_gave_is_asked_for_again_when_it_has_come_to_an_end() {
    // Only the third user is right: what came before has ended meanwhile.
    let server = opened_by_users();
    let config = json!({ "credsStore": "test" }).to_string();
    let script =
        r#"echo x >> "$0.count"; n=$(grep -c x "$0.count"); echo "{\"Username\":\"$n\",\"Secret\":\"s\"}""#;
    let machine = helper(Machine::new().file("home/.docker/config.json", &config), "test", script);
    let registry = machine.registry();
    let other: Reference = format!("{}/org/base:2", server.host).parse().unwrap();
    registry.manifest(&reference(&server)).unwrap();
    registry.manifest(&other).unwrap();
    let shown = |user: &str| format!("as Basic {}", STANDARD.encode(format!("{user}:s")));
    let requests = server.take_requests();
    let last: Vec<&str> =
        requests.iter().map(|request| request.rsplit("/manifests/").next().unwrap()).collect();
    assert_eq!(
        last,
        ["1", &format!("1 {}", shown("1")), &format!("2 {}", shown("1")), &format!("2 {}", shown("2"))]
    );
}

/// The tag `1` is for the user `1`, `2` for `2`.
fn opened_by_users() -> Server {
    Server::start(|request, authorization, _| {
        let tag = request.rsplit('/').next().unwrap();
        let right = format!("Basic {}", STANDARD.encode(format!("{tag}:s")));
        if authorization == Some(right.as_str()) {
            manifest()
        } else {
            answer(401, &[("WWW-Authenticate", "Basic realm=\"x\"")], "")
        }
    })
}
