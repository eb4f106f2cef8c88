//! `pyproject.toml`: project metadata, and what the managers keep there besides.
//!
//! The format: <https://packaging.python.org/en/latest/specifications/pyproject-toml/>.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use toml::Spanned;

use super::super::{About, Files, Located};
use super::described::Described;
use super::poetry::{self, Poetry};
use super::requirement::{Requirement, parse};
use crate::detect::Error;
use crate::detect::error::{Malformed, position};

pub(super) const FILE: &str = "pyproject.toml";

/// What `pyproject.toml` says of the project.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Project {
    /// `project.name`, or Poetry's.
    pub name: Option<String>,
    /// Whether it declares a project (`project`, `tool.poetry`, `build-system`) and is not only the
    /// configuration of tools.
    pub declared: bool,
    /// Whether `build-system` is stated: the project can be installed.
    pub build_system: bool,
    /// Whether `tool.poetry` is stated.
    pub poetry: bool,
    /// `project.scripts`, or Poetry's: target by command.
    pub scripts: BTreeMap<String, String>,
    /// `project.version`, or Poetry's; empty when it is not stated there.
    pub version: String,
    /// What it says of itself.
    pub about: About,
}

/// What a manifest says besides the facts of the project.
#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "independent statements of a file")]
pub(super) struct Manifest {
    pub(super) project: Option<Project>,
    /// What the app needs itself: no groups, no extras.
    pub(super) wanted: Vec<Requirement>,
    pub(super) python: Option<Located>,
    /// The indexes that it adds, see [`Install::indexes`](super::Install::indexes).
    pub(super) indexes: Vec<String>,
    /// Whether the project itself is to be built and installed.
    pub(super) is_package: bool,
    /// Whether the build alone knows the dependencies.
    pub(super) dynamic: bool,
    /// Whether only a lock can say what is meant.
    pub(super) needs_lock: bool,
    /// Whether `tool.uv` is stated.
    pub(super) uv: bool,
    /// `tool.fastapi.entrypoint`.
    pub(super) entrypoint: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Document {
    project: Option<ProjectTable>,
    build_system: Option<BuildSystem>,
    #[serde(default)]
    tool: Tool,
}

#[derive(Default, Deserialize)]
struct BuildSystem {
    #[serde(default)]
    requires: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct ProjectTable {
    name: Option<String>,
    requires_python: Option<Spanned<String>>,
    #[serde(default)]
    dependencies: Vec<Spanned<String>>,
    #[serde(default)]
    dynamic: Vec<String>,
    #[serde(default)]
    scripts: BTreeMap<String, String>,
    #[serde(flatten)]
    about: Described,
}

#[derive(Default, Deserialize)]
struct Tool {
    poetry: Option<Poetry>,
    uv: Option<Uv>,
    pdm: Option<Pdm>,
    fastapi: Option<FastApi>,
}

#[derive(Deserialize)]
struct Uv {
    package: Option<bool>,
    #[serde(default)]
    sources: toml::Table,
    #[serde(default)]
    index: Vec<Index>,
}

#[derive(Deserialize)]
struct Pdm {
    distribution: Option<bool>,
    #[serde(default)]
    source: Vec<Index>,
}

#[derive(Deserialize)]
struct FastApi {
    entrypoint: Option<String>,
}

/// An index that a manifest adds.
#[derive(Deserialize)]
pub(super) struct Index {
    #[serde(default)]
    pub(super) name: String,
    pub(super) url: Option<String>,
}

/// The private indexes; the public one is what the machine has for it.
pub(super) fn private(indexes: Vec<Index>) -> Vec<String> {
    let is_public = |index: &Index| index.name.eq_ignore_ascii_case("pypi");
    let is_name = |name: &str| {
        let known = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
        !name.is_empty() && name.chars().all(known)
    };
    let indexes = indexes.into_iter().filter(|index| !is_public(index));
    let shown = |index: Index| {
        let url = index.url?;
        // Variables are replaced in requirements files only, which have no names for indexes.
        let named = is_name(&index.name) && !url.contains("${");
        Some(if named { format!("{}={url}", index.name) } else { url })
    };
    indexes.filter_map(shown).collect()
}

/// Reads `pyproject.toml`; everything is empty when there is none.
pub(super) fn read(files: &Files<'_>) -> Result<Manifest, Error> {
    let Some(text) = files.text(FILE)? else { return Ok(Manifest::default()) };
    let document: Document = toml::from_str(&text).map_err(|error| {
        let offset = error.span().map_or(0, |span| span.start);
        invalid(&text, offset, format!("is not valid: {}", error.message().replace('\n', ", ")))
    })?;
    let located = |value: &str, offset: usize, key: &str| Located {
        value: value.trim().to_owned(),
        file: FILE.to_owned(),
        line: Some(position(&text, offset).0),
        key: key.to_owned(),
    };
    let tool = document.tool;
    let has_build = document.build_system.is_some();
    let declared = document.project.is_some() || tool.poetry.is_some() || has_build;
    let is_project = document.project.is_some();
    let table = document.project.unwrap_or_default();
    let is_poetry = tool.poetry.is_some();
    let poetry = tool.poetry.unwrap_or_default();
    let name = table.name.clone().or_else(|| poetry.name.clone());
    let mut wanted = requirements(&text, &table.dependencies)?;
    let translated = poetry::requirements(&poetry, |offset| position(&text, offset).0);
    let known: BTreeSet<String> = wanted.iter().map(|one| one.name.clone()).collect();
    // With both tables, Poetry's adds where a package of the other comes from.
    wanted.extend(translated.wanted.into_iter().filter(|one| !known.contains(&one.name)));
    let python = table
        .requires_python
        .map(|range| located(range.get_ref(), range.span().start, "project.requires-python"))
        .or_else(|| {
            let range = poetry.dependencies.get("python")?;
            Some(located(range.get_ref().as_str()?, range.span().start, "tool.poetry.dependencies.python"))
        });
    let described = if is_project { &table.about } else { &poetry.about };
    let (version, about) = (described.version(), described.about());
    let mut scripts = table.scripts;
    for (name, target) in &poetry.scripts {
        if let toml::Value::String(target) = target {
            scripts.entry(name.clone()).or_insert(target.clone());
        }
    }
    let is_package = if is_poetry {
        has_build && poetry.package_mode != Some(false) && poetry::has_module(files, &poetry, name.as_deref())
    } else {
        let distribution = tool.pdm.as_ref().and_then(|pdm| pdm.distribution);
        let package = tool.uv.as_ref().and_then(|uv| uv.package);
        is_project && distribution.or(package).unwrap_or(has_build)
    };
    let sources = tool.uv.as_ref().is_some_and(|uv| !uv.sources.is_empty());
    let has_uv = tool.uv.is_some();
    let mut indexes = private(poetry.source);
    indexes.extend(tool.uv.into_iter().flat_map(|uv| private(uv.index)));
    indexes.extend(tool.pdm.into_iter().flat_map(|pdm| private(pdm.source)));
    Ok(Manifest {
        project: Some(Project {
            name,
            declared,
            build_system: has_build,
            poetry: is_poetry,
            scripts,
            version,
            about,
        }),
        wanted,
        python,
        indexes,
        is_package,
        dynamic: table.dynamic.iter().any(|field| field == "dependencies") && !is_poetry,
        needs_lock: sources || translated.needs_lock,
        uv: has_uv,
        entrypoint: tool.fastapi.and_then(|fastapi| fastapi.entrypoint),
    })
}

fn requirements(text: &str, lines: &[Spanned<String>]) -> Result<Vec<Requirement>, Error> {
    let mut wanted = Vec::new();
    for line in lines {
        let requirement = parse(line.get_ref()).map_err(|(_, problem)| {
            invalid(text, line.span().start, format!("has a dependency that is not valid: {problem}"))
        })?;
        let line = position(text, line.span().start).0;
        wanted.push(Requirement { file: FILE.to_owned(), line, ..requirement });
    }
    Ok(wanted)
}

/// What builds the project in `folder`: `build-system.requires`, or what the standard says without it.
pub(super) fn backends(files: &Files<'_>, folder: &str) -> Result<Vec<String>, Error> {
    let path = if folder == "." { FILE.to_owned() } else { format!("{folder}/{FILE}") };
    let build = match files.text(&path)? {
        Some(text) => toml::from_str::<Document>(&text).ok().and_then(|document| document.build_system),
        None => None,
    };
    // <https://packaging.python.org/en/latest/specifications/pyproject-toml/#declaring-build-system-dependencies>
    Ok(build.map_or_else(|| vec!["setuptools".to_owned(), "wheel".to_owned()], |build| build.requires))
}

fn invalid(text: &str, offset: usize, problem: String) -> Error {
    let hint = "correct `pyproject.toml` at the caret";
    Malformed::at("python/manifest-invalid", FILE, text, position(text, offset), problem, hint).into()
}
