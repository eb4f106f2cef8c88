//! Writes tar archives: the same entries give the same bytes.
//!
//! Format: POSIX ustar (<https://pubs.opengroup.org/onlinepubs/9699919799/utilities/pax.html>), with a pax header
//! only where ustar cannot say it: names that are too long or not ASCII, large sizes and owners. Its keys are in
//! a fixed order and never hold a time. Owner names are empty, and nothing is ever written as sparse. [`Writer`] writes
//! an archive as a stream; who makes its pieces elsewhere joins [`header`], the content, [`padding`] and [`END`].

use std::io::{self, Read, Write};

const BLOCK: usize = 512;
const MAX_SIZE: u64 = 0o77_777_777_777;
const MAX_OWNER: u32 = 0o7_777_777;

/// The metadata of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header<'a> {
    /// Relative and clean; the slash at the end of a directory is added here.
    pub path: &'a str,
    /// What it is.
    pub kind: Kind<'a>,
    /// Permission bits.
    pub mode: u32,
    /// Numeric owner.
    pub uid: u32,
    /// Numeric group.
    pub gid: u32,
    /// Seconds since 1970; what ustar cannot hold becomes the nearest it can.
    pub mtime: i64,
}

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind<'a> {
    /// A directory.
    Directory,
    /// A regular file of so many bytes.
    File(u64),
    /// A symbolic link with its text.
    Symlink(&'a str),
    /// Another name of the file at this path, which is earlier in the archive.
    Link(&'a str),
}

/// The end of an archive.
pub(crate) const END: [u8; 2 * BLOCK] = [0; 2 * BLOCK];

/// The zeros that follow content of `size` bytes.
pub(crate) fn padding(size: u64) -> &'static [u8] {
    let over = usize::try_from(size % BLOCK as u64).expect("less than a block");
    if over > 0 { &END[..BLOCK - over] } else { &[] }
}

/// Writes entries in the order they are given.
pub(crate) struct Writer<W> {
    inner: W,
    buffer: Vec<u8>,
}

/// Why an entry was not written.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Its content could not be read.
    Read(io::Error),
    /// Its content ended before the stated size.
    Short,
    /// The archive could not be written.
    Write(io::Error),
}

impl<W: Write> Writer<W> {
    pub(crate) fn new(inner: W) -> Self {
        Self { inner, buffer: vec![0; 128 * 1024] }
    }

    /// Writes an entry; `content` is read to the size that its header states, and not further.
    pub(crate) fn entry(&mut self, header: &Header<'_>, content: &mut dyn Read) -> Result<(), Failure> {
        self.inner.write_all(&self::header(header)).map_err(Failure::Write)?;
        let Kind::File(size) = header.kind else { return Ok(()) };
        let mut left = size;
        while left > 0 {
            let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(self.buffer.len());
            match content.read(&mut self.buffer[..wanted]) {
                Ok(0) => return Err(Failure::Short),
                Ok(count) => {
                    self.inner.write_all(&self.buffer[..count]).map_err(Failure::Write)?;
                    left -= count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Failure::Read(error)),
            }
        }
        self.inner.write_all(padding(size)).map_err(Failure::Write)
    }

    /// Writes the end of the archive.
    pub(crate) fn finish(mut self) -> io::Result<W> {
        self.inner.write_all(&END)?;
        Ok(self.inner)
    }
}

/// The blocks before an entry's content.
pub(crate) fn header(header: &Header<'_>) -> Vec<u8> {
    let (kind, link, size) = match header.kind {
        Kind::Directory => (b'5', "", 0),
        Kind::File(size) => (b'0', "", size),
        Kind::Symlink(target) => (b'2', target, 0),
        Kind::Link(path) => (b'1', path, 0),
    };
    let path = match header.kind {
        Kind::Directory => format!("{}/", header.path),
        _ => header.path.to_owned(),
    };
    let name = split_name(&path);
    let records = records(header, &path, name.is_none(), link, size);
    let mut blocks = Vec::with_capacity(BLOCK);
    if !records.is_empty() {
        let length = records.len() as u64;
        let mut block = Block::new(b'x', 0o644, 0);
        block.name(("", &replacement(&format!("PaxHeaders/{}", header.path))));
        block.number(124, 12, length);
        blocks.extend_from_slice(&block.finish());
        blocks.extend_from_slice(records.as_bytes());
        blocks.extend_from_slice(padding(length));
    }
    let within = |value: u64, most: u64| if value > most { 0 } else { value };
    let mut block = Block::new(kind, header.mode, header.mtime);
    block.name(name.unwrap_or(("", &replacement(&path))));
    block.number(108, 8, within(header.uid.into(), MAX_OWNER.into()));
    block.number(116, 8, within(header.gid.into(), MAX_OWNER.into()));
    block.number(124, 12, within(size, MAX_SIZE));
    block.text(157, &replacement(link));
    blocks.extend_from_slice(&block.finish());
    blocks
}

