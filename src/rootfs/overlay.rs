//! Packages laid over an image from elsewhere.
//!
//! In: the tree of the packages, the files of the image. Out: in a build root both as one tree; in a runtime root what
//! the packages add, because the image's own layers stay as they are. The image decides what is a directory and what
//! a link: files of packages go where its links lead.

use super::Error;
use super::base::Base;
use crate::store::{Entry, Kind, Tree};

/// Where dpkg lists what is installed.
const STATUS: &str = "var/lib/dpkg/status";

/// What packages bring, without what the image has as a directory or link.
pub(super) fn additions(mut tree: Tree, image: &Tree) -> Tree {
    tree.retain(|path, entry| entry.package.is_some() && !gives_way(path, entry, image));
    tree
}

/// A link of a package gives way to a directory or link of the image: `/bin` is one or the other.
fn gives_way(path: &str, entry: &Entry, image: &Tree) -> bool {
    matches!(entry.kind, Kind::Symlink { .. })
        && image.get(path).is_some_and(|found| !matches!(found.kind, Kind::File { .. }))
}

/// The image with the packages and the base's directories.
pub(super) fn over(tree: &Tree, image: &Tree, base: &Base) -> Result<Tree, Error> {
    let status = match (text(image, STATUS)?, text(tree, STATUS)?) {
        (Some(theirs), Some(ours)) => Some(format!("{}\n\n{ours}", theirs.trim_end())),
        (theirs, ours) => theirs.or(ours),
    };
    let mut merged = image.clone();
    for (path, entry) in tree.iter().filter(|(path, entry)| !gives_way(path, entry, image)) {
        let is_directory = matches!(entry.kind, Kind::Directory { .. });
        // Links that go in circles lead nowhere; the file is then put where its name says.
        let place = if is_directory { image.locate(path) } else { image.locate_entry(path) };
        let place = place.filter(|place| !place.is_empty()).unwrap_or_else(|| path.to_owned());
        let found = merged.get(&place).map(|found| matches!(found.kind, Kind::Directory { .. }));
        match (is_directory, found) {
            (true, Some(true)) => continue,
            (false, Some(true)) | (true, Some(false)) => merged.remove_subtree(&place),
            _ => {}
        }
        merged.insert(place, entry.clone());
    }
    for row in &base.directories {
        if merged.get(&row.path).is_none() {
            merged.insert(row.path.clone(), Entry::directory().with_mode(row.bits()));
        }
    }
    if let Some(status) = status.filter(|status| !status.trim().is_empty()) {
        merged.insert(STATUS, Entry::bytes(status));
    }
    merged.add_parents();
    Ok(merged)
}

fn text(tree: &Tree, path: &str) -> Result<Option<String>, Error> {
    let Some(Kind::File { content, .. }) = tree.get(path).map(|entry| &entry.kind) else { return Ok(None) };
    Ok(Some(String::from_utf8_lossy(&content.read()?).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::{additions, over};
    use crate::definitions::Definitions;
    use crate::rootfs::base::Base;
    use crate::store::{Content, Entry, Kind, Tree};

    fn tree(entries: &[(&str, Entry)]) -> Tree {
        let mut tree: Tree =
            entries.iter().map(|(path, entry)| ((*path).to_owned(), entry.clone())).collect();
        tree.add_parents();
        tree
    }

    fn of_package(mut entry: Entry) -> Entry {
        entry.package = Some("tool".to_owned());
        entry
    }

    fn shown(tree: &Tree) -> Vec<String> {
        let text = |entry: &Entry| match &entry.kind {
            Kind::File { content: Content::Bytes(bytes), .. } => String::from_utf8(bytes.clone()).unwrap(),
            Kind::Symlink { target } => format!("-> {target}"),
            _ => "/".to_owned(),
        };
        tree.iter().map(|(path, entry)| format!("{path} {}", text(entry))).collect()
    }

    #[test]
    fn the_image_decides_what_is_a_link_and_what_a_directory() {
        let image = tree(&[
            ("bin", Entry::directory()),
            ("bin/sh", Entry::bytes("theirs")),
            ("usr/share/doc", Entry::symlink("../doc")),
            ("var/lib/dpkg/status", Entry::bytes("Package: old\n")),
        ]);
        let packages = tree(&[
            ("bin", of_package(Entry::symlink("usr/bin"))),
            ("usr/bin/tool", of_package(Entry::bytes("ours"))),
            ("usr/share/doc/tool", of_package(Entry::bytes("text"))),
            ("var/lib/dpkg/status", Entry::bytes("Package: tool\n")),
        ]);
        assert_eq!(
            shown(&additions(packages.clone(), &image)),
            ["usr/bin/tool ours", "usr/share/doc/tool text"]
        );
        let mut base = Base::load(&Definitions::embedded(), "debian-13").unwrap();
        base.directories.retain(|row| row.path == "tmp");
        assert_eq!(
            shown(&over(&packages, &image, &base).unwrap()),
            [
                "bin /",
                "bin/sh theirs",
                "tmp /",
                "usr /",
                "usr/bin /",
                "usr/bin/tool ours",
                "usr/doc /",
                "usr/doc/tool text",
                "usr/share /",
                "usr/share/doc -> ../doc",
                "var /",
                "var/lib /",
                "var/lib/dpkg /",
                "var/lib/dpkg/status Package: old\n\nPackage: tool\n",
            ]
        );
    }
}
