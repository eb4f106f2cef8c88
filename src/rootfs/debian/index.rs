//! Packages indexes: which packages a suite holds
//! (<https://wiki.debian.org/DebianRepository/Format#A.22Packages.22_Indices>).
//!
//! In: the verified text of a Packages file, 57 MB for Debian's main archive. Out: an [`Index`] that finds
//! packages by name. [`compact`] keeps just the fields that are used; that form is what the store caches, and it
//! is the same format, so that there is one parser. Records are ranges into the text: nothing is copied.

use std::io::{self, BufRead, Write};
use std::ops::Range;

/// The fields that are kept, in the order of [`Field`].
const FIELDS: [&str; 11] = [
    "Package",
    "Version",
    "Architecture",
    "Depends",
    "Pre-Depends",
    "Provides",
    "Conflicts",
    "Priority",
    "Filename",
    "Size",
    "SHA256",
];

#[derive(Clone, Copy)]
enum Field {
    Package,
    Version,
    Architecture,
    Depends,
    PreDepends,
    Provides,
    Conflicts,
    Priority,
    Filename,
    Size,
    Sha256,
}

/// Copies the used fields of each stanza from `input` to `output`, with continuation lines joined.
///
/// # Errors
/// When reading or writing fails, or a line is longer than 16 MiB.
pub(in crate::rootfs) fn compact(mut input: impl BufRead, mut output: impl Write) -> io::Result<()> {
    let mut line = Vec::new();
    let mut kept = false;
    loop {
        line.clear();
        let read = (&mut input as &mut dyn BufRead).take_line(&mut line)?;
        if read == 0 {
            break;
        }
        while line.last().is_some_and(|b| matches!(b, b'\n' | b'\r')) {
            line.pop();
        }
        if line.first().is_some_and(|b| matches!(b, b' ' | b'\t')) {
            if kept {
                output.write_all(b" ")?;
                output.write_all(line.trim_ascii())?;
            }
            continue;
        }
        if kept {
            output.write_all(b"\n")?;
        }
        kept = false;
        if line.is_empty() {
            output.write_all(b"\n")?;
        } else if let Some(colon) = line.iter().position(|b| *b == b':')
            && FIELDS.iter().any(|field| field.as_bytes().eq_ignore_ascii_case(&line[..colon]))
        {
            output.write_all(&line)?;
            kept = true;
        }
    }
    output.write_all(b"\n\n")
}

/// Reading lines with a bound on their length.
trait TakeLine {
    fn take_line(&mut self, line: &mut Vec<u8>) -> io::Result<usize>;
}

impl TakeLine for &mut dyn BufRead {
    fn take_line(&mut self, line: &mut Vec<u8>) -> io::Result<usize> {
        const LONGEST: u64 = 16 << 20;
        let read = io::Read::take(&mut **self, LONGEST).read_until(b'\n', line)?;
        if read as u64 == LONGEST {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a line is longer than 16 MiB"));
        }
        Ok(read)
    }
}

/// The packages of one suite, sorted by name.
#[derive(Debug)]
pub(in crate::rootfs) struct Index {
    text: String,
    records: Vec<[Range<u32>; FIELDS.len()]>,
    /// Names that records provide, sorted, with the record's number.
    provided: Vec<(Range<u32>, u32)>,
}

/// One package of an index.
#[derive(Clone, Copy, Debug)]
pub(in crate::rootfs) struct Record<'a> {
    index: &'a Index,
    number: usize,
}

