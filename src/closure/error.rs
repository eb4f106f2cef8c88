//! What an image lacks, and what can go wrong when that is found out.

use std::io;

use crate::plan::catalogue::CatalogueError;
use crate::store;
use crate::ui::{Diagnose, ExitCode};

/// A library that is nowhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unresolved {
    /// `libfoo.so.5`, or the path of a loader.
    pub name: String,
    /// The files that led to it: the program first, the one that needs it last.
    pub chain: Vec<String>,
    /// Packages that seem to hold it, the likeliest first.
    pub packages: Vec<String>,
}

/// Why the closure of an image cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Libraries that neither the image nor the build root has; never empty.
    #[error("{}", missing(.0))]
    Missing(Vec<Unresolved>),
    /// The interpreter of the start command.
    #[error(
        "the start command `/{script}` needs `{program}`, which is neither in the image nor in the build root"
    )]
    Interpreter {
        /// The script.
        script: String,
        /// `/bin/zsh`, or a name to be found on the `PATH`.
        program: String,
        /// Packages that seem to hold it.
        packages: Vec<String>,
        /// Who states the start command.
        origin: String,
    },
    /// The start command is a program for another machine.
    #[error("the start command `/{path}` is not a program for {platform}")]
    Architecture {
        /// The program.
        path: String,
        /// `linux/amd64`.
        platform: String,
    },
    /// An image for an architecture whose loader is not known.
    #[error("the libraries of an image for `{0}` cannot be checked")]
    Target(String),
    /// A glob of `closure.ignore`, or of the data.
    #[error("`{pattern}` is no glob over names of libraries: {reason}")]
    Ignore {
        /// The glob.
        pattern: String,
        /// What is wrong.
        reason: String,
    },
    /// The data is wrong.
    #[error("{file} is wrong: {reason}")]
    Definition {
        /// The file.
        file: String,
        /// What is wrong.
        reason: String,
    },
    /// A file of the image cannot be read.
    #[error("cannot read `/{path}` of the image")]
    Read {
        /// Relative to `/`.
        path: String,
        /// The system's answer.
        source: io::Error,
    },
    /// The build root cannot be composed.
    #[error(transparent)]
    Root(#[from] crate::rootfs::Error),
    /// A package for the image's architecture cannot be had.
    #[error("{0}")]
    Catalogue(CatalogueError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
}

fn missing(all: &[Unresolved]) -> String {
    let Some(first) = all.first() else { return String::new() };
    let user = first.chain.last().map_or("", String::as_str);
    let others = match all.len() {
        1 => String::new(),
        2 => " (and one other library)".to_owned(),
        count => format!(" (and {} other libraries)", count - 1),
    };
    format!("`/{user}` needs `{}`, which is neither in the image nor in the build root{others}", first.name)
}

/// One line a library: what needs it, through what.
fn chains(all: &[Unresolved]) -> String {
    let lines: Vec<String> = all
        .iter()
        .map(|one| {
            let chain: Vec<String> = one.chain.iter().map(|path| format!("/{path}")).collect();
            format!("{} -> {}", chain.join(" -> "), one.name)
        })
        .collect();
    lines.join("\n")
}

fn quoted(names: impl Iterator<Item = String>) -> String {
    let mut names: Vec<String> = names.map(|name| format!("\"{name}\"")).collect();
    names.sort();
    names.dedup();
    names.join(", ")
}

impl Diagnose for Error {
    fn id(&self) -> &'static str {
        match self {
            Self::Missing(_) => "closure/missing-library",
            Self::Interpreter { .. } => "closure/missing-interpreter",
            Self::Architecture { .. } => "closure/architecture",
            Self::Target(_) => "closure/target",
            Self::Ignore { .. } => "closure/ignore",
            Self::Definition { .. } => "closure/definition",
            Self::Read { .. } => "closure/read",
            Self::Root(error) => error.id(),
            Self::Catalogue(error) => error.id(),
            Self::Store(error) => error.id(),
        }
    }

    fn exit(&self) -> ExitCode {
        match self {
            Self::Ignore { .. } | Self::Definition { .. } | Self::Target(_) => ExitCode::Usage,
            Self::Root(error) => error.exit(),
            Self::Catalogue(error) => error.exit(),
            Self::Store(error) => error.exit(),
            _ => ExitCode::Failed,
        }
    }

    fn detail(&self) -> Option<String> {
        match self {
            Self::Missing(all) => Some(chains(all)),
            Self::Root(error) => error.detail(),
            Self::Catalogue(error) => error.detail(),
            _ => None,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Missing(all) => {
                let likely = quoted(all.iter().filter_map(|one| one.packages.first().cloned()));
                let mut hints = Vec::new();
                if likely.is_empty() {
                    hints.push(
                        "find the Debian package that holds it and add it to rpack.toml: \
                         `runtime.packages = [\"NAME\"]`"
                            .to_owned(),
                    );
                } else {
                    hints.push(format!(
                        "add what seems to hold it to rpack.toml: `runtime.packages = [{likely}]`"
                    ));
                }
                let names = quoted(all.iter().map(|one| one.name.clone()));
                hints.push(format!("or, if the app works without: `closure.ignore = [{names}]`"));
                hints
            }
            Self::Interpreter { packages, origin, .. } => {
                let name = packages.first().map_or("NAME", String::as_str);
                vec![
                    format!("add the package that has it to rpack.toml: `runtime.packages = [\"{name}\"]`"),
                    format!("or start the program itself: the command comes from {origin}"),
                ]
            }
            Self::Architecture { platform, .. } => {
                vec![format!("put a file built for {platform} there, or build it in a step")]
            }
            Self::Ignore { .. } => vec!["for example: `closure.ignore = [\"libcuda.so.*\"]`".to_owned()],
            Self::Root(error) => error.hints(),
            Self::Catalogue(error) => error.hints(),
            Self::Store(error) => error.hints(),
            _ => Vec::new(),
        }
    }
}
