//! Keeping the store small: what nothing needs goes always, and beyond a size what was not used for longest.
//!
//! Invariants: what a running process uses stays, and so do images that have a tag unless they may go too; a build that
//! runs meanwhile goes on as if nothing were removed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::scan::{Entry, Listing, Weight, list};
use super::{Error, Store, images};
use crate::oci::Digest;
use crate::oci::layout::Layout;
use crate::store::{self, removal::Removal};

/// What may go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The most bytes that the store may have afterwards; without it only leftovers go, or everything with `images`.
    pub max_size: Option<u64>,
    /// Images that have a tag may go as well.
    pub images: bool,
    /// Nothing goes; it is only said what would.
    pub dry_run: bool,
}

/// What has gone, or would.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Freed {
    /// Entries that went, by kind.
    pub removed: BTreeMap<String, usize>,
    /// Bytes that the disk has more.
    pub freed: u64,
    /// Bytes that are left.
    pub left: u64,
    /// Entries that would have gone, but a running process may use them.
    pub in_use: usize,
}

/// Removes what `options` say.
pub fn prune(options: &Options, store: &Store) -> Result<Freed, Error> {
    // Whoever adds an image holds this lock too; it is taken before the other one, as there.
    let layout = store.images();
    let lock = File::open(&layout).map_err(store::Error::io("open", &layout))?;
    lock.lock().map_err(store::Error::io("lock", &layout))?;
    let listing = list(store)?;
    let mut books = Books::new(&listing);
    let mut doomed: Vec<&Entry> = leftovers(&listing);
    for entry in &doomed {
        books.remove(&entry.weight);
    }
    let max_size = options.max_size.or(options.images.then_some(0));
    if let Some(max_size) = max_size {
        let mut candidates: Vec<&Entry> = candidates(&listing, options.images);
        candidates.retain(|entry| !doomed.iter().any(|gone| std::ptr::eq(*gone, *entry)));
        candidates.sort_by_key(|entry| entry.used);
        for entry in candidates {
            if books.left <= max_size {
                break;
            }
            books.remove(&entry.weight);
            doomed.push(entry);
        }
    }
    if options.dry_run {
        let mut freed = Freed { freed: books.freed, left: books.left, ..Freed::default() };
        for entry in &doomed {
            freed.count(&entry.kind);
        }
        return Ok(freed);
    }
    remove(&doomed, &listing, store)
}

/// The bytes of the store while entries go.
struct Books {
    holders: BTreeMap<u64, usize>,
    freed: u64,
    left: u64,
}

impl Books {
    fn new(listing: &Listing) -> Self {
        let mut holders: BTreeMap<u64, usize> = BTreeMap::new();
        for inode in listing.entries.iter().flat_map(|entry| entry.weight.shared.keys()) {
            *holders.entry(*inode).or_default() += 1;
        }
        Self { holders, freed: 0, left: listing.size(|_| true) }
    }

    fn remove(&mut self, weight: &Weight) {
        let mut freed = weight.own;
        for (inode, bytes) in &weight.shared {
            if let Some(count) = self.holders.get_mut(inode) {
                *count -= 1;
                freed += if *count == 0 { *bytes } else { 0 };
            }
        }
        self.freed += freed;
        self.left = self.left.saturating_sub(freed);
    }
}

/// Unpacked images that no tag names any more: `rpack run` made them, and layers make them again.
fn leftovers(listing: &Listing) -> Vec<&Entry> {
    let held: BTreeSet<String> =
        listing.tags.iter().flat_map(|tag| tag.blobs.keys().map(Digest::hex)).collect();
    let is_leftover = |entry: &&Entry| {
        let name = entry.key.strip_prefix("image-").unwrap_or_default();
        let unpacked = match entry.kind.as_str() {
            "trees" => Some(name),
            "metadata" => name.strip_suffix(".json"),
            _ => None,
        };
        unpacked.is_some_and(|hex| !hex.is_empty() && !held.contains(hex))
    };
    listing.entries.iter().filter(is_leftover).collect()
}

fn candidates(listing: &Listing, images: bool) -> Vec<&Entry> {
    let held: BTreeSet<String> =
        listing.tags.iter().flat_map(|tag| tag.blobs.keys().map(Digest::hex)).collect();
    let may_go = |entry: &&Entry| match entry.kind.as_str() {
        "images" => images,
        "blobs" => images || !held.contains(&entry.key),
        // An image may have been made without the layers of its base, and has to find them.
        "metadata" => {
            let of = entry.key.strip_prefix("origins/");
            images || of.is_none_or(|hex| !held.contains(hex))
        }
        _ => true,
    };
    listing.entries.iter().filter(may_go).collect()
}

fn remove(doomed: &[&Entry], listing: &Listing, store: &Store) -> Result<Freed, Error> {
    let removal = store.removal()?;
    let mut books = Books::new(listing);
    let mut freed = Freed::default();
    let mut untagged = BTreeSet::new();
    for entry in doomed {
        let went = match entry.path() {
            Some(path) => removal.take(&path)?,
            None => untagged.insert(entry.key.clone()),
        };
        if went {
            books.remove(&entry.weight);
            freed.count(&entry.kind);
        } else {
            freed.in_use += 1;
        }
    }
    if !untagged.is_empty() {
        images::untag(&untagged, store)?;
    }
    books.freed += orphans(&removal, store)?;
    unfinished(&removal, store)?;
    removal.finish()?;
    (freed.freed, freed.left) = (books.freed, books.left);
    Ok(freed)
}

/// Takes blobs out of the store's images that no tag holds. Returns the bytes of those that had no other name.
fn orphans(removal: &Removal<'_>, store: &Store) -> Result<u64, Error> {
    use std::os::unix::fs::MetadataExt as _;
    if !store.images().join("oci-layout").exists() {
        return Ok(0);
    }
    let tags = images::tags(store)?;
    let layout = Layout::open(store.images())?;
    let held: BTreeSet<PathBuf> =
        tags.iter().flat_map(|tag| tag.blobs.keys()).map(|digest| layout.blob_path(digest)).collect();
    let mut freed = 0;
    for path in children(&store.images().join("blobs/sha256")) {
        let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
        let relative = path.strip_prefix(store.root()).unwrap_or(&path);
        if !held.contains(&path) && removal.take(relative)? && metadata.nlink() == 1 {
            freed += metadata.len();
        }
    }
    Ok(freed)
}

/// Takes away what processes left unfinished, and locks that nobody can hold.
fn unfinished(removal: &Removal<'_>, store: &Store) -> Result<(), Error> {
    for path in children(&store.root().join("tmp")) {
        if !removal.is_own(&path) {
            removal.take(path.strip_prefix(store.root()).unwrap_or(&path))?;
        }
    }
    // Somebody may have opened one and not locked it yet, so that they go only when there is nobody else.
    let locks = children(&store.root().join("locks"));
    for path in locks.iter().filter(|path| removal.is_alone() && !removal.is_own(path)) {
        fs::remove_file(path).map_err(store::Error::io("remove", path))?;
    }
    Ok(())
}

fn children(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder)
        .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
        .unwrap_or_default()
}

impl Freed {
    fn count(&mut self, kind: &str) {
        *self.removed.entry(kind.to_owned()).or_default() += 1;
    }
}
