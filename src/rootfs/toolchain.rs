//! Archives of language registries as trees: Node, npm, Go, uv, Maven.
//!
//! In: a [`Toolchain`] of the plan. Out: a [`Tree`] below its target (`opt/node/bin/node`), with the links it
//! asks for. The archive must have the integrity that the plan states, before anything of it is used.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use super::registry::{self, Integrity};
use super::unpack::{Failure, Unpacked, unpack};
use super::unzip::{digests, unzip};
use super::xz::xz;
use super::{Context, Error};
use crate::http::{self, Fetched, shown};
use crate::oci::{Digest, to_canonical_json};
use crate::plan::model::Toolchain;
use crate::store::{Entry, Kind, Tree, tree::is_clean};

/// Changes when equal toolchains give another tree.
const RULES: u32 = 2;
/// Archives larger than this are refused.
const LARGEST: u64 = 1 << 30;

/// The tree of `toolchain`, fetched and unpacked only if the store does not have it.
///
/// # Errors
/// When it cannot be fetched, has another integrity, or cannot be unpacked.
pub fn toolchain(toolchain: &Toolchain, context: &Context) -> Result<Tree, Error> {
    let wrong = |reason: String| wrong(toolchain, reason);
    let target = relative(&toolchain.target)
        .ok_or_else(|| wrong(format!("its target `{}` is not an absolute path", toolchain.target)))?;
    let json = to_canonical_json(&(RULES, toolchain)).expect("a toolchain serialises to plain JSON");
    let key = format!("toolchain-{}", Digest::of(&json).hex());
    let name = format!("{} {}", toolchain.name, toolchain.version);
    let mut tree = if let Some(unpacked) = Unpacked::load(&context.store, &key)? {
        context.reporter.detail(&format!("{name}  found {key}"));
        unpacked.tree
    } else {
        context.reporter.detail(&format!("{name}  is fetched: not in the store"));
        fetch(toolchain, target, &key, context)?
    };
    let executable = globs(&toolchain.executable).map_err(wrong)?;
    for (path, entry) in tree.iter_mut() {
        let below = path.strip_prefix(target).and_then(|path| path.strip_prefix('/'));
        normalise(entry, below.is_some_and(|path| executable.is_match(path)));
    }
    for (link, text) in &toolchain.links {
        let path =
            relative(link).ok_or_else(|| wrong(format!("the link `{link}` is not an absolute path")))?;
        tree.insert(path, Entry::symlink(text.clone()));
    }
    tree.add_parents();
    Ok(tree)
}

fn wrong(toolchain: &Toolchain, reason: String) -> Error {
    Error::Toolchain { name: toolchain.name.clone(), version: toolchain.version.clone(), reason }
}

fn fetch(toolchain: &Toolchain, target: &str, key: &str, context: &Context) -> Result<Tree, Error> {
    let wrong = |reason: String| wrong(toolchain, reason);
    let failed = |failure: Failure| match failure {
        Failure::Archive(reason) => wrong(reason),
        Failure::Store(error) => error.into(),
    };
    if !is_clean(&toolchain.path) {
        return Err(wrong(format!("its path `{}` leads out of the registry", toolchain.path)));
    }
    let include = globs(&toolchain.include).map_err(wrong)?;
    let integrity = Integrity::parse(&toolchain.integrity).map_err(wrong)?;
    let progress = context.reporter.transfer(&format!("{} {}", toolchain.name, toolchain.version), 0);
    let expected = integrity.expected(LARGEST);
    let (url, Fetched { file, .. }) = registry::fetch(context, toolchain, &expected, &progress)?;
    progress.finish();
    if let Integrity::H1(expected) = &integrity {
        let found = registry::h1(digests(file.as_file()).map_err(failed)?);
        if found != *expected {
            let expected = expected.clone();
            return Err(http::Error::Digest { url: shown(&url), algorithm: "h1", expected, found }.into());
        }
    }
    let folder = context.store.temporary_folder()?;
    let place = |name: &str| {
        let name = name.splitn(toolchain.strip + 1, '/').nth(toolchain.strip)?;
        let name = renamed(name, &toolchain.rename);
        (toolchain.include.is_empty() || include.is_match(&name)).then(|| format!("{target}/{name}"))
    };
    let tree = open(&toolchain.path, file.as_file(), folder.path(), place).map_err(failed)?;
    if tree.is_empty() {
        return Err(wrong(format!("nothing in it matches {:?}", toolchain.include)));
    }
    if let Some((path, parent)) = below_no_folder(&tree) {
        return Err(wrong(format!("`{path}` lies below `{parent}`, which is no folder")));
    }
    let unpacked = Unpacked { tree, texts: BTreeMap::new() }.keep(&context.store, key, folder)?;
    context.store.describe("trees", key, || format!("archive {} {}", toolchain.name, toolchain.version));
    Ok(unpacked.tree)
}

