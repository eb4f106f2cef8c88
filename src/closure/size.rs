//! What takes the space in a finished image: its largest folders, with the layer that brings them and what put them
//! there.
//!
//! In: the image's files, the layer of each path and the words of its history. Out: a tree of folders, without those
//! that are small and those that only hold one other.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use super::Error;
use super::report::owners;
use super::view::View;
use crate::store::{Kind, Tree};

/// A folder is shown when it has this share of the whole, in per cent.
const SHARE: u64 = 1;
/// A folder of which one child has this share, in per cent, only leads to it.
const LEADS: u64 = 98;

/// A layer as its image describes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct LayerSize {
    /// What its history says of it.
    pub comment: String,
    /// Of the blob, in bytes.
    pub compressed: u64,
    /// Of its files that the image shows, in bytes.
    pub files: u64,
}

/// A folder or a file that takes space.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Place {
    /// Absolute.
    pub path: String,
    /// Of its files, in bytes.
    pub size: u64,
    /// The layer that brings most of it; an index into the layers.
    pub layer: usize,
    /// Debian packages that its files belong to, by name; empty when no file does.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub packages: Vec<String>,
    /// How far below the places before it.
    #[serde(skip)]
    depth: usize,
}

/// What takes the space.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Sizes {
    /// From the bottom up.
    pub layers: Vec<LayerSize>,
    /// Each folder before what is in it, the largest first.
    pub places: Vec<Place>,
}

/// A node of the tree of folders.
#[derive(Debug, Default)]
struct Node {
    children: BTreeMap<String, Node>,
    by_layer: BTreeMap<usize, u64>,
    packages: BTreeMap<String, u64>,
}

impl Node {
    fn size(&self) -> u64 {
        self.by_layer.values().sum()
    }

    fn add(&mut self, parts: &[&str], size: u64, layer: usize, package: Option<&String>) {
        *self.by_layer.entry(layer).or_default() += size;
        if let Some(package) = package {
            *self.packages.entry(package.clone()).or_default() += size;
        }
        if let [first, rest @ ..] = parts {
            self.children.entry((*first).to_owned()).or_default().add(rest, size, layer, package);
        }
    }

    /// The children, the largest first.
    fn sorted(&self) -> Vec<(&String, &Self)> {
        let mut children: Vec<_> = self.children.iter().collect();
        children.sort_by_key(|(name, child)| (std::cmp::Reverse(child.size()), *name));
        children
    }

    fn places(&self, path: &str, depth: usize, least: u64, found: &mut Vec<Place>) {
        let size = self.size();
        if size < least.max(1) {
            return;
        }
        let children = self.sorted();
        let leads = children.first().is_some_and(|(_, child)| child.size() * 100 >= size * LEADS);
        let shown = !leads && !path.is_empty();
        if shown {
            let layer = self.by_layer.iter().max_by_key(|(_, size)| **size).map_or(0, |(layer, _)| *layer);
            let mut packages: Vec<_> = self.packages.iter().collect();
            packages.sort_by_key(|(name, size)| (std::cmp::Reverse(**size), *name));
            let packages = packages.into_iter().map(|(name, _)| name.clone()).collect();
            found.push(Place { path: path.to_owned(), size, layer, packages, depth });
        }
        for (name, child) in children {
            child.places(&format!("{path}/{name}"), depth + usize::from(shown), least, found);
        }
    }
}

/// Measures an image. `layers` are from the bottom up; `of_path` gives the layer that a path of the image is from.
///
/// # Errors
/// When the lists of packages cannot be read.
pub fn sizes(
    tree: &Tree,
    mut layers: Vec<LayerSize>,
    of_path: &BTreeMap<String, usize>,
) -> Result<Sizes, Error> {
    let owners = owners(tree, &View::new(vec![tree]))?;
    let mut root = Node::default();
    for (path, entry) in tree.iter() {
        let Kind::File { size, .. } = entry.kind else { continue };
        let layer = of_path.get(path).copied().unwrap_or_default();
        if let Some(known) = layers.get_mut(layer) {
            known.files += size;
        }
        root.add(&path.split('/').collect::<Vec<_>>(), size, layer, owners.get(path));
    }
    let mut places = Vec::new();
    root.places("", 0, root.size() * SHARE / 100, &mut places);
    Ok(Sizes { layers, places })
}

impl Sizes {
    /// For people, with a line end behind every line.
    pub fn text(&self) -> String {
        let mut text = String::from("  COMPRESSED       FILES  LAYER\n");
        for layer in &self.layers {
            let _ = writeln!(
                text,
                "{:>9} MB {:>8} MB  {}",
                megabytes(layer.compressed),
                megabytes(layer.files),
                layer.comment
            );
        }
        text.push_str("\n       FILES  WHERE AND WHY\n");
        for place in &self.places {
            let name = format!("{}{}", "  ".repeat(place.depth), place.path);
            let _ = writeln!(text, "{:>9} MB  {name}  ({})", megabytes(place.size), self.why(place));
        }
        text
    }

    fn why(&self, place: &Place) -> String {
        let layer = self.layers.get(place.layer).map_or("", |layer| &layer.comment);
        match &place.packages[..] {
            [] => layer.to_owned(),
            [one] => format!("Debian package {one}"),
            [first, rest @ ..] => format!("Debian package {first} and {} more", rest.len()),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "shown with one digit after the point")]
fn megabytes(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / 1e6)
}