/// What ustar cannot say of an entry.
fn records(header: &Header<'_>, path: &str, is_long: bool, link: &str, size: u64) -> String {
    let mut records = String::new();
    let mut add = |key: &str, needed: bool, value: &dyn ToString| {
        if needed {
            records.push_str(&record(key, &value.to_string()));
        }
    };
    add("gid", header.gid > MAX_OWNER, &header.gid);
    add("linkpath", !link.is_ascii() || link.len() > 100, &link);
    add("path", is_long, &path);
    add("size", size > MAX_SIZE, &size);
    add("uid", header.uid > MAX_OWNER, &header.uid);
    records
}

/// `LENGTH KEY=VALUE\n`, where the length counts its own digits.
fn record(key: &str, value: &str) -> String {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while rest + length.to_string().len() != length {
        length = rest + length.to_string().len();
    }
    format!("{length} {key}={value}\n")
}

/// Prefix and name as ustar stores them, if the path fits.
fn split_name(path: &str) -> Option<(&str, &str)> {
    if !path.is_ascii() {
        return None;
    }
    if path.len() <= 100 {
        return Some(("", path));
    }
    // The rightmost slash that leaves a name and a prefix of legal length.
    let body = path.strip_suffix('/').unwrap_or(path);
    body.match_indices('/')
        .map(|(at, _)| (&path[..at], &path[at + 1..]))
        .rfind(|(prefix, name)| prefix.len() <= 155 && name.len() <= 100)
}

/// What stands in a ustar field of 100 bytes: the text, or where the pax header has that, its end in ASCII.
fn replacement(text: &str) -> String {
    let ascii: String = text.chars().map(|c| if c.is_ascii() { c } else { '_' }).collect();
    ascii[ascii.len().saturating_sub(100)..].to_owned()
}

/// One header block.
struct Block([u8; BLOCK]);

impl Block {
    fn new(kind: u8, mode: u32, mtime: i64) -> Self {
        let mut block = Self([0; BLOCK]);
        block.number(100, 8, (mode & 0o7777).into());
        block.number(108, 8, 0);
        block.number(116, 8, 0);
        block.number(124, 12, 0);
        block.number(136, 12, u64::try_from(mtime).unwrap_or(0).min(MAX_SIZE));
        block.0[156] = kind;
        block.text(257, "ustar\0");
        block.text(263, "00");
        block.number(329, 8, 0);
        block.number(337, 8, 0);
        block
    }

    fn name(&mut self, (prefix, name): (&str, &str)) {
        self.text(0, name);
        self.text(345, prefix);
    }

    fn text(&mut self, at: usize, text: &str) {
        self.0[at..at + text.len()].copy_from_slice(text.as_bytes());
    }

    /// Octal digits with leading zeros and a NUL at the end.
    fn number(&mut self, at: usize, width: usize, value: u64) {
        self.text(at, &format!("{value:0digits$o}\0", digits = width - 1));
    }

    fn finish(mut self) -> [u8; BLOCK] {
        self.0[148..156].fill(b' ');
        let sum: u64 = self.0.iter().map(|byte| u64::from(*byte)).sum();
        self.text(148, &format!("{sum:06o}\0 "));
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::{Failure, Header, Kind, Writer, record, split_name};
    use std::io::Read as _;

    fn file(path: &str, size: u64) -> Header<'_> {
        Header { path, kind: Kind::File(size), mode: 0o644, uid: 0, gid: 0, mtime: 315_532_801 }
    }

    fn write(header: &Header<'_>, content: &[u8]) -> Vec<u8> {
        let mut writer = Writer::new(Vec::new());
        writer.entry(header, &mut &content[..]).unwrap();
        writer.finish().unwrap()
    }

    /// The type flags of all header blocks of an archive whose files are at most a block long.
    fn flags(archive: &[u8]) -> String {
        archive
            .chunks(512)
            .filter(|block| &block[257..262] == b"ustar")
            .map(|block| char::from(block[156]))
            .collect()
    }

