//! What can be wrong with a configuration. All problems of one run are reported together.

use std::io;
use std::path::PathBuf;

use super::Origin;
use crate::ui::{Diagnose, Excerpt, ExitCode, Location};

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// `rpack.toml` exists and cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// Statements that cannot be understood: at least one.
    #[error("{}", summary(.0))]
    Invalid(Vec<Problem>),
}

fn summary(problems: &[Problem]) -> String {
    match problems {
        [one] => one.to_string(),
        more => format!("{} problems in the configuration", more.len()),
    }
}

/// One thing that is wrong, where, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{fault}{}", place.suffix())]
pub struct Problem {
    /// What is wrong.
    pub fault: Fault,
    /// Where.
    pub place: Place,
    /// What to do.
    pub hints: Vec<String>,
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The file is not TOML.
    #[error("this is not valid TOML: {message}")]
    Syntax {
        /// The parser's words.
        message: String,
    },
    /// The file is not UTF-8.
    #[error("`rpack.toml` is not UTF-8 text")]
    NotText,
    /// The file is larger than any configuration.
    #[error("`rpack.toml` is larger than {limit} bytes")]
    TooLarge {
        /// In bytes.
        limit: u64,
    },
    /// No such key.
    #[error("`{key}` is not a key")]
    UnknownKey {
        /// As written, with the tables around it.
        key: String,
    },
    /// A value of another type.
    #[error("`{key}` is {found}, expected {expected}")]
    WrongType {
        /// The key.
        key: String,
        /// `a boolean`.
        found: String,
        /// `text`.
        expected: String,
    },
    /// A value of the right type that means nothing.
    #[error("`{key}` is `{found}`, expected {expected}")]
    InvalidValue {
        /// The key.
        key: String,
        /// As written.
        found: String,
        /// In words.
        expected: String,
    },
    /// A variable that starts with `RPACK_` and means nothing.
    #[error("`{name}` is not a variable of rpack")]
    UnknownVariable {
        /// Its name.
        name: String,
    },
    /// No folder for the store.
    #[error(
        "there is no place for the store: none of `RPACK_STORE`, `XDG_CACHE_HOME` and `HOME` names an absolute \
         folder"
    )]
    NoStore,
    /// `SOURCE_DATE_EPOCH` is not a number.
    #[error("`SOURCE_DATE_EPOCH` is `{found}`, expected whole seconds since 1970")]
    Epoch {
        /// As set.
        found: String,
    },
}

/// Where a problem is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The layer, unless the message itself names it.
    pub origin: Option<Origin>,
    /// In a file: the line with carets.
    pub excerpt: Option<String>,
}

impl Place {
    /// The message says it.
    pub(super) fn none() -> Self {
        Self { origin: None, excerpt: None }
    }

    pub(super) fn in_file(path: &str, excerpt: Excerpt) -> Self {
        let origin = Origin::File { path: path.to_owned(), line: excerpt.line, column: excerpt.column };
        Self { origin: Some(origin), excerpt: Some(excerpt.text) }
    }

    pub(super) fn of(origin: &Origin) -> Self {
        Self { origin: Some(origin.clone()), excerpt: None }
    }

    fn suffix(&self) -> String {
        match &self.origin {
            Some(Origin::Env { name }) => format!(" (environment variable `{name}`)"),
            Some(Origin::Flag { name }) => format!(" (flag `{name}`)"),
            Some(Origin::File { .. } | Origin::Builtin) | None => String::new(),
        }
    }
}

impl Error {
    pub(super) fn invalid(problem: Problem) -> Self {
        Self::Invalid(vec![problem])
    }
}

impl Diagnose for Error {
    fn id(&self) -> &'static str {
        match self {
            Self::Read { .. } => "config/read",
            Self::Invalid(problems) => match problems.as_slice() {
                [one] => one.id(),
                _ => "config/invalid",
            },
        }
    }

    fn exit(&self) -> ExitCode {
        ExitCode::Usage
    }

    fn several(&self) -> Vec<&dyn Diagnose> {
        match self {
            Self::Read { .. } => Vec::new(),
            Self::Invalid(problems) => problems.iter().map(|problem| problem as &dyn Diagnose).collect(),
        }
    }
}

impl Diagnose for Problem {
    fn id(&self) -> &'static str {
        match self.fault {
            Fault::Syntax { .. } => "config/syntax",
            Fault::NotText => "config/not-text",
            Fault::TooLarge { .. } => "config/too-large",
            Fault::UnknownKey { .. } => "config/unknown-key",
            Fault::WrongType { .. } => "config/wrong-type",
            Fault::InvalidValue { .. } => "config/invalid-value",
            Fault::UnknownVariable { .. } => "config/unknown-variable",
            Fault::NoStore => "config/store",
            Fault::Epoch { .. } => "config/source-date-epoch",
        }
    }

    fn exit(&self) -> ExitCode {
        ExitCode::Usage
    }

    fn location(&self) -> Option<Location> {
        match &self.place.origin {
            Some(Origin::File { path, line, column }) => {
                Some(Location { file: path.clone(), line: Some(*line), column: Some(*column) })
            }
            _ => None,
        }
    }

    fn detail(&self) -> Option<String> {
        self.place.excerpt.clone()
    }

    fn hints(&self) -> Vec<String> {
        self.hints.clone()
    }
}