impl Index {
    /// Reads the compact form.
    ///
    /// # Errors
    /// A sentence about the first stanza that lacks a field, or when the text is longer than 2 GiB.
    pub(in crate::rootfs) fn parse(text: String) -> Result<Self, String> {
        if i32::try_from(text.len()).is_err() {
            return Err("it is longer than 2 GiB".to_owned());
        }
        let mut records = Vec::with_capacity(text.len() / 400);
        let mut record: [Range<u32>; FIELDS.len()] = Default::default();
        let mut start = 0;
        while start < text.len() {
            let end =
                text.as_bytes()[start..].iter().position(|b| *b == b'\n').map_or(text.len(), |n| start + n);
            let line = &text[start..end];
            if line.is_empty() {
                if record.iter().any(|range| !range.is_empty()) {
                    records.push(std::mem::take(&mut record));
                }
            } else if let Some((name, value)) = line.split_once(':')
                && let Some(field) = FIELDS.iter().position(|field| field.eq_ignore_ascii_case(name))
            {
                let value = value.trim();
                let offset = value.as_ptr() as usize - text.as_ptr() as usize;
                record[field] = range(offset, value.len());
            }
            start = end + 1;
        }
        if record.iter().any(|range| !range.is_empty()) {
            records.push(record);
        }
        Self::assemble(text, records)
    }

    fn assemble(text: String, mut records: Vec<[Range<u32>; FIELDS.len()]>) -> Result<Self, String> {
        let get = |range: &Range<u32>| &text[range.start as usize..range.end as usize];
        for record in &records {
            for field in [
                Field::Package,
                Field::Version,
                Field::Architecture,
                Field::Filename,
                Field::Size,
                Field::Sha256,
            ] {
                if record[field as usize].is_empty() {
                    let package = get(&record[Field::Package as usize]);
                    return Err(format!("the entry of `{package}` has no {}", FIELDS[field as usize]));
                }
            }
        }
        records.sort_by(|a, b| get(&a[0]).cmp(get(&b[0])));
        let mut provided = Vec::new();
        for (number, record) in records.iter().enumerate() {
            let number = u32::try_from(number).map_err(|_| "it has too many entries".to_owned())?;
            for part in get(&record[Field::Provides as usize]).split(',') {
                let name = part.split(['(', ':']).next().unwrap_or_default().trim();
                if !name.is_empty() {
                    provided
                        .push((range(name.as_ptr() as usize - text.as_ptr() as usize, name.len()), number));
                }
            }
        }
        provided.sort_by(|a, b| get(&a.0).cmp(get(&b.0)).then(a.1.cmp(&b.1)));
        Ok(Self { text, records, provided })
    }

    /// All records of the package `name`; an index may hold several versions.
    pub(in crate::rootfs) fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = Record<'a>> {
        let first = self.records.partition_point(|record| self.get(&record[0]) < name);
        (first..self.records.len())
            .map(|number| Record { index: self, number })
            .take_while(move |record| record.name() == name)
    }

    /// The records that provide the virtual package `name`, by name.
    pub(in crate::rootfs) fn providers<'a>(&'a self, name: &'a str) -> impl Iterator<Item = Record<'a>> {
        let first = self.provided.partition_point(|(range, _)| self.get(range) < name);
        self.provided[first..]
            .iter()
            .take_while(move |(range, _)| self.get(range) == name)
            .map(|(_, number)| Record { index: self, number: *number as usize })
    }

    /// All records, by name.
    pub(in crate::rootfs) fn records(&self) -> impl Iterator<Item = Record<'_>> {
        (0..self.records.len()).map(|number| Record { index: self, number })
    }

    fn get(&self, range: &Range<u32>) -> &str {
        &self.text[range.start as usize..range.end as usize]
    }
}

fn range(offset: usize, length: usize) -> Range<u32> {
    let bound = |value: usize| u32::try_from(value).expect("the text is at most 2 GiB long");
    bound(offset)..bound(offset + length)
}

