//! Why no site can be served from the files that there are.

use std::io;

use crate::ui::{Diagnose, ExitCode, Location};

/// What is wrong with a site.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The root is not there.
    #[error("the root of the site is `{root}`, and there is no such folder after the build")]
    RootMissing {
        /// Relative to the source.
        root: String,
    },
    /// There is no page to begin with.
    #[error("no folder of the site has an `index.html`: looked in {}", roots.join(", "))]
    NoIndex {
        /// Relative to the source.
        roots: Vec<String>,
    },
    /// A page that the site falls back to is not there.
    #[error("the site answers with `{page}` where it has nothing else, and `{root}` has no such file")]
    FallbackMissing {
        /// Relative to the root.
        page: String,
        /// Relative to the source.
        root: String,
    },
    /// A line of `_headers`.
    #[error("{file}:{line}: {problem}")]
    Headers {
        /// Relative to the source.
        file: String,
        /// From 1.
        line: usize,
        /// What is wrong with it.
        problem: String,
    },
    /// A line of `_redirects`.
    #[error("{file}:{line}: {problem}")]
    Redirects {
        /// Relative to the source.
        file: String,
        /// From 1.
        line: usize,
        /// What is wrong with it.
        problem: String,
    },
    /// A glob of the plan is none.
    #[error("`{pattern}` in the plan's site is not a glob")]
    Glob {
        /// The glob.
        pattern: String,
        /// What is wrong with it.
        source: globset::Error,
    },
    /// The site has more than an index can hold.
    #[error("the site is too large to be served: its index would have more than 4 GB")]
    TooLarge,
    /// A file could not be read.
    #[error("cannot read `{path}`")]
    Read {
        /// Relative to `/` of the image.
        path: String,
        /// The system's answer.
        source: io::Error,
    },
}

impl Diagnose for Error {
    fn id(&self) -> &'static str {
        match self {
            Self::RootMissing { .. } => "static/root-missing",
            Self::NoIndex { .. } => "static/no-index",
            Self::FallbackMissing { .. } => "static/fallback-missing",
            Self::Headers { .. } => "static/headers-invalid",
            Self::Redirects { .. } => "static/redirects-invalid",
            Self::Glob { .. } => "plan/glob",
            Self::TooLarge => "static/too-large",
            Self::Read { .. } => "static/read",
        }
    }

    fn exit(&self) -> ExitCode {
        match self {
            Self::Read { .. } => ExitCode::Failed,
            _ => ExitCode::Usage,
        }
    }

    fn location(&self) -> Option<Location> {
        match self {
            Self::Headers { file, line, .. } | Self::Redirects { file, line, .. } => {
                Some(Location { file: file.clone(), line: Some(*line), column: None })
            }
            _ => None,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::RootMissing { .. } => vec![
                "name the folder that holds the site: `static.root = \"dist\"` in rpack.toml".to_owned(),
                "or the command that makes it: `build.command = \"make site\"` in rpack.toml".to_owned(),
            ],
            Self::NoIndex { .. } => vec![
                "add an `index.html`, or name the folder that has one: `static.root = \"dist\"` in rpack.toml".to_owned(),
                "if it is made by a build: `build.command = \"make site\"` in rpack.toml".to_owned(),
            ],
            Self::FallbackMissing { .. } => {
                vec!["add the file, or name another: `static.fallback = \"index.html\"` in rpack.toml".to_owned()]
            }
            Self::Headers { .. } => vec![
                "the form is a path, and headers indented below it:\n/fonts/*\n  Cache-Control: max-age=86400".to_owned(),
            ],
            Self::Redirects { .. } => vec![
                "the form is `FROM TO STATUS`, for example `/old/* /new/:splat 301`".to_owned(),
            ],
            _ => Vec::new(),
        }
    }
}
