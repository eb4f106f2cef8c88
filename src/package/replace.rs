//! Makes an image anew with some of its layers replaced: the blobs of the others stay, and so does everything in its
//! documents that does not speak of a replaced layer.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::{Value, json};

use super::config::rfc3339;
use super::{Error, Image, LayerDescriptor, LayerInput, Packing, Product, layers, put};
use crate::oci::image::CREATED;
use crate::oci::{Digest, MediaTypes};
use crate::plan;
use crate::store::{self, Store};
use crate::ui::Reporter;

/// What becomes of an image.
#[derive(Debug)]
pub struct Replacement<'a> {
    /// The app's name, as in [`Input`](super::Input).
    pub name: &'a str,
    /// The image as it is.
    pub image: &'a Image,
    /// All its layers, from the bottom up: those that stay as they are in it.
    pub layers: Vec<LayerInput>,
    /// Which of them are replaced, by their index.
    pub replaced: BTreeSet<usize>,
    /// What its config says, as far as layers depend on it.
    pub settings: &'a plan::model::Image,
    /// Labels with other texts than the image's; those that it has not are not added.
    pub labels: BTreeMap<String, String>,
    /// The image's new time in seconds since 1970; none when it keeps its own.
    pub created: Option<i64>,
}

/// Makes the image; `image` itself when no layer has another content.
///
/// # Errors
/// When the layers contradict each other, or when a file cannot be read or written.
pub fn replace(replacement: Replacement<'_>, store: &Store, reporter: &Reporter) -> Result<Image, Error> {
    let Replacement { name, image, layers, replaced, settings, mut labels, created } = replacement;
    let layers = layers::normalise(layers, settings, None)?;
    let platform = image.platform.to_string();
    let packing = Packing {
        threads: super::write::threads(),
        app: name,
        platform: &platform,
        image: settings,
        history: None,
        ahead: None,
        store,
        reporter,
    };
    let types = MediaTypes::of(&image.manifest.media_type);
    let mut descriptors = image.layers.clone();
    for index in replaced {
        let mut packed = packing.one(&layers[index])?;
        packed.become_one_of(types)?;
        // Equal files may have been compressed by an earlier version: what is everywhere already is kept.
        if packed.diff_id != descriptors[index].diff_id {
            descriptors[index] = packed;
        }
    }
    if descriptors == image.layers {
        return Ok(image.clone());
    }
    let created = created.map(rfc3339).transpose()?;
    labels.extend(created.iter().map(|time| (CREATED.to_owned(), time.clone())));
    let comments: Vec<&str> = layers.iter().map(|layer| layer.comment.as_str()).collect();
    let mut config = config(read(&image.config.digest, store)?, &descriptors, &comments, created.as_deref());
    set(&mut config["config"]["Labels"], &labels);
    let config = put(store, types.config(), "config", &config)?;
    let mut manifest = read(&image.manifest.digest, store)?;
    manifest["config"] = json!(config);
    manifest["layers"] = descriptors.iter().map(|layer| json!(layer.descriptor())).collect();
    // Asked for without making it: Docker's manifests have no annotations.
    if let Some(annotations) = manifest.get_mut("annotations") {
        set(annotations, &labels);
    }
    let manifest = put(store, types.manifest(), "manifest", &manifest)?;
    Ok(Image { platform: image.platform.clone(), manifest, config, layers: descriptors })
}

/// What `old` is, of `images` instead of its own: an index keeps its annotations.
///
/// # Errors
/// As [`super::index`].
pub fn index_again(old: &Product, images: Vec<Image>, store: &Store) -> Result<Product, Error> {
    if !old.is_index() {
        return super::index(images, BTreeMap::new(), store);
    }
    let annotations = &read(&old.root.digest, store)?["annotations"];
    let texts = annotations.as_object().into_iter().flatten();
    let texts = texts.filter_map(|(key, text)| Some((key.clone(), text.as_str()?.to_owned())));
    super::index(images, texts.collect(), store)
}

/// The config for `layers`, whose history has one entry each.
fn config(mut config: Value, layers: &[LayerDescriptor], comments: &[&str], created: Option<&str>) -> Value {
    config["rootfs"]["diff_ids"] = layers.iter().map(|layer| json!(layer.diff_id)).collect();
    for (entry, comment) in config["history"].as_array_mut().into_iter().flatten().zip(comments) {
        entry["comment"] = json!(comment);
        if let Some(time) = created {
            entry["created"] = json!(time);
        }
    }
    if let Some(time) = created {
        config["created"] = json!(time);
    }
    config
}

/// Gives labels their new texts where they are.
fn set(stated: &mut Value, labels: &BTreeMap<String, String>) {
    for (key, text) in labels {
        if let Some(stated) = stated.get_mut(key) {
            *stated = json!(text);
        }
    }
}

/// A document of the image, which was checked when it came to the store.
fn read(digest: &Digest, store: &Store) -> Result<Value, Error> {
    let path = store.blob_path(digest);
    let bytes = fs::read(&path).map_err(store::Error::io("read", &path))?;
    serde_json::from_slice(&bytes).map_err(|source| Error::Document { document: "image", source })
}
