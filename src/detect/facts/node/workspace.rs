//! Workspaces: the packages of a repository that are installed together, and how they need each other.
//!
//! In: the root's `workspaces`, `pnpm-workspace.yaml`, `lerna.json`. Out: the members with, for each, everything
//! that has to be built before it. Members count only where a declaration's globs lead.

use std::collections::{BTreeMap, BTreeSet};

use globset::{Glob, GlobBuilder, GlobSet, GlobSetBuilder};
use nodejs_semver::{Range, Version};
use serde::{Deserialize, Serialize};

use super::super::{Files, warning, yaml};
use super::package::{self, Manifest};
use crate::detect::Error;
use crate::paths::inside;
use crate::plan::model::Notice;

/// Tools that run scripts of members in order, with the file that each is set up by, in order of preference.
const RUNNERS: [(&str, &str); 3] = [("turbo", "turbo.json"), ("nx", "nx.json"), ("lerna", "lerna.json")];

/// No repository has more members; each is a file to read.
const LIMIT: usize = 5_000;

/// A repository of several packages.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Workspace {
    /// The file that declares it.
    pub file: String,
    /// `turbo`, `nx` or `lerna`, when it is set up for one that the root's manifest depends on.
    pub runner: Option<String>,
    /// By path.
    pub members: Vec<Member>,
    /// The one that the image is for; nothing when that is the root.
    pub app: Option<Member>,
}

impl Workspace {
    /// See [`crate::detect::facts::Facts::shape`].
    pub(super) fn shape() -> Self {
        Self { app: Some(Member::default()), ..Self::default() }
    }
}

/// A package of the repository.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Member {
    /// Its folder, relative to the source.
    pub path: String,
    /// Its name; that of the folder when its manifest has none.
    pub name: String,
    /// The names of its scripts.
    pub scripts: Vec<String>,
    /// The folders of the members that it needs, each after those that it needs itself, and its own last.
    pub closure: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
