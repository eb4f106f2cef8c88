//! A registry in this process, and everything it may do to its clients.

mod credentials;
mod login;
mod memory;
mod push;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::json;

use super::{Credentials, Error, Places, Registry, Settings};
use crate::http::{Client, Options};
use crate::http_head::Head;
use crate::oci::image::{Descriptor, LAYER, MANIFEST};
use crate::oci::{Digest, Reference};
use crate::store::Store;
use crate::ui::{Diagnose as _, Progress, Reporter};

/// What a request is answered with.
#[derive(Clone, Debug)]
struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

fn answer(status: u16, headers: &[(&str, &str)], body: impl Into<Vec<u8>>) -> Answer {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Answer { status, headers, body: body.into() }
}

/// Answers by a function of method and path, the `Authorization` header and the body; remembers the requests.
struct Server {
    host: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn start(respond: impl Fn(&str, Option<&str>, &str) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let requests: Arc<Mutex<Vec<String>>> = Arc::default();
        let (known, respond) = (requests.clone(), Arc::new(respond));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (known, respond) = (known.clone(), respond.clone());
                thread::spawn(move || serve(stream, &known, &*respond));
            }
        });
        Self { host, requests }
    }

    fn take_requests(&self) -> Vec<String> {
        std::mem::take(&mut self.requests.lock().unwrap())
    }
}

fn serve(
    mut stream: TcpStream,
    known: &Mutex<Vec<String>>,
    respond: &dyn Fn(&str, Option<&str>, &str) -> Answer,
) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let Some(head) = Head::read(&mut reader) else { return };
    let mut body = vec![0; head.length()];
    reader.read_exact(&mut body).unwrap();
    let first = format!("{} {}", head.method, head.target);
    let authorization = head.header("authorization");
    let shown = authorization.map(|text| format!(" as {text}")).unwrap_or_default();
    known.lock().unwrap().push(format!("{first}{shown}"));
    let answer = respond(&first, authorization, &String::from_utf8_lossy(&body));
    let mut head = format!(
        "HTTP/1.1 {} Answer\r\nConnection: close\r\nContent-Length: {}\r\n",
        answer.status,
        answer.body.len()
    );
    for (name, value) in &answer.headers {
        use std::fmt::Write as _;
        let _ = write!(&mut head, "{name}: {value}\r\n");
    }
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(b"\r\n"));
    let _ = stream.write_all(&answer.body);
}

/// A machine with files and variables, and a registry client on it.
struct Machine {
    folder: tempfile::TempDir,
    environment: BTreeMap<String, String>,
    settings: Settings,
}

