//! OCI layouts, written: a directory with `oci-layout`, `index.json` and `blobs/sha256`
//! (<https://github.com/opencontainers/image-spec/blob/main/image-layout.md>).
//!
//! Invariants: `index.json` is replaced as a whole, after all blobs it needs are there; entries with other names
//! stay as they were, whatever is in them; one writer at a time.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::Error;
use super::destination::Names;
use crate::oci::image::{Descriptor, IMAGE_NAME, REF_NAME};
pub use crate::oci::layout::Layout;
use crate::oci::layout::WANTED;
use crate::oci::{Content, Digest, DigestReader, origin, to_canonical_json};
use crate::package::{Image, Product};
use crate::store::{self, Store};

/// The file that marks a layout, and its only version.
pub(super) const MARK: &str = r#"{"imageLayoutVersion":"1.0.0"}"#;

/// How the names of unfinished files begin.
const TEMPORARY: &str = ".rpack-";

/// How blobs come into a layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transfer {
    /// As further names of the same file, which only rpack may do with its own files.
    Link,
    /// The same; what is not there and can be had from the registry of a base image may be missing.
    LinkKnown,
    /// As copies, whose digest is checked on the way.
    Copy,
}

impl Layout {
    /// Opens the layout at `root`, which is made when there is nothing or an empty directory.
    ///
    /// # Errors
    /// When something else is there.
    pub fn create(root: impl Into<PathBuf>) -> Result<Self, Error> {
        let root = root.into();
        fs::create_dir_all(&root).map_err(Error::io("create", &root))?;
        if !root.join("oci-layout").exists() {
            let mut found = fs::read_dir(&root).map_err(Error::io("read", &root))?;
            // Another process may be making the same layout.
            let is_ours = |name: &std::ffi::OsStr| {
                name == "blobs" || name.as_encoded_bytes().starts_with(TEMPORARY.as_bytes())
            };
            if found.any(|entry| entry.is_ok_and(|entry| !is_ours(&entry.file_name())))
                && !root.join("oci-layout").exists()
            {
                return Err(format(&root, "it has no file `oci-layout` and is not empty"));
            }
            replace(&root.join("oci-layout"), MARK.as_bytes())?;
        }
        let blobs = root.join("blobs/sha256");
        fs::create_dir_all(&blobs).map_err(Error::io("create", &blobs))?;
        Ok(Self::open(root)?)
    }

    /// Puts an image, or an index with its images, and all blobs in; an entry with the same tag is replaced.
    pub(super) fn add(
        &self,
        content: &Content,
        names: &Names,
        transfer: Transfer,
        store: &Store,
    ) -> Result<(), Error> {
        let lock = File::open(self.root()).map_err(Error::io("open", self.root()))?;
        lock.lock().map_err(Error::io("lock", self.root()))?;
        for blob in content.all() {
            self.add_blob(&blob.digest, blob.size, transfer, store)?;
        }
        let entry = to_value(&index_entry(content, names))?;
        let mut index = self.index()?;
        let has_tag = |found: &&Value| found["annotations"][REF_NAME] == *names.tag;
        if let Some(entries) = index["manifests"].as_array()
            && entries.iter().filter(has_tag).eq([&entry])
        {
            return Ok(());
        }
        let is_other = |entry: &Value| {
            entry.get("annotations").and_then(|found| found.get(REF_NAME)) != Some(&Value::from(&*names.tag))
        };
        match index.get_mut("manifests").and_then(Value::as_array_mut) {
            Some(entries) => {
                entries.retain(is_other);
                entries.push(entry);
            }
            None => return Err(format(self.root(), "its `index.json` has no list `manifests`")),
        }
        let bytes = to_canonical_json(&index).map_err(|error| format(self.root(), &error.to_string()))?;
        replace(&self.root().join("index.json"), &bytes)
    }

