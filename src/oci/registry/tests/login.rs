//! Logging in and out: what is proved, and what is left where.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::thread;

use serde_json::{Value, json};

use super::super::certificates;
use super::super::credentials::Secret;
use super::super::login::{Proved, Server as Host};
use super::credentials::helper;
use super::{Machine, Places, Server, answer};
use crate::ui::Diagnose as _;

/// A registry for `me:secret`, behind Basic or a token server of its own that gives an identity token to those who ask
/// for one, or behind nothing.
fn registry(kind: &'static str) -> Server {
    let host: std::sync::Arc<std::sync::Mutex<String>> = std::sync::Arc::default();
    let known = host.clone();
    let server = Server::start(move |request, authorization, _| {
        let challenge = match kind {
            "token" => format!("Bearer realm=\"http://{}/token\",service=\"reg\"", known.lock().unwrap()),
            _ => "Basic realm=\"x\"".to_owned(),
        };
        let is_me = authorization == Some("Basic bWU6c2VjcmV0");
        match (kind, request) {
            (_, request) if request.contains("/token") && is_me => {
                let identity = if request.contains("offline_token=true") { "lasting" } else { "" };
                answer(200, &[], json!({ "token": "good", "refresh_token": identity }).to_string())
            }
            ("token", "GET /v2/") if authorization == Some("Bearer good") => answer(200, &[], "{}"),
            ("basic", "GET /v2/") if is_me => answer(200, &[], "{}"),
            ("open", "GET /v2/") => answer(200, &[], "{}"),
            ("none", "GET /v2/") => answer(404, &[], "no such page"),
            _ => answer(401, &[("WWW-Authenticate", &challenge)], ""),
        }
    });
    server.host.clone_into(&mut host.lock().unwrap());
    server
}

fn host(server: &Server) -> Host {
    server.host.parse().unwrap()
}

/// Logs in as `me:secret` and says where that is kept.
fn log_in(machine: &Machine, host: &Host) -> String {
    let registry = machine.registry();
    let kept = registry.keep(&registry.prove(host, "me", "secret").unwrap()).unwrap();
    machine.shown(&kept.to_string())
}

fn json_of(machine: &Machine, path: &str) -> Value {
    serde_json::from_slice(&fs::read(machine.folder.path().join(path)).unwrap()).unwrap()
}

#[test]
fn names_of_registries() {
    for (text, expected) in [
        ("registry.example", Ok("registry.example")),
        ("registry.example:5000", Ok("registry.example:5000")),
        ("https://registry.example/v2/", Ok("registry.example")),
        ("http://localhost:5000", Ok("localhost:5000")),
        ("https://index.docker.io/v1/", Ok("docker.io")),
        ("registry-1.docker.io", Ok("docker.io")),
        ("registry.example/team", Err("it names a repository; a login is for all of a registry")),
        ("registry", Err("it is not the name of a registry, which has a `.` or a `:`, or is `localhost`")),
        ("", Err("it is not the name of a host")),
        ("a b.example", Err("it is not the name of a host")),
    ] {
        let found = text.parse::<Host>().map(|host| host.to_string());
        assert_eq!(found.as_deref().map_err(|reason| *reason), expected, "{text}");
    }
    assert_eq!(Host::default().to_string(), "docker.io");
}

#[test]
fn the_registry_is_asked_before_anything_is_written() {
    let basic = registry("basic");
    let machine = Machine::new();
    assert_eq!(log_in(&machine, &host(&basic)), "[ROOT]/home/.docker/config.json");
    assert_eq!(basic.take_requests(), ["GET /v2/", "GET /v2/ as Basic bWU6c2VjcmV0"]);
    let entry = json!({ "auth": "bWU6c2VjcmV0" });
    assert_eq!(json_of(&machine, "home/.docker/config.json"), json!({ "auths": { &basic.host: entry } }));

    // A token server may give something that lasts, and then the password is not kept.
    let token = registry("token");
    let machine = Machine::new();
    log_in(&machine, &host(&token));
    assert_eq!(
        token.take_requests(),
        [
            "GET /v2/",
            "GET /token?service=reg&account=me&client_id=rpack&offline_token=true as Basic bWU6c2VjcmV0",
            "GET /v2/ as Bearer good",
        ]
    );
    let entry = json!({ "identitytoken": "lasting" });
    assert_eq!(json_of(&machine, "home/.docker/config.json"), json!({ "auths": { &token.host: entry } }));

    let open = registry("open");
    let proved = Machine::new().registry().prove(&host(&open), "me", "anything").unwrap();
    assert!(!proved.was_asked);
    assert!(!format!("{proved:?}").contains("anything"));
}

