//! What can go wrong while roots and toolchains are resolved and composed.

use super::debian;
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
    /// The registry has no package of this name.
    #[error("npm package `{package}` does not exist at {registry}")]
    NpmUnknown {
        /// Its name.
        package: String,
        /// The registry's address.
        registry: String,
    },
    /// The registry answered something else.
    #[error("{url} is not an answer of an npm registry: {reason}")]
    NpmAnswer {
        /// What was asked.
        url: String,
        /// What is wrong with the answer.
        reason: String,
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

impl Diagnose for Error {
    fn id(&self) -> &'static str {
        match self {
            Self::Http(error) => error.id(),
            Self::Store(error) => error.id(),
            Self::Debian(error) => error.id(),
            Self::UnknownBase { .. } => "rootfs/unknown-base",
            Self::Architecture { .. } => "rootfs/architecture",
            Self::Definition { .. } => "definitions/base",
            Self::Endpoint { .. } => "network/endpoint",
            Self::Vanished { .. } => "debian/vanished",
            Self::NpmUnknown { .. } => "npm/unknown-package",
            Self::NpmAnswer { .. } => "npm/answer",
            Self::Toolchain { .. } => "rootfs/toolchain",
        }
    }

    fn exit(&self) -> ExitCode {
        match self {
            Self::Http(error) => error.exit(),
            Self::Store(error) => error.exit(),
            Self::Debian(error) => error.exit(),
            Self::UnknownBase { .. } | Self::Architecture { .. } | Self::Definition { .. } => ExitCode::Usage,
            Self::Endpoint { .. }
            | Self::Vanished { .. }
            | Self::NpmUnknown { .. }
            | Self::NpmAnswer { .. } => ExitCode::Network,
            Self::Toolchain { .. } => ExitCode::Failed,
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
            Self::Vanished { urls, .. } => Some(urls.iter().map(|url| format!("asked: {url}\n")).collect()),
            _ => None,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Http(error) => error.hints(),
            Self::Store(error) => error.hints(),
            Self::Debian(error) => error.hints(),
            Self::Endpoint { ecosystem } => vec![format!(
                "state one in rpack.toml:\n\n    [mirror.{ecosystem}]\n    url = \"https://mirror.example/{ecosystem}\""
            )],
            Self::Vanished { package, .. } => vec![
                format!("lock the version of today: `rpack lock --upgrade {package}`"),
                "or name a mirror of snapshots in rpack.toml:\n\n    [mirror.debian-snapshot]\n    url = \
                 \"https://mirror.example/snapshot\""
                    .to_owned(),
            ],
            Self::NpmUnknown { .. } => {
                vec!["`rpack doctor` shows where the registry's address was found".to_owned()]
            }
            _ => Vec::new(),
        }
    }
}
