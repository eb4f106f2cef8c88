//! What is taken over of earlier layers, and that it cannot be seen.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use proptest::prelude::*;

use super::{Fixture, layer, on_disk};
use crate::oci::Compression;
use crate::package::{Image, Input, Time, package_with};
use crate::store::Entry;
use crate::ui::tests::Written;
use crate::ui::{Progress, Reporter};

/// Files with their sizes, and what their bytes are made from.
type Files = BTreeMap<String, (usize, u8)>;

/// Bytes that compress a little.
fn content(size: usize, seed: u8) -> Vec<u8> {
    let byte = |at: usize| at.to_le_bytes();
    (0..size).map(|at| seed.wrapping_add(byte(at % 251)[0] ^ byte(at)[1])).collect()
}

/// Packs the files as the layer `app`; the image, and what was said when the layer was done.
fn pack(fixture: &Fixture, threads: usize, files: &Files) -> (Image, String) {
    let entries: Vec<_> = files
        .iter()
        .map(|(path, (size, seed))| (path.as_str(), Entry::bytes(content(*size, *seed))))
        .collect();
    let layers = vec![layer("app", Time::Fixed, &entries)];
    let said = Written::default();
    let reporter = Reporter::to(Progress::Plain, false, said.clone());
    let input = Input {
        name: "shop",
        platform: "linux/amd64",
        layers,
        image: &fixture.image,
        base: None,
        history: None,
        ahead: None,
    };
    let image = package_with(threads, input, &fixture.store, &reporter).unwrap();
    let said = said.text();
    (image, said.lines().last().unwrap().to_owned())
}

/// 400 files with 4 MB in all.
fn many() -> Files {
    let file =
        |at: usize| (format!("app/{:02}/{at}.js", at % 20), (at * 5_003 % 20_000, at.to_le_bytes()[0]));
    (0..400).map(file).collect()
}

#[test]
fn one_changed_file_is_one_new_part() {
    let fixture = Fixture::new();
    let mut files = many();
    assert_eq!(pack(&fixture, 2, &files).1, "layer app  0.4 MB");
    let file = files.get_mut("app/07/107.js").unwrap();
    file.1 += 1;
    let (changed, said) = pack(&fixture, 2, &files);
    assert_eq!(said, "layer app  0.4 MB, 1 of 16 parts new");
    assert_eq!(pack(&Fixture::new(), 1, &files).0, changed);
    // A branch that is built in between does not displace the other.
    files.insert("app/07/new.js".to_owned(), (3000, 1));
    assert_eq!(pack(&fixture, 2, &files).1, "layer app  0.4 MB, 1 of 16 parts new");
    files.remove("app/07/new.js");
    files.insert("app/13/new.js".to_owned(), (3000, 1));
    assert_eq!(pack(&fixture, 2, &files).1, "layer app  0.4 MB, 1 of 16 parts new");
}

#[test]
fn a_change_in_a_large_file_is_one_new_part() {
    let fixture = Fixture::new();
    let source = fixture.file("large", &content(3_000_000, 1));
    let build = |said: &str| {
        let entries = [
            ("app/a", Entry::bytes("a")),
            ("app/large", on_disk(source.clone())),
            ("app/z", Entry::bytes("z")),
        ];
        let (written, image) = (Written::default(), &fixture.image);
        let reporter = Reporter::to(Progress::Plain, false, written.clone());
        let layers = vec![layer("app", Time::Fixed, &entries)];
        let input = Input {
            name: "shop",
            platform: "linux/amd64",
            layers,
            image,
            base: None,
            history: None,
            ahead: None,
        };
        let image = package_with(3, input, &fixture.store, &reporter).unwrap();
        let written = written.text();
        assert_eq!(written.lines().last(), Some(said));
        image
    };
    build("layer app  0.2 MB");
    let mut bytes = content(3_000_000, 1);
    bytes[1_700_000] ^= 1;
    fs::write(&source, &bytes).unwrap();
    let image = build("layer app  0.2 MB, 1 of 9 parts new");
    let plain = fixture.plain(&image, 0);
    let mut archive = tar::Archive::new(&plain[..]);
    let mut large = archive.entries().unwrap().nth(2).unwrap().unwrap();
    let mut read = Vec::new();
    large.read_to_end(&mut read).unwrap();
    assert!(read == bytes);
}

#[test]
fn holes_of_a_sparse_file_are_zeros() {
    let fixture = Fixture::new();
    let source = fixture.file("sparse", b"begin");
    let file = fs::File::options().write(true).open(&source).unwrap();
    file.set_len(2_000_000).unwrap();
    file.write_all_at(b"middle", 1_200_000).unwrap();
    let layers = vec![layer("app", Time::Fixed, &[("sparse", on_disk(source))])];
    let image = fixture.package(layers).unwrap();
    let mut expected = vec![0; 2_000_000];
    expected[..5].copy_from_slice(b"begin");
    expected[1_200_000..1_200_006].copy_from_slice(b"middle");
    assert!(read_back(&fixture, &image) == BTreeMap::from([("sparse".to_owned(), expected)]));
}