    #[test]
    fn a_short_entry_is_plain_ustar() {
        let archive = write(&file("app/server.js", 3), b"abc");
        assert_eq!(archive.len(), 4 * 512);
        assert_eq!(&archive[..14], b"app/server.js\0");
        assert_eq!(
            &archive[100..156],
            b"0000644\x000000000\x000000000\x0000000000003\x0002263523001\x00011652\0 "
        );
        assert_eq!(&archive[156..157], b"0");
        assert_eq!(&archive[257..265], b"ustar\x0000");
        assert!(archive[265..329].iter().all(|byte| *byte == 0), "owner names are empty");
        assert_eq!(&archive[512..516], b"abc\0");
        assert!(archive[1024..].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn long_and_foreign_names_come_back_whole() {
        let deep = format!("{}/{}", "d".repeat(90), "f".repeat(90));
        let long = "x".repeat(300);
        for (path, expected) in
            [("a", "0"), (deep.as_str(), "0"), (long.as_str(), "x0"), ("caf\u{e9}/men\u{fc}", "x0")]
        {
            let archive = write(&file(path, 1), b"x");
            assert_eq!(flags(&archive), expected, "{path}");
            let mut archive = tar::Archive::new(&archive[..]);
            let mut entries = archive.entries().unwrap();
            let mut entry = entries.next().unwrap().unwrap();
            assert_eq!(entry.path().unwrap().to_str(), Some(path));
            let mut content = String::new();
            entry.read_to_string(&mut content).unwrap();
            assert_eq!(content, "x");
            assert!(entries.next().is_none());
        }
    }

    #[test]
    fn links_and_large_owners_come_back_whole() {
        let target = format!("../{}", "t".repeat(150));
        let header = Header { kind: Kind::Symlink(&target), uid: 4_000_000, gid: 4_000_001, ..file("l", 0) };
        let archive = write(&header, b"");
        let records = format!("15 gid=4000001\n167 linkpath={target}\n15 uid=4000000\n");
        assert_eq!(&archive[512..512 + records.len()], records.as_bytes());
        let mut archive = tar::Archive::new(&archive[..]);
        let entry = archive.entries().unwrap().next().unwrap().unwrap();
        assert_eq!(entry.link_name().unwrap().unwrap().to_str(), Some(target.as_str()));
        assert_eq!(entry.header().uid().unwrap(), 4_000_000);
    }

    #[test]
    fn a_pax_record_counts_its_own_length() {
        assert_eq!(record("path", "a"), "9 path=a\n");
        assert_eq!(record("path", &"a".repeat(90)), format!("99 path={}\n", "a".repeat(90)));
        assert_eq!(record("path", &"a".repeat(91)), format!("101 path={}\n", "a".repeat(91)));
        for length in 0..1100 {
            let record = record("path", &"a".repeat(length));
            let (count, _) = record.split_once(' ').unwrap();
            assert_eq!(count.parse(), Ok(record.len()));
        }
    }

    #[test]
    fn names_are_split_at_a_slash() {
        assert_eq!(split_name("a/"), Some(("", "a/")));
        let directory = format!("{}/{}/", "p".repeat(100), "n".repeat(99));
        assert_eq!(
            split_name(&directory),
            Some(("p".repeat(100).as_str(), format!("{}/", "n".repeat(99)).as_str()))
        );
        assert_eq!(split_name(&"p".repeat(101)), None);
        assert_eq!(split_name(&format!("{}/n", "p".repeat(156))), None);
    }

    #[test]
    fn a_second_name_of_a_file_has_no_content() {
        let header = Header { kind: Kind::Link("app/a"), ..file("app/b", 0) };
        let archive = write(&header, b"");
        assert_eq!((archive.len(), flags(&archive).as_str()), (3 * 512, "1"));
        assert_eq!(&archive[157..163], b"app/a\0");
    }

    #[test]
    fn a_file_of_nine_gigabytes_has_its_size_in_a_record() {
        let blocks = super::header(&file("large", 9 << 30));
        assert_eq!(flags(&blocks), "x0");
        assert_eq!(&blocks[512..531], b"19 size=9663676416\n");
        let mut archive = tar::Archive::new(&blocks[..]);
        assert_eq!(archive.entries().unwrap().next().unwrap().unwrap().size(), 9 << 30);
    }

    #[test]
    fn times_outside_the_format_are_clamped() {
        for (mtime, expected) in [(-1, b"00000000000\0"), (i64::MAX, b"77777777777\0")] {
            let archive = write(&Header { mtime, ..file("a", 0) }, b"");
            assert_eq!(&archive[136..148], expected);
        }
    }

    #[test]
    fn content_that_is_too_short_is_an_error() {
        let mut writer = Writer::new(Vec::new());
        let result = writer.entry(&file("a", 4), &mut &b"abc"[..]);
        assert!(matches!(result, Err(Failure::Short)));
    }
}
