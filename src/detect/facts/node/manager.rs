//! The package manager of an app: which one, who says so, and its wanted version.
//!
//! What a manifest declares counts most, then a release of yarn that the source brings, then the lock, then weaker
//! statements. A wanted version is a statement like that of any tool; the registry decides which release meets it.

use serde::{Deserialize, Serialize};

use super::super::{Files, Located, located, yaml};
use super::lock::Lock;
use super::package::Manifest;
use crate::detect::Error;

/// The package manager.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Manager {
    /// `npm`, `pnpm`, `yarn` (1), `berry` (yarn from 2 on) or `bun`.
    pub name: String,
    /// Who names it: `package.json:9 packageManager`, `pnpm-lock.yaml`; empty when nobody does.
    pub origin: String,
    /// Wanted versions, strongest first.
    pub versions: Vec<Located>,
    /// The digest of its archive that `packageManager` states, as subresource integrity.
    pub integrity: Option<String>,
    /// How it lays packages out: `node-modules`, `pnp`.
    pub linker: String,
}

/// `.yarnrc.yml`, as far as it decides the build.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Settings {
    node_linker: Option<String>,
    yarn_path: Option<String>,
}

/// The manager that the manifest declares, before any lock is looked at.
pub(super) fn declared(manifest: Option<&Manifest>) -> Option<&str> {
    manifest?.managers.iter().find(|(_, version)| is_declaration(version)).map(|(name, _)| name.as_str())
}

fn is_declaration(version: &Located) -> bool {
    version.key == "packageManager" || version.key == "devEngines.packageManager"
}

/// Settles which manager installs.
pub(super) fn read(
    files: &Files<'_>,
    manifest: Option<&Manifest>,
    lock: Option<&Lock>,
) -> Result<Manager, Error> {
    let settings = settings(files)?;
    let vendored = settings.as_ref().and_then(vendored);
    let stated = manifest.map_or(&[][..], |manifest| &manifest.managers);
    let (family, origin) = family(files, stated, vendored.as_ref(), lock);
    let mut versions: Vec<Located> =
        stated.iter().filter(|(name, at)| *name == family && is_declaration(at)).map(located_of).collect();
    if family == "yarn" {
        versions.extend(vendored.clone());
    }
    if family == "bun" {
        versions.extend(located::version_file(files, ".bun-version")?);
    }
    versions.extend(located::tool_versions(files, &[family.as_str()])?);
    versions.extend(located::mise(files, &[family.as_str()])?);
    versions
        .extend(stated.iter().filter(|(name, at)| *name == family && !is_declaration(at)).map(located_of));
    versions.retain(|version| version.value != "*");
    let name = if family == "yarn" && is_berry(&versions, settings.is_some(), lock) {
        "berry".to_owned()
    } else {
        family
    };
    let linker = match settings.and_then(|settings| settings.node_linker) {
        Some(linker) if name == "berry" => linker,
        None if name == "berry" => "pnp".to_owned(),
        _ => "node-modules".to_owned(),
    };
    let integrity = manifest.and_then(integrity).filter(|_| name != "berry");
    Ok(Manager { name, origin, versions, integrity, linker })
}

fn located_of((_, version): &(String, Located)) -> Located {
    version.clone()
}

fn settings(files: &Files<'_>) -> Result<Option<Settings>, Error> {
    let file = ".yarnrc.yml";
    let Some(text) = files.text(file)? else { return Ok(None) };
    let hint = "correct `.yarnrc.yml` at the caret";
    let mut documents: Vec<Settings> = yaml::documents("node/manifest-invalid", file, &text, hint)?;
    Ok(Some(documents.pop().unwrap_or_default()))
}

/// The release that `yarnPath` names: `.yarn/releases/yarn-4.1.0.cjs`.
fn vendored(settings: &Settings) -> Option<Located> {
    let path = settings.yarn_path.as_deref()?;
    let name = path.rsplit('/').next()?;
    let version = name.strip_prefix("yarn-")?.trim_end_matches(".cjs").trim_end_matches(".js");
    Some(Located {
        value: version.to_owned(),
        file: ".yarnrc.yml".to_owned(),
        line: None,
        key: "yarnPath".to_owned(),
    })
}

/// The manager's family (`yarn` for both), and who names it.
fn family(
    files: &Files<'_>,
    stated: &[(String, Located)],
    vendored: Option<&Located>,
    lock: Option<&Lock>,
) -> (String, String) {
    let named = |(name, at): &(String, Located)| (name.clone(), origin(at));
    let known = |(name, _): &&(String, Located)| ["npm", "pnpm", "yarn", "bun"].contains(&name.as_str());
    let mut statements = stated.iter().filter(known);
    if let Some(found) = statements.clone().find(|(_, at)| is_declaration(at)) {
        return named(found);
    }
    if let Some(vendored) = vendored {
        return ("yarn".to_owned(), origin(vendored));
    }
    if let Some(lock) = lock {
        let family = if lock.kind == "berry" { "yarn" } else { &lock.kind };
        return (family.to_owned(), lock.file.clone());
    }
    // `engines.npm` says what npm must be, and not that npm it is; so does it, though, when nothing else is said.
    if let Some(found) = statements.next() {
        return named(found);
    }
    for (file, family) in [("pnpm-workspace.yaml", "pnpm"), (".yarnrc.yml", "yarn"), ("bunfig.toml", "bun")] {
        if files.has(file) {
            return (family.to_owned(), file.to_owned());
        }
    }
    ("npm".to_owned(), String::new())
}

fn origin(at: &Located) -> String {
    let place = at.line.map_or_else(|| at.file.clone(), |line| format!("{}:{line}", at.file));
    format!("{place} {}", at.key)
}

/// Whether yarn is one of the releases from 2 on: its wanted version says so, else its lock, else its settings.
fn is_berry(versions: &[Located], has_settings: bool, lock: Option<&Lock>) -> bool {
    let major = versions.iter().find_map(|version| {
        let digits = version.value.trim_start_matches(|c: char| !c.is_ascii_digit());
        digits.split('.').next()?.parse::<u32>().ok()
    });
    match (major, lock) {
        (Some(major), _) => major >= 2,
        (None, Some(lock)) => lock.kind == "berry",
        (None, None) => has_settings,
    }
}

/// `pnpm@9.1.0+sha512.0a1b…` as `sha512-ChvE…`.
fn integrity(manifest: &Manifest) -> Option<String> {
    use base64::Engine as _;
    let (_, digest) = manifest.package.package_manager.as_deref()?.split_once('+')?;
    let (algorithm, hexadecimal) = digest.split_once('.')?;
    let byte = |at: usize| u8::from_str_radix(hexadecimal.get(at..at + 2)?, 16).ok();
    let bytes: Option<Vec<u8>> = (0..hexadecimal.len()).step_by(2).map(byte).collect();
    let text = base64::engine::general_purpose::STANDARD.encode(bytes?);
    (algorithm == "sha512").then(|| format!("{algorithm}-{text}"))
}
