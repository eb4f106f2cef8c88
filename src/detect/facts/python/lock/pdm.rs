//! `pdm.lock`, format 4: <https://pdm-project.org/en/latest/usage/lockfile/>.
//!
//! With the strategy `inherit_metadata`, PDM's default, each package states its groups and its marker. Without it,
//! what the app needs is found by walking from the manifest.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::super::marker::Marker;
use super::super::requirement::{normalised, parse};
use super::graph::{Dependency, Graph, Needed, Package, Source};
use super::{Content, Document, folder};
use crate::detect::Error;

/// The group of what the app itself needs.
const GROUP: &str = "default";

#[derive(Deserialize)]
struct Lock {
    metadata: Metadata,
    #[serde(default, rename = "package")]
    packages: Vec<Locked>,
}

#[derive(Deserialize)]
struct Metadata {
    #[serde(default)]
    lock_version: String,
    #[serde(default)]
    strategy: Vec<String>,
    requires_python: Option<String>,
    #[serde(default)]
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    requires_python: Option<String>,
}

#[derive(Deserialize)]
struct Locked {
    name: String,
    #[serde(default)]
    version: String,
    #[serde(default)]
    groups: Vec<String>,
    #[serde(default)]
    marker: String,
    #[serde(default)]
    extras: Vec<String>,
    #[serde(default)]
    dependencies: Vec<String>,
    #[serde(default)]
    files: Vec<File>,
    git: Option<String>,
    revision: Option<String>,
    subdirectory: Option<String>,
    url: Option<String>,
    path: Option<String>,
}

#[derive(Deserialize)]
struct File {
    hash: String,
}

/// Reads the lock; `roots` is what the manifest asks for.
pub(super) fn read(document: &Document<'_>, roots: &[Dependency]) -> Result<Content, Error> {
    let lock: Lock = document.toml()?;
    if !lock.metadata.lock_version.starts_with("4.") {
        let problem = format!("has the format `{}`, and 4 is read", lock.metadata.lock_version);
        return Err(document.old("lock_version", &problem, "pdm lock"));
    }
    let target = lock.metadata.targets.into_iter().next().and_then(|target| target.requires_python);
    let python = lock.metadata.requires_python.or(target);
    let needed = if lock.metadata.strategy.iter().any(|strategy| strategy == "inherit_metadata") {
        flat(document, lock.packages)?
    } else {
        Graph::new(graph(document, lock.packages)?).needed(roots)
    };
    Ok(Content { needed, python })
}

/// A package with extras is an entry of its own beside the one without.
fn flat(document: &Document<'_>, packages: Vec<Locked>) -> Result<Vec<Needed>, Error> {
    let mut found: BTreeMap<(String, String), Needed> = BTreeMap::new();
    for locked in packages.into_iter().filter(|locked| locked.groups.iter().any(|group| group == GROUP)) {
        let marker = document.marker(&locked.name, &locked.marker, &[])?;
        if !marker.is_possible() {
            continue;
        }
        let package = package(document, &locked)?;
        let key = (package.name.clone(), package.version.clone());
        let one = found.entry(key).or_insert(Needed { package, extras: Vec::new(), marker: Marker::FALSE });
        one.marker = one.marker.or(&marker);
        one.extras.extend(locked.extras.iter().map(|extra| normalised(extra)));
    }
    Ok(found.into_values().collect())
}

fn graph(document: &Document<'_>, packages: Vec<Locked>) -> Result<Vec<Package>, Error> {
    let mut found: BTreeMap<(String, String), Package> = BTreeMap::new();
    for locked in packages {
        let mut one = package(document, &locked)?;
        let mut wanted = Vec::new();
        for line in &locked.dependencies {
            wanted.push(document.dependency(line)?);
        }
        let key = (one.name.clone(), one.version.clone());
        if locked.extras.is_empty() {
            one.dependencies = wanted;
            if let Some(known) = found.remove(&key) {
                one.extras = known.extras;
            }
            found.insert(key, one);
        } else {
            let known = found.entry(key).or_insert(one);
            for extra in &locked.extras {
                known.extras.insert(normalised(extra), wanted.clone());
            }
        }
    }
    Ok(found.into_values().collect())
}

fn package(document: &Document<'_>, locked: &Locked) -> Result<Package, Error> {
    let source = match locked {
        Locked { git: Some(git), revision, subdirectory, .. } => {
            Source::Url(super::git(git, revision.as_deref().unwrap_or_default(), subdirectory.as_deref()))
        }
        Locked { url: Some(url), .. } => Source::Url(url.clone()),
        Locked { path: Some(path), .. } => {
            let inside = folder(path).ok_or_else(|| document.outside(&locked.name, path))?;
            let is_file = parse(path).is_ok_and(|requirement| !requirement.name.is_empty());
            if is_file { Source::File(inside) } else { Source::Folder(inside) }
        }
        _ => Source::Index,
    };
    Ok(Package {
        name: normalised(&locked.name),
        version: locked.version.clone(),
        hashes: locked.files.iter().map(|file| file.hash.clone()).collect(),
        source,
        ..Package::default()
    })
}
