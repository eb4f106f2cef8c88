//! Finds the blob of a layer that was packed before, without reading its files.
//!
//! `metadata/layers/KEY.json` in the store names the blob for a key. The key covers everything that the blob's
//! bytes depend on: the compressor, and the path, metadata and content of each entry. What stands for a content:
//! - of a blob in the store, its path, which is its digest;
//! - of a file in an unpacked tree or a step's result, which are never written to, its path in the store, size,
//!   inode and times, so that one `lstat` is enough;
//! - of any other file, the digest of its bytes; the packing checks that it reads the same bytes.

use std::collections::HashMap;
use std::io::{self, BufReader};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};
use std::{fs, io::Write as _};

use serde::{Deserialize, Serialize};

use super::links::Links;
use super::{Error, LayerDescriptor, LayerInput, compress, plain};
use crate::oci::{Compression, Digest, DigestWriter};
use crate::store::{self, Content, Entry, Kind, Store};

/// Raise it when the rules that are not in an entry's metadata change: the format of the archive.
const FORMAT: u32 = 2;

/// The key of a layer.
pub(super) struct Key {
    digest: Digest,
    contents: HashMap<String, Digest>,
    links: Links,
}

impl Key {
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
}

/// Stands for the content of a file.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
enum Identity<'a> {
    Digest(Digest),
    Blob(&'a Path),
    Tree { path: &'a Path, size: u64, inode: u64, mtime: (i64, i64) },
    Step { path: &'a Path, size: u64, inode: u64, mtime: (i64, i64), ctime: (i64, i64) },
}

/// Computes the key of a layer.
pub(super) fn key(layer: &LayerInput, compression: Compression, store: &Store) -> Result<Key, Error> {
    let mut contents = HashMap::new();
    let mut links = Links::default();
    let mut hash = DigestWriter::new(io::sink());
    add(&mut hash, &(FORMAT, compress::identity(compression)))?;
    for (path, entry) in layer.tree.iter() {
        let metadata = (path, entry.mode, entry.uid, entry.gid, entry.mtime);
        match &entry.kind {
            Kind::Directory { .. } | Kind::Whiteout => add(&mut hash, &("directory", metadata))?,
            Kind::Symlink { target } => add(&mut hash, &("symlink", metadata, target))?,
            Kind::File { size, content } => {
                let identity = identity(layer, path, entry, content, store, &mut links)?;
                if let (Identity::Digest(digest), Content::Path(_)) = (&identity, content) {
                    contents.insert(path.to_owned(), *digest);
                }
                add(&mut hash, &("file", metadata, size, identity))?;
            }
        }
    }
    let (_, digest, _) = hash.finish();
    Ok(Key { digest, contents, links })
}

fn add<T: Serialize>(hash: &mut DigestWriter<io::Sink>, value: &T) -> Result<(), Error> {
    serde_json::to_writer(&mut *hash, value)
        .map_err(|source| Error::Document { document: "layer key", source })?;
    hash.write_all(b"\n")
        .map_err(|source| Error::Document { document: "layer key", source: serde_json::Error::io(source) })
}

fn identity<'a>(
    layer: &LayerInput,
    path: &str,
    entry: &Entry,
    content: &'a Content,
    store: &Store,
    links: &mut Links,
) -> Result<Identity<'a>, Error> {
    let file = match content {
        Content::Bytes(bytes) => return Ok(Identity::Digest(Digest::of(bytes))),
        Content::Path(file) => file,
    };
    let error = |source| plain::read_error(layer, path, entry, source);
    let Some(relative) = inside(store, file) else {
        return digest_file(file).map(Identity::Digest).map_err(error);
    };
    if relative.starts_with("blobs") {
        return Ok(Identity::Blob(relative));
    }
    let found = fs::symlink_metadata(file).map_err(error)?;
    let mtime = (found.mtime(), found.mtime_nsec());
    let (size, inode) = (found.size(), found.ino());
    Ok(if relative.starts_with("trees") {
        // The key of a tree names its content. Its files get further links, which changes their ctime.
        Identity::Tree { path: relative, size, inode, mtime }
    } else {
        links.add(&layer.tree, path, &found);
        // A step that runs again under the same key may give other bytes; tools set their own mtime.
        Identity::Step { path: relative, size, inode, mtime, ctime: (found.ctime(), found.ctime_nsec()) }
    })
}

/// The path relative to the store, if the file is in one of its folders whose files never change.
fn inside<'a>(store: &Store, file: &'a Path) -> Option<&'a Path> {
    let relative = file.strip_prefix(store.root()).ok()?;
    let is_plain = relative.components().all(|part| matches!(part, Component::Normal(_)));
    (is_plain && ["blobs", "trees", "steps"].iter().any(|folder| relative.starts_with(folder)))
        .then_some(relative)
}

fn digest_file(file: &Path) -> io::Result<Digest> {
    let mut hash = DigestWriter::new(io::sink());
    io::copy(&mut BufReader::with_capacity(64 * 1024, plain::open(file)?.0), &mut hash)?;
    Ok(hash.finish().1)
}

fn record_path(key: &Key, store: &Store) -> PathBuf {
    store.root().join("metadata/layers").join(format!("{}.json", key.digest.hex()))
}

/// The layer with this key, if its blob is still here. A damaged record counts as none.
pub(super) fn find(key: &Key, id: &str, compression: Compression, store: &Store) -> Option<LayerDescriptor> {
    let record: Record = serde_json::from_slice(&fs::read(record_path(key, store)).ok()?).ok()?;
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
    let record = Record { digest: layer.digest, size: layer.size, diff_id: layer.diff_id, uncompressed_size };
    let bytes = crate::oci::to_canonical_json(&record)
        .map_err(|source| Error::Document { document: "layer key", source })?;
    let path = record_path(key, store);
    let folder = store.root().join("metadata/layers");
    fs::create_dir_all(&folder).map_err(store::Error::io("create", &folder))?;
    let mut file = store.temporary_file()?;
    file.write_all(&bytes).map_err(store::Error::io("write", &path))?;
    file.persist(&path).map_err(|error| store::Error::io("create", &path)(error.error))?;
    Ok(())
}
