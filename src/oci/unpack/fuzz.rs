//! Layers for [`crate::fuzz`].

use std::io::{self, Read as _};

use super::compression;
use super::entries::Entries;
use crate::store::tree::is_clean;

/// More than this of a layer only makes each execution slower.
const LARGEST: u64 = 4 << 20;

/// Reads a layer, plain or compressed; names of entries stay below the root.
pub fn layer(mut bytes: &[u8]) {
    let Ok(plain) = compression::open(&mut bytes) else { return };
    let mut entries = Entries::new(plain.take(LARGEST));
    while let Ok(Some(found)) = entries.next() {
        assert!(found.path.is_empty() || is_clean(&found.path), "{:?}", found.path);
        if io::copy(&mut entries, &mut io::sink()).is_err() {
            break;
        }
    }
}
