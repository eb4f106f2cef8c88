//! What an app says of the installation scripts of its dependencies. pnpm from 10 on, bun, and npm from 12 on run those
//! alone that the app has allowed.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::Value;

use super::super::{Files, yaml};
use super::lock::split_descriptor;
use super::package;
use crate::detect::Error;

/// The file with the settings of pnpm.
const SETTINGS: &str = "pnpm-workspace.yaml";

/// Which scripts the app has decided about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Scripts {
    /// Whether it has a list at all.
    pub stated: bool,
    /// Whether every package may run its scripts.
    pub all: bool,
    /// Names of packages that are allowed or refused, sorted.
    pub settled: Vec<String>,
}

/// Reads the lists of `manager` at the root.
pub(super) fn read(files: &Files<'_>, manager: &str) -> Result<Scripts, Error> {
    let manifest: Value = match files.text(package::FILE)? {
        Some(text) => serde_json::from_str(&text).unwrap_or_default(),
        None => Value::Null,
    };
    let mut scripts = Scripts::default();
    let mut settled = BTreeSet::new();
    match manager {
        "pnpm" => {
            let hint = "correct `pnpm-workspace.yaml` at the caret";
            let settings: Vec<Value> = match files.text(SETTINGS)? {
                Some(text) => yaml::documents("node/manifest-invalid", SETTINGS, &text, hint)?,
                None => Vec::new(),
            };
            for settings in settings.iter().chain(manifest.get("pnpm")) {
                scripts.all |= settings["dangerouslyAllowAllBuilds"] == true;
                for key in [
                    "allowBuilds",
                    "ignoredBuiltDependencies",
                    "neverBuiltDependencies",
                    "onlyBuiltDependencies",
                ] {
                    scripts.stated |= settings.get(key).is_some();
                    settled.extend(names(&settings[key]));
                }
            }
        }
        "bun" => {
            scripts.stated = manifest.get("trustedDependencies").is_some();
            settled.extend(names(&manifest["trustedDependencies"]));
        }
        _ => {
            scripts.stated = manifest.get("allowScripts").is_some();
            settled.extend(names(&manifest["allowScripts"]));
        }
    }
    scripts.settled = settled.into_iter().collect();
    Ok(scripts)
}

/// The packages of a list, or the keys of a map, without versions.
fn names(value: &Value) -> Vec<String> {
    let name = |text: &str| split_descriptor(text).map_or(text, |(name, _)| name).to_owned();
    match value {
        Value::Array(list) => list.iter().filter_map(Value::as_str).map(name).collect(),
        Value::Object(map) => map.keys().map(|key| name(key)).collect(),
        _ => Vec::new(),
    }
}