/// The first entry below a link or a file: written to disk, it could land wherever the link leads.
fn below_no_folder(tree: &Tree) -> Option<(&str, &str)> {
    let is_folder =
        |path: &str| tree.get(path).is_none_or(|entry| matches!(entry.kind, Kind::Directory { .. }));
    tree.iter().find_map(|(path, _)| {
        let mut parents = path.match_indices('/').map(|(slash, _)| &path[..slash]);
        Some((path, parents.find(|parent| !is_folder(parent))?))
    })
}

/// Unpacks the archive in the format that the end of its name says.
fn open(
    name: &str,
    file: &File,
    folder: &Path,
    place: impl FnMut(&str) -> Option<String>,
) -> Result<Tree, Failure> {
    let ends = |endings: &[&str]| endings.iter().any(|ending| name.ends_with(ending));
    if ends(&[".zip", ".whl", ".jar"]) {
        return unzip(file, folder, place);
    }
    let reader = BufReader::with_capacity(128 * 1024, file);
    let reader: Box<dyn Read> = if ends(&[".tar.gz", ".tgz"]) {
        Box::new(MultiGzDecoder::new(reader))
    } else if ends(&[".tar.xz", ".txz"]) {
        Box::new(xz(reader)?)
    } else if ends(&[".tar"]) {
        Box::new(reader)
    } else {
        let known = "`.tar.gz`, `.tgz`, `.tar.xz`, `.txz`, `.tar`, `.zip`, `.whl` and `.jar` can be unpacked";
        return Err(Failure::Archive(format!("`{name}` is of an unknown format: {known}")));
    };
    unpack(reader, folder, place)
}

fn globs(patterns: &[String]) -> Result<GlobSet, String> {
    let mut globs = GlobSetBuilder::new();
    for pattern in patterns {
        let glob = GlobBuilder::new(pattern).literal_separator(true).build();
        globs.add(glob.map_err(|error| format!("`{pattern}` is not a glob: {error}"))?);
    }
    globs.build().map_err(|error| error.to_string())
}

/// The path with another file name where one is stated.
fn renamed(path: &str, names: &BTreeMap<String, String>) -> String {
    let start = path.rfind('/').map_or(0, |slash| slash + 1);
    match names.get(&path[start..]) {
        Some(name) => format!("{}{name}", &path[..start]),
        None => path.to_owned(),
    }
}

/// Registries pack files as whoever built them; only the right to execute means something.
fn normalise(entry: &mut Entry, is_executable: bool) {
    (entry.uid, entry.gid, entry.mtime) = (0, 0, 0);
    entry.mode = match entry.kind {
        Kind::File { .. } if entry.mode & 0o111 == 0 && !is_executable => 0o644,
        Kind::Symlink { .. } => 0o777,
        _ => 0o755,
    };
}

fn relative(path: &str) -> Option<&str> {
    path.strip_prefix('/').filter(|path| is_clean(path))
}
