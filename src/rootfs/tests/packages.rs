//! Packages in every compression that dpkg has written, and what is refused.

use std::path::Path;
use std::process::Command;

use crate::rootfs::debian::deb;
use crate::rootfs::unpack::{Failure, Unpacked, unpack};
use crate::store::{Content, Kind};

fn parse(bytes: &[u8]) -> (tempfile::TempDir, Result<Unpacked, String>) {
    let folder = tempfile::tempdir().unwrap();
    let result = deb::parse(bytes, folder.path()).map_err(reason);
    (folder, result)
}

fn reason(failure: Failure) -> String {
    match failure {
        Failure::Archive(reason) => reason,
        Failure::Store(error) => panic!("{error:?}"),
    }
}

/// Each entry with its text or target.
fn shown(folder: &Path, unpacked: &Unpacked) -> Vec<String> {
    let text = |path: &Path| std::fs::read_to_string(folder.join(path)).unwrap();
    let entries = unpacked.tree.iter().map(|(path, entry)| match &entry.kind {
        Kind::File { content: Content::Path(content), .. } => {
            format!("{path} {:o} {:?}", entry.mode, text(content))
        }
        Kind::Symlink { target } => format!("{path} -> {target}"),
        _ => format!("{path}/"),
    });
    entries.collect()
}

#[test]
fn packages_in_every_compression_hold_the_same() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/deb");
    let long = format!("usr/lib/{} 755 \"long\"", "n".repeat(120));
    let link = format!("usr/lib/link -> ../{}", "m".repeat(120));
    for name in ["none", "gz", "xz", "zst", "bz2", "lzma"] {
        let (folder, found) = parse(&std::fs::read(corpus.join(format!("seed-{name}"))).unwrap());
        let found = found.unwrap_or_else(|reason| panic!("{name}: {reason}"));
        assert!(found.texts["control"].starts_with("Package: app\nVersion: 1:1.0-2\n"), "{name}");
        assert_eq!(found.texts["md5sums"], "0  usr/bin/app\n", "{name}");
        assert_eq!(
            shown(folder.path(), &found),
            [
                "lib/x -> /usr/lib/x",
                "usr/bin/",
                "usr/bin/again 755 \"#!/bin/sh\\n\"",
                "usr/bin/app 755 \"#!/bin/sh\\n\"",
                &link,
                &long,
            ],
            "{name}"
        );
    }
}

#[test]
#[ignore = "needs dpkg-deb: run by .ci/run"]
fn tool_packages_made_by_dpkg_deb() {
    let source = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(source.path().join("app/DEBIAN")).unwrap();
    std::fs::create_dir_all(source.path().join("app/usr/bin")).unwrap();
    let control =
        "Package: app\nVersion: 1\nArchitecture: all\nMaintainer: N <n@example.org>\nDescription: x\n";
    std::fs::write(source.path().join("app/DEBIAN/control"), control).unwrap();
    std::fs::write(source.path().join("app/usr/bin/app"), "text".repeat(100_000)).unwrap();
    for compression in ["gzip", "xz", "zstd", "none"] {
        let package = source.path().join(format!("{compression}.deb"));
        let output = Command::new("dpkg-deb")
            .args(["--build", "--root-owner-group", &format!("-Z{compression}")])
            .args([&source.path().join("app"), &package])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let (_folder, found) = parse(&std::fs::read(&package).unwrap());
        let found = found.unwrap();
        let paths: Vec<_> = found.tree.iter().map(|(path, _)| path).collect();
        assert_eq!(paths, ["usr", "usr/bin", "usr/bin/app"], "{compression}");
        assert_eq!(found.texts["control"], control, "{compression}");
    }
}

fn member(name: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("{name:<16}{:<32}{:<10}`\n", 0, body.len()).into_bytes();
    bytes.extend(body);
    bytes.extend(std::iter::repeat_n(b'\n', body.len() % 2));
    bytes
}

