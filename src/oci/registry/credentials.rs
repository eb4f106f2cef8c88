//! Who this machine is to a registry: what `docker login` and `podman login` wrote down.
//!
//! Asked in this order, on to the next place when one has nothing for the registry: `RPACK_REGISTRY_AUTH` (the text of
//! a docker `config.json`, or the path of one), docker's own file, `REGISTRY_AUTH_FILE`, podman's files
//! (<https://github.com/containers/image/blob/main/docs/containers-auth.json.5.md>).

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::docker_config::{DockerConfig, Lookup};
use super::error::Error;

/// The variable that holds credentials, or names a file with them.
const VARIABLE: &str = "RPACK_REGISTRY_AUTH";

/// What is read of the machine to find credentials.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// The user's home directory.
    pub home: Option<PathBuf>,
    /// The environment variables.
    pub environment: BTreeMap<String, String>,
}

/// Finds credentials.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    places: Places,
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

impl Credentials {
    /// Looks in `places`.
    pub fn new(places: Places) -> Self {
        Self { places }
    }

    /// What is read of the machine.
    pub(super) fn places(&self) -> &Places {
        &self.places
    }

    /// The credential for the repository `path` at `host`.
    ///
    /// # Errors
    /// When a file exists and cannot be read: going on without it would look like a refusal by the registry.
    pub(super) fn find(&self, host: &str, path: &str) -> Result<Search, Error> {
        let mut search = Search::default();
        let programs = self.variable("PATH").unwrap_or_default();
        for (origin, config) in self.configs()? {
            match config.find(host, path, programs) {
                Lookup::Found(secret, place) => {
                    search.credential = Some(Credential { secret, origin: format!("{origin} {place}") });
                    return Ok(search);
                }
                Lookup::Nothing(failures) => {
                    search.failures.extend(failures.iter().map(|failure| format!("{origin}: {failure}")));
                }
            }
        }
        Ok(search)
    }

    fn variable(&self, name: &str) -> Option<&str> {
        self.places.environment.get(name).map(String::as_str).filter(|text| !text.is_empty())
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

    fn files(&self) -> Vec<PathBuf> {
        let home = self.places.home.as_deref();
        let folder = |name: &str| self.variable(name).map(PathBuf::from);
        let docker = folder("DOCKER_CONFIG").or_else(|| home.map(|home| home.join(".docker")));
        let config = folder("XDG_CONFIG_HOME").or_else(|| home.map(|home| home.join(".config")));
        let files = [
            docker.map(|folder| folder.join("config.json")),
            folder("REGISTRY_AUTH_FILE"),
            folder("XDG_RUNTIME_DIR").map(|folder| folder.join("containers/auth.json")),
            config.map(|folder| folder.join("containers/auth.json")),
        ];
        files.into_iter().flatten().collect()
    }
}

fn read(path: &Path, must_exist: bool) -> Result<Option<(String, DockerConfig)>, Error> {
    let origin = path.display().to_string();
    match fs::read(path) {
        Ok(bytes) => Ok(Some((origin.clone(), parse(&origin, &bytes)?))),
        Err(error) if error.kind() == io::ErrorKind::NotFound && !must_exist => Ok(None),
        Err(error) => Err(Error::Credentials { place: origin, reason: error.to_string() }),
    }
}

fn parse(origin: &str, bytes: &[u8]) -> Result<DockerConfig, Error> {
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
