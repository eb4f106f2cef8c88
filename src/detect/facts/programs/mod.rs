//! What the programs of the app do to their surroundings: where they write, and where they listen.
//!
//! An app that keeps a database beside its code needs a folder that it may write to, and one that listens on a fixed
//! port must be asked there. Neither is in a manifest, so the calls in the sources are read. They are evidence and no
//! proof: what is computed at run time is not seen, and what is seen need not run.

mod calls;
mod lexer;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{Files, Node};
use crate::paths::inside;
use lexer::Language;

/// The most files that are read.
const FILE_LIMIT: usize = 1_000;
/// The most places that are kept of each kind.
const PLACE_LIMIT: usize = 100;
/// Folders whose programs are not the app's, or run elsewhere.
const NOT_THE_APP: [&str; 22] = [
    "__mocks__",
    "__tests__",
    "bench",
    "benchmarks",
    "client",
    "cypress",
    "docs",
    "e2e",
    "example",
    "examples",
    "fixtures",
    "migrations",
    "mocks",
    "node_modules",
    "public",
    "scripts",
    "spec",
    "static",
    "test",
    "testdata",
    "tests",
    "tools",
];
/// The most texts of one call that are taken for paths.
const TEXT_LIMIT: usize = 3;
/// Endings of files that are databases.
const DATABASES: [&str; 5] = ["db", "db3", "sqlite", "sqlite3", "nedb"];
/// Packages of npm that keep what they hold in files of the app's folder unless they are told otherwise.
const KEEPING: [&str; 13] = [
    "@seald-io/nedb",
    "@strapi/strapi",
    "better-sqlite3",
    "connect-sqlite3",
    "json-server",
    "lowdb",
    "nedb",
    "nedb-promises",
    "node-localstorage",
    "node-persist",
    "session-file-store",
    "sqlite",
    "sqlite3",
];

/// What the programs in the app's folder do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Programs {
    /// Where they write files that may be below the app's folder, in the order of the files' names.
    pub writes: Vec<Write>,
    /// Where they listen on a port, or at an address, that stands in the source.
    pub listens: Vec<Listen>,
    /// Whether one of them reads the variable `PORT`.
    pub reads_port: bool,
}

/// A call that writes files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Write {
    /// Relative to the app's folder.
    pub file: String,
    /// From 1; 0 where only the file is known.
    pub line: usize,
    /// The call as written, or the text that shows it: `sqlite3.connect`, `sqlite:///shop.db`.
    pub what: String,
    /// Texts among its arguments that may be paths, as written.
    #[serde(skip)]
    pub texts: Vec<String>,
    /// What they name in the app's folder.
    pub places: Vec<Place>,
}

/// A file or folder that a call writes to.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// Relative to the app's folder.
    pub path: String,
    /// Whether it is a folder that holds data and no programs; it need not be there yet.
    pub whole: bool,
}

/// A call that listens.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listen {
    /// Relative to the app's folder.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// The port; none where it does not stand in the source.
    pub port: Option<u16>,
    /// The address; empty where the call names none, which is every address.
    pub host: String,
}

impl Listen {
    /// Whether only programs on the same machine reach it.
    pub fn is_local(&self) -> bool {
        self.host == "localhost" || self.host == "::1" || self.host.starts_with("127.")
    }
}

/// Reads the programs.
pub(super) fn read(files: &Files<'_>, node: Option<&Node>) -> Programs {
    let mut programs = Programs { writes: kept(node), ..Programs::default() };
    let sources = files.paths().filter_map(|path| Some((path, Language::of(path)?)));
    let building = building(node);
    let is_read = |path: &str| is_the_app(path) && !building.contains(path);
    for (path, language) in sources.filter(|(path, _)| is_read(path)).take(FILE_LIMIT) {
        let Some(text) = files.program(path) else { continue };
        calls::read(path, &text, language, &mut programs);
    }
    programs.writes.truncate(PLACE_LIMIT);
    programs.listens.truncate(PLACE_LIMIT);
    for write in &mut programs.writes {
        write.places = places(files, write);
    }
    if let Some(first) = programs.writes.first_mut() {
        first.places.extend(databases(files));
        first.places.sort();
        first.places.dedup();
    }
    programs
}

/// What the texts of a call name: relative to where the app runs, or to the file.
fn places(files: &Files<'_>, write: &Write) -> Vec<Place> {
    let beside = write.file.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut found = BTreeSet::new();
    for text in write.texts.iter().take(TEXT_LIMIT) {
        for folder in ["", beside] {
            let Some(path) = inside(folder, text).filter(|path| !path.is_empty()) else { continue };
            let (above, name) = path.rsplit_once('/').unwrap_or(("", &path));
            if files.has(&path) {
                found.insert(Place { path, whole: false });
            } else if let Some(place) = place(files, &path) {
                found.insert(place);
            } else if let Some(place) = place(files, above) {
                found.insert(place);
            } else if !above.is_empty() && folder.is_empty() && name.contains('.') {
                found.insert(Place { path: above.to_owned(), whole: true });
            }
        }
    }
    found.into_iter().collect()
}

/// The folder `path`, if it is one.
fn place(files: &Files<'_>, path: &str) -> Option<Place> {
    let below = format!("{path}/");
    let mut inside = files.paths().filter(|file| file.starts_with(&below)).peekable();
    inside.peek()?;
    Some(Place { path: path.to_owned(), whole: !inside.any(|file| Language::of(file).is_some()) })
}

/// Databases that ship, with their folders, which hold the journals: what writes rarely names them in one text.
fn databases(files: &Files<'_>) -> Vec<Place> {
    let is_database = |path: &&str| {
        let ending = path.rsplit_once('.').map_or("", |(_, ending)| ending);
        DATABASES.contains(&ending) && is_the_app(path)
    };
    let with_folder = |path: &str| {
        let folder = path.rsplit_once('/').and_then(|(folder, _)| place(files, folder));
        folder.into_iter().chain([Place { path: path.to_owned(), whole: false }])
    };
    files.paths().filter(is_database).flat_map(with_folder).collect()
}

/// The files that scripts of the manifest run before the app starts.
fn building(node: Option<&Node>) -> BTreeSet<&str> {
    let package = node.and_then(|node| node.package.as_ref());
    let scripts = package.into_iter().flat_map(|package| &package.scripts);
    let before =
        scripts.filter(|(name, _)| !["start", "dev", "serve"].iter().any(|run| name.starts_with(run)));
    before
        .flat_map(|(_, script)| script.split_whitespace())
        .map(|word| word.trim_start_matches("./"))
        .collect()
}

/// The dependencies that write.
fn kept(node: Option<&Node>) -> Vec<Write> {
    let package = node.and_then(|node| node.package.as_ref());
    let names = package.into_iter().flat_map(|package| package.dependencies.keys());
    names
        .filter(|name| KEEPING.contains(&name.as_str()))
        .map(|name| Write { file: "package.json".to_owned(), what: name.clone(), ..Write::default() })
        .collect()
}

fn is_the_app(path: &str) -> bool {
    let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let is_of_the_project = stem.starts_with("test_")
        || stem.ends_with("_test")
        || [".test", ".spec", ".config", ".stories", ".d"].iter().any(|ending| stem.ends_with(ending))
        || matches!(stem, "gulpfile" | "Gruntfile" | "conftest" | "setup" | "noxfile" | "seed");
    let is_left_out = |folder: &str| folder.starts_with('.') || NOT_THE_APP.contains(&folder);
    !is_of_the_project && !folders.split('/').any(is_left_out)
}
