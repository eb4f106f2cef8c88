//! How two images differ.
//!
//! In: two images. Out: [`Difference`]: settings, packages, files, sizes. Layers that both have are neither fetched nor
//! opened, unless one of the others removes something, has dpkg's one list of all packages or further names of their files:
//! what that means depends on what is below.

mod files;
mod settings;
mod text;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::contents::{self, Opened};
use super::report::{Kind, Package};
use super::{Choice, Named, choose, named, packages};
use crate::oci::Digest;
use crate::oci::image::ImageConfig;
use crate::package::{Image, LayerDescriptor};
use crate::publish::{self, Error, Found, Tools};
pub use files::{Aspect, Files, Node, Touched};
pub use settings::Setting;

/// How two images differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Difference {
    /// The first.
    pub from: Side,
    /// The second.
    pub to: Side,
    /// Whether they are one image for this platform, byte for byte.
    pub same: bool,
    /// Settings of the config.
    pub config: Vec<Setting>,
    /// Packages that were added, removed or changed, by kind and name.
    pub packages: Vec<Changed>,
    /// Files that were added, removed or changed.
    pub files: Files,
    /// Sizes as they are stored, in bytes.
    pub size: Pair<u64>,
    /// Layers, those of both images first.
    pub layers: Vec<LayerPair>,
}

/// One of the images.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Side {
    /// As it was named.
    pub image: String,
    /// What tags name: that of the manifest, or of an index.
    pub digest: Digest,
    /// The platform that is compared; none when the digests say enough.
    pub platform: Option<String>,
    /// Digest of its manifest; none when the digests say enough.
    pub manifest: Option<Digest>,
}

/// The same of both images.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Pair<T> {
    /// Of the first.
    pub from: T,
    /// Of the second.
    pub to: T,
}

/// A package that one of the images lacks, or that has another version there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Changed {
    /// Whose package it is.
    pub kind: Kind,
    /// As its manager calls it.
    pub name: String,
    /// Versions of the first image; empty when it was added.
    pub from: Vec<String>,
    /// Versions of the second; empty when it was removed.
    pub to: Vec<String>,
}

/// A layer in both images, or what stands in its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct LayerPair {
    /// Its id, or what made it.
    pub name: String,
    /// Whether both images have it, byte for byte.
    pub shared: bool,
    /// In the first image.
    pub from: Option<Blob>,
    /// In the second.
    pub to: Option<Blob>,
}

/// A layer as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Blob {
    /// Its digest.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
}

/// One of the images, with its documents and without its layers.
struct Sought<'a> {
    found: Found<'a>,
    image: Image,
    config: ImageConfig,
}

/// Compares the images that `from` and `to` name in the words of [`publish::find`].
///
/// # Errors
/// As [`inspect`](super::inspect()).
pub fn diff(from: &str, to: &str, choice: Choice<'_>, tools: &Tools<'_>) -> Result<Difference, Error> {
    let (one, other) = (publish::locate(from, tools)?, publish::locate(to, tools)?);
    let side = |name: &str, found: &Found<'_>| Side {
        image: name.to_owned(),
        digest: found.root().digest,
        platform: None,
        manifest: None,
    };
    let sides = Pair { from: side(from, &one), to: side(to, &other) };
    if sides.from.digest == sides.to.digest {
        return Ok(Difference::none(sides));
    }
    let (one, other) = (seek(one, from, choice, tools)?, seek(other, to, choice, tools)?);
    let complete = |side: Side, sought: &Sought<'_>| Side {
        platform: Some(sought.image.platform.to_string()),
        manifest: Some(sought.image.manifest.digest),
        ..side
    };
    let sides = Pair { from: complete(sides.from, &one), to: complete(sides.to, &other) };
    if sides.from.manifest == sides.to.manifest {
        return Ok(Difference::none(sides));
    }
    compare(sides, &one, &other, tools)
}

impl Difference {
    fn none(sides: Pair<Side>) -> Self {
        Self {
            from: sides.from,
            to: sides.to,
            same: true,
            config: Vec::new(),
            packages: Vec::new(),
            files: Files::default(),
            size: Pair::default(),
            layers: Vec::new(),
        }
    }
}

fn seek<'a>(
    found: Found<'a>,
    name: &str,
    choice: Choice<'_>,
    tools: &Tools<'_>,
) -> Result<Sought<'a>, Error> {
    let image = choose(&found, &found.entries()?, name, choice)?;
    let config = publish::config(&image, tools.store)?;
    Ok(Sought { found, image, config })
}

