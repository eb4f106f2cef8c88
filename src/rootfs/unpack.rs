//! Taking foreign tar archives apart without trusting them.
//!
//! In: a tar stream, a folder of the store, a rule that renames or drops paths. Out: a [`Tree`] whose contents are
//! `files/0`, `files/1` … in that folder. Because contents are numbered and links are only recorded, no name or
//! link in an archive can make anything be written elsewhere. Owners are recorded, not restored. Extended headers
//! are read here rather than by the `tar` crate, which would take them into memory whatever their size; sparse
//! files, whose few bytes may stand for terabytes, are refused: neither dpkg nor npm writes them.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tar::EntryType;

use crate::store::{self, Content, Entry, Kind, Store, Tree, tree::is_clean};

/// More unpacked bytes than this are refused.
pub(super) const LARGEST: u64 = 8 << 30;
/// More entries than this are refused.
pub(super) const MOST: usize = 500_000;
/// Extended headers larger than this are refused.
const LARGEST_HEADER: u64 = 1 << 20;
/// The longest name that a Linux system can use.
const LONGEST_NAME: usize = 4096;

/// Why an archive cannot be unpacked.
#[derive(Debug)]
pub(super) enum Failure {
    /// What is wrong with it.
    Archive(String),
    /// The store refused.
    Store(store::Error),
}

impl From<store::Error> for Failure {
    fn from(error: store::Error) -> Self {
        Self::Store(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Archive(error.to_string())
    }
}

/// An unpacked archive as the store keeps it: the tree and small texts beside it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Unpacked {
    /// The entries; contents lie in the folder that this was read from.
    pub(super) tree: Tree,
    /// Further texts by name (`control`).
    pub(super) texts: BTreeMap<String, String>,
}

const ENTRIES: &str = "entries.json";

impl Unpacked {
    /// Reads the entry `trees/KEY`, if the store has it.
    pub(super) fn load(store: &Store, key: &str) -> Result<Option<Self>, store::Error> {
        let Some(folder) = store.entry("trees", key) else { return Ok(None) };
        let path = folder.join(ENTRIES);
        let bytes = fs::read(&path).map_err(store::Error::io("read", &path))?;
        let mut unpacked: Self = serde_json::from_slice(&bytes)
            .map_err(|error| store::Error::Damaged { path: folder.clone(), reason: error.to_string() })?;
        unpacked.settle(&folder);
        Ok(Some(unpacked))
    }

    /// Keeps a finished folder as `trees/KEY`.
    pub(super) fn keep(
        mut self,
        store: &Store,
        key: &str,
        folder: tempfile::TempDir,
    ) -> Result<Self, store::Error> {
        let path = folder.path().join(ENTRIES);
        let bytes = serde_json::to_vec(&self)
            .map_err(|error| store::Error::Damaged { path: path.clone(), reason: error.to_string() })?;
        fs::write(&path, bytes).map_err(store::Error::io("write", &path))?;
        // Another process that was first has unpacked the same bytes to the same names.
        self.settle(&store.keep_entry("trees", key, folder)?);
        Ok(self)
    }

    /// Says that the contents lie in `folder`.
    fn settle(&mut self, folder: &Path) {
        for (_, entry) in self.tree.iter_mut() {
            if let Kind::File { content: Content::Path(path), .. } = &mut entry.kind {
                *path = folder.join(&*path);
            }
        }
    }
}

/// Unpacks the tar stream `reader` into `folder`. `place` gets each clean path and gives the path in the tree, or
/// nothing to leave the entry out. Contents of the tree are relative to `folder`.
pub(super) fn unpack(
    reader: impl Read,
    folder: &Path,
    mut place: impl FnMut(&str) -> Option<String>,
) -> Result<Tree, Failure> {
    let files = folder.join("files");
    fs::create_dir(&files).map_err(store::Error::io("create", &files))?;
    let mut archive = tar::Archive::new(reader.take(LARGEST));
    let mut tree = Tree::new();
    let mut by_name: BTreeMap<String, Entry> = BTreeMap::new();
    let mut extended = Extended::default();
    let mut buffer = vec![0; 64 * 1024];
    for (number, entry) in archive.entries()?.raw(true).enumerate() {
        let mut entry = entry?;
        if number >= MOST {
            return Err(Failure::Archive(format!("it has more than {MOST} entries")));
        }
        let kind = entry.header().entry_type();
        if extended.take(&mut entry)? {
            continue;
        }
        let Extended { path, link } = std::mem::take(&mut extended);
        let Some(name) = clean(path.as_deref().unwrap_or(&entry.path_bytes()))? else { continue };
        let Some(target) = place(&name) else { continue };
        if !is_clean(&target) {
            return Err(Failure::Archive(format!("`{name}` would be placed at `{target}`")));
        }
        let found = match kind {
            EntryType::Directory => entry_of(&entry, Kind::Directory { opaque: false })?,
            EntryType::Symlink => {
                entry_of(&entry, Kind::Symlink { target: link_text(&entry, link, &name)? })?
            }
            EntryType::Link => {
                let source = link_text(&entry, link, &name)?;
                let source = clean(source.as_bytes())?.unwrap_or_default();
                by_name.get(&source).cloned().ok_or_else(|| {
                    Failure::Archive(format!(
                        "`{name}` is a hard link to `{source}`, which is not a file before it"
                    ))
                })?
            }
            EntryType::Regular | EntryType::Continuous => {
                let content = PathBuf::from("files").join(number.to_string());
                let mode = (entry.header().mode()? & 0o777) | 0o400;
                let size = write_file(&mut entry, &folder.join(&content), mode, &mut buffer)?;
                let file = entry_of(&entry, Kind::File { size, content: Content::Path(content) })?;
                by_name.insert(name, file.clone());
                file
            }
            other => return Err(Failure::Archive(format!("`{name}` is of the unexpected kind {other:?}"))),
        };
        tree.insert(target, found);
    }
    Ok(tree)
}

