//! What a build has to know of an image before it is made on it: its config, and the names, owners and modes of its files.
//!
//! Kept by the digest of the manifest (`metadata/bases/` of the store), which goes along in caches. With it no layer is
//! needed but by who wants the bytes of files. It may come from a cache that somebody else wrote: the config is checked
//! by its digest, names of files by the rules of trees.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{Error, debian};
use crate::oci::{Digest, to_canonical_json};
use crate::plan::model::BaseImage;
use crate::store::tree::is_clean;
use crate::store::{Content, Kind, Store, Tree};

/// What is known of an image.
pub(super) struct Facts {
    /// The text of its config.
    pub(super) config: String,
    /// Its files. Contents of those that are read for facts are in memory; others are where the image is unpacked, if it
    /// is.
    pub(super) files: Tree,
}

/// As it is kept: files without their contents, and the few that are read.
#[derive(Serialize, Deserialize)]
struct Record {
    config: String,
    files: Tree,
    texts: BTreeMap<String, String>,
}

/// What is known of the image with these digests of manifest and config.
pub(super) fn find(manifest: Digest, config: Digest, store: &Store) -> Option<Facts> {
    let mut record: Record = serde_json::from_slice(&store.record(&name(manifest))?).ok()?;
    if Digest::of(record.config.as_bytes()) != config || !is_sound(&record.files) {
        return None;
    }
    let root = crate::oci::unpack::folder(manifest, store);
    point(&mut record.files, &mut record.texts, &root);
    Some(Facts { config: record.config, files: record.files })
}

/// Keeps what the config and the files of `image` say.
pub(super) fn keep(image: &BaseImage, config: String, files: &Tree, store: &Store) -> Result<(), Error> {
    let texts = debian::texts(files)?;
    let mut files = files.clone();
    for (_, entry) in files.iter_mut() {
        if let Kind::File { content, .. } = &mut entry.kind {
            *content = Content::Bytes(Vec::new());
        }
    }
    let record = Record { config, files, texts };
    let bytes = to_canonical_json(&record)
        .map_err(|error| Error::Unusable { reference: image.reference.clone(), reason: error.to_string() })?;
    Ok(store.put_record(&name(image.digest), &bytes)?)
}

/// Whether paths stay in the tree, and lie in folders.
fn is_sound(files: &Tree) -> bool {
    let is_folder = |path: &str| {
        files.get(path).is_some_and(|entry| matches!(entry.kind, Kind::Directory { opaque: false }))
    };
    files.iter().all(|(path, _)| {
        let parent = path.rsplit_once('/').map(|(parent, _)| parent);
        is_clean(path) && !path.contains('\0') && parent.is_none_or(is_folder)
    })
}

/// Says where contents are.
fn point(files: &mut Tree, texts: &mut BTreeMap<String, String>, root: &Path) {
    for (path, entry) in files.iter_mut() {
        if let Kind::File { content, .. } = &mut entry.kind {
            *content = match texts.remove(path) {
                Some(text) => Content::Bytes(text.into_bytes()),
                None => Content::Path(root.join(path)),
            };
        }
    }
}

fn name(manifest: Digest) -> String {
    format!("bases/{}", manifest.hex())
}
