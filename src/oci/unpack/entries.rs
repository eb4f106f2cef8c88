//! Reads tar archives that may be hostile, in one pass and with bounded memory.
//!
//! Understood: ustar, pax and GNU headers with long names, large numbers and links. Checked: header checksums,
//! the length of names, and that names are UTF-8 and stay below the root; a name comes out relative and clean.
//! Not understood, and therefore an error: sparse files.

use std::io::{self, Read};

use crate::store::tree::is_clean;

const BLOCK: usize = 512;

/// The longest pax header or long name that is read into memory.
const MAX_HEADER: u64 = 1 << 20;

/// The longest name that a Linux system can use.
const MAX_NAME: usize = 4096;

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// Relative and clean; empty for the root itself.
    pub path: String,
    /// What it is.
    pub kind: Kind,
    /// Length of the content in bytes.
    pub size: u64,
    /// Permission bits.
    pub mode: u32,
    /// Numeric owner.
    pub uid: u32,
    /// Numeric group.
    pub gid: u32,
    /// Seconds since 1970.
    pub mtime: i64,
}

/// What an entry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Directory,
    File,
    /// A further name of the file at this path, relative and clean.
    HardLink(String),
    /// A symbolic link with its text.
    Symlink(String),
    /// A device, pipe, or something newer.
    Other,
}

/// What is wrong with an archive, and at which entry.
#[derive(Debug)]
pub(crate) struct Malformed {
    /// The entry's name, as far as it was read.
    pub path: String,
    /// Reads on after the name.
    pub reason: String,
}

fn malformed(path: &str, reason: impl Into<String>) -> Malformed {
    Malformed { path: path.chars().take(200).collect(), reason: reason.into() }
}

/// The entries of an archive. Reading gives the content of the entry that came last.
pub(crate) struct Entries<R> {
    inner: R,
    left: u64,
    padding: u64,
    position: u64,
}

/// What extended headers say about the next entry.
#[derive(Default)]
struct Extended {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    uid: Option<u64>,
    gid: Option<u64>,
}

impl<R: Read> Entries<R> {
    pub(crate) fn new(inner: R) -> Self {
        Self { inner, left: 0, padding: 0, position: 0 }
    }

    /// Where the content of the entry that came last begins, in bytes from the start.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// The reader below, for what follows the end of the archive.
    pub(crate) fn into_inner(self) -> R {
        self.inner
    }

    /// The next entry; none at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Found>, Malformed> {
        let mut extended = Extended::default();
        loop {
            self.skip_content()?;
            let Some(block) = self.block()? else { return Ok(None) };
            let header = tar::Header::from_byte_slice(&block);
            let name = String::from_utf8_lossy(&header.path_bytes()).into_owned();
            let number =
                |result: io::Result<u64>| result.map_err(|error| malformed(&name, error.to_string()));
            check_sum(&block, header, &name)?;
            let size = number(header.entry_size())?;
            match header.entry_type().as_byte() {
                b'x' => {
                    let records = self.small(&name, size)?;
                    extended.read(&name, &records)?;
                }
                b'L' => extended.path = Some(without_nul(self.small(&name, size)?)),
                b'K' => extended.link = Some(without_nul(self.small(&name, size)?)),
                b'g' => self.begin_content(size),
                b'S' => return Err(malformed(&name, "is a sparse file, which is not supported")),
                flag => {
                    let found = found(header, flag, extended)?;
                    self.begin_content(found.size);
                    return Ok(Some(found));
                }
            }
        }
    }

    fn begin_content(&mut self, size: u64) {
        self.left = size;
        self.padding = (BLOCK as u64 - size % BLOCK as u64) % BLOCK as u64;
    }

    fn skip_content(&mut self) -> Result<(), Malformed> {
        let rest = self.left.saturating_add(self.padding);
        let skipped = io::copy(&mut (&mut self.inner).take(rest), &mut io::sink())
            .map_err(|error| malformed("", error.to_string()))?;
        if skipped < rest {
            return Err(malformed("", "is cut off: the archive ends inside a file"));
        }
        self.position += rest;
        (self.left, self.padding) = (0, 0);
        Ok(())
    }

    /// The next header block; none at the end, which is an empty block or the end of the input.
    fn block(&mut self) -> Result<Option<[u8; BLOCK]>, Malformed> {
        let mut block = [0; BLOCK];
        let mut filled = 0;
        while filled < BLOCK {
            match self.inner.read(&mut block[filled..]) {
                Ok(0) if filled == 0 => return Ok(None),
                Ok(0) => return Err(malformed("", "is cut off: the archive ends inside a header")),
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(malformed("", error.to_string())),
            }
        }
        self.position += BLOCK as u64;
        Ok(block.iter().any(|byte| *byte != 0).then_some(block))
    }

    /// The content of an extended header.
    fn small(&mut self, name: &str, size: u64) -> Result<Vec<u8>, Malformed> {
        if size > MAX_HEADER {
            return Err(malformed(name, format!("has an extended header of {size} bytes")));
        }
        self.begin_content(size);
        let mut bytes = Vec::new();
        self.read_to_end(&mut bytes).map_err(|error| malformed(name, error.to_string()))?;
        Ok(bytes)
    }
}

