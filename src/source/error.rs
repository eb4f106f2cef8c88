//! Why a source tree cannot be used.

use std::io;
use std::path::{Path, PathBuf};

use crate::store;
use crate::ui::{Diagnose, ExitCode, Location};

/// Why a source tree cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file operation failed.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The path is no folder.
    #[error("{} is not a folder", path.display())]
    NotAFolder {
        /// The path.
        path: PathBuf,
    },
    /// There is no such folder for an app.
    #[error("there is no folder `{typed}` below {}", path.display())]
    NoSuchApp {
        /// The source.
        path: PathBuf,
        /// What was asked for.
        typed: String,
    },
    /// A symbolic link leads out of the tree.
    #[error("the symbolic link `{path}` points to `{target}`, which is outside the source tree")]
    LinkOutside {
        /// The link.
        path: String,
        /// Its text.
        target: String,
    },
    /// A name or the text of a link is not UTF-8.
    #[error("`{path}` is not UTF-8: an image built from it would depend on who unpacks it")]
    NotText {
        /// The name, as well as it can be shown.
        path: String,
    },
    /// Folders within folders without end.
    #[error("`{path}` is more than {limit} folders deep")]
    TooDeep {
        /// The folder.
        path: String,
        /// How deep a tree may be.
        limit: usize,
    },
    /// More files than any source has.
    #[error("the source tree holds more than {limit} files and folders, most of them in `{largest}`")]
    TooMany {
        /// How many there may be.
        limit: usize,
        /// The entry of the root with most of them.
        largest: String,
    },
    /// An ignore file is too large.
    #[error("`{path}` is larger than {limit} bytes")]
    IgnoreTooLarge {
        /// The file.
        path: String,
        /// In bytes.
        limit: u64,
    },
    /// A line of an ignore file means nothing.
    #[error("`{pattern}` is not a pattern: {reason}")]
    Pattern {
        /// The line.
        pattern: String,
        /// What is wrong with it.
        reason: String,
        /// The file.
        file: String,
        /// From 1; none for patterns that are not from a file.
        line: Option<usize>,
    },
    /// A file changed between planning and building.
    #[error("{} changed while it was being read", path.display())]
    Changed {
        /// The file, or the whole tree.
        path: PathBuf,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl Error {
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}

fn leave_out(path: &str) -> String {
    format!("or leave it out, in `rpack.toml`: `source.exclude = [\"/{path}\"]`")
}

impl Diagnose for Error {
    fn id(&self) -> &'static str {
        match self {
            Self::Io { .. } => "source/read",
            Self::NotAFolder { .. } => "source/not-a-folder",
            Self::NoSuchApp { .. } => "source/no-such-app",
            Self::LinkOutside { .. } => "source/link-outside",
            Self::NotText { .. } => "source/not-text",
            Self::TooDeep { .. } => "source/too-deep",
            Self::TooMany { .. } => "source/too-many",
            Self::IgnoreTooLarge { .. } => "source/ignore-too-large",
            Self::Pattern { .. } => "source/pattern",
            Self::Changed { .. } => "source/changed",
            Self::Store(error) => error.id(),
        }
    }

    fn exit(&self) -> ExitCode {
        match self {
            Self::NotAFolder { .. } | Self::NoSuchApp { .. } | Self::Pattern { .. } => ExitCode::Usage,
            Self::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound => ExitCode::Usage,
            Self::Changed { .. } => ExitCode::Retry,
            Self::Store(error) => error.exit(),
            _ => ExitCode::Failed,
        }
    }

    fn location(&self) -> Option<Location> {
        match self {
            Self::Pattern { file, line, .. } => {
                Some(Location { file: file.clone(), line: *line, column: None })
            }
            Self::Store(error) => error.location(),
            _ => None,
        }
    }

    fn detail(&self) -> Option<String> {
        if let Self::Store(error) = self { error.detail() } else { None }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Io { source, path, .. } if source.kind() == io::ErrorKind::NotFound => {
                vec![format!("check the path: `ls -ld {}`", path.display())]
            }
            Self::Io { source, path, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                vec![format!("make it readable: `chmod u+rX {}`", path.display())]
            }
            Self::NoSuchApp { .. } => {
                vec!["name a folder below the source, such as `--app apps/web`".to_owned()]
            }
            Self::LinkOutside { path, .. } => vec![
                format!(
                    "replace it by what it points to: `cp -rL {path} {path}.copy && rm {path} && mv {path}.copy {path}`"
                ),
                leave_out(path),
            ],
            Self::NotText { path } => vec!["rename it".to_owned(), leave_out(path)],
            Self::TooDeep { path, .. } | Self::TooMany { largest: path, .. } => {
                vec![format!(
                    "leave out what the build does not need, in `rpack.toml`: `source.exclude = [\"/{path}\"]`"
                )]
            }
            Self::Changed { .. } => vec!["build again when nothing writes to the folder".to_owned()],
            Self::Store(error) => error.hints(),
            _ => Vec::new(),
        }
    }
}
