//! Facts of Node.js: `package.json`, locks, version files, entry files.

mod angular;
mod fonts;
mod lock;
mod manager;
mod package;
mod program;
mod scripts;
mod workspace;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::Serialize;

pub(super) use lock::Lock;
pub(super) use manager::Manager;
pub(super) use package::Package;
pub(super) use scripts::Scripts;
pub(super) use workspace::Workspace;

use super::{Files, Located, credentials, located};
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
    /// The package manager that installs.
    pub manager: Manager,
    /// What is said of the installation scripts of dependencies.
    pub scripts: Scripts,
    /// Folders below the app's with a manifest of their own that no workspace has, relative to the source.
    pub inner: Vec<String>,
    /// The packages of the repository, when it declares workspaces.
    pub workspace: Option<Workspace>,
    /// Files that an installation reads besides those at the root that each manager has: manifests of members, and
    /// folders and archives that manifests name, relative to the source.
    pub install_inputs: Vec<String>,
    /// Dependencies on folders and archives outside the source: `package.json: core is file:../core`.
    pub outside: Vec<String>,
    /// Manifests without the scripts that run around an installation, by path; only of those that have such scripts.
    pub without_lifecycle: BTreeMap<String, String>,
    /// The scripts that were taken out, members before the root.
    pub lifecycle: Vec<Lifecycle>,
    /// Statements of the wanted Node version in order of precedence: `.nvmrc`, `.node-version`, `.tool-versions`,
    /// `mise.toml`, `devEngines.runtime`, `engines.runtime`, `engines.node`, `volta.node`.
    pub versions: Vec<Located>,
    /// The first that exists of `{server,index,app,main}.{js,mjs,cjs}` at the root, then in `src/`.
    pub entry: Option<String>,
    /// The same for `{ts,mts}`.
    pub typescript_entry: Option<String>,
    /// That at the root, where there is no `package.json` and it imports nothing but what Node.js has.
    pub lone_typescript: Option<String>,
    /// The file that `main` of `package.json` names, when it is in the source (and not made by a build).
    pub main_file: Option<String>,
    /// Whether `tsconfig.json` exists.
    pub typescript: bool,
    /// Variables that `.npmrc`, `.yarnrc.yml` and `bunfig.toml` name.
    pub secrets: Vec<Located>,
    /// The folder that the only app of `angular.json` is built to.
    pub angular: Option<String>,
    /// Whether its build says that it writes to a folder beside its own: `../static`.
    pub writes_beside: bool,
    /// Whether pages of Next.js use fonts that its build fetches.
    pub remote_fonts: bool,
}

impl Node {
    /// See [`super::Facts::shape`].
    pub(super) fn shape() -> Self {
        Self {
            package: Some(Package::default()),
            lock: Some(Lock::default()),
            workspace: Some(Workspace::shape()),
            ..Self::default()
        }
    }
}

/// Scripts of one manifest that its manager runs around an installation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Lifecycle {
    /// Where the manifest stands; empty for the root.
    pub folder: String,
    /// In the order in which they run. Managers that run `preNAME` and `postNAME` with `NAME` are not asked for these.
    pub scripts: Vec<String>,
}

/// Whether anything of Node.js stands at the root. `src/` alone does not count, other tools have it; nor does
/// TypeScript that imports more than Node.js has.
pub(super) fn is_present(files: &Files<'_>) -> bool {
    files.has("package.json")
        || entry(files, &[""], &["js", "mjs", "cjs"]).is_some()
        || lone_typescript(files).is_some()
}

/// A file of TypeScript at the root that Node.js runs as it is: it strips types, and the file imports nothing but what
/// is built in.
fn lone_typescript(files: &Files<'_>) -> Option<String> {
    let path = entry(files, &[""], &["ts", "mts"]).filter(|_| !files.has("package.json"))?;
    program::is_plain(&files.program(&path)?).then_some(path)
}

/// How deep, and how many, inner manifests are looked for.
const INNER_DEPTH: usize = 3;
const INNER: usize = 20;

/// Folders with a manifest of their own, which scripts of the app may install packages into.
fn inner(files: &Files<'_>, workspace: Option<&Workspace>) -> Vec<String> {
    let ending = format!("/{}", package::FILE);
    let folders = files.paths().filter_map(|path| path.strip_suffix(&ending));
    let is_inner = |folder: &String| {
        folder.split('/').count() <= INNER_DEPTH
            && workspace.is_none_or(|workspace| workspace.members.iter().all(|member| member.path != *folder))
    };
    let folders = folders.filter(|folder| !folder.split('/').any(|part| part == "node_modules"));
    folders.map(|folder| files.below(folder)).filter(is_inner).take(INNER).collect()
}

/// Whether the root of the source declares workspaces and `folder` is one of them.
pub(super) fn has_member(files: &Files<'_>, folder: &str) -> Result<bool, Error> {
    if folder.is_empty() {
        return Ok(false);
    }
    let root = package::read(files, package::FILE)?;
    workspace::has(files, root.as_ref(), folder)
}

