//! Why an image is not rebased.

use crate::closure::{self, Broken};
use crate::plan::catalogue::CatalogueError;
use crate::ui::{Diagnose, ExitCode};
use crate::{package, publish, rootfs, store};

/// Why an image is not rebased.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// rpack did not make the image, or somebody has changed it since.
    #[error("`{image}` is not an image as rpack makes them: {reason}")]
    Foreign {
        /// As it was named.
        image: String,
        /// How that shows.
        reason: String,
    },
    /// The image stands on one from elsewhere.
    #[error("`{image}` is made on an image from elsewhere{}", on(.base.as_ref()))]
    OtherBase {
        /// As it was named.
        image: String,
        /// The reference of what it stands on, where it is in a registry.
        base: Option<String>,
    },
    /// The label cannot be read.
    #[error("the label `{}` of `{image}` cannot be read: {reason}", super::LABEL)]
    Recipe {
        /// As it was named.
        image: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A record of a package in the image is wrong.
    #[error("`{image}` has a record of a package that cannot be: `/{path}` {reason}")]
    Record {
        /// As it was named.
        image: String,
        /// The record, relative to `/`.
        path: String,
        /// Reads on after the path.
        reason: String,
    },
    /// What the image needs is not in the new packages; never empty.
    #[error("{}", summary(.broken))]
    Broken {
        /// What is not found any more.
        broken: Vec<Broken>,
        /// `libfoo1 1.0 → 2.0`, one for each package that changes.
        changed: Vec<String>,
    },
    /// The base has no such packages, or no such base is known.
    #[error("{0}")]
    Root(CatalogueError),
    /// The new layers cannot be composed.
    #[error(transparent)]
    Compose(#[from] rootfs::Error),
    /// What the files need cannot be read.
    #[error(transparent)]
    Closure(#[from] closure::Error),
    /// The image cannot be read.
    #[error(transparent)]
    Read(#[from] publish::Error),
    /// The new layers cannot be written.
    #[error(transparent)]
    Package(#[from] package::Error),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
}

fn on(base: Option<&String>) -> String {
    base.map(|base| format!(", `{base}`")).unwrap_or_default()
}

fn line(broken: &Broken) -> String {
    let (user, name) = match &broken.file {
        Some(file) => (format!("`{file}`"), &broken.name),
        None => ("the start command".to_owned(), &broken.name),
    };
    match &broken.package {
        Some(package) => format!("{user} needs `{name}` of the package `{package}`"),
        None => format!("{user} needs `{name}`"),
    }
}

fn summary(all: &[Broken]) -> String {
    let Some(first) = all.first() else { return String::new() };
    let others = match all.len() {
        1 => String::new(),
        2 => " (and one other)".to_owned(),
        count => format!(" (and {} others)", count - 1),
    };
    format!("{}, which the new packages do not have{others}", line(first))
}

impl Error {
    fn inner(&self) -> Option<&(dyn Diagnose + Send + Sync)> {
        Some(match self {
            Self::Root(error) => &**error,
            Self::Compose(error) => error,
            Self::Closure(error) => error,
            Self::Read(error) => error,
            Self::Package(error) => error,
            Self::Store(error) => error,
            _ => return None,
        })
    }
}

impl Diagnose for Error {
    fn id(&self) -> &'static str {
        match self {
            Self::Foreign { .. } => "rebase/foreign",
            Self::OtherBase { .. } => "rebase/other-base",
            Self::Recipe { .. } => "rebase/recipe",
            Self::Record { .. } => "rebase/record",
            Self::Broken { .. } => "rebase/broken",
            _ => self.inner().map_or("rebase/failed", Diagnose::id),
        }
    }

    fn exit(&self) -> ExitCode {
        match self {
            Self::Foreign { .. } | Self::OtherBase { .. } => ExitCode::Usage,
            _ => self.inner().map_or(ExitCode::Failed, Diagnose::exit),
        }
    }

    fn detail(&self) -> Option<String> {
        let Self::Broken { broken, changed } = self else {
            return self.inner().and_then(Diagnose::detail);
        };
        // One is in the message.
        let broken = if broken.len() > 1 { &broken[..] } else { &[] };
        let lines =
            broken.iter().map(line).chain(changed.iter().map(|changed| format!("changed: {changed}")));
        Some(lines.collect::<Vec<_>>().join("\n"))
    }

    fn hints(&self) -> Vec<String> {
        let again = "build it again from its source: `rpack build`".to_owned();
        match self {
            Self::Broken { .. } => {
                vec![format!("{again}, which compiles against the new packages and finds what they need")]
            }
            Self::OtherBase { .. } => vec![format!("{again}, which takes the base image as it is now")],
            Self::Foreign { .. } | Self::Recipe { .. } | Self::Record { .. } => vec![again],
            Self::Root(_) | Self::Package(_) => {
                let mut hints = self.inner().map(Diagnose::hints).unwrap_or_default();
                hints.push(again);
                hints
            }
            _ => self.inner().map(Diagnose::hints).unwrap_or_default(),
        }
    }
}