    fn add_blob(&self, digest: &Digest, size: u64, transfer: Transfer, store: &Store) -> Result<(), Error> {
        let target = self.blob_path(digest);
        if fs::metadata(&target).is_ok_and(|found| found.len() == size) {
            return Ok(());
        }
        let source = store.blob_path(digest);
        if transfer != Transfer::Copy && fs::hard_link(&source, &target).is_ok() {
            return Ok(());
        }
        if transfer == Transfer::LinkKnown && !source.exists() && origin::of(digest, store).is_some() {
            return Ok(());
        }
        let file = File::open(&source).map_err(store::Error::io("read", &source))?;
        let mut reader = DigestReader::new(file);
        let mut copy = temporary_beside(&target)?;
        io::copy(&mut reader, copy.as_file_mut()).map_err(Error::io("write", &target))?;
        check(&source, *digest, reader.finish().0)?;
        persist(copy, &target)
    }
}

impl Image {
    /// Digest and size of all its blobs, the manifest last.
    pub fn blobs(&self) -> impl Iterator<Item = (Digest, u64)> + '_ {
        self.layers
            .iter()
            .map(|layer| (layer.digest, layer.size))
            .chain([(self.config.digest, self.config.size), (self.manifest.digest, self.manifest.size)])
    }
}

impl From<&Product> for Content {
    fn from(product: &Product) -> Self {
        let (mut root, mut manifests) = (product.root.clone(), Vec::new());
        match &product.images[..] {
            [image] if !product.is_index() => root.platform = Some(image.platform.clone()),
            images => manifests = images.iter().map(|image| image.manifest.clone()).collect(),
        }
        let blobs = product.images.iter().flat_map(|image| {
            let layers = image.layers.iter();
            let layers = layers.map(|layer| Descriptor::new(&layer.media_type, layer.digest, layer.size));
            std::iter::once(image.config.clone()).chain(layers)
        });
        Self { root, manifests, blobs: blobs.collect() }
    }
}

/// The entry of a layout's `index.json`. An index is one entry, as other tools write it: a tag names one thing.
pub(super) fn index_entry(content: &Content, names: &Names) -> Descriptor {
    let mut entry = content.root.clone();
    entry.annotations.insert(REF_NAME.to_owned(), names.tag.clone());
    if let Some(full) = &names.full {
        entry.annotations.insert(IMAGE_NAME.to_owned(), full.clone());
    }
    entry
}

fn to_value(descriptor: &Descriptor) -> Result<Value, Error> {
    serde_json::to_value(descriptor).map_err(|error| Error::Unreadable {
        what: "manifest",
        digest: descriptor.digest,
        reason: error.to_string(),
    })
}

/// A blob of the store must have the digest in its name.
pub(super) fn check(path: &Path, expected: Digest, found: Digest) -> Result<(), Error> {
    if expected == found {
        return Ok(());
    }
    Err(store::Error::Mismatch { what: path.display().to_string(), expected, found }.into())
}

fn format(root: &Path, reason: &str) -> Error {
    Error::Format { path: root.to_owned(), wanted: WANTED, reason: reason.to_owned() }
}

/// A file to be renamed to `target`, with the permissions that the umask gives.
pub(super) fn temporary_beside(target: &Path) -> Result<tempfile::NamedTempFile, Error> {
    let folder = match target.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    tempfile::Builder::new()
        .prefix(TEMPORARY)
        .permissions(fs::Permissions::from_mode(0o666))
        .tempfile_in(folder)
        .map_err(Error::io("create a file in", folder))
}

/// Renames a finished temporary file to `target`.
pub(super) fn persist(file: tempfile::NamedTempFile, target: &Path) -> Result<(), Error> {
    file.as_file().sync_data().map_err(Error::io("write", target))?;
    file.persist(target).map(drop).map_err(|error| Error::io("create", target)(error.error))
}

fn replace(target: &Path, bytes: &[u8]) -> Result<(), Error> {
    let mut file = temporary_beside(target)?;
    file.write_all(bytes).map_err(Error::io("write", target))?;
    persist(file, target)
}