#[test]
fn a_login_that_is_refused_leaves_nothing() {
    for (kind, what) in [
        ("basic", "`GET /v2/` answered `401`"),
        ("token", "asking http://[HOST]/token for a token answered `401`"),
    ] {
        let (server, machine) = (registry(kind), Machine::new());
        let error = machine.registry().prove(&host(&server), "me", "wrong").unwrap_err();
        assert_eq!(error.id(), "registry/refused");
        assert_eq!(
            error.to_string().replace(&server.host, "[HOST]"),
            format!("[HOST] refuses the login: {what}")
        );
        assert_eq!(error.detail().unwrap(), "asked as user `me` from this login");
        assert!(!machine.folder.path().join("home").exists());
    }
    let server = registry("none");
    let error = Machine::new().registry().prove(&host(&server), "me", "secret").unwrap_err();
    assert_eq!(error.to_string(), format!("{}: `GET /v2/` answered `404`", server.host));
    let elsewhere = Server::start(|_, _, _| {
        answer(401, &[("WWW-Authenticate", "Bearer realm=\"ftp://auth.example/token\"")], "")
    });
    let error = Machine::new().registry().prove(&host(&elsewhere), "me", "secret").unwrap_err();
    assert_eq!(error.id(), "registry/elsewhere");
}

#[test]
fn the_rest_of_the_file_stays_as_it_was() {
    let server = registry("basic");
    let text = format!(
        "{{ \"HttpHeaders\": {{\"B\":1,\n \"A\":2.50}},\n\t\"auths\": {{\"z.example\":{{\"auth\":\"YTpi\", \
         \"email\":\"x\"}}, \"http://{0}/v2/\":{{\"auth\":\"eDp5\"}}, \"{0}/org\":{{}}}}, \"aaa\": [1, 2]}}",
        server.host
    );
    // The configuration may be a link into a repository of such files.
    let machine = Machine::new().file("dotfiles/docker.json", &text);
    let root = machine.folder.path();
    fs::create_dir_all(root.join("home/.docker")).unwrap();
    symlink("../../dotfiles/docker.json", root.join("home/.docker/config.json")).unwrap();
    log_in(&machine, &host(&server));
    let shown =
        || fs::read_to_string(root.join("dotfiles/docker.json")).unwrap().replace(&server.host, "HOST");
    insta::assert_snapshot!("config_after_login", shown());
    let path = root.join("dotfiles/docker.json");
    assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(root.join("home/.docker/config.json").is_symlink());

    assert_eq!(machine.registry().log_out(&host(&server)).unwrap().len(), 1);
    insta::assert_snapshot!("config_after_logout", shown());
    let before = fs::metadata(root.join("dotfiles/docker.json")).unwrap().modified().unwrap();
    assert_eq!(machine.registry().log_out(&host(&server)).unwrap(), []);
    let after = fs::metadata(root.join("dotfiles/docker.json")).unwrap().modified().unwrap();
    assert_eq!(before, after);
    let left: Vec<_> = fs::read_dir(root.join("dotfiles")).unwrap().collect();
    assert_eq!(left.len(), 1, "no temporary file is left");
}

#[test]
fn a_file_that_is_none_is_not_written_over() {
    let server = registry("basic");
    for (text, id) in [("{\"auths\": [1]}", "registry/credentials"), ("[]", "registry/unkept")] {
        let machine = Machine::new().file("home/.docker/config.json", text);
        let registry = machine.registry();
        let proved = registry.prove(&host(&server), "me", "secret").unwrap();
        assert_eq!(registry.keep(&proved).unwrap_err().id(), id);
        let path = machine.folder.path().join("home/.docker/config.json");
        assert_eq!(fs::read_to_string(path).unwrap(), text);
    }
    let machine = Machine::new().file("home", "a file where the folder should be");
    let registry = machine.registry();
    let proved = registry.prove(&host(&server), "me", "secret").unwrap();
    let error = registry.keep(&proved).unwrap_err();
    assert_eq!((error.id(), error.exit() as u8), ("registry/unkept", 1));
}

#[test]
fn docker_hub_has_the_key_of_each_program() {
    let keep = |machine: &Machine| {
        let secret = Secret::Password { username: "me".to_owned(), password: "secret".to_owned() };
        let proved = Proved { server: Host::default(), secret, was_asked: true };
        machine.registry().keep(&proved).unwrap();
    };
    let entry = json!({ "auth": "bWU6c2VjcmV0" });
    let machine = Machine::new();
    keep(&machine);
    let key = "https://index.docker.io/v1/";
    assert_eq!(json_of(&machine, "home/.docker/config.json"), json!({ "auths": { key: entry } }));
    let root = machine.folder.path().to_owned();
    let machine = machine.with("REGISTRY_AUTH_FILE", root.join("podman/auth.json").to_str().unwrap());
    keep(&machine);
    assert_eq!(json_of(&machine, "podman/auth.json"), json!({ "auths": { "docker.io": entry } }));
    let used = machine.registry().credential(&Host::default()).unwrap().unwrap();
    assert_eq!(machine.shown(&used), "user `me` from [ROOT]/podman/auth.json auths `docker.io`");
}

