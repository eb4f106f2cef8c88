//! Who this machine is to a registry: what `rpack login`, `docker login` and `podman login` wrote down.
//!
//! Asked in this order, on to the next place when one has nothing for the registry: `RPACK_REGISTRY_AUTH` (the text of
//! a docker `config.json`, or the path of one), `REGISTRY_AUTH_FILE`, docker's own file, podman's files
//! (<https://github.com/containers/image/blob/main/docs/containers-auth.json.5.md>). What a variable names comes
//! before what every machine has.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::docker_config::DockerConfig;
use super::error::Error;

/// The variable that holds credentials, or names a file with them.
const VARIABLE: &str = "RPACK_REGISTRY_AUTH";

/// The variable that names podman's file.
const PODMAN: &str = "REGISTRY_AUTH_FILE";

/// A helper that asks a person or a locked keyring must not hold up a build.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is read of the machine to find credentials.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// The user's home directory.
    pub home: Option<PathBuf>,
    /// The environment variables.
    pub environment: BTreeMap<String, String>,
    /// Where podman keeps what lasts until the machine is restarted when `XDG_RUNTIME_DIR` does not say.
    pub runtime: Option<PathBuf>,
}

/// Finds credentials. Each is looked up once: helpers may be slow, and may ask a person.
#[derive(Clone, Debug)]
pub struct Credentials {
    places: Places,
    patience: Duration,
    known: Arc<Mutex<BTreeMap<(String, String), Search>>>,
}

/// Programs that keep passwords: where they are, and how long they have.
#[derive(Clone, Copy, Debug)]
pub(super) struct Programs<'a> {
    /// The folders, as in `PATH`.
    pub(super) path: &'a str,
    /// How long one may take.
    pub(super) patience: Duration,
}

/// Where a login is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Keeping {
    /// The file.
    pub(super) file: PathBuf,
    /// Whether it is podman's, which knows no helper for all registries and has another name for Docker Hub.
    pub(super) is_podmans: bool,
}

/// A credential with the place it comes from.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Credential {
    /// What proves who asks.
    pub(super) secret: Secret,
    /// `/home/me/.docker/config.json auths`.
    pub(super) origin: String,
}

/// What proves who asks.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Secret {
    /// For Basic, and for token servers.
    Password {
        /// The user.
        username: String,
        /// The password, or what a registry gave instead of one.
        password: String,
    },
    /// A refresh token, for token servers only.
    Identity(String),
    /// A token for the registry itself.
    Registry(String),
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.secret {
            Secret::Password { username, .. } => write!(f, "user `{username}` from {}", self.origin),
            Secret::Identity(_) => write!(f, "an identity token from {}", self.origin),
            Secret::Registry(_) => write!(f, "a registry token from {}", self.origin),
        }
    }
}

/// What was found for a registry.
#[derive(Clone, Debug, Default)]
pub(super) struct Search {
    /// None: ask as nobody.
    pub(super) credential: Option<Credential>,
    /// Helpers that failed on the way; they matter when the registry refuses.
    pub(super) failures: Vec<String>,
}

impl Default for Credentials {
    fn default() -> Self {
        Self::new(Places::default())
    }
}

impl Credentials {
    /// Looks in `places`.
    pub fn new(places: Places) -> Self {
        Self::with_patience(places, PATIENCE)
    }

    /// As [`Credentials::new`]; helpers have this long.
    pub(super) fn with_patience(places: Places, patience: Duration) -> Self {
        Self { places, patience, known: Arc::default() }
    }

    /// What is read of the machine.
    pub(super) fn places(&self) -> &Places {
        &self.places
    }

