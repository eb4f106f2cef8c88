//! `angular.json`: where the build of the app goes.
//!
//! The format is described at <https://angular.dev/reference/configs/workspace-config>.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::super::Files;
use super::package;
use crate::detect::Error;

const FILE: &str = "angular.json";

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Workspace {
    #[serde(default)]
    default_project: Option<String>,
    #[serde(default)]
    projects: BTreeMap<String, Project>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Project {
    #[serde(default)]
    project_type: String,
    /// `targets` has the same meaning.
    #[serde(default, alias = "targets")]
    architect: BTreeMap<String, Value>,
}

/// The folder of the default project, or of the only app; nothing where there are several.
pub(super) fn output(files: &Files<'_>) -> Result<Option<String>, Error> {
    let Some(text) = files.text(FILE)? else { return Ok(None) };
    let workspace: Workspace =
        serde_json::from_str(&text).map_err(|error| package::invalid_json(FILE, &text, &error))?;
    let default = workspace.default_project.as_ref();
    let mut apps = workspace.projects.iter().filter(|(name, project)| {
        project.project_type == "application" && default.is_none_or(|default| default == *name)
    });
    let only = apps.next().filter(|_| apps.next().is_none());
    Ok(only.map(|(name, project)| stated(project).unwrap_or_else(|| format!("dist/{name}"))))
}

/// `outputPath` of the build: a folder, or `base` of a table.
fn stated(project: &Project) -> Option<String> {
    let path = project.architect.get("build")?.pointer("/options/outputPath")?;
    let path = path.as_str().or_else(|| path.get("base")?.as_str())?;
    let path = path.trim_start_matches("./").trim_end_matches('/');
    let is_inside = !path.is_empty() && !path.starts_with('/') && path.split('/').all(|part| part != "..");
    is_inside.then(|| path.to_owned())
}
