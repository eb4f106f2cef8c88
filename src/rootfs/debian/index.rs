//! Packages indexes: which packages a suite holds
//! (<https://wiki.debian.org/DebianRepository/Format#A.22Packages.22_Indices>).
//!
//! In: the verified text of a Packages file, 57 MB for Debian's main archive. Out: an [`Index`] that finds
//! packages by name. [`compact`] reduces the file once to a table with the fields that are used, a line per
//! package, sorted by name, fields between tabs; the store keeps that. Opening the table only finds its lines:
//! fields are cut out when they are asked for.

use std::io::{self, BufRead, Read, Write};
use std::sync::OnceLock;

/// The fields that are kept, in the order of [`Field`]; those that are looked through come first.
const FIELDS: [&str; 14] = [
    "Package",
    "Provides",
    "Version",
    "Architecture",
    "Depends",
    "Pre-Depends",
    "Conflicts",
    "Breaks",
    "Multi-Arch",
    "Essential",
    "Priority",
    "Filename",
    "Size",
    "SHA256",
];
/// Without these a package cannot be chosen or fetched.
const NEEDED: [Field; 6] =
    [Field::Package, Field::Version, Field::Architecture, Field::Filename, Field::Size, Field::Sha256];
/// No line of an index is longer.
const LONGEST_LINE: u64 = 16 << 20;

#[derive(Clone, Copy)]
enum Field {
    Package,
    Provides,
    Version,
    Architecture,
    Depends,
    PreDepends,
    Conflicts,
    Breaks,
    MultiArch,
    Essential,
    Priority,
    Filename,
    Size,
    Sha256,
}

type Row = [Vec<u8>; FIELDS.len()];

/// Reduces the Packages file `input` to the table that [`Index::open`] reads.
///
/// # Errors
/// When reading or writing fails, or an entry lacks a field.
pub(in crate::rootfs) fn compact(mut input: impl BufRead, mut output: impl Write) -> io::Result<()> {
    let mut rows: Vec<Vec<u8>> = Vec::new();
    let mut row = Row::default();
    let mut current = None;
    let mut line = Vec::new();
    loop {
        line.clear();
        let length = (&mut input).take(LONGEST_LINE).read_until(b'\n', &mut line)? as u64;
        if length == LONGEST_LINE {
            return Err(invalid("a line is longer than 16 MiB"));
        }
        let text = line.trim_ascii_end();
        if text.is_empty() {
            if row.iter().any(|value| !value.is_empty()) {
                rows.push(finish(&row)?);
                row.iter_mut().for_each(Vec::clear);
            }
            current = None;
            if length == 0 {
                break;
            }
        } else if matches!(text[0], b' ' | b'\t') {
            if let Some(field) = current {
                append(&mut row, field, text);
            }
        } else if let Some(colon) = text.iter().position(|byte| *byte == b':') {
            current = FIELDS.iter().position(|field| field.as_bytes().eq_ignore_ascii_case(&text[..colon]));
            if let Some(field) = current {
                row[field].clear();
                append(&mut row, field, &text[colon + 1..]);
            }
        }
    }
    rows.sort();
    rows.iter().try_for_each(|row| output.write_all(row))
}

/// Adds a part of a field; tabs are what separates fields in the table.
fn append(row: &mut Row, field: usize, part: &[u8]) {
    let value = &mut row[field];
    if !value.is_empty() {
        value.push(b' ');
    }
    value.extend(part.trim_ascii().iter().map(|byte| if *byte == b'\t' { b' ' } else { *byte }));
}

fn finish(row: &Row) -> io::Result<Vec<u8>> {
    if let Some(missing) = NEEDED.into_iter().find(|field| row[*field as usize].is_empty()) {
        let package = String::from_utf8_lossy(&row[0]);
        return Err(invalid(&format!("the entry of `{package}` has no {}", FIELDS[missing as usize])));
    }
    let mut line = row.join(&b'\t');
    // The order of lines is that of names only while nothing in a name sorts before the tab.
    if row[Field::Package as usize].iter().any(u8::is_ascii_control) || std::str::from_utf8(&line).is_err() {
        let package = String::from_utf8_lossy(&row[0]);
        return Err(invalid(&format!("the entry of `{}` is not text", package.escape_debug())));
    }
    line.push(b'\n');
    Ok(line)
}

fn invalid(reason: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason.to_owned())
}

/// The packages of one suite, sorted by name.
#[derive(Debug)]
pub(in crate::rootfs) struct Index {
    text: String,
    /// Where each line begins and ends.
    lines: Vec<(usize, usize)>,
    /// Names that packages provide, sorted, with the number of the line; made when first needed.
    provided: OnceLock<Vec<(String, usize)>>,
}

