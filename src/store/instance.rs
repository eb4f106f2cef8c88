//! Which making of an entry this is: a random text beside what a step has made.
//!
//! Two runs of a step under one key may differ in bytes. What knows the contents of a result by its names and times asks
//! for this too, and it goes along to another machine, where inodes differ.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::{Error, Store};
use crate::oci::{Digest, layout::read_capped};

const NAME: &str = "instance";

/// Marks an unfinished entry.
pub fn write(entry: &Path) -> Result<(), Error> {
    let path = entry.join(NAME);
    let mut random = [0; 32];
    let filled = rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty());
    filled.map_err(|error| Error::io("draw a random number for", &path)(error.into()))?;
    fs::write(&path, Digest::of(&random).hex()).map_err(Error::io("write", &path))
}

/// What an entry is marked with.
pub fn read(entry: &Path) -> Option<String> {
    let text = String::from_utf8(read_capped(&entry.join(NAME), 64).ok()?).ok()?;
    Digest::from_hex(&text).is_ok().then_some(text)
}

/// What entries are marked with, each read once.
#[derive(Debug, Default)]
pub struct Runs(HashMap<PathBuf, Option<String>>);

impl Runs {
    /// The mark of the entry that holds the file `relative` of `store`.
    pub fn of(&mut self, relative: &Path, store: &Store) -> Option<&str> {
        let folder: PathBuf = relative.components().take(2).collect();
        let read = |folder: &PathBuf| read(&store.root().join(folder));
        self.0.entry(folder).or_insert_with_key(read).as_deref()
    }
}
