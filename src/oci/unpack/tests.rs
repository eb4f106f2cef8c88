//! Archives made to break out, to fill the disk, or to eat memory and time.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::{Error, Layer, Limits, layer, unpack};
use crate::oci::Digest;
use crate::store::{Entry, Kind, Store, Tree};

/// A folder with a store and, beside it, a canary that nothing may touch.
struct Place {
    folder: tempfile::TempDir,
    store: Store,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("canary")).unwrap();
        fs::write(folder.path().join("canary/file"), "alive").unwrap();
        let store = Store::open(folder.path().join("store")).unwrap();
        Self { folder, store }
    }

    fn layer(&self, plain: &[u8]) -> Layer {
        let (digest, size) = self.store.put_blob(plain).unwrap();
        Layer { digest, size, diff_id: digest }
    }

    fn unpack(&self, layers: &[Vec<u8>]) -> Result<(PathBuf, Tree), Error> {
        let layers: Vec<_> = layers.iter().map(|plain| self.layer(plain)).collect();
        let found = self.unpack_layers(&layers, Limits::IMAGE);
        self.check();
        found
    }

    fn unpack_layers(&self, layers: &[Layer], limits: Limits) -> Result<(PathBuf, Tree), Error> {
        let name: String = layers.iter().map(|layer| layer.digest.to_string()).collect();
        unpack(Digest::of(name.as_bytes()), layers, limits, &self.store)
    }

    /// Nothing was written but in the store, and nothing unfinished is left there.
    fn check(&self) {
        let names = |path: &Path| -> Vec<_> {
            let mut names: Vec<_> =
                fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            names.sort();
            names
        };
        assert_eq!(names(self.folder.path()), ["canary", "store"]);
        let canary = self.folder.path().join("canary");
        assert_eq!(names(&canary), ["file"]);
        assert_eq!(fs::read_to_string(canary.join("file")).unwrap(), "alive");
        let mode = fs::metadata(canary.join("file")).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o644);
        let store = ["blobs", "caches", "images", "locks", "metadata", "steps", "tmp", "trees"];
        assert_eq!(names(self.store.root()), store);
        assert_eq!(names(&self.store.root().join("tmp")), [""; 0]);
    }

    fn canary(&self) -> String {
        self.folder.path().join("canary").display().to_string()
    }
}

/// One entry: its type, its name, the text of a link or a file, and a change of its header.
type Piece<'a> = (u8, &'a str, &'a str);

fn piece(archive: &mut Vec<u8>, (flag, name, text): Piece<'_>, change: impl FnOnce(&mut tar::Header)) {
    let is_link = matches!(flag, b'1' | b'2');
    for (flag, long) in
        [(b'L', (name.len() > 100).then_some(name)), (b'K', (is_link && text.len() > 100).then_some(text))]
    {
        if let Some(long) = long {
            raw(archive, flag, "././@LongLink", "", long.as_bytes(), |_| {});
        }
    }
    let (link, content) = if is_link { (text, "") } else { ("", text) };
    raw(
        archive,
        flag,
        &name[..name.len().min(100)],
        &link[..link.len().min(100)],
        content.as_bytes(),
        change,
    );
}

fn raw(
    archive: &mut Vec<u8>,
    flag: u8,
    name: &str,
    link: &str,
    content: &[u8],
    change: impl FnOnce(&mut tar::Header),
) {
    let mut header = tar::Header::new_gnu();
    header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
    header.as_mut_bytes()[157..157 + link.len()].copy_from_slice(link.as_bytes());
    header.set_entry_type(tar::EntryType::new(flag));
    header.set_mode(0o6777);
    header.set_uid(1000);
    header.set_gid(1000);
    header.set_mtime(5);
    header.set_size(content.len() as u64);
    change(&mut header);
    header.set_cksum();
    archive.extend(header.as_bytes());
    archive.extend(content);
    archive.resize(archive.len().next_multiple_of(512), 0);
}

