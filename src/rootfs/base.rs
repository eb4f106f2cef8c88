//! The data of a base: `bases/ID.toml` and `bases/keys/`.
//!
//! In: the definitions, embedded or from a folder. Out: a [`Base`] in which every name refers to something.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::error::Error;
use crate::definitions::Definitions;
use crate::oci::Digest;

/// How root filesystems of one Debian release are composed.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Base {
    /// For people: `Debian GNU/Linux 13 (trixie)`.
    pub name: String,
    /// Debian's names of the architectures it is offered for.
    pub architectures: Vec<String>,
    /// Dependencies that are left out.
    #[serde(default)]
    pub unneeded: Vec<String>,
    /// Where suites are, by name.
    pub archives: BTreeMap<String, Archive>,
    /// What is merged.
    pub suites: Vec<Suite>,
    /// Lists of packages, by name.
    pub groups: BTreeMap<String, Vec<String>>,
    /// Which top-level directories are links into `/usr`.
    pub usr_merge: UsrMerge,
    /// What is left out.
    pub trim: Trims,
    /// How the bundle of certificates is made.
    pub certificates: Option<Certificates>,
    /// Links that depend on packages.
    #[serde(default)]
    pub links: Vec<LinkRow>,
    /// Links that are always there, by path.
    #[serde(default)]
    pub symlinks: BTreeMap<String, String>,
    /// Directories that are always there.
    #[serde(default)]
    pub directories: Vec<DirectoryRow>,
    /// Text files that are always there, by path; one leading line break is dropped.
    #[serde(default)]
    pub files: BTreeMap<String, String>,
    /// The id: name of the file without its ending.
    #[serde(skip)]
    pub id: String,
    /// Digest of the file, part of the identity of every root.
    #[serde(skip)]
    pub digest: Option<Digest>,
}

/// A place with signed suites.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Archive {
    /// Which endpoint serves it: `debian`, `debian-security`.
    pub ecosystem: Option<String>,
    /// A fixed address instead.
    pub url: Option<String>,
    /// Where files are that the archive has dropped; `{timestamp}` stands for a moment (`20261119T021254Z`).
    pub snapshot: Option<String>,
    /// Fingerprints of the primary keys that may sign.
    pub keys: Vec<String>,
}

/// An index that takes part.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Suite {
    /// `trixie-security`.
    pub name: String,
    /// Name of the archive.
    pub archive: String,
    /// Part of the suite.
    #[serde(default = "main_component")]
    pub component: String,
    /// If not empty, the packages that are taken from it.
    #[serde(default)]
    pub only: Vec<String>,
}

fn main_component() -> String {
    "main".to_owned()
}

/// The merged-/usr layout.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UsrMerge {
    /// Names at the top.
    pub directories: Vec<String>,
}

/// What is left out, by purpose.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trims {
    /// In images.
    pub runtime: Trim,
    /// In build roots.
    pub build: Trim,
}

/// Globs over paths.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trim {
    /// Left out …
    pub remove: Vec<String>,
    /// … unless listed here.
    pub keep: Vec<String>,
}

/// How the bundle of certificates is made.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Certificates {
    /// The package that brings them.
    pub package: String,
    /// Where they are.
    pub folder: String,
    /// The file that holds all.
    pub bundle: String,
}

/// A link that a maintainer script would make.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkRow {
    /// Path of the link.
    pub link: String,
    /// Its text.
    pub target: String,
    /// The package whose script makes it.
    pub package: String,
    /// Of several rows for one link the highest counts.
    #[serde(default)]
    pub priority: i32,
}

/// A directory that is always there.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DirectoryRow {
    /// Its path.
    pub path: String,
    /// Permission bits in octal.
    #[serde(default = "ordinary_mode")]
    pub mode: String,
    /// Owner and group.
    #[serde(default)]
    pub owner: u32,
}

fn ordinary_mode() -> String {
    "0755".to_owned()
}

impl DirectoryRow {
    /// The permission bits.
    pub fn bits(&self) -> u32 {
        u32::from_str_radix(&self.mode, 8).unwrap_or(0o755) & 0o1777
    }
}

