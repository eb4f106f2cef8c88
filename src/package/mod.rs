//! Packaging: trees become layers, layers and the plan's image become a config and a manifest.
//!
//! In: one tree per layer and the image's settings. Out: the digests of an image whose blobs lie in the store.
//! Invariants: equal inputs give equal digests, on any machine and with any number of threads; no path is in
//! two layers unless it is a directory in both; a layer that did not change is neither read nor compressed.
//! File metadata is normalised by the rules of [`layers`].

mod cache;
mod compress;
mod config;
mod image;
mod layers;
pub(crate) mod tar;

use std::io;
use std::path::PathBuf;

pub use image::{Image, LayerDescriptor};

use crate::oci::image::{CONFIG, Descriptor, LAYER_GZIP, MANIFEST, Manifest, Platform};
use crate::oci::{Digest, to_canonical_json};
use crate::plan;
use crate::store::{self, Store, Tree};
use crate::ui::{Diagnose, ExitCode, Reporter};

/// The time of everything that must not change with each commit: 1980-01-01T00:00:01Z, in seconds since 1970.
/// Earlier times are refused by the writers of zip files and wheels.
pub const FIXED_TIME: i64 = 315_532_801;

/// What an image is made from.
#[derive(Debug)]
pub struct Input<'a> {
    /// `linux/amd64`.
    pub platform: &'a str,
    /// From the bottom up.
    pub layers: Vec<LayerInput>,
    /// What the config says.
    pub image: &'a plan::model::Image,
}

/// What a layer is made from.
#[derive(Debug)]
pub struct LayerInput {
    /// `base`, `runtime`, `dependencies`, `app`.
    pub id: String,
    /// What `docker history` shows.
    pub comment: String,
    /// Its files; no whiteouts.
    pub tree: Tree,
    /// Which time its files carry.
    pub time: Time,
}

/// Which time the files of a layer carry that no package brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Time {
    /// [`FIXED_TIME`]: the layer stays the same from commit to commit.
    Fixed,
    /// The image's `created`: web servers derive cache validators from the times of the app's files.
    Source,
}

/// Why no image was made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The platform has another form.
    #[error("`{0}` is not a platform: expected `linux/amd64` or the like")]
    Platform(String),
    /// There is no layer.
    #[error("an image needs at least one layer")]
    Empty,
    /// A whiteout or an opaque directory in a layer.
    #[error("layer `{layer}` removes `/{path}`, but layers of an image only add files")]
    Whiteout {
        /// The layer's id.
        layer: String,
        /// Relative to `/`.
        path: String,
    },
    /// A name that would read as a whiteout.
    #[error(
        "`/{path}` in layer `{layer}` cannot be in an image: names that begin with `.wh.` mean a removed file"
    )]
    ReservedName {
        /// The layer's id.
        layer: String,
        /// Relative to `/`.
        path: String,
    },
    /// A name that archives cannot hold.
    #[error("{path:?} in layer `{layer}` cannot be in an image: {reason}")]
    InvalidName {
        /// The layer's id.
        layer: String,
        /// Relative to `/`.
        path: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A path is in two layers, and not a directory in both.
    #[error("`/{path}` is in layer `{first}` and in layer `{second}`")]
    Overlap {
        /// Relative to `/`.
        path: String,
        /// The lower layer.
        first: String,
        /// The upper layer.
        second: String,
    },
    /// A file below a file or link.
    #[error("`/{path}` in layer `{layer}` lies below `/{parent}`, which is not a directory")]
    NotADirectory {
        /// The layer's id.
        layer: String,
        /// Relative to `/`.
        path: String,
        /// Relative to `/`.
        parent: String,
    },
    /// A writable or working directory that cannot be made.
    #[error("`{path}` cannot be the {role} directory: {reason}")]
    Directory {
        /// As the plan has it.
        path: String,
        /// `writable` or `working`.
        role: &'static str,
        /// What was found instead.
        reason: String,
    },
    /// A file could not be read.
    #[error("cannot read {file} for `/{path}` in layer `{layer}`")]
    Read {
        /// The layer's id.
        layer: String,
        /// Relative to `/`.
        path: String,
        /// Where its bytes are.
        file: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// A file is not what it was a moment ago.
    #[error("{file} changed while it was packed as `/{path}` in layer `{layer}`")]
    Changed {
        /// The layer's id.
        layer: String,
        /// Relative to `/`.
        path: String,
        /// Where its bytes are.
        file: PathBuf,
    },
    /// The image's time is outside the calendar.
    #[error("the image's time, {0} seconds since 1970, is not between the years 1970 and 9999")]
    Created(i64),
    /// A document could not be written.
    #[error("cannot write the image's {document}")]
    Document {
        /// `config`, `manifest` or `layer key`.
        document: &'static str,
        /// Why.
        source: serde_json::Error,
    },
}

impl Diagnose for Error {
    fn id(&self) -> &'static str {
        match self {
            Self::Store(error) => error.id(),
            Self::Platform(_) => "package/platform",
            Self::Empty => "package/empty",
            Self::Whiteout { .. } => "package/whiteout",
            Self::ReservedName { .. } => "package/reserved-name",
            Self::InvalidName { .. } => "package/name",
            Self::Overlap { .. } => "package/overlap",
            Self::NotADirectory { .. } => "package/not-a-directory",
            Self::Directory { .. } => "package/directory",
            Self::Read { .. } => "package/read",
            Self::Changed { .. } => "package/changed",
            Self::Created(_) => "package/created",
            Self::Document { .. } => "package/document",
        }
    }

    fn exit(&self) -> ExitCode {
        match self {
            Self::Store(error) => error.exit(),
            Self::Platform(_) | Self::Directory { .. } | Self::Created(_) => ExitCode::Usage,
            Self::Changed { .. } => ExitCode::Retry,
            _ => ExitCode::Failed,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Store(error) => error.hints(),
            Self::ReservedName { path, .. } | Self::InvalidName { path, .. } => {
                vec![format!(
                    "rename the file, or leave it out: `source.exclude = [{:?}]` in rpack.toml",
                    file_name(path)
                )]
            }
            Self::Directory { role: "writable", .. } => {
                vec!["name a directory of its own: `image.writable = [\"/data\"]` in rpack.toml".to_owned()]
            }
            Self::Changed { .. } => {
                vec!["build again when nothing else writes to the source tree".to_owned()]
            }
            Self::Created(_) => {
                vec!["set the time: `SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)`".to_owned()]
            }
            _ => Vec::new(),
        }
    }
}

