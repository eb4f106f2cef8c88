//! Docker's `config.json`, which podman's `auth.json` resembles: which entry is for a repository.
//!
//! `credHelpers` wins over `credsStore`, that over `auths`. Keys of `auths` and `credHelpers` may name a repository; the
//! longest that fits wins. They may be written as addresses, as older versions of docker did.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::credentials::{Programs, Secret};
use super::helper::Helper;
use super::host::HUB;

/// The key of Docker Hub in docker's file.
pub(super) const HUB_KEY: &str = "https://index.docker.io/v1/";

/// The parts that hold credentials.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct DockerConfig {
    auths: Option<BTreeMap<String, Option<Auth>>>,
    creds_store: Option<String>,
    cred_helpers: Option<BTreeMap<String, String>>,
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
pub(super) struct Lookup {
    /// The secret, and the part of the file that led to it.
    pub(super) found: Option<(Secret, String)>,
    /// Helpers that failed before.
    pub(super) failures: Vec<String>,
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl DockerConfig {
    /// The credential for the repository `path` at `host`.
    ///
    /// # Errors
    /// What is wrong with the entry that is for it.
    pub(super) fn find(&self, host: &str, path: &str, programs: Programs<'_>) -> Result<Lookup, String> {
        let mut failures = Vec::new();
        let by_host = self.helper_of(host, path).map(|helper| (helper, "credHelpers"));
        let of_all = self.store_of(host).map(|helper| (helper, "credsStore"));
        for (helper, part) in by_host.into_iter().chain(of_all) {
            match helper.get(programs) {
                Ok(Some(secret)) => {
                    let found = Some((secret, format!("{part} `{}`", helper.name)));
                    return Ok(Lookup { found, failures });
                }
                Ok(None) => {}
                Err(reason) => {
                    failures.push(format!("the helper `docker-credential-{}` {reason}", helper.name));
                }
            }
        }
        Ok(Lookup { found: self.in_auths(host, path)?, failures })
    }

    fn in_auths(&self, host: &str, path: &str) -> Result<Option<(Secret, String)>, String> {
        let auths = || self.auths.iter().flatten();
        for key in keys(host, path) {
            for (written, auth) in auths().filter(|(written, _)| plain(written) == key) {
                let secret = auth.as_ref().map_or(Ok(None), Auth::secret);
                let secret = secret.map_err(|reason| format!("the entry `{written}` of `auths` {reason}"))?;
                if let Some(secret) = secret {
                    return Ok(Some((secret, format!("auths `{written}`"))));
                }
            }
        }
        Ok(None)
    }

    /// The helper that `credHelpers` names for the repository. It is asked by the key, as docker and podman do.
    pub(super) fn helper_of(&self, host: &str, path: &str) -> Option<Helper> {
        let helpers = || self.cred_helpers.iter().flatten().filter(|(_, name)| !name.is_empty());
        let found = keys(host, path)
            .into_iter()
            .find_map(|key| helpers().find(|(written, _)| plain(written) == key))?;
        Some(Helper { name: found.1.clone(), server: found.0.clone() })
    }

    /// The helper for all registries.
    pub(super) fn store_of(&self, host: &str) -> Option<Helper> {
        let name = self.creds_store.clone().filter(|name| !name.is_empty())?;
        let server = if is_hub(host) { HUB_KEY } else { host };
        Some(Helper { name, server: server.to_owned() })
    }
}

impl Auth {
    fn secret(&self) -> Result<Option<Secret>, &'static str> {
        let set = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        if let Some(token) = set(&self.registrytoken) {
            return Ok(Some(Secret::Registry(token)));
        }
        if let Some(token) = set(&self.identitytoken) {
            return Ok(Some(Secret::Identity(token)));
        }
        if let Some(encoded) = set(&self.encoded) {
            let decoded =
                STANDARD.decode(encoded.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            let text = decoded.ok_or("has an `auth` that is not text in base64")?;
            let (username, password) =
                text.split_once(':').ok_or("has an `auth` that is not `USER:PASSWORD` in base64")?;
            let password = password.trim_end_matches('\0');
            return Ok(Some(Secret::Password {
                username: username.to_owned(),
                password: password.to_owned(),
            }));
        }
        let pair = set(&self.username).zip(set(&self.password));
        Ok(pair.map(|(username, password)| Secret::Password { username, password }))
    }
}

/// Whether `host` is one of the names of Docker Hub.
pub(super) fn is_hub(host: &str) -> bool {
    [HUB.0, HUB.1, "index.docker.io"].contains(&host)
}

/// Whether `key` is one for all of `host`.
pub(super) fn is_for(key: &str, host: &str) -> bool {
    keys(host, "").iter().any(|fitting| fitting == plain(key))
}

/// The keys that fit a repository, the most specific first; `path` is empty for the registry itself.
fn keys(host: &str, path: &str) -> Vec<String> {
    let hosts: &[&str] = if is_hub(host) { &["index.docker.io", HUB.0, HUB.1] } else { &[host] };
    let mut keys = Vec::new();
    let mut rest = Some(path).filter(|path| !path.is_empty());
    while let Some(path) = rest {
        keys.extend(hosts.iter().map(|host| format!("{host}/{path}")));
        rest = path.rsplit_once('/').map(|(parent, _)| parent);
    }
    keys.extend(hosts.iter().map(|host| (*host).to_owned()));
    keys
}

/// What a key names. One that is an address is for its whole host, whatever its path says: so docker and podman read
/// it.
fn plain(key: &str) -> &str {
    if let Some(address) = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")) {
        return address.split('/').next().unwrap_or_default();
    }
    let key = key.trim_end_matches('/');
    ["/v1", "/v2"].iter().find_map(|end| key.strip_suffix(end)).unwrap_or(key)
}