fn compare(
    sides: Pair<Side>,
    one: &Sought<'_>,
    other: &Sought<'_>,
    tools: &Tools<'_>,
) -> Result<Difference, Error> {
    let shared = shared(&one.image, &other.image);
    let own = |layer: &LayerDescriptor| !shared.contains(&layer.digest);
    let task = tools.reporter.task("compare layers");
    let mut opened = Pair { from: open(one, &own, tools)?, to: open(other, &own, tools)? };
    if !shared.is_empty() && (opened.from.depends || opened.to.depends) {
        opened = Pair { from: open(one, &|_| true, tools)?, to: open(other, &|_| true, tools)? };
    }
    task.done(&format!("{} in both", crate::ui::columns::count(shared.len(), "layer", "layers")));
    let names = Pair { from: names(one), to: names(other) };
    Ok(Difference {
        from: sides.from,
        to: sides.to,
        same: false,
        config: settings::compare(
            &publish::config(&one.image, tools.store)?,
            &publish::config(&other.image, tools.store)?,
        ),
        packages: changed(&packages::all(&opened.from)?, &packages::all(&opened.to)?),
        files: files::compare(&opened.from, &opened.to, &names)?,
        size: Pair { from: total(&one.image), to: total(&other.image) },
        layers: pairs(one, other, &names, &shared),
    })
}

/// The layers that both images have. When their order differs, none counts: what lies on top decides.
fn shared(one: &Image, other: &Image) -> BTreeSet<Digest> {
    let digests = |image: &Image| image.layers.iter().map(|layer| layer.digest).collect::<BTreeSet<_>>();
    let both: BTreeSet<Digest> = digests(one).intersection(&digests(other)).copied().collect();
    let order = |image: &Image| {
        let layers = image.layers.iter().map(|layer| layer.digest);
        layers.filter(|digest| both.contains(digest)).collect::<Vec<_>>()
    };
    if order(one) == order(other) { both } else { BTreeSet::new() }
}

/// Opens some of the layers; the others are left out.
fn open(
    sought: &Sought<'_>,
    wanted: &dyn Fn(&LayerDescriptor) -> bool,
    tools: &Tools<'_>,
) -> Result<Opened, Error> {
    let layers = &sought.image.layers;
    sought.found.fetch_some(layers.iter().filter(|layer| wanted(layer)))?;
    contents::open(layers, |layer| wanted(layer).then(|| publish::layer(layer, tools.store)).transpose())
}

/// The name of each layer: its id, else what made it, else its number.
fn names(sought: &Sought<'_>) -> Vec<String> {
    let name = |(index, named): (usize, Named<'_>)| {
        let made_by = named.history.map(|entry| entry.created_by.as_str()).filter(|text| !text.is_empty());
        named.id().or(made_by).map_or_else(|| format!("layer {}", index + 1), str::to_owned)
    };
    named(&sought.image, &sought.config).into_iter().enumerate().map(name).collect()
}

fn total(image: &Image) -> u64 {
    image.layers.iter().map(|layer| layer.size).sum()
}

/// Layers side by side: those of both, then by name and in order.
fn pairs(
    one: &Sought<'_>,
    other: &Sought<'_>,
    names: &Pair<Vec<String>>,
    shared: &BTreeSet<Digest>,
) -> Vec<LayerPair> {
    let blob = |layer: &LayerDescriptor| Some(Blob { digest: layer.digest, size: layer.size });
    let layers = |sought: &Sought<'_>, names: &[String]| -> Vec<(String, LayerDescriptor)> {
        names.iter().cloned().zip(sought.image.layers.iter().cloned()).collect()
    };
    let (from, to) = (layers(one, &names.from), layers(other, &names.to));
    let is_shared = |(_, layer): &&(String, LayerDescriptor)| shared.contains(&layer.digest);
    let mut pairs: Vec<LayerPair> = to
        .iter()
        .filter(is_shared)
        .map(|(name, layer)| LayerPair {
            name: name.clone(),
            shared: true,
            from: blob(layer),
            to: blob(layer),
        })
        .collect();
    let first = pairs.len();
    let own = from.iter().filter(|layer| !is_shared(layer));
    pairs.extend(own.map(|(name, layer)| LayerPair {
        name: name.clone(),
        shared: false,
        from: blob(layer),
        to: None,
    }));
    for (name, layer) in to.iter().filter(|layer| !is_shared(layer)) {
        match pairs[first..].iter_mut().find(|pair| pair.to.is_none() && pair.name == *name) {
            Some(pair) => pair.to = blob(layer),
            None => {
                pairs.push(LayerPair { name: name.clone(), shared: false, from: None, to: blob(layer) });
            }
        }
    }
    pairs
}

/// Packages whose versions differ. One may be there several times.
fn changed(from: &[Package], to: &[Package]) -> Vec<Changed> {
    let mut versions: BTreeMap<(Kind, &str), Pair<BTreeSet<&str>>> = BTreeMap::new();
    for package in from {
        versions.entry((package.kind, &package.name)).or_default().from.insert(&package.version);
    }
    for package in to {
        versions.entry((package.kind, &package.name)).or_default().to.insert(&package.version);
    }
    let list = |versions: BTreeSet<&str>| versions.into_iter().map(str::to_owned).collect();
    let differing = versions.into_iter().filter(|(_, pair)| pair.from != pair.to);
    let change = |((kind, name), pair): ((Kind, &str), Pair<BTreeSet<&str>>)| Changed {
        kind,
        name: name.to_owned(),
        from: list(pair.from),
        to: list(pair.to),
    };
    differing.map(change).collect()
}