impl<'a> Record<'a> {
    fn field(&self, field: Field) -> &'a str {
        self.index.get(&self.index.records[self.number][field as usize])
    }

    /// The package's name.
    pub(in crate::rootfs) fn name(&self) -> &'a str {
        self.field(Field::Package)
    }

    /// Its version.
    pub(in crate::rootfs) fn version(&self) -> &'a str {
        self.field(Field::Version)
    }

    /// `amd64` or `all`.
    pub(in crate::rootfs) fn architecture(&self) -> &'a str {
        self.field(Field::Architecture)
    }

    /// The fields Pre-Depends and Depends.
    pub(in crate::rootfs) fn depends(&self) -> [&'a str; 2] {
        [self.field(Field::PreDepends), self.field(Field::Depends)]
    }

    /// The field Provides.
    pub(in crate::rootfs) fn provides(&self) -> &'a str {
        self.field(Field::Provides)
    }

    /// The field Conflicts.
    pub(in crate::rootfs) fn conflicts(&self) -> &'a str {
        self.field(Field::Conflicts)
    }

    /// Whether Debian regards the package as part of every system, from 0 (required) to 4.
    pub(in crate::rootfs) fn priority(&self) -> u8 {
        match self.field(Field::Priority) {
            "required" => 0,
            "important" => 1,
            "standard" => 2,
            "optional" => 3,
            _ => 4,
        }
    }

    /// Path below the archive's root.
    pub(in crate::rootfs) fn path(&self) -> &'a str {
        self.field(Field::Filename)
    }

    /// Size of the .deb in bytes, if it is a number.
    pub(in crate::rootfs) fn size(&self) -> Option<u64> {
        self.field(Field::Size).parse().ok()
    }

    /// SHA-256 of the .deb in hexadecimal digits.
    pub(in crate::rootfs) fn sha256(&self) -> &'a str {
        self.field(Field::Sha256)
    }
}

#[cfg(test)]
mod tests {
    use super::{Index, compact};
    use proptest::prelude::*;

    const PACKAGES: &str = "\
Package: zlib1g
Version: 1:1.3
Architecture: amd64
Description: compression library
 that nobody needs here
Filename: pool/z.deb
Size: 12
SHA256: aa

Package: mawk
Version: 1.3.4
Architecture: amd64
Tag: a,
 b
Depends: libc6 (>= 2.4),
 libm
Provides: awk (= 2), nawk
Priority: required
Filename: pool/m.deb
Size: x
SHA256: bb
";

    fn index(text: &str) -> Result<Index, String> {
        let mut kept = Vec::new();
        compact(text.as_bytes(), &mut kept).unwrap();
        Index::parse(String::from_utf8(kept).unwrap())
    }

    #[test]
    fn finds_packages_by_their_own_and_by_provided_names() {
        let index = index(PACKAGES).unwrap();
        let zlib: Vec<_> =
            index.named("zlib1g").map(|r| (r.version(), r.path(), r.size(), r.sha256())).collect();
        assert_eq!(zlib, [("1:1.3", "pool/z.deb", Some(12), "aa")]);
        let awk: Vec<_> =
            index.providers("awk").map(|r| (r.name(), r.depends(), r.priority(), r.size())).collect();
        assert_eq!(awk, [("mawk", ["", "libc6 (>= 2.4), libm"], 0, None)]);
        assert_eq!(index.providers("nawk").count(), 1);
        assert_eq!(index.named("awk").count(), 0);
        assert_eq!(index.named("zzz").count(), 0);
    }

    #[test]
    fn the_compact_form_holds_only_what_is_used() {
        let mut kept = Vec::new();
        compact(PACKAGES.as_bytes(), &mut kept).unwrap();
        let kept = String::from_utf8(kept).unwrap();
        assert!(kept.contains("Depends: libc6 (>= 2.4), libm\n") && !kept.contains("Tag"), "{kept}");
    }

    #[test]
    fn an_entry_without_a_digest_is_refused() {
        let found = index(&PACKAGES.replace("SHA256: bb\n", "")).unwrap_err();
        assert_eq!(found, "the entry of `mawk` has no SHA256");
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "(Package|Version|Provides|: |\n| |é|x){0,80}") {
            let _ = index(&text);
        }
    }
}
