//! What can go wrong while roots and toolchains are resolved and composed.

use super::{Ecosystem, debian};
use crate::http;
use crate::store;
use crate::ui::{Diagnose, ExitCode, Location};

/// An error of this stage.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The network or a server.
    #[error(transparent)]
    Http(#[from] http::Error),
    /// The store.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// Debian's metadata or packages.
    #[error(transparent)]
    Debian(#[from] debian::Error),
    /// An image from elsewhere.
    #[error(transparent)]
    Image(#[from] super::image::Error),
    /// There is no such base.
    #[error("there is no base `{base}`; there are: {}", list(available))]
    UnknownBase {
        /// What was asked for.
        base: String,
        /// What there is.
        available: Vec<String>,
    },
    /// The base is not offered for this architecture.
    #[error("base `{base}` is not offered for architecture `{architecture}`; it is for: {}", list(available))]
    Architecture {
        /// The base.
        base: String,
        /// What was asked for.
        architecture: String,
        /// What there is.
        available: Vec<String>,
    },
    /// A data file is wrong.
    #[error("{file} is wrong: {reason}")]
    Definition {
        /// The file.
        file: String,
        /// What is wrong.
        reason: String,
    },
    /// No address is known.
    #[error("no address of a {ecosystem} registry or mirror is known on this machine")]
    Endpoint {
        /// `npm`, `debian`.
        ecosystem: String,
    },
    /// A locked package is nowhere to be had.
    #[error("package `{package} {version}` is locked, and no server holds it any more")]
    Vanished {
        /// Its name.
        package: String,
        /// Its version.
        version: String,
        /// Where it was looked for.
        urls: Vec<String>,
    },
    /// The registry has nothing of this name.
    #[error("{} `{name}` does not exist at {registry}", ecosystem.thing())]
    RegistryUnknown {
        /// The registry's kind.
        ecosystem: Ecosystem,
        /// The package, module, project or artifact.
        name: String,
        /// The registry's address.
        registry: String,
    },
    /// The registry answered something else.
    #[error("{url} is not an answer of {}: {reason}", ecosystem.registry())]
    RegistryAnswer {
        /// The registry's kind.
        ecosystem: Ecosystem,
        /// What was asked.
        url: String,
        /// What is wrong with the answer.
        reason: String,
    },
    /// The list of Go's proxies names none.
    #[error("{origin} is `{text}`: that names no module proxy, and toolchains come from proxies only")]
    NoProxy {
        /// As found.
        text: String,
        /// Where.
        origin: String,
    },
    /// The answer of Go's checksum database is not proved.
    #[error("{url} cannot be trusted: {reason}")]
    Checksum {
        /// What was asked.
        url: String,
        /// What is wrong with the answer.
        reason: String,
    },
    /// Go's checksum database may not be asked, or its key cannot be read.
    #[error("Go's toolchains cannot be verified: {origin} is `{text}`")]
    NoChecksums {
        /// As found.
        text: String,
        /// Where.
        origin: String,
    },
    /// A toolchain of the plan cannot be used.
    #[error("toolchain `{name}` {version} cannot be unpacked: {reason}")]
    Toolchain {
        /// Its name.
        name: String,
        /// Its version.
        version: String,
        /// What is wrong.
        reason: String,
    },
}

fn list(items: &[String]) -> String {
    items.iter().map(|item| format!("`{item}`")).collect::<Vec<_>>().join(", ")
}

impl Error {
    /// Whether a registry said that there is no such thing.
    pub(super) fn is_missing(&self) -> bool {
        match self {
            Self::RegistryUnknown { .. } => true,
            Self::Http(error) => error.is_missing(),
            _ => false,
        }
    }
}

impl Diagnose for Error {
    fn id(&self) -> &'static str {
        match self {
            Self::Http(error) => error.id(),
            Self::Store(error) => error.id(),
            Self::Debian(error) => error.id(),
            Self::Image(error) => error.id(),
            Self::UnknownBase { .. } => "rootfs/unknown-base",
            Self::Architecture { .. } => "rootfs/architecture",
            Self::Definition { .. } => "definitions/base",
            Self::Endpoint { .. } => "network/endpoint",
            Self::Vanished { .. } => "lock/vanished",
            Self::RegistryUnknown { ecosystem, .. } => ecosystem.unknown(),
            Self::RegistryAnswer { ecosystem, .. } => ecosystem.answer(),
            Self::NoProxy { .. } => "go/no-proxy",
            Self::Checksum { .. } => "go/checksum",
            Self::NoChecksums { .. } => "go/no-checksums",
            Self::Toolchain { .. } => "rootfs/toolchain",
        }
    }

    fn exit(&self) -> ExitCode {
        match self {
            Self::Http(error) => error.exit(),
            Self::Store(error) => error.exit(),
            Self::Debian(error) => error.exit(),
            Self::Image(error) => error.exit(),
            Self::UnknownBase { .. }
            | Self::Architecture { .. }
            | Self::Definition { .. }
            | Self::NoProxy { .. }
            | Self::NoChecksums { .. } => ExitCode::Usage,
            Self::Endpoint { .. }
            | Self::Vanished { .. }
            | Self::RegistryUnknown { .. }
            | Self::RegistryAnswer { .. } => ExitCode::Network,
            Self::Toolchain { .. } | Self::Checksum { .. } => ExitCode::Failed,
        }
    }

    fn location(&self) -> Option<Location> {
        match self {
            Self::Definition { file, .. } => Some(Location { file: file.clone(), line: None, column: None }),
            _ => None,
        }
    }

    fn detail(&self) -> Option<String> {
        match self {
            Self::Debian(error) => error.detail(),
            Self::Image(error) => error.detail(),
            Self::Vanished { urls, .. } => Some(format!("asked: {}\n", urls.join("\nasked: "))),
            _ => None,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Http(error) => error.hints(),
            Self::Store(error) => error.hints(),
            Self::Debian(error) => error.hints(),
            Self::Image(error) => error.hints(),
            Self::Endpoint { ecosystem } => vec![format!(
                "state one in rpack.toml:\n\n    [mirror.{ecosystem}]\n    url = \"https://mirror.example/{ecosystem}\""
            )],
            Self::Vanished { package, .. } => vec![
                format!("lock the version of today: `rpack lock --upgrade {package}`"),
                "or name a mirror of snapshots in rpack.toml:\n\n    [mirror.debian-snapshot]\n    url = \
                 \"https://mirror.example/snapshot\""
                    .to_owned(),
            ],
            Self::RegistryUnknown { ecosystem: Ecosystem::Archive, name, .. } => {
                vec![format!("a list of archives is a file `toolchains/{name}.toml` of `--definitions`")]
            }
            Self::RegistryUnknown { .. } => {
                vec!["`rpack doctor` shows where the registry's address was found".to_owned()]
            }
            Self::NoProxy { .. } => {
                vec!["name one in rpack.toml: `mirror.go = \"https://proxy.example\"`".to_owned()]
            }
            Self::Checksum { .. } => vec![
                "a proxy changed the answer, or keeps a damaged copy: use another one for this run: \
                 `RPACK_MIRROR__GO=https://proxy.example`"
                    .to_owned(),
            ],
            Self::NoChecksums { .. } => vec![
                "leave the variable unset for this run: the go command asks for the same: `env -u GOSUMDB rpack …`"
                    .to_owned(),
            ],
            _ => Vec::new(),
        }
    }
}
