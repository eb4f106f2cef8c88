//! Locks of Python's managers: what they hold in, exact requirements for the installer out.
//!
//! uv, Poetry, PDM, Pipenv and `pylock.toml` differ in form and say the same: these files, with these digests, for
//! these environments. None of the managers runs. Markers that depend on the patch level of Python or on the
//! architecture stay in the lines, and the installer judges them. Invariant: nothing that a lock holds reaches a line
//! unchecked, so that no version can smuggle an option in.

mod document;
mod graph;
mod lines;
mod pdm;
mod pipenv;
mod poetry;
mod pylock;
mod uv;

use std::str::FromStr as _;

use pep440_rs::{Version, VersionSpecifiers};

use super::super::{Files, Located};
use super::install::Install;
use super::marker::Marker;
use super::requirement::Requirement;
use crate::detect::Error;
use crate::paths::inside;

use document::Document;
use graph::{Dependency, Needed};

/// What a lock says about the app.
struct Content {
    needed: Vec<Needed>,
    /// The Pythons that it was made for.
    python: Option<String>,
}

/// Reads the lock `file` of `manager`. `wanted` is what the manifest asks for.
pub(super) fn read(
    files: &Files<'_>,
    manager: &str,
    file: &str,
    wanted: &[Requirement],
) -> Result<Option<(Install, Option<Located>)>, Error> {
    let Some(text) = files.text(file)? else { return Ok(None) };
    let document = Document { file, text: &text };
    let roots = || roots(&document, wanted);
    let (content, key) = match manager {
        "uv" | "script" => (uv::read(&document)?, "requires-python"),
        "poetry" => (poetry::read(&document, &roots()?)?, "python-versions"),
        "pdm" => (pdm::read(&document, &roots()?)?, "requires_python"),
        "pylock" => (pylock::read(&document)?, "requires-python"),
        _ => (pipenv::read(&document)?, "python_version"),
    };
    let mut install = lines::write(&document, &content.needed)?;
    // Not every lock tells the extras that were asked for.
    let extras = wanted.iter().flat_map(|one| one.extras.iter().map(move |extra| (&one.name, extra)));
    let named = extras.filter(|(name, _)| install.names.contains(name));
    let named: Vec<String> = named.map(|(name, extra)| format!("{name}[{extra}]")).collect();
    install.names.extend(named);
    install.names.sort();
    install.names.dedup();
    install.drift = drift(file, wanted, &content.needed);
    let python = content.python.map(|value| Located {
        value,
        file: file.to_owned(),
        line: document.line_of(key),
        key: key.to_owned(),
    });
    Ok(Some((install, python)))
}

fn roots(document: &Document<'_>, wanted: &[Requirement]) -> Result<Vec<Dependency>, Error> {
    wanted
        .iter()
        .map(|one| {
            Ok(Dependency {
                name: one.name.clone(),
                version: None,
                extras: one.extras.clone(),
                marker: document.marker(&one.name, &one.marker, &[])?,
            })
        })
        .collect()
}

/// Requirements of the manifest that the lock does not meet.
fn drift(file: &str, wanted: &[Requirement], needed: &[Needed]) -> Vec<String> {
    let mut found = Vec::new();
    for one in wanted.iter().filter(|one| !one.name.is_empty()) {
        if !Marker::parse(&one.marker, &[]).is_ok_and(|marker| marker.is_possible()) {
            continue;
        }
        let locked: Vec<&str> = needed
            .iter()
            .filter(|locked| locked.package.name == one.name)
            .map(|locked| locked.package.version.as_str())
            .collect();
        let place = format!("{}: {}:{} wants {}", one.name, one.file, one.line, one.shown_spec());
        if locked.is_empty() {
            found.push(format!("{place}, {file} does not have it"));
        } else if !locked.iter().any(|version| meets(one, version)) {
            found.push(format!("{place}, {file} has {}", locked.join(" and ")));
        }
    }
    found
}

/// Whether the locked version satisfies the requirement; folders and addresses have no version to compare.
fn meets(wanted: &Requirement, version: &str) -> bool {
    if wanted.url.is_some() || wanted.spec.is_empty() || version.is_empty() {
        return true;
    }
    let (Ok(specifiers), Ok(version)) =
        (VersionSpecifiers::from_str(&wanted.spec), Version::from_str(version))
    else {
        return true;
    };
    specifiers.contains(&version)
}

/// A folder or file of the source tree, without `.` and `..`; nothing when it is outside.
fn folder(path: &str) -> Option<String> {
    let path = inside("", path.strip_prefix("file://").unwrap_or(path))?;
    Some(if path.is_empty() { ".".to_owned() } else { path })
}

/// The address of a commit as pip writes it.
fn git(address: &str, commit: &str, subdirectory: Option<&str>) -> String {
    let prefix = if address.starts_with("git+") { "" } else { "git+" };
    let commit = if commit.is_empty() { String::new() } else { format!("@{commit}") };
    let subdirectory = subdirectory.map(|folder| format!("#subdirectory={folder}")).unwrap_or_default();
    format!("{prefix}{address}{commit}{subdirectory}")
}
