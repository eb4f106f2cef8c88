//! What programs say of what was compiled into them.
//!
//! Go's linker writes the version of Go, the main module and all others into every program
//! (<https://pkg.go.dev/debug/buildinfo>); `cargo auditable` does the same for crates where it is used
//! (<https://github.com/rust-secure-code/cargo-auditable/blob/master/PARSING.md>). In: the bytes of a file, hostile. Out:
//! modules and crates; nothing for any other file, and for a program whose section table was removed.

use std::io::{self, Read as _};

use flate2::read::ZlibDecoder;
use serde::Deserialize;

use super::report::Kind;
use crate::closure::elf::{Bytes, offset_of, section};

/// The most that a program may say, in bytes; a large one says 100 kB.
const LIMIT: u64 = 4 << 20;
/// How far into its section the record of Go is looked for: other linkers may put something before it.
const SEARCHED: u64 = 64 << 10;

const MAGIC: &[u8] = b"\xff Go buildinf:";
/// Where it may stand.
const ALIGN: usize = 16;
/// Its length without the texts.
const HEADER: u64 = 32;
/// The flags in its last byte before the addresses.
const BIG_ENDIAN: u8 = 1;
const INLINE: u8 = 2;
/// Marks around the list of modules.
const FRAME: usize = 16;

/// A module or crate of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Module {
    pub(super) kind: Kind,
    pub(super) name: String,
    pub(super) version: String,
}

/// What the program `bytes` says that it is made of, in its order.
pub(super) fn modules<B: Bytes + ?Sized>(bytes: &B) -> io::Result<Vec<Module>> {
    let mut found = go(bytes)?.unwrap_or_default();
    found.extend(crates(bytes)?.unwrap_or_default());
    Ok(found)
}

fn go<B: Bytes + ?Sized>(bytes: &B) -> io::Result<Option<Vec<Module>>> {
    let Some(section) = section(bytes, ".go.buildinfo")? else { return Ok(None) };
    let Some(start) = piece(bytes, section.offset, section.size.min(SEARCHED))? else { return Ok(None) };
    let Some(at) = (0..start.len()).step_by(ALIGN).find(|at| start[*at..].starts_with(MAGIC)) else {
        return Ok(None);
    };
    let at = section.offset.saturating_add(at as u64);
    let Some(header) = piece(bytes, at, HEADER)? else { return Ok(None) };
    let texts = match header[15] {
        flags if flags & INLINE != 0 => inline(bytes, at.saturating_add(HEADER))?,
        // Before Go 1.18.
        flags if flags & BIG_ENDIAN == 0 && header[14] == 8 => {
            let (go, modules) = (text_at(bytes, &header[16..24])?, text_at(bytes, &header[24..32])?);
            go.zip(modules)
        }
        _ => None,
    };
    Ok(texts.map(|(go, modules)| listed(&go, &modules)))
}

/// Two texts, each behind its length.
fn inline<B: Bytes + ?Sized>(bytes: &B, mut at: u64) -> io::Result<Option<(Vec<u8>, Vec<u8>)>> {
    let mut texts = [Vec::new(), Vec::new()];
    for text in &mut texts {
        let mut start = [0; 10];
        let count = bytes.read_at(&mut start, at)?;
        let Some((length, used)) = number(&start[..count]) else { return Ok(None) };
        at = at.saturating_add(used);
        let Some(found) = piece(bytes, at, length)? else { return Ok(None) };
        at = at.saturating_add(length);
        *text = found;
    }
    Ok(Some(texts.into()))
}

/// A number of seven bits a byte, the lowest first, and how many bytes it takes.
fn number(bytes: &[u8]) -> Option<(u64, u64)> {
    let end = bytes.iter().position(|byte| byte & 0x80 == 0)?;
    let bits = |byte: &u8| u64::from(byte & 0x7f);
    let number =
        bytes[..=end].iter().rev().try_fold(0_u64, |sum, byte| Some(sum.checked_mul(128)? | bits(byte)));
    Some((number?, end as u64 + 1))
}

/// The text whose address and length are at the address `pointer`.
fn text_at<B: Bytes + ?Sized>(bytes: &B, pointer: &[u8]) -> io::Result<Option<Vec<u8>>> {
    let number = |bytes: &[u8]| bytes.try_into().ok().map(u64::from_le_bytes);
    let loaded = |address: Option<u64>, size: u64| match address.map(|address| offset_of(bytes, address)) {
        Some(offset) => offset?.map_or(Ok(None), |offset| piece(bytes, offset, size)),
        None => Ok(None),
    };
    let Some(place) = loaded(number(pointer), 16)? else { return Ok(None) };
    loaded(number(&place[..8]), number(&place[8..]).unwrap_or(u64::MAX))
}

