//! The resolved configuration: every value with the place it came from.

use std::collections::BTreeMap;

use crate::oci::{Compression, MediaTypes};
use crate::ui::Warning;

/// Which layer a value came from, from weakest to strongest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// rpack's own default.
    Builtin,
    /// A file: `rpack.toml` of the repository.
    File {
        /// Relative to the source tree.
        path: String,
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
    },
    /// An environment variable.
    Env {
        /// Its name.
        name: String,
    },
    /// A command-line flag.
    Flag {
        /// As typed, `--language`.
        name: String,
    },
}

/// A value, where it came from, and what it won over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved<T> {
    /// The value in force.
    pub value: T,
    /// Who said so.
    pub origin: Origin,
    /// Weaker statements, strongest first.
    pub passed_over: Vec<(Origin, T)>,
}

/// A command as the user wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// A line, split like a Procfile command.
    Line(String),
    /// Exact arguments.
    Argv(Vec<String>),
}

/// Everything that can be configured, resolved.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// `name`: the app's name; the folder's name when not set.
    pub name: Option<Resolved<String>>,
    /// `language`: the buildpack to use, instead of detection.
    pub language: Option<Resolved<String>>,
    /// `edition`: the set of defaults.
    pub edition: Option<Resolved<String>>,
    /// `base.name`: the base to use, instead of what the app needs.
    pub base: Option<Resolved<String>>,
    /// `runtime.TOOL.version`, by tool.
    pub versions: BTreeMap<String, Resolved<String>>,
    /// `build.command`: replaces the ecosystem's build step.
    pub build_command: Option<Resolved<String>>,
    /// `build.env`: environment of build steps.
    pub build_env: BTreeMap<String, Resolved<String>>,
    /// `build.network`: whether steps that only build have the network.
    pub build_network: bool,
    /// `build.packages`: further Debian packages in the build root.
    pub build_packages: Vec<Resolved<String>>,
    /// `closure.ignore`: globs over names of libraries that need not be found.
    pub ignored_libraries: Vec<Resolved<String>>,
    /// `go.ldflags`: further flags of the linker.
    pub go_ldflags: Option<Resolved<String>>,
    /// `go.private`: paths of modules that no proxy has.
    pub go_private: Option<Resolved<String>>,
    /// `go.tags`: build tags.
    pub go_tags: Option<Resolved<String>>,
    /// `go.target`: the folder of the program to build, or its last part.
    pub go_target: Option<Resolved<String>>,
    /// `static.fallback`: the page for views of a single-page app.
    pub static_fallback: Option<Resolved<String>>,
    /// `static.root`: the folder that is served.
    pub static_root: Option<Resolved<String>>,
    /// `start.command`.
    pub start: Option<Resolved<Command>>,
    /// `start.process`: the process that the image starts.
    pub process: Option<Resolved<String>>,
    /// `process.NAME`, by name.
    pub processes: BTreeMap<String, Resolved<Command>>,
    /// `runtime.env`: environment of the image.
    pub runtime_env: BTreeMap<String, Resolved<String>>,
    /// `runtime.packages`: further Debian packages in the image.
    pub runtime_packages: Vec<Resolved<String>>,
    /// `source.exclude`: globs (gitignore syntax) that never take part.
    pub exclude: Vec<Resolved<String>>,
    /// `source.include`: globs that take part although a rule ignores them.
    pub include: Vec<Resolved<String>>,
    /// `image.ports`.
    pub ports: Vec<Resolved<u16>>,
    /// `image.user`: numeric `uid:gid`.
    pub user: Option<Resolved<String>>,
    /// `image.writable`: absolute directories; none where nobody says anything.
    pub writable: Option<Vec<Resolved<String>>>,
    /// `image.compression`: how layers are compressed.
    pub compression: Option<Resolved<Compression>>,
    /// `image.media-types`: whose media types the image has.
    pub media_types: Option<Resolved<MediaTypes>>,
    /// `image.annotations`.
    pub annotations: BTreeMap<String, Resolved<String>>,
    /// `image.labels`.
    pub labels: BTreeMap<String, Resolved<String>>,
    /// `mirror.ECOSYSTEM.url`, by ecosystem (`archive`, `debian`, `debian-security`, `debian-snapshot`, `go`, `maven`,
    /// `npm`, `pypi`).
    pub mirrors: BTreeMap<String, Resolved<String>>,
    /// `base.build`: the image that steps run in.
    pub base_build: Option<Resolved<String>>,
    /// `base.runtime`: the image that the app's image is made on.
    pub base_runtime: Option<Resolved<String>>,
    /// `registry.insecure`: hosts that are asked by plain http.
    pub insecure_registries: Vec<Resolved<String>>,
    /// `registry.mirrors.HOST`, by host.
    pub registry_mirrors: BTreeMap<String, Resolved<String>>,
    /// The source tree, which paths in values are relative to.
    pub folder: std::path::PathBuf,
    /// `locked`: a difference between the app and `rpack.lock` is an error.
    pub locked: bool,
    /// `strict`: whatever would be a guess is an error.
    pub strict: bool,
    /// What was noticed on the way and does not stop the build.
    pub warnings: Vec<Warning>,
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Builtin => f.write_str("default"),
            Self::File { path, line, .. } => write!(f, "{path}:{line}"),
            Self::Env { name } => write!(f, "environment {name}"),
            Self::Flag { name } => write!(f, "flag {name}"),
        }
    }
}
