//! The packages of an image: Debian's by dpkg's records, those of languages by what their managers left with them, and
//! what programs say of themselves.
//!
//! Named is only what is certain: a folder in `node_modules` whose `package.json` states this name and a version, the
//! `METADATA` of a Python distribution (<https://packaging.python.org/specifications/core-metadata/>), and what
//! [`programs`] reads.

use std::fs::File;

use serde_json::Value;

use super::contents::Opened;
use super::programs;
use super::report::{Kind, Package};
use crate::publish::Error;
use crate::store::{self, Content, Entry, Kind as EntryKind, Tree};

/// The largest `package.json` or `METADATA` that is read, in bytes.
const LIMIT: u64 = 4 << 20;
/// The longest licence that is named: some packages state its whole text.
const LICENCE: usize = 80;
/// The most modules of programs that are named. Images have some thousand.
const MODULES: usize = 200_000;

/// All packages, by kind and name.
pub(super) fn all(opened: &Opened) -> Result<Vec<Package>, Error> {
    let mut packages = Vec::new();
    let mut left = MODULES;
    for (record, layer) in opened.debian.values() {
        packages.push(Package {
            kind: Kind::Debian,
            name: record.name.clone(),
            version: record.version.clone(),
            source: record.source.clone(),
            licence: copyright(&opened.tree, &record.name)?,
            path: None,
            layer: *layer,
        });
    }
    for (path, entry) in opened.tree.iter() {
        let found = if let Some(folder) = path.strip_suffix("/package.json") {
            npm(folder, entry)?.into_iter().collect()
        } else if let Some(folder) = path.strip_suffix(".dist-info/METADATA") {
            python(folder, entry)?.into_iter().collect()
        } else {
            program(path, entry, &mut left)?
        };
        let layer = opened.of_path.get(path).copied().unwrap_or_default();
        packages.extend(found.into_iter().map(|package| Package { layer, ..package }));
    }
    packages.sort();
    Ok(packages)
}

/// The licence of most files of a Debian package, where its `copyright` is written for programs
/// (<https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/>).
fn copyright(tree: &Tree, name: &str) -> Result<Option<String>, Error> {
    let path = tree.locate(&format!("usr/share/doc/{name}/copyright"));
    let Some(entry) = path.and_then(|path| tree.get(&path)) else { return Ok(None) };
    let Some(text) = text(entry)? else { return Ok(None) };
    if !text.starts_with("Format:") {
        return Ok(None);
    }
    let field = |paragraph: &str, name: &str| {
        let line = paragraph.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.map(|value| value.trim().to_owned())
    };
    let of_most = text.split("\n\n").find(|paragraph| field(paragraph, "Files").as_deref() == Some("*"));
    let licence = of_most.and_then(|paragraph| field(paragraph, "License"));
    Ok(licence.filter(|text| is_licence(text)))
}

/// Whether it is the name of a licence, not its text.
fn is_licence(text: &str) -> bool {
    !text.is_empty() && text.len() <= LICENCE && text != "UNKNOWN"
}

/// The package in `folder`, which is `…/node_modules/NAME` or `…/node_modules/@SCOPE/NAME`.
fn npm(folder: &str, entry: &Entry) -> Result<Option<Package>, Error> {
    let rest = folder.rsplit_once("/node_modules/").map(|(_, rest)| rest);
    let Some(name) = rest.or_else(|| folder.strip_prefix("node_modules/")) else { return Ok(None) };
    if name.matches('/').count() != usize::from(name.starts_with('@')) {
        return Ok(None);
    }
    let Some(text) = text(entry)? else { return Ok(None) };
    let Ok(manifest) = serde_json::from_str::<Value>(&text) else { return Ok(None) };
    let field = |key: &str| manifest.get(key).and_then(Value::as_str);
    let (Some(stated), Some(version)) = (field("name"), field("version")) else { return Ok(None) };
    if stated != name {
        return Ok(None);
    }
    Ok(Some(package(Kind::Npm, name, version, field("license"), folder)))
}

/// The distribution whose folder begins with `stem`.
fn python(stem: &str, entry: &Entry) -> Result<Option<Package>, Error> {
    let Some(text) = text(entry)? else { return Ok(None) };
    // The description follows after an empty line.
    let head = text.split("\n\n").next().unwrap_or_default();
    let field = |key: &str| {
        let line = head.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
        line.map(str::trim).filter(|value| !value.is_empty())
    };
    let (Some(name), Some(version)) = (field("Name"), field("Version")) else { return Ok(None) };
    let licence = field("License-Expression").or_else(|| field("License"));
    Ok(Some(package(
        Kind::Python,
        name,
        version,
        licence,
        stem.rsplit_once('/').map_or("", |(site, _)| site),
    )))
}

/// What the program at `path` says that it is made of, `left` at most.
fn program(path: &str, entry: &Entry, left: &mut usize) -> Result<Vec<Package>, Error> {
    let EntryKind::File { content: Content::Path(file), .. } = &entry.kind else { return Ok(Vec::new()) };
    if entry.mode & 0o111 == 0 {
        return Ok(Vec::new());
    }
    let failed = store::Error::io("read", file);
    let read = || programs::modules(&File::open(file)?);
    let mut modules = read().map_err(failed)?;
    modules.truncate(*left);
    *left -= modules.len();
    let package = |module: programs::Module| package(module.kind, &module.name, &module.version, None, path);
    Ok(modules.into_iter().map(package).collect())
}

fn package(kind: Kind, name: &str, version: &str, licence: Option<&str>, folder: &str) -> Package {
    Package {
        kind,
        name: name.to_owned(),
        version: version.to_owned(),
        source: None,
        licence: licence.filter(|text| is_licence(text)).map(str::to_owned),
        path: Some(format!("/{folder}")),
        layer: 0,
    }
}

/// The text of a file; none when it is too large or no text.
fn text(entry: &Entry) -> Result<Option<String>, Error> {
    let EntryKind::File { content, size: ..=LIMIT } = &entry.kind else { return Ok(None) };
    Ok(String::from_utf8(content.read()?.into_owned()).ok())
}