/// Exactly `size` bytes.
fn piece<B: Bytes + ?Sized>(bytes: &B, offset: u64, size: u64) -> io::Result<Option<Vec<u8>>> {
    let Some(size) = usize::try_from(size).ok().filter(|size| *size as u64 <= LIMIT) else { return Ok(None) };
    let mut piece = vec![0; size];
    let count = bytes.read_at(&mut piece, offset)?;
    Ok((count == size).then_some(piece))
}

/// The version of Go as that of its library, then the lines `mod` and `dep`, each with what takes its place: `=>`.
fn listed(go: &[u8], modules: &[u8]) -> Vec<Module> {
    let (Ok(go), Ok(text)) = (std::str::from_utf8(go), std::str::from_utf8(framed(modules))) else {
        return Vec::new();
    };

    let module = |name: &str, version: &str| Module {
        kind: Kind::Go,
        name: name.to_owned(),
        version: version.to_owned(),
    };
    let mut found = vec![module("stdlib", go.strip_prefix("go").unwrap_or(go))];
    for line in text.lines() {
        let mut columns = line.split('\t');
        let (word, name, version) = (columns.next(), columns.next(), columns.next());
        let (Some(word), Some(name), Some(version)) = (word, name, version) else { continue };
        match (word, found.last_mut()) {
            ("mod" | "dep", _) => found.push(module(name, version)),
            // A folder has no name of its own.
            ("=>", Some(last)) if name.starts_with(['.', '/']) => version.clone_into(&mut last.version),
            ("=>", Some(last)) => *last = module(name, version),
            _ => {}
        }
    }
    found.retain(|module| !module.name.is_empty() && !module.version.is_empty());
    found
}

/// What is between the marks, which are no text; nothing where they are missing, as in programs without modules.
fn framed(modules: &[u8]) -> &[u8] {
    let inner = modules.len().checked_sub(FRAME).and_then(|end| modules.get(FRAME..end));
    inner.filter(|inner| inner.ends_with(b"\n")).unwrap_or_default()
}

/// What `cargo auditable` writes.
#[derive(Deserialize)]
struct Audited {
    packages: Vec<Crate>,
}

#[derive(Deserialize)]
struct Crate {
    name: String,
    version: String,
    /// Crates that only took part in building say `build`.
    #[serde(default)]
    kind: Option<String>,
}

