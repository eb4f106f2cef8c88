//! Why no plan can be made.

use crate::ui::{Diagnose, ExitCode, Location};

/// Why no plan can be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The chosen language has no buildpack.
    #[error("there is no buildpack `{language}`")]
    UnknownLanguage {
        /// What was asked for.
        language: String,
        /// What there is.
        known: Vec<String>,
    },
    /// A data file is wrong: the author of a definitions folder has to mend it.
    #[error("{file} is not valid: {reason}")]
    Definition {
        /// The file.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A rule of the buildpack says that this app cannot be built.
    #[error("{message}")]
    Refused {
        /// The rule's id.
        id: String,
        /// What was found and needed.
        message: String,
        /// Evidence.
        detail: Option<String>,
        /// What to do.
        hints: Vec<String>,
    },
    /// A version that nobody offers.
    #[error("{tool} {requested} is not offered: {source_name} has no such version")]
    NotOffered {
        /// `node`.
        tool: String,
        /// What was asked for.
        requested: String,
        /// Where it was asked for.
        location: Location,
        /// Who was asked.
        source_name: String,
        /// The nearest versions there are.
        nearest: Vec<String>,
    },
    /// A version text that cannot be read.
    #[error("`{requested}` is not a version of {tool}: expected {expected}")]
    InvalidVersion {
        /// `node`.
        tool: String,
        /// The text.
        requested: String,
        /// Where it stands.
        location: Location,
        /// The forms there are.
        expected: &'static str,
    },
    /// No start command.
    #[error("nothing says how to start the app")]
    NoStart {
        /// What was looked at, each with the reason it was passed over.
        rejected: Vec<String>,
        /// The command to suggest.
        suggestion: String,
    },
    /// A start command that only a shell could run.
    #[error("the start command `{command}` needs a shell for `{operator}`, and the image has none")]
    NeedsShell {
        /// The command.
        command: String,
        /// What needs the shell.
        operator: String,
        /// Where it stands.
        location: Location,
    },
    /// A start command that cannot be split into words.
    #[error("the start command `{command}` {reason}")]
    InvalidStart {
        /// The command.
        command: String,
        /// What is wrong.
        reason: String,
        /// Where it stands.
        location: Location,
    },
    /// A start command that is a development server.
    #[error("the start command `{command}` is a development server")]
    DevelopmentServer {
        /// The command.
        command: String,
        /// Where it stands.
        location: Location,
        /// What to use instead.
        instead: String,
    },
    /// A configured value that images may not have.
    #[error("{key} = `{value}` cannot be used: {reason}")]
    Setting {
        /// The key.
        key: String,
        /// The value.
        value: String,
        /// Why not.
        reason: String,
        /// Who said so.
        location: Location,
    },
    /// A warning under `strict`.
    #[error("{text}")]
    Strict {
        /// The notice's id.
        id: String,
        /// The notice.
        text: String,
    },
    /// The document is not a plan of this version.
    #[error("this is not a plan that this rpack can build: {reason}")]
    Format {
        /// What is wrong with it.
        reason: String,
    },
    /// The outside world refused; its own words.
    #[error("{0}")]
    Catalogue(super::model::CatalogueError),
}

impl From<super::model::CatalogueError> for Error {
    fn from(error: super::model::CatalogueError) -> Self {
        Self::Catalogue(error)
    }
}

impl Diagnose for Error {
    fn id(&self) -> &str {
        match self {
            Self::UnknownLanguage { .. } => "plan/unknown-language",
            Self::Definition { .. } => "definitions/invalid",
            Self::Refused { id, .. } | Self::Strict { id, .. } => id,
            Self::NotOffered { .. } => "version/not-offered",
            Self::InvalidVersion { .. } => "version/invalid",
            Self::NoStart { .. } => "start/none",
            Self::NeedsShell { .. } => "start/needs-shell",
            Self::InvalidStart { .. } => "start/invalid",
            Self::DevelopmentServer { .. } => "start/dev-server",
            Self::Setting { .. } => "config/refused",
            Self::Format { .. } => "plan/format",
            Self::Catalogue(error) => error.id(),
        }
    }

    fn exit(&self) -> ExitCode {
        match self {
            Self::Catalogue(error) => error.exit(),
            _ => ExitCode::Usage,
        }
    }

    fn location(&self) -> Option<Location> {
        match self {
            Self::NotOffered { location, .. }
            | Self::InvalidVersion { location, .. }
            | Self::NeedsShell { location, .. }
            | Self::InvalidStart { location, .. }
            | Self::DevelopmentServer { location, .. }
            | Self::Setting { location, .. } => Some(location.clone()),
            Self::Catalogue(error) => error.location(),
            _ => None,
        }
    }

    fn detail(&self) -> Option<String> {
        match self {
            Self::Refused { detail, .. } => detail.clone(),
            Self::NoStart { rejected, .. } if !rejected.is_empty() => Some(rejected.join("\n")),
            Self::Catalogue(error) => error.detail(),
            _ => None,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::UnknownLanguage { known, .. } => vec![format!("there are: {}", known.join(", "))],
            Self::Refused { hints, .. } => hints.clone(),
            Self::NotOffered { tool, nearest, .. } => vec![
                format!("the nearest versions there are: {}", nearest.join(", ")),
                format!("ask for one of them, for this build alone: `rpack build --set runtime.{tool}.version={}`",
                    nearest.first().map_or("VERSION", String::as_str)),
            ],
            Self::NoStart { suggestion, .. } => vec![
                format!("a file `Procfile` with the line `web: {suggestion}`"),
                format!("or in rpack.toml: `start.command = \"{suggestion}\"`"),
                format!("or for this build alone: `rpack build --start \"{suggestion}\"`"),
            ],
            Self::NeedsShell { .. } => vec![
                "name one program with its arguments; `$NAME`, `${NAME:-default}`, quotes, leading `A=b` and `cd DIR &&` work without a shell".to_owned(),
                "put preparation into the build: `build.command` in rpack.toml".to_owned(),
            ],
            Self::DevelopmentServer { instead, .. } => vec![instead.clone()],
            Self::Strict { .. } => vec!["without `--strict` this is a warning".to_owned()],
            Self::Format { .. } => vec!["make it anew with this rpack: `rpack plan --json`".to_owned()],
            Self::Catalogue(error) => error.hints(),
            _ => Vec::new(),
        }
    }
}
