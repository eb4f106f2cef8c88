//! `uv.lock`: <https://docs.astral.sh/uv/concepts/projects/layout/#the-lockfile>.
//!
//! Addresses of the index that it records are not used: what the machine has for an index serves the files, and their
//! digests are checked.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::super::marker::Marker;
use super::super::requirement::normalised;
use super::graph::{Dependency, Graph, Package, Source};
use super::{Content, Document, folder};
use crate::detect::Error;

/// The format's only version.
const VERSION: u64 = 1;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Lock {
    version: u64,
    requires_python: Option<String>,
    #[serde(default)]
    manifest: Manifest,
    #[serde(default, rename = "package")]
    packages: Vec<Locked>,
}

#[derive(Default, Deserialize)]
struct Manifest {
    #[serde(default)]
    requirements: Vec<Reference>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Locked {
    name: String,
    #[serde(default)]
    version: String,
    source: Origin,
    #[serde(default)]
    dependencies: Vec<Reference>,
    #[serde(default)]
    optional_dependencies: BTreeMap<String, Vec<Reference>>,
    sdist: Option<Artifact>,
    #[serde(default)]
    wheels: Vec<Artifact>,
}

#[derive(Default, Deserialize)]
struct Origin {
    git: Option<String>,
    url: Option<String>,
    subdirectory: Option<String>,
    path: Option<String>,
    directory: Option<String>,
    editable: Option<String>,
    #[serde(rename = "virtual")]
    empty: Option<String>,
}

#[derive(Deserialize)]
struct Artifact {
    hash: Option<String>,
}

/// A dependency in the lock, or a requirement of a script.
#[derive(Deserialize)]
struct Reference {
    name: String,
    version: Option<String>,
    #[serde(default, alias = "extras")]
    extra: Vec<String>,
    #[serde(default)]
    marker: String,
}

/// Reads the lock of the project at the root, or of a script.
pub(super) fn read(document: &Document<'_>) -> Result<Content, Error> {
    let lock: Lock = document.toml()?;
    if lock.version != VERSION {
        return Err(document.old(
            "version",
            &format!("has version {}, and {VERSION} is read", lock.version),
            "uv lock",
        ));
    }
    let mut packages = Vec::new();
    let mut roots = Vec::new();
    let mut members = Vec::new();
    for locked in lock.packages {
        let package = package(document, locked)?;
        let root = Dependency {
            name: package.name.clone(),
            version: None,
            extras: Vec::new(),
            marker: Marker::TRUE,
        };
        match &package.source {
            Source::Folder(path) | Source::Virtual(path) if path == "." => roots.push(root),
            Source::Folder(_) | Source::Virtual(_) => members.push(root),
            _ => {}
        }
        packages.push(package);
    }
    roots.extend(references(document, lock.manifest.requirements)?);
    // The root of a workspace need not be a project itself.
    let roots = if roots.is_empty() { members } else { roots };
    let needed = Graph::new(packages).needed(&roots);
    Ok(Content { needed, python: lock.requires_python })
}

fn package(document: &Document<'_>, locked: Locked) -> Result<Package, Error> {
    let artifacts = locked.sdist.iter().chain(&locked.wheels);
    let hashes = artifacts.filter_map(|artifact| artifact.hash.clone()).collect();
    let mut extras = BTreeMap::new();
    for (extra, wanted) in locked.optional_dependencies {
        extras.insert(normalised(&extra), references(document, wanted)?);
    }
    Ok(Package {
        name: normalised(&locked.name),
        source: source(document, &locked.name, locked.source)?,
        version: locked.version,
        hashes,
        dependencies: references(document, locked.dependencies)?,
        extras,
    })
}

fn source(document: &Document<'_>, name: &str, origin: Origin) -> Result<Source, Error> {
    let inside = |path: &str| folder(path).ok_or_else(|| document.outside(name, path));
    Ok(match origin {
        Origin { git: Some(git), .. } => {
            // `https://host/repository?rev=main&subdirectory=sub#COMMIT`
            let (address, commit) = git.split_once('#').unwrap_or((&git, ""));
            let (address, query) = address.split_once('?').unwrap_or((address, ""));
            let subdirectory = query.split('&').find_map(|part| part.strip_prefix("subdirectory="));
            Source::Url(super::git(address, commit, subdirectory))
        }
        Origin { url: Some(url), subdirectory, .. } => Source::Url(match subdirectory {
            Some(folder) => format!("{url}#subdirectory={folder}"),
            None => url,
        }),
        Origin { path: Some(path), .. } => Source::File(inside(&path)?),
        Origin { directory: Some(path), .. } | Origin { editable: Some(path), .. } => {
            Source::Folder(inside(&path)?)
        }
        Origin { empty: Some(path), .. } => Source::Virtual(inside(&path)?),
        _ => Source::Index,
    })
}

fn references(document: &Document<'_>, references: Vec<Reference>) -> Result<Vec<Dependency>, Error> {
    references
        .into_iter()
        .map(|reference| {
            Ok(Dependency {
                marker: document.marker(&reference.name, &reference.marker, &[])?,
                name: normalised(&reference.name),
                version: reference.version,
                extras: reference.extra.iter().map(|extra| normalised(extra)).collect(),
            })
        })
        .collect()
}