fn crates<B: Bytes + ?Sized>(bytes: &B) -> io::Result<Option<Vec<Module>>> {
    let Some(section) = section(bytes, ".dep-v0")? else { return Ok(None) };
    let Some(packed) = piece(bytes, section.offset, section.size)? else { return Ok(None) };
    let mut text = Vec::new();
    // What is cut off is no JSON.
    let Ok(_) = ZlibDecoder::new(&packed[..]).take(LIMIT).read_to_end(&mut text) else { return Ok(None) };
    let Ok(audited) = serde_json::from_slice::<Audited>(&text) else { return Ok(None) };
    let shipped = audited.packages.into_iter().filter(|one| one.kind.as_deref() != Some("build"));
    let module = |one: Crate| Module { kind: Kind::Cargo, name: one.name, version: one.version };
    Ok(Some(shipped.map(module).collect()))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use proptest::prelude::*;

    use super::{MAGIC, listed, modules, number};
    use crate::elf_file::{Elf, build_info, framed};

    const LIST: &str = "path\texample.com/shop/cmd\n\
                        mod\texample.com/shop\tv1.4.0\th1:sum=\n\
                        dep\texample.com/plain\tv0.1.0\th1:sum=\n\
                        dep\texample.com/forked\tv1.0.0\n\
                        =>\texample.com/fork\tv1.0.1\th1:sum=\n\
                        dep\texample.com/beside\tv0.0.0\n\
                        =>\t../beside\t(devel)\t\n\
                        build\t-ldflags=\"-X main.v=1\"\n";

    fn shown(bytes: &[u8]) -> Vec<String> {
        let found = modules(bytes).unwrap();
        found.iter().map(|one| format!("{} {} {}", one.kind.name(), one.name, one.version)).collect()
    }

    const EXPECTED: [&str; 5] = [
        "go stdlib 1.26.8",
        "go example.com/shop v1.4.0",
        "go example.com/plain v0.1.0",
        "go example.com/fork v1.0.1",
        "go example.com/beside (devel)",
    ];

    #[test]
    fn modules_of_go_with_what_takes_their_place() {
        let record = build_info("go1.26.8", LIST);
        assert_eq!(shown(&Elf::new().section(".go.buildinfo", record.clone()).bytes()), EXPECTED);
        // Behind something else in its section; a program without modules.
        let later = [vec![7; 48], record].concat();
        assert_eq!(
            shown(&Elf::new().section(".data", vec![1]).section(".go.buildinfo", later).bytes()),
            EXPECTED
        );
        let bare = Elf::new().section(".go.buildinfo", build_info("devel go1.27-abc", ""));
        assert_eq!(shown(&bare.bytes()), ["go stdlib devel go1.27-abc"]);
    }

    #[test]
    fn records_of_old_versions_lead_to_their_texts() {
        // Addresses of the file as it is loaded: where the section's bytes are, and what is behind them.
        let file = |at: u64| {
            let list = framed(LIST);
            let pair = |text: &[u8], at: u64| [at.to_le_bytes(), (text.len() as u64).to_le_bytes()].concat();
            let head = [MAGIC, &[8, 0], &(at + 32).to_le_bytes(), &(at + 48).to_le_bytes()].concat();
            let pairs = [pair(b"go1.17", at + 64), pair(&list, at + 70)].concat();
            [head, pairs, b"go1.17".to_vec(), list].concat()
        };
        let elf = |record: Vec<u8>| Elf::new().section(".go.buildinfo", record).bytes();
        let bytes = elf(file(0));
        let offset = bytes.windows(MAGIC.len()).position(|window| window == MAGIC).unwrap() as u64;
        let base = 0x40_0000;
        let mut bytes = elf(file(base + offset));
        // Sections are no part of what the builder has loaded.
        let size = (bytes.len() as u64).to_le_bytes();
        bytes[64 + 32..64 + 40].copy_from_slice(&size);
        assert_eq!(shown(&bytes)[..2], ["go stdlib 1.17", EXPECTED[1]]);
        assert_eq!(shown(&bytes)[2..], EXPECTED[2..]);
    }

    #[test]
    fn crates_that_cargo_auditable_lists() {
        let text = r#"{"packages":[
            {"name":"shop","version":"0.1.0","source":"local","root":true,"dependencies":[1]},
            {"name":"cc","version":"1.2.0","source":"crates.io","kind":"build"},
            {"name":"serde","version":"1.0.2","source":"crates.io"}]}"#;
        let packed = |text: &[u8]| {
            let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
            encoder.write_all(text).unwrap();
            encoder.finish().unwrap()
        };
        let file = |bytes: Vec<u8>| Elf::new().section(".dep-v0", bytes).bytes();
        assert_eq!(shown(&file(packed(text.as_bytes()))), ["cargo shop 0.1.0", "cargo serde 1.0.2"]);
        // What unpacks to more than anybody says.
        let spaces = vec![b' '; 5 << 20];
        assert_eq!(shown(&file(packed(&[&spaces, text.as_bytes()].concat()))), [""; 0]);
        assert_eq!(shown(&file(b"no zlib".to_vec())), [""; 0]);
    }

    #[test]
    fn what_is_too_long_or_cut_off_says_nothing() {
        let record = build_info("go1.26.8", LIST);
        let said = |record: Vec<u8>| shown(&Elf::new().section(".go.buildinfo", record).bytes());
        let mut long = record.clone();
        long.splice(32..33, [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]);
        assert_eq!(said(long), [""; 0]);
        assert_eq!(said(record[..31].to_vec()), [""; 0]);
        let whole = Elf::new().section(".go.buildinfo", record).bytes();
        for end in 0..whole.len() {
            assert_eq!(shown(&whole[..end]), [""; 0], "{end}");
        }
        assert_eq!(shown(b"#!/bin/sh\n"), [""; 0]);
        assert_eq!(number(&[0xff; 10]), None);
        assert_eq!(number(&[0x80, 0x01]), Some((128, 2)));
    }

    proptest! {
        #[test]
        fn any_bytes_end_without_a_panic(at in 0_usize..1500, bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let mut file = Elf::new().section(".go.buildinfo", build_info("go1.26.8", LIST)).bytes();
            for (place, byte) in file.iter_mut().skip(at).zip(bytes) {
                *place = byte;
            }
            let _ = modules(&file[..]).unwrap();
        }

        #[test]
        fn any_list_ends_without_a_panic(go in ".*", list in "(mod|dep|=>|\\t|\\n|\\PC){0,200}") {
            let _ = listed(go.as_bytes(), &framed(&list));
        }
    }
}
