//! `pyproject.toml`: project metadata, and what Poetry keeps there instead.
//!
//! The format: <https://packaging.python.org/en/latest/specifications/pyproject-toml/>.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use toml::Spanned;

use super::super::{Files, Located};
use super::requirement::{normalised, parse};
use crate::detect::Error;
use crate::detect::error::{Malformed, position};

const FILE: &str = "pyproject.toml";

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
}

/// What is read besides the facts of the project.
#[derive(Default)]
pub(super) struct Manifest {
    pub(super) project: Option<Project>,
    pub(super) dependencies: BTreeSet<String>,
    pub(super) python: Option<Located>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Document {
    project: Option<ProjectTable>,
    build_system: Option<toml::Table>,
    #[serde(default)]
    tool: Tool,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct ProjectTable {
    name: Option<String>,
    requires_python: Option<Spanned<String>>,
    #[serde(default)]
    dependencies: Vec<Spanned<String>>,
    #[serde(default)]
    scripts: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
struct Tool {
    poetry: Option<Poetry>,
}

#[derive(Default, Deserialize)]
struct Poetry {
    name: Option<String>,
    #[serde(default)]
    dependencies: BTreeMap<String, Spanned<toml::Value>>,
    #[serde(default)]
    scripts: BTreeMap<String, toml::Value>,
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
    let declared =
        document.project.is_some() || document.tool.poetry.is_some() || document.build_system.is_some();
    let poetry = document.tool.poetry.is_some();
    let project = document.project.unwrap_or_default();
    let tool = document.tool.poetry.unwrap_or_default();
    let mut dependencies = BTreeSet::new();
    for line in &project.dependencies {
        let requirement = parse(line.get_ref()).map_err(|(_, problem)| {
            invalid(&text, line.span().start, format!("has a dependency that is not valid: {problem}"))
        })?;
        dependencies.insert(requirement.name);
    }
    dependencies
        .extend(tool.dependencies.keys().filter(|name| *name != "python").map(|name| normalised(name)));
    let python = project
        .requires_python
        .map(|range| located(range.get_ref(), range.span().start, "project.requires-python"))
        .or_else(|| {
            let range = tool.dependencies.get("python")?;
            Some(located(range.get_ref().as_str()?, range.span().start, "tool.poetry.dependencies.python"))
        });
    let mut scripts = project.scripts;
    for (name, target) in tool.scripts {
        if let toml::Value::String(target) = target {
            scripts.entry(name).or_insert(target);
        }
    }
    let name = project.name.or(tool.name);
    let project = Project { name, declared, build_system: document.build_system.is_some(), poetry, scripts };
    Ok(Manifest { project: Some(project), dependencies, python })
}

fn invalid(text: &str, offset: usize, problem: String) -> Error {
    let hint = "correct `pyproject.toml` at the caret";
    Malformed::at("python/manifest-invalid", FILE, text, position(text, offset), problem, hint).into()
}