/// Keeps what it is given in the file `kept`.
const KEEPER: &str = r#"kept="$(dirname "$0")/kept"
case "$1" in
store) cat > "$kept" ;;
get) cat > /dev/null; if [ -f "$kept" ]; then cat "$kept"; else echo 'credentials not found'; exit 1; fi ;;
erase) cat > /dev/null; rm "$kept" ;;
esac"#;

#[test]
fn a_helper_keeps_what_would_stand_in_the_file() {
    for part in ["credHelpers", "credsStore"] {
        let server = registry("basic");
        let named = if part == "credHelpers" { json!({ &server.host: "test" }) } else { json!("test") };
        let config = json!({ "auths": { &server.host: { "auth": "bWU6b2xk" } }, part: named });
        let machine = Machine::new().file("home/.docker/config.json", &config.to_string());
        let machine = helper(machine, "test", KEEPER);
        assert_eq!(log_in(&machine, &host(&server)), "the helper `docker-credential-test`");
        let kept = json!({ "ServerURL": &server.host, "Username": "me", "Secret": "secret" });
        assert_eq!(json_of(&machine, "bin/kept"), kept);
        // The old password is gone from the file.
        let expected = json!({ "auths": { &server.host: {} }, part: named });
        assert_eq!(json_of(&machine, "home/.docker/config.json"), expected);
        let used = machine.registry().credential(&host(&server)).unwrap().unwrap();
        let expected = format!("user `me` from [ROOT]/home/.docker/config.json {part} `test`");
        assert_eq!(machine.shown(&used), expected);

        let erased = machine.registry().log_out(&host(&server)).unwrap();
        let erased: Vec<String> = erased.iter().map(|kept| machine.shown(&kept.to_string())).collect();
        assert_eq!(erased, ["the helper `docker-credential-test`"]);
        assert!(!machine.folder.path().join("bin/kept").exists());
        assert_eq!(machine.registry().log_out(&host(&server)).unwrap(), []);
    }
    let server = registry("basic");
    let config = json!({ "credsStore": "test" }).to_string();
    let machine = Machine::new().file("home/.docker/config.json", &config);
    let machine = helper(machine, "test", "cat >/dev/null; echo 'the keyring is locked'; exit 1");
    let registry = machine.registry();
    let error = registry.keep(&registry.prove(&host(&server), "me", "secret").unwrap()).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "the credential for {} in the helper `docker-credential-test` cannot be changed: failed: the keyring \
             is locked",
            server.host
        )
    );
    assert_eq!(fs::read_to_string(machine.folder.path().join("home/.docker/config.json")).unwrap(), config);
}

#[test]
fn logins_at_the_same_time_are_all_kept() {
    let machine = Machine::new();
    let servers: Vec<Server> = (0..16).map(|_| registry("basic")).collect();
    thread::scope(|scope| {
        for server in &servers {
            scope.spawn(|| log_in(&machine, &host(server)));
        }
    });
    let config = json_of(&machine, "home/.docker/config.json");
    assert_eq!(config["auths"].as_object().unwrap().len(), 16);
}

#[test]
fn certificates_are_those_of_the_first_folder() {
    let machine = Machine::new()
        .file("home/.config/containers/certs.d/r.example:5000/ca.crt", "")
        .file("home/.config/containers/certs.d/r.example:5000/b.key", "")
        .file("home/.config/containers/certs.d/r.example:5000/a.cert", "")
        .file("home/.config/containers/certs.d/r.example:5000/notes.txt", "")
        .file("home/.docker/certs.d/r.example:5000/other.crt", "")
        .file("home/.docker/certs.d/docker.io/hub.crt", "")
        .file("home/.docker/certs.d/key.example/client.key", "");
    let home = machine.folder.path().join("home");
    let places = Places { home: Some(home.clone()), ..Places::default() };
    let podmans = home.join(".config/containers/certs.d/r.example:5000");
    let found = certificates::of("r.example:5000", &places);
    assert_eq!(found.authorities, [podmans.join("ca.crt")]);
    assert_eq!(found.identity, Some((podmans.join("a.cert"), podmans.join("a.key"))));
    let hub = certificates::of("registry-1.docker.io", &places);
    assert_eq!(hub.authorities, [home.join(".docker/certs.d/docker.io/hub.crt")]);
    let key = home.join(".docker/certs.d/key.example");
    let lone = certificates::of("key.example", &places);
    assert_eq!(lone.identity, Some((key.join("client.cert"), key.join("client.key"))));
    for none in ["r.example", "../certs.d/key.example", "other.example"] {
        assert!(certificates::of(none, &places).is_empty(), "{none}");
    }
}
