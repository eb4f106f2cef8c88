//! Reads what a group of an archive holds: headers, contents, padding.
//!
//! A file that is not what its layer's key was made from is an error, because the blob would be kept under a wrong
//! key: its size is compared, and where the key has the digest of its content, that too. The parts of a large file are
//! read at the same time, so its digest is left to whoever sees the parts in order: [`Check`].

use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use super::cache::Key;
use super::groups::{Group, Item, MOST};
use super::tar::{self, Header};
use super::{Error, LayerInput};
use crate::oci::Digest;
use crate::store::{Content, Entry, Kind};

/// The bytes of a group.
pub(super) struct Plain<'a> {
    /// All of them.
    pub bytes: Vec<u8>,
    /// What is left to check.
    pub check: Option<Check<'a>>,
}

/// A part of a file whose digest must be compared.
pub(super) struct Check<'a> {
    /// The file.
    pub item: Item<'a>,
    /// Where the content is among the group's bytes.
    pub content: Range<usize>,
    /// After the last part: what the digest of all parts must be.
    pub expected: Option<Digest>,
}

/// Reads a group.
pub(super) fn read<'a>(group: &Group<'a>, layer: &LayerInput, key: &Key) -> Result<Plain<'a>, Error> {
    match group {
        Group::End => Ok(Plain { bytes: tar::END.to_vec(), check: None }),
        Group::Entries(items) => {
            let size: u64 = items.iter().map(|item| item.size() + 1024).sum();
            let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
            for item in *items {
                bytes.extend_from_slice(&header(item));
                let start = bytes.len();
                read_content(item, &mut bytes, layer)?;
                let expected = key.content(item.path).filter(|_| item.link.is_none());
                if expected.is_some_and(|expected| Digest::of(&bytes[start..]) != expected) {
                    return Err(changed(layer, item));
                }
                bytes.extend_from_slice(tar::padding(item.size()));
            }
            Ok(Plain { bytes, check: None })
        }
        Group::Part { item, offset } => {
            let mut bytes = if *offset == 0 { header(item) } else { Vec::new() };
            let start = bytes.len();
            let left = item.size() - offset;
            read_part(item, *offset, left.min(MOST), &mut bytes, layer)?;
            let content = start..bytes.len();
            let is_last = left <= MOST;
            if is_last {
                bytes.extend_from_slice(tar::padding(item.size()));
            }
            let expected = key.content(item.path);
            let check = expected.map(|expected| Check {
                item: *item,
                content,
                expected: is_last.then_some(expected),
            });
            Ok(Plain { bytes, check })
        }
    }
}

fn header(item: &Item<'_>) -> Vec<u8> {
    let entry = item.entry;
    let kind = match (&entry.kind, item.link) {
        (_, Some(path)) => tar::Kind::Link(path),
        (Kind::File { size, .. }, None) => tar::Kind::File(*size),
        (Kind::Symlink { target }, None) => tar::Kind::Symlink(target),
        (Kind::Directory { .. } | Kind::Whiteout, None) => tar::Kind::Directory,
    };
    let Entry { mode, uid, gid, mtime, .. } = *entry;
    tar::header(&Header { path: item.path, kind, mode, uid, gid, mtime })
}

/// Appends the whole content of an entry.
fn read_content(item: &Item<'_>, bytes: &mut Vec<u8>, layer: &LayerInput) -> Result<(), Error> {
    let (Kind::File { size, content }, None) = (&item.entry.kind, item.link) else { return Ok(()) };
    let path = match content {
        Content::Bytes(content) if content.len() as u64 == *size => {
            bytes.extend_from_slice(content);
            return Ok(());
        }
        Content::Bytes(_) => return Err(changed(layer, item)),
        Content::Path(path) => path,
    };
    let error = |source| read_error(layer, item.path, item.entry, source);
    let (file, metadata) = open(path).map_err(error)?;
    let start = bytes.len() as u64;
    if metadata.len() == *size {
        file.take(*size).read_to_end(bytes).map_err(error)?;
    }
    if bytes.len() as u64 == start + size { Ok(()) } else { Err(changed(layer, item)) }
}

/// Appends a part of the content of a file.
fn read_part(
    item: &Item<'_>,
    offset: u64,
    length: u64,
    bytes: &mut Vec<u8>,
    layer: &LayerInput,
) -> Result<(), Error> {
    let Kind::File { size, content } = &item.entry.kind else { return Ok(()) };
    let error = |source: io::Error| match source.kind() {
        io::ErrorKind::UnexpectedEof => changed(layer, item),
        _ => read_error(layer, item.path, item.entry, source),
    };
    let too_long = |_| error(io::ErrorKind::FileTooLarge.into());
    let (start, length) = (bytes.len(), usize::try_from(length).map_err(too_long)?);
    match content {
        Content::Bytes(content) => {
            let from = usize::try_from(offset).map_err(too_long)?;
            let part = content.get(from..from + length).filter(|_| content.len() as u64 == *size);
            bytes.extend_from_slice(part.ok_or_else(|| changed(layer, item))?);
        }
        Content::Path(path) => {
            let (file, metadata) = open(path).map_err(error)?;
            if metadata.len() != *size {
                return Err(changed(layer, item));
            }
            bytes.resize(start + length, 0);
            file.read_exact_at(&mut bytes[start..], offset).map_err(error)?;
        }
    }
    Ok(())
}

/// Opens a regular file and nothing else: a link or pipe that took its place is an error.
pub(super) fn open(path: &Path) -> io::Result<(File, Metadata)> {
    use rustix::fs::{Mode, OFlags};
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    let metadata = file.metadata()?;
    if metadata.is_file() { Ok((file, metadata)) } else { Err(io::Error::other("it is not a regular file")) }
}

pub(super) fn read_error(layer: &LayerInput, path: &str, entry: &Entry, source: io::Error) -> Error {
    Error::Read { layer: layer.id.clone(), path: path.to_owned(), file: content_path(entry), source }
}

pub(super) fn changed(layer: &LayerInput, item: &Item<'_>) -> Error {
    let (layer, path) = (layer.id.clone(), item.path.to_owned());
    Error::Changed { layer, path, file: content_path(item.entry) }
}

fn content_path(entry: &Entry) -> std::path::PathBuf {
    match &entry.kind {
        Kind::File { content: Content::Path(path), .. } => path.clone(),
        _ => "memory".into(),
    }
}
