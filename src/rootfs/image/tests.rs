//! Images of a registry and of layouts become bases.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use super::{Error, config, files, resolve, tree};
use crate::definitions::Definitions;
use crate::http::{Client, Options};
use crate::http_server::Server;
use crate::oci::image::{DOCKER_INDEX, DOCKER_LAYER, DOCKER_MANIFEST, INDEX, LAYER, MANIFEST};
use crate::oci::registry::{Credentials, Settings};
use crate::oci::{Digest, origin, to_canonical_json};
use crate::rootfs::{Context, Endpoints, Machine};
use crate::store::Store;
use crate::ui::{Diagnose as _, Progress, Reporter};

/// Blobs, to be served or to be written as a layout.
#[derive(Default)]
struct Image {
    blobs: BTreeMap<Digest, Vec<u8>>,
    top: Option<(String, Digest)>,
}

impl Image {
    fn put(&mut self, bytes: Vec<u8>) -> (Digest, usize) {
        let (digest, size) = (Digest::of(&bytes), bytes.len());
        self.blobs.insert(digest, bytes);
        (digest, size)
    }

    fn document(&mut self, media_type: &str, value: &Value) -> Value {
        let (digest, size) = self.put(to_canonical_json(value).unwrap());
        json!({"mediaType": media_type, "digest": digest, "size": size})
    }

    /// A manifest for `architecture` with one layer that holds `os-release`.
    fn manifest(&mut self, architecture: &str, types: [&str; 2]) -> Value {
        let text = "ID=debian\nVERSION_ID=\"13\"\n";
        let mut builder = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_ustar();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        builder.append_data(&mut header, "etc/os-release", text.as_bytes()).unwrap();
        let (layer, size) = self.put(builder.into_inner().unwrap());
        let config = json!({
            "architecture": architecture, "os": "linux", "config": {"User": "1000:1000", "Env": ["A=1"]},
            "rootfs": {"type": "layers", "diff_ids": [layer]}, "unknown": architecture,
        });
        let config = self.document("application/vnd.oci.image.config.v1+json", &config);
        let manifest = json!({
            "schemaVersion": 2, "mediaType": types[0], "config": config,
            "layers": [{"mediaType": types[1], "digest": layer, "size": size}],
        });
        let mut entry = self.document(types[0], &manifest);
        entry["platform"] = json!({"os": "linux", "architecture": architecture});
        entry
    }

    /// An index of two platforms and an attestation.
    fn index(types: [&str; 3]) -> (Self, Vec<Value>) {
        let mut image = Self::default();
        let entries: Vec<_> =
            ["arm64", "amd64"].iter().map(|name| image.manifest(name, [types[1], types[2]])).collect();
        let mut attestation = entries[0].clone();
        attestation["platform"] = json!({"os": "unknown", "architecture": "unknown"});
        let all: Vec<_> = std::iter::once(attestation).chain(entries.clone()).collect();
        let index = json!({"schemaVersion": 2, "mediaType": types[0], "manifests": all});
        let top = image.document(types[0], &index);
        image.top = Some((types[0].to_owned(), top["digest"].as_str().unwrap().parse().unwrap()));
        (image, entries)
    }

    fn write(&self, folder: &Path, entries: &[Value]) {
        fs::create_dir_all(folder.join("blobs/sha256")).unwrap();
        fs::write(folder.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
        let index = json!({"schemaVersion": 2, "manifests": entries});
        fs::write(folder.join("index.json"), index.to_string()).unwrap();
        for (digest, bytes) in &self.blobs {
            fs::write(folder.join("blobs/sha256").join(digest.hex()), bytes).unwrap();
        }
    }

    fn serve(&self, tag: &str) -> Server {
        let server = Server::start();
        for (digest, bytes) in &self.blobs {
            server.put(&format!("/v2/org/base/blobs/{digest}"), bytes.clone());
            server.put(&format!("/v2/org/base/manifests/{digest}"), bytes.clone());
        }
        let top = self.blobs[&self.top.as_ref().unwrap().1].clone();
        server.put(&format!("/v2/org/base/manifests/{tag}"), top);
        server
    }
}

struct Fixture {
    folder: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("source")).unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn context(&self, offline: bool) -> Context {
        let store = Store::open(self.path("store")).unwrap();
        let client = Client::new(Options { offline, pause: Duration::ZERO, ..Options::default() });
        let machine = Machine::new(self.path("root"), None, BTreeMap::new());
        let definitions = Definitions::embedded();
        let endpoints = Endpoints::new(machine, &BTreeMap::new(), &definitions).unwrap();
        Context::new(store, client, Reporter::new(Progress::Quiet), definitions, endpoints, 0).with_images(
            self.path("source"),
            Settings::default(),
            Credentials::default(),
        )
    }
}

