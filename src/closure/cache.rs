//! Remembers a closure, because to find one the build root has to be composed.
//!
//! `metadata/closures/KEY.json` in the store. The key covers what the search depends on: what every ELF file and
//! script asks for, all links, both roots, the start command and environment, the data.

use std::path::PathBuf;

use super::scan::Scan;
use super::{Closure, Error};
use crate::oci::{Digest, to_canonical_json};
use crate::package::LayerInput;
use crate::plan::Plan;
use crate::store::{self, Kind, Store};

/// Raise it when equal files give another closure.
const RULES: u32 = 1;

/// The key of a closure.
pub(super) fn key(
    plan: &Plan,
    layers: &[LayerInput],
    scan: &Scan,
    rules: Option<Digest>,
) -> Result<Digest, Error> {
    let links: Vec<(&str, &str)> = layers
        .iter()
        .flat_map(|layer| layer.tree.iter())
        .filter_map(|(path, entry)| match &entry.kind {
            Kind::Symlink { target } => Some((path, target.as_str())),
            _ => None,
        })
        .collect();
    let image = (&plan.image.entrypoint, &plan.image.env, &plan.image.working_directory);
    let roots = (plan.build_root.digest, plan.runtime_root.digest);
    let value = (RULES, rules, roots, image, &plan.ignored_libraries, links, scan);
    let bytes = to_canonical_json(&value).map_err(|error| damaged(PathBuf::from("closure"), &error))?;
    Ok(Digest::of(&bytes))
}

fn damaged(path: PathBuf, error: &serde_json::Error) -> Error {
    Error::Store(store::Error::Damaged { path, reason: error.to_string() })
}

fn name(key: &Digest) -> String {
    format!("closures/{}.json", key.hex())
}

/// The closure with this key. A damaged record counts as none.
pub(super) fn find(key: &Digest, store: &Store) -> Option<Closure> {
    serde_json::from_slice(&store.record(&name(key))?).ok()
}

/// Remembers the closure of a key.
pub(super) fn keep(key: &Digest, closure: &Closure, store: &Store) -> Result<(), Error> {
    let bytes = to_canonical_json(closure).map_err(|error| damaged(PathBuf::from("closure"), &error))?;
    Ok(store.put_record(&name(key), &bytes)?)
}
