//! Layers for [`crate::fuzz`].

use std::io;

use super::entries::Entries;
use crate::store::tree::is_clean;

/// Reads a layer; names of entries stay below the root.
pub fn layer(bytes: &[u8]) {
    let mut entries = Entries::new(bytes);
    while let Ok(Some(found)) = entries.next() {
        assert!(found.path.is_empty() || is_clean(&found.path), "{:?}", found.path);
        if io::copy(&mut entries, &mut io::sink()).is_err() {
            break;
        }
    }
}
