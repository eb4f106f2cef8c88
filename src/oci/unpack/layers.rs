//! Layers become one tree: entries checked, contents written under numbers, whiteouts applied
//! (<https://github.com/opencontainers/image-spec/blob/main/layer.md#whiteouts>).

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufReader, Read, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use super::alone::{Alone, not_a_file, remove};
use super::entries::{Entries, Found, Kind as FoundKind};
use super::{Error, Layer, Limits, compression};
use crate::oci::{Digest, DigestReader};
use crate::store::{self, Content, Entry, Kind, Store, Tree};

/// What a layer may hold whatever the size of its blob, in bytes.
const FREE: u64 = 256 << 20;

/// The longest name of one file.
const MAX_COMPONENT: usize = 255;

/// Reads `layers`, from the bottom up; the contents of their files go to `folder`.
pub(super) fn read(layers: &[Layer], limits: Limits, folder: &Path, store: &Store) -> Result<Tree, Error> {
    let mut reader = Reader::new(folder, limits);
    let mut tree = Tree::new();
    for layer in layers {
        let upper = reader.layer(layer, store)?.over(&tree, layer.digest)?;
        tree.apply(upper);
    }
    Ok(tree)
}

/// Reads one layer as it is, with what it removes; the contents of its files go to `folder`.
pub(super) fn read_one(layer: &Layer, limits: Limits, folder: &Path, store: &Store) -> Result<Alone, Error> {
    Reader::new(folder, limits).layer(layer, store)
}

/// The paths in a layer that has been unpacked before, and is what its digest says.
pub(super) fn paths(layer: &Layer, store: &Store) -> Result<Vec<String>, Error> {
    let path = store.blob_path(&layer.digest);
    let unreadable = |reason: String| Error::Unreadable { digest: layer.digest, reason };
    let mut blob = BufReader::new(File::open(&path).map_err(store::Error::io("read", &path))?);
    let mut plain = compression::open(&mut blob).map_err(|error| unreadable(error.to_string()))?;
    let mut entries = Entries::new(&mut plain);
    let mut found = Vec::new();
    while let Some(entry) = entries.next().map_err(|error| unreadable(error.reason))? {
        found.push(entry.path);
    }
    Ok(found)
}

struct Reader<'a> {
    folder: &'a Path,
    written: u64,
    entries: usize,
    names: usize,
    bytes: u64,
    buffer: Vec<u8>,
    limits: Limits,
}

impl<'a> Reader<'a> {
    fn new(folder: &'a Path, limits: Limits) -> Self {
        Self { folder, written: 0, entries: 0, names: 0, bytes: 0, buffer: vec![0; 64 * 1024], limits }
    }

    fn layer(&mut self, layer: &Layer, store: &Store) -> Result<Alone, Error> {
        let path = store.blob_path(&layer.digest);
        let unreadable = |reason: String| Error::Unreadable { digest: layer.digest, reason };
        let read_error = |error: io::Error| unreadable(error.to_string());
        let file = File::open(&path).map_err(store::Error::io("read", &path))?;
        let mut blob = BufReader::with_capacity(128 * 1024, DigestReader::new(file));
        let plain = compression::open(&mut blob).map_err(read_error)?;
        let (alone, diff_id) = self.archive(layer, plain)?;
        // Whatever follows the archive belongs to the digest.
        io::copy(&mut blob, &mut io::sink()).map_err(read_error)?;
        let found = blob.into_inner().finish().0;
        if found != layer.digest {
            let what = path.display().to_string();
            return Err(store::Error::Mismatch { what, expected: layer.digest, found }.into());
        }
        if diff_id != layer.diff_id {
            let reason = format!("its content has digest {diff_id}, its config states {}", layer.diff_id);
            return Err(unreadable(reason));
        }
        Ok(alone)
    }

    fn archive(&mut self, layer: &Layer, plain: impl Read) -> Result<(Alone, Digest), Error> {
        let refused = |path: &str, reason: String| Error::Refused {
            digest: layer.digest,
            path: path.to_owned(),
            reason,
        };
        let left = self.limits.bytes.saturating_sub(self.bytes);
        let left = left.min(layer.size.saturating_mul(self.limits.ratio).saturating_add(FREE));
        let mut plain = DigestReader::new(Bounded { inner: plain, left, limit: left });
        let mut entries = Entries::new(&mut plain);
        let mut collected = Collected::default();
        while let Some(found) = entries.next().map_err(|error| refused(&error.path, error.reason))? {
            self.entries += 1;
            self.names += found.path.len();
            if self.entries > self.limits.entries || self.names > self.limits.names {
                let Limits { entries, names, .. } = self.limits;
                let reason =
                    format!("is too much: an image may have {entries} entries, with names of {names} bytes");
                return Err(refused(&found.path, reason));
            }
            if found.size > left {
                let reason = format!("has {} bytes, more than the {left} that are left for it", found.size);
                return Err(refused(&found.path, reason));
            }
            self.add(&mut collected, found, &mut entries, &refused)?;
        }
        let rest = entries.into_inner();
        io::copy(rest, &mut io::sink()).map_err(|error| refused("", error.to_string()))?;
        let (diff_id, size) = plain.finish();
        self.bytes += size;
        Ok((collected.finish(), diff_id))
    }

