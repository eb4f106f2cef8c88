//! An image from elsewhere under ours: its layers and config are taken over, our files are put where its links lead.

use serde_json::Value;

use super::{Error, LayerDescriptor, LayerInput};
use crate::plan::model::BaseLayer;
use crate::store::{Kind, Tree};

/// An image that ours is made on.
#[derive(Clone, Debug)]
pub struct Base {
    /// Its layers, from the bottom up, in OCI's media types; the blobs need not be in the store.
    pub layers: Vec<BaseLayer>,
    /// Its config, with all its fields.
    pub config: Value,
    /// Its files; contents need not be at hand.
    pub files: Tree,
}

impl Base {
    pub(super) fn descriptors(&self) -> impl Iterator<Item = LayerDescriptor> + '_ {
        self.layers.iter().map(|layer| LayerDescriptor {
            id: "base image".to_owned(),
            media_type: layer.media_type.clone(),
            digest: layer.digest,
            size: layer.size,
            diff_id: layer.diff_id,
            uncompressed_size: None,
        })
    }
}

/// Puts every entry where a process would find it: below a link of the image there is nothing of ours, because a
/// directory there would take the link's place and break what is behind it.
pub(super) fn relocate(layer: &mut LayerInput, files: &Tree) -> Result<(), Error> {
    let mut tree = Tree::new();
    layer.tree.add_parents();
    for (path, entry) in layer.tree.iter() {
        let is_directory = matches!(entry.kind, Kind::Directory { .. });
        let place = if is_directory { files.locate(path) } else { files.locate_entry(path) };
        let place = place
            .filter(|place| !place.is_empty())
            .ok_or_else(|| Error::BaseLink { layer: layer.id.clone(), path: path.to_owned() })?;
        let found = files.get(&place).map(|found| matches!(found.kind, Kind::Directory { .. }));
        // One file in the place of another is what layers are for; a directory in the place of a file is not.
        if found.is_some_and(|found| found != is_directory) {
            return Err(Error::Overlap {
                path: place,
                first: "base image".to_owned(),
                second: layer.id.clone(),
            });
        }
        tree.insert(place, entry.clone());
    }
    layer.tree = tree;
    Ok(())
}
