//! `package-lock.json` and `npm-shrinkwrap.json` of versions 1 to 3, as `npm help package-lock.json` describes them.
//!
//! Drift means what `npm ci` refuses: a wanted package that is missing, or locked at a version outside the wanted
//! range, or one for another platform than that where the lock was written.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::super::package::{Manifest, invalid_json};
use super::{Lock, Wanted, satisfies, sorted};
use crate::detect::Error;

pub(super) fn read(mut lock: Lock, text: &str, wanted: &Wanted<'_>) -> Result<Lock, Error> {
    let file = lock.file.clone();
    let npm: NpmLock = serde_json::from_str(text).map_err(|error| invalid_json(&file, text, &error))?;
    lock.version = npm.version.to_string();
    lock.packages = npm.names(|_| true);
    lock.scripts = npm.names(|locked| locked.has_install_script);
    lock.engines = npm.engines();
    for (folder, manifest) in &wanted.manifests {
        lock.drift.extend(npm.drift(folder, manifest, &file));
    }
    lock.drift.extend(npm.incomplete(&file));
    Ok(lock)
}

#[derive(Deserialize)]
struct NpmLock {
    #[serde(rename = "lockfileVersion", default = "first")]
    version: u64,
    /// By path (`node_modules/a/node_modules/b`); versions 2 and 3.
    #[serde(default)]
    packages: Option<BTreeMap<String, Locked>>,
    /// By name; versions 1 and 2.
    #[serde(default)]
    dependencies: BTreeMap<String, Locked>,
}

/// The version of locks that do not say theirs.
fn first() -> u64 {
    1
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_excessive_bools, reason = "the members of the format")]
struct Locked {
    name: Option<String>,
    version: Option<String>,
    #[serde(default)]
    link: bool,
    #[serde(default)]
    has_install_script: bool,
    #[serde(default)]
    optional: bool,
    /// An object; old manifests have lists.
    #[serde(default)]
    engines: serde_json::Value,
    /// It came inside another package, with what that wants of its dependencies.
    #[serde(default)]
    in_bundle: bool,
    /// Ranges by name, in `packages[""]`; in version 1 an object of locked packages, which is not needed.
    #[serde(default)]
    dependencies: BTreeMap<String, serde_json::Value>,
    #[serde(default)]
    dev_dependencies: BTreeMap<String, serde_json::Value>,
    #[serde(default)]
    optional_dependencies: BTreeMap<String, serde_json::Value>,
}

impl Locked {
    /// The range that the lock recorded for `name`.
    fn range(&self, name: &str) -> Option<&str> {
        [&self.optional_dependencies, &self.dependencies, &self.dev_dependencies]
            .iter()
            .find_map(|ranges| ranges.get(name)?.as_str())
    }
}

impl NpmLock {
    /// The names of the packages that `are` wanted; of a lock of version 1 those at its top.
    fn names(&self, are: impl Fn(&Locked) -> bool) -> Vec<String> {
        let Some(packages) = &self.packages else {
            let top = self.dependencies.iter().filter(|(_, locked)| are(locked));
            return sorted(top.map(|(name, _)| name.as_str()));
        };
        let inside = packages.iter().filter_map(|(path, locked)| {
            let (_, name) = path.rsplit_once("node_modules/")?;
            are(locked).then(|| locked.name.as_deref().unwrap_or(name))
        });
        sorted(inside)
    }

    /// The wanted versions of Node.js with the first package that wants each.
    fn engines(&self) -> BTreeMap<String, String> {
        let mut engines = BTreeMap::new();
        for (path, locked) in self.packages.iter().flatten().filter(|(_, locked)| !locked.optional) {
            let Some((_, name)) = path.rsplit_once("node_modules/") else { continue };
            let Some(range) = locked.engines["node"].as_str() else { continue };
            let version = locked.version.as_deref().unwrap_or_default();
            engines.entry(range.to_owned()).or_insert_with(|| format!("{name} {version}"));
        }
        engines
    }

    fn drift(&self, folder: &str, manifest: &Manifest, file: &str) -> Vec<String> {
        let wanted = manifest.package.wanted();
        let disagreements = wanted.iter().filter_map(|(name, range)| {
            let has = self.disagrees(folder, name, range)?;
            Some(format!("{name}: {} wants {range}, {file} has {has}", manifest.file))
        });
        disagreements.collect()
    }

    /// Packages whose optional dependencies are not all there: npm once left out those for other platforms. Real ones
    /// have one for each platform, so the first stands for all.
    fn incomplete(&self, file: &str) -> Vec<String> {
        let Some(packages) = &self.packages else { return Vec::new() };
        let missing = packages.iter().filter(|(_, locked)| !locked.in_bundle).filter_map(|(path, locked)| {
            let (_, package) = path.rsplit_once("node_modules/")?;
            let mut wanted = locked.optional_dependencies.iter();
            let (name, range) = wanted.find(|(name, _)| !has(packages, path, name))?;
            Some(format!("{name}: {package} wants {}, {file} has none", range.as_str().unwrap_or("*")))
        });
        missing.collect()
    }

    /// What the lock has for `name` of the manifest in `folder` when that is not within `range`.
    fn disagrees(&self, folder: &str, name: &str, range: &str) -> Option<String> {
        let (locked, recorded) = match &self.packages {
            Some(packages) => {
                let own = packages.get(&format!("{folder}/node_modules/{name}"));
                let locked = own.or_else(|| packages.get(&format!("node_modules/{name}")));
                (locked, packages.get(folder).and_then(|manifest| manifest.range(name)))
            }
            None => (self.dependencies.get(name), None),
        };
        let Some(locked) = locked else { return Some("none".to_owned()) };
        let version = locked.version.as_deref().filter(|_| !locked.link);
        match version.and_then(|version| satisfies(version, range)) {
            Some(true) => None,
            Some(false) => version.map(str::to_owned),
            // Neither a range nor a version: a URL, a path, a tag. Then the texts must be the same.
            None => recorded.filter(|recorded| *recorded != range).map(str::to_owned),
        }
    }
}

/// Whether the package at `path` finds `name`: in its own folder of packages, or in one above.
fn has(packages: &BTreeMap<String, Locked>, path: &str, name: &str) -> bool {
    let mut folder = path;
    loop {
        let at = if folder.is_empty() { "node_modules/" } else { "/node_modules/" };
        if packages.contains_key(&format!("{folder}{at}{name}")) {
            return true;
        }
        match folder.rsplit_once('/') {
            Some((above, _)) => folder = above,
            None if folder.is_empty() => return false,
            None => folder = "",
        }
    }
}
