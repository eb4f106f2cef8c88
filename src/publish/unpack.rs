//! Unpacks an image into a directory that can be run on, without trusting it.
//!
//! Layers are read into trees first. While they are read, contents go to files with numbers for names, so no name
//! and no link of an archive is ever used as a path; the merged tree is checked, and only then written. Owners
//! are in the tree alone. Devices and pipes are left out: a sandbox brings its own `/dev`.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, BufReader, Read, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use super::Error;
use super::entries::{Entries, Found, Kind as FoundKind};
use super::layout::{check, read_capped};
use crate::oci::image::ImageConfig;
use crate::oci::{Digest, DigestReader, to_canonical_json};
use crate::package::{Image, LayerDescriptor};
use crate::store::{self, Content, Entry, Kind, Store, Tree};

const MAX_CONFIG: u64 = 8 << 20;

const GZIP: [u8; 2] = [0x1f, 0x8b];

/// How much an image may hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Entries in all layers.
    pub entries: usize,
    /// Bytes of all layers before compression.
    pub bytes: u64,
}

/// More than any sensible image has: twenty times the files of a large Node app, 64 GiB.
const LIMITS: Limits = Limits { entries: 1_000_000, bytes: 64 << 30 };

/// An unpacked image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unpacked {
    /// The directory, to be used as a read-only lower only.
    pub root: PathBuf,
    /// Its files with their owners and modes in the image; contents point into `root`.
    pub tree: Tree,
    /// How it is run.
    pub config: ImageConfig,
}

/// Unpacks `image`, or finds what was unpacked before.
///
/// # Errors
/// When a blob is damaged, when a layer holds what is never unpacked, or when the disk is full.
pub fn unpack(image: &Image, store: &Store) -> Result<Unpacked, Error> {
    unpack_within(LIMITS, image, store)
}

pub(super) fn unpack_within(limits: Limits, image: &Image, store: &Store) -> Result<Unpacked, Error> {
    let config = config(image, store)?;
    let key = format!("image-{}", image.manifest.digest.hex());
    let _lock = store.lock(&key)?;
    if let Some((root, tree)) = cached(&key, store) {
        return Ok(Unpacked { root, tree, config });
    }
    let folder = store.temporary_folder()?;
    let buffer = vec![0; 64 * 1024];
    let mut reader = Reader { folder: folder.path(), written: 0, entries: 0, bytes: 0, buffer, limits };
    let mut tree = Tree::new();
    for layer in &image.layers {
        let upper = reader.layer(layer, &tree, store)?;
        tree.apply(upper);
    }
    tree.add_parents();
    check_parents(image, &tree)?;
    remember(&key, &tree, store)?;
    let root = store.materialise(&key, &tree)?;
    point_into(&mut tree, &root);
    Ok(Unpacked { root, tree, config })
}

fn config(image: &Image, store: &Store) -> Result<ImageConfig, Error> {
    let path = store.blob_path(&image.config.digest);
    let bytes = read_capped(&path, MAX_CONFIG).map_err(store::Error::io("read", &path))?;
    check(&path, image.config.digest, Digest::of(&bytes))?;
    serde_json::from_slice(&bytes).map_err(|error| Error::Unreadable {
        what: "config",
        digest: image.config.digest,
        reason: error.to_string(),
    })
}

fn record_path(key: &str, store: &Store) -> PathBuf {
    store.root().join("metadata").join(format!("{key}.json"))
}

fn cached(key: &str, store: &Store) -> Option<(PathBuf, Tree)> {
    let root = store.entry("trees", key)?.join("fs");
    let mut tree = serde_json::from_slice(&fs::read(record_path(key, store)).ok()?).ok()?;
    point_into(&mut tree, &root);
    Some((root, tree))
}

/// Keeps the tree's metadata, which the directory on disk cannot hold.
fn remember(key: &str, tree: &Tree, store: &Store) -> Result<(), Error> {
    let path = record_path(key, store);
    let bytes = to_canonical_json(tree)
        .map_err(|error| store::Error::Damaged { path: path.clone(), reason: error.to_string() })?;
    let mut file = store.temporary_file()?;
    file.write_all(&bytes).map_err(store::Error::io("write", &path))?;
    file.persist(&path).map_err(|error| store::Error::io("create", &path)(error.error))?;
    Ok(())
}