impl Machine {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { folder, environment: BTreeMap::new(), settings: Settings::default() }
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    fn file(self, path: &str, text: &str) -> Self {
        let path = self.folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    fn registry(&self) -> Registry {
        let client = Client::new(Options { pause: Duration::ZERO, ..Options::default() });
        let home = Some(self.folder.path().join("home"));
        let places = Places { home, environment: self.environment.clone(), runtime: None };
        Registry::new(client, self.settings.clone(), Credentials::new(places))
    }

    fn store(&self) -> Store {
        Store::open(self.folder.path().join("store")).unwrap()
    }

    fn shown(&self, text: &str) -> String {
        text.replace(self.folder.path().to_str().unwrap(), "[ROOT]")
    }
}

const EMPTY: &str = r#"{"schemaVersion":2,"config":{},"layers":[]}"#;

fn manifest() -> Answer {
    answer(200, &[("Content-Type", MANIFEST)], EMPTY)
}

fn reference(server: &Server) -> Reference {
    format!("{}/org/base:1", server.host).parse().unwrap()
}

#[test]
fn an_open_registry_needs_one_request() {
    let server = Server::start(|_, _, _| manifest());
    let document = Machine::new().registry().manifest(&reference(&server)).unwrap();
    assert_eq!((document.media_type.as_str(), document.digest), (MANIFEST, Digest::of(EMPTY.as_bytes())));
    assert_eq!(server.take_requests(), ["GET /v2/org/base/manifests/1"]);
}

/// A registry with a token server of its own, which knows `me:secret` and the refresh token `fresh`.
fn guarded() -> Server {
    let host: Arc<Mutex<String>> = Arc::default();
    let known = host.clone();
    let server = Server::start(move |request, authorization, body| {
        let realm = format!("Bearer realm=\"http://{}/token\",service=\"reg\"", known.lock().unwrap());
        match (request, authorization) {
            ("GET /token?service=reg&scope=repository%3Aorg%2Fbase%3Apull", Some("Basic bWU6c2VjcmV0")) => {
                answer(200, &[], r#"{"access_token":"good"}"#)
            }
            ("POST /token", None) if body.contains("refresh_token=fresh&") => {
                answer(200, &[], r#"{"token":"good"}"#)
            }
            (request, _) if request.contains("/token") => {
                answer(401, &[], r#"{"errors":[{"code":"UNAUTHORIZED","message":"wrong user or password"}]}"#)
            }
            (_, Some("Bearer good")) => manifest(),
            _ => answer(401, &[("WWW-Authenticate", &realm)], ""),
        }
    });
    server.host.clone_into(&mut host.lock().unwrap());
    server
}

fn auths(key: &str, entry: &serde_json::Value) -> String {
    json!({ "auths": { key: entry } }).to_string()
}

#[test]
fn a_token_is_fetched_once_with_what_docker_login_wrote() {
    let server = guarded();
    let config = auths(&server.host, &json!({"auth": "bWU6c2VjcmV0"}));
    let machine = Machine::new().file("home/.docker/config.json", &config);
    let registry = machine.registry();
    registry.manifest(&reference(&server)).unwrap();
    registry.manifest(&reference(&server)).unwrap();
    assert_eq!(
        server.take_requests(),
        [
            "GET /v2/org/base/manifests/1",
            "GET /token?service=reg&scope=repository%3Aorg%2Fbase%3Apull as Basic bWU6c2VjcmV0",
            "GET /v2/org/base/manifests/1 as Bearer good",
            "GET /v2/org/base/manifests/1 as Bearer good",
        ]
    );
}

#[test]
fn a_refusal_says_who_asked_and_where_that_was_found() {
    let server = guarded();
    let config = auths(&server.host, &json!({"username": "you", "password": "no"}));
    let machine = Machine::new().file("home/.docker/config.json", &config);
    let error = machine.registry().manifest(&reference(&server)).unwrap_err();
    assert_eq!(error.id(), "registry/refused");
    let host = &server.host;
    assert_eq!(
        error.to_string(),
        format!(
            "{host} refuses `org/base`: asking http://{host}/token for a token answered `401`: UNAUTHORIZED: \
             wrong user or password"
        )
    );
    assert_eq!(
        machine.shown(&error.detail().unwrap()),
        format!("asked as user `you` from [ROOT]/home/.docker/config.json auths `{host}`")
    );
    let nobody = Machine::new().registry().manifest(&reference(&server)).unwrap_err();
    assert_eq!(nobody.detail().unwrap(), "asked as nobody: no credential for it was found");
    assert_eq!(nobody.hints()[0], format!("log in: `rpack login {host}`"));
}

#[test]
fn an_identity_token_is_exchanged() {
    let server = guarded();
    let text = auths(&server.host, &json!({"identitytoken": "fresh"}));
    let registry = Machine::new().with("RPACK_REGISTRY_AUTH", &text).registry();
    registry.manifest(&reference(&server)).unwrap();
    assert_eq!(server.take_requests()[1], "POST /token");
}

#[test]
fn credentials_are_not_sent_on_to_another_host() {
    let storage = Server::start(|_, _, _| answer(200, &[], "layer"));
    let target = format!("http://{}/stored", storage.host);
    let registry = Server::start(move |_, authorization, _| match authorization {
        Some(_) => answer(307, &[("Location", &target)], ""),
        None => answer(401, &[("WWW-Authenticate", "Basic realm=\"x\"")], ""),
    });
    let config = auths(&registry.host, &json!({"auth": "bWU6c2VjcmV0"}));
    let machine = Machine::new().file("home/.docker/config.json", &config);
    let (store, reporter) = (machine.store(), Reporter::new(Progress::Quiet));
    let layer = Descriptor::new(LAYER, Digest::of(b"layer"), 5);
    let progress = reporter.transfer("layer", 5);
    let path = machine.registry().blob(&reference(&registry), &layer, &store, &progress).unwrap();
    assert_eq!(fs::read(path).unwrap(), b"layer");
    let blob = format!("GET /v2/org/base/blobs/{}", layer.digest);
    let authorized = format!("{blob} as Basic bWU6c2VjcmV0");
    assert_eq!(registry.take_requests(), [blob.clone(), blob, authorized.clone(), authorized]);
    assert!(storage.take_requests().iter().all(|request| request == "GET /stored"));
}

#[test]
fn passing_faults_pass_and_wrong_bytes_are_refused() {
    let count = Mutex::new(0);
    let server = Server::start(move |_, _, _| {
        let mut count = count.lock().unwrap();
        *count += 1;
        match *count {
            1 => answer(429, &[("Retry-After", "0")], ""),
            2 => answer(503, &[("Retry-After", "0")], ""),
            _ => manifest(),
        }
    });
    Machine::new().registry().manifest(&reference(&server)).unwrap();
    assert_eq!(server.take_requests().len(), 3);

    let problem = |answer: Answer, name: &str| {
        let server = Server::start(move |_, _, _| answer.clone());
        let name: Reference = format!("{}/org/base{name}", server.host).parse().unwrap();
        let error = Machine::new().registry().manifest(&name).unwrap_err();
        (error.id(), error.to_string().replace(&server.host, "[HOST]"))
    };
    let (right, wrong) = (Digest::of(EMPTY.as_bytes()), Digest::of(b"another"));
    assert_eq!(
        problem(manifest(), &format!("@{wrong}")),
        (
            "registry/manifest",
            format!(
                "`[HOST]/org/base@{wrong}` cannot be read: the answer has digest {right}, expected {wrong}"
            )
        )
    );
    assert_eq!(
        problem(
            answer(404, &[], r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"unknown tag"}]}"#),
            ":2"
        ),
        ("registry/missing", "[HOST] has no `org/base` called `2`: MANIFEST_UNKNOWN: unknown tag".to_owned())
    );
    let both = r#"{"schemaVersion":2,"layers":[],"manifests":[]}"#;
    assert_eq!(
        problem(answer(200, &[], both), ":1").1,
        "`[HOST]/org/base:1` cannot be read: it is a manifest and an index at once"
    );
    let old = r#"{"schemaVersion":1}"#;
    assert_eq!(
        problem(answer(200, &[], old), ":1").1,
        "`[HOST]/org/base:1` cannot be read: it is not a manifest of version 2; older ones hold no digest of the \
         image's config"
    );
    let large = vec![b' '; (8 << 20) + 1];
    assert_eq!(problem(answer(200, &[], large), ":1").0, "network/too-large");
}

#[test]
fn a_token_that_ends_is_renewed() {
    let count = Arc::new(Mutex::new(0));
    let host: Arc<Mutex<String>> = Arc::default();
    let (tokens, known) = (count.clone(), host.clone());
    let server = Server::start(move |request, authorization, _| {
        let mut tokens = tokens.lock().unwrap();
        let realm = format!("Bearer realm=\"http://{}/token\"", known.lock().unwrap());
        if request.contains("/token") {
            *tokens += 1;
            return answer(200, &[], format!(r#"{{"token":"{tokens}"}}"#));
        }
        // The first token is good for the manifest only.
        match authorization {
            Some("Bearer 1") if request.contains("/manifests/") => manifest(),
            Some("Bearer 2") => answer(200, &[], "layer"),
            _ => answer(401, &[("WWW-Authenticate", &realm)], ""),
        }
    });
    server.host.clone_into(&mut host.lock().unwrap());
    let machine = Machine::new();
    let (registry, reporter) = (machine.registry(), Reporter::new(Progress::Quiet));
    registry.manifest(&reference(&server)).unwrap();
    let layer = Descriptor::new(LAYER, Digest::of(b"layer"), 5);
    let progress = reporter.transfer("layer", 5);
    registry.blob(&reference(&server), &layer, &machine.store(), &progress).unwrap();
    assert_eq!(*count.lock().unwrap(), 2);
}

#[test]
fn a_mirror_stands_for_the_host() {
    let server = Server::start(|_, _, _| manifest());
    let mut machine = Machine::new();
    let mirror = (format!("http://{}/hub", server.host), "rpack.toml:1".to_owned());
    machine.settings.mirrors.insert("docker.io".to_owned(), mirror);
    machine.registry().manifest(&"debian:13".parse().unwrap()).unwrap();
    assert_eq!(server.take_requests(), ["GET /v2/hub/library/debian/manifests/13"]);
}

#[test]
fn a_token_server_elsewhere_inside_is_not_asked() {
    let error = super::host::may_lead("https://registry.example", "https://169.254.169.254/token");
    assert_eq!(error, Err("it is an address of this machine or of a private network"));
    let server = Server::start(|_, _, _| {
        answer(401, &[("WWW-Authenticate", "Bearer realm=\"ftp://auth.example/token\"")], "")
    });
    let error = Machine::new().registry().manifest(&reference(&server)).unwrap_err();
    assert!(matches!(error, Error::Elsewhere { .. }), "{error}");
}
