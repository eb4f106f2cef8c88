//! What packaging promises: the same digests everywhere, and refusals by name.

mod base;
mod links;
mod segments;
mod writable;

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::path::PathBuf;

use super::{Error, Image, Input, LayerInput, Time, package, package_with};
use crate::oci::{Compression, MediaTypes};
use crate::plan::model;
use crate::store::{Content, Entry, Kind, Store, Tree};
use crate::ui::{Diagnose as _, Progress, Reporter};

struct Fixture {
    folder: tempfile::TempDir,
    store: Store,
    image: model::Image,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path().join("store")).unwrap();
        let label = ("org.opencontainers.image.version".to_owned(), "1.2.3".to_owned());
        let image = model::Image {
            user: "65532:65532".to_owned(),
            working_directory: "/app".to_owned(),
            env: vec!["PATH=/usr/bin".to_owned(), "A=b".to_owned()],
            ports: vec![8080],
            entrypoint: vec!["/usr/bin/node".to_owned(), "server.js".to_owned()],
            cmd: Vec::new(),
            labels: BTreeMap::from([label]),
            annotations: BTreeMap::new(),
            writable: Vec::new(),
            created: 1_700_000_000,
            compression: Compression::Gzip,
            media_types: MediaTypes::Oci,
            start_origin: "package.json:6 scripts.start".to_owned(),
            processes: BTreeMap::new(),
        };
        Self { folder, store, image }
    }

    fn package(&self, layers: Vec<LayerInput>) -> Result<Image, Error> {
        let input = Input {
            name: "shop",
            platform: "linux/amd64",
            layers,
            image: &self.image,
            base: None,
            history: None,
            ahead: None,
        };
        package(input, &self.store, &Reporter::new(Progress::Quiet))
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    fn json(&self, digest: &crate::oci::Digest) -> String {
        fs::read_to_string(self.store.blob(digest).unwrap()).unwrap()
    }

    /// A layer's archive, as a reader of one member gets it; its digest is what the image says.
    fn plain(&self, image: &Image, layer: usize) -> Vec<u8> {
        let blob = fs::File::open(self.store.blob(&image.layers[layer].digest).unwrap()).unwrap();
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(blob).read_to_end(&mut plain).unwrap();
        assert_eq!(crate::oci::Digest::of(&plain), image.layers[layer].diff_id);
        assert_eq!(Some(plain.len() as u64), image.layers[layer].uncompressed_size);
        plain
    }

    /// `PATH MODE UID:GID MTIME` for each entry of a layer.
    fn listing(&self, image: &Image, layer: usize) -> Vec<String> {
        let plain = self.plain(image, layer);
        let mut archive = tar::Archive::new(&plain[..]);
        let line = |entry: tar::Entry<'_, &[u8]>| {
            let header = entry.header();
            format!(
                "{} {:o} {}:{} {}",
                String::from_utf8_lossy(&entry.path_bytes()),
                header.mode().unwrap(),
                header.uid().unwrap(),
                header.gid().unwrap(),
                header.mtime().unwrap()
            )
        };
        archive.entries().unwrap().map(|entry| line(entry.unwrap())).collect()
    }
}

fn layer(id: &str, time: Time, entries: &[(&str, Entry)]) -> LayerInput {
    let tree: Tree = entries.iter().map(|(path, entry)| ((*path).to_owned(), entry.clone())).collect();
    LayerInput { id: id.to_owned(), comment: format!("the {id}"), tree, time }
}

fn packaged(mut entry: Entry, mode: u32, mtime: i64) -> Entry {
    entry.package = Some("libc6".to_owned());
    entry.mode = mode;
    entry.mtime = mtime;
    entry
}

fn whole(path: &str) -> model::Writable {
    model::Writable { path: path.to_owned(), whole: true, origin: "rpack.toml:1".to_owned() }
}

fn on_disk(path: PathBuf) -> Entry {
    let size = fs::metadata(&path).unwrap().len();
    Entry::new(Kind::File { size, content: Content::Path(path) }, 0o644)
}

