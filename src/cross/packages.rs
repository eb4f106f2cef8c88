//! The packages of language registries in a work tree: who owns a file, and what npm did not run.
//!
//! In: the tree after all steps. npm's own record of what it installed (`node_modules/.package-lock.json`,
//! <https://docs.npmjs.com/cli/v11/configuring-npm/package-lock-json#hidden-lockfiles>) and the `RECORD` of Python's
//! installed distributions (<https://packaging.python.org/en/latest/specifications/recording-installed-packages/>).

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::store::{Entry, Kind, Tree};

/// npm's record, in the work tree.
const NPM_RECORD: &str = "app/node_modules/.package-lock.json";

/// Words of installation scripts that compile, or fetch what somebody compiled for the machine they run on.
const COMPILERS: [&str; 6] =
    ["node-gyp", "node-pre-gyp", "prebuild-install", "node-gyp-build", "cmake-js", "napi-postinstall"];

/// A package with its version.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Package {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) registry: Registry,
}

/// Whose package it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Registry {
    Npm,
    Python,
}

/// Packages by where they are.
#[derive(Debug, Default)]
pub struct Packages {
    /// Folder → package.
    npm: BTreeMap<String, Npm>,
    /// File → package.
    python: BTreeMap<String, Package>,
}

/// An npm package with what decides whether it works without its installation script.
#[derive(Debug)]
pub(super) struct Npm {
    pub(super) package: Package,
    /// Whether the app works without it, as npm's record says.
    pub(super) optional: bool,
    /// Whether it has an installation script, which did not run.
    pub(super) scripted: bool,
    /// Packages with binaries for one platform each.
    pub(super) companions: BTreeSet<String>,
}

#[derive(Deserialize)]
struct NpmRecord {
    #[serde(default)]
    packages: BTreeMap<String, NpmEntry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NpmEntry {
    #[serde(default)]
    version: String,
    #[serde(default)]
    optional: bool,
    #[serde(default)]
    has_install_script: bool,
    #[serde(default)]
    optional_dependencies: BTreeMap<String, serde_json::Value>,
}

#[derive(Deserialize)]
struct Manifest {
    #[serde(default)]
    scripts: BTreeMap<String, serde_json::Value>,
}

impl Packages {
    /// Reads the records. One that is missing or of another form gives no packages.
    pub fn read(work: &Tree) -> Self {
        let mut packages = Self::default();
        if let Some(record) = work.get(NPM_RECORD).and_then(text)
            && let Ok(record) = serde_json::from_str::<NpmRecord>(&record)
        {
            packages.npm = record.packages.into_iter().map(|(path, entry)| npm(&path, entry)).collect();
        }
        for (path, entry) in work.iter().filter(|(path, _)| path.ends_with(".dist-info/RECORD")) {
            packages.add_distribution(path, entry);
        }
        packages
    }

    fn add_distribution(&mut self, path: &str, entry: &Entry) {
        let Some((site, rest)) = path.rsplit_once(".dist-info/").and_then(|(stem, _)| stem.rsplit_once('/'))
        else {
            return;
        };
        let Some((name, version)) = rest.split_once('-') else { return };
        let package =
            Package { name: name.replace('_', "-"), version: version.to_owned(), registry: Registry::Python };
        for line in text(entry).unwrap_or_default().lines() {
            // A path with a comma is quoted; native files have none.
            let file = line.split(',').next().unwrap_or_default();
            self.python.insert(format!("{site}/{file}"), package.clone());
        }
    }

    /// All of npm with their folders.
    pub(super) fn npm(&self) -> impl Iterator<Item = (&str, &Npm)> {
        self.npm.iter().map(|(folder, npm)| (folder.as_str(), npm))
    }

    /// The package that a file belongs to.
    pub(super) fn owner(&self, path: &str) -> Option<&Package> {
        if let Some(package) = self.python.get(path) {
            return Some(package);
        }
        let mut folder = path;
        while let Some((parent, _)) = folder.rsplit_once('/') {
            if let Some(npm) = self.npm.get(parent) {
                return Some(&npm.package);
            }
            folder = parent;
        }
        None
    }

    /// Whether npm's record calls the package optional.
    pub(super) fn is_optional(&self, package: &Package) -> bool {
        let mut same = self.npm.values().filter(|npm| npm.package == *package).peekable();
        same.peek().is_some() && same.all(|npm| npm.optional)
    }
}

/// What says that the package in `folder` compiles when it is installed: its file, or its script.
pub(super) fn compiles(folder: &str, work: &Tree) -> Option<String> {
    let recipe = format!("{folder}/binding.gyp");
    if work.get(&recipe).is_some() {
        return Some(format!("{recipe} is compiled on installation"));
    }
    let manifest = format!("{folder}/package.json");
    let scripts = work.get(&manifest).and_then(text);
    let scripts = scripts.and_then(|text| serde_json::from_str::<Manifest>(&text).ok())?.scripts;
    ["preinstall", "install", "postinstall"].into_iter().find_map(|name| {
        let script = scripts.get(name)?.as_str()?;
        let compiles = COMPILERS.iter().any(|word| script.contains(word));
        compiles.then(|| format!("{manifest} runs `{script}` on installation"))
    })
}

fn npm(path: &str, entry: NpmEntry) -> (String, Npm) {
    let name = path.rsplit_once("node_modules/").map_or(path, |(_, name)| name);
    let package = Package { name: name.to_owned(), version: entry.version, registry: Registry::Npm };
    let npm = Npm {
        package,
        optional: entry.optional,
        scripted: entry.has_install_script,
        companions: entry.optional_dependencies.into_keys().collect(),
    };
    (format!("app/{path}"), npm)
}

fn text(entry: &Entry) -> Option<String> {
    let Kind::File { content, .. } = &entry.kind else { return None };
    String::from_utf8(content.read().ok()?.into_owned()).ok()
}