fn point_into(tree: &mut Tree, root: &Path) {
    for (path, entry) in tree.iter_mut() {
        if let Kind::File { content, .. } = &mut entry.kind {
            *content = Content::Path(root.join(path));
        }
    }
}

/// With every parent a directory, writing the tree cannot follow a link of the image.
fn check_parents(image: &Image, tree: &Tree) -> Result<(), Error> {
    for (path, _) in tree.iter() {
        let Some((parent, _)) = path.rsplit_once('/') else { continue };
        if !tree.get(parent).is_some_and(|entry| matches!(entry.kind, Kind::Directory { .. })) {
            return Err(Error::Refused {
                digest: image.manifest.digest,
                path: path.to_owned(),
                reason: format!("lies below `{parent}`, which is not a directory"),
            });
        }
    }
    Ok(())
}

/// Reads layers; the contents of their files go to `folder`.
struct Reader<'a> {
    folder: &'a Path,
    written: u64,
    entries: usize,
    bytes: u64,
    buffer: Vec<u8>,
    limits: Limits,
}

impl Reader<'_> {
    fn layer(&mut self, layer: &LayerDescriptor, below: &Tree, store: &Store) -> Result<Tree, Error> {
        let path = store.blob_path(&layer.digest);
        let read_error = |error: io::Error| Error::Unreadable {
            what: "layer",
            digest: layer.digest,
            reason: error.to_string(),
        };
        let file = File::open(&path).map_err(store::Error::io("read", &path))?;
        let mut blob = BufReader::with_capacity(128 * 1024, DigestReader::new(file));
        let is_gzip = io::BufRead::fill_buf(&mut blob).map_err(read_error)?.starts_with(&GZIP);
        let (tree, diff_id) = if is_gzip {
            self.archive(layer, below, &mut flate2::bufread::MultiGzDecoder::new(&mut blob))?
        } else {
            self.archive(layer, below, &mut blob)?
        };
        // Whatever follows the archive belongs to the digest.
        io::copy(&mut blob, &mut io::sink()).map_err(read_error)?;
        check(&path, layer.digest, blob.into_inner().finish().0)?;
        if diff_id != layer.diff_id {
            let reason = format!("its content has digest {diff_id}, its config states {}", layer.diff_id);
            return Err(Error::Unreadable { what: "layer", digest: layer.digest, reason });
        }
        Ok(tree)
    }

    fn archive(
        &mut self,
        layer: &LayerDescriptor,
        below: &Tree,
        plain: &mut dyn Read,
    ) -> Result<(Tree, Digest), Error> {
        let refused = |path: &str, reason: String| Error::Refused {
            digest: layer.digest,
            path: path.to_owned(),
            reason,
        };
        let left = self.limits.bytes.saturating_sub(self.bytes);
        let mut plain = DigestReader::new(plain.take(left));
        let mut entries = Entries::new(&mut plain);
        let mut collected = Collected::default();
        while let Some(found) = entries.next().map_err(|error| refused(&error.path, error.reason))? {
            self.entries += 1;
            if self.entries > self.limits.entries {
                let reason =
                    format!("is more than the {} entries that an image may have", self.limits.entries);
                return Err(refused(&found.path, reason));
            }
            if found.size > left {
                let reason = format!("has {} bytes, more than an image may have", found.size);
                return Err(refused(&found.path, reason));
            }
            self.add(&mut collected, found, below, &mut entries, &refused)?;
        }
        let rest = entries.into_inner();
        io::copy(rest, &mut io::sink()).map_err(|error| refused("", error.to_string()))?;
        let (diff_id, size) = plain.finish();
        self.bytes += size;
        Ok((collected.tree(below), diff_id))
    }

    fn add<R: Read>(
        &mut self,
        collected: &mut Collected,
        found: Found,
        below: &Tree,
        content: &mut R,
        refused: &dyn Fn(&str, String) -> Error,
    ) -> Result<(), Error> {
        let (folder, name) = found.path.rsplit_once('/').unwrap_or(("", &found.path));
        if name == ".wh..wh..opq" {
            collected.opaque.push(folder.to_owned());
            return Ok(());
        }
        if let Some(hidden) = name.strip_prefix(".wh.") {
            if matches!(hidden, "" | "." | "..") {
                return Err(refused(&found.path, "removes nothing that has a name".to_owned()));
            }
            let path = if folder.is_empty() { hidden.to_owned() } else { format!("{folder}/{hidden}") };
            collected.whiteouts.push(path);
            return Ok(());
        }
        let kind = match found.kind {
            FoundKind::Other => return Ok(()),
            // The root's own attributes are those of the sandbox.
            FoundKind::Directory if found.path.is_empty() => return Ok(()),
            FoundKind::Directory => Kind::Directory { opaque: false },
            FoundKind::Symlink(target) => Kind::Symlink { target },
            FoundKind::File => {
                let path = self.content(&found, content, refused)?;
                Kind::File { size: found.size, content: Content::Path(path) }
            }
            FoundKind::HardLink(target) => {
                let entry = collected.tree.get(&target).or_else(|| below.get(&target));
                let entry = entry.filter(|entry| matches!(entry.kind, Kind::File { .. })).cloned();
                let missing =
                    || refused(&found.path, format!("is a link to `{target}`, which is not a file"));
                collected.tree.insert(found.path.as_str(), entry.ok_or_else(missing)?);
                return Ok(());
            }
        };
        let mut entry = Entry::new(kind, found.mode);
        (entry.uid, entry.gid, entry.mtime) = (found.uid, found.gid, found.mtime);
        collected.tree.insert(found.path, entry);
        Ok(())
    }

    /// Writes the content of a file under the next number, with the mode and time that it will have, so that
    /// the directory can be made of links to it.
    fn content<R: Read>(
        &mut self,
        found: &Found,
        content: &mut R,
        refused: &dyn Fn(&str, String) -> Error,
    ) -> Result<PathBuf, Error> {
        let path = self.folder.join(self.written.to_string());
        self.written += 1;
        let mut file = File::create_new(&path).map_err(store::Error::io("create", &path))?;
        loop {
            match content.read(&mut self.buffer) {
                Ok(0) => break,
                Ok(count) => {
                    file.write_all(&self.buffer[..count]).map_err(store::Error::io("write", &path))?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(refused(&found.path, format!("cannot be read: {error}"))),
            }
        }
        let mode = fs::Permissions::from_mode((found.mode & 0o777) | 0o400);
        file.set_permissions(mode).map_err(store::Error::io("set the mode of", &path))?;
        let time = u64::try_from(found.mtime)
            .ok()
            .and_then(|time| UNIX_EPOCH.checked_add(Duration::from_secs(time)));
        if let Some(time) = time {
            file.set_modified(time).map_err(store::Error::io("set the time of", &path))?;
        }
        Ok(path)
    }
}

