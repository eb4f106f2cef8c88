//! Why an image cannot be a base.

use crate::oci::{Digest, layout, registry, unpack};
use crate::store;
use crate::ui::{Diagnose, ExitCode};

/// An error of images from elsewhere.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The registry.
    #[error(transparent)]
    Registry(Box<registry::Error>),
    /// The layout or archive.
    #[error(transparent)]
    Layout(#[from] layout::Error),
    /// A layer.
    #[error(transparent)]
    Unpack(#[from] unpack::Error),
    /// The store.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The image has another form than can be used.
    #[error("image `{reference}` cannot be a base: {reason}")]
    Unusable {
        /// As configured.
        reference: String,
        /// What is wrong.
        reason: String,
    },
    /// It is not offered for the platform.
    #[error("image `{reference}` is not offered for `{wanted}`; it is for: {}",
        if available.is_empty() { "nothing that it names".to_owned() } else { available.join(", ") })]
    Platform {
        /// As configured.
        reference: String,
        /// What was asked for.
        wanted: String,
        /// What there is.
        available: Vec<String>,
    },
    /// The network is off and the image is not in the store.
    #[error("image `{reference}` is not in the store, and the network may not be used")]
    Offline {
        /// As configured.
        reference: String,
    },
    /// The layout has no such image.
    #[error("there is no image `{reference}`")]
    NotThere {
        /// As configured.
        reference: String,
        /// The names that are there.
        known: Vec<String>,
    },
    /// The layout has several.
    #[error("`{reference}` is not the name of one image")]
    Ambiguous {
        /// As configured.
        reference: String,
        /// The names that are there.
        known: Vec<String>,
    },
    /// A blob is not what it should be.
    #[error("blob {digest} cannot be read: {reason}")]
    Blob {
        /// Which.
        digest: Digest,
        /// What is wrong.
        reason: String,
    },
}

impl From<registry::Error> for Error {
    fn from(error: registry::Error) -> Self {
        Self::Registry(Box::new(error))
    }
}

impl Diagnose for Error {
    fn id(&self) -> &'static str {
        match self {
            Self::Registry(error) => error.id(),
            Self::Layout(layout::Error::Store(error))
            | Self::Unpack(unpack::Error::Store(error))
            | Self::Store(error) => error.id(),
            Self::Layout(_) => "base/layout",
            Self::Unpack(_) => "base/layer",
            Self::Unusable { .. } | Self::Blob { .. } => "base/unusable",
            Self::Platform { .. } => "base/platform",
            Self::Offline { .. } => "network/offline",
            Self::NotThere { .. } => "base/not-found",
            Self::Ambiguous { .. } => "base/ambiguous",
        }
    }

    fn exit(&self) -> ExitCode {
        match self {
            Self::Registry(error) => error.exit(),
            Self::Store(error) => error.exit(),
            Self::Offline { .. } => ExitCode::Network,
            Self::Platform { .. } | Self::NotThere { .. } | Self::Ambiguous { .. } => ExitCode::Usage,
            _ => ExitCode::Failed,
        }
    }

    fn detail(&self) -> Option<String> {
        if let Self::Registry(error) = self { error.detail() } else { None }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Registry(error) => error.hints(),
            Self::Store(error) => error.hints(),
            Self::Offline { .. } => vec!["run the same command once without `--offline`".to_owned()],
            Self::NotThere { known, .. } | Self::Ambiguous { known, .. } if !known.is_empty() => {
                vec![format!("the images there are: {}", known.join(", "))]
            }
            _ => Vec::new(),
        }
    }
}
