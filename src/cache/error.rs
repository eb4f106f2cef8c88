//! What can go wrong with `rpack cache`.

use std::path::PathBuf;

use crate::oci;
use crate::store;
use crate::ui::{Diagnose, ExitCode};

/// Why the cache cannot be shown or pruned.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The registry that a cache goes to.
    #[error(transparent)]
    Registry(#[from] oci::registry::Error),
    /// The store's images cannot be read.
    #[error("the images of the store cannot be read")]
    Images(#[source] oci::layout::Error),
    /// The folder for a cache holds something else.
    #[error("{} holds something that is no cache of rpack", path.display())]
    Foreign {
        /// The folder.
        path: PathBuf,
    },
    /// Nothing in the store has this key.
    #[error("nothing in the store has the key `{key}`")]
    Unknown {
        /// What was asked for.
        key: String,
    },
    /// Several entries have keys that begin like this.
    #[error("`{key}` is the beginning of {} keys: {}", .found.len(), shown(found))]
    Ambiguous {
        /// What was asked for.
        key: String,
        /// Their names.
        found: Vec<String>,
    },
}

/// The first few names.
fn shown(found: &[String]) -> String {
    let first = found.iter().take(4).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    if found.len() > 4 { format!("{first} …") } else { first }
}

impl From<oci::layout::Error> for Error {
    fn from(error: oci::layout::Error) -> Self {
        match error {
            oci::layout::Error::Store(error) => Self::Store(error),
            error => Self::Images(error),
        }
    }
}

impl Diagnose for Error {
    fn id(&self) -> &'static str {
        match self {
            Self::Store(error) => error.id(),
            Self::Registry(error) => error.id(),
            Self::Images(_) => "cache/images",
            Self::Foreign { .. } => "cache/foreign",
            Self::Unknown { .. } => "cache/unknown",
            Self::Ambiguous { .. } => "cache/ambiguous",
        }
    }

    fn exit(&self) -> ExitCode {
        match self {
            Self::Store(error) => error.exit(),
            Self::Registry(error) => error.exit(),
            Self::Images(_) => ExitCode::Failed,
            Self::Foreign { .. } | Self::Unknown { .. } | Self::Ambiguous { .. } => ExitCode::Usage,
        }
    }

    fn detail(&self) -> Option<String> {
        if let Self::Registry(error) = self { error.detail() } else { None }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Store(error) => error.hints(),
            Self::Registry(error) => error.hints(),
            Self::Images(_) => Vec::new(),
            Self::Foreign { path } => {
                vec![format!("name an empty folder: `--cache-to {}/rpack-cache`", path.display())]
            }
            Self::Unknown { .. } => vec!["see what there is: `rpack cache ls`".to_owned()],
            Self::Ambiguous { found, .. } => {
                vec![format!("type more of it: `rpack cache explain {}`", found.first().map_or("", |n| n))]
            }
        }
    }
}
