//! Which system an image holds, and which Debian packages it has.
//!
//! Read are `os-release` (<https://www.freedesktop.org/software/systemd/man/latest/os-release.html>) and dpkg's
//! records: the one file `status` of installed systems, the folder `status.d` of images made from packages.

use std::collections::BTreeMap;

use super::Error;
use crate::store::{Kind, Tree};

/// The largest of these files that is read.
const LIMIT: u64 = 64 << 20;

/// Versions of the packages of an image, by name.
pub(in crate::rootfs) type Installed = BTreeMap<String, String>;

/// `debian-13`: id and version of the system; none when the image does not say.
pub(super) fn release(tree: &Tree) -> Result<Option<String>, Error> {
    let mut text = None;
    for path in ["etc/os-release", "usr/lib/os-release"] {
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

/// The packages that are installed; none in an image without dpkg's records.
pub(super) fn installed(tree: &Tree) -> Result<Installed, Error> {
    let mut found = Installed::new();
    if let Some(text) = read(tree, "var/lib/dpkg/status")? {
        text.split("\n\n").for_each(|record| add(record, true, &mut found));
    }
    let records: Vec<String> = tree
        .below("var/lib/dpkg/status.d")
        .map(|(path, _)| path.to_owned())
        .filter(|path| path.strip_suffix(".md5sums").is_none())
        .collect();
    for path in records {
        if let Some(text) = read(tree, &path)? {
            add(&text, false, &mut found);
        }
    }
    Ok(found)
}

/// A record counts when it says that the package is installed; in `status.d` records have no status.
fn add(record: &str, needs_status: bool, found: &mut Installed) {
    let field = |name: &str| {
        record.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
    };
    let is_installed = match field("Status") {
        Some(status) => status.ends_with(" installed"),
        None => !needs_status,
    };
    if let (true, Some(name), Some(version)) = (is_installed, field("Package"), field("Version")) {
        found.insert(name.to_owned(), version.to_owned());
    }
}

fn read(tree: &Tree, path: &str) -> Result<Option<String>, Error> {
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
