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