impl Base {
    /// Reads `bases/ID.toml`.
    ///
    /// # Errors
    /// When there is no such base, or its file is wrong.
    pub fn load(definitions: &Definitions, id: &str) -> Result<Self, Error> {
        let file = definitions
            .get(&format!("bases/{id}.toml"))
            .ok_or_else(|| Error::UnknownBase { base: id.to_owned(), available: Self::ids(definitions) })?;
        let wrong = |reason: String| Error::Definition { file: file.shown.clone(), reason };
        let text = std::str::from_utf8(&file.bytes).map_err(|_| wrong("it is not UTF-8 text".to_owned()))?;
        let mut base: Self = toml::from_str(text).map_err(|error| wrong(error.to_string()))?;
        id.clone_into(&mut base.id);
        base.digest = Some(Digest::of(&file.bytes));
        base.check().map_err(wrong)?;
        Ok(base)
    }

    /// The ids of all bases.
    pub fn ids(definitions: &Definitions) -> Vec<String> {
        definitions
            .below("bases", ".toml")
            .filter_map(|file| file.path.strip_prefix("bases/")?.strip_suffix(".toml"))
            .filter(|id| !["libraries", "registries"].contains(id))
            .map(str::to_owned)
            .collect()
    }

    fn check(&self) -> Result<(), String> {
        for suite in &self.suites {
            if !self.archives.contains_key(&suite.archive) {
                return Err(format!(
                    "suite `{}` is in archive `{}`, which is not defined",
                    suite.name, suite.archive
                ));
            }
        }
        for (name, archive) in &self.archives {
            if archive.ecosystem.is_some() == archive.url.is_some() {
                return Err(format!("archive `{name}` needs either `ecosystem` or `url`"));
            }
            if archive.snapshot.as_ref().is_some_and(|snapshot| !snapshot.contains("{timestamp}")) {
                return Err(format!("the `snapshot` of archive `{name}` has no `{{timestamp}}`"));
            }
            if archive.keys.is_empty() {
                return Err(format!("archive `{name}` names no keys: nothing could be verified"));
            }
        }
        for name in self.groups.keys() {
            self.expand(name)
                .map_err(|missing| format!("group `{name}` includes `@{missing}`, which is not defined"))?;
        }
        let paths = self.symlinks.keys().chain(self.files.keys()).map(String::as_str);
        let paths = paths.chain(self.links.iter().map(|row| row.link.as_str()));
        for path in paths.chain(self.directories.iter().map(|row| row.path.as_str())) {
            if !crate::store::tree::is_clean(path) {
                return Err(format!("`{path}` is not a path relative to the root"));
            }
        }
        for row in &self.directories {
            if u32::from_str_radix(&row.mode, 8).is_err() {
                return Err(format!("`{}` is not an octal mode", row.mode));
            }
        }
        Ok(())
    }

    /// The packages of the group `name`, with those of included groups, sorted.
    ///
    /// # Errors
    /// The name of a group that does not exist.
    pub fn expand<'a>(&'a self, name: &'a str) -> Result<BTreeSet<&'a str>, &'a str> {
        let mut packages = BTreeSet::new();
        let mut seen = BTreeSet::new();
        let mut queue = vec![name];
        while let Some(group) = queue.pop() {
            if !seen.insert(group) {
                continue;
            }
            for item in self.groups.get(group).ok_or(group)? {
                match item.strip_prefix('@') {
                    Some(included) => queue.push(included),
                    None => {
                        packages.insert(item.as_str());
                    }
                }
            }
        }
        Ok(packages)
    }
}

/// The directory below `/usr/lib` that holds an architecture's libraries, for an architecture of Debian.
pub fn multiarch(architecture: &str) -> &str {
    match architecture {
        "amd64" => "x86_64-linux-gnu",
        "arm64" => "aarch64-linux-gnu",
        "armhf" => "arm-linux-gnueabihf",
        "i386" => "i386-linux-gnu",
        "ppc64el" => "powerpc64le-linux-gnu",
        "riscv64" => "riscv64-linux-gnu",
        "s390x" => "s390x-linux-gnu",
        other => other,
    }
}
