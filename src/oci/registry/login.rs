//! Logging in and out, as docker and podman do: a credential is proved, then kept where they look for it.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use reqwest::Method;
use reqwest::header::AUTHORIZATION;

use super::auth::{Access, pass};
use super::challenge;
use super::client::Registry;
use super::config_file::{self, Entry};
use super::credentials::{Credential, Keeping, Search, Secret, read};
use super::docker_config::{DockerConfig, HUB_KEY, is_hub};
use super::error::Error;
use super::helper::Helper;
use super::host::HUB;
use super::session::Session;
use crate::http::Request;
use crate::oci::Reference;

/// The most that is read of an answer whose status matters.
const LIMIT: u64 = 64 << 10;

/// A registry to log in to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// A repository there, which need not exist.
    reference: Reference,
    host: String,
}

impl Default for Server {
    /// Docker Hub.
    fn default() -> Self {
        HUB.0.parse().expect("a constant name is one")
    }
}

impl FromStr for Server {
    type Err = &'static str;

    /// A host with its port, or its address as older versions of docker wrote it: `https://registry.example/v2/`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or(text);
        let host = host.trim_end_matches('/');
        let host = ["/v1", "/v2"].iter().find_map(|end| host.strip_suffix(end)).unwrap_or(host);
        if host.contains('/') {
            return Err("it names a repository; a login is for all of a registry");
        }
        let host = if is_hub(host) { HUB.0 } else { host };
        let reference: Reference =
            format!("{host}/login").parse().map_err(|_| "it is not the name of a host")?;
        if reference.domain() != host {
            return Err("it is not the name of a registry, which has a `.` or a `:`, or is `localhost`");
        }
        Ok(Self { reference, host: host.to_owned() })
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.host)
    }
}

/// A credential that a registry has accepted.
#[derive(Debug)]
pub struct Proved {
    pub(super) server: Server,
    pub(super) secret: Secret,
    /// Whether the registry asked for it: one that answers everybody accepts anything.
    pub was_asked: bool,
}

/// Where a credential is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// Readable, in this file.
    File(PathBuf),
    /// By the program `docker-credential-NAME`.
    Helper(String),
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Helper(name) => write!(f, "the helper `docker-credential-{name}`"),
        }
    }
}

impl Registry {
    /// The user that this machine is to `server` so far.
    ///
    /// # Errors
    /// When a file with credentials cannot be read.
    pub fn user(&self, server: &Server) -> Result<Option<String>, Error> {
        let search = self.credentials.find(&server.host, "")?;
        Ok(search.credential.and_then(|credential| match credential.secret {
            Secret::Password { username, .. } => Some(username),
            Secret::Identity(_) | Secret::Registry(_) => None,
        }))
    }

    /// The credential that is used for `server`, with its place.
    ///
    /// # Errors
    /// When a file with credentials cannot be read.
    pub fn credential(&self, server: &Server) -> Result<Option<String>, Error> {
        Ok(self.credentials.find(&server.host, "")?.credential.map(|found| found.to_string()))
    }

    /// Shows user and password to `server`.
    ///
    /// # Errors
    /// When it refuses them, or is no registry.
    pub fn prove(&self, server: &Server, username: &str, password: &str) -> Result<Proved, Error> {
        // The registry itself, whatever mirror stands for it.
        let mut session =
            self.session(&server.reference, Access::Push { from: std::collections::BTreeSet::new() });
        session.repository.path = String::new();
        let secret = Secret::Password { username: username.to_owned(), password: password.to_owned() };
        let typed = Credential { secret: secret.clone(), origin: "this login".to_owned() };
        let search = Search { credential: Some(typed), failures: Vec::new() };
        let request = session.request(Method::GET, format!("{}/v2/", session.repository.origin));
        let first = session.client.ask(&request, LIMIT)?;
        let (challenge, was_asked) = match first.status {
            200 => (challenge::Challenge::Basic, false),
            401 => {
                let refused =
                    || Error::refused(&session.repository, &session.shown(&request), &first, &search);
                (challenge::read(&first.headers).ok_or_else(refused)?, true)
            }
            _ => return Err(session.unexpected(&request, &first)),
        };
        let pass = pass(&challenge, (username, password), &session, &search)?;
        accepted(&session, &request.with(AUTHORIZATION, &pass.header), &search)?;
        let secret = pass.identity.map_or(secret, Secret::Identity);
        Ok(Proved { server: server.clone(), secret, was_asked })
    }

