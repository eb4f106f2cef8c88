//! `poetry.lock`, in the formats 1.1 to 2.1.
//!
//! From 2.1 on each package states its groups and its marker. Before, what the main group needs is found by walking
//! from the manifest.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::super::marker::Marker;
use super::super::requirement::{normalised, parse};
use super::graph::{Dependency, Graph, Needed, Package, Source};
use super::{Content, Document, folder};
use crate::detect::Error;

#[derive(Deserialize)]
struct Lock {
    #[serde(default, rename = "package")]
    packages: Vec<Locked>,
    metadata: Metadata,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Metadata {
    lock_version: Option<String>,
    python_versions: Option<String>,
    /// Before format 2.0.
    #[serde(default)]
    files: BTreeMap<String, Vec<File>>,
}

#[derive(Deserialize)]
struct Locked {
    name: String,
    version: String,
    #[serde(default)]
    optional: bool,
    /// From 2.1 on.
    groups: Option<Vec<String>>,
    markers: Option<Markers>,
    #[serde(default)]
    files: Vec<File>,
    #[serde(default)]
    dependencies: BTreeMap<String, Wanted>,
    #[serde(default)]
    extras: BTreeMap<String, Vec<String>>,
    source: Option<Origin>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Markers {
    All(String),
    ByGroup(BTreeMap<String, String>),
}

#[derive(Clone, Deserialize)]
struct File {
    hash: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Wanted {
    Table(Details),
    Several(Vec<Details>),
    /// A constraint: the lock holds what was chosen.
    Version(IgnoredAny),
}

#[derive(Deserialize)]
struct Details {
    #[serde(default)]
    optional: bool,
    #[serde(default)]
    markers: String,
    #[serde(default)]
    extras: Vec<String>,
}

#[derive(Default, Deserialize)]
struct Origin {
    #[serde(rename = "type")]
    kind: String,
    url: String,
    resolved_reference: Option<String>,
    reference: Option<String>,
    subdirectory: Option<String>,
}

/// Reads the lock; `roots` is what the manifest asks for.
pub(super) fn read(document: &Document<'_>, roots: &[Dependency]) -> Result<Content, Error> {
    let lock: Lock = document.toml()?;
    let version = lock.metadata.lock_version.unwrap_or_default();
    if !version.starts_with("1.1") && !version.starts_with("2.") {
        let problem = format!("has the format `{version}`, and 1.1 to 2.1 are read");
        return Err(document.old("lock-version", &problem, "poetry lock"));
    }
    let is_flat = lock.packages.iter().all(|package| package.groups.is_some());
    let mut flat = Vec::new();
    let mut packages = Vec::new();
    for mut locked in lock.packages {
        if locked.files.is_empty() {
            locked.files = lock.metadata.files.get(&locked.name).cloned().unwrap_or_default();
        }
        if is_flat {
            flat.extend(needed(document, &locked)?);
        } else {
            packages.push(package(document, &locked)?);
        }
    }
    let needed = if is_flat { flat } else { Graph::new(packages).needed(roots) };
    Ok(Content { needed, python: lock.metadata.python_versions })
}

/// A package of the main group; extras that nobody asked for are left out.
fn needed(document: &Document<'_>, locked: &Locked) -> Result<Option<Needed>, Error> {
    let is_main = locked.groups.as_ref().is_some_and(|groups| groups.iter().any(|group| group == "main"));
    if !is_main || locked.optional {
        return Ok(None);
    }
    let marker = match &locked.markers {
        None => "",
        Some(Markers::All(marker)) => marker,
        Some(Markers::ByGroup(groups)) => groups.get("main").map_or("", String::as_str),
    };
    let marker = document.marker(&locked.name, marker, &[])?;
    let package = package(document, locked)?;
    Ok(marker.is_possible().then_some(Needed { package, extras: Vec::new(), marker }))
}

fn package(document: &Document<'_>, locked: &Locked) -> Result<Package, Error> {
    let mut dependencies = Vec::new();
    let mut optional = Vec::new();
    for (name, wanted) in &locked.dependencies {
        let details: &[Details] = match wanted {
            Wanted::Table(one) => std::slice::from_ref(one),
            Wanted::Several(several) => several,
            Wanted::Version(_) => &[],
        };
        let mut add = |is_optional: bool, marker: Marker, extras: &[String]| {
            let extras = extras.iter().map(|extra| normalised(extra)).collect();
            let one = Dependency { name: normalised(name), version: None, extras, marker };
            if is_optional { optional.push(one) } else { dependencies.push(one) }
        };
        if details.is_empty() {
            add(false, Marker::TRUE, &[]);
        }
        for one in details {
            // The extra that an optional dependency belongs to stands in the list of extras too.
            let extras: Vec<String> =
                if one.optional { locked.extras.keys().cloned().collect() } else { Vec::new() };
            add(one.optional, document.marker(name, &one.markers, &extras)?, &one.extras);
        }
    }
    let mut extras = BTreeMap::new();
    for (extra, names) in &locked.extras {
        let names: Vec<String> =
            names.iter().filter_map(|line| parse(line).ok()).map(|requirement| requirement.name).collect();
        let wanted = optional.iter().filter(|one| names.contains(&one.name)).cloned().collect();
        extras.insert(normalised(extra), wanted);
    }
    Ok(Package {
        name: normalised(&locked.name),
        version: locked.version.clone(),
        hashes: locked.files.iter().map(|file| file.hash.clone()).collect(),
        source: source(document, locked)?,
        dependencies,
        extras,
    })
}

fn source(document: &Document<'_>, locked: &Locked) -> Result<Source, Error> {
    let Some(origin) = &locked.source else { return Ok(Source::Index) };
    let inside = || folder(&origin.url).ok_or_else(|| document.outside(&locked.name, &origin.url));
    Ok(match origin.kind.as_str() {
        "git" => {
            let commit = origin.resolved_reference.as_ref().or(origin.reference.as_ref());
            let commit = commit.map_or("", String::as_str);
            Source::Url(super::git(&origin.url, commit, origin.subdirectory.as_deref()))
        }
        "url" => Source::Url(origin.url.clone()),
        "file" => Source::File(inside()?),
        "directory" => Source::Folder(inside()?),
        _ => Source::Index,
    })
}
