//! The record of a build on disk: `metadata/build-KEY.json` in the store.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Answer;
use crate::observe::{self, Sight, State};
use crate::oci::Digest;
use crate::store::{self, Store};

/// Raise it when the meaning of a field changes.
const FORMAT: u32 = 1;

/// What a build looked at, and what came of it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Record {
    format: u32,
    /// The program itself: another version may answer differently.
    pub(super) program: Option<State>,
    /// Until when the answers of registries hold, in seconds since 1970; none when none was asked.
    pub(super) until: Option<i64>,
    pub(super) salt: String,
    pub(super) variables: BTreeMap<String, Digest>,
    pub(super) trees: Vec<Tree>,
    pub(super) machine: Machine,
    pub(super) answer: Answer,
}

/// A tree that was walked.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Tree {
    pub(super) root: PathBuf,
    pub(super) time: i64,
    pub(super) sights: Vec<(String, Sight)>,
}

/// What was looked at elsewhere.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Machine {
    pub(super) time: i64,
    pub(super) sights: Vec<(PathBuf, Sight)>,
}

impl Record {
    pub(super) fn new(answer: Answer) -> Self {
        Self {
            format: FORMAT,
            program: observe::program(),
            until: None,
            salt: String::new(),
            variables: BTreeMap::new(),
            trees: Vec::new(),
            machine: Machine::default(),
            answer,
        }
    }

    /// The record of `key`; one that is damaged or of another format counts as none.
    pub(super) fn read(store: &Store, key: &Digest) -> Option<Self> {
        let record: Self =
            serde_json::from_slice(&fs::read(store.root().join("metadata").join(name(key))).ok()?).ok()?;
        (record.format == FORMAT).then_some(record)
    }

    pub(super) fn write(&self, store: &Store, key: &Digest) -> Result<(), store::Error> {
        store.put_record(&name(key), &serde_json::to_vec(self).expect("a record has texts as keys"))
    }
}

fn name(key: &Digest) -> String {
    format!("build-{}.json", key.hex())
}
