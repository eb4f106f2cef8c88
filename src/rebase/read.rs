//! Reads back from an image what it was made of. The image may be anybody's: nothing is believed that is not checked.

use std::collections::BTreeMap;

use super::recipe::Recipe;
use super::{Error, LABEL};
use crate::closure;
use crate::oci::MediaTypes;
use crate::oci::image::{BASE_DIGEST, BASE_NAME, DOCKER_MANIFEST, ImageConfig, MANIFEST, MAX_DOCUMENT};
use crate::oci::layout::read_capped;
use crate::package::{Image, LayerInput, MADE_BY, Time};
use crate::plan;
use crate::plan::model::Writable;
use crate::publish;
use crate::store::{self, Store};

/// What an image was made of.
pub(super) struct Old {
    pub(super) config: ImageConfig,
    media_types: MediaTypes,
    pub(super) recipe: Recipe,
    /// From the bottom up.
    pub(super) layers: Vec<LayerInput>,
    /// The packages of the base, by name.
    pub(super) packages: BTreeMap<String, Installed>,
    /// When it was made, in seconds since 1970.
    created: i64,
}

/// A package of an image.
pub(super) struct Installed {
    pub(super) version: String,
    /// The id of its layer.
    pub(super) layer: String,
}

/// Reads `image`, which the user calls `name`.
pub(super) fn read(image: &Image, name: &str, store: &Store) -> Result<Old, Error> {
    let path = store.blob_path(&image.config.digest);
    let bytes = read_capped(&path, MAX_DOCUMENT).map_err(store::Error::io("read", &path))?;
    let foreign = |reason: String| Error::Foreign { image: name.to_owned(), reason };
    let config: ImageConfig = serde_json::from_slice(&bytes).map_err(|error| foreign(error.to_string()))?;
    let recipe = recipe(&config, name)?;
    if ![MANIFEST, DOCKER_MANIFEST].contains(&&*image.manifest.media_type) {
        return Err(foreign(format!("its manifest is `{}`", image.manifest.media_type)));
    }
    let ids = ids(&config, image).map_err(foreign)?;
    let created = config.created.as_deref().and_then(|time| time.parse::<jiff::Timestamp>().ok());
    let created = created.ok_or_else(|| foreign("it does not say when it was made".to_owned()))?.as_second();
    let mut layers = Vec::new();
    for ((id, comment), tree) in ids.into_iter().zip(publish::layers(image, store)?) {
        let time = if id == "app" { Time::Source } else { Time::Fixed };
        layers.push(LayerInput { id, comment, tree, time });
    }
    let mut packages = BTreeMap::new();
    for layer in layers.iter().filter(|layer| recipe.layers.contains_key(&layer.id)) {
        for (package, version) in closure::versions(&layer.tree)? {
            if !is_name(&package) || version.is_empty() {
                let path = format!("{}/{package}", closure::RECORDS);
                let reason = "states no name and version of a Debian package".to_owned();
                return Err(Error::Record { image: name.to_owned(), path, reason });
            }
            packages.insert(package, Installed { version, layer: layer.id.clone() });
        }
    }
    let media_types = MediaTypes::of(&image.manifest.media_type);
    Ok(Old { config, media_types, recipe, layers, packages, created })
}

fn recipe(config: &ImageConfig, name: &str) -> Result<Recipe, Error> {
    let labels = &config.config.labels;
    if let Some(text) = labels.get(LABEL) {
        return serde_json::from_str(text)
            .map_err(|error| Error::Recipe { image: name.to_owned(), reason: error.to_string() });
    }
    // An image on one from elsewhere.
    if labels.contains_key(BASE_DIGEST)
        && config.history.iter().any(|entry| entry.created_by.starts_with(MADE_BY))
    {
        return Err(Error::OtherBase { image: name.to_owned(), base: labels.get(BASE_NAME).cloned() });
    }
    Err(Error::Foreign { image: name.to_owned(), reason: format!("it has no label `{LABEL}`") })
}

/// Id and comment of each layer. What another tool has put on top, or changed, is not what the label speaks of.
fn ids(config: &ImageConfig, image: &Image) -> Result<Vec<(String, String)>, String> {
    if config.history.len() != image.layers.len() {
        let (steps, layers) = (config.history.len(), image.layers.len());
        return Err(format!("it has {layers} layers and a history of {steps} steps"));
    }
    let id = |entry: &crate::oci::image::History| match entry.created_by.strip_prefix(MADE_BY) {
        Some(id) if !entry.empty_layer => Ok((id.to_owned(), entry.comment.clone())),
        _ => Err(format!("a layer was made by `{}`", entry.created_by)),
    };
    config.history.iter().map(id).collect()
}

/// Debian's rule for names (<https://www.debian.org/doc/debian-policy/ch-controlfields.html#source>).
fn is_name(name: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    name.starts_with(is_plain) && name.chars().all(|c| is_plain(c) || "+-.".contains(c))
}

impl Old {
    /// What its config and label say, as far as layers depend on it.
    pub(super) fn settings(&self) -> plan::model::Image {
        let config = &self.config.config;
        let writable = self.recipe.writable.iter().map(|place| Writable {
            path: place.path.clone(),
            whole: place.whole,
            origin: LABEL.to_owned(),
        });
        plan::model::Image {
            user: config.user.clone(),
            working_directory: config.working_dir.clone(),
            env: config.env.clone(),
            ports: Vec::new(),
            entrypoint: config.entrypoint.clone().unwrap_or_default(),
            cmd: config.cmd.clone().unwrap_or_default(),
            labels: config.labels.clone(),
            annotations: BTreeMap::new(),
            writable: writable.collect(),
            created: self.created,
            compression: self.recipe.compression,
            media_types: self.media_types,
            start_origin: String::new(),
            processes: BTreeMap::new(),
        }
    }
}
