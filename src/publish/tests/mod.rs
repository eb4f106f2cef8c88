//! Images of this program, written and found again.

mod archives;
mod index;
mod tools;
mod unpacking;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{Destination, Error, Tools, find, list, publish};
use crate::http::{Client, Options};
use crate::oci::image::{CONFIG, Descriptor, LAYER_GZIP, MANIFEST, Platform};
use crate::oci::registry::{Credentials, Registry, Settings};
use crate::oci::{Compression, Digest, to_canonical_json};
use crate::package::{Image, Input, LayerDescriptor, LayerInput, Product, Time, package};
use crate::plan::model;
use crate::store::{Entry, Store, Tree};
use crate::ui::{Diagnose as _, ExitCode, Progress, Reporter};

struct Fixture {
    folder: tempfile::TempDir,
    store: Store,
    reporter: Reporter,
    registry: Registry,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path().join("store")).unwrap();
        let client = Client::new(Options { offline: true, ..Options::default() });
        let registry = Registry::new(client, Settings::default(), Credentials::default());
        Self { folder, store, reporter: Reporter::new(Progress::Quiet), registry }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Two layers with a file, a link, a long name and a writable directory.
    fn image(&self, version: &str) -> Image {
        self.image_for("linux/amd64", version)
    }

    fn image_for(&self, platform: &str, version: &str) -> Image {
        self.image_of(platform, version, Compression::Gzip)
    }

    fn image_of(&self, platform: &str, version: &str, compression: Compression) -> Image {
        let long = format!("app/{}/{}", "d".repeat(120), "n".repeat(120));
        let layer = |id: &str, entries: &[(&str, Entry)]| LayerInput {
            id: id.to_owned(),
            comment: String::new(),
            tree: entries.iter().map(|(path, entry)| ((*path).to_owned(), entry.clone())).collect::<Tree>(),
            time: Time::Source,
        };
        let base = [("etc/passwd", Entry::bytes("root")), ("bin", Entry::symlink("usr/bin"))];
        let app = [("app/version", Entry::bytes(version)), (&*long, Entry::bytes("1").with_mode(0o755))];
        let image = model::Image {
            user: "65532:65532".to_owned(),
            working_directory: "/app".to_owned(),
            env: vec!["PATH=/usr/bin".to_owned()],
            ports: vec![8080],
            entrypoint: vec!["/app/server".to_owned()],
            cmd: Vec::new(),
            labels: [("org.opencontainers.image.title".to_owned(), "app".to_owned())].into(),
            annotations: std::collections::BTreeMap::new(),
            writable: vec![model::Writable { path: "/data".to_owned(), whole: true, origin: String::new() }],
            created: 1_700_000_000,
            compression,
            media_types: crate::oci::MediaTypes::Oci,
            start_origin: String::new(),
            processes: std::collections::BTreeMap::new(),
        };
        let layers = vec![layer("base", &base), layer("app", &app)];
        let input =
            Input { name: "app", platform, layers, image: &image, base: None, history: None, ahead: None };
        package(input, &self.store, &self.reporter).unwrap()
    }

    fn tools(&self) -> Tools<'_> {
        Tools { store: &self.store, registry: &self.registry, reporter: &self.reporter }
    }

    fn publish(&self, image: &Image, destination: &str, reference: &str) -> Result<(), Error> {
        self.publish_all(&image.clone().into(), destination, reference)
    }

    fn publish_all(&self, product: &Product, destination: &str, reference: &str) -> Result<(), Error> {
        let destination =
            if destination.is_empty() { Destination::Store } else { destination.parse().unwrap() };
        publish(product, &destination, &[reference.parse().unwrap()], &self.tools())
    }

    /// An image of layers as other tools may write them.
    fn foreign(&self, layers: &[Vec<u8>]) -> Image {
        let layers: Vec<_> = layers
            .iter()
            .map(|plain| {
                let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                gzip.write_all(plain).unwrap();
                let (digest, size) = self.store.put_blob(&gzip.finish().unwrap()[..]).unwrap();
                let diff_id = Digest::of(plain);
                LayerDescriptor {
                    id: String::new(),
                    media_type: LAYER_GZIP.to_owned(),
                    digest,
                    size,
                    diff_id,
                    uncompressed_size: None,
                }
            })
            .collect();
        let diff_ids: Vec<_> = layers.iter().map(|layer| layer.diff_id).collect();
        let config = json!({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": diff_ids}});
        let config = self.document(CONFIG, &config);
        let descriptor = |layer: &LayerDescriptor| Descriptor::new(LAYER_GZIP, layer.digest, layer.size);
        let manifest = json!({
            "schemaVersion": 2, "config": config, "layers": layers.iter().map(descriptor).collect::<Vec<_>>(),
        });
        let manifest = self.document(MANIFEST, &manifest);
        let platform = Platform { architecture: "amd64".to_owned(), os: "linux".to_owned(), variant: None };
        Image { platform, manifest, config, layers }
    }

    fn document(&self, media_type: &str, value: &Value) -> Descriptor {
        let (digest, size) = self.store.put_blob(&to_canonical_json(value).unwrap()[..]).unwrap();
        Descriptor::new(media_type, digest, size)
    }
}

/// As an image is read back: sizes before compression stand nowhere.
fn without_sizes(mut image: Image) -> Image {
    image.layers.iter_mut().for_each(|layer| layer.uncompressed_size = None);
    image
}

fn index(layout: &Path) -> Value {
    serde_json::from_slice(&fs::read(layout.join("index.json")).unwrap()).unwrap()
}

/// `TAG DIGEST` for each entry of a layout.
fn tags(layout: &Path) -> Vec<String> {
    let index = index(layout);
    let entries = index["manifests"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    entries
        .map(|entry| {
            text(&entry["annotations"]["org.opencontainers.image.ref.name"]) + " " + &text(&entry["digest"])
        })
        .collect()
}

#[test]
fn a_layout_is_complete_and_readable_by_others() {
    let fixture = Fixture::new();
    let image = fixture.image("1");
    let out = fixture.path("out");
    fixture.publish(&image, &format!("oci:{}:v1", out.display()), "team/app").unwrap();
    assert_eq!(fs::read_to_string(out.join("oci-layout")).unwrap(), r#"{"imageLayoutVersion":"1.0.0"}"#);
    let expected = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [{
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "digest": image.manifest.digest,
            "size": image.manifest.size,
            "platform": {"architecture": "amd64", "os": "linux"},
            "annotations": {
                "io.containerd.image.name": "docker.io/team/app:v1",
                "org.opencontainers.image.ref.name": "v1",
            },
        }],
    });
    assert_eq!(index(&out), expected);
    for (digest, size) in image.blobs() {
        let blob = out.join("blobs/sha256").join(digest.hex());
        let bytes = fs::read(&blob).unwrap();
        assert_eq!((Digest::of(&bytes), bytes.len() as u64), (digest, size));
        let metadata = fs::metadata(&blob).unwrap();
        assert_eq!(metadata.nlink(), 1, "what others may change is not a file of the store");
        assert_eq!(metadata.permissions().mode() & 0o444, 0o444);
    }
    let left_over = fs::read_dir(out.join("blobs/sha256")).unwrap().count();
    assert_eq!(left_over, image.blobs().count());
}

#[test]
fn a_tag_replaces_its_entry_and_leaves_the_others_as_they_are() {
    let fixture = Fixture::new();
    let (one, two) = (fixture.image("1"), fixture.image("2"));
    let out = fixture.path("out");
    let destination = |tag: &str| format!("oci:{}:{tag}", out.display());
    fixture.publish(&one, &destination("a"), "app").unwrap();
    // What another tool wrote, with a field that is not known here.
    let mut index = index(&out);
    let foreign = json!({
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "digest": format!("sha256:{}", "e".repeat(64)), "size": 7, "artifactType": "text/x",
    });
    index["manifests"].as_array_mut().unwrap().push(foreign.clone());
    fs::write(out.join("index.json"), index.to_string()).unwrap();
    fixture.publish(&one, &destination("b"), "app").unwrap();
    fixture.publish(&two, &destination("a"), "app").unwrap();
    let (one, two) = (one.manifest.digest, two.manifest.digest);
    assert_eq!(tags(&out), [format!("- sha256:{}", "e".repeat(64)), format!("b {one}"), format!("a {two}")]);
    assert_eq!(self::index(&out)["manifests"][0], foreign);
}

#[test]
fn a_directory_that_holds_something_else_is_left_alone() {
    let fixture = Fixture::new();
    let image = fixture.image("1");
    let out = fixture.path("out");
    fs::create_dir(&out).unwrap();
    fs::write(out.join("notes.txt"), "mine").unwrap();
    let error = fixture.publish(&image, &format!("oci:{}", out.display()), "app").unwrap_err();
    assert_eq!(error.id(), "publish/format");
    assert_eq!(
        error.to_string(),
        format!("{} is not an OCI layout: it has no file `oci-layout` and is not empty", out.display())
    );
    assert_eq!(fs::read_dir(&out).unwrap().count(), 1);
    fs::write(out.join("oci-layout"), r#"{"imageLayoutVersion":"2.0.0"}"#).unwrap();
    let error = fixture.publish(&image, &format!("oci:{}", out.display()), "app").unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("{} is not an OCI layout: its version is `2.0.0`, expected `1.0.0`", out.display())
    );
}

#[test]
fn a_damaged_blob_is_not_published() {
    let fixture = Fixture::new();
    let image = fixture.image("1");
    let blob = fixture.store.blob(&image.layers[0].digest).unwrap();
    let mut bytes = fs::read(&blob).unwrap();
    bytes[20] ^= 1;
    fs::write(&blob, &bytes).unwrap();
    let (out, file) = (fixture.path("out"), fixture.path("app.tar"));
    fs::write(&file, "what was there").unwrap();
    for destination in [format!("oci:{}", out.display()), format!("oci-archive:{}", file.display())] {
        assert_eq!(fixture.publish(&image, &destination, "app").unwrap_err().id(), "store/digest");
    }
    assert!(!out.join("index.json").exists());
    assert_eq!(fs::read_to_string(&file).unwrap(), "what was there");
    let hidden = fs::read_dir(fixture.folder.path()).unwrap().count();
    assert_eq!(hidden, 3, "store, out, app.tar");
}

#[test]
fn the_store_finds_images_by_name_and_digest() {
    let fixture = Fixture::new();
    let (one, two) = (fixture.image("1"), fixture.image("2"));
    fixture.publish(&one, "", "app").unwrap();
    fixture.publish(&two, "", "app:v2").unwrap();
    fixture.publish(&two, "", "registry.example.com/team/app:v2").unwrap();
    let manifest =
        |text: &str| find(text, "linux/amd64", &fixture.tools()).map(|image| image.manifest.digest);
    let (one, two) = (one.manifest.digest, two.manifest.digest);
    for (text, expected) in [
        ("app", one),
        ("app:latest", one),
        ("docker.io/library/app:latest", one),
        ("app:v2", two),
        ("registry.example.com/team/app:v2", two),
        (&*one.to_string(), one),
        (&two.hex()[..12], two),
        (&*format!("app@{two}"), two),
    ] {
        assert_eq!(manifest(text).unwrap(), expected, "{text}");
    }
    let error = manifest("web").unwrap_err();
    assert_eq!(
        (error.id(), error.to_string()),
        ("publish/not-found", "there is no image `web` in the store".to_owned())
    );
    assert_eq!(error.hints(), ["known names: `app:latest`, `app:v2`, `registry.example.com/team/app:v2`"]);
    assert_eq!(manifest(&one.hex()[..5]).unwrap_err().id(), "publish/not-found");
    let names: Vec<_> = list(&fixture.tools()).unwrap().into_iter().map(|stored| stored.name).collect();
    assert_eq!(names, ["app:latest", "app:v2", "registry.example.com/team/app:v2"]);
    let blob = fixture.store.images().join("blobs/sha256").join(one.hex());
    assert_eq!(fs::metadata(blob).unwrap().nlink(), 2, "the store holds each blob once");
}

#[test]
fn archives_are_the_same_bytes_and_come_back() {
    let fixture = Fixture::new();
    let image = fixture.image("1");
    let (first, second) = (fixture.path("1.tar"), fixture.path("2.tar"));
    fixture.publish(&image, &format!("docker-archive:{}:team/app:v1", first.display()), "x").unwrap();
    fixture.publish(&image, &format!("oci-archive:{}:v1", second.display()), "team/app").unwrap();
    assert!(fs::read(&first).unwrap() == fs::read(&second).unwrap(), "one form serves both kinds of reader");
    let mut archive = tar::Archive::new(fs::File::open(&first).unwrap());
    let mut names = Vec::new();
    let mut manifest = Value::Null;
    for entry in archive.entries().unwrap() {
        let entry = entry.unwrap();
        let name = entry.path().unwrap().to_str().unwrap().to_owned();
        if name == "manifest.json" {
            manifest = serde_json::from_reader(entry).unwrap();
        }
        names.push(name);
    }
    let mut expected: Vec<_> =
        image.blobs().map(|(digest, _)| format!("blobs/sha256/{}", digest.hex())).collect();
    expected.sort();
    expected.splice(0..0, ["blobs/".to_owned(), "blobs/sha256/".to_owned()]);
    expected.extend(["index.json", "manifest.json", "oci-layout"].map(str::to_owned));
    assert_eq!(names, expected);
    let blob = |digest: &Digest| format!("blobs/sha256/{}", digest.hex());
    assert_eq!(
        manifest,
        json!([{
            "Config": blob(&image.config.digest),
            "RepoTags": ["team/app:v1"],
            "Layers": [blob(&image.layers[0].digest), blob(&image.layers[1].digest)],
        }])
    );
    let other = Fixture::new();
    for text in [
        format!("oci-archive:{}", second.display()),
        format!("oci-archive:{}:v1", second.display()),
        format!("docker-archive:{}:team/app:v1", first.display()),
    ] {
        assert_eq!(find(&text, "linux/amd64", &other.tools()).unwrap(), without_sizes(image.clone()));
    }
    let error =
        find(&format!("oci-archive:{}:v2", second.display()), "linux/amd64", &other.tools()).unwrap_err();
    assert_eq!(error.hints(), ["known names: `v1`"]);
}

#[test]
fn layouts_that_lie_are_refused() {
    let fixture = Fixture::new();
    let image = fixture.image("1");
    let out = fixture.path("out");
    let text = format!("oci:{}", out.display());
    fixture.publish(&image, &text, "app").unwrap();
    let other = Fixture::new();
    let layer = out.join("blobs/sha256").join(image.layers[0].digest.hex());
    let good = fs::read(&layer).unwrap();
    let mut bad = good.clone();
    bad[15] ^= 1;
    fs::write(&layer, &bad).unwrap();
    assert_eq!(find(&text, "linux/amd64", &other.tools()).unwrap_err().id(), "store/digest");
    fs::write(&layer, [&good[..], b"more"].concat()).unwrap();
    assert_eq!(find(&text, "linux/amd64", &other.tools()).unwrap_err().id(), "publish/unreadable");
    fs::write(&layer, &good).unwrap();
    find(&text, "linux/amd64", &other.tools()).unwrap();
    let mut index = index(&out);
    index["manifests"][0]["mediaType"] = "application/vnd.example.thing+json".into();
    fs::write(out.join("index.json"), index.to_string()).unwrap();
    assert_eq!(
        find(&text, "linux/amd64", &other.tools()).unwrap_err().to_string(),
        format!(
            "manifest {} cannot be read: its media type is `application/vnd.example.thing+json`, expected \
             one manifest for one platform",
            image.manifest.digest
        )
    );
}

#[test]
fn a_docker_archive_holds_no_zstd() {
    let fixture = Fixture::new();
    let image = fixture.image_of("linux/amd64", "1", Compression::Zstd { level: 3 });
    let file = fixture.path("image.tar");
    let error = fixture.publish(&image, &format!("docker-archive:{}", file.display()), "app").unwrap_err();
    assert_eq!((error.id(), error.exit()), ("publish/compression", ExitCode::Usage));
    assert_eq!(
        error.to_string(),
        "a docker-archive holds layers that are compressed with gzip, and this image has some with zstd"
    );
    assert_eq!(
        error.hints(),
        [
            format!("write an archive of another form: `-o oci-archive:{}`", file.display()),
            "or compress with gzip, unless the layers are the base image's: `--compression gzip`".to_owned(),
        ]
    );
    assert!(!file.exists());
}
