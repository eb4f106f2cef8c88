//! Which Python files are read for apps, and the order of what they hold.

use super::super::Files;
use super::apps::{App, read as read_module};

/// The most files that are read.
const FILE_LIMIT: usize = 1_000;
/// Folders at the root that are read although they are no packages.
const FOLDERS: [&str; 5] = ["src", "app", "api", "backend", "server"];
/// Folders that hold no app.
const NOT_THE_APP: [&str; 8] =
    ["tests", "test", "docs", "examples", "scripts", "tools", "migrations", "alembic"];
/// Modules in the order in which they are expected to hold the app.
const MODULES: [&str; 7] = ["main", "app", "api", "server", "wsgi", "asgi", "application"];
/// Variables in the order in which they are expected to be the app.
const VARIABLES: [&str; 4] = ["app", "application", "api", "server"];
/// Scripts that are started by convention, best first.
const SCRIPTS: [&str; 7] = ["main.py", "app.py", "server.py", "run.py", "start.py", "bot.py", "worker.py"];
/// Files with a guard that are tools of the project.
const TOOLS: [&str; 6] = ["setup.py", "manage.py", "conftest.py", "noxfile.py", "fabfile.py", "tasks.py"];

/// Apps and scripts of the source, each best first.
pub(super) fn read(files: &Files<'_>) -> (Vec<App>, Vec<String>) {
    let mut apps = Vec::new();
    let mut mains: Vec<(usize, String)> = Vec::new();
    for path in files.paths().filter(|path| is_read(files, path)).take(FILE_LIMIT) {
        let Some(text) = files.program(path) else { continue };
        let module = read_module(&text);
        let (directory, name) = import_name(files, path);
        apps.extend(module.apps.into_iter().map(|app| App {
            file: path.to_owned(),
            module: name.clone(),
            directory: directory.to_owned(),
            ..app
        }));
        let known = SCRIPTS.iter().position(|script| *script == path);
        let spared = path.starts_with("test_") || path.ends_with("_test.py") || TOOLS.contains(&path);
        if !path.contains('/') && !spared && (module.guard || known.is_some()) {
            mains.push((known.unwrap_or(SCRIPTS.len()), path.to_owned()));
        }
    }
    apps.sort_by_cached_key(|app| {
        let variable = VARIABLES.iter().position(|name| *name == app.variable).unwrap_or(VARIABLES.len());
        (app.factory, rank(app), variable, app.file.clone(), app.line)
    });
    mains.sort();
    (apps, mains.into_iter().map(|(_, path)| path).collect())
}

/// Whether the file is at the root, in `src`, or directly in a package or a usual folder of one of them.
fn is_read(files: &Files<'_>, path: &str) -> bool {
    let Some(stem) = path.strip_suffix(".py") else { return false };
    let stem = stem.strip_prefix("src/").unwrap_or(stem);
    match stem.split('/').collect::<Vec<_>>().as_slice() {
        [_] => true,
        [folder, _] if NOT_THE_APP.contains(folder) || folder.starts_with('.') => false,
        [folder, _] => {
            let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
            FOLDERS.contains(folder) || files.has(&format!("{parent}/__init__.py"))
        }
        _ => false,
    }
}

/// The folder for the import path, and the module's name from there.
fn import_name<'a>(files: &Files<'_>, path: &'a str) -> (&'a str, String) {
    let stem = path.strip_suffix(".py").unwrap_or(path);
    let (directory, rest) = match stem.strip_prefix("src/") {
        Some(rest) if !files.has("src/__init__.py") => ("src", rest),
        _ => ("", stem),
    };
    (directory, rest.strip_suffix("/__init__").unwrap_or(rest).replace('/', "."))
}

/// Where the file stands among those that are expected to hold the app.
fn rank(app: &App) -> (usize, usize, bool) {
    let stem = app.file.strip_suffix(".py").unwrap_or(&app.file);
    let (folder, name) = stem.rsplit_once('/').unwrap_or(("", stem));
    let position = MODULES.iter().position(|module| *module == name).unwrap_or(MODULES.len());
    let place = match (folder, name) {
        ("" | "src", _) if position < MODULES.len() => 0,
        ("app" | "src/app", "main" | "app") => 1,
        _ => 2,
    };
    (place, position, !app.directory.is_empty())
}
