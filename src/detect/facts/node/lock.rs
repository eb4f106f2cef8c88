//! Locks of Node's package managers: which one is in force, and whether npm's agrees with `package.json`.
//!
//! The format of npm's is the one that `npm help package-lock.json` describes. Versions 1 to 3 are
//! read. Drift means what `npm ci` refuses: a wanted package that is missing, or locked at a version outside the
//! wanted range.

use std::collections::{BTreeMap, BTreeSet};

use nodejs_semver::{Range, Version};
use serde::{Deserialize, Serialize};

use super::super::{Files, warning};
use super::package::{Package, invalid_json};
use crate::detect::Error;
use crate::plan::model::Notice;

/// Manager and file of every lock, in the order in which they count.
const LOCKS: [(&str, &str); 6] = [
    ("pnpm", "pnpm-lock.yaml"),
    ("bun", "bun.lock"),
    ("bun", "bun.lockb"),
    ("yarn", "yarn.lock"),
    ("npm", "npm-shrinkwrap.json"),
    ("npm", "package-lock.json"),
];

/// The longest range that is compared as one; longer ones are compared as text.
const RANGE_LIMIT: usize = 256;

/// The lock in force.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Lock {
    /// `npm`, `pnpm`, `yarn` or `bun`.
    pub kind: String,
    /// Its name.
    pub file: String,
    /// `lockfileVersion` (npm only).
    pub version: Option<u64>,
    /// Names of the locked packages that have install scripts, sorted (npm, from version 2 on).
    pub scripts: Vec<String>,
    /// What disagrees with `package.json` (npm only):
    /// `left-pad: package.json wants ^1.3.0, package-lock.json has 1.2.0`.
    pub drift: Vec<String>,
}

/// Reads the lock in force: that of the declared manager, else the first of [`LOCKS`].
pub(super) fn read(
    files: &Files<'_>,
    package: Option<&Package>,
    notices: &mut Vec<Notice>,
) -> Result<Option<Lock>, Error> {
    let found: Vec<(&str, &str)> = LOCKS.into_iter().filter(|(_, file)| files.has(file)).collect();
    let declared = package
        .and_then(|package| package.package_manager.as_deref())
        .and_then(|manager| manager.split('@').next());
    let chosen = found.iter().find(|(kind, _)| Some(*kind) == declared).or(found.first());
    let Some((kind, file)) = chosen.copied() else { return Ok(None) };
    let others: Vec<String> =
        found.iter().filter(|(other, _)| *other != kind).map(|(_, other)| format!("`{other}`")).collect();
    if !others.is_empty() {
        let text = format!(
            "`{file}` is used and {} ignored: delete the locks that are not kept up to date",
            others.join(", ")
        );
        notices.push(warning("lock/multiple", text));
    }
    let mut lock = Lock { kind: kind.to_owned(), file: file.to_owned(), ..Lock::default() };
    if kind == "npm"
        && let Some(text) = files.text(file)?
    {
        let npm: NpmLock = serde_json::from_str(&text).map_err(|error| invalid_json(file, &text, &error))?;
        lock.version = Some(npm.version);
        lock.scripts = npm.scripts();
        lock.drift = package.map(|package| npm.drift(package, file)).unwrap_or_default();
    }
    Ok(Some(lock))
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
struct Locked {
    name: Option<String>,
    version: Option<String>,
    #[serde(default)]
    link: bool,
    #[serde(default)]
    has_install_script: bool,
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
    fn scripts(&self) -> Vec<String> {
        let packages = self.packages.iter().flatten();
        let names: BTreeSet<&str> = packages
            .filter(|(path, locked)| !path.is_empty() && locked.has_install_script)
            .map(|(path, locked)| {
                let last = path.rsplit_once("node_modules/").map_or(path.as_str(), |(_, name)| name);
                locked.name.as_deref().unwrap_or(last)
            })
            .collect();
        names.into_iter().map(str::to_owned).collect()
    }

    fn drift(&self, package: &Package, file: &str) -> Vec<String> {
        // A name in several lists counts once; an optional one wins over a required one, as in npm.
        let mut wanted = package.dev_dependencies.clone();
        wanted.extend(package.dependencies.clone());
        wanted.extend(package.optional_dependencies.clone());
        wanted
            .iter()
            .filter_map(|(name, range)| {
                let has = self.disagrees(name, range)?;
                Some(format!("{name}: package.json wants {range}, {file} has {has}"))
            })
            .collect()
    }

    /// What the lock has for `name` when that is not within `range`.
    fn disagrees(&self, name: &str, range: &str) -> Option<String> {
        let (locked, recorded) = match &self.packages {
            Some(packages) => (
                packages.get(&format!("node_modules/{name}")),
                packages.get("").and_then(|root| root.range(name)),
            ),
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

/// Whether `version` is within `range`; nothing when one of them is not of semantic versioning.
fn satisfies(version: &str, range: &str) -> Option<bool> {
    let range = match range.strip_prefix("npm:") {
        Some(alias) => {
            alias.char_indices().rfind(|(at, c)| *c == '@' && *at > 0).map_or("*", |(at, _)| &alias[at + 1..])
        }
        None => range,
    };
    if version.len() > RANGE_LIMIT || range.len() > RANGE_LIMIT {
        return None;
    }
    let range = if range.trim().is_empty() { "*" } else { range };
    Some(Version::parse(version).ok()?.satisfies(&Range::parse(range).ok()?))
}