#[test]
fn a_large_file_that_changes_on_the_way_is_an_error() {
    let fixture = Fixture::new();
    let source = fixture.file("large", &content(3_000_000, 1));
    let entry = on_disk(source.clone());
    fs::write(&source, content(2_999_999, 1)).unwrap();
    let error = fixture.package(vec![layer("app", Time::Fixed, &[("large", entry)])]).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("{} changed while it was packed as `/large` in layer `app`", source.display())
    );
}

#[test]
fn a_damaged_or_lost_memory_is_a_miss() {
    let mut files = many();
    files.remove("app/00/0.js");
    let build = |damage: &dyn Fn(&Path, &Path)| {
        let fixture = Fixture::new();
        let (image, _) = pack(&fixture, 2, &many());
        let blob = fixture.store.blob(&image.layers[0].digest).unwrap();
        let name = fs::read_dir(fixture.store.root().join("metadata/segments")).unwrap().next().unwrap();
        let index = name.unwrap().path().join(blob.file_name().unwrap());
        damage(&index, &blob);
        pack(&fixture, 2, &files)
    };
    let expected = pack(&Fixture::new(), 2, &files).0;
    let flip = |path: &Path, at: usize| {
        let mut bytes = fs::read(path).unwrap();
        bytes[at] ^= 0x40;
        fs::write(path, bytes).unwrap();
    };
    let all = "layer app  0.4 MB";
    let one = |count: usize| format!("layer app  0.4 MB, {count} of 16 parts new");
    assert_eq!(build(&|_, _| {}), (expected.clone(), one(1)));
    assert_eq!(build(&|_, blob| flip(blob, 200_000)), (expected.clone(), one(2)));
    assert_eq!(build(&|index, _| flip(index, 100)), (expected.clone(), all.to_owned()));
    assert_eq!(build(&|index, _| fs::write(index, "").unwrap()), (expected.clone(), all.to_owned()));
    assert_eq!(build(&|_, blob| fs::remove_file(blob).unwrap()), (expected.clone(), all.to_owned()));
    let cut = |_: &Path, blob: &Path| {
        fs::File::options().write(true).open(blob).unwrap().set_len(12).unwrap();
    };
    assert_eq!(build(&cut), (expected, all.to_owned()));
}

#[test]
fn a_layer_of_zstd_is_read_back_and_taken_over() {
    let mut fixture = Fixture::new();
    fixture.image.compression = Compression::Zstd { level: 3 };
    let mut files = many();
    let (image, _) = pack(&fixture, 2, &files);
    assert_eq!(image.layers[0].media_type, "application/vnd.oci.image.layer.v1.tar+zstd");
    files.get_mut("app/07/107.js").unwrap().1 += 1;
    let (changed, said) = pack(&fixture, 2, &files);
    assert_eq!(said, "layer app  0.6 MB, 1 of 16 parts new");
    let blob = fs::File::open(fixture.store.blob(&changed.layers[0].digest).unwrap()).unwrap();
    let plain = zstd::decode_all(blob).unwrap();
    assert_eq!(crate::oci::Digest::of(&plain), changed.layers[0].diff_id);
    // Another level is another layer, and gzip's segments are no frames.
    for compression in [Compression::Zstd { level: 4 }, Compression::Gzip] {
        fixture.image.compression = compression;
        let (other, said) = pack(&fixture, 2, &files);
        assert_ne!(other.layers[0].digest, changed.layers[0].digest);
        assert_eq!(other.layers[0].diff_id, changed.layers[0].diff_id);
        assert!(!said.contains("parts new"), "{said}");
    }
}

fn files() -> impl Strategy<Value = Files> {
    let path = "[a-d]/[a-h]{1,2}";
    // Small ones, and some that have groups of their own.
    let size = prop_oneof![4 => 0..3000_usize, 3 => 3000..150_000_usize, 1 => 300_000..1_200_000_usize];
    prop::collection::btree_map(path, (size, any::<u8>()), 1..40)
}

/// The contents of a layer by path.
fn read_back(fixture: &Fixture, image: &Image) -> BTreeMap<String, Vec<u8>> {
    let plain = fixture.plain(image, 0);
    let mut archive = tar::Archive::new(&plain[..]);
    let mut found = BTreeMap::new();
    for mut entry in archive.entries().unwrap().map(Result::unwrap) {
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        let path = entry.path().unwrap().display().to_string();
        if !entry.header().entry_type().is_dir() {
            assert!(found.insert(path, bytes).is_none());
        }
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn the_bytes_are_those_of_an_empty_store(
        before in files(), edits in files(), removed in 0..40_usize, threads in 1..=8_usize,
    ) {
        let mut after = before.clone();
        if let Some(path) = before.keys().nth(removed) {
            after.remove(path);
        }
        after.extend(edits.into_iter().take(3));
        let warm = Fixture::new();
        pack(&warm, 2, &before);
        let (image, _) = pack(&warm, threads, &after);
        let expected: BTreeMap<_, _> =
            after.iter().map(|(path, (size, seed))| (path.clone(), content(*size, *seed))).collect();
        prop_assert!(read_back(&warm, &image) == expected);
        prop_assert_eq!(image, pack(&Fixture::new(), 9 - threads, &after).0);
    }
}