/// Reads the facts of Node.js. A member of a workspace has its own manifest, and what installs it is at the root of the
/// source.
pub(super) fn read(files: &Files<'_>, notices: &mut Vec<Notice>) -> Result<Node, Error> {
    let whole = files.whole();
    let member = Some(files.folder()).filter(|folder| has_member(&whole, folder).unwrap_or(false));
    let home = if member.is_some() { &whole } else { files };
    let root = package::read(home, package::FILE)?;
    let (workspace, mut members) = workspace::read(home, root.as_ref(), member, notices)?;
    let wanted = lock::Wanted::new(root.as_ref(), &members);
    let lock = lock::read(home, manager::declared(root.as_ref()), &wanted, notices)?;
    let manager = manager::read(home, root.as_ref(), lock.as_ref())?;
    let all = || members.iter().chain(&root);
    let install_inputs = workspace::install_inputs(all());
    let outside = workspace::outside(all());
    let needed = workspace.as_ref().and_then(|workspace| workspace.app.as_ref()).map(|app| &app.closure);
    let counts = |folder: &String| folder.is_empty() || needed.is_none_or(|needed| needed.contains(folder));
    let lifecycle = all().filter_map(|manifest| lifecycle(manifest, &manager.name));
    let lifecycle = lifecycle.filter(|one| counts(&one.folder)).collect();
    let without_lifecycle =
        all().filter_map(|one| Some((one.file.clone(), one.without_lifecycle.clone()?))).collect();
    let mut versions = version_files(files)?;
    let mut package = None;
    if let Some(folder) = member {
        let file = format!("{folder}/{}", package::FILE);
        if let Some(at) = members.iter().position(|one| one.file == file) {
            let own = members.swap_remove(at);
            versions.extend(own.versions);
            package = Some(own.package);
        }
        versions.extend(version_files(home)?);
    }
    // A front end goes by what is stated for the whole.
    if member.is_none() && !files.folder().is_empty() {
        versions.extend(version_files(&whole)?);
    }
    if let Some(root) = root {
        versions.extend(root.versions);
        package = package.or(Some(root.package));
    }
    let writes_beside = writes_beside(files, package.as_ref());
    let remote_fonts = fonts::are_remote(files, package.as_ref());
    let main_file =
        package.as_ref().and_then(|package| package.main.as_deref()).and_then(|main| main_file(files, main));
    let scripts = scripts::read(home, &manager.name)?;
    let inner = inner(files, workspace.as_ref());
    Ok(Node {
        package,
        lock,
        manager,
        scripts,
        inner,
        workspace,
        install_inputs,
        outside,
        without_lifecycle,
        lifecycle,
        versions,
        entry: entry(files, &["", "src/"], &["js", "mjs", "cjs"]),
        typescript_entry: entry(files, &["", "src/"], &["ts", "mts"]),
        lone_typescript: lone_typescript(files),
        main_file,
        typescript: files.has("tsconfig.json"),
        secrets: credentials::of_node(home)?,
        angular: angular::output(files)?,
        writes_beside,
        remote_fonts,
    })
}

/// Whether the build script, or the line of Vite's configuration that names the output, leads out of the folder.
fn writes_beside(files: &Files<'_>, package: Option<&Package>) -> bool {
    let script = package.and_then(|package| package.scripts.get("build"));
    let configurations = ["js", "mjs", "ts", "mts"].map(|extension| format!("vite.config.{extension}"));
    script.is_some_and(|script| script.split(['=', ' ']).any(|word| word.starts_with("../")))
        || configurations.iter().filter_map(|file| files.program(file)).any(|text| {
            let output =
                |line: &str| line.split_once("outDir").is_some_and(|(_, value)| value.contains("../"));
            text.lines().any(output)
        })
}

/// What version files state.
fn version_files(files: &Files<'_>) -> Result<Vec<Located>, Error> {
    let mut versions = Vec::new();
    versions.extend(located::version_file(files, ".nvmrc")?);
    versions.extend(located::version_file(files, ".node-version")?);
    versions.extend(located::tool_versions(files, &["nodejs", "node"])?);
    versions.extend(located::mise(files, &["node", "nodejs"])?);
    Ok(versions)
}

/// The scripts of a manifest around an installation, as its manager is asked to run them.
fn lifecycle(manifest: &package::Manifest, manager: &str) -> Option<Lifecycle> {
    let folder = manifest.file.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
    let all = manifest.package.lifecycle();
    // From 2 on, yarn runs exactly what it is asked for.
    let around = |name: &str| {
        let main = name.strip_prefix("pre").or(name.strip_prefix("post"));
        manager != "berry" && main.is_some_and(|main| all.iter().any(|one| one == main))
    };
    // A script that only guards the choice of the manager has nothing to do here.
    let guards = |name: &str| {
        let words = manifest.package.scripts.get(name).map(|line| line.split_whitespace());
        words.is_some_and(|mut words| words.any(|word| word.split('@').next() == Some("only-allow")))
    };
    let scripts: Vec<String> = all.iter().filter(|name| !around(name) && !guards(name)).cloned().collect();
    (!scripts.is_empty()).then_some(Lifecycle { folder, scripts })
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
