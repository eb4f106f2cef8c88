//! The rules of a layer's entries.
//!
//! - What a package brought keeps its mode, owner and time, except that directories carry [`FIXED_TIME`].
//! - Every other file has mode 0644, or 0755 when anybody may execute it: the umask of whoever built does not
//!   show, and no setuid, setgid or sticky bit survives.
//! - Every other directory has mode 0755, except `/tmp` (1777) and `/root` (0700). A directory that a lower
//!   layer has already keeps the attributes it has there.
//! - A writable directory has mode 1777, so that any user id can write to it, as platforms
//!   that choose one at random need. It is in the last layer.
//! - On an image from elsewhere, entries are put where its links lead, and its directories keep their attributes.
//! - All parents of an entry are in the layer, and the working directory exists.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;

use super::base::relocate;
use super::{Error, FIXED_TIME, LayerInput, Time};
use crate::oci::image::user_ids;
use crate::plan::model::Image;
use crate::store::{self, Entry, Kind, Tree};

const WRITABLE: u32 = 0o1777;

/// Directories that packages do not bring with the mode they need.
const DIRECTORY_MODES: [(&str, u32); 2] = [("root", 0o700), ("tmp", WRITABLE)];

/// Applies the rules to all layers, from the bottom up.
pub(super) fn normalise(
    mut layers: Vec<LayerInput>,
    image: &Image,
    base: Option<&Tree>,
) -> Result<Vec<LayerInput>, Error> {
    let mut writable = Writable::new(image)?;
    if let Some(files) = base {
        // Every image has a `/tmp`.
        if files.get("tmp").is_none() {
            writable.shared.push("tmp".to_owned());
        }
        for path in writable.paths_mut() {
            *path = files.locate(path).filter(|place| !place.is_empty()).unwrap_or_else(|| path.clone());
        }
    }
    add_directories(&mut layers, &writable, image)?;
    if let Some(files) = base {
        layers.iter_mut().try_for_each(|layer| relocate(layer, files))?;
    }
    let mut below: HashMap<String, Below> = HashMap::new();
    let ids: Vec<String> = layers.iter().map(|layer| layer.id.clone()).collect();
    for (index, layer) in layers.iter_mut().enumerate() {
        check_names(layer)?;
        layer.tree.add_parents();
        let time = match layer.time {
            Time::Fixed => FIXED_TIME,
            Time::Source => image.created,
        };
        for (path, entry) in layer.tree.iter_mut() {
            let is_writable = writable.has(path);
            match below.entry(path.to_owned()) {
                Slot::Vacant(slot) => {
                    normalise_entry(path, entry, time);
                    keep_directory(path, entry, base.filter(|_| !is_writable));
                    slot.insert(Below::of(entry, index));
                }
                Slot::Occupied(slot) => slot.get().merge(path, entry, &ids, index)?,
            }
            writable.open(path, entry);
        }
        check_parents(layer)?;
    }
    Ok(layers)
}

/// A directory of the base image keeps the attributes that it has there.
fn keep_directory(path: &str, entry: &mut Entry, base: Option<&Tree>) {
    let found = base.and_then(|files| files.get(path));
    if let Some(found) = found.filter(|found| matches!(found.kind, Kind::Directory { .. })) {
        (entry.mode, entry.uid, entry.gid) = (found.mode, found.uid, found.gid);
    }
}

/// What lower layers have at a path.
enum Below {
    Directory { layer: usize, mode: u32, uid: u32, gid: u32 },
    Other { layer: usize },
}

impl Below {
    fn of(entry: &Entry, layer: usize) -> Self {
        match entry.kind {
            Kind::Directory { .. } => {
                Self::Directory { layer, mode: entry.mode, uid: entry.uid, gid: entry.gid }
            }
            _ => Self::Other { layer },
        }
    }

    /// Gives a directory that is here already the same attributes; anything else is an error.
    fn merge(&self, path: &str, entry: &mut Entry, ids: &[String], index: usize) -> Result<(), Error> {
        match (self, &entry.kind) {
            (Self::Directory { mode, uid, gid, .. }, Kind::Directory { .. }) => {
                (entry.mode, entry.uid, entry.gid) = (*mode, *uid, *gid);
                entry.mtime = FIXED_TIME;
                Ok(())
            }
            (Self::Directory { layer, .. } | Self::Other { layer }, _) => Err(Error::Overlap {
                path: path.to_owned(),
                first: ids[*layer].clone(),
                second: ids[index].clone(),
            }),
        }
    }
}

fn normalise_entry(path: &str, entry: &mut Entry, time: i64) {
    let is_packaged = entry.package.is_some();
    match entry.kind {
        Kind::Directory { .. } => {
            entry.mtime = FIXED_TIME;
            if !is_packaged {
                entry.mode =
                    DIRECTORY_MODES.iter().find(|(fixed, _)| *fixed == path).map_or(0o755, |(_, mode)| *mode);
            }
        }
        Kind::Symlink { .. } => {
            entry.mode = 0o777;
            if !is_packaged {
                entry.mtime = time;
            }
        }
        Kind::File { .. } | Kind::Whiteout if !is_packaged => {
            entry.mode = if entry.mode & 0o111 == 0 { 0o644 } else { 0o755 };
            entry.mtime = time;
        }
        Kind::File { .. } | Kind::Whiteout => {}
    }
}

