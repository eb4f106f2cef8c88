//! Which system an image holds, and which Debian packages it has.
//!
//! Read are `os-release` (<https://www.freedesktop.org/software/systemd/man/latest/os-release.html>) and dpkg's
//! records: the one file `status` of installed systems, the folder `status.d` of images made from packages.

use std::collections::BTreeMap;

use super::Error;
use crate::store::{self, Kind, Tree};

/// The largest of these files that is read.
const LIMIT: u64 = 64 << 20;

/// Where a system says what it is; the first counts.
const RELEASES: [&str; 2] = ["etc/os-release", "usr/lib/os-release"];
/// The one list of an installed system, relative to `/`.
pub const STATUS: &str = "var/lib/dpkg/status";
/// The lists of an image that is made from packages.
const STATUS_FOLDER: &str = "var/lib/dpkg/status.d";

/// Versions of the packages of an image, by name.
pub(in crate::rootfs) type Installed = BTreeMap<String, String>;

/// `debian-13`: id and version of the system; none when the image does not say.
///
/// # Errors
/// When a file cannot be read.
pub fn release(tree: &Tree) -> Result<Option<String>, store::Error> {
    let mut text = None;
    for path in RELEASES {
        text = match text {
            None => read(tree, path)?,
            found => found,
        };
    }
    let Some(text) = text else { return Ok(None) };
    let value = |name: &str| {
        let line = text.lines().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix('='))?;
        let value = line.trim().trim_matches(['"', '\'']);
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        (!value.is_empty() && value.len() <= 64 && value.chars().all(is_plain)).then(|| value.to_owned())
    };
    let Some(id) = value("ID") else { return Ok(None) };
    Ok(Some(value("VERSION_ID").map_or_else(|| id.clone(), |version| format!("{id}-{version}"))))
}

/// A package that an image has, as dpkg's record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its name.
    pub name: String,
    /// Its Debian version.
    pub version: String,
    /// `amd64`, `all`; empty when the record does not say.
    pub architecture: String,
    /// The source package, where that has another name.
    pub source: Option<String>,
}

/// The packages that are installed; none in an image without dpkg's records.
pub(super) fn installed(tree: &Tree) -> Result<Installed, Error> {
    Ok(records(tree)?.into_iter().map(|record| (record.name, record.version)).collect())
}

/// The records of the packages that are installed, in the order they are found; none in an image without dpkg's records.
///
/// # Errors
/// When a file cannot be read.
pub fn records(tree: &Tree) -> Result<Vec<Record>, store::Error> {
    let mut found = Vec::new();
    if let Some(text) = read(tree, STATUS)? {
        found.extend(text.split("\n\n").filter_map(|record| parse(record, true)));
    }
    let paths = tree.below(STATUS_FOLDER).filter(|(path, _)| path.strip_suffix(".md5sums").is_none());
    for (path, _) in paths {
        found.extend(read(tree, path)?.and_then(|text| parse(&text, false)));
    }
    Ok(found)
}

/// The files that are read here, by the paths that they have, with their texts.
pub(super) fn texts(tree: &Tree) -> Result<BTreeMap<String, String>, store::Error> {
    let records = tree.below(STATUS_FOLDER).map(|(path, _)| path);
    let records = records.filter(|path| path.strip_suffix(".md5sums").is_none());
    let mut found = BTreeMap::new();
    for path in RELEASES.into_iter().chain([STATUS]).chain(records) {
        if let (Some(place), Some(text)) = (tree.locate(path), read(tree, path)?) {
            found.insert(place, text);
        }
    }
    Ok(found)
}

/// Whether a change at `path` may change what [`records`] finds.
pub fn is_record(path: &str) -> bool {
    path == STATUS || path.strip_prefix(STATUS_FOLDER).is_some_and(|rest| rest.starts_with('/'))
}

/// A record counts when it says that the package is installed; in `status.d` records have no status.
fn parse(record: &str, needs_status: bool) -> Option<Record> {
    let field = |name: &str| {
        record.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
    };
    let is_installed = match field("Status") {
        Some(status) => status.ends_with(" installed"),
        None => !needs_status,
    };
    let (true, Some(name), Some(version)) = (is_installed, field("Package"), field("Version")) else {
        return None;
    };
    let source = field("Source").and_then(|source| source.split_whitespace().next());
    Some(Record {
        name: name.to_owned(),
        version: version.to_owned(),
        architecture: field("Architecture").unwrap_or_default().to_owned(),
        source: source.map(str::to_owned),
    })
}

fn read(tree: &Tree, path: &str) -> Result<Option<String>, store::Error> {
    let entry = tree.locate(path).and_then(|path| tree.get(&path));
    let Some(Kind::File { size, content }) = entry.map(|entry| &entry.kind) else { return Ok(None) };
    if *size > LIMIT {
        return Ok(None);
    }
    Ok(Some(String::from_utf8_lossy(&content.read()?).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::{installed, release};
    use crate::store::{Entry, Tree};

    fn tree(entries: &[(&str, Entry)]) -> Tree {
        let mut tree: Tree =
            entries.iter().map(|(path, entry)| ((*path).to_owned(), entry.clone())).collect();
        tree.add_parents();
        tree
    }

    #[test]
    fn the_release_is_read_through_links() {
        let text = "NAME=\"Debian GNU/Linux\"\nVERSION_ID=\"13\"\nVARIANT_ID=x\nID=debian\n";
        let debian = [
            ("etc/os-release", Entry::symlink("../usr/lib/os-release")),
            ("usr/lib/os-release", Entry::bytes(text)),
        ];
        assert_eq!(release(&tree(&debian)).unwrap().as_deref(), Some("debian-13"));
        let rolling = [("etc/os-release", Entry::bytes("ID='arch'\n"))];
        assert_eq!(release(&tree(&rolling)).unwrap().as_deref(), Some("arch"));
        let hostile = [("etc/os-release", Entry::bytes("ID=debian; rm\nVERSION_ID=13"))];
        assert_eq!(release(&tree(&hostile)).unwrap(), None);
        assert_eq!(release(&Tree::new()).unwrap(), None);
    }

    #[test]
    fn packages_are_read_from_either_record() {
        let status = "Package: libc6\nStatus: install ok installed\nVersion: 2.41-12\n\n\
                      Package: gone\nStatus: deinstall ok config-files\nVersion: 1\n";
        let tree = tree(&[
            ("var/lib/dpkg/status", Entry::bytes(status)),
            ("var/lib/dpkg/status.d/tzdata", Entry::bytes("Package: tzdata\nVersion: 2026a-1\n")),
            ("var/lib/dpkg/status.d/tzdata.md5sums", Entry::bytes("Package: no\nVersion: 1\n")),
        ]);
        let found: Vec<_> = installed(&tree).unwrap().into_iter().collect();
        let expected = [("libc6", "2.41-12"), ("tzdata", "2026a-1")];
        assert_eq!(found, expected.map(|(name, version)| (name.to_owned(), version.to_owned())));
    }
}
