//! Images that another program made: layers and documents as a test states them, in an OCI layout.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::debian_repository::sha256;

/// A layer to be made.
pub(crate) struct Layer {
    archive: tar::Builder<Vec<u8>>,
}

impl Layer {
    /// A layer without entries.
    pub(crate) fn new() -> Self {
        Self { archive: tar::Builder::new(Vec::new()) }
    }

    fn entry(
        mut self,
        kind: tar::EntryType,
        path: &str,
        (mode, owner): (u32, u64),
        body: &[u8],
        link: &str,
    ) -> Self {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(owner);
        header.set_gid(owner);
        header.set_mtime(1_000_000_000);
        header.set_size(body.len() as u64);
        if !link.is_empty() {
            header.set_link_name(link).unwrap();
        }
        self.archive.append_data(&mut header, path, body).unwrap();
        self
    }

    /// A file of root.
    pub(crate) fn file(self, path: &str, text: &str) -> Self {
        self.file_as(path, text, 0o644, 0)
    }

    /// A file with its mode and the number of its user and group.
    pub(crate) fn file_as(self, path: &str, text: &str, mode: u32, owner: u64) -> Self {
        self.entry(tar::EntryType::Regular, path, (mode, owner), text.as_bytes(), "")
    }

    /// A program of root.
    pub(crate) fn program(self, path: &str, bytes: &[u8]) -> Self {
        self.entry(tar::EntryType::Regular, path, (0o755, 0), bytes, "")
    }

    /// A directory with its mode and the number of its user and group.
    pub(crate) fn directory(self, path: &str, mode: u32, owner: u64) -> Self {
        self.entry(tar::EntryType::Directory, path, (mode, owner), b"", "")
    }

    /// A symbolic link.
    pub(crate) fn link(self, path: &str, target: &str) -> Self {
        self.entry(tar::EntryType::Symlink, path, (0o777, 0), b"", target)
    }

    /// A further name of a file.
    pub(crate) fn hard_link(self, path: &str, target: &str) -> Self {
        self.entry(tar::EntryType::Link, path, (0o644, 0), b"", target)
    }
}

/// Writes a blob of a layout and returns what points at it.
pub(crate) fn blob(layout: &Path, media_type: &str, bytes: &[u8]) -> Value {
    let digest = sha256(bytes);
    let folder = layout.join("blobs/sha256");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(&digest), bytes).unwrap();
    json!({"mediaType": media_type, "digest": format!("sha256:{digest}"), "size": bytes.len()})
}

/// Makes `layout` one that has a single entry, `entry`.
pub(crate) fn name(layout: &Path, entry: &Value) {
    fs::write(layout.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    let index = json!({"schemaVersion": 2, "manifests": [entry]});
    fs::write(layout.join("index.json"), serde_json::to_vec(&index).unwrap()).unwrap();
}

/// Makes an image of `layers`, from the bottom up, and returns what points at its manifest. `config` is completed.
pub(crate) fn image(layout: &Path, layers: Vec<Layer>, mut config: Value) -> Value {
    let archives: Vec<Vec<u8>> =
        layers.into_iter().map(|layer| layer.archive.into_inner().unwrap()).collect();
    let diff_ids: Vec<String> = archives.iter().map(|bytes| format!("sha256:{}", sha256(bytes))).collect();
    config["os"] = json!("linux");
    if config["architecture"].is_null() {
        config["architecture"] = json!("amd64");
    }
    config["rootfs"] = json!({"type": "layers", "diff_ids": diff_ids});
    let layers: Vec<Value> =
        archives.iter().map(|bytes| blob(layout, "application/vnd.oci.image.layer.v1.tar", bytes)).collect();
    let config = serde_json::to_vec(&config).unwrap();
    let config = blob(layout, "application/vnd.oci.image.config.v1+json", &config);
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    let manifest = json!({"schemaVersion": 2, "mediaType": media_type, "config": config, "layers": layers,
        "annotations": {"org.example.kind": "foreign"}});
    blob(layout, media_type, &serde_json::to_vec(&manifest).unwrap())
}

/// A layout in `folder` with one image.
pub(crate) fn layout(folder: PathBuf, layers: Vec<Layer>, config: Value) -> PathBuf {
    let entry = image(&folder, layers, config);
    name(&folder, &entry);
    folder
}
