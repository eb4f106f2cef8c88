//! Following dependencies through the folders that a package manager made.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde::Deserialize;
use serde_json::Value;

use super::Error;
use super::place::Place;
use crate::store::tree::is_clean;
use crate::store::{Content, Kind, Tree};

/// The largest manifest that is read, in bytes; those of packages have some thousands.
const MANIFEST_LIMIT: u64 = 4 << 20;
/// How many links in a row are followed, as the kernel does.
const LINKS: usize = 40;
/// Flags of Node.js that name a module to load first.
const PRELOADS: [&str; 5] = ["-r", "--require", "--import", "--loader", "--experimental-loader"];

/// What is reached so far.
pub(super) struct Walk<'a> {
    pub(super) tree: &'a Tree,
    cpu: &'a str,
    /// Paths of packages, and of links that stand for them.
    kept: BTreeSet<String>,
    /// Folders whose manifests have been followed.
    followed: BTreeSet<String>,
}

/// The part of a manifest that says what its package needs.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Manifest {
    dependencies: BTreeMap<String, Value>,
    optional_dependencies: BTreeMap<String, Value>,
    peer_dependencies: BTreeMap<String, Value>,
    peer_dependencies_meta: BTreeMap<String, PeerMeta>,
    os: Names,
    cpu: Names,
    libc: Names,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct PeerMeta {
    optional: bool,
}

/// One name or several.
#[derive(Deserialize)]
#[serde(untagged)]
enum Names {
    One(String),
    Many(Vec<String>),
}

impl Default for Names {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

impl Names {
    /// Whether `wanted` is meant: listed, or not excluded by `!`.
    fn admit(&self, wanted: &str) -> bool {
        let names = match self {
            Self::One(name) => std::slice::from_ref(name),
            Self::Many(names) => names,
        };
        let excluded = names.iter().any(|name| name.strip_prefix('!') == Some(wanted));
        let positive = names.iter().any(|name| !name.starts_with('!'));
        !excluded && (!positive || names.iter().any(|name| name == wanted || name == "any"))
    }
}

impl Manifest {
    /// Names that the package loads: an optional peer is the business of whoever installs it.
    fn needs(&self) -> impl Iterator<Item = &str> {
        let is_optional =
            |name: &str| self.peer_dependencies_meta.get(name).is_some_and(|meta| meta.optional);
        let peers = self.peer_dependencies.keys().filter(move |name| !is_optional(name));
        self.dependencies.keys().chain(self.optional_dependencies.keys()).chain(peers).map(String::as_str)
    }
}

impl<'a> Walk<'a> {
    /// Nothing is reached yet in `tree`, which is for Linux with glibc on `cpu`.
    pub(super) fn new(tree: &'a Tree, cpu: &'a str) -> Self {
        Self { tree, cpu, kept: BTreeSet::new(), followed: BTreeSet::new() }
    }

    /// Reaches everything that the manifest in `folder` needs at run time, and what that needs.
    pub(super) fn follow_manifest(&mut self, folder: &str) -> Result<(), Error> {
        let mut queue = vec![folder.to_owned()];
        while let Some(folder) = queue.pop() {
            if !self.followed.insert(folder.clone()) {
                continue;
            }
            let manifest = self.manifest(&folder)?;
            for name in manifest.needs() {
                if let Some(found) = self.resolve(&folder, name) {
                    queue.extend(self.keep(&found)?);
                }
            }
        }
        Ok(())
    }

    /// Reaches packages that a start command names: their commands, and modules that Node.js is told to load first.
    pub(super) fn follow_command(&mut self, directory: &str, argv: &[&str]) -> Result<(), Error> {
        let before = std::iter::once(&"").chain(argv);
        for (before, word) in before.zip(argv) {
            let loaded =
                word.split_once('=').filter(|(flag, _)| PRELOADS.contains(flag)).map(|(_, name)| name);
            let module = loaded.or_else(|| PRELOADS.contains(before).then_some(*word));
            let found = match module {
                Some(module) if !module.starts_with(['.', '/']) => {
                    self.resolve(directory, package_of(module))
                }
                _ => self.package_of_file(directory, word),
            };
            if let Some(found) = found
                && let Some(folder) = self.keep(&found)?
            {
                self.follow_manifest(&folder)?;
            }
        }
        Ok(())
    }

