//! Facts of Node.js: `package.json`, locks, version files, entry files.

mod lock;
mod package;

#[cfg(test)]
mod tests;

use serde::Serialize;

pub(super) use lock::Lock;
pub(super) use package::Package;

use super::{Files, Located, located};
use crate::detect::Error;
use crate::plan::model::Notice;

/// Names of files that start an app by convention, in order.
const ENTRY_NAMES: [&str; 4] = ["server", "index", "app", "main"];

/// What the source says about Node.js.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Node {
    /// `package.json`, if there is one.
    pub package: Option<Package>,
    /// The lock in force, if there is one.
    pub lock: Option<Lock>,
    /// Statements of the wanted Node version in order of precedence: `.nvmrc`, `.node-version`, `.tool-versions`,
    /// `devEngines.runtime`, `engines.node`, `volta.node`.
    pub versions: Vec<Located>,
    /// The first that exists of `{server,index,app,main}.{js,mjs,cjs}` at the root, then in `src/`.
    pub entry: Option<String>,
    /// The same for `{ts,mts}`.
    pub typescript_entry: Option<String>,
    /// The file that `main` of `package.json` names, when it is in the source (and not made by a build).
    pub main_file: Option<String>,
    /// Whether `tsconfig.json` exists.
    pub typescript: bool,
}

impl Node {
    /// See [`super::Facts::shape`].
    pub(super) fn shape() -> Self {
        Self { package: Some(Package::default()), lock: Some(Lock::default()), ..Self::default() }
    }
}

/// Whether anything of Node.js stands at the root. TypeScript and `src/` alone do not count: other tools have them.
pub(super) fn is_present(files: &Files<'_>) -> bool {
    files.has("package.json") || entry(files, &[""], &["js", "mjs", "cjs"]).is_some()
}

/// Reads the facts of Node.js.
pub(super) fn read(files: &Files<'_>, notices: &mut Vec<Notice>) -> Result<Node, Error> {
    let manifest = package::read(files)?;
    let mut versions = Vec::new();
    versions.extend(located::version_file(files, ".nvmrc")?);
    versions.extend(located::version_file(files, ".node-version")?);
    versions.extend(located::tool_versions(files, &["nodejs", "node"])?);
    let lock = lock::read(files, manifest.as_ref().map(|manifest| &manifest.package), notices)?;
    let mut package = None;
    if let Some(manifest) = manifest {
        versions.extend(manifest.versions);
        package = Some(manifest.package);
    }
    let main_file =
        package.as_ref().and_then(|package| package.main.as_deref()).and_then(|main| main_file(files, main));
    Ok(Node {
        package,
        lock,
        versions,
        entry: entry(files, &["", "src/"], &["js", "mjs", "cjs"]),
        typescript_entry: entry(files, &["", "src/"], &["ts", "mts"]),
        main_file,
        typescript: files.has("tsconfig.json"),
    })
}

fn entry(files: &Files<'_>, folders: &[&str], extensions: &[&str]) -> Option<String> {
    folders
        .iter()
        .flat_map(|folder| ENTRY_NAMES.iter().map(move |name| (folder, name)))
        .flat_map(|(folder, name)| {
            extensions.iter().map(move |extension| format!("{folder}{name}.{extension}"))
        })
        .find(|path| files.has(path))
}

/// The file that Node loads for `main`: as written, with an extension, or the folder's index.
fn main_file(files: &Files<'_>, main: &str) -> Option<String> {
    let path = main.trim_start_matches("./").trim_end_matches('/');
    ["", ".js", ".json", ".node", "/index.js"]
        .iter()
        .map(|ending| format!("{path}{ending}"))
        .find(|candidate| files.has(candidate))
}
