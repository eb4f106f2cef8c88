//! What is in the store: each entry with its size, its last use and what it is.
//!
//! Sizes are what the disk holds. Files with several names are counted once in a sum, and in each entry that has them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::images::{self, Tagged};
use super::{Error, Store};
use crate::build::KEPT;
use crate::build::made::Made;
use crate::oci::Digest;
use crate::oci::layout::read_capped;
use crate::store;

/// The folders whose children are the entries; others hold no results.
const NO_RESULTS: [&str; 3] = ["locks", "tmp", "images"];
/// Bytes of a block in `st_blocks`.
const BLOCK: u64 = 512;

/// Something in the store.
#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    /// `blobs`, `trees`, `steps`, `caches`, `images`, `metadata`.
    pub kind: String,
    /// Its key, or the tag of an image.
    pub key: String,
    /// What it is, for people; empty when that is not known.
    pub about: String,
    /// Bytes on the disk.
    pub size: u64,
    /// How many files it has.
    pub files: u64,
    /// The last use in seconds since 1970, to the hour.
    pub used: i64,
    #[serde(skip)]
    pub(super) weight: Weight,
}

/// The bytes of an entry.
#[derive(Clone, Debug, Default)]
pub(super) struct Weight {
    /// Of files with one name.
    pub(super) own: u64,
    /// Of each file with several names, by inode.
    pub(super) shared: BTreeMap<u64, u64>,
}

/// Everything in the store.
#[derive(Clone, Debug)]
pub struct Listing {
    /// By kind, the last used first.
    pub entries: Vec<Entry>,
    pub(super) tags: Vec<Tagged>,
}

impl Listing {
    /// Bytes on the disk of the entries that `choose` takes, each file once.
    pub fn size(&self, mut choose: impl FnMut(&Entry) -> bool) -> u64 {
        let mut seen = BTreeSet::new();
        let mut size = 0;
        for entry in self.entries.iter().filter(|entry| choose(entry)) {
            size += entry.weight.own;
            let new = entry.weight.shared.iter().filter(|(inode, _)| seen.insert(**inode));
            size += new.map(|(_, bytes)| bytes).sum::<u64>();
        }
        size
    }

    /// The kinds that there are, with the number of their entries.
    pub fn kinds(&self) -> BTreeMap<&str, usize> {
        let mut kinds = BTreeMap::new();
        for entry in &self.entries {
            *kinds.entry(entry.kind.as_str()).or_default() += 1;
        }
        kinds
    }
}

/// Looks at everything in the store. What others remove meanwhile is left out.
pub fn list(store: &Store) -> Result<Listing, Error> {
    let tags = images::tags(store)?;
    let root = store.root();
    let mut entries = Vec::new();
    for kind in children(root)? {
        if NO_RESULTS.contains(&kind.as_str()) {
            continue;
        }
        let folder = if kind == "blobs" { root.join("blobs/sha256") } else { root.join(&kind) };
        let keys = if kind == "metadata" { below(&folder) } else { children(&folder)? };
        for key in keys {
            entries.extend(entry(&kind, key, &folder));
        }
    }
    for tag in &tags {
        entries.extend(image(tag, store));
    }
    let names = Names::read(&entries, &tags, store);
    for entry in entries.iter_mut().filter(|entry| entry.about.is_empty()) {
        entry.about = names.about(entry, store);
    }
    entries.sort_by(|a, b| (&a.kind, -a.used, &a.key).cmp(&(&b.kind, -b.used, &b.key)));
    Ok(Listing { entries, tags })
}

fn children(folder: &Path) -> Result<Vec<String>, Error> {
    let entries = fs::read_dir(folder).map_err(store::Error::io("read", folder))?;
    let mut names: Vec<String> =
        entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    Ok(names)
}

/// The files below a folder, relative to it; what is known of one app is one entry.
fn below(folder: &Path) -> Vec<String> {
    let files = walkdir::WalkDir::new(folder).sort_by_file_name().into_iter().flatten();
    let files = files.filter(|entry| !entry.file_type().is_dir());
    let name = |entry: walkdir::DirEntry| Some(entry.path().strip_prefix(folder).ok()?.to_str()?.to_owned());
    let whole = |name: String| match name.strip_prefix("history/").and_then(|rest| rest.split('/').next()) {
        Some(app) => format!("history/{app}"),
        None => name,
    };
    let mut names: Vec<String> = files.filter_map(name).map(whole).collect();
    names.dedup();
    names
}

fn entry(kind: &str, key: String, folder: &Path) -> Option<Entry> {
    let path = folder.join(&key);
    let used = fs::symlink_metadata(&path).ok()?.mtime();
    let mut entry = Entry {
        kind: kind.to_owned(),
        key,
        about: String::new(),
        size: 0,
        files: 0,
        used,
        weight: Weight::default(),
    };
    for found in walkdir::WalkDir::new(&path).into_iter().flatten() {
        if let Ok(metadata) = found.metadata() {
            entry.add(&metadata);
        }
    }
    Some(entry)
}

