//! What can be wrong with a lock.

use std::io;
use std::path::PathBuf;

use super::compare::{Difference, summary};
use super::file::NAME;
use crate::ui::{Diagnose, ExitCode, Location};

/// Why a lock cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The file cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The file is not a lock.
    #[error("`{NAME}` is broken: {reason}")]
    Broken {
        /// The parser's words.
        reason: String,
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
        /// The line with carets.
        excerpt: String,
    },
    /// The file is of another format.
    #[error("`{NAME}` has version {found}, and this rpack reads version {}", super::VERSION)]
    Version {
        /// What it says.
        found: i64,
    },
    /// Only what is locked may be used, and nothing is.
    #[error("there is no `{NAME}`, and only what is locked may be used")]
    Missing,
    /// Only what is locked may be used, and the app wants something else.
    #[error("`{NAME}` does not fit the app, and only what is locked may be used")]
    Drift {
        /// At least one.
        differences: Vec<Difference>,
    },
    /// Nothing of this name is locked.
    #[error("`{NAME}` holds no package, tool, base or image called `{name}`")]
    Unknown {
        /// As asked.
        name: String,
        /// What comes near.
        similar: Vec<String>,
    },
}

impl Diagnose for Error {
    fn id(&self) -> &'static str {
        match self {
            Self::Read { .. } => "lock/read",
            Self::Write { .. } => "lock/write",
            Self::Broken { .. } => "lock/broken",
            Self::Version { .. } => "lock/version",
            Self::Missing => "lock/missing",
            Self::Drift { .. } => "lock/drift",
            Self::Unknown { .. } => "lock/unknown-name",
        }
    }

    fn exit(&self) -> ExitCode {
        match self {
            Self::Write { .. } => ExitCode::Failed,
            _ => ExitCode::Usage,
        }
    }

    fn location(&self) -> Option<Location> {
        let (line, column) = match self {
            Self::Broken { line, column, .. } => (Some(*line), Some(*column)),
            Self::Version { .. } => (None, None),
            _ => return None,
        };
        Some(Location { file: NAME.to_owned(), line, column })
    }

    fn detail(&self) -> Option<String> {
        match self {
            Self::Broken { excerpt, .. } => Some(excerpt.clone()),
            Self::Drift { differences } => Some(summary(differences)),
            _ => None,
        }
    }

    fn hints(&self) -> Vec<String> {
        let text: &[&str] = match self {
            Self::Read { .. } | Self::Write { .. } => &[],
            Self::Broken { .. } => &[
                "after a merge: take the file of either side, then `rpack lock`",
                "or make it anew: `rm rpack.lock && rpack lock`",
            ],
            Self::Version { .. } => {
                &["use the rpack that wrote it, or make it anew: `rm rpack.lock && rpack lock`"]
            }
            Self::Missing => &["make it and commit it: `rpack lock`"],
            Self::Drift { .. } => &["lock what the app wants now and commit it: `rpack lock`"],
            Self::Unknown { similar, .. } => {
                if similar.is_empty() {
                    return Vec::new();
                }
                let names: Vec<_> = similar.iter().map(|name| format!("`{name}`")).collect();
                return vec![format!("did you mean {}?", names.join(" or "))];
            }
        };
        text.iter().map(|hint| (*hint).to_owned()).collect()
    }
}
