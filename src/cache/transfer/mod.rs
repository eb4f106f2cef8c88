//! What a build used, as a folder that goes to another machine (`--cache-to`), and back (`--cache-from`). A registry holds
//! the same parts as an artifact (`remote.rs`).
//!
//! ```text
//! DIR/rpack-cache.json      the format, and the digest of the index
//! DIR/blobs/sha256/HEX      the index, downloads and layers as they are; results of steps, tools and caches as archives
//! ```
//!
//! Everything is named by its digest, so that only what is new is written, and whatever was damaged is found out and not
//! used. Reading treats all of it as hostile: no path of it leads out, sizes have bounds. What it cannot do is to tell
//! a wrong result of a step from a right one: whoever can write the cache decides what is in the image.

mod archive;
mod caches;
mod export;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod import;
mod remote;
mod tree;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

pub use export::{Exported, export, prepare};
pub use import::import;

use crate::build::KEPT;
use crate::oci::{Digest, Reference};

/// Changes when older versions cannot read it any more, or must not.
const FORMAT: u32 = 1;
/// The file that marks the folder.
const MARK: &str = "rpack-cache.json";

/// Where a cache is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A folder.
    Folder(PathBuf),
    /// A tag of a registry.
    Registry(Reference),
}

/// What a place looks like.
#[derive(Debug)]
pub struct NoPlace;

impl FromStr for Place {
    type Err = NoPlace;

    fn from_str(text: &str) -> Result<Self, NoPlace> {
        if let Some(path) = text.strip_prefix("dir:") {
            return if path.is_empty() { Err(NoPlace) } else { Ok(Self::Folder(path.into())) };
        }
        if let Some(reference) = text.strip_prefix("registry:") {
            let reference: Reference = reference.parse().map_err(|_| NoPlace)?;
            // The next cache has another digest.
            return if reference.digest().is_some() { Err(NoPlace) } else { Ok(Self::Registry(reference)) };
        }
        // A word and a colon will mean another kind one day.
        let is_kind = text.split_once(':').is_some_and(|(kind, _)| !kind.contains(['/', '.']));
        if text.is_empty() || is_kind { Err(NoPlace) } else { Ok(Self::Folder(text.into())) }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(folder) => write!(f, "{}", folder.display()),
            Self::Registry(reference) => write!(f, "registry:{reference}"),
        }
    }
}

/// What was found damaged while this process has read caches: it is written anew, and not taken for what is there.
#[derive(Clone, Debug, Default)]
pub struct Damaged(Arc<Mutex<BTreeSet<String>>>);

impl Damaged {
    fn add(&self, name: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned());
    }

    fn has(&self, name: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(name)
    }
}

/// Which documents of `metadata/` go along: what is known of layers, of closures and of base images. Not what registries and archives
/// answered: that was checked by whoever asked, and is asked for again.
fn is_offered(record: &str) -> bool {
    ["layers/", "closures/", "bases/"].iter().any(|folder| record.starts_with(folder))
}

/// What the entry `folder/key` consists of. Of trees only tools go along.
fn layout(entry: &str) -> archive::Layout {
    match entry.split_once('/') {
        Some(("steps", _)) => archive::Layout::Step,
        Some(("caches", key)) if key.starts_with(KEPT) => archive::Layout::Kept,
        Some(("caches", _)) => archive::Layout::Cache,
        _ => archive::Layout::Unpacked,
    }
}

/// The content of the mark.
#[derive(Debug, Serialize, Deserialize)]
struct Mark {
    format: u32,
    index: Digest,
}

/// What there is.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Index {
    /// Blobs of the store with their sizes in bytes.
    blobs: BTreeMap<Digest, u64>,
    /// Entries of the store (`steps/KEY`) as archives.
    entries: BTreeMap<String, Packed>,
    /// Small documents of the store's `metadata/`.
    records: BTreeMap<String, String>,
}

/// An archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Packed {
    blob: Digest,
    size: u64,
}

#[cfg(test)]
mod tests {
    use super::Place;

    #[test]
    fn a_place_is_a_folder_or_a_tag_and_leaves_room_for_other_kinds() {
        let place = |text: &str| text.parse::<Place>().ok();
        for text in ["cache", "/tmp/cache", "../a:b", "./a:b", "dir:cache", "dir:a:b"] {
            let expected = text.strip_prefix("dir:").unwrap_or(text);
            assert_eq!(place(text), Some(Place::Folder(expected.into())), "{text}");
        }
        let tag = "registry:registry.example/app:cache";
        assert_eq!(place(tag).map(|place| place.to_string()).as_deref(), Some(tag));
        let digest = format!("registry:registry.example/app@sha256:{}", "a".repeat(64));
        for text in ["", "dir:", "registry:", "registry:app/B", &digest, "s3:bucket"] {
            assert_eq!(place(text), None, "{text}");
        }
    }
}
