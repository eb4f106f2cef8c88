//! A token server for `docker-registry`: users, scopes, identity tokens, tokens signed with ES256.

use std::fs;
use std::io::{BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use serde_json::{Value, json};

use super::http_head::Head;
use super::registry::tool;

/// A running server; it ends with the process. `me` with the password `secret` may do anything below `team/`, and
/// everybody may pull what is below `public/`.
pub(crate) struct TokenServer {
    host: String,
    certificate: String,
    requests: Arc<Mutex<Vec<String>>>,
}

/// What tokens are made with.
struct Signer {
    key: EcdsaKeyPair,
    certificate: String,
}

impl TokenServer {
    /// Starts a server; its key and certificate are below `folder`.
    pub(crate) fn start(folder: &Path) -> Self {
        let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
        let (key, certificate) = (path("token.key"), path("token.crt"));
        let curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"];
        let files = ["-keyout", &key, "-out", &certificate, "-subj", "/CN=tokens"];
        tool("openssl", &[&["req", "-x509"][..], &curve, &files].concat());
        let signer = Signer {
            key: EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &pem(&key), &SystemRandom::new())
                .unwrap(),
            certificate: STANDARD.encode(pem(&certificate)),
        };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let requests: Arc<Mutex<Vec<String>>> = Arc::default();
        let known = requests.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                serve(stream, &signer, &known);
            }
        });
        Self { host, certificate, requests }
    }

    /// The part of a registry's configuration that sends clients here.
    pub(crate) fn section(&self) -> String {
        format!(
            "auth:\n  token:\n    realm: http://{}/token\n    service: registry\n    issuer: tokens\n    rootcertbundle: {}\n",
            self.host, self.certificate
        )
    }

    /// What was asked so far: how, by whom, for which scopes. Forgets it.
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.requests.lock().unwrap())
    }
}

/// The bytes in a file of PEM.
fn pem(path: &str) -> Vec<u8> {
    let text = fs::read_to_string(path).unwrap();
    let body: String = text.lines().filter(|line| !line.starts_with("-----")).collect();
    STANDARD.decode(body).unwrap()
}

impl Signer {
    /// A token for `user` that allows `access`.
    fn sign(&self, user: &str, access: &[Value]) -> String {
        let now = jiff::Timestamp::now().as_second();
        let header = json!({"typ": "JWT", "alg": "ES256", "x5c": [self.certificate]});
        let claims = json!({
            "iss": "tokens", "sub": user, "aud": "registry", "jti": "1",
            "iat": now, "nbf": now - 10, "exp": now + 300, "access": access,
        });
        let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let text = format!("{}.{}", part(header), part(claims));
        let signature = self.key.sign(&SystemRandom::new(), text.as_bytes()).unwrap();
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

fn serve(mut stream: TcpStream, signer: &Signer, known: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let Some(head) = Head::read(&mut reader) else { return };
    let mut body = vec![0; head.length()];
    reader.read_exact(&mut body).unwrap();
    let method = head.method.as_str();
    let query = if method == "POST" {
        String::from_utf8(body).unwrap()
    } else {
        head.target.split_once('?').unwrap().1.to_owned()
    };
    let url = reqwest::Url::parse(&format!("http://tokens/?{query}")).unwrap();
    let fields: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    let (status, answer) = match user(method, head.header("authorization"), &fields) {
        Some(user) => {
            let scopes: Vec<&str> = values(&fields, "scope").flat_map(str::split_whitespace).collect();
            known.lock().unwrap().push(format!("{method} {user}: {}", scopes.join(" ")));
            let access: Vec<Value> = scopes.iter().filter_map(|scope| granted(&user, scope)).collect();
            let token = signer.sign(&user, &access);
            let lasting = values(&fields, "offline_token").any(|text| text == "true");
            let refresh = if lasting { "lasting" } else { "" };
            (200, json!({"token": token, "refresh_token": refresh}))
        }
        None => (401, json!({"errors": [{"code": "UNAUTHORIZED", "message": "wrong user or password"}]})),
    };
    let answer = answer.to_string();
    let length = answer.len();
    // A client that goes away is none of the server's concern.
    let _ = write!(
        stream,
        "HTTP/1.1 {status} Answer\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: \
         {length}\r\n\r\n{answer}"
    );
}

fn values<'a>(fields: &'a [(String, String)], wanted: &'a str) -> impl Iterator<Item = &'a str> {
    fields.iter().filter(move |(name, _)| name == wanted).map(|(_, value)| value.as_str())
}

/// Who asks; none for whoever proves nothing right.
fn user(method: &str, authorization: Option<&str>, fields: &[(String, String)]) -> Option<String> {
    if method == "POST" {
        let is_right = values(fields, "refresh_token").eq(["lasting"]);
        return is_right.then(|| "me".to_owned());
    }
    match authorization {
        None => Some("nobody".to_owned()),
        Some(header) => {
            (header == format!("Basic {}", STANDARD.encode("me:secret"))).then(|| "me".to_owned())
        }
    }
}

/// What of `repository:team/app:pull,push` the user may do.
fn granted(user: &str, scope: &str) -> Option<Value> {
    let (of, actions) = scope.rsplit_once(':')?;
    let (kind, name) = of.split_once(':')?;
    let may = |action: &&str| match (user, *action) {
        ("me", _) if name.starts_with("team/") => true,
        (_, "pull") | ("me", "push") => name.starts_with("public/"),
        _ => false,
    };
    let actions: Vec<&str> = actions.split(',').filter(may).collect();
    Some(json!({"type": kind, "name": name, "actions": actions}))
}
