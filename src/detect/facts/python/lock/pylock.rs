//! `pylock.toml`: <https://packaging.python.org/en/latest/specifications/pylock-toml/>.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::super::requirement::normalised;
use super::graph::{Needed, Package, Source};
use super::{Content, Document, folder};
use crate::detect::Error;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Lock {
    #[serde(rename = "lock-version")]
    format: String,
    requires_python: Option<String>,
    #[serde(default)]
    packages: Vec<Locked>,
}

#[derive(Deserialize)]
struct Locked {
    name: String,
    #[serde(default)]
    version: String,
    #[serde(default)]
    marker: String,
    vcs: Option<Repository>,
    directory: Option<Folder>,
    archive: Option<Artifact>,
    sdist: Option<Artifact>,
    #[serde(default)]
    wheels: Vec<Artifact>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Repository {
    url: Option<String>,
    commit_id: String,
    subdirectory: Option<String>,
}

#[derive(Deserialize)]
struct Folder {
    path: String,
}

#[derive(Deserialize)]
struct Artifact {
    url: Option<String>,
    path: Option<String>,
    #[serde(default)]
    hashes: BTreeMap<String, String>,
}

/// Reads the lock, whose entries state their markers.
pub(super) fn read(document: &Document<'_>) -> Result<Content, Error> {
    let lock: Lock = document.toml()?;
    if !lock.format.starts_with("1.") {
        let problem = format!("has the format `{}`, and 1.0 is read", lock.format);
        return Err(document.old(
            "lock-version",
            &problem,
            "uv export --format pylock.toml --output-file pylock.toml",
        ));
    }
    let mut needed = Vec::new();
    for locked in lock.packages {
        let marker = document.marker(&locked.name, &locked.marker, &[])?;
        if !marker.is_possible() {
            continue;
        }
        let artifacts = locked.sdist.iter().chain(&locked.wheels).chain(&locked.archive);
        let hashes = artifacts.flat_map(|artifact| &artifact.hashes);
        let package = Package {
            name: normalised(&locked.name),
            version: locked.version.clone(),
            hashes: hashes.map(|(algorithm, digest)| format!("{algorithm}:{digest}")).collect(),
            source: source(document, &locked)?,
            ..Package::default()
        };
        needed.push(Needed { package, extras: Vec::new(), marker });
    }
    Ok(Content { needed, python: lock.requires_python })
}

fn source(document: &Document<'_>, locked: &Locked) -> Result<Source, Error> {
    let inside = |path: &str| folder(path).ok_or_else(|| document.outside(&locked.name, path));
    Ok(match locked {
        Locked { vcs: Some(Repository { url: Some(url), commit_id, subdirectory }), .. } => {
            Source::Url(super::git(url, commit_id, subdirectory.as_deref()))
        }
        Locked { directory: Some(Folder { path }), .. } => Source::Folder(inside(path)?),
        Locked { archive: Some(Artifact { path: Some(path), .. }), .. } => Source::File(inside(path)?),
        Locked { archive: Some(Artifact { url: Some(url), .. }), .. } => Source::Url(url.clone()),
        _ => Source::Index,
    })
}
