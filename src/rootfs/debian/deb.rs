//! Debian packages as files: `ar` around two tar archives (<https://manpages.debian.org/deb.5>).
//!
//! In: a .deb whose digest was checked. Out: its tree, control file and checksums, kept in the store under the
//! digest and [`RULES`], so that decompressing happens once. Nothing in the package is executed.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use bzip2::read::MultiBzDecoder;
use flate2::read::MultiGzDecoder;

use crate::oci::Digest;
use crate::rootfs::unpack::{Failure, Unpacked, unpack};
use crate::rootfs::xz::{lzma, xz};
use crate::store::{self, Store};

/// Changes when the unpacked form changes.
const RULES: u32 = 1;
/// A zstd window larger than two to the power of this is refused: 128 MiB, what the highest level uses.
const WINDOW: u32 = 27;
/// Control files are texts of some kilobytes.
const LARGEST_TEXT: u64 = 16 << 20;
/// The format is stated as `2.0`.
const LONGEST_VERSION: u64 = 16;

/// An unpacked package.
#[derive(Debug)]
pub(in crate::rootfs) struct Deb {
    /// Its files.
    pub(in crate::rootfs) tree: store::Tree,
    /// The control file, verbatim.
    pub(in crate::rootfs) control: String,
    /// The list of checksums, verbatim; empty when there is none.
    pub(in crate::rootfs) md5sums: String,
}

/// Unpacks the package at `path`, whose bytes have `digest`, unless the store has it unpacked.
pub(in crate::rootfs) fn open(path: &Path, digest: &Digest, store: &Store) -> Result<Deb, Failure> {
    let key = format!("deb-{}-{RULES}", digest.hex());
    let mut unpacked = match Unpacked::load(store, &key)? {
        Some(unpacked) => unpacked,
        None => open_once(path, &key, store)?,
    };
    let mut text = |name: &str| unpacked.texts.remove(name).unwrap_or_default();
    let (control, md5sums) = (text("control"), text("md5sums"));
    Ok(Deb { tree: unpacked.tree, control, md5sums })
}

/// Unpacks it for the store. Both roots of an app want the same packages at the same time.
fn open_once(path: &Path, key: &str, store: &Store) -> Result<Unpacked, Failure> {
    let _lock = store.lock(key)?;
    if let Some(unpacked) = Unpacked::load(store, key)? {
        return Ok(unpacked);
    }
    let folder = store.temporary_folder()?;
    let unpacked = read(path, folder.path())?.keep(store, key, folder)?;
    store.describe("trees", key, || {
        let control = unpacked.texts.get("control").map(String::as_str).unwrap_or_default();
        let field = |name| control.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        format!("package{}{}", field("Package:"), field("Version:"))
    });
    Ok(unpacked)
}

/// Takes the package at `path` apart; contents go to `folder`.
fn read(path: &Path, folder: &Path) -> Result<Unpacked, Failure> {
    let file = File::open(path).map_err(store::Error::io("open", path))?;
    parse(BufReader::with_capacity(256 * 1024, file), folder)
}

/// Takes the package that `reader` gives apart; contents go to `folder`.
pub(in crate::rootfs) fn parse(mut reader: impl BufRead, folder: &Path) -> Result<Unpacked, Failure> {
    let mut magic = [0; 8];
    reader.read_exact(&mut magic)?;
    if &magic != b"!<arch>\n" {
        return Err(Failure::Archive("it is not an ar archive".to_owned()));
    }
    let mut texts = None;
    let mut tree = None;
    while let Some((name, size)) = member(&mut reader)? {
        let mut body = (&mut reader).take(size);
        if name == "debian-binary" {
            let mut version = String::new();
            (&mut body).take(LONGEST_VERSION).read_to_string(&mut version)?;
            if !version.starts_with("2.") {
                return Err(Failure::Archive(format!("its format is `{}`, expected 2", version.trim())));
            }
        } else if let Some(compression) = name.strip_prefix("control.tar").filter(|_| texts.is_none()) {
            texts = Some(control(decompress(&mut body, compression)?)?);
        } else if let Some(compression) = name.strip_prefix("data.tar").filter(|_| tree.is_none()) {
            let data = decompress(&mut body, compression)?;
            tree = Some(unpack(data, folder, |name| Some(name.to_owned()))?);
        } else if !name.starts_with('_') {
            return Err(Failure::Archive(format!("it has the unexpected part `{name}`")));
        }
        // Padding, and what a decompressor left.
        io::copy(&mut body, &mut io::sink())?;
        io::copy(&mut (&mut reader).take(size % 2), &mut io::sink())?;
    }
    match (tree, texts) {
        (Some(tree), Some(texts)) => Ok(Unpacked { tree, texts }),
        (None, _) => Err(Failure::Archive("it has no `data.tar`".to_owned())),
        (_, None) => Err(Failure::Archive("it has no `control.tar`".to_owned())),
    }
}

/// The name and size of the next member, or nothing at the end.
fn member(reader: &mut impl Read) -> Result<Option<(String, u64)>, Failure> {
    let mut header = Vec::with_capacity(60);
    reader.take(60).read_to_end(&mut header)?;
    if header.is_empty() {
        return Ok(None);
    }
    if header.len() < 60 || !header.ends_with(b"`\n") {
        return Err(Failure::Archive("it ends in the middle of a header".to_owned()));
    }
    let text = |range: std::ops::Range<usize>| std::str::from_utf8(&header[range]).unwrap_or_default().trim();
    let name = text(0..16).trim_end_matches('/').to_owned();
    let size = text(48..58)
        .parse()
        .map_err(|_| Failure::Archive(format!("the size of `{name}` is not a number")))?;
    Ok(Some((name, size)))
}

/// The content of a member whose name ends with `suffix`: those that dpkg has ever written.
fn decompress<'a>(body: &'a mut impl BufRead, suffix: &str) -> Result<Box<dyn Read + 'a>, Failure> {
    Ok(match suffix {
        "" => Box::new(body),
        ".gz" => Box::new(MultiGzDecoder::new(body)),
        ".xz" => Box::new(xz(body)?),
        ".zst" => {
            let mut decoder = zstd::Decoder::with_buffer(body)?;
            decoder.window_log_max(WINDOW)?;
            Box::new(decoder)
        }
        ".bz2" => Box::new(MultiBzDecoder::new(body)),
        ".lzma" => Box::new(lzma(body)?),
        other => return Err(Failure::Archive(format!("its compression `{other}` is not supported"))),
    })
}

/// The texts of the control archive that are kept.
fn control(reader: impl Read) -> Result<BTreeMap<String, String>, Failure> {
    let mut texts = BTreeMap::new();
    let mut archive = tar::Archive::new(reader.take(4 * LARGEST_TEXT));
    // Raw: these names are short, and the crate takes extended headers into memory whatever their size.
    for entry in archive.entries()?.raw(true) {
        let entry = entry?;
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let name = path.trim_start_matches("./");
        if matches!(name, "control" | "md5sums") && entry.header().entry_type().is_file() {
            let mut text = String::new();
            entry.take(LARGEST_TEXT).read_to_string(&mut text)?;
            texts.insert(name.to_owned(), text);
        }
    }
    if !texts.contains_key("control") {
        return Err(Failure::Archive("it has no control file".to_owned()));
    }
    Ok(texts)
}
