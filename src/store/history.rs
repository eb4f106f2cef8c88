//! What an app's parts were made of the last time, so that the reason of a miss can be named.
//!
//! `metadata/history/APP/KIND-ID` in the store: the key as 64 digits, then zstd over JSON. Records are advice: one that
//! is damaged, too large or of another version counts as unknown, and one that cannot be written is left out.

use std::fs::File;
use std::io::{self, Read as _};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Store;
use crate::oci::Digest;

/// Records that are larger are not read.
const LARGEST: u64 = 64 << 20;

/// The records of one app.
#[derive(Clone, Debug)]
pub struct History {
    store: Store,
    folder: String,
    about: String,
}

/// What is known about the last time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Last<T> {
    /// There was none.
    Never,
    /// It had the same key.
    Same,
    /// It had another one.
    Other(T),
    /// There was one, and nothing more is known.
    Unknown,
}

impl History {
    /// The records of the app that `app` identifies on this machine; `about` is for people.
    pub fn of(app: &str, about: String, store: &Store) -> Self {
        let name = Digest::of(app.as_bytes()).hex();
        Self { store: store.clone(), folder: format!("history/{}", &name[..32]), about }
    }

    /// What stands for the app on this machine.
    pub fn app(&self) -> &str {
        &self.folder
    }

    /// What is known about the last time that `kind` `id` was made or found, seen from `key`.
    pub fn last<T: DeserializeOwned>(&self, kind: &str, id: &str, key: &Digest) -> Last<T> {
        match self.open(kind, id) {
            Ok((last, _)) if last == key.hex().as_bytes() => Last::Same,
            Ok((_, rest)) => unpacked(rest).map_or(Last::Unknown, Last::Other),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Last::Never,
            Err(_) => Last::Unknown,
        }
    }

    /// Whether `key` was the last one.
    pub fn is_last(&self, kind: &str, id: &str, key: &Digest) -> bool {
        self.open(kind, id).is_ok_and(|(last, _)| last == key.hex().as_bytes())
    }

    /// Whether `kind` `id` was made or found before.
    pub fn knows(&self, kind: &str, id: &str) -> bool {
        self.store.root().join("metadata").join(self.name(kind, id)).exists()
    }

    /// The last key, and a reader of what it was made of.
    fn open(&self, kind: &str, id: &str) -> io::Result<([u8; 64], File)> {
        let mut file = File::open(self.store.root().join("metadata").join(self.name(kind, id)))?;
        let mut key = [0; 64];
        file.read_exact(&mut key)?;
        Ok((key, file))
    }

    /// Makes `key`, with what it was made of, the last one.
    pub fn remember<T: Serialize>(&self, kind: &str, id: &str, key: &Digest, value: &T) {
        let Ok(packed) = packed(value) else { return };
        let mut bytes = key.hex().into_bytes();
        bytes.extend(packed);
        // It is advice; a full disk shows where it matters.
        let _ = self.store.put_record(&self.name(kind, id), &bytes);
        self.store.describe("metadata", &self.folder, || self.about.clone());
    }

    fn name(&self, kind: &str, id: &str) -> String {
        format!("{}/{kind}-{}", self.folder, &Digest::of(id.as_bytes()).hex()[..16])
    }
}

/// A document in the form of records.
pub fn packed<T: Serialize>(value: &T) -> io::Result<Vec<u8>> {
    zstd::encode_all(&serde_json::to_vec(value)?[..], 3)
}

/// Reads what [`packed`] has made.
pub fn unpacked<T: DeserializeOwned>(reader: impl io::Read) -> Option<T> {
    let decoder = zstd::stream::read::Decoder::new(reader).ok()?;
    serde_json::from_reader(io::BufReader::new(decoder.take(LARGEST))).ok()
}
