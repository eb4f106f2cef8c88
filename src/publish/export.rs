//! The root filesystem of an image as one tar archive: layers laid over each other, whiteouts applied.
//!
//! Invariants: the same image gives the same bytes; entries are in the order of their paths, so that a directory comes
//! before what is in it; owners, modes and times are those of the layers, and names of one file stay names of one file.
//! What is never unpacked (devices, pipes, extended attributes) is not in it.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use super::layout::{persist, temporary_beside};
use super::{Error, unpack};
use crate::package::Image;
use crate::package::links::Links;
use crate::package::tar::{Failure, Header, Kind as TarKind, Writer};
use crate::store::{self, Content, Entry, Kind, Store, Tree};

/// How much is written at once.
const BUFFER: usize = 256 << 10;

/// Writes the files of `image` to `output`, which messages call `name`.
///
/// # Errors
/// When the image cannot be unpacked, or when `output` takes no more.
pub fn export<W: Write>(image: &Image, output: W, name: &Path, store: &Store) -> Result<(), Error> {
    let tree = unpack(image, store)?.tree;
    let mut writer = Writer::new(BufWriter::with_capacity(BUFFER, output));
    write(&tree, &mut writer, name)?;
    let mut output = writer.finish().map_err(Error::io("write", name))?;
    output.flush().map_err(Error::io("write", name))
}

/// Writes the files of `image` to the file `target`, which is replaced as a whole.
///
/// # Errors
/// As [`export`].
pub fn export_to(image: &Image, target: &Path, store: &Store) -> Result<(), Error> {
    let mut file = temporary_beside(target)?;
    export(image, file.as_file_mut(), target, store)?;
    persist(file, target)
}

fn write<W: Write>(tree: &Tree, writer: &mut Writer<W>, name: &Path) -> Result<(), Error> {
    let mut links = Links::default();
    for (path, entry) in tree.iter() {
        let mut content: Box<dyn io::Read> = Box::new(io::empty());
        let kind = match &entry.kind {
            Kind::Whiteout => continue,
            Kind::Directory { .. } => TarKind::Directory,
            Kind::Symlink { target } => TarKind::Symlink(target),
            Kind::File { size, content: Content::Bytes(bytes) } => {
                content = Box::new(&bytes[..]);
                TarKind::File(*size)
            }
            Kind::File { size, content: Content::Path(file) } => {
                let found = fs::symlink_metadata(file).map_err(store::Error::io("read", file))?;
                links.add(tree, path, &found);
                if let Some(first) = links.first(path) {
                    TarKind::Link(first)
                } else {
                    content = Box::new(File::open(file).map_err(store::Error::io("read", file))?);
                    TarKind::File(*size)
                }
            }
        };
        let Entry { mode, uid, gid, mtime, .. } = *entry;
        writer
            .entry(&Header { path, kind, mode, uid, gid, mtime }, &mut *content)
            .map_err(|failure| failed(failure, entry, name))?;
    }
    Ok(())
}

/// What failed: reading the store, or writing the archive.
fn failed(failure: Failure, entry: &Entry, name: &Path) -> Error {
    let file = match &entry.kind {
        Kind::File { content: Content::Path(file), .. } => file.clone(),
        _ => name.to_owned(),
    };
    match failure {
        Failure::Write(source) => Error::io("write", name)(source),
        Failure::Read(source) => store::Error::io("read", &file)(source).into(),
        Failure::Short => {
            store::Error::Damaged { path: file, reason: "it is shorter than it was".to_owned() }.into()
        }
    }
}
