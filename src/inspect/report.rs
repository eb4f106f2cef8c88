//! What `rpack inspect` says of an image, as a document. Its JSON form is described in docs/publishing.md.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::oci::Digest;
use crate::plan::model::Process;
use crate::plan::provenance::Stated;

/// What an image is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Report {
    /// As it was asked for.
    pub image: String,
    /// The reference it was built or is found under, if it says so.
    pub name: Option<String>,
    /// What tags name: that of the manifest, or of an index.
    pub digest: Digest,
    /// Of the document with this digest.
    pub media_type: String,
    /// All its images.
    pub platforms: Vec<Member>,
    /// The one that is shown.
    #[serde(flatten)]
    pub details: Details,
    /// What refers to it in its registry: signatures, bills of materials. None when it is in no registry, or that does not
    /// say.
    pub referrers: Option<Vec<Referrer>>,
}

/// An image of an index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Member {
    /// `linux/arm64`; empty when nothing says it.
    pub platform: String,
    /// Of its manifest.
    pub digest: Digest,
    /// Whether the rest of the report is about it.
    pub shown: bool,
}

/// What the image for one platform is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Details {
    /// As its config says.
    pub platform: String,
    /// Digest of its manifest.
    pub manifest: Digest,
    /// Digest of its config.
    pub config: Digest,
    /// When it was made, RFC 3339.
    pub created: Option<String>,
    /// How large it is.
    pub size: Size,
    /// How it is started.
    pub start: Start,
    /// Its processes, as the label says; with the one that is started.
    pub processes: BTreeMap<String, Process>,
    /// Versions of tools and who asked for them, as the label says.
    pub versions: Vec<Stated>,
    /// What it is made on.
    pub base: Base,
    /// From the bottom up.
    pub layers: Vec<Layer>,
    /// What it has of package managers, by kind and name.
    pub packages: Vec<Package>,
    /// Of the config.
    pub labels: BTreeMap<String, String>,
    /// Of the manifest, as far as they are no labels.
    pub annotations: BTreeMap<String, String>,
    /// Settings of the config that rpack itself never writes: `Healthcheck`, `Volumes`.
    pub other: BTreeMap<String, Value>,
}

/// How large an image is, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Size {
    /// Of all layers as they are stored.
    pub compressed: u64,
    /// Of the files that it shows.
    pub files: u64,
}

/// How an image is started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Start {
    /// The first arguments of every start.
    pub entrypoint: Vec<String>,
    /// The arguments that a start may replace.
    pub arguments: Vec<String>,
    /// As the config says; empty means root.
    pub user: String,
    /// Empty means `/`.
    pub working_directory: String,
    /// `NAME=value`, in the order of the config.
    pub environment: Vec<String>,
    /// `8080/tcp`.
    pub ports: Vec<String>,
    /// `SIGTERM`; empty when the config does not say.
    pub stop_signal: String,
}

/// What an image is made on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Base {
    /// Id and version of its system, from `os-release`: `debian-13`.
    pub release: Option<String>,
    /// Which of rpack's bases its lower layers are composed of.
    pub composed: Option<String>,
    /// The image below, `org.opencontainers.image.base.name`.
    pub name: Option<String>,
    /// Its digest, `org.opencontainers.image.base.digest`.
    pub digest: Option<String>,
}

/// A layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Layer {
    /// `base`, `app`; only of layers that rpack made.
    pub id: Option<String>,
    /// What made it, as the history says.
    pub created_by: String,
    /// What the history says besides.
    pub comment: String,
    /// Of the blob.
    pub media_type: String,
    /// Of the blob.
    pub digest: Digest,
    /// Digest before compression.
    pub diff_id: Digest,
    /// Of the blob, in bytes.
    pub size: u64,
    /// Its entries.
    #[serde(flatten)]
    pub contents: Contents,
}

/// What a layer holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Contents {
    /// The number of its files and links.
    pub entries: usize,
    /// The size of its files in bytes.
    pub files: u64,
    /// The number of paths of lower layers that it removes.
    pub removed: usize,
    /// Its largest files, the largest first.
    pub largest: Vec<Sized>,
}

/// A file with its size.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Sized {
    /// Absolute.
    pub path: String,
    /// In bytes.
    pub size: u64,
}

/// A package of an image.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Package {
    /// Whose package it is.
    pub kind: Kind,
    /// As its manager calls it.
    pub name: String,
    /// As its manager writes it.
    pub version: String,
    /// The source package, where that has another name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The licence, where the package states it in one word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub licence: Option<String>,
    /// Its folder, or the program that it is compiled into, where one package may be there several times; absolute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The layer that brings it; an index into the layers.
    pub layer: usize,
}

/// Whose package it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A crate in a program, as `cargo auditable` lists it.
    Cargo,
    /// dpkg's.
    Debian,
    /// A module in a Go program.
    Go,
    /// In a folder `node_modules`.
    Npm,
    /// With a folder `*.dist-info`.
    Python,
}

impl Kind {
    /// Its name in documents.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cargo => "cargo",
            Self::Debian => "debian",
            Self::Go => "go",
            Self::Npm => "npm",
            Self::Python => "python",
        }
    }
}

/// What refers to an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Referrer {
    /// What it refers to: the image or its index.
    pub subject: Digest,
    /// Of its manifest.
    pub digest: Digest,
    /// What it is.
    pub artifact_type: Option<String>,
    /// Of its manifest, in bytes.
    pub size: u64,
    /// Further facts.
    pub annotations: BTreeMap<String, String>,
}
