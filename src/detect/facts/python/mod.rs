//! Facts of Python: requirements, `pyproject.toml`, version files, app objects, scripts.

mod apps;
mod project;
mod requirement;
mod requirements;
mod scan;
mod token;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use serde::Serialize;

pub(super) use apps::App;
pub(super) use project::Project;
pub(super) use requirement::Requirement;

use super::{Files, Located, located, warning};
use crate::detect::Error;
use crate::plan::model::Notice;

/// Locks and manifests by the manager that reads them, in the order in which they count.
const MANAGERS: [(&str, &str); 6] = [
    ("uv", "uv.lock"),
    ("poetry", "poetry.lock"),
    ("pdm", "pdm.lock"),
    ("pylock", "pylock.toml"),
    ("pipenv", "Pipfile.lock"),
    ("pip", "requirements.txt"),
];
/// Further files whose presence says Python.
const OTHERS: [&str; 4] = ["pyproject.toml", "Pipfile", "setup.py", "setup.cfg"];
/// Where requirements stand when there is no `requirements.txt`.
const SPLIT: [&str; 3] = ["requirements/prod.txt", "requirements/production.txt", "requirements/base.txt"];
/// Usual slips in the name `requirements.txt`.
const MISSPELLED: [&str; 5] =
    ["requirments.txt", "requirement.txt", "requirements.text", "requiremets.txt", "requirements.txt.txt"];

/// What the source says about Python.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Python {
    /// `requirements.txt`, or the first that exists of `requirements/{prod,production,base}.txt`.
    pub requirements_file: Option<String>,
    /// What [`requirements_file`](Self::requirements_file) and the files it includes with `-r` ask for, in order.
    /// Lines of constraint files are not requirements and are left out.
    pub requirements: Vec<Requirement>,
    /// The requirements file and all that it includes with `-r` and `-c`, sorted.
    pub files: Vec<String>,
    /// Whether a line has a `--hash`, or `--require-hashes` is set: then the installer checks all.
    pub hashed: bool,
    /// Requirements without an exact version: `flask (requirements.txt:3)`.
    pub unpinned: Vec<String>,
    /// Folders that are installed from the source (`-e .`, `./lib`), as written.
    pub local: Vec<String>,
    /// Normalised names that the requirements files want compiled (`--no-binary`), sorted; `:all:` stands for all.
    pub no_binary: Vec<String>,
    /// Normalised names that the requirements and `pyproject.toml` ask for directly, sorted.
    pub dependencies: Vec<String>,
    /// Who installs: `pip`, `uv`, `poetry`, `pdm`, `pylock`, `pipenv`, `pyproject` (a `pyproject.toml` or
    /// `setup.py` without a lock), or `none`.
    pub manager: String,
    /// Statements of the wanted version in order of precedence: `.python-version`, `runtime.txt`,
    /// `.tool-versions`, `requires-python` or Poetry's `python`.
    pub versions: Vec<Located>,
    /// What `pyproject.toml` says of the project, if there is such a file.
    pub project: Option<Project>,
    /// Objects that a web server can serve, best first.
    pub apps: Vec<App>,
    /// Files at the root with an `if __name__ == "__main__"` guard or a usual name, best first.
    pub mains: Vec<String>,
}

impl Python {
    /// See [`super::Facts::shape`].
    pub(super) fn shape() -> Self {
        Self { project: Some(Project::default()), ..Self::default() }
    }
}

/// Whether anything of Python stands at the root.
pub(super) fn is_present(files: &Files<'_>) -> bool {
    MANAGERS.iter().map(|(_, file)| file).chain(&OTHERS).chain(&SPLIT).any(|file| files.has(file))
        || files.at_root(".py").next().is_some()
}

/// Reads the facts of Python.
pub(super) fn read(files: &Files<'_>, notices: &mut Vec<Notice>) -> Result<Python, Error> {
    let manifest = project::read(files)?;
    let requirements_file = ["requirements.txt"].into_iter().chain(SPLIT).find(|file| files.has(file));
    let read = match requirements_file {
        Some(file) => requirements::read(files, file)?,
        None => requirements::Requirements::default(),
    };
    let slip = MISSPELLED.into_iter().find(|file| requirements_file.is_none() && files.has(file));
    if let Some(slip) = slip {
        let text = format!("`{slip}` is not read: did you mean `requirements.txt`?");
        notices.push(warning("python/misspelled", text));
    }
    let mut dependencies: BTreeSet<String> =
        read.wanted.iter().map(|requirement| requirement.name.clone()).collect();
    dependencies.extend(manifest.dependencies);
    dependencies.remove("");
    let (apps, mains) = scan::read(files);
    Ok(Python {
        manager: manager(files, manifest.project.as_ref(), requirements_file, notices),
        versions: versions(files, manifest.python)?,
        requirements_file: requirements_file.map(str::to_owned),
        unpinned: read.unpinned(),
        requirements: read.wanted,
        files: read.files.into_iter().collect(),
        hashed: read.hashed,
        local: read.local,
        no_binary: read.no_binary.into_iter().collect(),
        dependencies: dependencies.into_iter().collect(),
        project: manifest.project,
        apps,
        mains,
    })
}

fn manager(
    files: &Files<'_>,
    project: Option<&Project>,
    requirements: Option<&str>,
    notices: &mut Vec<Notice>,
) -> String {
    let mut found = MANAGERS.into_iter().filter(|(_, file)| files.has(file));
    let manager = match (found.next(), requirements, project) {
        (Some((manager, file)), ..) => {
            let others: Vec<String> = found.map(|(_, other)| format!("`{other}`")).collect();
            if !others.is_empty() {
                let text = format!(
                    "`{file}` is used and {} ignored: delete what is not kept up to date",
                    others.join(", ")
                );
                notices.push(warning("python/multiple-managers", text));
            }
            manager
        }
        (None, Some(_), _) => "pip",
        (None, None, Some(project)) if project.poetry => "poetry",
        (None, None, Some(project)) if project.declared => "pyproject",
        _ if files.has("Pipfile") => "pipenv",
        _ if files.has("setup.py") || files.has("setup.cfg") => "pyproject",
        _ => "none",
    };
    manager.to_owned()
}

fn versions(files: &Files<'_>, manifest: Option<Located>) -> Result<Vec<Located>, Error> {
    let mut versions = Vec::new();
    versions.extend(located::version_file(files, ".python-version")?);
    versions.extend(located::version_file(files, "runtime.txt")?);
    versions.extend(located::tool_versions(files, &["python"])?);
    versions.extend(located::mise(files, &["python"])?);
    for version in &mut versions {
        for prefix in ["cpython-", "python-"] {
            if let Some(number) = version.value.strip_prefix(prefix) {
                version.value = number.to_owned();
            }
        }
    }
    versions.extend(manifest);
    Ok(versions)
}