fn file_name(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

/// Makes an image; all its blobs are in `store` afterwards.
///
/// # Errors
/// When the layers contradict each other, or when a file cannot be read or written.
pub fn package(input: Input<'_>, store: &Store, reporter: &Reporter) -> Result<Image, Error> {
    package_with(compress::threads(), input, store, reporter)
}

fn package_with(
    threads: usize,
    input: Input<'_>,
    store: &Store,
    reporter: &Reporter,
) -> Result<Image, Error> {
    let platform =
        Platform::parse(input.platform).ok_or_else(|| Error::Platform(input.platform.to_owned()))?;
    let layers = layers::normalise(input.layers, input.image)?;
    let mut descriptors = Vec::with_capacity(layers.len());
    for layer in &layers {
        descriptors.push(layer_blob(threads, layer, store, reporter)?);
    }
    let config = config::config(&platform, &layers, &descriptors, input.image)?;
    let config = put(store, CONFIG, "config", &config)?;
    let manifest = Manifest {
        schema_version: 2,
        media_type: MANIFEST.to_owned(),
        config: config.clone(),
        layers: descriptors.iter().map(LayerDescriptor::descriptor).collect(),
        annotations: input.image.labels.clone(),
    };
    let manifest = put(store, MANIFEST, "manifest", &manifest)?;
    Ok(Image { platform, manifest, config, layers: descriptors })
}

fn put<T: serde::Serialize>(
    store: &Store,
    media_type: &str,
    document: &'static str,
    value: &T,
) -> Result<Descriptor, Error> {
    let bytes = to_canonical_json(value).map_err(|source| Error::Document { document, source })?;
    let digest = Digest::of(&bytes);
    if store.blob(&digest).is_none() {
        store.put_blob(&bytes[..])?;
    }
    Ok(Descriptor::new(media_type, digest, bytes.len() as u64))
}

/// The blob of a layer: found by its key, or written.
fn layer_blob(
    threads: usize,
    layer: &LayerInput,
    store: &Store,
    reporter: &Reporter,
) -> Result<LayerDescriptor, Error> {
    let task = reporter.task(&format!("layer {}", layer.id));
    let key = cache::key(layer, store)?;
    if let Some(found) = cache::find(&key, &layer.id, store) {
        task.done("cached");
        return Ok(found);
    }
    let written = layers::write(threads, layer, &key, store)?;
    cache::keep(&key, &written, store)?;
    task.done(&format!("{:.1} MB", megabytes(written.size)));
    Ok(written)
}

#[expect(clippy::cast_precision_loss, reason = "shown with one digit after the point")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

impl LayerDescriptor {
    fn descriptor(&self) -> Descriptor {
        Descriptor::new(LAYER_GZIP, self.digest, self.size)
    }
}

#[cfg(test)]
mod tests;
