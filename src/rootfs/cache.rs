//! Answers of registries that may be asked again: kept with the time they were fetched.
//!
//! A file of the store's `metadata/` holds one line of JSON (address, time, the server's tag) and the answer. It is
//! replaced as a whole, so readers see one answer or the other.

use std::fs;
use std::io::{BufWriter, Write as _};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::oci::Digest;
use crate::store::{self, Store};

/// For this many seconds an answer is used without asking again.
pub(super) const FRESH: i64 = 600;

/// What is known about an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Header {
    /// Where it came from.
    pub(super) url: String,
    /// When, in seconds since 1970.
    pub(super) fetched: i64,
    /// The server's name for this version.
    pub(super) etag: Option<String>,
}

impl Header {
    /// Whether the answer can be used at `now` without asking.
    pub(super) fn is_fresh(&self, now: i64) -> bool {
        (0..FRESH).contains(&now.saturating_sub(self.fetched))
    }
}

/// The kept answer of `url`; a damaged one counts as none.
pub(super) fn read(store: &Store, url: &str) -> Option<(Header, Vec<u8>)> {
    let bytes = fs::read(path(store, url)).ok()?;
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let header: Header = serde_json::from_slice(&bytes[..end]).ok()?;
    (header.url == url).then(|| (header, bytes[end + 1..].to_vec()))
}

/// Keeps an answer.
pub(super) fn write(store: &Store, header: &Header, bytes: &[u8]) -> Result<(), store::Error> {
    let path = path(store, &header.url);
    let file = store.temporary_file()?;
    let mut writer = BufWriter::new(&file);
    let line = serde_json::to_vec(header).expect("a header has no unusual keys");
    let written = writer.write_all(&line).and_then(|()| writer.write_all(b"\n"));
    written
        .and_then(|()| writer.write_all(bytes))
        .and_then(|()| writer.flush())
        .map_err(store::Error::io("write", &path))?;
    drop(writer);
    file.persist(&path).map_err(|error| store::Error::io("create", &path)(error.error))?;
    Ok(())
}

fn path(store: &Store, url: &str) -> PathBuf {
    store.root().join("metadata").join(format!("answer-{}", Digest::of(url.as_bytes()).hex()))
}