/// The entries of a layer; what it removes is kept apart, because it may stand anywhere in the archive.
#[derive(Default)]
struct Collected {
    tree: Tree,
    whiteouts: Vec<String>,
    opaque: Vec<String>,
}

impl Collected {
    /// The layer as a tree that can be applied to those below.
    fn tree(mut self, below: &Tree) -> Tree {
        if self.opaque.iter().any(String::is_empty) {
            // The root has no entry that could be opaque: everything in it is removed one by one.
            let names = below.iter().map(|(path, _)| path.split_once('/').map_or(path, |(name, _)| name));
            self.whiteouts.extend(names.collect::<BTreeSet<_>>().into_iter().map(str::to_owned));
        }
        for path in self.whiteouts {
            match self.tree.get_mut(&path).map(|entry| &mut entry.kind) {
                // Removed below and made anew here.
                Some(Kind::Directory { opaque }) => *opaque = true,
                Some(_) => {}
                None => self.tree.insert(path, Entry::new(Kind::Whiteout, 0)),
            }
        }
        for path in self.opaque.into_iter().filter(|path| !path.is_empty()) {
            match self.tree.get_mut(&path).map(|entry| &mut entry.kind) {
                Some(Kind::Directory { opaque }) => *opaque = true,
                Some(_) => {}
                None => self.tree.insert(path, Entry::new(Kind::Directory { opaque: true }, 0o755)),
            }
        }
        self.tree
    }
}