    /// Writes a credential where docker would, or podman if `REGISTRY_AUTH_FILE` is set.
    ///
    /// # Errors
    /// When it cannot be kept there.
    pub fn keep(&self, proved: &Proved) -> Result<Kept, Error> {
        let host = &proved.server.host;
        let place = Place::of(&proved.server, self)?;
        let kept = match &place.helper {
            Some(helper) => {
                let stored = helper.store(&proved.secret, self.credentials.programs());
                stored.map_err(|reason| unkept(host, &Kept::Helper(helper.name.clone()), reason))?;
                Kept::Helper(helper.name.clone())
            }
            None => Kept::File(place.keeping.file.clone()),
        };
        let entry = match (&place.helper, place.keeping.is_podmans) {
            (None, _) => Some(Entry::of(&proved.secret)),
            // Docker leaves an empty entry beside a helper: it says for whom there is something to ask for. What a former
            // login has written there in plain text goes.
            (Some(_), false) => Some(Entry::default()),
            (Some(_), true) => None,
        };
        config_file::put(&place.keeping.file, (host, place.key(host)), entry)
            .map_err(|reason| unkept(host, &Kept::File(place.keeping.file.clone()), reason))?;
        self.credentials.forget();
        Ok(kept)
    }

    /// Removes what [`Registry::keep`] writes, and says from where; nothing when there was nothing.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn log_out(&self, server: &Server) -> Result<Vec<Kept>, Error> {
        let place = Place::of(server, self)?;
        let (host, programs) = (&server.host, self.credentials.programs());
        let mut erased = Vec::new();
        if let Some(helper) = &place.helper {
            let kept = Kept::Helper(helper.name.clone());
            let failed = |reason| unkept(host, &kept, reason);
            if helper.get(programs).map_err(failed)?.is_some() {
                helper.erase(programs).map_err(failed)?;
                erased.push(kept);
            }
        }
        let file = &place.keeping.file;
        let removed = config_file::put(file, (host, place.key(host)), None);
        if removed.map_err(|reason| unkept(host, &Kept::File(file.clone()), reason))? {
            erased.push(Kept::File(file.clone()));
        }
        self.credentials.forget();
        Ok(erased)
    }
}

/// Whether the registry takes what answers its challenge.
fn accepted(session: &Session<'_>, request: &Request, search: &Search) -> Result<(), Error> {
    let reply = session.client.ask(request, LIMIT)?;
    match reply.status {
        200 => Ok(()),
        401 | 403 => Err(Error::refused(&session.repository, &session.shown(request), &reply, search)),
        _ => Err(session.unexpected(request, &reply)),
    }
}

fn unkept(host: &str, place: &Kept, reason: String) -> Error {
    Error::Unkept { host: host.to_owned(), place: place.to_string(), reason }
}

/// Where the credential of a registry belongs.
struct Place {
    keeping: Keeping,
    helper: Option<Helper>,
}

impl Place {
    fn of(server: &Server, registry: &Registry) -> Result<Self, Error> {
        let keeping = registry.credentials.keeping().ok_or_else(|| Error::Unkept {
            host: server.host.clone(),
            place: "the home folder".to_owned(),
            reason: "HOME is not set".to_owned(),
        })?;
        let config = read(&keeping.file, false)?.map_or_else(DockerConfig::default, |(_, config)| config);
        let of_all = || config.store_of(&server.host).filter(|_| !keeping.is_podmans);
        let helper = config.helper_of(&server.host, "").or_else(of_all);
        Ok(Self { keeping, helper })
    }

    /// The key of a registry in the file.
    fn key<'a>(&self, host: &'a str) -> &'a str {
        if is_hub(host) && !self.keeping.is_podmans { HUB_KEY } else { host }
    }
}