    fn add<R: Read>(
        &mut self,
        collected: &mut Collected,
        found: Found,
        content: &mut R,
        refused: &dyn Fn(&str, String) -> Error,
    ) -> Result<(), Error> {
        match mark(&found.path) {
            Ok(Mark::None) => {}
            Ok(Mark::Ignored) => return Ok(()),
            Ok(Mark::Opaque(folder)) => {
                collected.opaque.push(folder.to_owned());
                return Ok(());
            }
            Ok(Mark::Removed(path)) => {
                collected.whiteouts.push(path);
                return Ok(());
            }
            Err(reason) => return Err(refused(&found.path, reason.to_owned())),
        }
        let kind = match found.kind {
            FoundKind::Other => return Ok(()),
            // The root's own attributes are those of the sandbox.
            FoundKind::Directory if found.path.is_empty() => return Ok(()),
            FoundKind::Directory => Kind::Directory { opaque: false },
            FoundKind::Symlink(target) if target.is_empty() => {
                return Err(refused(&found.path, "is a link to nothing".to_owned()));
            }
            FoundKind::Symlink(target) => Kind::Symlink { target },
            FoundKind::File => {
                Kind::File { size: found.size, content: self.content(&found, content, refused)? }
            }
            FoundKind::HardLink(target) => {
                return collected.link(&found.path, target).map_err(|reason| refused(&found.path, reason));
            }
        };
        let mut entry = Entry::new(kind, found.mode);
        (entry.uid, entry.gid, entry.mtime) = (found.uid, found.gid, found.mtime);
        collected.links.remove(&found.path);
        collected.tree.insert(found.path, entry);
        Ok(())
    }

    /// Writes the content of a file under the next number, with the mode and time that it will have, so that
    /// the directory can be made of links to it. Empty files need none.
    fn content<R: Read>(
        &mut self,
        found: &Found,
        content: &mut R,
        refused: &dyn Fn(&str, String) -> Error,
    ) -> Result<Content, Error> {
        if found.size == 0 {
            return Ok(Content::Bytes(Vec::new()));
        }
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
        finish(&file, &path, found)?;
        Ok(Content::Path(path))
    }
}

fn finish(file: &File, path: &Path, found: &Found) -> Result<(), Error> {
    let mode = fs::Permissions::from_mode((found.mode & 0o777) | 0o400);
    file.set_permissions(mode).map_err(store::Error::io("set the mode of", path))?;
    let time =
        u64::try_from(found.mtime).ok().and_then(|time| UNIX_EPOCH.checked_add(Duration::from_secs(time)));
    if let Some(time) = time {
        file.set_modified(time).map_err(store::Error::io("set the time of", path))?;
    }
    Ok(())
}

/// What a name means beside itself.
enum Mark<'a> {
    None,
    /// Book-keeping of aufs, which old tools left in layers.
    Ignored,
    /// What lower layers have in this directory is hidden.
    Opaque(&'a str),
    /// What lower layers have at this path is removed.
    Removed(String),
}

fn mark(path: &str) -> Result<Mark<'_>, &'static str> {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    if path.split('/').any(|part| part.len() > MAX_COMPONENT) {
        return Err("has a part of more than 255 bytes");
    }
    if name == ".wh..wh..opq" {
        return Ok(Mark::Opaque(folder));
    }
    if path.split('/').any(|part| part.starts_with(".wh..wh.")) {
        return Ok(Mark::Ignored);
    }
    if folder.split('/').any(|part| part.starts_with(".wh.")) {
        return Err("lies below a name that means a removed file");
    }
    match name.strip_prefix(".wh.") {
        None => Ok(Mark::None),
        Some("" | "." | "..") => Err("removes nothing that has a name"),
        Some(hidden) if folder.is_empty() => Ok(Mark::Removed(hidden.to_owned())),
        Some(hidden) => Ok(Mark::Removed(format!("{folder}/{hidden}"))),
    }
}

/// The entries of a layer; what it removes is kept apart, because it may stand anywhere in the archive.
#[derive(Default)]
struct Collected {
    tree: Tree,
    /// Hard links to what was not in the layer so far.
    links: BTreeMap<String, String>,
    whiteouts: Vec<String>,
    opaque: Vec<String>,
}

impl Collected {
    /// Adds a further name of a file: of this layer, or of one below when this one has nothing there.
    fn link(&mut self, path: &str, target: String) -> Result<(), String> {
        match self.tree.get(&target).cloned() {
            Some(entry) if matches!(entry.kind, Kind::File { .. }) => {
                self.links.remove(path);
                self.tree.insert(path, entry);
            }
            Some(_) => return Err(not_a_file(&target)),
            None => {
                // The target may be such a name itself.
                let target = self.links.get(&target).cloned().unwrap_or(target);
                self.tree.remove(path);
                self.links.insert(path.to_owned(), target);
            }
        }
        Ok(())
    }

    fn finish(mut self) -> Alone {
        for path in self.whiteouts.iter().filter(|path| !self.links.contains_key(*path)) {
            let prefix = format!("{path}/");
            let next = self.links.range(prefix.clone()..).next();
            remove(&mut self.tree, path, next.is_some_and(|(link, _)| link.starts_with(&prefix)));
        }
        let mut hides_all = false;
        for path in self.opaque {
            // The root has no entry that could be opaque.
            hides_all |= path.is_empty();
            match self.tree.get_mut(&path).map(|entry| &mut entry.kind) {
                Some(Kind::Directory { opaque }) => *opaque = true,
                None if !path.is_empty() => {
                    self.tree.insert(path, Entry::new(Kind::Directory { opaque: true }, 0o755));
                }
                _ => {}
            }
        }
        Alone { tree: self.tree, links: self.links, hides_all }
    }
}

/// Fails at the first byte beyond the limit.
struct Bounded<R> {
    inner: R,
    left: u64,
    limit: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            return match self.inner.read(&mut [0; 1])? {
                0 => Ok(0),
                _ => Err(io::Error::other(format!("unpacks to more than {} bytes", self.limit))),
            };
        }
        let wanted = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let count = self.inner.read(&mut buffer[..wanted])?;
        self.left -= count as u64;
        Ok(count)
    }
}
