//! What can go wrong when images are written and read.

use std::io;
use std::path::{Path, PathBuf};

use super::destination::{Destination, FORMS};
use super::engine;
use crate::oci::{Digest, Reference, layout, registry, unpack};
use crate::store;
use crate::ui::{Diagnose, ExitCode};

/// Why an image was not written or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// A layout or archive cannot be read.
    #[error(transparent)]
    Layout(#[from] layout::Error),
    /// A layer cannot be unpacked.
    #[error(transparent)]
    Unpack(#[from] unpack::Error),
    /// A registry does not give it.
    #[error(transparent)]
    Registry(Box<registry::Error>),
    /// A registry did not take it.
    #[error("`{reference}` was not pushed: {error}")]
    Push {
        /// Where it was to go.
        reference: String,
        /// Its name in the store, if it is there.
        stored: Option<String>,
        /// What happened.
        error: Box<registry::Error>,
    },
    /// An engine of this machine does not take it or give it.
    #[error(transparent)]
    Engine(#[from] engine::Error),
    /// An engine of this machine did not take an image that is in the store.
    #[error("`{name}` was not loaded: {error}")]
    Load {
        /// As it may be written again.
        destination: String,
        /// Its name in the store.
        name: String,
        /// What happened.
        error: Box<engine::Error>,
    },
    /// The text is not a destination.
    #[error("`{text}` is not a destination: {reason}")]
    Destination {
        /// As typed.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A file of a layout or archive cannot be read or written.
    #[error("cannot {action} {path}")]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The directory or file is not what its name promises.
    #[error("{path} is not {wanted}: {reason}")]
    Format {
        /// The directory or file.
        path: PathBuf,
        /// `an OCI layout`, `an image archive`.
        wanted: &'static str,
        /// What was found.
        reason: String,
    },
    /// The form holds one image, and there are several.
    #[error("a docker-archive holds one platform, and this image has {}: {}", .platforms.len(), .platforms.join(", "))]
    OnePlatform {
        /// The file that was asked for.
        file: PathBuf,
        /// The image's platforms.
        platforms: Vec<String>,
    },
    /// The form does not foresee the compression.
    #[error("a docker-archive holds layers that are compressed with gzip, and this image has some with zstd")]
    Compression {
        /// The file that was asked for.
        file: PathBuf,
    },
    /// An index has no image for this machine.
    #[error("`{name}` has no image for {platform}: it has {}", .available.join(", "))]
    OtherPlatform {
        /// What was asked for.
        name: String,
        /// The platform that is needed.
        platform: String,
        /// What there is.
        available: Vec<String>,
    },
    /// No image has the name.
    #[error("there is no image `{name}` in {place}")]
    NotFound {
        /// What was asked for.
        name: String,
        /// Where was looked.
        place: String,
        /// The names that are there.
        known: Vec<String>,
    },
    /// Several images have the name.
    #[error("`{name}` is not the name of one image in {place}")]
    Ambiguous {
        /// What was asked for.
        name: String,
        /// Where was looked.
        place: String,
        /// What it could be.
        candidates: Vec<String>,
    },
    /// A document or layer has a form that is not read here.
    #[error("{what} {digest} cannot be read: {reason}")]
    Unreadable {
        /// `manifest`, `config`, `layer`.
        what: &'static str,
        /// Which.
        digest: Digest,
        /// What is wrong with it.
        reason: String,
    },
}

impl From<registry::Error> for Error {
    fn from(error: registry::Error) -> Self {
        Self::Registry(Box::new(error))
    }
}

impl Error {
    /// For `map_err` on file operations outside the store.
    pub(super) fn io(action: &'static str, path: &Path) -> impl Fn(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Io { action, path: path.clone(), source }
    }

    /// What did not reach `reference`, with its name in the store if it is there.
    pub(super) fn push(reference: &Reference, stored: Option<String>, error: registry::Error) -> Self {
        Self::Push { reference: reference.to_string(), stored, error: Box::new(error) }
    }

    /// An engine's error, for an image that is in the store under the first of `references`.
    pub(super) fn loading(self, destination: &Destination, references: &[Reference]) -> Self {
        match (self, references) {
            (Self::Engine(error), [first, ..]) => Self::Load {
                destination: destination.to_string(),
                name: first.familiar(),
                error: Box::new(error),
            },
            (error, _) => error,
        }
    }

    /// The same, for a push that cannot read what it is to send.
    pub(super) fn for_registry(self) -> registry::Error {
        match self {
            Self::Registry(error) => *error,
            Self::Store(error) => error.into(),
            other => registry::Error::Unread { reason: other.to_string() },
        }
    }

    /// The store's own failure, whoever met it.
    fn of_store(&self) -> Option<&store::Error> {
        match self {
            Self::Store(error)
            | Self::Layout(layout::Error::Store(error))
            | Self::Unpack(unpack::Error::Store(error)) => Some(error),
            _ => None,
        }
    }
}

impl Diagnose for Error {
    fn id(&self) -> &'static str {
        match self {
            Self::Store(error)
            | Self::Layout(layout::Error::Store(error))
            | Self::Unpack(unpack::Error::Store(error)) => error.id(),
            Self::Registry(error) | Self::Push { error, .. } => error.id(),
            Self::Engine(error) => error.id(),
            Self::Load { error, .. } => error.id(),
            Self::Destination { .. } => "publish/destination",
            Self::Io { .. } | Self::Layout(layout::Error::Io { .. }) => "publish/io",
            Self::Format { .. } | Self::Layout(layout::Error::Format { .. }) => "publish/format",
            Self::OnePlatform { .. } => "publish/one-platform",
            Self::Compression { .. } => "publish/compression",
            Self::OtherPlatform { .. } => "publish/other-platform",
            Self::NotFound { .. } => "publish/not-found",
            Self::Ambiguous { .. } => "publish/ambiguous",
            Self::Unreadable { .. }
            | Self::Layout(layout::Error::Blob { .. })
            | Self::Unpack(unpack::Error::Unreadable { .. }) => "publish/unreadable",
            Self::Unpack(unpack::Error::Refused { .. }) => "publish/refused",
        }
    }

    fn exit(&self) -> ExitCode {
        match self {
            Self::Destination { .. }
            | Self::OnePlatform { .. }
            | Self::Compression { .. }
            | Self::OtherPlatform { .. }
            | Self::NotFound { .. }
            | Self::Ambiguous { .. } => ExitCode::Usage,
            Self::Registry(error) | Self::Push { error, .. } => error.exit(),
            Self::Engine(error) => error.exit(),
            Self::Load { error, .. } => error.exit(),
            _ => self.of_store().map_or(ExitCode::Failed, Diagnose::exit),
        }
    }

    fn detail(&self) -> Option<String> {
        match self {
            Self::Registry(error) | Self::Push { error, .. } => error.detail(),
            Self::Engine(error) => error.detail(),
            Self::Load { error, .. } => error.detail(),
            _ => None,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Registry(error) => error.hints(),
            Self::Push { reference, stored, error } => {
                let again = stored.as_ref().map_or_else(
                    || "run the same command again: what has arrived is not sent again".to_owned(),
                    |name| {
                        format!("the image is in the store; send what is missing: `rpack copy {name} docker://{reference}`")
                    },
                );
                // What it says about trying again is said better here.
                let is_passing = error.exit() == ExitCode::Retry;
                let others = if is_passing { Vec::new() } else { error.hints() };
                others.into_iter().chain([again]).collect()
            }
            Self::Engine(error) => error.hints(),
            Self::Load { destination, name, error } => {
                let again =
                    format!("the image is in the store; `rpack copy {name} {destination}` is enough then");
                error.hints().into_iter().chain([again]).collect()
            }
            Self::Destination { .. } => vec![format!("write one of {}", FORMS.join(", "))],
            Self::OnePlatform { file, platforms } => vec![
                format!(
                    "write all of them to an archive of another form: `-o oci-archive:{}`",
                    file.display()
                ),
                format!(
                    "or build one platform: `--platform {}`",
                    platforms.first().map_or("linux/amd64", |p| p)
                ),
            ],
            Self::Compression { file, .. } => vec![
                format!("write an archive of another form: `-o oci-archive:{}`", file.display()),
                "or compress with gzip, unless the layers are the base image's: `--compression gzip`"
                    .to_owned(),
            ],
            Self::OtherPlatform { platform, .. } => {
                vec![format!("build it for this machine: `rpack build --platform {platform}`")]
            }
            Self::NotFound { known, .. } if known.is_empty() => {
                vec!["build one first: `rpack build .`".to_owned()]
            }
            Self::NotFound { known, .. } => vec![format!("known names: {}", quoted(known))],
            Self::Ambiguous { candidates, .. } => vec![format!("name one of {}", quoted(candidates))],
            Self::Io { source, .. } | Self::Layout(layout::Error::Io { source, .. })
                if source.kind() == io::ErrorKind::StorageFull =>
            {
                vec!["free space there, or write to another place: `-o oci:DIR`".to_owned()]
            }
            Self::Format { wanted: layout::WANTED, .. }
            | Self::Layout(layout::Error::Format { wanted: layout::WANTED, .. }) => {
                vec!["name a directory that is empty or does not exist: `-o oci:image`".to_owned()]
            }
            _ => self.of_store().map(Diagnose::hints).unwrap_or_default(),
        }
    }
}

fn quoted(names: &[String]) -> String {
    const SHOWN: usize = 10;
    let mut text = names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN {
        text.push_str(", …");
    }
    text
}
