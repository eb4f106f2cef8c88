//! Where an archive is cut into groups of entries, which are compressed on their own.
//!
//! An entry begins a group with a chance in proportion to its size, decided by a checksum of its path. So groups have
//! [`AVERAGE`] bytes whatever the sizes of files are, and a change moves no boundary but its own: a group is found
//! again in the layer of the next build. A group has at most [`MOST`] bytes of content; a larger file is a row of
//! groups of that size.

use crate::store::{Entry, Kind};

use super::compress::checksum;

/// Bytes of a group: larger ones save little, smaller ones cost in size.
const AVERAGE: u64 = 256 * 1024;

/// Content of a group at most, in bytes.
pub(super) const MOST: u64 = 512 * 1024;

/// What an entry takes besides its content.
const HEADER: u64 = 512;

/// An entry of a layer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Item<'a> {
    /// Where it stands.
    pub path: &'a str,
    /// What it is.
    pub entry: &'a Entry,
    /// The entry whose file this is as well, if there is one before it.
    pub link: Option<&'a str>,
}

impl Item<'_> {
    /// Bytes of content in the archive.
    pub(super) fn size(&self) -> u64 {
        match self.entry.kind {
            Kind::File { size, .. } if self.link.is_none() => size,
            _ => 0,
        }
    }
}

/// A part of an archive.
#[derive(Clone, Copy, Debug)]
pub(super) enum Group<'a> {
    /// Whole entries.
    Entries(&'a [Item<'a>]),
    /// A part of a file; the first has its header, the last its padding.
    Part {
        /// The file.
        item: Item<'a>,
        /// Where the part begins in the content.
        offset: u64,
    },
    /// The end of the archive.
    End,
}

/// Cuts the entries of a layer.
pub(super) fn cut<'a>(items: &'a [Item<'a>]) -> impl Iterator<Item = Group<'a>> {
    let mut rest = items;
    let mut part = 0;
    let mut ended = false;
    std::iter::from_fn(move || {
        let Some(first) = rest.first() else {
            return (!std::mem::replace(&mut ended, true)).then_some(Group::End);
        };
        if first.size() > MOST {
            let group = Group::Part { item: *first, offset: part };
            part += MOST;
            if part >= first.size() {
                part = 0;
                rest = &rest[1..];
            }
            return Some(group);
        }
        let (group, others) = rest.split_at(run(rest));
        rest = others;
        Some(Group::Entries(group))
    })
}

/// How many entries the group has that the first of `items` begins.
fn run(items: &[Item<'_>]) -> usize {
    let mut size = HEADER + items[0].size();
    for (index, item) in items.iter().enumerate().skip(1) {
        size += HEADER + item.size();
        if size > MOST || begins(item) {
            return index;
        }
    }
    items.len()
}

fn begins(item: &Item<'_>) -> bool {
    let draw = u64::from(checksum(item.path.as_bytes()).sum());
    draw * AVERAGE < (HEADER + item.size().min(MOST)) << 32
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::{AVERAGE, Group, Item, MOST, begins, cut};
    use crate::store::{Content, Entry, Kind, Tree};

    fn file(size: u64) -> Entry {
        Entry::new(Kind::File { size, content: Content::Path("/nowhere".into()) }, 0o644)
    }

    fn items(tree: &Tree) -> Vec<Item<'_>> {
        tree.iter().map(|(path, entry)| Item { path, entry, link: None }).collect()
    }

    /// The entries of each group, or the part of a file.
    fn groups(tree: &Tree) -> Vec<Vec<(String, u64)>> {
        let items = items(tree);
        let name = |item: &Item<'_>, offset| (item.path.to_owned(), offset);
        let list = |group| match group {
            Group::Entries(items) => items.iter().map(|item| name(item, item.size())).collect(),
            Group::Part { item, offset } => vec![name(&item, offset)],
            Group::End => Vec::new(),
        };
        cut(&items).map(list).collect()
    }

    #[test]
    fn a_file_of_nine_gigabytes_is_a_row_of_parts() {
        let size = 9 << 30;
        let tree: Tree = [("a", 1), ("b", size + 1), ("c", 1)]
            .map(|(path, size)| (path.to_owned(), file(size)))
            .into_iter()
            .collect();
        let parts = (0..=size / MOST).map(|part| vec![("b".to_owned(), part * MOST)]);
        let expected: Vec<_> = std::iter::once(vec![("a".to_owned(), 1)])
            .chain(parts)
            .chain([vec![("c".to_owned(), 1)], Vec::new()])
            .collect();
        assert_eq!(groups(&tree), expected);
    }

    #[test]
    fn groups_have_the_average_size_whatever_files_have() {
        for (count, size) in [(40_000_u64, 100), (4000, 15_000), (400, 200_000)] {
            let tree: Tree = (0..count).map(|at| (format!("app/{at}.js"), file(size))).collect();
            let average = count * (size + 512) / groups(&tree).len() as u64;
            assert!((AVERAGE / 2..AVERAGE * 3 / 2).contains(&average), "{size}: {average}");
        }
    }

    proptest! {
        #[test]
        fn a_new_file_moves_no_boundary_but_its_own(
            sizes in prop::collection::btree_map("[a-z]{1,4}", 0..40_000_u64, 1..300),
            path in "[a-z]{1,4}",
            size in 0..40_000_u64,
        ) {
            let mut tree: Tree = sizes.into_iter().map(|(path, size)| (path, file(size))).collect();
            tree.remove(&path);
            let before = groups(&tree);
            let flat: Vec<String> = before.iter().flatten().map(|(path, _)| path.clone()).collect();
            prop_assert!(flat.iter().map(String::as_str).eq(tree.iter().map(|(path, _)| path)));
            for group in &before {
                prop_assert!(group.iter().map(|(_, size)| size).sum::<u64>() <= MOST);
            }
            let known: HashSet<_> = before.into_iter().collect();
            let boundaries: Vec<String> =
                items(&tree).iter().filter(|item| begins(item)).map(|item| item.path.to_owned()).collect();
            let start = boundaries.iter().rfind(|boundary| **boundary < path);
            let end = boundaries.iter().find(|boundary| **boundary > path);
            tree.insert(path, file(size));
            for (path, _) in groups(&tree).iter().filter(|group| !known.contains(*group)).flatten() {
                prop_assert!(start.is_none_or(|start| start <= path) && end.is_none_or(|end| path < end));
            }
        }
    }
}
