//! Which Python files are read for apps, and the order of what they hold.

use std::collections::BTreeSet;

use serde::Serialize;

use super::super::{Files, front_end};
use super::apps::{App, Module, WORKER, read as read_module};
use super::token::{self, Token};

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

/// Libraries whose scripts are pages, with the call that a page makes where it starts its own server.
const SCREENS: [(&str, Option<&str>); 5] = [
    ("streamlit", None),
    ("gradio", Some("launch")),
    ("chainlit", None),
    ("nicegui", Some("run")),
    ("panel", None),
];
/// Pages in the order in which they are expected to be the first.
const PAGES: [&str; 5] = ["streamlit_app.py", "Home.py", "app.py", "main.py", "src/streamlit_app.py"];

/// A script that a library serves as a page.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Screen {
    /// Relative to the source.
    pub file: String,
    /// Where the library is imported, from 1.
    pub line: usize,
    /// `streamlit`, `gradio`, `chainlit`, `nicegui` or `panel`.
    pub framework: String,
}

/// What the modules hold, each list best first.
#[derive(Default)]
pub(super) struct Scan {
    pub(super) apps: Vec<App>,
    /// The objects that are as likely as the first, in other files.
    pub(super) rivals: Vec<App>,
    /// Objects that run tasks: Celery, Huey.
    pub(super) workers: Vec<App>,
    pub(super) screens: Vec<Screen>,
    pub(super) mains: Vec<String>,
    /// Functions of main.py that the functions framework may call.
    pub(super) functions: Vec<String>,
    /// Packages with a `__main__.py`: `shop`, `src/shop`.
    pub(super) packages: Vec<String>,
    /// Packages that the modules need and the source does not hold, sorted.
    pub(super) imports: Vec<String>,
}

/// Reads the modules.
pub(super) fn read(files: &Files<'_>) -> Scan {
    let mut scan = Scan::default();
    let mut mains: Vec<(usize, String)> = Vec::new();
    let mut imports: BTreeSet<String> = BTreeSet::new();
    for path in files.paths().filter(|path| is_read(files, path)).take(FILE_LIMIT) {
        let Some(text) = files.program(path) else { continue };
        let module = read_module(&text);
        let (directory, name) = import_name(files, path);
        let spared = path.starts_with("test_") || path.ends_with("_test.py") || TOOLS.contains(&path);
        let known = SCRIPTS.iter().position(|script| *script == path);
        if !path.contains('/') && !spared && (module.guard || known.is_some()) {
            mains.push((known.unwrap_or(SCRIPTS.len()), path.to_owned()));
        }
        if !spared {
            scan.screens.extend(screen(path, &module));
            imports.extend(module.needs);
        }
        if path == "main.py" {
            scan.functions = module.functions;
        }
        if let Some(package) = path.strip_suffix("/__main__.py") {
            scan.packages.push(package.to_owned());
        }
        let place = |app: App| App {
            file: path.to_owned(),
            module: name.clone(),
            directory: directory.to_owned(),
            ..app
        };
        let (workers, apps): (Vec<App>, Vec<App>) =
            module.apps.into_iter().map(place).partition(|app| app.interface == WORKER);
        scan.apps.extend(apps);
        scan.workers.extend(workers);
    }
    for apps in [&mut scan.apps, &mut scan.workers] {
        apps.sort_by_cached_key(|app| (likelihood(app), app.file.clone(), app.line));
    }
    if let Some((first, others)) = scan.apps.split_first() {
        let is_rival = |app: &&App| app.file != first.file && likelihood(app) == likelihood(first);
        scan.rivals = others.iter().filter(is_rival).cloned().collect();
    }
    scan.screens.sort_by_cached_key(|screen| {
        let page = PAGES.iter().position(|page| *page == screen.file).unwrap_or(PAGES.len());
        (page, screen.file.matches('/').count(), screen.file.clone())
    });
    mains.sort();
    scan.mains = mains.into_iter().map(|(_, path)| path).collect();
    let own = own(files);
    scan.imports = imports.into_iter().filter(|name| !own.contains(name)).collect();
    scan
}

/// The folders of front ends that texts in the modules name, sorted. Settings stand deeper than apps.
pub(super) fn front_ends(files: &Files<'_>) -> Vec<String> {
    let mut open = front_end::folders(files);
    let mut found = Vec::new();
    let is_left_out = |part: &str| part.starts_with('.') || NOT_THE_APP.contains(&part);
    let is_module =
        |path: &&str| path.strip_suffix(".py").is_some_and(|stem| !stem.split('/').any(is_left_out));
    for path in files.paths().filter(is_module).take(FILE_LIMIT) {
        if open.is_empty() {
            break;
        }
        let Some(text) = files.program(path) else { continue };
        for line in token::lines(&text) {
            let is_named = |folder: &str| {
                let mut tokens = line.tokens.iter();
                tokens.any(|token| matches!(token, Token::Text(text) if front_end::is_named(folder, text)))
            };
            found.extend(open.extract_if(.., |folder| is_named(folder)).map(str::to_owned));
        }
    }
    found.sort();
    found
}

fn screen(path: &str, module: &Module) -> Option<Screen> {
    SCREENS.iter().find_map(|(framework, call)| {
        let line = *module.imports.get(*framework)?;
        let is_page = call.is_none_or(|call| module.calls.contains(call));
        is_page.then(|| Screen { file: path.to_owned(), line, framework: (*framework).to_owned() })
    })
}

/// The modules and packages of the source.
fn own(files: &Files<'_>) -> BTreeSet<String> {
    let names = files.paths().filter_map(|path| path.strip_suffix(".py")).flat_map(|path| {
        let below = path.strip_prefix("src/").unwrap_or(path);
        let first = |path: &str| path.split('/').next().unwrap_or(path).to_owned();
        [first(path), first(below)]
    });
    names.collect()
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

/// How likely the object is the app; the least is the likeliest.
fn likelihood(app: &App) -> (bool, (usize, usize, bool), usize) {
    let variable = VARIABLES.iter().position(|name| *name == app.variable).unwrap_or(VARIABLES.len());
    (app.factory, rank(app), variable)
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
