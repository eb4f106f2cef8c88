//! Docker's own form of an image archive, as `docker save` wrote it before version 25 and other tools still do: a
//! `manifest.json` that names a config and layers by their paths in the archive, and no index
//! (<https://github.com/moby/docker-image-spec/blob/main/spec.md#combined-image-json--filesystem-changeset-format>).
//!
//! In: an archive whose members are known. Out: the entries that an index would have, with manifests made for them.
//! Layers that are not compressed are named by the digests that the config states for them, without being read: who
//! takes them checks them. Nothing is trusted more than in the other form.

use std::collections::BTreeMap;
use std::io::{self, Read as _};

use serde::Deserialize;

use super::image::{CONFIG, Descriptor, IMAGE_NAME, ImageConfig, LAYER, LAYER_GZIP, LAYER_ZSTD};
use super::image::{MANIFEST, MAX_DOCUMENT, Manifest, REF_NAME};
use super::layout::{Archive, Error};
use super::unpack::compression::{Kind, kind};
use super::{Digest, DigestReader, Reference, to_canonical_json};

/// The file that stands for an index.
pub(super) const NAME: &str = "manifest.json";

/// The largest `manifest.json`.
const MAX_LIST: u64 = 16 << 20;

/// The most images of one archive.
const MAX_IMAGES: usize = 100;

/// An image of the list.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Item {
    config: String,
    repo_tags: Option<Vec<String>>,
    layers: Option<Vec<String>>,
}

/// Where the bytes of a blob are.
#[derive(Clone, Debug)]
pub(super) enum Blob {
    /// A member of the archive.
    Member(String),
    /// A document that was made here.
    Document(Vec<u8>),
}

/// What stands for the index and for `blobs/sha256`.
#[derive(Clone, Debug, Default)]
pub(super) struct Read {
    pub entries: Vec<Descriptor>,
    pub blobs: BTreeMap<Digest, Blob>,
}

/// Reads the list of `archive` and the configs that it names.
///
/// # Errors
/// When it is not such a list, names what is not there, or an image whose config does not fit its layers.
pub(super) fn read(archive: &Archive) -> Result<Read, Error> {
    let items: Vec<Item> = serde_json::from_slice(&bytes(archive, NAME, MAX_LIST)?)
        .map_err(|error| archive.not(format!("{NAME}: {error}")))?;
    if items.len() > MAX_IMAGES {
        return Err(archive.not(format!("{NAME} names more than {MAX_IMAGES} images")));
    }
    let mut reader = Reader { archive, read: Read::default(), compressed: BTreeMap::new() };
    items.iter().try_for_each(|item| reader.add(item))?;
    Ok(reader.read)
}

struct Reader<'a> {
    archive: &'a Archive,
    read: Read,
    /// Layers whose bytes have been read, by their path: each is read once.
    compressed: BTreeMap<String, Digest>,
}

impl Reader<'_> {
    fn add(&mut self, item: &Item) -> Result<(), Error> {
        let text = bytes(self.archive, &item.config, MAX_DOCUMENT)?;
        let wrong = |reason: String| self.archive.not(format!("{}: {reason}", item.config));
        let config: ImageConfig = serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))?;
        let (layers, diff_ids) = (item.layers.as_deref().unwrap_or_default(), config.rootfs.diff_ids);
        if layers.len() != diff_ids.len() {
            let (stated, layers) = (diff_ids.len(), layers.len());
            return Err(wrong(format!("it states {stated} layers, {NAME} names {layers}")));
        }
        let layers = layers.iter().zip(diff_ids).map(|(path, diff_id)| self.layer(path, diff_id));
        let layers = layers.collect::<Result<Vec<_>, _>>()?;
        let digest = Digest::of(&text);
        self.read.blobs.insert(digest, Blob::Member(item.config.clone()));
        let manifest = Manifest {
            schema_version: 2,
            media_type: MANIFEST.to_owned(),
            config: Descriptor::new(CONFIG, digest, text.len() as u64),
            layers,
            annotations: BTreeMap::new(),
        };
        let document = to_canonical_json(&manifest).map_err(|error| self.archive.not(error.to_string()))?;
        let entry = Descriptor::new(MANIFEST, Digest::of(&document), document.len() as u64);
        self.read.blobs.insert(entry.digest, Blob::Document(document));
        let tags = item.repo_tags.iter().flatten();
        let named: Vec<_> = tags.filter_map(|tag| named(&entry, tag)).collect();
        self.read.entries.extend(if named.is_empty() { vec![entry] } else { named });
        Ok(())
    }

    fn layer(&mut self, path: &str, diff_id: Digest) -> Result<Descriptor, Error> {
        let (mut content, size) = self.archive.member(path)?;
        let mut start = Vec::new();
        let failed = self.archive.failed();
        content.by_ref().take(4).read_to_end(&mut start).map_err(&failed)?;
        let media_type = match kind(&start) {
            Kind::None => LAYER,
            Kind::Gzip => LAYER_GZIP,
            Kind::Zstd => LAYER_ZSTD,
        };
        let digest = match self.compressed.get(path) {
            Some(known) => *known,
            None if media_type == LAYER => diff_id,
            None => {
                let mut reader = DigestReader::new(io::Cursor::new(start).chain(content));
                io::copy(&mut reader, &mut io::sink()).map_err(&failed)?;
                let digest = reader.finish().0;
                self.compressed.insert(path.to_owned(), digest);
                digest
            }
        };
        self.read.blobs.insert(digest, Blob::Member(path.to_owned()));
        Ok(Descriptor::new(media_type, digest, size))
    }
}

/// The entry under a tag, if that is the name of an image.
fn named(entry: &Descriptor, tag: &str) -> Option<Descriptor> {
    let reference: Reference = tag.parse().ok()?;
    let mut entry = entry.clone();
    entry.annotations.insert(REF_NAME.to_owned(), reference.familiar());
    entry.annotations.insert(IMAGE_NAME.to_owned(), reference.full());
    Some(entry)
}

fn bytes(archive: &Archive, path: &str, limit: u64) -> Result<Vec<u8>, Error> {
    let (content, size) = archive.member(path)?;
    if size > limit {
        return Err(archive.not(format!("`{path}` has {size} bytes, more than {limit}")));
    }
    let mut bytes = Vec::new();
    content.take(limit).read_to_end(&mut bytes).map_err(archive.failed())?;
    Ok(bytes)
}