/// One package of an index.
#[derive(Clone, Copy, Debug)]
pub(in crate::rootfs) struct Record<'a> {
    line: &'a str,
}

impl Index {
    /// Opens a table.
    pub(in crate::rootfs) fn open(text: String) -> Self {
        let mut lines = Vec::with_capacity(text.len() / 400);
        let mut start = 0;
        for line in text.lines() {
            lines.push((start, start + line.len()));
            start += line.len() + 1;
        }
        Self { text, lines, provided: OnceLock::new() }
    }

    fn record(&self, number: usize) -> Record<'_> {
        let (start, end) = self.lines[number];
        Record { line: &self.text[start..end] }
    }

    /// All records of the package `name`; an index may hold several versions.
    pub(in crate::rootfs) fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = Record<'a>> {
        // Lines are sorted as bytes, and the tab after a name sorts before all that a name may hold, so names
        // are sorted as well.
        let first = self
            .lines
            .partition_point(|(start, end)| Record { line: &self.text[*start..*end] }.name() < name);
        (first..self.lines.len())
            .map(|number| self.record(number))
            .take_while(move |record| record.name() == name)
    }

    /// The records that provide the virtual package `name`, by name.
    pub(in crate::rootfs) fn providers<'a>(&'a self, name: &'a str) -> impl Iterator<Item = Record<'a>> {
        let provided = self.provided.get_or_init(|| self.list_provided());
        let first = provided.partition_point(|(provided, _)| provided.as_str() < name);
        provided[first..]
            .iter()
            .take_while(move |(provided, _)| provided == name)
            .map(|(_, number)| self.record(*number))
    }

    fn list_provided(&self) -> Vec<(String, usize)> {
        let mut provided = Vec::new();
        for (number, record) in self.records().enumerate() {
            for part in record.provides().split(',') {
                let name = part.split(['(', ':']).next().unwrap_or_default().trim();
                if !name.is_empty() {
                    provided.push((name.to_owned(), number));
                }
            }
        }
        provided.sort();
        provided
    }

    /// All records, by name.
    pub(in crate::rootfs) fn records(&self) -> impl Iterator<Item = Record<'_>> {
        (0..self.lines.len()).map(|number| self.record(number))
    }
}

impl<'a> Record<'a> {
    fn field(&self, field: Field) -> &'a str {
        self.line.split('\t').nth(field as usize).unwrap_or_default()
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

    /// The field Breaks.
    pub(in crate::rootfs) fn breaks(&self) -> &'a str {
        self.field(Field::Breaks)
    }

    /// Whether packages of any architecture may depend on it as `NAME:any`.
    pub(in crate::rootfs) fn is_multi_arch_allowed(&self) -> bool {
        self.field(Field::MultiArch) == "allowed"
    }

    /// Whether dpkg refuses to remove it.
    pub(in crate::rootfs) fn is_essential(&self) -> bool {
        self.field(Field::Essential) == "yes"
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
        compact(text.as_bytes(), &mut kept).map_err(|error| error.to_string())?;
        Ok(Index::open(String::from_utf8(kept).unwrap()))
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
    fn the_table_holds_only_what_is_used() {
        let mut kept = Vec::new();
        compact(PACKAGES.as_bytes(), &mut kept).unwrap();
        assert_eq!(
            String::from_utf8(kept).unwrap(),
            "mawk\tawk (= 2), nawk\t1.3.4\tamd64\tlibc6 (>= 2.4), libm\t\t\t\t\t\trequired\tpool/m.deb\tx\tbb\n\
             zlib1g\t\t1:1.3\tamd64\t\t\t\t\t\t\t\tpool/z.deb\t12\taa\n"
        );
    }

    #[test]
    fn an_entry_without_a_digest_is_refused() {
        let found = index(&PACKAGES.replace("SHA256: bb\n", "")).unwrap_err();
        assert_eq!(found, "the entry of `mawk` has no SHA256");
    }

    #[test]
    fn an_entry_that_is_not_text_is_refused() {
        let refused = |bytes: &[u8]| compact(bytes, Vec::new()).unwrap_err().to_string();
        let control = PACKAGES.replace("Package: mawk", "Package: ma\u{1}wk");
        assert_eq!(refused(control.as_bytes()), "the entry of `ma\\u{1}wk` is not text");
        let bytes = PACKAGES.replace("(= 2)", "?").into_bytes();
        let latin: Vec<u8> = bytes.into_iter().map(|byte| if byte == b'?' { 0xe9 } else { byte }).collect();
        assert_eq!(refused(&latin), "the entry of `mawk` is not text");
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "(Package|Version|Provides|: |\n| |é|x){0,80}") {
            if let Ok(index) = index(&text) {
                let _ = index.providers("x").chain(index.named("x")).count();
            }
        }
    }
}