fn archive(pieces: &[Piece<'_>]) -> Vec<u8> {
    let mut archive = Vec::new();
    for found in pieces {
        piece(&mut archive, *found, |_| {});
    }
    archive
}

/// The first error, without the digest in it.
fn refusal(layers: &[Vec<u8>]) -> String {
    let place = Place::new();
    match place.unpack(layers).unwrap_err() {
        Error::Refused { path, reason, .. } => format!("`{path}` {reason}"),
        other => other.to_string(),
    }
}

#[test]
fn names_and_links_that_lead_outside_are_refused() {
    let place = Place::new();
    let canary = place.canary();
    let below = format!("{canary}/file");
    for (layers, expected) in [
        (vec![archive(&[(b'0', "../canary/file", "x")])], "`../canary/file` leaves the archive".to_owned()),
        (
            vec![archive(&[(b'0', "a/../../canary/file", "x")])],
            "`a/../../canary/file` leaves the archive".to_owned(),
        ),
        (
            vec![archive(&[(b'2', "link", &canary), (b'0', "link/file", "x")])],
            "`link/file` lies below `link`, which is not a directory".to_owned(),
        ),
        // A chain of links to a parent, then through it.
        (
            vec![archive(&[
                (b'5', "d/", ""),
                (b'2', "d/up", ".."),
                (b'2', "d/two", "up/.."),
                (b'0', "d/two/canary/file", "x"),
            ])],
            "`d/two/canary` lies below `d/two`, which is not a directory".to_owned(),
        ),
        // A directory of one layer becomes a link in the next, and the next after that writes through it.
        (
            vec![
                archive(&[(b'5', "d/", ""), (b'0', "d/file", "x")]),
                archive(&[(b'2', "d", &canary)]),
                archive(&[(b'0', "d/file", "y")]),
            ],
            "`d/file` lies below `d`, which is not a directory".to_owned(),
        ),
        (
            vec![archive(&[(b'1', "hard", &below)])],
            format!("`hard` is a link to `{}`, which is not a file", below.trim_start_matches('/')),
        ),
        (
            vec![archive(&[(b'1', "hard", "../canary/file")])],
            "`../canary/file` leaves the archive".to_owned(),
        ),
        (
            vec![archive(&[(b'2', "soft", &below), (b'1', "hard", "soft")])],
            "`hard` is a link to `soft`, which is not a file".to_owned(),
        ),
        (vec![archive(&[(b'2', "empty", "")])], "`empty` is a link to nothing".to_owned()),
    ] {
        assert_eq!(refusal(&layers), expected);
    }
    place.check();
}

#[test]
fn an_absolute_name_is_below_the_root() {
    let place = Place::new();
    let name = format!("{}/file", place.canary());
    let (root, tree) = place.unpack(&[archive(&[(b'0', &name, "x")])]).unwrap();
    let inside = name.trim_start_matches('/');
    assert!(tree.get(inside).is_some());
    assert_eq!(fs::read_to_string(root.join(inside)).unwrap(), "x");
}

#[test]
fn names_that_no_file_can_have_are_refused() {
    let long = "n/".repeat(50_000) + "n";
    assert_eq!(
        refusal(&[archive(&[(b'0', &long, "x")])]).split_once("` ").unwrap().1,
        "has a name that is too long or holds a NUL"
    );
    let part = "n".repeat(256);
    assert_eq!(
        refusal(&[archive(&[(b'0', &part, "x")])]).split_once("` ").unwrap().1,
        "has a part of more than 255 bytes"
    );
    let mut pax = Vec::new();
    raw(&mut pax, b'x', "pax", "", b"13 path=a\0bc\n", |_| {});
    raw(&mut pax, b'0', "short", "", b"", |_| {});
    assert_eq!(refusal(&[pax]), "`a\0bc` has a name that is too long or holds a NUL");
    let (_, tree) = Place::new().unpack(&[archive(&[(b'0', "line\nbreak", "x")])]).unwrap();
    assert!(tree.get("line\nbreak").is_some());
}

#[test]
fn whiteouts_cannot_be_used_to_hide_or_to_escape() {
    for (name, expected) in [
        (".wh.", "`.wh.` removes nothing that has a name"),
        ("a/.wh...", "`a/.wh...` removes nothing that has a name"),
        (".wh.d/file", "`.wh.d/file` lies below a name that means a removed file"),
        ("../.wh.canary", "`../.wh.canary` leaves the archive"),
    ] {
        assert_eq!(refusal(&[archive(&[(b'0', name, "")])]), expected);
    }
    let layers = [
        archive(&[(b'0', "a/keep", "1"), (b'0', "a/gone", "1")]),
        archive(&[(b'0', "a/.wh.gone", ""), (b'0', ".wh..wh.plnk/1.2", "x"), (b'0', ".wh..wh.aufs", "x")]),
    ];
    let (_, tree) = Place::new().unpack(&layers).unwrap();
    assert_eq!(tree.iter().map(|(path, _)| path).collect::<Vec<_>>(), ["a", "a/keep"]);
}

#[test]
fn a_layer_by_itself_keeps_what_it_removes() {
    let place = Place::new();
    let plain = archive(&[(b'0', "a/.wh.gone", ""), (b'0', "b/.wh..wh..opq", ""), (b'0', "b/new", "x")]);
    let one = place.layer(&plain);
    // The second time it comes from the store.
    for _ in 0..2 {
        let alone = layer(&one, Limits::IMAGE, &place.store).unwrap();
        let marks = alone.tree.iter().map(|(path, entry)| match entry.kind {
            Kind::Whiteout => format!("{path} removed"),
            Kind::Directory { opaque: true } => format!("{path} opaque"),
            _ => path.to_owned(),
        });
        assert_eq!(marks.collect::<Vec<_>>(), ["a", "a/gone removed", "b opaque", "b/new"]);
        place.check();
    }
}

/// Each path with the text of its file, or what it is.
fn texts(tree: &Tree) -> Vec<String> {
    let text = |(path, entry): (&str, &Entry)| match &entry.kind {
        Kind::File { content, .. } => {
            format!("{path}={}", String::from_utf8(content.read().unwrap().into_owned()).unwrap())
        }
        Kind::Directory { .. } => format!("{path}/"),
        _ => path.to_owned(),
    };
    tree.iter().map(text).collect()
}

#[test]
fn hard_links_to_files_of_lower_layers_are_those_files() {
    let layers = [
        archive(&[(b'0', "a/file", "lower"), (b'0', "a/other", "other"), (b'0', "d/old", "old")]),
        archive(&[
            (b'1', "b/link", "a/file"),
            // A name of a name, one that a later entry replaces, and one whose file this layer removes.
            (b'1', "b/second", "b/link"),
            (b'1', "b/replaced", "a/file"),
            (b'0', "b/replaced", "new"),
            (b'1', "b/kept", "a/other"),
            (b'0', "a/.wh.other", ""),
            // A folder without an entry of its own that replaces the one below.
            (b'0', ".wh.d", ""),
            (b'1', "d/moved", "d/old"),
        ]),
    ];
    let expected = [
        "a/",
        "a/file=lower",
        "b/",
        "b/kept=other",
        "b/link=lower",
        "b/replaced=new",
        "b/second=lower",
        "d/",
        "d/moved=old",
    ];
    let place = Place::new();
    let (_, tree) = place.unpack(&layers).unwrap();
    assert_eq!(texts(&tree), expected);
    // One by one, and the second time from the store.
    for _ in 0..2 {
        let mut tree = Tree::new();
        for plain in &layers {
            let one = place.layer(plain);
            let alone = layer(&one, Limits::IMAGE, &place.store).unwrap();
            tree.apply(alone.over(&tree, one.digest).unwrap());
        }
        tree.add_parents();
        assert_eq!(texts(&tree), expected);
    }
    // Nothing is below it: what is missing is said when that is known.
    let upper = place.layer(&layers[1]);
    let alone = layer(&upper, Limits::IMAGE, &place.store).unwrap();
    assert_eq!(
        alone.over(&Tree::new(), upper.digest).unwrap_err().to_string(),
        format!("layer {} is refused: `b/kept` is a link to `a/other`, which is not a file", upper.digest)
    );
    place.check();
}

#[test]
fn a_layer_by_itself_can_hide_everything_below() {
    let place = Place::new();
    let one = place.layer(&archive(&[(b'0', ".wh..wh..opq", ""), (b'0', "a/new", "2"), (b'1', "kept", "b")]));
    let alone = layer(&one, Limits::IMAGE, &place.store).unwrap();
    let mut tree: Tree = [("a", Entry::directory()), ("a/old", Entry::bytes("1")), ("b", Entry::bytes("1"))]
        .map(|(path, entry)| (path.to_owned(), entry))
        .into_iter()
        .collect();
    tree.apply(alone.over(&tree, one.digest).unwrap());
    assert_eq!(texts(&tree), ["a/", "a/new=2", "kept=1"]);
}

#[test]
fn devices_and_pipes_are_left_out_and_setuid_bits_stay_off_the_disk() {
    let place = Place::new();
    let layer =
        archive(&[(b'3', "dev/sda", ""), (b'4', "dev/sdb", ""), (b'6', "fifo", ""), (b'0', "su", "x")]);
    let (root, tree) = place.unpack(&[layer]).unwrap();
    assert_eq!(tree.iter().map(|(path, _)| path).collect::<Vec<_>>(), ["su"]);
    assert_eq!((tree.get("su").unwrap().mode, tree.get("su").unwrap().uid), (0o6777, 1000));
    assert_eq!(fs::metadata(root.join("su")).unwrap().permissions().mode() & 0o7777, 0o777);
}

#[test]
fn the_last_of_equal_names_counts_and_old_times_are_harmless() {
    let mut layer = archive(&[(b'0', "a", "first"), (b'0', "./a", "second")]);
    // Base 256: the year 1901.
    piece(&mut layer, (b'0', "old", "x"), |header| {
        header.as_old_mut().mtime = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x80, 0, 0, 0];
    });
    let (root, tree) = Place::new().unpack(&[layer]).unwrap();
    assert!(matches!(tree.get("a").unwrap().kind, Kind::File { size: 6, .. }));
    assert!(tree.get("old").is_some() && root.is_absolute());
}