fn digest(entry: &Value) -> Digest {
    entry["digest"].as_str().unwrap().parse().unwrap()
}

#[test]
fn an_image_of_a_registry_is_held_by_digest_and_kept_for_later() {
    let fixture = Fixture::new();
    let (image, entries) = Image::index([DOCKER_INDEX, DOCKER_MANIFEST, DOCKER_LAYER]);
    let server = image.serve("13");
    let host = server.url().replace("http://", "");
    let reference = format!("{host}/org/base:13");
    let found = resolve(&reference, "linux/amd64", &fixture.context(false)).unwrap();
    assert_eq!(found.image.digest, digest(&entries[1]), "the platform's manifest, not the index");
    assert_eq!(found.image.release.as_deref(), Some("debian-13"));
    assert_eq!(found.image.layers[0].media_type, LAYER, "docker's name becomes OCI's");
    assert_eq!((found.settings.user.as_str(), found.has_certificates), ("1000:1000", false));
    assert_eq!(server.take_requests().len(), 4, "index, manifest, config, layer");
    // Offline the tag means what it meant, and nothing is asked.
    let offline = fixture.context(true);
    assert_eq!(resolve(&reference, "linux/amd64", &offline).unwrap(), found);
    assert_eq!(config(&found.image, &offline).unwrap()["unknown"], "amd64");
    assert!(files(&found.image, &offline).unwrap().0.join("etc/os-release").exists());
    let by_digest = format!("{host}/org/base@{}", image.top.as_ref().unwrap().1);
    assert_eq!(resolve(&by_digest, "linux/amd64", &offline).unwrap().image.digest, found.image.digest);
    assert_eq!(server.take_requests(), Vec::<String>::new());
    let error = resolve(&format!("{host}/org/base:12"), "linux/amd64", &offline).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("image `{host}/org/base:12` is not in the store, and the network may not be used")
    );
}

#[test]
fn what_is_known_of_an_image_needs_no_blob() {
    let fixture = Fixture::new();
    let (image, _) = Image::index([INDEX, MANIFEST, LAYER]);
    let server = image.serve("13");
    let reference = format!("{}/org/base:13", server.url().replace("http://", ""));
    let found = resolve(&reference, "linux/amd64", &fixture.context(false)).unwrap();
    let document = config(&found.image, &fixture.context(false)).unwrap();
    let layer = found.image.layers[0].digest;
    let forget = || {
        for folder in ["blobs/sha256", "trees"] {
            fs::remove_dir_all(fixture.path("store").join(folder)).unwrap();
            fs::create_dir(fixture.path("store").join(folder)).unwrap();
        }
        server.take_requests();
    };
    let blobs = || server.take_requests().iter().filter(|path| path.contains("/blobs/")).count();
    forget();
    let context = fixture.context(false);
    assert_eq!(resolve(&reference, "linux/amd64", &context).unwrap(), found);
    assert_eq!(config(&found.image, &context).unwrap(), document);
    let names: Vec<String> =
        tree(&found.image, &context).unwrap().iter().map(|(path, _)| path.to_owned()).collect();
    assert_eq!((names, blobs()), (vec!["etc".to_owned(), "etc/os-release".to_owned()], 0));
    assert_eq!(origin::of(&layer, &context.store).map(|found| found.to_string()), Some(reference.clone()));
    // Who wants the files gets them.
    assert!(files(&found.image, &context).unwrap().0.join("etc/os-release").exists());
    assert_eq!(blobs(), 2);

    // A record that says something else, as a cache may hold it, counts for nothing.
    let name = fixture.path("store/metadata/bases").join(found.image.digest.hex());
    let record: Value = serde_json::from_slice(&fs::read(&name).unwrap()).unwrap();
    let entry = &record["files"]["etc/os-release"];
    for (key, value) in [
        ("config", json!("{}")),
        ("files", json!({"../etc": entry})),
        ("files", json!({"etc/os-release": entry})),
        ("files", json!({"etc": entry, "etc/os-release": entry})),
        ("files", json!([])),
    ] {
        let mut changed = record.clone();
        changed[key] = value;
        fs::write(&name, changed.to_string()).unwrap();
        forget();
        assert_eq!(resolve(&reference, "linux/amd64", &fixture.context(false)).unwrap(), found);
        assert_eq!(blobs(), 2, "{changed}");
    }
}

