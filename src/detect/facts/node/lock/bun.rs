//! `bun.lock`: JSON with trailing commas (<https://bun.com/docs/pm/lockfile>), which is YAML.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::super::super::yaml;
use super::{Lock, Wanted, hint, sorted, split_descriptor};
use crate::detect::Error;

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    lockfile_version: u32,
    #[serde(default)]
    workspaces: BTreeMap<String, Workspace>,
    #[serde(default)]
    packages: BTreeMap<String, Package>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Workspace {
    #[serde(default)]
    dependencies: BTreeMap<String, String>,
    #[serde(default)]
    dev_dependencies: BTreeMap<String, String>,
    #[serde(default)]
    optional_dependencies: BTreeMap<String, String>,
}

/// `["name@version", …]`.
#[derive(Deserialize)]
#[serde(try_from = "Vec<Part>")]
struct Package(String);

#[derive(Deserialize)]
#[serde(untagged)]
enum Part {
    Text(String),
    Other(IgnoredAny),
}

impl TryFrom<Vec<Part>> for Package {
    type Error = &'static str;

    fn try_from(parts: Vec<Part>) -> Result<Self, Self::Error> {
        match parts.into_iter().next() {
            Some(Part::Text(text)) => Ok(Self(text)),
            _ => Err("a package without its name and version"),
        }
    }
}

pub(super) fn read(mut lock: Lock, text: &str, wanted: &Wanted<'_>) -> Result<Lock, Error> {
    let hint = hint(text, &lock.file, "bun install --lockfile-only");
    let mut documents: Vec<Document> = yaml::documents("node/manifest-invalid", &lock.file, text, &hint)?;
    let document = documents.pop().unwrap_or_default();
    lock.version = document.lockfile_version.to_string();
    let names =
        document.packages.values().map(|package| split_descriptor(&package.0).map_or("", |(name, _)| name));
    lock.packages = sorted(names);
    let recorded = document.workspaces.into_iter().map(|(folder, one)| {
        let lists = [one.dependencies, one.dev_dependencies, one.optional_dependencies];
        (folder, lists.into_iter().flatten().collect())
    });
    lock.drift = wanted.compare(&lock.file, &recorded.collect(), |one, other| one == other, false);
    Ok(lock)
}