#[test]
fn what_claims_to_be_huge_is_refused_before_the_disk_is_full() {
    let claim = |size: u64| {
        let mut layer = Vec::new();
        piece(&mut layer, (b'0', "huge", ""), |header| header.set_size(size));
        refusal(&[layer])
    };
    // 512 bytes of blob, times 200, and 256 MiB.
    let left = 512 * 200 + (256 << 20);
    assert_eq!(
        claim(1 << 62),
        format!("`huge` has {} bytes, more than the {left} that are left for it", 1_u64 << 62)
    );
    assert_eq!(
        claim(u64::MAX),
        format!("`huge` has {} bytes, more than the {left} that are left for it", u64::MAX)
    );
    assert_eq!(claim(4096), "`huge` cannot be read: the archive ends inside a file");
    let mut sparse = Vec::new();
    piece(&mut sparse, (b'S', "sparse", ""), |_| {});
    assert_eq!(refusal(&[sparse]), "`sparse` is a sparse file, which is not supported");
    let mut pax = Vec::new();
    raw(&mut pax, b'x', "pax", "", b"25 GNU.sparse.realsize=9\n", |_| {});
    assert_eq!(refusal(&[pax]), "`pax` is a sparse file, which is not supported");
}

fn gzip(level: flate2::Compression, write: impl FnOnce(&mut flate2::write::GzEncoder<Vec<u8>>)) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
    write(&mut encoder);
    encoder.finish().unwrap()
}