#[test]
fn entries_are_normalised_by_who_brought_them() {
    let mut fixture = Fixture::new();
    fixture.image.writable = vec![whole("/app/data")];
    let base = [
        ("etc/shadow", packaged(Entry::bytes("x"), 0o640, 1_500_000_000)),
        ("etc", packaged(Entry::directory(), 0o750, 1_500_000_000)),
        ("etc/passwd", Entry::bytes("root").with_mode(0o600)),
        ("lib", packaged(Entry::symlink("usr/lib"), 0o777, 1_500_000_000)),
        ("root", Entry::directory().with_mode(0o755)),
        ("tmp", Entry::directory()),
    ];
    let app = [
        ("app/run.sh", Entry::bytes("#!").with_mode(0o4711)),
        ("app/server.js", Entry::bytes("1").with_mode(0o666)),
        ("app/link", Entry::symlink("run.sh")),
        ("etc/app.conf", Entry::bytes("1")),
    ];
    let image =
        fixture.package(vec![layer("base", Time::Fixed, &base), layer("app", Time::Source, &app)]).unwrap();
    assert_eq!(
        fixture.listing(&image, 0),
        [
            "etc/ 750 0:0 315532801",
            "etc/passwd 644 0:0 315532801",
            "etc/shadow 640 0:0 1500000000",
            "lib 777 0:0 1500000000",
            "root/ 700 0:0 315532801",
            "tmp/ 1777 0:0 315532801",
        ]
    );
    assert_eq!(
        fixture.listing(&image, 1),
        [
            "app/ 755 0:0 315532801",
            "app/data/ 1777 65532:65532 315532801",
            "app/link 777 0:0 1700000000",
            "app/run.sh 755 0:0 1700000000",
            "app/server.js 644 0:0 1700000000",
            "etc/ 750 0:0 315532801",
            "etc/app.conf 644 0:0 1700000000",
        ]
    );
}

#[test]
fn config_and_manifest_are_complete_and_canonical() {
    let fixture = Fixture::new();
    let image = fixture.package(vec![layer("app", Time::Source, &[("app/a", Entry::bytes("a"))])]).unwrap();
    let diff_id = image.layers[0].diff_id;
    let config = format!(
        r#"{{"architecture":"amd64","config":{{"Entrypoint":["/usr/bin/node","server.js"],"Env":["PATH=/usr/bin","A=b"],"ExposedPorts":{{"8080/tcp":{{}}}},"Labels":{{"org.opencontainers.image.version":"1.2.3"}},"StopSignal":"SIGTERM","User":"65532:65532","WorkingDir":"/app"}},"created":"2023-11-14T22:13:20Z","history":[{{"comment":"the app","created":"2023-11-14T22:13:20Z","created_by":"rpack app"}}],"os":"linux","rootfs":{{"diff_ids":["{diff_id}"],"type":"layers"}}}}"#
    );
    assert_eq!(fixture.json(&image.config.digest), config);
    let (layer, size) = (image.layers[0].digest, image.layers[0].size);
    let (config, config_size) = (image.config.digest, config.len());
    let manifest = format!(
        r#"{{"annotations":{{"org.opencontainers.image.version":"1.2.3"}},"config":{{"digest":"{config}","mediaType":"application/vnd.oci.image.config.v1+json","size":{config_size}}},"layers":[{{"digest":"{layer}","mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","size":{size}}}],"mediaType":"application/vnd.oci.image.manifest.v1+json","schemaVersion":2}}"#
    );
    assert_eq!(fixture.json(&image.manifest.digest), manifest);
}

#[test]
fn the_digest_is_the_same_in_any_store_with_any_number_of_threads() {
    let digests: Vec<String> = [1, 2, 7]
        .map(|threads| {
            let fixture = Fixture::new();
            let large = fixture.file(&format!("source-{threads}/large"), &b"0123456789abcdef".repeat(60_000));
            let entries = [("app/large", on_disk(large)), ("app/small", Entry::bytes("s"))];
            let layers = vec![layer("app", Time::Source, &entries)];
            let input = Input {
                name: "shop",
                platform: "linux/amd64",
                layers,
                image: &fixture.image,
                base: None,
                history: None,
                ahead: None,
            };
            let image =
                package_with(threads, input, &fixture.store, &Reporter::new(Progress::Quiet)).unwrap();
            image.manifest.digest.to_string()
        })
        .to_vec();
    assert_eq!(digests[0], digests[1]);
    assert_eq!(digests[0], digests[2]);
}

#[test]
fn an_unchanged_layer_is_not_packed_again() {
    let fixture = Fixture::new();
    let tree = fixture.store.root().join("trees/key/fs");
    fs::create_dir_all(&tree).unwrap();
    fs::write(tree.join("a"), "aaaa").unwrap();
    let layers =
        || vec![layer("base", Time::Fixed, &[("a", on_disk(tree.join("a"))), ("b", Entry::bytes("b"))])];
    let first = fixture.package(layers()).unwrap();
    // The same size, inode and times: whoever read the file would see the difference.
    let time = fs::metadata(tree.join("a")).unwrap().modified().unwrap();
    fs::write(tree.join("a"), "bbbb").unwrap();
    fs::File::options().write(true).open(tree.join("a")).unwrap().set_modified(time).unwrap();
    assert_eq!(fixture.package(layers()).unwrap(), first);
    fs::write(tree.join("a"), "aaaa").unwrap();
    fs::File::options().write(true).open(tree.join("a")).unwrap().set_modified(time).unwrap();
    // A lost blob is made again.
    let blob = fixture.store.blob(&first.layers[0].digest).unwrap();
    fs::remove_file(&blob).unwrap();
    assert_eq!(fixture.package(layers()).unwrap(), first);
    assert!(blob.exists());
}

