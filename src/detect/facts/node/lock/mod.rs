//! Locks of Node's package managers: which one is in force, what it holds, whether it agrees with the manifests.
//!
//! Every format is read by a parser of its own, and only as far as planning needs it: the version of the format,
//! names of packages, packages with installation scripts, and what each manifest of the repository asked for when
//! the lock was written. Drift is what a frozen installation would refuse.

mod bun;
mod npm;
mod pnpm;
mod yarn;

use std::collections::{BTreeMap, BTreeSet};

use nodejs_semver::{Range, Version};
use serde::Serialize;

use super::super::{Files, warning};
use super::package::Manifest;
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
    /// `npm`, `pnpm`, `yarn` (1), `berry` (yarn from 2 on) or `bun`.
    pub kind: String,
    /// Its name.
    pub file: String,
    /// The version of its format as written: `3`, `9.0`; empty when it does not say or is binary.
    pub version: String,
    /// The names of all locked packages, sorted.
    pub packages: Vec<String>,
    /// Names of the locked packages that have install scripts, sorted; locks of pnpm from 9 on, of yarn and of bun
    /// do not say.
    pub scripts: Vec<String>,
    /// Versions of Node.js that locked packages ask for, each with the first package that does: `>=20` by `a 1.0.0`.
    /// Optional packages do not count; locks of yarn and of bun do not say.
    pub engines: BTreeMap<String, String>,
    /// What disagrees with a manifest: `left-pad: package.json wants ^1.3.0, package-lock.json has 1.2.0`.
    pub drift: Vec<String>,
    /// Roots of the registries that its addresses of packages begin with (yarn 1): `https://registry.example/npm/`.
    pub registries: Vec<String>,
}

/// The manifests of a repository as a lock is compared with them.
pub(super) struct Wanted<'a> {
    /// With the folder of each, empty for the root, which is first.
    manifests: Vec<(&'a str, &'a Manifest)>,
    /// Names of packages whose versions are replaced, and of those that are part of the repository.
    exempt: BTreeSet<&'a str>,
}

impl<'a> Wanted<'a> {
    /// The root and its members.
    pub(super) fn new(root: Option<&'a Manifest>, members: &'a [Manifest]) -> Self {
        let folder = |manifest: &'a Manifest| manifest.file.rsplit_once('/').map_or("", |(folder, _)| folder);
        let manifests: Vec<_> =
            root.into_iter().chain(members).map(|manifest| (folder(manifest), manifest)).collect();
        let replaced =
            manifests.iter().flat_map(|(_, manifest)| manifest.overridden.iter().map(String::as_str));
        let members = members.iter().filter_map(|member| member.package.name.as_deref());
        let exempt = replaced.chain(members).collect();
        Self { manifests, exempt }
    }

    /// What the lock recorded for each manifest, by folder, against what they want now. `same` compares a wanted
    /// range with the recorded one; `complete` says that the record holds nothing else.
    fn compare(
        &self,
        lock: &str,
        recorded: &BTreeMap<String, BTreeMap<String, String>>,
        same: impl Fn(&str, &str) -> bool,
        complete: bool,
    ) -> Vec<String> {
        let mut drift = Vec::new();
        for (folder, manifest) in &self.manifests {
            let file = &manifest.file;
            let Some(recorded) = recorded.get(*folder) else {
                if !manifest.package.wanted().is_empty() {
                    drift.push(format!("{lock} knows nothing of {file}"));
                }
                continue;
            };
            let wanted = manifest.package.wanted();
            for (name, range) in &wanted {
                match recorded.get(*name) {
                    _ if self.exempt.contains(name) || range.starts_with("link:") => {}
                    Some(has) if same(range, has) => {}
                    Some(has) => drift.push(format!("{name}: {file} wants {range}, {lock} has {has}")),
                    None => drift.push(format!("{name}: {file} wants {range}, {lock} has none")),
                }
            }
            if complete {
                let peers = &manifest.package.peer_dependencies;
                let more = recorded.iter().filter(|(name, _)| {
                    !wanted.contains_key(name.as_str())
                        && !peers.contains_key(*name)
                        && !self.exempt.contains(name.as_str())
                });
                drift.extend(more.map(|(name, has)| format!("{name}: {file} wants none, {lock} has {has}")));
            }
        }
        drift
    }
}

/// Reads the lock in force: that of the declared manager, else the first of [`LOCKS`].
pub(super) fn read(
    files: &Files<'_>,
    declared: Option<&str>,
    wanted: &Wanted<'_>,
    notices: &mut Vec<Notice>,
) -> Result<Option<Lock>, Error> {
    let found: Vec<(&str, &str)> = LOCKS.into_iter().filter(|(_, file)| files.has(file)).collect();
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
    let lock = Lock { kind: kind.to_owned(), file: file.to_owned(), ..Lock::default() };
    // The older lock of bun is binary: that it is there is all that is known of it.
    if file == "bun.lockb" {
        return Ok(Some(lock));
    }
    let Some(text) = files.text(file)? else { return Ok(Some(lock)) };
    match kind {
        "pnpm" => pnpm::read(lock, &text, wanted, files),
        "bun" => bun::read(lock, &text, wanted),
        "yarn" => yarn::read(lock, &text, wanted),
        _ => npm::read(lock, &text, wanted),
    }
    .map(Some)
}

/// What to do about a lock that cannot be read.
fn hint(text: &str, file: &str, command: &str) -> String {
    if text.lines().any(|line| line.starts_with("<<<<<<< ")) {
        format!("resolve the merge conflict in `{file}`")
    } else {
        format!("write `{file}` anew: `{command}`")
    }
}

/// Sorted, each once.
fn sorted<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let names: BTreeSet<&str> = names.into_iter().filter(|name| !name.is_empty()).collect();
    names.into_iter().map(str::to_owned).collect()
}

/// `name@range`, with the scope of the name: both parts.
pub(super) fn split_descriptor(descriptor: &str) -> Option<(&str, &str)> {
    let at = descriptor.char_indices().skip(1).find(|(_, c)| *c == '@')?.0;
    Some((&descriptor[..at], &descriptor[at + 1..]))
}

/// Whether `version` is within `range`; nothing when one of them is not of semantic versioning.
fn satisfies(version: &str, range: &str) -> Option<bool> {
    let range = match range.strip_prefix("npm:") {
        Some(alias) => split_descriptor(alias).map_or("*", |(_, range)| range),
        None => range,
    };
    if version.len() > RANGE_LIMIT || range.len() > RANGE_LIMIT {
        return None;
    }
    let range = if range.trim().is_empty() { "*" } else { range };
    Some(Version::parse(version).ok()?.satisfies(&Range::parse(range).ok()?))
}
