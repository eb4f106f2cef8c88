//! Images of this and other programs, made into directories.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::Fixture;
use crate::oci::Digest;
use crate::oci::unpack::Limits;
use crate::publish::unpack;
use crate::publish::unpack::unpack_within;
use crate::store::{Content, Entry, Kind, Tree};
use crate::ui::Diagnose as _;

#[test]
fn an_image_is_unpacked_once_with_owners_modes_and_times() {
    let fixture = Fixture::new();
    let image = fixture.image("1");
    let unpacked = unpack(&image, &fixture.store).unwrap();
    let root = &unpacked.root;
    assert_eq!(fs::read_to_string(root.join("app/version")).unwrap(), "1");
    assert_eq!(fs::read_link(root.join("bin")).unwrap(), Path::new("usr/bin"));
    assert_eq!(fs::metadata(root.join("data")).unwrap().mode() & 0o7777, 0o1777);
    let metadata = fs::metadata(root.join("app/version")).unwrap();
    assert_eq!((metadata.mode() & 0o7777, metadata.mtime()), (0o644, 1_700_000_000));
    let entry = unpacked.tree.get("app/version").unwrap();
    let content = Content::Path(root.join("app/version"));
    let mut expected = Entry::new(Kind::File { size: 1, content }, 0o644);
    expected.mtime = 1_700_000_000;
    assert_eq!(entry, &expected);
    assert_eq!(unpacked.config.config.user, "65532:65532");
    // The second time the layers are not needed.
    for layer in &image.layers {
        fs::remove_file(fixture.store.blob(&layer.digest).unwrap()).unwrap();
    }
    assert_eq!(unpack(&image, &fixture.store).unwrap(), unpacked);
    assert_eq!(fs::read_dir(fixture.store.root().join("tmp")).unwrap().count(), 0);
}