impl<R: Read> Read for Entries<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let count = self.inner.read(&mut buffer[..wanted])?;
        if count == 0 && wanted > 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the archive ends inside a file"));
        }
        self.left -= count as u64;
        self.position += count as u64;
        Ok(count)
    }
}

impl Extended {
    /// Reads `LENGTH KEY=VALUE\n` records.
    fn read(&mut self, name: &str, mut records: &[u8]) -> Result<(), Malformed> {
        let broken = || malformed(name, "has a pax header that cannot be read");
        while !records.is_empty() {
            let space = records.iter().position(|byte| *byte == b' ').ok_or_else(broken)?;
            let length =
                std::str::from_utf8(&records[..space]).ok().and_then(|text| text.parse::<usize>().ok());
            let length = length.filter(|length| *length <= records.len()).ok_or_else(broken)?;
            let record = records.get(space + 1..length).and_then(|record| record.strip_suffix(b"\n"));
            let record = record.ok_or_else(broken)?;
            let equals = record.iter().position(|byte| *byte == b'=').ok_or_else(broken)?;
            let (key, value) = (&record[..equals], &record[equals + 1..]);
            let number = || {
                let text = std::str::from_utf8(value).ok();
                text.and_then(|text| text.parse::<u64>().ok()).ok_or_else(broken)
            };
            match key {
                b"path" => self.path = Some(value.to_vec()),
                b"linkpath" => self.link = Some(value.to_vec()),
                b"size" => self.size = Some(number()?),
                b"uid" => self.uid = Some(number()?),
                b"gid" => self.gid = Some(number()?),
                key if key.starts_with(b"GNU.sparse") => {
                    return Err(malformed(name, "is a sparse file, which is not supported"));
                }
                _ => {}
            }
            records = &records[length..];
        }
        Ok(())
    }
}

