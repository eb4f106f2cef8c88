//! Taking foreign zip archives apart without trusting them: wheels, Go's modules, releases
//! (<https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT>).
//!
//! As [`unpack`](super::unpack): contents are numbered files in a folder of the store, links are only recorded, and
//! the number of entries and bytes is bounded by what is really unpacked, not by what the archive says.

use std::fs::{self, File};
use std::io::{BufReader, Read as _};
use std::path::{Path, PathBuf};

use zip::ZipArchive;

use super::unpack::{Failure, LARGEST, MOST, clean, write_file};
use crate::oci::{self, Digest};
use crate::store::{self, Content, Entry, Kind, Tree, tree::is_clean};

/// Longer texts of links are refused.
const LONGEST_LINK: u64 = 4096;

impl From<zip::result::ZipError> for Failure {
    fn from(error: zip::result::ZipError) -> Self {
        Self::Archive(error.to_string())
    }
}

/// Unpacks `file` into `folder`, placing entries as [`unpack`](super::unpack::unpack) does.
pub(super) fn unzip(
    file: &File,
    folder: &Path,
    mut place: impl FnMut(&str) -> Option<String>,
) -> Result<Tree, Failure> {
    let files = folder.join("files");
    fs::create_dir(&files).map_err(store::Error::io("create", &files))?;
    let mut archive = open(file)?;
    let mut tree = Tree::new();
    let mut left = LARGEST;
    let mut buffer = vec![0; 64 * 1024];
    for number in 0..archive.len() {
        let mut entry = archive.by_index(number)?;
        let is_folder = entry.is_dir();
        let Some(name) = clean(entry.name_raw())? else { continue };
        let Some(target) = place(&name) else { continue };
        if !is_clean(&target) {
            return Err(Failure::Archive(format!("`{name}` would be placed at `{target}`")));
        }
        // Archives made on other systems record no modes.
        let mode = entry.unix_mode().unwrap_or(if is_folder { 0o755 } else { 0o644 });
        let found = if is_folder {
            Entry::new(Kind::Directory { opaque: false }, mode & 0o777)
        } else if mode & 0o170_000 == 0o120_000 {
            let mut text = String::new();
            (&mut entry).take(LONGEST_LINK + 1).read_to_string(&mut text)?;
            if text.is_empty() || text.len() as u64 > LONGEST_LINK || text.contains('\0') {
                return Err(Failure::Archive(format!("the link `{name}` has no usable target")));
            }
            Entry::symlink(text)
        } else if matches!(mode & 0o170_000, 0 | 0o100_000) {
            let content = PathBuf::from("files").join(number.to_string());
            let mode = (mode & 0o777) | 0o400;
            let size =
                write_file(&mut (&mut entry).take(left + 1), &folder.join(&content), mode, &mut buffer)?;
            left = left.checked_sub(size).ok_or_else(too_large)?;
            Entry::new(Kind::File { size, content: Content::Path(content) }, mode)
        } else {
            return Err(Failure::Archive(format!("`{name}` is of an unexpected kind")));
        };
        tree.insert(target, found);
    }
    Ok(tree)
}

/// The digest of each file in the archive, by its name as it stands there.
pub(super) fn digests(file: &File) -> Result<Vec<(String, Digest)>, Failure> {
    let mut archive = open(file)?;
    let mut digests = Vec::with_capacity(archive.len());
    let mut left = LARGEST;
    for number in 0..archive.len() {
        let entry = archive.by_index(number)?;
        if entry.is_dir() {
            continue;
        }
        let name = std::str::from_utf8(entry.name_raw()).ok().filter(|name| !name.contains('\n'));
        let name = name.ok_or_else(|| Failure::Archive("a name in it is no text".to_owned()))?.to_owned();
        let mut hashing = oci::DigestReader::new(entry.take(left + 1));
        std::io::copy(&mut hashing, &mut std::io::sink())?;
        let (digest, size) = hashing.finish();
        left = left.checked_sub(size).ok_or_else(too_large)?;
        digests.push((name, digest));
    }
    Ok(digests)
}

fn open(file: &File) -> Result<ZipArchive<BufReader<&File>>, Failure> {
    let archive = ZipArchive::new(BufReader::with_capacity(128 * 1024, file))?;
    if archive.len() > MOST {
        return Err(Failure::Archive(format!("it has more than {MOST} entries")));
    }
    Ok(archive)
}

fn too_large() -> Failure {
    Failure::Archive(format!("it unpacks to more than {LARGEST} bytes"))
}