/// What extended headers say about the entry after them.
#[derive(Default)]
struct Extended {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
}

impl Extended {
    /// Reads `entry` if it is an extended header.
    fn take(&mut self, entry: &mut tar::Entry<'_, impl Read>) -> Result<bool, Failure> {
        let kind = entry.header().entry_type();
        if kind.is_pax_global_extensions() {
            return Ok(true);
        }
        let (is_path, is_link) = (kind.is_gnu_longname(), kind.is_gnu_longlink());
        if !(is_path || is_link || kind.is_pax_local_extensions()) {
            return Ok(false);
        }
        let size = entry.size();
        if size > LARGEST_HEADER {
            return Err(Failure::Archive(format!("it has an extended header of {size} bytes")));
        }
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes)?;
        if is_path || is_link {
            let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
            bytes.truncate(end);
            *(if is_path { &mut self.path } else { &mut self.link }) = Some(bytes);
        } else {
            self.read_pax(&bytes)?;
        }
        Ok(true)
    }

    fn read_pax(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        for record in tar::PaxExtensions::new(bytes) {
            let record = record?;
            match record.key_bytes() {
                b"path" => self.path = Some(record.value_bytes().to_vec()),
                b"linkpath" => self.link = Some(record.value_bytes().to_vec()),
                b"size" => {
                    let reason = "it states the size of a file outside its header";
                    return Err(Failure::Archive(reason.to_owned()));
                }
                key if key.starts_with(b"GNU.sparse") => {
                    return Err(Failure::Archive("it holds a sparse file".to_owned()));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// The path without `.` components, or nothing for the root itself.
pub(super) fn clean(bytes: &[u8]) -> Result<Option<String>, Failure> {
    let text = std::str::from_utf8(bytes).map_err(|_| {
        Failure::Archive(format!("the name `{}` is not UTF-8", String::from_utf8_lossy(bytes)))
    })?;
    if text.len() > LONGEST_NAME {
        let start: String = text.chars().take(40).collect();
        return Err(Failure::Archive(format!("the name `{start}…` has {} bytes", text.len())));
    }
    let parts: Vec<&str> = text.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    if parts.contains(&"..") || text.contains('\0') {
        return Err(Failure::Archive(format!("the name `{text}` leads out of the archive")));
    }
    Ok((!parts.is_empty()).then(|| parts.join("/")))
}

fn link_text(
    entry: &tar::Entry<'_, impl Read>,
    extended: Option<Vec<u8>>,
    name: &str,
) -> Result<String, Failure> {
    let bytes = extended.unwrap_or_else(|| entry.link_name_bytes().unwrap_or_default().into_owned());
    let text = String::from_utf8(bytes).ok();
    let is_usable = |text: &String| !text.is_empty() && text.len() <= LONGEST_NAME && !text.contains('\0');
    text.filter(is_usable).ok_or_else(|| Failure::Archive(format!("the link `{name}` has no usable target")))
}

fn entry_of(entry: &tar::Entry<'_, impl Read>, kind: Kind) -> Result<Entry, Failure> {
    let header = entry.header();
    let mode = if matches!(kind, Kind::Symlink { .. }) { 0o777 } else { header.mode()? & 0o7777 };
    let mut found = Entry::new(kind, mode);
    // npm leaves the owners out; a number that cannot be read means as little as one that nobody has here.
    found.uid = header.uid().ok().and_then(|number| u32::try_from(number).ok()).unwrap_or(0);
    found.gid = header.gid().ok().and_then(|number| u32::try_from(number).ok()).unwrap_or(0);
    found.mtime = header.mtime().ok().and_then(|seconds| i64::try_from(seconds).ok()).unwrap_or(0);
    Ok(found)
}

/// Writes what `reader` gives, `buffer` by `buffer`, and returns its length in bytes.
pub(super) fn write_file(
    reader: &mut impl Read,
    path: &Path,
    mode: u32,
    buffer: &mut [u8],
) -> Result<u64, Failure> {
    let mut file = File::create(path).map_err(store::Error::io("create", path))?;
    let mut size = 0;
    loop {
        // Told apart from writing, because a full disk is not the archive's fault.
        let count = reader.read(buffer)?;
        if count == 0 {
            break;
        }
        file.write_all(&buffer[..count]).map_err(store::Error::io("write", path))?;
        size += count as u64;
    }
    file.set_permissions(fs::Permissions::from_mode(mode))
        .map_err(store::Error::io("set the mode of", path))?;
    Ok(size)
}
