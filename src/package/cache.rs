//! Finds the blob of a layer that was packed before, without reading its files.
//!
//! `metadata/layers/KEY.json` in the store names the blob for a key. The key covers everything that the blob's
//! bytes depend on: the compressor, and the path, metadata and content of each entry. What stands for a content:
//! - of a blob in the store, its path, which is its digest;
//! - of a file in an unpacked tree, its path in the store: the tree's key names what is in it;
//! - of a file in a step's result, its path in the store, size and time, and which run of the step it is of, so that one
//!   `lstat` is enough;
//! - of any other file, the digest of its bytes; the packing checks that it reads the same bytes.

use std::collections::HashMap;
use std::io::{self, BufReader};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::{fs, io::Write as _};

use serde::{Deserialize, Serialize};

use super::links::Links;
use super::{Error, LayerDescriptor, LayerInput, compress, plain};
use crate::oci::{Compression, Digest, DigestWriter};
use crate::store::instance::Runs;
use crate::store::{Content, Entry, Kind, Store};

/// Raise it when the rules that are not in an entry's metadata change: the format of the archive.
const FORMAT: u32 = 2;

/// The key of a layer.
pub(super) struct Key {
    digest: Digest,
    contents: HashMap<String, Digest>,
    links: Links,
}

impl Key {
    /// What it is.
    pub(super) fn digest(&self) -> Digest {
        self.digest
    }

    /// The digest that the content at `path` must have, where the key was made from one.
    pub(super) fn content(&self, path: &str) -> Option<Digest> {
        self.contents.get(path).copied()
    }

    /// The path before `path` that is the same file.
    pub(super) fn link(&self, path: &str) -> Option<&str> {
        self.links.first(path)
    }
}

/// What is remembered of a layer.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    digest: Digest,
    size: u64,
    diff_id: Digest,
    uncompressed_size: u64,
    /// The layer's id, for people.
    #[serde(default)]
    id: String,
}

/// Stands for the content of a file.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
enum Identity<'a> {
    Digest(Digest),
    Blob(&'a Path),
    Tree { path: &'a Path },
    Step { path: &'a Path, size: u64, mtime: (i64, i64), run: Run, link: Option<String> },
}

/// Which run of a step made a file: running again under the same key may give other bytes.
#[derive(Serialize)]
#[serde(untagged)]
enum Run {
    /// What the result says; the same on every machine that it was brought to.
    Stated(String),
    /// Of results that say nothing: inode and change time.
    Found(u64, (i64, i64)),
}

/// Computes the key of a layer.
pub(super) fn key(layer: &LayerInput, compression: Compression, store: &Store) -> Result<Key, Error> {
    let mut contents = HashMap::new();
    let mut seen = Seen { store, runs: Runs::default(), links: Links::default() };
    let mut hash = DigestWriter::new(io::sink());
    add(&mut hash, &(FORMAT, compress::identity(compression)))?;
    for (path, entry) in layer.tree.iter() {
        let metadata = (path, entry.mode, entry.uid, entry.gid, entry.mtime);
        match &entry.kind {
            Kind::Directory { .. } | Kind::Whiteout => add(&mut hash, &("directory", metadata))?,
            Kind::Symlink { target } => add(&mut hash, &("symlink", metadata, target))?,
            Kind::File { size, content } => {
                let identity = seen.identity(layer, path, entry, content)?;
                if let (Identity::Digest(digest), Content::Path(_)) = (&identity, content) {
                    contents.insert(path.to_owned(), *digest);
                }
                add(&mut hash, &("file", metadata, size, identity))?;
            }
        }
    }
    let (_, digest, _) = hash.finish();
    Ok(Key { digest, contents, links: seen.links })
}

fn add<T: Serialize>(hash: &mut DigestWriter<io::Sink>, value: &T) -> Result<(), Error> {
    serde_json::to_writer(&mut *hash, value)
        .map_err(|source| Error::Document { document: "layer key", source })?;
    hash.write_all(b"\n")
        .map_err(|source| Error::Document { document: "layer key", source: serde_json::Error::io(source) })
}

/// What was looked at while the key of a layer is computed.
struct Seen<'a> {
    store: &'a Store,
    runs: Runs,
    links: Links,
}

impl Seen<'_> {
    fn identity<'a>(
        &mut self,
        layer: &LayerInput,
        path: &str,
        entry: &Entry,
        content: &'a Content,
    ) -> Result<Identity<'a>, Error> {
        let file = match content {
            Content::Bytes(bytes) => return Ok(Identity::Digest(Digest::of(bytes))),
            Content::Path(file) => file,
        };
        let error = |source| plain::read_error(layer, path, entry, source);
        let Some(relative) = self.store.inside(file) else {
            return digest_file(file).map(Identity::Digest).map_err(error);
        };
        if relative.starts_with("blobs") {
            return Ok(Identity::Blob(relative));
        }
        if relative.starts_with("trees") {
            return Ok(Identity::Tree { path: relative });
        }
        let found = fs::symlink_metadata(file).map_err(error)?;
        let size = found.size();
        let run = match self.runs.of(relative, self.store) {
            Some(run) => Run::Stated(run.to_owned()),
            None => Run::Found(found.ino(), (found.ctime(), found.ctime_nsec())),
        };
        self.links.add(&layer.tree, path, &found);
        let link = self.links.first(path).map(str::to_owned);
        Ok(Identity::Step { path: relative, size, mtime: (found.mtime(), found.mtime_nsec()), run, link })
    }
}

fn digest_file(file: &Path) -> io::Result<Digest> {
    let mut hash = DigestWriter::new(io::sink());
    io::copy(&mut BufReader::with_capacity(64 * 1024, plain::open(file)?.0), &mut hash)?;
    Ok(hash.finish().1)
}

fn record_name(key: &Digest) -> String {
    format!("layers/{}.json", key.hex())
}

/// Where it is kept what the blob of the layer with this key is.
pub(super) fn record_path(key: &Digest, store: &Store) -> PathBuf {
    store.root().join("metadata").join(record_name(key))
}

/// The layer with this key, if its blob is still here. A damaged record counts as none.
pub(super) fn find(key: &Key, id: &str, compression: Compression, store: &Store) -> Option<LayerDescriptor> {
    let record: Record = serde_json::from_slice(&store.record(&record_name(&key.digest))?).ok()?;
    let blob = store.blob(&record.digest)?;
    if fs::metadata(blob).ok()?.len() != record.size {
        return None;
    }
    Some(LayerDescriptor {
        id: id.to_owned(),
        media_type: compression.media_type().to_owned(),
        digest: record.digest,
        size: record.size,
        diff_id: record.diff_id,
        uncompressed_size: Some(record.uncompressed_size),
    })
}

/// Remembers the blob of a key.
pub(super) fn keep(key: &Key, layer: &LayerDescriptor, store: &Store) -> Result<(), Error> {
    let Some(uncompressed_size) = layer.uncompressed_size else { return Ok(()) };
    let record = Record {
        digest: layer.digest,
        size: layer.size,
        diff_id: layer.diff_id,
        uncompressed_size,
        id: layer.id.clone(),
    };
    let bytes = crate::oci::to_canonical_json(&record)
        .map_err(|source| Error::Document { document: "layer key", source })?;
    Ok(store.put_record(&record_name(&key.digest), &bytes)?)
}
