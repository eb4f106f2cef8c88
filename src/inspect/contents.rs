//! What layers hold: each by itself, and together as the image shows them.
//!
//! In: layers from the bottom up, some of which may be left out. Out: numbers for each, the merged tree, the layer of each path, and Debian's packages
//! with the layer that brought them, which is the first whose list of packages has that version.

use std::collections::BTreeMap;

use super::report::{Contents, Sized};
use crate::oci::unpack::Alone;
use crate::package::LayerDescriptor;
use crate::publish::Error;
use crate::rootfs::image::{Record, STATUS, is_record, records};
use crate::store::{Entry, Kind, Tree};

/// Files of a layer that are named.
const LARGEST: usize = 5;

/// Layers that have been opened.
#[derive(Debug, Default)]
pub(super) struct Opened {
    /// From the bottom up.
    pub(super) layers: Vec<Contents>,
    /// The files that the image shows.
    pub(super) tree: Tree,
    /// The layer of each path of the tree.
    pub(super) of_path: BTreeMap<String, usize>,
    /// Debian's packages by name and architecture, each with its layer.
    pub(super) debian: BTreeMap<(String, String), (Record, usize)>,
    /// Whether a layer means something only with those below: it removes something of them, has dpkg's one list of all
    /// packages, or hard links to their files.
    pub(super) depends: bool,
    /// Whether a layer was left out.
    is_part: bool,
}

/// Opens `layers` by `open`, which leaves out some.
pub(super) fn open<'a>(
    layers: impl IntoIterator<Item = &'a LayerDescriptor>,
    open: impl Fn(&LayerDescriptor) -> Result<Option<Alone>, Error>,
) -> Result<Opened, Error> {
    let mut opened = Opened::default();
    for layer in layers {
        if let Some(alone) = open(layer)? {
            opened.add(alone, layer)?;
        } else {
            opened.is_part = true;
            opened.layers.push(Contents::default());
        }
    }
    Ok(opened)
}

impl Opened {
    /// Lays a layer over those before it.
    fn add(&mut self, alone: Alone, descriptor: &LayerDescriptor) -> Result<(), Error> {
        let index = self.layers.len();
        self.depends |= alone.hides_all || !alone.links.is_empty();
        // What its links lead to may be in a layer that was left out.
        let mut layer = if self.is_part { alone.tree } else { alone.over(&self.tree, descriptor.digest)? };
        layer.add_parents();
        self.layers.push(contents(&layer));
        // A folder that an archive leaves out is the one below.
        let implied = Entry::directory();
        layer.retain(|path, entry| *entry != implied || !self.tree.get(path).is_some_and(is_directory));
        let mut has_records = false;
        for (path, entry) in layer.iter() {
            has_records |= is_record(path);
            let removes = matches!(entry.kind, Kind::Whiteout | Kind::Directory { opaque: true });
            self.depends |= removes || path == STATUS;
            self.of_path.insert(path.to_owned(), index);
        }
        self.tree.apply(layer);
        if has_records { self.list(index) } else { Ok(()) }
    }

    /// Reads the list of packages anew, which the layer `index` has changed.
    fn list(&mut self, index: usize) -> Result<(), Error> {
        let mut before = std::mem::take(&mut self.debian);
        for record in records(&self.tree)? {
            let key = (record.name.clone(), record.architecture.clone());
            let known = before.remove(&key).filter(|(known, _)| known.version == record.version);
            let layer = known.map_or(index, |(_, layer)| layer);
            self.debian.insert(key, (record, layer));
        }
        Ok(())
    }
}

fn is_directory(entry: &Entry) -> bool {
    matches!(entry.kind, Kind::Directory { .. })
}

/// The numbers of one layer.
fn contents(layer: &Tree) -> Contents {
    let mut contents = Contents { files: bytes(layer), ..Contents::default() };
    for (path, entry) in layer.iter() {
        match entry.kind {
            Kind::Whiteout => contents.removed += 1,
            Kind::Directory { opaque } => contents.removed += usize::from(opaque),
            Kind::Symlink { .. } => contents.entries += 1,
            Kind::File { size, .. } => {
                contents.entries += 1;
                contents.largest.push(Sized { path: format!("/{path}"), size });
            }
        }
    }
    contents.largest.sort_by(|one, other| other.size.cmp(&one.size).then_with(|| one.path.cmp(&other.path)));
    contents.largest.truncate(LARGEST);
    contents
}

/// The size of all files in bytes; a file with several names counts for each.
pub(super) fn bytes(tree: &Tree) -> u64 {
    tree.iter().map(|(_, entry)| if let Kind::File { size, .. } = entry.kind { size } else { 0 }).sum()
}
