//! Commands that `pyproject.toml` declares: which one starts the app, and which name the app's object.

use serde::Serialize;

use super::apps::App;
use super::project::{FILE, Project};

/// Names of commands that start a server, best first.
const NAMES: [&str; 3] = ["start", "serve", "web"];

/// A command of `project.scripts` that starts the app.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Program {
    /// The command.
    pub name: String,
    /// What it calls: `shop.cli:main`.
    pub target: String,
    /// Whether its name says that it starts the app; else it is the only one.
    pub named: bool,
}

/// The command that starts the app. When its target is an app's object, that goes first of `apps` and no command is
/// left.
pub(super) fn read(project: Option<&Project>, apps: &mut Vec<App>) -> Option<Program> {
    let project = project?;
    let own = project.name.as_deref();
    let named = NAMES.into_iter().chain(own).find(|name| project.scripts.contains_key(*name));
    let only = project.scripts.keys().next().filter(|_| project.scripts.len() == 1);
    let name = named.or(only.map(String::as_str))?;
    let target = project.scripts.get(name)?;
    let (module, variable) = target.split_once(':').unwrap_or((target, ""));
    let place = apps.iter().position(|app| app.module == module && app.variable == variable && !app.factory);
    if let Some(place) = place {
        let app = apps.remove(place);
        apps.insert(0, app);
        return None;
    }
    Some(Program { name: name.to_owned(), target: target.clone(), named: named.is_some() })
}

/// Puts the object that `tool.fastapi.entrypoint` names first, also where it was not found by reading.
pub(super) fn promote(apps: &mut Vec<App>, entrypoint: Option<&str>) {
    let Some((module, variable)) = entrypoint.and_then(|entrypoint| entrypoint.split_once(':')) else {
        return;
    };
    let place = apps.iter().position(|app| app.module == module && app.variable == variable);
    let app = match place {
        Some(place) => apps.remove(place),
        None => App {
            file: FILE.to_owned(),
            line: 1,
            module: module.to_owned(),
            variable: variable.to_owned(),
            framework: "fastapi".to_owned(),
            interface: "asgi".to_owned(),
            ..App::default()
        },
    };
    apps.insert(0, app);
}