    /// Whether the package, or the link to one, at `path` is reached.
    pub(super) fn keeps(&self, path: &str) -> bool {
        self.kept.contains(path)
    }

    /// Whether the link at `path` leads into a package that is reached, or out of the folders of packages.
    pub(super) fn leads_to_kept(&self, path: &str, folders: &[String]) -> bool {
        let Some(real) = self.real(path) else { return false };
        match Place::of(&real, folders) {
            Place::Package(package) => self.keeps(package),
            // Not a link, so nothing is known of whom it belongs to.
            Place::Command => true,
            Place::Elsewhere | Place::Data => self.tree.get(&real).is_some(),
            Place::Structure => false,
        }
    }

    /// Marks what stands at `path` and gives the folder of the package, unless that is for another platform.
    fn keep(&mut self, path: &str) -> Result<Option<String>, Error> {
        let Some(real) = self.real(path) else { return Ok(None) };
        let manifest = self.manifest(&real)?;
        if !(manifest.os.admit("linux") && manifest.cpu.admit(self.cpu) && manifest.libc.admit("glibc")) {
            return Ok(None);
        }
        self.kept.insert(path.to_owned());
        self.kept.insert(real.clone());
        Ok(Some(real))
    }

    /// Where `name` is found from `folder`: in `node_modules` of the folder itself, else of those above it.
    fn resolve(&self, folder: &str, name: &str) -> Option<String> {
        if !is_clean(name) {
            return None;
        }
        let mut folder = folder;
        loop {
            let candidate = format!("{folder}/node_modules/{name}");
            if !folder.ends_with("/node_modules") && self.tree.get(&candidate).is_some() {
                return Some(candidate);
            }
            folder = folder.rsplit_once('/')?.0;
        }
    }

    /// The package that a file of a command belongs to: `node_modules/.bin/next`.
    fn package_of_file(&self, directory: &str, word: &str) -> Option<String> {
        let path = match word.strip_prefix('/') {
            Some(absolute) => absolute.to_owned(),
            None => format!("{directory}/{}", word.trim_start_matches("./")),
        };
        let real = self.real(&path)?;
        let at = real.rfind("/node_modules/")? + "/node_modules/".len();
        Some(format!("{}{}", &real[..at], package_of(&real[at..])))
    }

    /// `path` without links; nothing when it does not exist or leads outside.
    fn real(&self, path: &str) -> Option<String> {
        let mut rest: Vec<String> = path.split('/').rev().map(str::to_owned).collect();
        let mut real: Vec<String> = Vec::new();
        let mut links = 0;
        while let Some(part) = rest.pop() {
            match part.as_str() {
                "" | "." => continue,
                ".." => {
                    real.pop()?;
                    continue;
                }
                _ => real.push(part),
            }
            if let Kind::Symlink { target } = &self.tree.get(&real.join("/"))?.kind {
                links += 1;
                if links > LINKS {
                    return None;
                }
                if target.starts_with('/') {
                    real.clear();
                } else {
                    real.pop();
                }
                rest.extend(target.split('/').rev().map(str::to_owned));
            }
        }
        Some(real.join("/"))
    }

    /// The manifest in `folder`; an empty one when there is none, or none that can be understood.
    fn manifest(&self, folder: &str) -> Result<Manifest, Error> {
        let path = format!("{folder}/package.json");
        let Some(Kind::File { size, content }) = self.tree.get(&path).map(|entry| &entry.kind) else {
            return Ok(Manifest::default());
        };
        if *size > MANIFEST_LIMIT {
            return Ok(Manifest::default());
        }
        let bytes = match content {
            Content::Bytes(bytes) => bytes.clone(),
            Content::Path(file) => fs::read(file).map_err(|source| Error::Read { path, source })?,
        };
        let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
        Ok(serde_json::from_slice(text).unwrap_or_default())
    }
}

/// The name of the package in `NAME/file` or `@SCOPE/NAME/file`.
fn package_of(module: &str) -> &str {
    let parts = if module.starts_with('@') { 2 } else { 1 };
    module.match_indices('/').nth(parts - 1).map_or(module, |(at, _)| &module[..at])
}
