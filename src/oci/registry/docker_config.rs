//! Docker's `config.json`, which podman's `auth.json` resembles: which entry is for a repository.
//!
//! `credHelpers` wins over `credsStore`, that over `auths`. Keys of `auths` may name a repository; the longest that
//! fits wins. They may be written as addresses, as older versions of docker did.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::credentials::Secret;
use super::helper;
use super::host::HUB;

/// The key of Docker Hub.
const HUB_KEY: &str = "https://index.docker.io/v1/";

/// The parts that hold credentials.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct DockerConfig {
    auths: BTreeMap<String, Auth>,
    creds_store: Option<String>,
    cred_helpers: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Auth {
    #[serde(rename = "auth")]
    encoded: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
    registrytoken: Option<String>,
}

impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Auth(…)")
    }
}

/// What a file has for a repository.
#[derive(Debug)]
pub(super) enum Lookup {
    /// The secret, and the part of the file that led to it.
    Found(Secret, String),
    /// Nothing; helpers that failed.
    Nothing(Vec<String>),
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl DockerConfig {
    /// The credential for the repository `path` at `host`. `programs` is the `PATH` that helpers are found on.
    pub(super) fn find(&self, host: &str, path: &str, programs: &str) -> Lookup {
        let mut failures = Vec::new();
        let keys = keys(host, path);
        let by_host = self
            .cred_helpers
            .iter()
            .find(|(key, _)| keys.contains(&plain(key)))
            .map(|(_, name)| (name, "credHelpers"));
        let helpers = by_host.into_iter().chain(self.creds_store.iter().map(|name| (name, "credsStore")));
        for (name, part) in helpers.filter(|(name, _)| !name.is_empty()) {
            let server = if is_hub(host) { HUB_KEY } else { host };
            match helper::get(name, server, programs) {
                Ok(Some(secret)) => return Lookup::Found(secret, format!("{part} `{name}`")),
                Ok(None) => {}
                Err(reason) => failures.push(format!("the helper `docker-credential-{name}` {reason}")),
            }
        }
        let auths: BTreeMap<String, &Auth> =
            self.auths.iter().map(|(key, auth)| (plain(key), auth)).collect();
        for key in &keys {
            if let Some(secret) = auths.get(key).and_then(|auth| auth.secret()) {
                return Lookup::Found(secret, format!("auths `{key}`"));
            }
        }
        Lookup::Nothing(failures)
    }
}

impl Auth {
    fn secret(&self) -> Option<Secret> {
        let set = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        if let Some(token) = set(&self.registrytoken) {
            return Some(Secret::Registry(token));
        }
        if let Some(token) = set(&self.identitytoken) {
            return Some(Secret::Identity(token));
        }
        if let Some(encoded) = set(&self.encoded) {
            let text = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
            let (username, password) = text.split_once(':')?;
            let password = password.trim_end_matches('\0');
            return Some(Secret::Password { username: username.to_owned(), password: password.to_owned() });
        }
        Some(Secret::Password { username: set(&self.username)?, password: set(&self.password)? })
    }
}

fn is_hub(host: &str) -> bool {
    [HUB.0, HUB.1, "index.docker.io"].contains(&host)
}

/// The keys that fit a repository, the most specific first.
fn keys(host: &str, path: &str) -> Vec<String> {
    let hosts: &[&str] = if is_hub(host) { &["index.docker.io", HUB.0, HUB.1] } else { &[host] };
    let mut keys = Vec::new();
    let mut rest = Some(path);
    while let Some(path) = rest {
        keys.extend(hosts.iter().map(|host| format!("{host}/{path}")));
        rest = path.rsplit_once('/').map(|(parent, _)| parent);
    }
    keys.extend(hosts.iter().map(|host| (*host).to_owned()));
    keys
}

/// A key without scheme and the paths of old interfaces.
fn plain(key: &str) -> String {
    let key = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
    let key = key.trim_end_matches('/');
    ["/v1", "/v2"].iter().find_map(|end| key.strip_suffix(end)).unwrap_or(key).to_owned()
}
