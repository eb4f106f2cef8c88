//! Who keeps the dependencies of the app, and what is installed for it.

use std::collections::BTreeSet;

use super::super::{Files, Located, warning};
use super::install::Install;
use super::project::{self, Manifest};
use super::{lock, script};
use crate::detect::Error;
use crate::plan::model::Notice;

/// Locks by the manager that writes them, in the order in which they count.
const LOCKS: [(&str, &str); 5] = [
    ("uv", "uv.lock"),
    ("poetry", "poetry.lock"),
    ("pdm", "pdm.lock"),
    ("pylock", "pylock.toml"),
    ("pipenv", "Pipfile.lock"),
];
/// Further files that say Python.
const OTHERS: [&str; 7] = [
    "requirements.txt",
    "pyproject.toml",
    "Pipfile",
    "setup.py",
    "setup.cfg",
    "environment.yml",
    "environment.yaml",
];

/// The files of all managers.
pub(super) fn manifests() -> impl Iterator<Item = &'static str> {
    LOCKS.into_iter().map(|(_, file)| file).chain(OTHERS)
}

/// The manager in force.
pub(super) struct Chosen {
    pub(super) manager: String,
    /// Its lock, if there is one.
    pub(super) lock: Option<String>,
    pub(super) other_locks: Vec<String>,
    /// What the script says that is the whole app.
    pub(super) script: Option<Manifest>,
}

/// Chooses the manager: the first lock, then requirements, then the manifest. `mains` are the scripts at the root.
pub(super) fn choose(
    files: &Files<'_>,
    manifest: &Manifest,
    requirements: Option<&str>,
    mains: &[String],
    notices: &mut Vec<Notice>,
) -> Result<Chosen, Error> {
    let found: Vec<(&str, &str)> = LOCKS.into_iter().filter(|(_, file)| files.has(file)).collect();
    if let Some(((manager, lock), others)) = found.split_first() {
        if requirements == Some("requirements.txt") {
            let text =
                format!("`{lock}` is used and `requirements.txt` is not: delete what is not kept up to date");
            notices.push(warning("python/multiple-managers", text));
        }
        return Ok(Chosen {
            manager: (*manager).to_owned(),
            lock: Some((*lock).to_owned()),
            other_locks: others.iter().map(|(_, file)| (*file).to_owned()).collect(),
            script: None,
        });
    }
    let declared = manifest.project.as_ref().is_some_and(|project| project.declared);
    let is_poetry = manifest.project.as_ref().is_some_and(|project| project.poetry);
    let manager = match requirements {
        Some(_) => "pip",
        None if is_poetry => "poetry",
        None if declared && (manifest.uv || manifest.needs_lock) => "uv",
        None if declared => "pyproject",
        None if files.has("Pipfile") => "pipenv",
        None if files.has("setup.py") || files.has("setup.cfg") => "pyproject",
        None if files.has("environment.yml") || files.has("environment.yaml") => "conda",
        None => "none",
    };
    let mut chosen =
        Chosen { manager: manager.to_owned(), lock: None, other_locks: Vec::new(), script: None };
    if manager == "none" {
        for main in mains {
            let Some(script) = script::read(files, main)? else { continue };
            chosen.script = Some(script);
            "script".clone_into(&mut chosen.manager);
            // <https://docs.astral.sh/uv/guides/scripts/#locking-dependencies>
            chosen.lock = Some(format!("{main}.lock")).filter(|lock| files.has(lock));
            break;
        }
    }
    Ok(chosen)
}

/// What is installed, and the Pythons that the lock was made for.
pub(super) fn install(
    files: &Files<'_>,
    manager: &str,
    lock: Option<&str>,
    manifest: &Manifest,
) -> Result<(Install, Option<Located>), Error> {
    if matches!(manager, "pip" | "none" | "conda") {
        return Ok((Install::default(), None));
    }
    let is_bare = manifest.project.as_ref().is_none_or(|project| !project.declared);
    let by_setup = is_bare && (files.has("setup.py") || files.has("setup.cfg")) && manager == "pyproject";
    let file = match manager {
        "pipenv" => "Pipfile",
        "script" => manifest.wanted.first().map_or("", |one| &one.file),
        _ if by_setup && files.has("setup.py") => "setup.py",
        _ if by_setup => "setup.cfg",
        _ => project::FILE,
    };
    let (mut install, python) = match lock {
        None => (Install::of(file, &manifest.wanted), None),
        Some(lock) => lock::read(files, manager, lock, &manifest.wanted)?.unwrap_or_default(),
    };
    if let Some(lock) = lock {
        lock.clone_into(&mut install.file);
    }
    install.indexes.clone_from(&manifest.indexes);
    install.credentials = super::install::credentials(&install.indexes);
    install.needs_lock = lock.is_none() && manifest.needs_lock;
    install.dynamic = lock.is_none() && (manifest.dynamic || by_setup);
    // uv's lock says itself whether the root is a package.
    let is_package = (manifest.is_package && !(manager == "uv" && lock.is_some())) || by_setup;
    if is_package && !install.folders.iter().any(|folder| folder == ".") {
        install.folders.insert(0, ".".to_owned());
    }
    let mut backends = BTreeSet::new();
    for folder in &install.folders {
        backends.extend(project::backends(files, folder)?);
    }
    install.backends = backends.into_iter().collect();
    Ok((install, python))
}
