//! From the plan's layers to the entries of each: which file goes where, once.
//!
//! In: the composed runtime root, the toolchains, the work tree. Out: one tree per layer. A work file goes to
//! the first layer whose globs select it. Files of the app belong to root and nobody may write to them.

use std::collections::{BTreeMap, BTreeSet};

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use super::{Error, LayerInput, Time};
use crate::plan::Plan;
use crate::plan::model::{Contents, Layer, Root};
use crate::store::{Entry, Kind, Tree};

/// Where the start helper stands in an image.
pub(crate) const INIT: &str = "usr/bin/rpack-init";

/// What layers are made of.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a> {
    /// The composed runtime root; entries name their package.
    pub runtime_root: &'a Tree,
    /// Those for the image's platform, by name; paths start with the toolchain's target.
    pub toolchains: &'a BTreeMap<String, Tree>,
    /// The source below `app/` with the results of all steps.
    pub work: &'a Tree,
    /// The files of the image below, if there is one.
    pub base: Option<&'a Tree>,
}

/// Divides the parts among the plan's layers.
pub fn assemble(plan: &Plan, parts: Parts<'_>) -> Result<Vec<LayerInput>, Error> {
    let mut taken = BTreeSet::new();
    let layers: Vec<LayerInput> = plan
        .layers
        .iter()
        .map(|layer| assemble_one(plan, layer, parts, &mut taken))
        .collect::<Result<_, _>>()?;
    check_start(plan, &layers, parts.base)?;
    Ok(layers.into_iter().filter(|layer| !layer.tree.is_empty()).collect())
}

/// A start command that names a file nobody made would only fail where the image runs.
fn check_start(plan: &Plan, layers: &[LayerInput], base: Option<&Tree>) -> Result<(), Error> {
    let image = &plan.image;
    let has = |path: &str| {
        let path = path.trim_start_matches('/');
        layers.iter().any(|layer| layer.tree.get(path).is_some())
            || base.is_some_and(|files| files.locate(path).is_some_and(|place| files.get(&place).is_some()))
    };
    let start = image.entrypoint.iter().position(|word| word == "--").map_or(0, |at| at + 1);
    let argv = &image.entrypoint[start..];
    let Some(program) = argv.first() else { return Ok(()) };
    let path = image.env.iter().find_map(|variable| variable.strip_prefix("PATH=")).unwrap_or_default();
    let found = if program.contains('$') {
        true
    } else if program.contains('/') {
        has(&below(&image.working_directory, program))
    } else {
        path.split(':').any(|folder| has(&below(folder, program)))
    };
    let script = argv.get(1).filter(|word| {
        ["node", "python", "python3"].contains(&program.as_str())
            && [".js", ".mjs", ".cjs", ".py"].iter().any(|extension| word.ends_with(extension))
    });
    let missing = match script {
        _ if !found => program,
        Some(script) if !has(&below(&image.working_directory, script)) => script,
        _ => return Ok(()),
    };
    Err(Error::StartMissing {
        path: missing.clone(),
        origin: image.start_origin.clone(),
        nearest: alike(missing, layers),
    })
}

/// `path` as seen from `folder`, without `.` components.
fn below(folder: &str, path: &str) -> String {
    let whole = if path.starts_with('/') { path.to_owned() } else { format!("{folder}/{path}") };
    let parts: Vec<&str> = whole.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    parts.join("/")
}

/// Files of the app with the same name in another folder, or with the same extension beside it.
fn alike(path: &str, layers: &[LayerInput]) -> Vec<String> {
    let name = path.rsplit('/').next().unwrap_or(path);
    let extension = name.rsplit_once('.').map(|(_, extension)| format!(".{extension}"));
    let files = layers.iter().filter(|layer| layer.id == "app").flat_map(|layer| layer.tree.iter());
    let files: Vec<&str> = files.filter_map(|(path, _)| path.strip_prefix("app/")).collect();
    let same_name = files.iter().filter(|file| file.rsplit('/').next() == Some(name));
    let same_kind =
        files.iter().filter(|file| extension.as_ref().is_some_and(|extension| file.ends_with(extension)));
    let mut nearest: Vec<String> = Vec::new();
    for file in same_name.chain(same_kind) {
        if nearest.len() < 5 && !nearest.iter().any(|known| known == file) {
            nearest.push((*file).to_owned());
        }
    }
    nearest
}

