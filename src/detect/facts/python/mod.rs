//! Facts of Python: requirements, `pyproject.toml`, version files, app objects, scripts.

mod apps;
mod described;
mod django;
mod install;
mod lock;
mod manager;
mod marker;
mod pipfile;
mod poetry;
mod program;
mod project;
mod requirement;
mod requirements;
mod scan;
mod script;
pub(super) mod token;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use serde::Serialize;

pub(super) use apps::App;
pub(super) use django::Django;
pub(super) use install::Install;
pub(super) use program::Program;
pub(super) use project::Project;
pub(super) use requirement::Requirement;
pub(super) use scan::Screen;

use super::{Files, Located, credentials, located, warning};
use crate::detect::Error;
use crate::plan::model::Notice;
use manager::Chosen;
use project::Manifest;

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
    /// Who keeps the dependencies: `pip`, `uv`, `poetry`, `pdm`, `pylock`, `pipenv`, `pyproject` (a `pyproject.toml`
    /// or `setup.py` without a lock), `script` (metadata in a script), `conda`, or `none`.
    pub manager: String,
    /// What is installed, for all managers but `pip`.
    pub install: Install,
    /// Locks of other managers than the one in force.
    pub other_locks: Vec<String>,
    /// Statements of the wanted version in order of precedence: `.python-version`, `runtime.txt`, `.tool-versions`,
    /// the Pipfile, `requires-python` or Poetry's `python`, the lock.
    pub versions: Vec<Located>,
    /// What `pyproject.toml` says of the project, if there is such a file.
    pub project: Option<Project>,
    /// Objects that a web server can serve, best first.
    pub apps: Vec<App>,
    /// Those that are as likely as the first, in other files; empty when the manifest names the first.
    pub rivals: Vec<App>,
    /// Objects that run tasks, best first.
    pub workers: Vec<App>,
    /// Scripts that a library serves as pages, best first.
    pub screens: Vec<Screen>,
    /// The Django project at the root or in `src`.
    pub django: Option<Django>,
    /// The command of `project.scripts` that starts the app, when one does.
    pub program: Option<Program>,
    /// Packages with a `__main__.py`: `shop`, `src/shop`.
    pub packages: Vec<String>,
    /// Files at the root with an `if __name__ == "__main__"` guard or a usual name, best first.
    pub mains: Vec<String>,
    /// Functions of `main.py` that the functions framework may call.
    pub functions: Vec<String>,
    /// Packages that modules import without a guard and that the source does not hold, sorted. The standard library's
    /// are among them.
    pub imports: Vec<String>,
    /// Variables that requirements files and addresses of indexes name.
    pub secrets: Vec<Located>,
    /// Folders with a `package.json` that its programs name, sorted.
    pub front_ends: Vec<String>,
}

impl Python {
    /// See [`super::Facts::shape`].
    pub(super) fn shape() -> Self {
        Self {
            project: Some(Project::default()),
            django: Some(Django::default()),
            program: Some(Program::default()),
            ..Self::default()
        }
    }
}

/// Whether anything of Python stands at the root.
pub(super) fn is_present(files: &Files<'_>) -> bool {
    manager::manifests().chain(SPLIT).any(|file| files.has(file)) || files.at_root(".py").next().is_some()
}

/// Reads the facts of Python.
pub(super) fn read(files: &Files<'_>, notices: &mut Vec<Notice>) -> Result<Python, Error> {
    let mut manifest = project::read(files)?;
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
    let scan = scan::read(files);
    let Chosen { manager, lock, other_locks, script } =
        manager::choose(files, &manifest, requirements_file, &scan.mains, notices)?;
    let is_pipenv = manager == "pipenv" || files.has("Pipfile");
    if let Some(pipfile) = is_pipenv.then(|| pipfile::read(files)).transpose()?.flatten() {
        let kept = (manifest.project.take(), manifest.entrypoint.take());
        manifest = Manifest { project: kept.0, entrypoint: kept.1, ..pipfile };
    }
    if let Some(script) = script {
        manifest = Manifest { project: manifest.project, ..script };
    }
    let (install, locked_python) = manager::install(files, &manager, lock.as_deref(), &manifest)?;
    let mut dependencies: BTreeSet<String> =
        read.wanted.iter().chain(&manifest.wanted).map(|requirement| requirement.name.clone()).collect();
    dependencies.remove("");
    let django = django::read(files);
    let mut apps = scan.apps;
    let likeliest = apps.first().cloned();
    program::promote(&mut apps, manifest.entrypoint.as_deref());
    let program = program::read(manifest.project.as_ref(), &mut apps);
    let is_named = manifest.entrypoint.is_some() || apps.first() != likeliest.as_ref();
    let mut secrets = credentials::of_requirements(files, read.files.iter())?;
    let indexed = if is_pipenv { "Pipfile" } else { "pyproject.toml" };
    secrets.extend(credentials::of_addresses(files, indexed, &manifest.indexes)?);
    Ok(Python {
        versions: versions(files, manifest.python, locked_python)?,
        manager,
        install,
        other_locks,
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
        rivals: if is_named { Vec::new() } else { scan.rivals },
        workers: scan.workers,
        screens: scan.screens,
        django,
        program,
        packages: scan.packages,
        mains: scan.mains,
        functions: scan.functions,
        imports: scan.imports,
        secrets,
        front_ends: scan::front_ends(files),
    })
}

fn versions(
    files: &Files<'_>,
    manifest: Option<Located>,
    lock: Option<Located>,
) -> Result<Vec<Located>, Error> {
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
    // A lock repeats what its manifest said.
    let repeated = |lock: &Located| manifest.as_ref().is_some_and(|manifest| manifest.value == lock.value);
    let lock = lock.filter(|lock| !repeated(lock));
    versions.extend(manifest);
    versions.extend(lock);
    Ok(versions)
}