struct PnpmWorkspace {
    #[serde(default)]
    packages: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
struct Lerna {
    #[serde(default)]
    packages: Vec<String>,
}

/// Whether workspaces are declared and the manifest in `folder` is one of theirs.
pub(super) fn has(files: &Files<'_>, root: Option<&Manifest>, folder: &str) -> Result<bool, Error> {
    let Some((file, globs)) = declaration(files, root)? else { return Ok(false) };
    Ok(folders(files, &globs, &file, &mut Vec::new()).iter().any(|member| member == folder))
}

/// Reads the workspaces and the manifests of their members, by path. `app` is the folder that the image is for.
pub(super) fn read(
    files: &Files<'_>,
    root: Option<&Manifest>,
    app: Option<&str>,
    notices: &mut Vec<Notice>,
) -> Result<(Option<Workspace>, Vec<Manifest>), Error> {
    let Some((file, globs)) = declaration(files, root)? else { return Ok((None, Vec::new())) };
    let mut manifests = Vec::new();
    for folder in folders(files, &globs, &file, notices) {
        manifests.extend(package::read(files, &format!("{folder}/{}", package::FILE))?);
    }
    let members = members(&manifests);
    let app = app.and_then(|app| members.iter().find(|member| member.path == app)).cloned();
    Ok((Some(Workspace { file, runner: runner(files, root), members, app }), manifests))
}

/// The file that declares workspaces, with its globs.
fn declaration(files: &Files<'_>, root: Option<&Manifest>) -> Result<Option<(String, Vec<String>)>, Error> {
    let file = "pnpm-workspace.yaml";
    if let Some(text) = files.text(file)? {
        let hint = "correct `pnpm-workspace.yaml` at the caret";
        let documents: Vec<Option<PnpmWorkspace>> =
            yaml::documents("node/manifest-invalid", file, &text, hint)?;
        let packages = documents.into_iter().flatten().next_back().unwrap_or_default().packages;
        // Without packages it only holds settings of pnpm.
        if !packages.is_empty() {
            return Ok(Some((file.to_owned(), packages)));
        }
    }
    if let Some(root) = root.filter(|root| root.package.workspaces) {
        return Ok(Some((root.file.clone(), root.workspaces.clone())));
    }
    let file = "lerna.json";
    if let Some(text) = files.text(file)? {
        let lerna: Lerna =
            serde_json::from_str(&text).map_err(|error| package::invalid_json(file, &text, &error))?;
        if !lerna.packages.is_empty() {
            return Ok(Some((file.to_owned(), lerna.packages)));
        }
    }
    Ok(None)
}

fn runner(files: &Files<'_>, root: Option<&Manifest>) -> Option<String> {
    let wanted = root?.package.wanted();
    let found = RUNNERS.iter().find(|(name, file)| wanted.contains_key(name) && files.has(file));
    found.map(|(name, _)| (*name).to_owned())
}

/// The folders with a manifest that the globs lead to, sorted.
fn folders(files: &Files<'_>, globs: &[String], file: &str, notices: &mut Vec<Notice>) -> Vec<String> {
    let (negative, positive): (Vec<&String>, Vec<&String>) =
        globs.iter().partition(|glob| glob.starts_with('!'));
    let mut set = |globs: &[&String]| set(globs, file, notices);
    let (wanted, unwanted) = (set(&positive), set(&negative));
    let inside = |folder: &&str| {
        wanted.is_match(folder)
            && !unwanted.is_match(folder)
            && !folder.split('/').any(|part| part == "node_modules")
    };
    let ending = format!("/{}", package::FILE);
    let mut found: Vec<String> = files
        .paths()
        .filter_map(|path| path.strip_suffix(&ending))
        .filter(inside)
        .take(LIMIT)
        .map(str::to_owned)
        .collect();
    found.sort();
    found
}

fn set(globs: &[&String], file: &str, notices: &mut Vec<Notice>) -> GlobSet {
    let mut builder = GlobSetBuilder::new();
    for text in globs {
        let bare = text.trim_start_matches('!').trim_start_matches("./").trim_end_matches('/');
        match glob(bare) {
            Ok(glob) => {
                builder.add(glob);
            }
            Err(error) => notices.push(warning(
                "node/workspace-glob",
                format!("`{file}` has the workspace `{text}`, which is no glob: {}", error.kind()),
            )),
        }
    }
    builder.build().unwrap_or_default()
}

fn glob(text: &str) -> Result<Glob, globset::Error> {
    GlobBuilder::new(text).literal_separator(true).build()
}

/// The members with everything that each needs of the others.
fn members(manifests: &[Manifest]) -> Vec<Member> {
    let folders: Vec<&str> =
        manifests.iter().map(|one| one.file.rsplit_once('/').map_or("", |(folder, _)| folder)).collect();
    let names: Vec<&str> = manifests
        .iter()
        .zip(&folders)
        .map(|(one, folder)| one.package.name.as_deref().unwrap_or(folder))
        .collect();
    let by_name: BTreeMap<&str, usize> =
        names.iter().enumerate().map(|(index, name)| (*name, index)).collect();
    let needs: Vec<Vec<usize>> = manifests.iter().map(|one| needs(one, manifests, &by_name)).collect();
    let closure = |index| closure(&needs, index).into_iter().map(|one| folders[one].to_owned()).collect();
    manifests
        .iter()
        .enumerate()
        .map(|(index, manifest)| Member {
            path: folders[index].to_owned(),
            name: names[index].to_owned(),
            scripts: manifest.package.scripts.keys().cloned().collect(),
            closure: closure(index),
        })
        .collect()
}

/// The members that a manifest depends on.
fn needs(manifest: &Manifest, manifests: &[Manifest], by_name: &BTreeMap<&str, usize>) -> Vec<usize> {
    let wanted = manifest.package.wanted();
    let needed = wanted.iter().filter_map(|(name, range)| {
        // `workspace:other@*` stands under a name of its own.
        let alias = range.strip_prefix("workspace:").and_then(|rest| rest.rsplit_once('@'));
        let name = alias.map_or(*name, |(name, _)| name);
        let index = *by_name.get(name)?;
        is_local(range, manifests[index].package.version.as_deref()).then_some(index)
    });
    needed.collect()
}

/// Whether a range means the member of the name, and not a release of it in the registry.
fn is_local(range: &str, version: Option<&str>) -> bool {
    let local = ["workspace:", "file:", "link:", "portal:"].iter().any(|prefix| range.starts_with(prefix));
    if local || matches!(range.trim(), "" | "*") {
        return true;
    }
    let version = version.and_then(|version| Version::parse(version).ok());
    version.zip(Range::parse(range).ok()).is_some_and(|(version, range)| version.satisfies(&range))
}

/// What `start` needs, each after what it needs itself, and `start` last. A circle is cut where it closes.
fn closure(needs: &[Vec<usize>], start: usize) -> Vec<usize> {
    let mut seen = BTreeSet::from([start]);
    let mut order = Vec::new();
    // The path from `start`, with how far the needs of each are followed.
    let mut path = vec![(start, 0)];
    while let Some((node, next)) = path.last_mut() {
        if let Some(needed) = needs[*node].get(*next) {
            *next += 1;
            if seen.insert(*needed) {
                path.push((*needed, 0));
            }
        } else {
            order.push(*node);
            path.pop();
        }
    }
    order
}

/// What an installation reads of these manifests besides those at the root: themselves, and folders and archives that
/// their dependencies name.
pub(super) fn install_inputs<'a>(manifests: impl Iterator<Item = &'a Manifest>) -> Vec<String> {
    let mut inputs = BTreeSet::new();
    for manifest in manifests {
        let folder = manifest.file.rsplit_once('/').map_or("", |(folder, _)| folder);
        if !folder.is_empty() {
            inputs.insert(manifest.file.clone());
            inputs.insert(format!("{folder}/.npmrc"));
        }
        for range in manifest.package.wanted().into_values() {
            let path = local(range).and_then(|path| inside(folder, path)).filter(|path| !path.is_empty());
            inputs.extend(path.into_iter().flat_map(|path| [format!("{path}/**"), path]));
        }
    }
    inputs.into_iter().collect()
}

