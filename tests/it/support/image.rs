//! Reading a built image with other people's tools: tar lists the layers, the JSON is parsed as it is.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

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