/// The entries of one layer; `taken` are those of the work that lower layers have.
pub(super) fn assemble_one(
    plan: &Plan,
    layer: &Layer,
    parts: Parts<'_>,
    taken: &mut BTreeSet<String>,
) -> Result<LayerInput, Error> {
    let mut tree = Tree::new();
    for contents in &layer.contents {
        match contents {
            Contents::RuntimeRoot {} => {
                add_packages(&plan.runtime_root, &layer.id, parts.runtime_root, &mut tree);
            }
            Contents::Toolchain { name, include } => {
                let toolchain = parts
                    .toolchains
                    .get(name)
                    .ok_or_else(|| Error::UnknownToolchain { layer: layer.id.clone(), name: name.clone() })?;
                add_toolchain(plan, name, include, toolchain, &mut tree)?;
            }
            Contents::Work { include, exclude } => {
                add_work(&globs(include)?, &globs(exclude)?, parts.work, taken, &mut tree);
            }
            Contents::Init {} => {
                let helper = crate::init::binary(&plan.platform)
                    .ok_or_else(|| Error::Platform(plan.platform.clone()))?;
                tree.insert(INIT, Entry::bytes(helper).with_mode(0o755));
            }
            Contents::Files { files, links } => add_files(files, links, &mut tree),
            Contents::Site(site) => add_site(&crate::site::pack(site, parts.work)?, taken, &mut tree),
            Contents::SiteServer {} => {
                let server = crate::site::binary(&plan.platform)
                    .ok_or_else(|| Error::Platform(plan.platform.clone()))?;
                let path = crate::site::PATH.trim_start_matches('/');
                tree.insert(path, Entry::bytes(server).with_mode(0o755));
            }
        }
    }
    tree.add_parents();
    let time = if layer.id == "app" { Time::Source } else { Time::Fixed };
    Ok(LayerInput { id: layer.id.clone(), comment: layer.comment.clone(), tree, time })
}

/// Adds what the runtime root, composed as `composed`, has for this layer: its packages. What no package brings
/// belongs to the base.
pub fn add_packages(root: &Root, layer: &str, composed: &Tree, tree: &mut Tree) {
    let names: BTreeSet<&str> = root
        .packages
        .iter()
        .filter(|package| package.layer == layer)
        .map(|package| package.name.as_str())
        .collect();
    for (path, entry) in composed.iter() {
        let ours = match &entry.package {
            Some(package) => names.contains(package.as_str()),
            None => layer == "base",
        };
        if ours {
            tree.insert(path, entry.clone());
        }
    }
}

fn add_toolchain(
    plan: &Plan,
    name: &str,
    include: &[String],
    toolchain: &Tree,
    tree: &mut Tree,
) -> Result<(), Error> {
    let target = plan
        .toolchains
        .iter()
        .find(|tool| tool.name == name && tool.platform == plan.platform)
        .map_or("", |tool| &tool.target);
    let prefix = format!("{}/", target.trim_matches('/'));
    let include = globs(include)?;
    for (path, entry) in toolchain.iter() {
        let selected =
            path.strip_prefix(&prefix).is_some_and(|rest| include.is_empty() || include.is_match(rest));
        if selected && !matches!(entry.kind, Kind::Directory { .. }) {
            tree.insert(path, normalised(entry));
        }
    }
    Ok(())
}

fn add_work(
    include: &GlobSet,
    exclude: &GlobSet,
    work: &Tree,
    taken: &mut BTreeSet<String>,
    tree: &mut Tree,
) {
    for (path, entry) in work.iter() {
        if !include.is_match(path) || exclude.is_match(path) {
            continue;
        }
        if matches!(entry.kind, Kind::Directory { .. }) || taken.insert(path.to_owned()) {
            tree.insert(path, normalised(entry));
        }
    }
}

/// What the server hands out is in no other layer.
fn add_site(site: &Tree, taken: &mut BTreeSet<String>, tree: &mut Tree) {
    for (path, entry) in site.iter() {
        taken.insert(path.to_owned());
        tree.insert(path, entry.clone());
    }
}

fn add_files(files: &BTreeMap<String, String>, links: &BTreeMap<String, String>, tree: &mut Tree) {
    for (path, text) in files {
        tree.insert(path.trim_start_matches('/'), Entry::bytes(text.as_bytes()));
    }
    for (path, target) in links {
        tree.insert(path.trim_start_matches('/'), Entry::symlink(target));
    }
}

/// Root's, readable by everybody, writable by nobody else; what a step or a checkout set is not kept.
fn normalised(entry: &Entry) -> Entry {
    let mode = match entry.kind {
        Kind::Directory { .. } => 0o755,
        Kind::Symlink { .. } => 0o777,
        _ if entry.mode & 0o111 != 0 => 0o755,
        _ => 0o644,
    };
    Entry { mode, uid: 0, gid: 0, ..entry.clone() }
}

/// Globs over whole paths: `*` stays inside a component, `**` does not.
pub(crate) fn globs(patterns: &[String]) -> Result<GlobSet, Error> {
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        let glob = GlobBuilder::new(pattern).literal_separator(true).backslash_escape(true).build();
        set.add(glob.map_err(|source| Error::Glob { pattern: pattern.clone(), source })?);
    }
    set.build().map_err(|source| Error::Glob { pattern: patterns.join(" "), source })
}