fn found(header: &tar::Header, flag: u8, extended: Extended) -> Result<Found, Malformed> {
    let name = extended.path.unwrap_or_else(|| header.path_bytes().into_owned());
    let name = text(name)?;
    let broken = |error: io::Error| malformed(&name, error.to_string());
    let id =
        |number: u64| u32::try_from(number).map_err(|_| malformed(&name, "has an owner that is too large"));
    let link = || {
        let link = extended.link.or_else(|| header.link_name_bytes().map(std::borrow::Cow::into_owned));
        text(link.unwrap_or_default())
    };
    let path = clean(&name)?;
    let kind = match flag {
        b'0' | 0 | b'7' if name.ends_with('/') => Kind::Directory,
        b'0' | 0 | b'7' => Kind::File,
        b'1' => Kind::HardLink(clean(&link()?)?),
        b'2' => Kind::Symlink(link()?),
        b'5' => Kind::Directory,
        _ => Kind::Other,
    };
    if path.is_empty() && kind != Kind::Directory {
        return Err(malformed(&name, "has no name"));
    }
    let size = match kind {
        Kind::File | Kind::Other => extended.size.map_or_else(|| header.entry_size().map_err(broken), Ok)?,
        _ => 0,
    };
    Ok(Found {
        path,
        size,
        mode: header.mode().map_err(broken)? & 0o7777,
        uid: id(extended.uid.map_or_else(|| header.uid().map_err(broken), Ok)?)?,
        gid: id(extended.gid.map_or_else(|| header.gid().map_err(broken), Ok)?)?,
        mtime: i64::try_from(header.mtime().map_err(broken)?).unwrap_or(0),
        kind,
    })
}

fn check_sum(block: &[u8; BLOCK], header: &tar::Header, name: &str) -> Result<(), Malformed> {
    let plain = |(at, byte): (usize, &u8)| if (148..156).contains(&at) { 32 } else { u32::from(*byte) };
    let sum: u32 = block.iter().enumerate().map(plain).sum();
    match header.cksum() {
        Ok(stated) if stated == sum => Ok(()),
        _ => Err(malformed(name, "has a header with a wrong checksum")),
    }
}

fn without_nul(mut bytes: Vec<u8>) -> Vec<u8> {
    if let Some(end) = bytes.iter().position(|byte| *byte == 0) {
        bytes.truncate(end);
    }
    bytes
}

/// A name or the text of a link as text that Linux can use.
fn text(bytes: Vec<u8>) -> Result<String, Malformed> {
    let text = String::from_utf8(bytes).map_err(|error| {
        malformed(&String::from_utf8_lossy(error.as_bytes()), "has a name that is not UTF-8")
    })?;
    if text.len() > MAX_NAME || text.contains('\0') {
        return Err(malformed(&text, "has a name that is too long or holds a NUL"));
    }
    Ok(text)
}

/// The path relative to the root, without `.` and empty components.
fn clean(name: &str) -> Result<String, Malformed> {
    let parts: Vec<_> = name.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    let path = parts.join("/");
    if path.is_empty() || is_clean(&path) { Ok(path) } else { Err(malformed(name, "leaves the archive")) }
}

#[cfg(test)]
mod tests {
    use super::{Entries, Kind};
    use crate::package::tar::{Header, Kind as Written, Writer};
    use proptest::prelude::*;
    use std::io::Read as _;