#[test]
fn a_bomb_is_stopped_by_its_ratio() {
    let place = Place::new();
    let size = 1_u64 << 30;
    let zeros = gzip(flate2::Compression::best(), |encoder| {
        let block = vec![0; 1 << 20];
        (0..size >> 20).for_each(|_| encoder.write_all(&block).unwrap());
    });
    let mut head = Vec::new();
    piece(&mut head, (b'0', "zeros", ""), |header| header.set_size(size));
    let head = gzip(flate2::Compression::fast(), |encoder| encoder.write_all(&head).unwrap());
    // In a file, and after the end of the archive.
    for (bomb, expected) in [
        (
            [head, zeros.clone()].concat(),
            format!("`zeros` has {size} bytes, more than the LIMIT that are left for it"),
        ),
        (zeros, "`` unpacks to more than LIMIT bytes".to_owned()),
    ] {
        let layer = place.layer(&bomb);
        let limit = layer.size * 200 + (256 << 20);
        let error = place.unpack_layers(&[layer], Limits::IMAGE).unwrap_err().to_string();
        let expected = expected.replace("LIMIT", &limit.to_string());
        assert_eq!(error, format!("layer {} is refused: {expected}", layer.digest));
        place.check();
    }
}

#[test]
fn ten_million_entries_end_at_the_limit() {
    let place = Place::new();
    let mut header = Vec::new();
    // Ten million are announced by the repetition; the limit comes at a tenth of it.
    let bomb = gzip(flate2::Compression::fast(), |encoder| {
        for number in 0..1_000_100 {
            header.clear();
            piece(&mut header, (b'5', &format!("d{number}/"), ""), |_| {});
            encoder.write_all(&header).unwrap();
        }
    });
    let layer = place.layer(&bomb);
    let error = place.unpack_layers(&[layer], Limits::IMAGE).unwrap_err().to_string();
    assert!(
        error.ends_with("is too much: an image may have 1000000 entries, with names of 268435456 bytes"),
        "{error}"
    );
    place.check();
}

/// Parts of names that archives are broken with.
fn name() -> impl Strategy<Value = String> {
    let part =
        prop::sample::select(vec!["a", "b", "..", ".", "", "link", ".wh.a", ".wh..wh..opq", "c\n", "/"]);
    prop::collection::vec(part, 1..4).prop_map(|parts| parts.join("/"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]
    #[test]
    fn no_sequence_of_entries_writes_outside(
        layers in prop::collection::vec(
            prop::collection::vec((prop::sample::select(b"01235".to_vec()), name(), name(), any::<bool>()), 0..8),
            1..4,
        ),
    ) {
        let place = Place::new();
        let canary = place.canary();
        let layers: Vec<Vec<u8>> = layers
            .iter()
            .map(|pieces| {
                let mut archive = Vec::new();
                for (flag, name, text, out) in pieces {
                    let text = if *out && *flag == b'2' { canary.as_str() } else { text.as_str() };
                    piece(&mut archive, (*flag, name, text), |_| {});
                }
                archive
            })
            .collect();
        if let Ok((root, tree)) = place.unpack(&layers) {
            // What is on disk is what the tree says.
            for (path, entry) in tree.iter() {
                let found = fs::symlink_metadata(root.join(path)).unwrap().file_type();
                let is_right = match entry.kind {
                    Kind::Directory { .. } => found.is_dir(),
                    Kind::Symlink { .. } => found.is_symlink(),
                    _ => found.is_file(),
                };
                prop_assert!(is_right, "{path}");
            }
        }
    }
}