/// Dependencies on folders and archives outside the source: `apps/web/package.json: core is file:../../../core`.
pub(super) fn outside<'a>(manifests: impl Iterator<Item = &'a Manifest>) -> Vec<String> {
    let mut found = Vec::new();
    for manifest in manifests {
        let folder = manifest.file.rsplit_once('/').map_or("", |(folder, _)| folder);
        let leads_out = |range: &str| local(range).is_some_and(|path| inside(folder, path).is_none());
        let wanted = manifest.package.wanted().into_iter().filter(|(_, range)| leads_out(range));
        found.extend(wanted.map(|(name, range)| format!("{}: {name} is {range}", manifest.file)));
    }
    found
}

/// The path that a dependency on a folder or an archive names.
fn local(range: &str) -> Option<&str> {
    ["file:", "link:", "portal:"].iter().find_map(|prefix| range.strip_prefix(prefix))
}

#[cfg(test)]
mod tests {
    use super::closure;

    #[test]
    fn what_is_needed_comes_first_and_a_circle_ends() {
        // 0 needs 1 and 2, 1 needs 2, 2 needs 3, 3 needs 1.
        let needs = [vec![1, 2], vec![2], vec![3], vec![1], vec![]];
        assert_eq!(closure(&needs, 0), [3, 2, 1, 0]);
        assert_eq!(closure(&needs, 3), [2, 1, 3]);
        assert_eq!(closure(&needs, 4), [4]);
    }
}
