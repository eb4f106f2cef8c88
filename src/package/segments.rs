//! Finds the compressed form of a group in layers that were packed before.
//!
//! `metadata/segments/NAME/HEX` says which groups are in the blob `HEX` and where; NAME stands for the app, the
//! platform, the layer and the compressor. The last few blobs of a name are kept in mind, so that branches do not
//! displace each other. A group is found by the digest of its bytes: no belief about files is involved. Form: a line,
//! then for each segment in the order of the blob the digest (32 bytes), length and checksum (4 bytes each, little
//! endian), then a checksum of all of them.
//!
//! Whatever is missing or damaged is a miss. A range is used when its checksum is what it was when it was written; the
//! digests of the new layer are computed over what really is in it.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use super::compress::{self, checksum};
use super::{Error, LayerInput};
use crate::oci::{Compression, Digest};
use crate::store::{self, Store};

const MARK: &[u8] = b"rpack segments 1\n";

/// How many blobs of a name are kept in mind.
const BLOBS: usize = 4;

/// Bytes of an index at most: a layer of 10 GB has 2 MB.
const LARGEST: u64 = 64 << 20;

/// Bytes of a record.
const RECORD: usize = 40;

/// A segment in a blob.
pub(super) struct Segment {
    /// The digest of the group's bytes.
    pub key: Digest,
    /// Bytes in the blob.
    pub length: u32,
    /// Of these bytes.
    pub checksum: u32,
}

/// Where a segment is.
struct Place {
    blob: usize,
    offset: u64,
    length: u32,
    checksum: u32,
}

/// The segments of earlier layers of a name.
pub(super) struct Known {
    folder: PathBuf,
    compression: Compression,
    blobs: Vec<File>,
    places: HashMap<Digest, Place>,
}

impl Known {
    /// Reads the indexes of earlier layers of this app.
    pub(super) fn open(
        app: &str,
        platform: &str,
        layer: &LayerInput,
        compression: Compression,
        store: &Store,
    ) -> Self {
        let name = (app, platform, &layer.id, compress::identity(compression));
        let name = Digest::of(format!("{name:?}").as_bytes()).hex();
        let folder = store.root().join("metadata/segments").join(name);
        let mut known = Self { folder, compression, blobs: Vec::new(), places: HashMap::new() };
        for index in newest(&known.folder).iter().take(BLOBS) {
            let name = index.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let blob = Digest::from_hex(name).ok().and_then(|digest| store.blob(&digest));
            if let Some((blob, segments)) = blob.and_then(|blob| File::open(blob).ok()).zip(read(index)) {
                known.add(blob, segments);
            }
        }
        known
    }

    fn add(&mut self, blob: File, segments: Vec<Segment>) {
        let mut offset = compress::start(self.compression);
        for Segment { key, length, checksum } in segments {
            if let Slot::Vacant(slot) = self.places.entry(key) {
                slot.insert(Place { blob: self.blobs.len(), offset, length, checksum });
            }
            offset += u64::from(length);
        }
        self.blobs.push(blob);
    }

    /// The segment of the group whose bytes have this digest.
    pub(super) fn get(&self, key: &Digest) -> Option<Vec<u8>> {
        let place = self.places.get(key)?;
        let mut bytes = vec![0; usize::try_from(place.length).ok()?];
        self.blobs[place.blob].read_exact_at(&mut bytes, place.offset).ok()?;
        (checksum(&bytes).sum() == place.checksum).then_some(bytes)
    }

    /// Keeps what is in the blob of a new layer in mind, and forgets the oldest.
    pub(super) fn keep(&self, blob: &Digest, segments: &[Segment], store: &Store) -> Result<(), Error> {
        let path = self.folder.join(blob.hex());
        fs::create_dir_all(&self.folder).map_err(store::Error::io("create", &self.folder))?;
        let mut file = store.temporary_file()?;
        file.write_all(&written(segments)).map_err(store::Error::io("write", &path))?;
        file.persist(&path).map_err(|error| store::Error::io("create", &path)(error.error))?;
        for old in newest(&self.folder).iter().skip(BLOBS) {
            // Another process may have been faster.
            let _ = fs::remove_file(old);
        }
        Ok(())
    }
}

/// The indexes in a folder, the newest first.
fn newest(folder: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<_> =
        files.filter_map(|file| Some((file.metadata().ok()?.modified().ok()?, file.path()))).collect();
    found.sort_unstable_by_key(|(modified, path)| (Reverse(*modified), path.clone()));
    found.into_iter().map(|(_, path)| path).collect()
}

fn written(segments: &[Segment]) -> Vec<u8> {
    let mut bytes = MARK.to_vec();
    for segment in segments {
        bytes.extend_from_slice(segment.key.bytes());
        bytes.extend_from_slice(&segment.length.to_le_bytes());
        bytes.extend_from_slice(&segment.checksum.to_le_bytes());
    }
    let sum = checksum(&bytes).sum();
    bytes.extend_from_slice(&sum.to_le_bytes());
    bytes
}

fn read(index: &Path) -> Option<Vec<Segment>> {
    if fs::metadata(index).ok()?.len() > LARGEST {
        return None;
    }
    let bytes = fs::read(index).ok()?;
    let (body, sum) = bytes.split_last_chunk::<4>()?;
    if checksum(body).sum() != u32::from_le_bytes(*sum) {
        return None;
    }
    let (records, rest) = body.strip_prefix(MARK)?.as_chunks::<RECORD>();
    let number = |record: &[u8; RECORD], at: usize| Some(u32::from_le_bytes(*record[at..].first_chunk()?));
    let segment = |record: &[u8; RECORD]| {
        let key = Digest::from_bytes(*record.first_chunk()?);
        Some(Segment { key, length: number(record, 32)?, checksum: number(record, 36)? })
    };
    if rest.is_empty() { records.iter().map(segment).collect() } else { None }
}
