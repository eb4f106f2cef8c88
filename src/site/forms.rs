//! The forms of a file: itself, and compressed where that saves.
//!
//! Compressed forms are made when the image is packaged, with fixed settings, so that equal files give equal bytes.

use std::fs;
use std::io::{Read as _, Write as _};
use std::num::NonZeroUsize;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::Error;
use super::media;
use super::server::index::Encoding;
use crate::lanes::{in_lanes, processors};
use crate::oci::Digest;
use crate::store::{Content, Entry, Kind};

/// Smaller files fit into the first packets in any form.
const SMALLEST: usize = 512;
/// Larger files are no text, and take long.
const LARGEST: usize = 32 << 20;
/// A form must be smaller than this part of the file, in percent.
const SAVING: usize = 90;
const ZSTD_LEVEL: i32 = 19;
/// The most files that are read at a time.
const MOST_LANES: NonZeroUsize = NonZeroUsize::new(8).unwrap();

/// A file of the site, read.
#[derive(Debug)]
pub(super) struct Forms {
    pub(super) digest: Digest,
    pub(super) size: u64,
    /// Compressed, smallest first.
    pub(super) compressed: Vec<(Encoding, Vec<u8>)>,
}

/// Reads files, several at a time.
pub(super) fn read(files: &[(&str, &Entry)]) -> Result<Vec<Forms>, Error> {
    in_lanes(processors(MOST_LANES), files, |(path, entry)| forms(path, entry))
}

fn forms(path: &str, entry: &Entry) -> Result<Forms, Error> {
    let bytes = bytes(path, entry)?;
    let mut compressed = Vec::new();
    if media::of(path).compress && (SMALLEST..=LARGEST).contains(&bytes.len()) {
        let failed = |source| Error::Read { path: path.to_owned(), source };
        compressed.push((Encoding::Gzip, gzip(&bytes).map_err(failed)?));
        compressed.push((Encoding::Zstd, zstd::bulk::compress(&bytes, ZSTD_LEVEL).map_err(failed)?));
        compressed.retain(|(_, form)| form.len() * 100 < bytes.len() * SAVING);
        compressed.sort_by_key(|(_, form)| form.len());
    }
    Ok(Forms { digest: Digest::of(&bytes), size: bytes.len() as u64, compressed })
}

fn gzip(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes)?;
    encoder.finish()
}

/// The bytes of a file of the site.
pub(super) fn bytes(path: &str, entry: &Entry) -> Result<Vec<u8>, Error> {
    match &entry.kind {
        Kind::File { content: Content::Bytes(bytes), .. } => Ok(bytes.clone()),
        Kind::File { content: Content::Path(file), .. } => {
            fs::read(file).map_err(|source| Error::Read { path: path.to_owned(), source })
        }
        _ => Ok(Vec::new()),
    }
}

/// Whether `packed` is a gzip form of `bytes`.
pub(super) fn unpacks_to(packed: &[u8], size: u64, digest: &Digest) -> bool {
    let mut bytes = Vec::new();
    let read = flate2::read::MultiGzDecoder::new(packed).take(size + 1).read_to_end(&mut bytes);
    read.is_ok() && bytes.len() as u64 == size && Digest::of(&bytes) == *digest
}
