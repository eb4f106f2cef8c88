//! Which file of a finished image needs which package: the evidence, read back from the image alone.
//!
//! In: the image's files. Out: its Debian packages (from `/var/lib/dpkg/status.d`, as scanners read them), each with
//! those of its files that files outside the package load, and libraries that ship outside packages.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde::Serialize;

use super::Error;
use super::load::{self, users};
use super::rules::Rules;
use super::scan::Scan;
use super::search::Target;
use super::view::View;
use crate::definitions::Definitions;
use crate::store::{Entry, Kind, Tree};

/// Where an image has the records of its packages, relative to `/`.
pub const RECORDS: &str = "var/lib/dpkg/status.d";
/// Bytes of a record at most; the largest lists of files have 3 MB.
const RECORD: u64 = 16 << 20;
/// Users that the text names; the JSON form names all.
const SHOWN: usize = 3;

/// What an image's packages are for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Report {
    /// By name.
    pub packages: Vec<Used>,
    /// Libraries that ship outside packages and that other files load, by path.
    pub bundled: Vec<Bundled>,
}

/// A package of an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Used {
    /// Its name.
    pub name: String,
    /// Its Debian version.
    pub version: String,
    /// Its files that files outside it load, with those files; absolute paths, sorted.
    pub files: BTreeMap<String, Vec<String>>,
    /// Why it is there when no file loads it: `listed`, `companion of libfontconfig1`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A library outside packages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Bundled {
    /// Its absolute path.
    pub file: String,
    /// The files that load it; sorted.
    pub needed_by: Vec<String>,
}

/// Explains the packages of an image.
///
/// # Errors
/// When a file of the image cannot be read, or the architecture is none of Debian's.
pub fn report(
    tree: &Tree,
    architecture: &str,
    library_path: &[String],
    definitions: &Definitions,
) -> Result<Report, Error> {
    let target = Target::debian(architecture).ok_or_else(|| Error::Target(architecture.to_owned()))?;
    let rules = Rules::load(definitions)?;
    let view = View::new(vec![tree]);
    let mut scan = Scan::default();
    scan.add(tree, |_| false)?;
    let owners = owners(tree, &view)?;
    let outcome = load::load(&scan.elves, &view, library_path, target);
    let mut packages: BTreeMap<String, Used> = BTreeMap::new();
    for (name, version) in versions(tree)? {
        packages.insert(name.clone(), Used { name, version, files: BTreeMap::new(), reason: None });
    }
    let mut bundled = Vec::new();
    for (file, users) in users(&outcome.met) {
        let owner = owners.get(file);
        let outside: Vec<String> = users
            .iter()
            .filter(|user| owner.is_none() || owners.get(**user) != owner)
            .map(|user| format!("/{user}"))
            .collect();
        match owner.and_then(|owner| packages.get_mut(owner)) {
            Some(package) if !outside.is_empty() => {
                package.files.insert(format!("/{file}"), outside);
            }
            Some(_) => {}
            None => bundled.push(Bundled { file: format!("/{file}"), needed_by: outside }),
        }
    }
    let names: BTreeSet<String> = packages.keys().cloned().collect();
    for package in packages.values_mut().filter(|package| package.files.is_empty()) {
        let of =
            rules.companions.iter().find(|(of, list)| names.contains(*of) && list.contains(&package.name));
        package.reason = Some(of.map_or_else(|| "listed".to_owned(), |(of, _)| format!("companion of {of}")));
    }
    Ok(Report { packages: packages.into_values().collect(), bundled })
}

/// The package of each file.
pub(super) fn owners(tree: &Tree, view: &View<'_>) -> Result<BTreeMap<String, String>, Error> {
    let mut owners = BTreeMap::new();
    for (path, entry) in tree.below(RECORDS) {
        let Some(package) = load::base_name(path).strip_suffix(".md5sums") else { continue };
        for line in text(entry)?.lines() {
            // A digest, two blanks, a path; on older releases below `/lib`, which is a link.
            let Some((_, file)) = line.split_once("  ") else { continue };
            if let Some(file) = view.file(file) {
                owners.insert(file, package.to_owned());
            }
        }
    }
    Ok(owners)
}

/// Name and version of each package whose record is in `tree`.
///
/// # Errors
/// When a record cannot be read.
pub fn versions(tree: &Tree) -> Result<Vec<(String, String)>, Error> {
    let mut versions = Vec::new();
    for (path, entry) in tree.below(RECORDS).filter(|(path, _)| !path.ends_with(".md5sums")) {
        let record = text(entry)?;
        let field = |name: &str| record.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        let name = field("Package").unwrap_or_else(|| load::base_name(path));
        versions.push((name.to_owned(), field("Version").unwrap_or_default().to_owned()));
    }
    Ok(versions)
}

/// The text of a record; what is too large or no text counts as empty.
fn text(entry: &Entry) -> Result<String, Error> {
    let Kind::File { content, size: ..=RECORD } = &entry.kind else { return Ok(String::new()) };
    Ok(String::from_utf8(content.read()?.into_owned()).unwrap_or_default())
}

impl Report {
    /// For people, with a line end behind every line.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for package in &self.packages {
            let reason = package.reason.as_ref().map(|reason| format!("  ({reason})")).unwrap_or_default();
            let _ = writeln!(text, "{} {}{reason}", package.name, package.version);
            for (file, users) in &package.files {
                let _ = writeln!(text, "  {file}  <-  {}", shown(users));
            }
        }
        if !self.bundled.is_empty() {
            let _ = writeln!(text, "\noutside packages");
            for library in &self.bundled {
                let _ = writeln!(text, "  {}  <-  {}", library.file, shown(&library.needed_by));
            }
        }
        text
    }
}

fn shown(users: &[String]) -> String {
    let text = users.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    match users.len().saturating_sub(SHOWN) {
        0 => text,
        1 => format!("{text} and one other"),
        more => format!("{text} and {more} others"),
    }
}
