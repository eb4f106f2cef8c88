//! What a layer was made of: kept for each app, so that a layer that is written again can say why.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;

use super::LayerInput;
use super::cache::Key;
use crate::build::made::{listed, named};
use crate::oci::Digest;
use crate::store::history::{History, Last};
use crate::store::{Content, Entry, Kind};

/// Of larger layers nothing is kept.
const ENTRIES: usize = 200_000;

/// What stands for each entry.
type Marks = BTreeMap<String, String>;

/// The name of a layer in the history.
pub(super) const LAYER: &str = "layer";

fn marks(layer: &LayerInput, key: &Key) -> Marks {
    if layer.tree.len() > ENTRIES {
        return Marks::new();
    }
    layer.tree.iter().map(|(path, entry)| (path.to_owned(), mark(path, entry, key))).collect()
}

/// What the file is, a space, and when it was made: not known of one whose content is.
fn mark(path: &str, entry: &Entry, key: &Key) -> String {
    let mut made = String::new();
    let what = match &entry.kind {
        Kind::Directory { .. } | Kind::Whiteout => String::new(),
        Kind::Symlink { target } => target.clone(),
        Kind::File { content: Content::Bytes(bytes), .. } => Digest::of(bytes).short(),
        Kind::File { content: Content::Path(file), size } => key.content(path).map_or_else(
            || {
                let found = fs::symlink_metadata(file);
                made = found.map_or_else(
                    |_| String::new(),
                    |found| format!("{}.{:09}", found.mtime(), found.mtime_nsec()),
                );
                size.to_string()
            },
            |digest| digest.short(),
        ),
    };
    let text = format!("{:o} {} {} {} {what}", entry.mode, entry.uid, entry.gid, entry.mtime);
    format!("{} {made}", Digest::of(text.as_bytes()).short())
}

/// Remembers what a layer that is not there is made of now, and tells `say` why it is not.
pub(super) fn remember(layer: &LayerInput, key: &Key, history: &History, say: Option<impl FnOnce(&str)>) {
    let new = marks(layer, key);
    if let Some(say) = say {
        say(&reason(layer, key, &new, history));
    }
    history.remember(LAYER, &layer.id, &key.digest(), &new);
}

fn reason(layer: &LayerInput, key: &Key, new: &Marks, history: &History) -> String {
    match history.last::<Marks>(LAYER, &layer.id, &key.digest()) {
        Last::Never => "never built here".to_owned(),
        Last::Same => "its blob was removed".to_owned(),
        Last::Other(old) if !old.is_empty() && !new.is_empty() => changes(&old, new),
        Last::Other(_) | Last::Unknown => "what it was made of before is unknown".to_owned(),
    }
}

/// Makes a layer that was found the last of its name.
pub(super) fn remember_found(layer: &LayerInput, key: &Key, history: &History) {
    if !history.is_last(LAYER, &layer.id, &key.digest()) {
        history.remember(LAYER, &layer.id, &key.digest(), &marks(layer, key));
    }
}

fn changes(old: &Marks, new: &Marks) -> String {
    let what = |mark: &str| mark.split(' ').next().map(str::to_owned);
    let words = |path: &&String| match (old.get(*path), new.get(*path)) {
        (Some(old), Some(new)) if what(old) == what(new) => format!("{path} made again"),
        (Some(_), Some(_)) => format!("{path} changed"),
        (Some(_), None) => format!("{path} removed"),
        _ => format!("{path} added"),
    };
    let words: Vec<String> = named(old, new).iter().map(words).collect();
    listed(&words).unwrap_or_else(|| "its files were made again".to_owned())
}

#[cfg(test)]
mod tests {
    use super::{Marks, changes};

    #[test]
    fn the_first_entries_are_named_and_the_others_counted() {
        let marks = |entries: &[(&str, &str)]| -> Marks {
            entries.iter().map(|(path, mark)| ((*path).to_owned(), (*mark).to_owned())).collect()
        };
        let old = marks(&[("app/a", "1"), ("app/b", "1"), ("app/c", "1")]);
        let new = marks(&[("app/b", "2"), ("app/c", "1 7"), ("app/d", "1"), ("app/e", "1"), ("app/f", "1")]);
        assert_eq!(changes(&old, &new), "app/a removed, app/b changed, app/c made again and 3 more");
        assert_eq!(changes(&old, &old), "its files were made again");
    }
}
