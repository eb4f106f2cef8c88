//! `Pipfile.lock`: <https://github.com/pypa/pipfile>, format 6. Its entries state their markers.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::super::requirement::normalised;
use super::graph::{Needed, Package, Source};
use super::{Content, Document, folder};
use crate::detect::Error;

#[derive(Deserialize)]
struct Lock {
    #[serde(default, rename = "_meta")]
    meta: Meta,
    #[serde(default)]
    default: BTreeMap<String, Locked>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Meta {
    pipfile_spec: Option<u64>,
    #[serde(default)]
    requires: Requires,
}

#[derive(Default, Deserialize)]
struct Requires {
    python_full_version: Option<String>,
    python_version: Option<String>,
}

#[derive(Deserialize)]
struct Locked {
    #[serde(default)]
    version: String,
    #[serde(default)]
    hashes: Vec<String>,
    #[serde(default)]
    markers: String,
    #[serde(default)]
    extras: Vec<String>,
    git: Option<String>,
    #[serde(rename = "ref")]
    commit: Option<String>,
    subdirectory: Option<String>,
    path: Option<String>,
    file: Option<String>,
}

/// Reads the lock.
pub(super) fn read(document: &Document<'_>) -> Result<Content, Error> {
    let lock: Lock = document.json()?;
    if lock.meta.pipfile_spec.is_some_and(|spec| spec != 6) {
        return Err(document.old("pipfile-spec", "has another format than 6", "pipenv lock"));
    }
    let mut needed = Vec::new();
    for (name, locked) in lock.default {
        let marker = document.marker(&name, &locked.markers, &[])?;
        if !marker.is_possible() {
            continue;
        }
        let package = Package {
            source: source(document, &name, &locked)?,
            name: normalised(&name),
            version: locked.version.trim_start_matches('=').to_owned(),
            hashes: locked.hashes,
            ..Package::default()
        };
        let extras = locked.extras.iter().map(|extra| normalised(extra)).collect();
        needed.push(Needed { package, extras, marker });
    }
    let python = lock.meta.requires.python_full_version.or(lock.meta.requires.python_version);
    Ok(Content { needed, python })
}

fn source(document: &Document<'_>, name: &str, locked: &Locked) -> Result<Source, Error> {
    let inside = |path: &str| folder(path).ok_or_else(|| document.outside(name, path));
    Ok(match locked {
        Locked { git: Some(git), commit, subdirectory, .. } => {
            Source::Url(super::git(git, commit.as_deref().unwrap_or_default(), subdirectory.as_deref()))
        }
        Locked { file: Some(file), .. } if file.contains("://") => Source::Url(file.clone()),
        Locked { file: Some(file), .. } => Source::File(inside(file)?),
        Locked { path: Some(path), .. } => Source::Folder(inside(path)?),
        _ => Source::Index,
    })
}