    /// The programs that may keep passwords.
    pub(super) fn programs(&self) -> Programs<'_> {
        Programs { path: self.variable("PATH").unwrap_or_default(), patience: self.patience }
    }

    /// The credential for the repository `path` at `host`; `path` is empty for the registry itself.
    ///
    /// # Errors
    /// When a file exists and cannot be read: going on without it would look like a refusal by the registry.
    pub(super) fn find(&self, host: &str, path: &str) -> Result<Search, Error> {
        self.find_once(host, path, false)
    }

    /// As [`Credentials::find`], after what was found has been refused: tokens that helpers give come to an end.
    pub(super) fn find_again(&self, host: &str, path: &str) -> Result<Search, Error> {
        self.find_once(host, path, true)
    }

    fn find_once(&self, host: &str, path: &str, again: bool) -> Result<Search, Error> {
        // Held while helpers run: several transfers that begin at once are one question to a person.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (host.to_owned(), path.to_owned());
        if let Some(search) = known.get(&key).filter(|_| !again) {
            return Ok(search.clone());
        }
        let search = self.search(host, path)?;
        known.insert(key, search.clone());
        Ok(search)
    }

    fn search(&self, host: &str, path: &str) -> Result<Search, Error> {
        let mut search = Search::default();
        for (origin, config) in self.configs()? {
            let lookup = config.find(host, path, self.programs());
            let lookup = lookup.map_err(|reason| Error::Credentials { place: origin.clone(), reason })?;
            search.failures.extend(lookup.failures.iter().map(|failure| format!("{origin}: {failure}")));
            if let Some((secret, place)) = lookup.found {
                search.credential = Some(Credential { secret, origin: format!("{origin} {place}") });
                break;
            }
        }
        Ok(search)
    }

    /// Where a login is written: where docker would, or podman if its variable is set.
    pub(super) fn keeping(&self) -> Option<Keeping> {
        let podmans = self.folder(PODMAN).map(|file| Keeping { file, is_podmans: true });
        podmans.or_else(|| Some(Keeping { file: self.dockers()?, is_podmans: false }))
    }

    /// Forgets what was found: something was written.
    pub(super) fn forget(&self) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn variable(&self, name: &str) -> Option<&str> {
        self.places.environment.get(name).map(String::as_str).filter(|text| !text.is_empty())
    }

    fn folder(&self, name: &str) -> Option<PathBuf> {
        self.variable(name).map(PathBuf::from)
    }

    fn configs(&self) -> Result<Vec<(String, DockerConfig)>, Error> {
        let mut found = Vec::new();
        match self.variable(VARIABLE) {
            Some(text) if text.trim_start().starts_with('{') => {
                found.push((VARIABLE.to_owned(), parse(VARIABLE, text.as_bytes())?));
            }
            Some(path) => found.extend(read(Path::new(path), true)?),
            None => {}
        }
        for path in self.files() {
            found.extend(read(&path, false)?);
        }
        Ok(found)
    }

    fn dockers(&self) -> Option<PathBuf> {
        let home = || self.places.home.as_deref().map(|home| home.join(".docker"));
        self.folder("DOCKER_CONFIG").or_else(home).map(|folder| folder.join("config.json"))
    }

    fn files(&self) -> Vec<PathBuf> {
        let home = self.places.home.as_deref();
        let runtime = self.folder("XDG_RUNTIME_DIR").map(|folder| folder.join("containers"));
        let config = self.folder("XDG_CONFIG_HOME").or_else(|| home.map(|home| home.join(".config")));
        let files = [
            self.folder(PODMAN),
            self.dockers(),
            runtime.or_else(|| self.places.runtime.clone()).map(|folder| folder.join("auth.json")),
            config.map(|folder| folder.join("containers/auth.json")),
        ];
        files.into_iter().flatten().collect()
    }
}

/// What the file says. One that is not there says nothing, unless it was named.
pub(super) fn read(path: &Path, must_exist: bool) -> Result<Option<(String, DockerConfig)>, Error> {
    let origin = path.display().to_string();
    let is_absent = |kind| matches!(kind, io::ErrorKind::NotFound | io::ErrorKind::NotADirectory);
    match fs::read(path) {
        Ok(bytes) => Ok(Some((origin.clone(), parse(&origin, &bytes)?))),
        Err(error) if is_absent(error.kind()) && !must_exist => Ok(None),
        Err(error) => Err(Error::Credentials { place: origin, reason: error.to_string() }),
    }
}

/// Reads a file of docker or podman; an empty one is one without entries, as it is to them.
pub(super) fn parse(origin: &str, bytes: &[u8]) -> Result<DockerConfig, Error> {
    if bytes.trim_ascii().is_empty() {
        return Ok(DockerConfig::default());
    }
    serde_json::from_slice(bytes).map_err(|error| Error::Credentials {
        place: origin.to_owned(),
        // The message of the parser may quote the file.
        reason: format!(
            "it is not JSON of the expected form (line {}, column {})",
            error.line(),
            error.column()
        ),
    })
}