#[test]
fn a_platform_that_is_not_offered_is_named_with_those_that_are() {
    let fixture = Fixture::new();
    let server = Image::index([INDEX, MANIFEST, LAYER]).0.serve("1");
    let reference = format!("{}/org/base:1", server.url().replace("http://", ""));
    let error = resolve(&reference, "linux/s390x", &fixture.context(false)).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("image `{reference}` is not offered for `linux/s390x`; it is for: linux/arm64, linux/amd64")
    );
}

#[test]
fn layouts_are_read_relative_to_the_source() {
    let fixture = Fixture::new();
    let (image, entries) = Image::index([INDEX, MANIFEST, LAYER]);
    let (_, top) = image.top.clone().unwrap();
    let named = json!({
        "mediaType": INDEX, "digest": top, "size": image.blobs[&top].len(),
        "annotations": {"org.opencontainers.image.ref.name": "v1"},
    });
    image.write(&fixture.path("base"), &[named]);
    let context = fixture.context(true);
    let amd64 = digest(&entries[1]);
    for text in ["oci:../base".to_owned(), "oci:../base:v1".to_owned(), format!("oci:../base@{top}")] {
        let found = resolve(&text, "linux/amd64", &context).unwrap();
        assert_eq!((found.image.reference, found.image.digest), (text, amd64));
    }
    // Images side by side in the layout's own index.
    image.write(&fixture.path("flat"), &entries);
    assert_eq!(resolve("oci:../flat", "linux/amd64", &context).unwrap().image.digest, amd64);
    let error = resolve("oci:../base:v2", "linux/amd64", &context).unwrap_err();
    assert_eq!((error.id(), error.hints()), ("base/not-found", vec!["the images there are: v1".to_owned()]));
    let error = resolve("oci:../none", "linux/amd64", &context).unwrap_err();
    assert!(matches!(error, Error::Layout(_)), "{error}");
}

#[test]
fn a_damaged_blob_is_never_used() {
    let fixture = Fixture::new();
    let (image, entries) = Image::index([INDEX, MANIFEST, LAYER]);
    let manifest: Value = serde_json::from_slice(&image.blobs[&digest(&entries[1])]).unwrap();
    for victim in [digest(&entries[1]), digest(&manifest["config"]), digest(&manifest["layers"][0])] {
        let folder = fixture.path(&victim.hex());
        image.write(&folder, &entries[1..]);
        let path = folder.join("blobs/sha256").join(victim.hex());
        let mut bytes = fs::read(&path).unwrap();
        bytes[20] ^= 1;
        fs::write(&path, bytes).unwrap();
        let context = Fixture::new();
        let error = resolve(&format!("oci:{}", folder.display()), "linux/amd64", &context.context(true));
        assert_eq!(error.unwrap_err().id(), "store/digest", "{victim}");
    }
}