#[test]
fn a_changed_file_outside_the_store_is_noticed_whatever_its_times_say() {
    let fixture = Fixture::new();
    let source = fixture.file("source/a", b"one");
    let time = fs::metadata(&source).unwrap().modified().unwrap();
    let layers = || vec![layer("app", Time::Fixed, &[("a", on_disk(source.clone()))])];
    let first = fixture.package(layers()).unwrap();
    fs::write(&source, "two").unwrap();
    fs::File::options().write(true).open(&source).unwrap().set_modified(time).unwrap();
    let second = fixture.package(layers()).unwrap();
    assert_ne!(first.layers[0].diff_id, second.layers[0].diff_id);
}

#[test]
fn a_file_of_another_size_than_stated_is_an_error() {
    let fixture = Fixture::new();
    let source = fixture.file("source/a", b"one");
    let entry = on_disk(source.clone());
    fs::write(&source, "longer").unwrap();
    let error = fixture.package(vec![layer("app", Time::Fixed, &[("a", entry)])]).unwrap_err();
    assert_eq!(error.id(), "package/changed");
    assert_eq!(
        error.to_string(),
        format!("{} changed while it was packed as `/a` in layer `app`", source.display())
    );
}

#[test]
fn a_link_in_the_place_of_a_file_is_not_followed() {
    let fixture = Fixture::new();
    let source = fixture.file("source/a", b"one");
    let entry = on_disk(source.clone());
    fs::remove_file(&source).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", &source).unwrap();
    let error = fixture.package(vec![layer("app", Time::Fixed, &[("a", entry)])]).unwrap_err();
    assert_eq!(error.id(), "package/read");
}

type Entries<'a> = &'a [(&'a str, Entry)];

#[test]
fn layers_that_contradict_each_other_are_refused() {
    let file = || Entry::bytes("x");
    let opaque = Entry::new(Kind::Directory { opaque: true }, 0o755);
    let cases: [(Entries, Entries, &str); 8] = [
        (&[("a/b", file())], &[("a/b", file())], "`/a/b` is in layer `base` and in layer `app`"),
        (
            &[("lib", Entry::symlink("usr/lib"))],
            &[("lib/x", file())],
            "`/lib` is in layer `base` and in layer `app`",
        ),
        (&[("a/b", file())], &[("a", file())], "`/a` is in layer `base` and in layer `app`"),
        (
            &[],
            &[("a", Entry::new(Kind::Whiteout, 0))],
            "layer `app` removes `/a`, but layers of an image only add files",
        ),
        (&[], &[("a", opaque)], "layer `app` removes `/a`, but layers of an image only add files"),
        (
            &[],
            &[("a/.wh.b", file())],
            "`/a/.wh.b` in layer `app` cannot be in an image: names that begin with `.wh.` mean a removed file",
        ),
        (
            &[],
            &[("a", file()), ("a/b", file())],
            "`/a/b` in layer `app` lies below `/a`, which is not a directory",
        ),
        (&[], &[("a\0b", file())], "\"a\\0b\" in layer `app` cannot be in an image: its name holds a NUL"),
    ];
    for (base, app, expected) in cases {
        let layers = vec![layer("base", Time::Fixed, base), layer("app", Time::Fixed, app)];
        assert_eq!(Fixture::new().package(layers).unwrap_err().to_string(), expected);
    }
}

#[test]
fn platform_time_and_layers_are_checked() {
    let mut fixture = Fixture::new();
    assert!(matches!(fixture.package(Vec::new()), Err(Error::Empty)));
    let layers = || vec![layer("app", Time::Fixed, &[])];
    let input = Input {
        name: "shop",
        platform: "amd64",
        layers: layers(),
        image: &fixture.image,
        base: None,
        history: None,
        ahead: None,
    };
    let error = package(input, &fixture.store, &Reporter::new(Progress::Quiet)).unwrap_err();
    assert_eq!(error.to_string(), "`amd64` is not a platform: expected `linux/amd64` or the like");
    for created in [-1, i64::MAX] {
        fixture.image.created = created;
        assert_eq!(fixture.package(layers()).unwrap_err().id(), "package/created");
    }
}
