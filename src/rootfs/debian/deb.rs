//! Debian packages as files: `ar` around two tar archives (<https://manpages.debian.org/deb.5>).
//!
//! In: a .deb whose digest was checked. Out: its tree, control file and checksums, kept in the store under the
//! digest and [`RULES`], so that decompressing happens once. Nothing in the package is executed.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;
use lzma_rust2::XzReader;

use crate::oci::Digest;
use crate::rootfs::unpack::{Failure, Unpacked, unpack};
use crate::store::{self, Store};

/// Changes when the unpacked form changes.
const RULES: u32 = 1;
/// An xz dictionary larger than this is refused, in KiB.
const DICTIONARY: u32 = 256 << 10;
/// Control files are texts of some kilobytes.
const LARGEST_TEXT: u64 = 16 << 20;

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
    let mut unpacked = if let Some(unpacked) = Unpacked::load(store, &key)? {
        unpacked
    } else {
        let folder = store.temporary_folder()?;
        read(path, folder.path())?.keep(store, &key, folder)?
    };
    let mut text = |name: &str| unpacked.texts.remove(name).unwrap_or_default();
    let (control, md5sums) = (text("control"), text("md5sums"));
    Ok(Deb { tree: unpacked.tree, control, md5sums })
}

fn read(path: &Path, folder: &Path) -> Result<Unpacked, Failure> {
    let file = File::open(path).map_err(store::Error::io("open", path))?;
    let mut reader = BufReader::with_capacity(256 * 1024, file);
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
            body.read_to_string(&mut version)?;
            if !version.starts_with("2.") {
                return Err(Failure::Archive(format!("its format is `{}`, expected 2", version.trim())));
            }
        } else if let Some(compression) = name.strip_prefix("control.tar") {
            texts = Some(control(decompress(&mut body, compression)?)?);
        } else if let Some(compression) = name.strip_prefix("data.tar") {
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

fn decompress<'a>(body: &'a mut impl Read, suffix: &str) -> Result<Box<dyn Read + 'a>, Failure> {
    match suffix {
        "" => Ok(Box::new(body)),
        ".gz" => Ok(Box::new(MultiGzDecoder::new(body))),
        ".xz" => {
            Ok(Box::new(BufReader::with_capacity(64 * 1024, XzReader::new_mem_limit(body, true, DICTIONARY))))
        }
        other => Err(Failure::Archive(format!("its compression `{other}` is not supported"))),
    }
}

fn control(reader: impl Read) -> Result<BTreeMap<String, String>, Failure> {
    let mut texts = BTreeMap::new();
    let mut archive = tar::Archive::new(reader.take(4 * LARGEST_TEXT));
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let name = path.trim_start_matches("./");
        if matches!(name, "control" | "md5sums") {
            let mut text = String::new();
            (&mut entry).take(LARGEST_TEXT).read_to_string(&mut text)?;
            texts.insert(name.to_owned(), text);
        }
    }
    if !texts.contains_key("control") {
        return Err(Failure::Archive("it has no control file".to_owned()));
    }
    Ok(texts)
}
