//! One entry of the store: what it is, what it was made of, who uses it.

use std::collections::BTreeSet;

use serde::Serialize;

use super::scan::{Entry, Listing, list};
use super::{Error, Store};
use crate::build::made::{Made, listed};
use crate::oci::Digest;

/// Shorter beginnings of a key are taken for a name only.
const SHORTEST: usize = 4;

/// What there is to say about an entry.
#[derive(Clone, Debug, Serialize)]
pub struct Explained {
    /// The entry itself.
    #[serde(flatten)]
    pub entry: Entry,
    /// What it was made of: a label and a text.
    pub made_of: Vec<(String, String)>,
    /// Who uses it.
    pub used_by: Vec<String>,
}

/// Explains the entry whose key, or a part of it behind a `-` or `/`, begins with `key`; `steps/KEY` is one too.
pub fn explain(key: &str, store: &Store) -> Result<Explained, Error> {
    let listing = list(store)?;
    let entry = find(key, &listing)?.clone();
    let steps: Vec<(String, Made)> = (listing.entries.iter())
        .filter(|entry| entry.kind == "steps")
        .filter_map(|entry| {
            Some((entry.key.clone(), Made::read(&store.root().join("steps").join(&entry.key))?))
        })
        .collect();
    let made = steps.iter().find(|(key, _)| entry.kind == "steps" && *key == entry.key);
    let tag = listing.tags.iter().find(|tag| entry.kind == "images" && tag.name == entry.key);
    let blobs = tag.into_iter().flat_map(|tag| &tag.blobs);
    let blobs = blobs.map(|(digest, role)| ((*role).to_owned(), format!("blobs/{}", digest.hex())));
    let made_of = made.map_or_else(|| blobs.collect(), |(_, made)| parts(made));
    let used_by = users(&entry, &listing, &steps, store);
    Ok(Explained { entry, made_of, used_by })
}

fn find<'a>(key: &str, listing: &'a Listing) -> Result<&'a Entry, Error> {
    let wanted = key.strip_prefix("sha256:").unwrap_or(key);
    let full = |entry: &Entry| format!("{}/{}", entry.kind, entry.key);
    let begins = |entry: &&Entry| {
        entry.key == wanted
            || wanted.len() >= SHORTEST && (entry.key.starts_with(wanted) || full(entry).starts_with(wanted))
    };
    let holds = |entry: &&Entry| {
        wanted.len() >= SHORTEST && entry.key.split(['-', '/']).any(|part| part.starts_with(wanted))
    };
    let exact = |entry: &&Entry| entry.key == wanted || full(entry) == wanted;
    let mut found: Vec<&Entry> = listing.entries.iter().filter(exact).collect();
    if found.is_empty() {
        found = listing.entries.iter().filter(begins).collect();
    }
    if found.is_empty() {
        found = listing.entries.iter().filter(holds).collect();
    }
    match found[..] {
        [entry] => Ok(entry),
        [] => Err(Error::Unknown { key: key.to_owned() }),
        _ => Err(Error::Ambiguous {
            key: key.to_owned(),
            found: found.iter().map(|entry| full(entry)).collect(),
        }),
    }
}

fn parts(made: &Made) -> Vec<(String, String)> {
    let mut parts = vec![
        ("command", made.command.join(" ")),
        ("directory", made.directory.clone()),
        ("root", format!("{} ({} packages)", made.root.short(), made.packages.len())),
    ];
    for (name, (version, digest)) in &made.toolchains {
        parts.push(("toolchain", format!("{name} {version} ({})", digest.short())));
    }
    parts.extend(made.steps.iter().map(|(id, key)| ("after step", format!("{id} ({})", key.short()))));
    let names: Vec<&str> = made.env.keys().map(String::as_str).collect();
    parts.push(("variables", names.join(", ")));
    parts.extend(made.files.keys().map(|name| ("the plan's", name.clone())));
    parts.extend(made.caches.iter().map(|(id, path)| ("cache", format!("{id} at {path}"))));
    parts.extend(made.secrets.iter().map(|id| ("may see secret", id.clone())));
    parts.push(("network", if made.network { "yes" } else { "no" }.to_owned()));
    let names: Option<Vec<&String>> = made.sources.as_ref().map(|sources| sources.keys().collect());
    let names = names.and_then(|names| listed(&names)).unwrap_or_default();
    parts.push(("sources", format!("{} {names}", made.inputs.short()).trim_end().to_owned()));
    parts.retain(|(_, text)| !text.is_empty());
    parts.into_iter().map(|(label, text)| (label.to_owned(), text)).collect()
}

fn users(entry: &Entry, listing: &Listing, steps: &[(String, Made)], store: &Store) -> Vec<String> {
    let mut users = BTreeSet::new();
    for (key, made) in steps {
        if uses(made, key, entry) {
            users.insert(format!("step {} of {}  steps/{key}", made.id, made.app));
        }
        if entry.kind == "steps" && *key == entry.key {
            users.insert(format!("app {}", made.app));
        }
    }
    let blob = match entry.kind.as_str() {
        "blobs" => Digest::from_hex(&entry.key).ok(),
        "metadata" => entry.layer(store).map(|(digest, _)| digest),
        "trees" => entry.key.strip_prefix("image-").and_then(|hex| Digest::from_hex(hex).ok()),
        _ => None,
    };
    for tag in &listing.tags {
        if let Some(role) = blob.and_then(|blob| tag.blobs.get(&blob)) {
            users.insert(format!("image {} (its {role})", tag.name));
        }
    }
    for other in listing.entries.iter().filter(|_| entry.kind == "blobs") {
        if other.key.starts_with(&format!("deb-{}-", entry.key)) {
            users.insert(format!("its files  trees/{}", other.key));
        }
        if blob.is_some() && other.layer(store).map(|(digest, _)| digest) == blob {
            users.insert(format!("record of a layer  metadata/{}", other.key));
        }
    }
    users.into_iter().collect()
}

/// Whether a step stood on `entry`.
fn uses(made: &Made, key: &str, entry: &Entry) -> bool {
    let hex = |digest: &Digest| digest.hex();
    match entry.kind.as_str() {
        "steps" => key != entry.key && made.steps.iter().any(|(_, before)| hex(before) == entry.key),
        "caches" => made.caches.contains_key(&entry.key),
        "trees" => {
            entry.key == format!("root-build-{}", hex(&made.root))
                || made.toolchains.values().any(|(_, one)| entry.key == format!("toolchain-{}", hex(one)))
                || entry.key == crate::source::snapshot_key(&made.inputs, "app")
                || entry.about.strip_prefix("package ").and_then(|about| about.split_once(' ')).is_some_and(
                    |(name, version)| made.packages.get(name).is_some_and(|found| found == version),
                )
        }
        _ => false,
    }
}