    fn file(path: &str, size: u64) -> Header<'_> {
        Header { path, kind: Written::File(size), mode: 0o640, uid: 7, gid: 4_000_000, mtime: 99 }
    }

    #[test]
    fn reads_what_the_writer_writes() {
        let long = "n".repeat(300);
        let mut writer = Writer::new(Vec::new());
        let directory = Header { kind: Written::Directory, ..file("a", 0) };
        writer.entry(&directory, &mut std::io::empty()).unwrap();
        writer.entry(&file(&long, 700), &mut &[b'x'; 700][..]).unwrap();
        let link = Header { kind: Written::Symlink("../\u{e9}"), ..file("l", 0) };
        writer.entry(&link, &mut std::io::empty()).unwrap();
        let archive = writer.finish().unwrap();
        let mut entries = Entries::new(&archive[..]);
        let first = entries.next().unwrap().unwrap();
        assert_eq!((first.path.as_str(), &first.kind), ("a", &Kind::Directory));
        assert_eq!((first.mode, first.uid, first.gid, first.mtime), (0o640, 7, 4_000_000, 99));
        let second = entries.next().unwrap().unwrap();
        assert_eq!((second.path.as_str(), second.size), (long.as_str(), 700));
        let at = usize::try_from(entries.position()).unwrap();
        assert_eq!(archive[at..at + 700], [b'x'; 700]);
        let mut content = Vec::new();
        entries.read_to_end(&mut content).unwrap();
        assert_eq!(content, [b'x'; 700]);
        let third = entries.next().unwrap().unwrap();
        assert_eq!((third.path.as_str(), third.kind), ("l", Kind::Symlink("../\u{e9}".to_owned())));
        assert_eq!(entries.next().unwrap(), None);
    }

    /// An archive of one entry written by another program's rules.
    fn foreign(name: &str, change: impl FnOnce(&mut tar::Header)) -> Vec<u8> {
        let mut header = tar::Header::new_gnu();
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.set_size(0);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_entry_type(tar::EntryType::Regular);
        change(&mut header);
        header.set_cksum();
        header.as_bytes().to_vec()
    }

    fn reason(archive: &[u8]) -> String {
        let error = Entries::new(archive).next().unwrap_err();
        format!("{} {}", error.path, error.reason)
    }

    #[test]
    fn names_come_out_clean_or_not_at_all() {
        for (name, expected) in [("./a//b/", "a/b"), ("/etc/passwd", "etc/passwd"), ("a/./b", "a/b")] {
            let archive = foreign(name, |_| {});
            assert_eq!(Entries::new(&archive[..]).next().unwrap().unwrap().path, expected);
        }
        assert_eq!(reason(&foreign("../../etc/passwd", |_| {})), "../../etc/passwd leaves the archive");
        assert_eq!(reason(&foreign("a/..", |_| {})), "a/.. leaves the archive");
        assert_eq!(
            reason(&foreign("/", |header| header.set_entry_type(tar::EntryType::Symlink))),
            "/ has no name"
        );
        let link = |header: &mut tar::Header| {
            header.set_entry_type(tar::EntryType::Link);
            header.as_mut_bytes()[157..162].copy_from_slice(b"../up");
        };
        assert_eq!(reason(&foreign("a", link)), "../up leaves the archive");
    }

    #[test]
    fn hostile_headers_are_refused() {
        let pax = |header: &mut tar::Header| {
            header.set_entry_type(tar::EntryType::XHeader);
            header.set_size(1 << 40);
        };
        assert_eq!(reason(&foreign("a", pax)), "a has an extended header of 1099511627776 bytes");
        let sparse = |header: &mut tar::Header| header.set_entry_type(tar::EntryType::GNUSparse);
        assert_eq!(reason(&foreign("a", sparse)), "a is a sparse file, which is not supported");
        let mut archive = foreign("a", |_| {});
        archive[0] = b'b';
        assert_eq!(reason(&archive), "b has a header with a wrong checksum");
        assert_eq!(reason(&foreign("a", |_| {})[..511]), " is cut off: the archive ends inside a header");
        let archive = foreign("a", |header| header.set_size(u64::MAX));
        let mut entries = Entries::new(&archive[..]);
        assert_eq!(entries.next().unwrap().unwrap().size, u64::MAX);
        assert_eq!(entries.next().unwrap_err().reason, "is cut off: the archive ends inside a file");
    }

    proptest! {
        #[test]
        fn any_bytes_end_without_a_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..3000), flag in any::<u8>()) {
            // A correct checksum leads deeper into the reader.
            if bytes.len() >= 512 {
                bytes[156] = flag;
                bytes[148..156].fill(b' ');
                let sum: u32 = bytes[..512].iter().map(|byte| u32::from(*byte)).sum();
                bytes[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
            }
            let mut entries = Entries::new(&bytes[..]);
            while let Ok(Some(found)) = entries.next() {
                prop_assert!(found.path.is_empty() || crate::store::tree::is_clean(&found.path));
            }
        }

        #[test]
        fn any_pax_records_end_without_a_panic(records in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = super::Extended::default().read("a", &records);
        }
    }
}
