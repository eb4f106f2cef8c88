//! Reading a built image with other people's tools: tar lists the layers, the JSON is parsed as it is.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rpack::oci::Digest;
use serde_json::{Value, json};

/// An image in an OCI layout.
pub(crate) struct Layout {
    root: PathBuf,
    pub(crate) manifest: Value,
    pub(crate) config: Value,
}

impl Layout {
    /// The only image of the layout.
    pub(crate) fn open(root: &Path) -> Self {
        let json = |path: PathBuf| serde_json::from_slice::<Value>(&fs::read(path).unwrap()).unwrap();
        let index = json(root.join("index.json"));
        assert_eq!(index["manifests"].as_array().unwrap().len(), 1);
        let manifest = json(blob(root, &index["manifests"][0]));
        let config = json(blob(root, &manifest["config"]));
        Self { root: root.to_owned(), manifest, config }
    }

    /// Size of all compressed layers in bytes.
    pub(crate) fn size(&self) -> u64 {
        self.layers().map(|layer| layer["size"].as_u64().unwrap()).sum()
    }

    fn layers(&self) -> impl DoubleEndedIterator<Item = &Value> {
        self.manifest["layers"].as_array().unwrap().iter()
    }

    /// Unpacks all layers into `target`, as root with their owners.
    pub(crate) fn unpack(&self, target: &Path) -> PathBuf {
        fs::create_dir_all(target).unwrap();
        for layer in self.layers() {
            let output = Command::new("tar")
                .args(["--numeric-owner", "-xpzf"])
                .arg(blob(&self.root, layer))
                .arg("-C")
                .arg(target)
                .output()
                .unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
        target.to_owned()
    }

    /// Every path of the image, without directories.
    pub(crate) fn paths(&self) -> BTreeSet<String> {
        self.listing()
            .into_iter()
            .filter(|line| !line.starts_with('d'))
            .map(|line| {
                let path = line.splitn(6, ' ').last().unwrap().trim_start();
                path.split(" -> ").next().unwrap().to_owned()
            })
            .collect()
    }

    /// The text of a file; the uppermost layer that has it counts.
    pub(crate) fn text(&self, path: &str) -> Option<String> {
        self.layers().rev().find_map(|layer| {
            let mut command = Command::new("tar");
            let output = command.arg("-xzOf").arg(blob(&self.root, layer)).arg(path).output().unwrap();
            output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
        })
    }

    /// `tar tv` of all layers: mode, owner, size, date, time, path, with single spaces.
    pub(crate) fn listing(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for layer in self.layers() {
            let output = Command::new("tar")
                .args(["--numeric-owner", "--quoting-style=literal", "-tvzf"])
                .arg(blob(&self.root, layer))
                .output()
                .unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            let text = String::from_utf8(output.stdout).unwrap();
            lines.extend(text.lines().map(single_spaced));
        }
        lines
    }
}

/// The columns before the path are padded; the path keeps its spaces.
fn single_spaced(line: &str) -> String {
    let mut rest = line;
    let mut columns = Vec::new();
    for _ in 0..5 {
        let (column, after) = rest.split_once(' ').unwrap();
        columns.push(column);
        rest = after.trim_start();
    }
    columns.push(rest);
    columns.join(" ")
}

fn blob(root: &Path, descriptor: &Value) -> PathBuf {
    let digest = descriptor["digest"].as_str().unwrap();
    root.join("blobs").join(digest.replace(':', "/"))
}

/// An OCI layout at `root` whose layers are these bytes, under the tag `1`. Returns the digest of its manifest.
pub(crate) fn layout_of(root: &Path, layers: &[Vec<u8>]) -> String {
    let entry = manifest_of(root, "amd64", layers);
    finish(root, entry)
}

/// The same with an index for two platforms, of which the second has a layer more.
pub(crate) fn index_of(root: &Path, layers: &[Vec<u8>]) -> String {
    let part = |architecture: &str, layers: &[Vec<u8>]| {
        let mut entry = manifest_of(root, architecture, layers);
        entry["platform"] = json!({"os": "linux", "architecture": architecture});
        entry
    };
    let more = [layers, &[noise(99, 512)]].concat();
    let parts = [part("amd64", layers), part("arm64", &more)];
    let media_type = "application/vnd.oci.image.index.v1+json";
    let index = json!({"schemaVersion": 2, "mediaType": media_type, "manifests": parts});
    let entry = put(root, index.to_string().as_bytes(), media_type);
    finish(root, entry)
}

fn put(root: &Path, bytes: &[u8], media_type: &str) -> Value {
    let digest = Digest::of(bytes);
    fs::create_dir_all(root.join("blobs/sha256")).unwrap();
    fs::write(root.join("blobs/sha256").join(digest.hex()), bytes).unwrap();
    json!({"mediaType": media_type, "digest": digest, "size": bytes.len()})
}

fn manifest_of(root: &Path, architecture: &str, layers: &[Vec<u8>]) -> Value {
    let digests: Vec<Digest> = layers.iter().map(|layer| Digest::of(layer)).collect();
    let config = json!({
        "architecture": architecture, "os": "linux", "config": {},
        "rootfs": {"type": "layers", "diff_ids": digests},
    });
    let config = put(root, config.to_string().as_bytes(), "application/vnd.oci.image.config.v1+json");
    let layers: Vec<Value> =
        layers.iter().map(|layer| put(root, layer, "application/vnd.oci.image.layer.v1.tar")).collect();
    let manifest = "application/vnd.oci.image.manifest.v1+json";
    let document = json!({"schemaVersion": 2, "mediaType": manifest, "config": config, "layers": layers});
    put(root, document.to_string().as_bytes(), manifest)
}

fn finish(root: &Path, mut entry: Value) -> String {
    entry["annotations"] = json!({"org.opencontainers.image.ref.name": "1"});
    let index = json!({"schemaVersion": 2, "manifests": [entry]});
    fs::write(root.join("index.json"), index.to_string()).unwrap();
    fs::write(root.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    entry["digest"].as_str().unwrap().to_owned()
}

/// Bytes that nothing compresses and that are the same in every run.
pub(crate) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    std::iter::repeat_with(|| next().to_le_bytes()).flatten().take(length).collect()
}