/// A layer of entries: `(type, name, link or content)`; the name is not checked.
fn layer(entries: &[(tar::EntryType, &str, &str)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (kind, name, text) in entries {
        let mut header = tar::Header::new_ustar();
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(*kind);
        header.set_mode(0o4755);
        header.set_uid(1000);
        header.set_gid(1000);
        header.set_mtime(5);
        let content = if *kind == tar::EntryType::Regular { *text } else { "" };
        if content.is_empty() {
            header.as_mut_bytes()[157..157 + text.len()].copy_from_slice(text.as_bytes());
        }
        header.set_size(content.len() as u64);
        header.set_cksum();
        builder.append(&header, content.as_bytes()).unwrap();
    }
    builder.into_inner().unwrap()
}

const FILE: tar::EntryType = tar::EntryType::Regular;
const DIRECTORY: tar::EntryType = tar::EntryType::Directory;
const SYMLINK: tar::EntryType = tar::EntryType::Symlink;
const LINK: tar::EntryType = tar::EntryType::Link;

fn paths(tree: &Tree) -> Vec<&str> {
    tree.iter().map(|(path, _)| path).collect()
}

#[test]
fn whiteouts_of_other_tools_are_applied_wherever_they_stand() {
    let fixture = Fixture::new();
    let lower = layer(&[
        (DIRECTORY, "./", ""),
        (FILE, "./a/old", "1"),
        (FILE, "./b/old", "1"),
        (FILE, "./c/old", "1"),
        (FILE, "./d", "1"),
        (FILE, "keep", "1"),
    ]);
    let upper = layer(&[
        (FILE, "a/new", "2"),
        (FILE, "a/.wh..wh..opq", ""),
        (FILE, ".wh.b", ""),
        (DIRECTORY, "c/", ""),
        (FILE, "c/new", "2"),
        (FILE, ".wh.c", ""),
        (FILE, ".wh.d", ""),
        (LINK, "linked", "a/new"),
        (LINK, "lower", "keep"),
        (tar::EntryType::Char, "dev/null", ""),
    ]);
    let image = fixture.foreign(&[lower, upper]);
    let unpacked = unpack(&image, &fixture.store).unwrap();
    assert_eq!(paths(&unpacked.tree), ["a", "a/new", "c", "c/new", "keep", "linked", "lower"]);
    assert_eq!(fs::read_to_string(unpacked.root.join("linked")).unwrap(), "2");
    let linked = unpacked.tree.get("linked").unwrap();
    assert_eq!((linked.mode, linked.uid), (0o4755, 1000));
    let mode = fs::metadata(unpacked.root.join("linked")).unwrap().mode();
    assert_eq!(mode & 0o7777, 0o755, "no setuid file is made on disk");
    let everything = fixture.foreign(&[
        layer(&[(FILE, "a/b", "1"), (FILE, "c", "1")]),
        layer(&[(FILE, ".wh..wh..opq", ""), (FILE, "a/new", "2")]),
    ]);
    assert_eq!(paths(&unpack(&everything, &fixture.store).unwrap().tree), ["a", "a/new"]);
}

#[test]
fn nothing_is_written_outside_the_directory() {
    let outside = tempfile::tempdir().unwrap();
    let target = outside.path().to_str().unwrap();
    let cases: [(Vec<Vec<u8>>, &str); 6] = [
        (vec![layer(&[(FILE, "../../escaped", "x")])], "`../../escaped` leaves the archive"),
        (
            vec![layer(&[(SYMLINK, "link", target), (FILE, "link/escaped", "x")])],
            "`link/escaped` lies below `link`, which is not a directory",
        ),
        (
            vec![layer(&[(SYMLINK, "link", target)]), layer(&[(FILE, "link/escaped", "x")])],
            "`link/escaped` lies below `link`, which is not a directory",
        ),
        (
            vec![layer(&[(LINK, "passwd", "/etc/passwd")])],
            "`passwd` is a link to `etc/passwd`, which is not a file",
        ),
        (
            vec![layer(&[(SYMLINK, "link", target), (LINK, "hard", "link")])],
            "`hard` is a link to `link`, which is not a file",
        ),
        (vec![layer(&[(FILE, "a/.wh...", "")])], "`a/.wh...` removes nothing that has a name"),
    ];
    for (layers, expected) in cases {
        let fixture = Fixture::new();
        let error = unpack(&fixture.foreign(&layers), &fixture.store).unwrap_err();
        assert_eq!(error.id(), "publish/refused");
        assert!(error.to_string().ends_with(expected), "{error}");
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
        assert_eq!(fs::read_dir(fixture.store.root().join("tmp")).unwrap().count(), 0);
    }
}

#[test]
fn an_image_that_is_too_large_or_not_what_it_says_is_refused() {
    let fixture = Fixture::new();
    let image = fixture.foreign(&[layer(&[(FILE, "a", "12345"), (FILE, "b", "1")])]);
    let error = |limits| unpack_within(limits, &image, &fixture.store).unwrap_err().to_string();
    let digest = image.layers[0].digest;
    assert_eq!(
        error(Limits { entries: 1, ..Limits::IMAGE }),
        format!(
            "layer {digest} is refused: `b` is too much: an image may have 1 entries, with names of 268435456 bytes"
        )
    );
    assert_eq!(
        error(Limits { bytes: 600, ..Limits::IMAGE }),
        format!("layer {digest} is refused: `` unpacks to more than 600 bytes")
    );
    let mut changed = image.clone();
    changed.layers[0].diff_id = Digest::of(b"");
    let found = image.layers[0].diff_id;
    assert_eq!(
        unpack(&changed, &fixture.store).unwrap_err().to_string(),
        format!(
            "layer {digest} cannot be read: its content has digest {found}, its config states {}",
            Digest::of(b"")
        )
    );
    let blob = fixture.store.blob(&digest).unwrap();
    fs::OpenOptions::new().append(true).open(&blob).unwrap().write_all(&[0; 10]).unwrap();
    assert!(unpack(&image, &fixture.store).is_err());
}
