//! What can go wrong when an image is made.

use std::io;
use std::path::PathBuf;

use crate::plan::model::Outcome;
use crate::store;
use crate::ui::{Diagnose, ExitCode, Location};

/// Why no image was made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The user interrupted the build.
    #[error("interrupted while layer `{layer}` was written; finished steps and layers are kept")]
    Interrupted {
        /// The layer's id.
        layer: String,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The files of a site cannot be served.
    #[error(transparent)]
    Site(#[from] crate::site::Error),
    /// The platform has another form.
    #[error("`{0}` is not a platform: expected `linux/amd64` or the like")]
    Platform(String),
    /// The plan's layer names a toolchain that the plan does not define.
    #[error("layer `{layer}` ships the toolchain `{name}`, which the plan does not define")]
    UnknownToolchain {
        /// The layer's id.
        layer: String,
        /// The toolchain's name.
        name: String,
    },
    /// A layer's glob is none.
    #[error("`{pattern}` in the plan's layers is not a glob")]
    Glob {
        /// The glob.
        pattern: String,
        /// What is wrong with it.
        source: globset::Error,
    },
    /// The start command names a file that the image will not have.
    #[error("the start command names `{path}`, which is not in the image")]
    StartMissing {
        /// As the command names it.
        path: String,
        /// Who said so.
        origin: String,
        /// Files of the image that are named alike.
        nearest: Vec<String>,
    },
    /// The build made nothing that the plan knows what to do with.
    #[error("the build has made nothing that could be started or served")]
    NoOutput {
        /// What was looked for.
        expected: Vec<Outcome>,
        /// What is new in the app's folder.
        made: Vec<String>,
    },
    /// Docker's manifests have no such layer.
    #[error("layer `{layer}` is `{media_type}`, which the media types of Docker do not have")]
    MediaType {
        /// The layer's id.
        layer: String,
        /// What it is.
        media_type: String,
    },
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
    /// A path behind links of the base image that go in circles.
    #[error("`/{path}` of layer `{layer}` is behind links of the base image that lead nowhere")]
    BaseLink {
        /// The layer's id.
        layer: String,
        /// Relative to `/`.
        path: String,
    },
    /// The base image's config has another form.
    #[error("the config of the base image cannot be used: {reason}")]
    BaseConfig {
        /// What is wrong with it.
        reason: String,
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
    /// The compressor failed.
    #[error("cannot compress layer `{layer}`")]
    Compress {
        /// The layer's id.
        layer: String,
        /// The compressor's answer.
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
            Self::Interrupted { .. } => "build/interrupted",
            Self::Store(error) => error.id(),
            Self::Site(error) => error.id(),
            Self::Platform(_) => "package/platform",
            Self::MediaType { .. } => "package/media-type",
            Self::UnknownToolchain { .. } => "plan/toolchain",
            Self::Glob { .. } => "plan/glob",
            Self::StartMissing { .. } => "start/missing-file",
            Self::NoOutput { .. } => "build/no-output",
            Self::Empty => "package/empty",
            Self::Whiteout { .. } => "package/whiteout",
            Self::ReservedName { .. } => "package/reserved-name",
            Self::InvalidName { .. } => "package/name",
            Self::Overlap { .. } => "package/overlap",
            Self::BaseLink { .. } => "package/base-link",
            Self::BaseConfig { .. } => "package/base-config",
            Self::NotADirectory { .. } => "package/not-a-directory",
            Self::Directory { .. } => "package/directory",
            Self::Read { .. } => "package/read",
            Self::Compress { .. } => "package/compress",
            Self::Changed { .. } => "package/changed",
            Self::Created(_) => "package/created",
            Self::Document { .. } => "package/document",
        }
    }

    fn exit(&self) -> ExitCode {
        match self {
            Self::Interrupted { .. } => ExitCode::Interrupted,
            Self::Store(error) => error.exit(),
            Self::Site(error) => error.exit(),
            Self::StartMissing { .. }
            | Self::NoOutput { .. }
            | Self::UnknownToolchain { .. }
            | Self::Glob { .. }
            | Self::Platform(_)
            | Self::MediaType { .. }
            | Self::Directory { .. }
            | Self::Created(_) => ExitCode::Usage,
            Self::Changed { .. } => ExitCode::Retry,
            _ => ExitCode::Failed,
        }
    }

    fn detail(&self) -> Option<String> {
        let Self::NoOutput { expected, made } = self else { return None };
        let row = |outcome: &Outcome| format!("  {}: {}", outcome.title, outcome.files.join(", "));
        let rows: Vec<String> = expected.iter().map(row).collect();
        let made = if made.is_empty() { "nothing".to_owned() } else { made.join(", ") };
        Some(format!("looked for:\n{}\nmade: {made}", rows.join("\n")))
    }

    fn location(&self) -> Option<Location> {
        match self {
            Self::Site(error) => error.location(),
            _ => None,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Store(error) => error.hints(),
            Self::Site(error) => error.hints(),
            Self::ReservedName { path, .. } | Self::InvalidName { path, .. } => {
                vec![format!(
                    "rename the file, or leave it out: `source.exclude = [{:?}]` in rpack.toml",
                    file_name(path)
                )]
            }
            Self::StartMissing { origin, nearest, .. } => {
                let mut hints = vec![format!(
                    "the command comes from {origin}: mend it there, or the build that should make the file"
                )];
                if !nearest.is_empty() {
                    hints.push(format!("the image has: {}", nearest.join(", ")));
                }
                hints
            }
            Self::NoOutput { .. } => vec![
                "look at what the build script does, and where its output goes".to_owned(),
                "name what the image starts in rpack.toml: `start.command = \"node dist/server.js\"`"
                    .to_owned(),
                "or the folder that it serves: `static.root = \"dist\"`".to_owned(),
            ],
            Self::UnknownToolchain { .. } | Self::Glob { .. } => {
                vec!["make the plan anew: `rpack plan --json`".to_owned()]
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
            Self::MediaType { .. } => vec![
                "compress with gzip, `--compression gzip`, or take the media types of OCI: `--media-types oci`".to_owned(),
            ],
            _ => Vec::new(),
        }
    }
}

fn file_name(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}
