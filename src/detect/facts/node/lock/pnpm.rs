//! `pnpm-lock.yaml` of versions 5 to 9 (<https://github.com/pnpm/spec/tree/master/lockfile>).
//!
//! From pnpm 11 on the file may hold a document about pnpm itself before the one about the app.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, IgnoredAny, MapAccess, Visitor};

use super::super::super::{Files, yaml};
use super::{Lock, Wanted, hint, sorted, split_descriptor};
use crate::detect::Error;

/// A file that may change what manifests want while pnpm reads them.
const HOOKS: [&str; 2] = [".pnpmfile.cjs", ".pnpmfile.mjs"];

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    lockfile_version: Scalar,
    #[serde(default)]
    importers: BTreeMap<String, Importer>,
    /// Without workspaces, versions before 9 have the root's importer at the top.
    #[serde(flatten)]
    root: Importer,
    #[serde(default)]
    packages: BTreeMap<String, Package>,
    overrides: Option<IgnoredAny>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Importer {
    /// Before version 6; later each dependency has its own.
    #[serde(default)]
    specifiers: BTreeMap<String, Scalar>,
    #[serde(default)]
    dependencies: BTreeMap<String, Reference>,
    #[serde(default)]
    dev_dependencies: BTreeMap<String, Reference>,
    #[serde(default)]
    optional_dependencies: BTreeMap<String, Reference>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Package {
    #[serde(default)]
    requires_build: bool,
    #[serde(default)]
    optional: bool,
    #[serde(default)]
    engines: BTreeMap<String, Scalar>,
    /// For some machines only.
    cpu: Option<IgnoredAny>,
    os: Option<IgnoredAny>,
}

/// Text that may look like a number: `5.4`.
#[derive(Clone, Default)]
struct Scalar(String);

/// A locked dependency of an importer with the range that was wanted, if it stands here.
#[derive(Default)]
struct Reference {
    specifier: Option<String>,
}

impl Importer {
    fn recorded(self) -> BTreeMap<String, String> {
        let lists = [self.dependencies, self.dev_dependencies, self.optional_dependencies];
        let own = lists.into_iter().flatten().filter_map(|(name, one)| Some((name, one.specifier?)));
        self.specifiers.into_iter().map(|(name, text)| (name, text.0)).chain(own).collect()
    }
}

pub(super) fn read(
    mut lock: Lock,
    text: &str,
    wanted: &Wanted<'_>,
    files: &Files<'_>,
) -> Result<Lock, Error> {
    let hint = hint(text, &lock.file, "pnpm install --lockfile-only");
    let mut documents: Vec<Document> = yaml::documents("node/manifest-invalid", &lock.file, text, &hint)?;
    let document = documents.pop().unwrap_or_default();
    lock.version = document.lockfile_version.0;
    lock.packages = sorted(document.packages.keys().map(|key| name(key)));
    let scripted = document.packages.iter().filter(|(_, package)| package.requires_build);
    lock.scripts = sorted(scripted.map(|(key, _)| name(key)));
    for (key, package) in &document.packages {
        let Some(Scalar(range)) = package.engines.get("node") else { continue };
        if !package.optional && package.cpu.is_none() && package.os.is_none() {
            let package = key.trim_start_matches('/').split('(').next().unwrap_or_default();
            lock.engines.entry(range.clone()).or_insert_with(|| package.to_owned());
        }
    }
    let mut recorded: BTreeMap<String, BTreeMap<String, String>> = document
        .importers
        .into_iter()
        .map(|(folder, importer)| (if folder == "." { String::new() } else { folder }, importer.recorded()))
        .collect();
    if recorded.is_empty() {
        recorded.insert(String::new(), document.root.recorded());
    }
    // What replaces versions, or rewrites manifests, makes the record differ from what is written there.
    if document.overrides.is_none() && !HOOKS.iter().any(|file| files.has(file)) {
        lock.drift = wanted.compare(&lock.file, &recorded, |one, other| one == other, true);
    }
    Ok(lock)
}

/// The name in the key of a package: `/a/1.0.0_b@2.0.0` (5), `/a@1.0.0(b@2.0.0)` (6), `a@1.0.0` (9).
fn name(key: &str) -> &str {
    let bare = key.strip_prefix('/').unwrap_or(key);
    let scope = bare.starts_with('@').then(|| bare.find('/')).flatten().map_or(0, |at| at + 1);
    match bare[scope..].find(['/', '@']) {
        Some(end) => &bare[..scope + end],
        None => split_descriptor(bare).map_or(bare, |(name, _)| name),
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(ScalarVisitor)
    }
}

struct ScalarVisitor;

impl Visitor<'_> for ScalarVisitor {
    type Value = Scalar;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a text or a number")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Scalar, E> {
        Ok(Scalar(text.to_owned()))
    }
}

impl<'de> Deserialize<'de> for Reference {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ReferenceVisitor)
    }
}

struct ReferenceVisitor;

impl<'de> Visitor<'de> for ReferenceVisitor {
    type Value = Reference;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a version, or a map with a specifier")
    }

    fn visit_str<E: de::Error>(self, _: &str) -> Result<Reference, E> {
        Ok(Reference::default())
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<Reference, E> {
        Ok(Reference::default())
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<Reference, E> {
        Ok(Reference::default())
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<Reference, E> {
        Ok(Reference::default())
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Reference, M::Error> {
        let mut reference = Reference::default();
        while let Some(key) = map.next_key::<Scalar>()? {
            if key.0 == "specifier" {
                reference.specifier = Some(map.next_value::<Scalar>()?.0);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(reference)
    }
}