fn image(tag: &Tagged, store: &Store) -> Option<Entry> {
    let path = |digest: &Digest| store.images().join("blobs/sha256").join(digest.hex());
    let used = fs::symlink_metadata(path(&tag.root)).ok()?.mtime();
    let mut entry = Entry {
        kind: "images".to_owned(),
        key: tag.name.clone(),
        about: format!("image {}", tag.root.short()),
        size: 0,
        files: 0,
        used,
        weight: Weight::default(),
    };
    for digest in tag.blobs.keys() {
        if let Ok(metadata) = fs::symlink_metadata(path(digest)) {
            entry.add(&metadata);
            // Two tags may hold the same blob even where it has one name.
            entry.weight.shared.insert(metadata.ino(), metadata.blocks() * BLOCK);
        }
    }
    entry.weight.own = 0;
    Some(entry)
}

impl Entry {
    fn add(&mut self, metadata: &Metadata) {
        let bytes = metadata.blocks() * BLOCK;
        self.files += u64::from(!metadata.is_dir());
        if metadata.is_dir() || metadata.nlink() == 1 {
            self.weight.own += bytes;
            self.size += bytes;
        } else if self.weight.shared.insert(metadata.ino(), bytes).is_none() {
            self.size += bytes;
        }
    }

    /// The blob and the id of the layer that this is the record of.
    pub(super) fn layer(&self, store: &Store) -> Option<(Digest, String)> {
        let name = Some(&self.key).filter(|key| self.kind == "metadata" && key.starts_with("layers/"))?;
        let bytes = read_capped(&store.root().join("metadata").join(name), 1 << 16).ok()?;
        let record: serde_json::Value = serde_json::from_slice(&bytes).ok()?;
        let text = |name: &str| record.get(name)?.as_str();
        Some((text("digest")?.parse().ok()?, text("id").unwrap_or_default().to_owned()))
    }

    /// Where it is, below the store's folder; nothing for an image.
    pub(super) fn path(&self) -> Option<PathBuf> {
        match self.kind.as_str() {
            "images" => None,
            "blobs" => Some(Path::new("blobs/sha256").join(&self.key)),
            kind => Some(Path::new(kind).join(&self.key)),
        }
    }
}

/// What blobs are.
struct Names {
    blobs: BTreeMap<String, String>,
}

impl Names {
    fn read(entries: &[Entry], tags: &[Tagged], store: &Store) -> Self {
        let mut blobs = BTreeMap::new();
        for entry in entries {
            if let Some((digest, id)) = entry.layer(store) {
                blobs.insert(digest.hex(), format!("layer {id}"));
            }
        }
        for tag in tags {
            for (digest, role) in &tag.blobs {
                let role = blobs.remove(&digest.hex()).unwrap_or_else(|| (*role).to_owned());
                let text = if role.contains(" of ") { role } else { format!("{role} of {}", tag.name) };
                blobs.insert(digest.hex(), text);
            }
        }
        for entry in entries {
            // A package's tree is named for its blob.
            let deb = entry.key.strip_prefix("deb-").and_then(|rest| rest.split('-').next());
            if let Some(hex) = deb
                && let Some(about) = store.description("trees", &entry.key)
            {
                blobs.insert(hex.to_owned(), about);
            }
        }
        Self { blobs }
    }

    fn about(&self, entry: &Entry, store: &Store) -> String {
        match entry.kind.as_str() {
            "blobs" => self.blobs.get(&entry.key).cloned().unwrap_or_default(),
            "steps" => Made::read(&store.root().join("steps").join(&entry.key))
                .map_or_else(String::new, |made| format!("{}  {} of {}", made.id, made.title, made.app)),
            "metadata" => match store.description("metadata", &entry.key) {
                Some(about) => about,
                None => record(&entry.key).to_owned(),
            },
            "caches" if !entry.key.starts_with(KEPT) => "a package manager's cache".to_owned(),
            kind => store.description(kind, &entry.key).unwrap_or_default(),
        }
    }
}

fn record(name: &str) -> &'static str {
    let kinds = [
        ("layers/", "which blob a layer is"),
        ("closures/", "libraries that an image needs"),
        ("fingerprints-", "digests of an app's source files"),
        ("packages-", "packages of a Debian suite"),
        ("release-", "what a Debian suite signed"),
        ("answer-", "an answer of a registry"),
        ("answers/", "what was chosen from a Debian suite"),
        ("build-", "what a build looked at"),
        ("scans/", "what of a layer a loader reads"),
        ("segments/", "compressed parts of an app's layers"),
        ("image-", "the list of an image's files"),
        ("bases/", "what a base image holds"),
        ("origins/", "where a layer of a base image can be had"),
    ];
    kinds.iter().find(|(start, _)| name.starts_with(start)).map_or("", |(_, about)| about)
}