/// Where the app may write, as paths of a tree.
struct Writable {
    /// Directories that everything may be written below, which are made.
    whole: Vec<String>,
    /// Directories that files may be added to, and files.
    single: Vec<String>,
    /// Directories of everybody.
    shared: Vec<String>,
    /// The image's user, who owns all of it but what is everybody's.
    owner: (u32, u32),
}

impl Writable {
    fn new(image: &Image) -> Result<Self, Error> {
        let (uid, gid) = user_ids(&image.user);
        let owner = (uid.unwrap_or(0), gid.unwrap_or(0));
        let mut found = Self { whole: Vec::new(), single: Vec::new(), shared: Vec::new(), owner };
        for place in &image.writable {
            let list = if place.whole { &mut found.whole } else { &mut found.single };
            list.push(directory("writable", &place.path)?);
        }
        Ok(found)
    }

    fn paths_mut(&mut self) -> impl Iterator<Item = &mut String> {
        self.whole.iter_mut().chain(&mut self.single).chain(&mut self.shared)
    }

    fn has(&self, path: &str) -> bool {
        let is_below = |folder: &String| {
            path.strip_prefix(folder.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.whole.iter().any(is_below) || self.single.iter().chain(&self.shared).any(|one| one == path)
    }

    /// Lets everybody write: directories as `/tmp` is one, so that any user id serves. What ships belongs to the image's
    /// user, who may replace it as well.
    fn open(&self, path: &str, entry: &mut Entry) {
        if !self.has(path) {
            return;
        }
        match entry.kind {
            Kind::Directory { .. } => entry.mode = WRITABLE,
            Kind::File { .. } => entry.mode |= 0o666,
            _ => return,
        }
        (entry.uid, entry.gid) =
            if self.shared.iter().any(|shared| shared == path) { (0, 0) } else { self.owner };
    }
}

/// Adds the writable directories, and the working directory where no layer has it, to the last layer.
fn add_directories(layers: &mut [LayerInput], writable: &Writable, image: &Image) -> Result<(), Error> {
    let working = match image.working_directory.as_str() {
        "" | "/" => None,
        path => Some(directory("working", path)?),
    };
    let made = writable.whole.iter().chain(&writable.shared).map(|path| ("writable", path));
    let wanted = made.chain(working.iter().map(|path| ("working", path)));
    for (role, path) in wanted {
        let found = layers.iter().rev().find_map(|layer| Some((layer.id.clone(), layer.tree.get(path)?)));
        match found {
            Some((_, Entry { kind: Kind::Directory { .. }, .. })) if role == "working" => continue,
            None | Some((_, Entry { kind: Kind::Directory { .. }, .. })) => {}
            Some((layer, _)) => {
                let reason = format!("layer `{layer}` has something else there");
                return Err(Error::Directory { path: format!("/{path}"), role, reason });
            }
        }
        let last = layers.last_mut().ok_or(Error::Empty)?;
        if last.tree.get(path).is_none() {
            last.tree.insert(path.as_str(), Entry::directory());
        }
    }
    if layers.is_empty() { Err(Error::Empty) } else { Ok(()) }
}

/// An absolute directory of the plan as a path of a tree.
fn directory(role: &'static str, path: &str) -> Result<String, Error> {
    let error = |reason: &str| Error::Directory { path: path.to_owned(), role, reason: reason.to_owned() };
    let relative = path.strip_prefix('/').ok_or_else(|| error("it is not absolute"))?;
    let relative = relative.strip_suffix('/').unwrap_or(relative);
    if !store::tree::is_clean(relative) {
        return Err(error("it has an empty, `.` or `..` part, or is `/` itself"));
    }
    Ok(relative.to_owned())
}

fn check_names(layer: &LayerInput) -> Result<(), Error> {
    for (path, entry) in layer.tree.iter() {
        let (layer, path) = (|| layer.id.clone(), || path.to_owned());
        if matches!(entry.kind, Kind::Whiteout | Kind::Directory { opaque: true }) {
            return Err(Error::Whiteout { layer: layer(), path: path() });
        }
        if path().split('/').any(|part| part.starts_with(".wh.")) {
            return Err(Error::ReservedName { layer: layer(), path: path() });
        }
        if path().contains('\0') {
            return Err(Error::InvalidName { layer: layer(), path: path(), reason: "its name holds a NUL" });
        }
        if let Kind::Symlink { target } = &entry.kind
            && (target.is_empty() || target.contains('\0'))
        {
            return Err(Error::InvalidName {
                layer: layer(),
                path: path(),
                reason: "the text of the link is empty or holds a NUL",
            });
        }
    }
    Ok(())
}

/// Every parent is a directory; with all parents present it is enough to look one up.
fn check_parents(layer: &LayerInput) -> Result<(), Error> {
    for (path, _) in layer.tree.iter() {
        let Some((parent, _)) = path.rsplit_once('/') else { continue };
        if !layer.tree.get(parent).is_some_and(|entry| matches!(entry.kind, Kind::Directory { .. })) {
            return Err(Error::NotADirectory {
                layer: layer.id.clone(),
                path: path.to_owned(),
                parent: parent.to_owned(),
            });
        }
    }
    Ok(())
}
