//! `yarn.lock` in both formats: that of yarn 1 and the YAML of later releases.
//!
//! The format of yarn 1 is close to YAML and is none: entries are headed by quoted or bare descriptors between
//! commas, members are a word and a text, and nesting is by two spaces
//! (<https://classic.yarnpkg.com/lang/en/docs/yarn-lock/>).

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::super::super::yaml;
use super::{Lock, Wanted, hint, sorted, split_descriptor};
use crate::detect::Error;

/// What stands in every lock of a later release.
const METADATA: &str = "__metadata:";

pub(super) fn read(mut lock: Lock, text: &str, wanted: &Wanted<'_>) -> Result<Lock, Error> {
    if text.lines().any(|line| line.trim_end() == METADATA) {
        "berry".clone_into(&mut lock.kind);
        return berry(lock, text, wanted);
    }
    Ok(classic(lock, text, wanted))
}

/// An entry of yarn 1.
#[derive(Default)]
struct Entry {
    descriptors: Vec<String>,
    resolved: Option<String>,
}

fn classic(mut lock: Lock, text: &str, wanted: &Wanted<'_>) -> Lock {
    "1".clone_into(&mut lock.version);
    let entries = entries(text);
    let descriptors: BTreeSet<&str> =
        entries.iter().flat_map(|entry| entry.descriptors.iter().map(String::as_str)).collect();
    lock.packages = sorted(descriptors.iter().map(|descriptor| real_name(descriptor)));
    let roots = entries.iter().filter_map(|entry| registry(entry.resolved.as_deref()?));
    lock.registries = sorted(roots);
    for (_, manifest) in &wanted.manifests {
        for (name, range) in manifest.package.wanted() {
            let local = ["link:", "file:", "portal:"].iter().any(|prefix| range.starts_with(prefix));
            let range = range.trim();
            if !local
                && !wanted.exempt.contains(name)
                && !descriptors.contains(format!("{name}@{range}").as_str())
            {
                let (file, lock_file) = (&manifest.file, &lock.file);
                lock.drift.push(format!("{name}: {file} wants {range}, {lock_file} has none"));
            }
        }
    }
    lock
}

fn entries(text: &str) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    for line in text.lines().map(str::trim_end) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if !line.starts_with(' ') {
            let heads = line.trim_end_matches(':').split(", ").map(|head| head.trim().trim_matches('"'));
            entries.push(Entry { descriptors: heads.map(str::to_owned).collect(), resolved: None });
        } else if let Some(address) = line.strip_prefix("  resolved ")
            && let Some(entry) = entries.last_mut()
        {
            entry.resolved = Some(address.trim_matches('"').to_owned());
        }
    }
    entries
}

/// The package that a descriptor stands for: `a@npm:b@^1` stands for `b`.
fn real_name(descriptor: &str) -> &str {
    let Some((name, range)) = split_descriptor(descriptor) else { return descriptor };
    range.strip_prefix("npm:").and_then(split_descriptor).map_or(name, |(name, _)| name)
}

/// The root of the registry in `https://ROOT/NAME/-/FILE.tgz#…`; nothing for other addresses, and for those that
/// have characters which no address of a registry needs.
fn registry(address: &str) -> Option<&str> {
    let (package, _) = address.split_once("/-/")?;
    let (rest, name) = package.rsplit_once('/')?;
    let root = match rest.rsplit_once('/') {
        Some((root, scope)) if scope.starts_with('@') => root,
        _ => rest,
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._~:/".contains(c);
    let is_web = root.starts_with("https://") || root.starts_with("http://");
    (is_web && !name.is_empty() && root.chars().all(plain)).then(|| &address[..=root.len()])
}

#[derive(Deserialize)]
struct Locked {
    #[serde(default)]
    version: Option<String>,
    #[serde(default)]
    resolution: Option<String>,
    #[serde(default)]
    dependencies: BTreeMap<String, String>,
}

fn berry(mut lock: Lock, text: &str, wanted: &Wanted<'_>) -> Result<Lock, Error> {
    let hint = hint(text, &lock.file, "yarn install --mode=update-lockfile");
    let mut documents: Vec<BTreeMap<String, Locked>> =
        yaml::documents("node/manifest-invalid", &lock.file, text, &hint)?;
    let mut entries = documents.pop().unwrap_or_default();
    lock.version = entries.remove("__metadata").and_then(|metadata| metadata.version).unwrap_or_default();
    let resolutions = entries.values().filter_map(|entry| split_descriptor(entry.resolution.as_deref()?));
    lock.packages = sorted(resolutions.filter(|(_, at)| !at.starts_with("workspace:")).map(|(name, _)| name));
    let mut recorded = BTreeMap::new();
    for entry in entries.into_values() {
        let at = entry.resolution.as_deref().and_then(split_descriptor).map(|(_, at)| at.to_owned());
        if let Some(folder) = at.as_deref().and_then(|at| at.strip_prefix("workspace:")) {
            let folder = if folder == "." { "" } else { folder };
            recorded.insert(folder.to_owned(), entry.dependencies);
        }
    }
    lock.drift = wanted.compare(&lock.file, &recorded, same, true);
    Ok(lock)
}

/// Whether the lock recorded what a manifest wants: it writes the default protocol out.
fn same(wanted: &str, recorded: &str) -> bool {
    let bare = |text: &str| text.trim().strip_prefix("npm:").unwrap_or(text.trim()).to_owned();
    bare(wanted) == bare(recorded)
}