fn archive(members: &[(&str, &[u8])]) -> Vec<u8> {
    let members = members.iter().flat_map(|(name, body)| member(name, body));
    b"!<arch>\n".iter().copied().chain(members).collect()
}

#[test]
fn what_is_not_a_package_is_refused() {
    let refused = |bytes: &[u8]| parse(bytes).1.unwrap_err();
    assert_eq!(refused(b"!<arch>?"), "it is not an ar archive");
    assert_eq!(refused(&archive(&[])), "it has no `data.tar`");
    assert_eq!(refused(&archive(&[("data.tar", b"")])), "it has no `control.tar`");
    assert_eq!(
        refused(&archive(&[("data.tar", b""), ("data.tar", b"")])),
        "it has the unexpected part `data.tar`"
    );
    assert_eq!(refused(&archive(&[("debian-binary", b"3.0\n")])), "its format is `3.0`, expected 2");
    assert_eq!(refused(&archive(&[("data.tar.zip", b"")])), "its compression `.zip` is not supported");
    assert_eq!(refused(&archive(&[("data.tar", b"")])[..30]), "it ends in the middle of a header");
    // A window of 2 GiB, as a frame for 1 byte.
    let window = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa8, 0x09, 0x00, 0x00, 0x00];
    assert_eq!(
        refused(&archive(&[("data.tar.zst", &window)])),
        "Frame requires too much memory for decoding"
    );
    // An lzma dictionary of 1 GiB.
    let dictionary = [0x5d, 0, 0, 0, 0x40, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0];
    let reason = refused(&archive(&[("data.tar.lzma", &dictionary)]));
    assert!(reason.contains("memory"), "{reason}");
}

fn header(name: &str, kind: tar::EntryType, size: u64) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.set_path(name).unwrap();
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_size(size);
    header.set_cksum();
    header.as_bytes().to_vec()
}

fn unpacked(bytes: &[u8]) -> Result<Vec<String>, String> {
    let folder = tempfile::tempdir().unwrap();
    let tree = unpack(bytes, folder.path(), |name| Some(name.to_owned())).map_err(reason)?;
    Ok(tree.iter().map(|(path, _)| path.to_owned()).collect())
}

#[test]
fn headers_that_ask_for_memory_or_disk_are_refused() {
    let extended = |kind| unpacked(&header("././@LongLink", kind, 8 << 30)).unwrap_err();
    for kind in [tar::EntryType::GNULongName, tar::EntryType::GNULongLink, tar::EntryType::XHeader] {
        assert_eq!(extended(kind), "it has an extended header of 8589934592 bytes");
    }
    let sparse = unpacked(&header("a", tar::EntryType::GNUSparse, 0)).unwrap_err();
    assert_eq!(sparse, "`a` is of the unexpected kind GNUSparse");
    let mut long = header("././@LongLink", tar::EntryType::GNULongName, 5000);
    long.extend([b'n'; 5120]);
    long.extend(header("a", tar::EntryType::Regular, 0));
    assert_eq!(
        unpacked(&long).unwrap_err(),
        format!("the name `{}…` has 5120 bytes", "n".repeat(40)).replace("5120", "5000")
    );
    for (record, expected) in [
        ("26 GNU.sparse.realsize=99\n", "it holds a sparse file"),
        ("11 size=99\n", "it states the size of a file outside its header"),
    ] {
        let mut pax = header("pax", tar::EntryType::XHeader, record.len() as u64);
        pax.extend(record.bytes().chain(std::iter::repeat(0)).take(512));
        pax.extend(header("a", tar::EntryType::Regular, 0));
        assert_eq!(unpacked(&pax).unwrap_err(), expected);
    }
}

#[test]
fn long_names_of_both_kinds_are_read() {
    for kind in ["gnu", "pax"] {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/tar");
        let found = unpacked(&std::fs::read(corpus.join(format!("seed-{kind}"))).unwrap()).unwrap();
        assert!(found.contains(&format!("usr/lib/{}", "n".repeat(120))), "{kind}: {found:?}");
    }
}
