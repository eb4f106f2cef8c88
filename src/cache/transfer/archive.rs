//! An entry of the store as one file: zstd over the length of a list, the list as JSON, and contents in its order.
//!
//! Unlike tar it says what overlay means (whiteouts, directories that hide) and times to the nanosecond, which are part
//! of what a layer is recognised by. Reading makes every directory before what is in it, follows nothing, and overwrites
//! nothing, so that no list can reach out of the folder.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;

use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, Timespec, Timestamps, XattrFlags, mknodat, utimensat,
};
use serde::{Deserialize, Serialize};

use crate::store::tree::is_clean;

/// The compression: the fastest, as most of it is already small or read once.
const LEVEL: i32 = 1;
/// The largest window that is accepted, as a power of two: 8 MiB.
const WINDOW: u32 = 23;
/// The longest list in bytes.
const LONGEST: u64 = 128 << 20;
/// The most entries.
pub(super) const MOST: usize = 500_000;
/// The most bytes of all contents.
const LARGEST: u64 = 64 << 30;
/// The same of a cache.
pub(super) const LARGEST_CACHE: u64 = 1 << 30;
/// How many times larger than the archive contents may be, beyond the first 256 MiB.
const RATIO: u64 = 200;
const ALWAYS: u64 = 256 << 20;
/// Names of the mark of a directory that hides what is below: for root, and for others.
const OPAQUE: [&str; 2] = ["trusted.overlay.opaque", "user.overlay.opaque"];

#[derive(Debug, Serialize, Deserialize)]
struct Item {
    path: String,
    #[serde(flatten)]
    kind: Kind,
    mode: u32,
    time: (i64, i64),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
enum Kind {
    Directory { opaque: bool },
    File { size: u64 },
    Same { target: String },
    Symlink { target: String },
    Whiteout,
}

/// What an entry of the store consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// The result of a step: `fs/`, and documents beside it.
    Step,
    /// An unpacked archive: `files/NUMBER`, and documents beside it.
    Unpacked,
    /// What a tool keeps for one app: `fs/`, and what it is.
    Kept,
    /// A package manager's cache: files of its own.
    Cache,
}

impl Layout {
    /// Whether an entry of this kind has such a thing: neither a link that is taken for the folder, nor a list of files
    /// that the next build would believe.
    fn has(self, item: &Item) -> bool {
        let (is_file, is_folder) =
            (matches!(item.kind, Kind::File { .. }), matches!(item.kind, Kind::Directory { .. }));
        match (self, item.path.split_once('/')) {
            (Self::Cache, _) => {
                // Only results hide what is below them.
                is_file
                    || matches!(item.kind, Kind::Directory { opaque: false })
                    || matches!(item.kind, Kind::Symlink { .. } | Kind::Same { .. })
            }
            (Self::Step | Self::Kept, Some((folder, _))) => folder == "fs",
            (Self::Kept, None) => is_folder && item.path == "fs" || is_file && item.path == "about",
            (Self::Step, None) => {
                is_folder && item.path == "fs"
                    || is_file && ["about", "instance", "made"].contains(&&*item.path)
            }
            (Self::Unpacked, Some((folder, name))) => {
                is_file && folder == "files" && name.bytes().all(|byte| byte.is_ascii_digit())
            }
            (Self::Unpacked, None) => {
                is_folder && item.path == "files"
                    || is_file && ["about", "entries.json"].contains(&&*item.path)
            }
        }
    }
}

/// Writes the folder `root`, as far as it is of `layout`, to `writer`.
pub(super) fn pack<W: Write>(root: &Path, layout: Layout, writer: W) -> io::Result<W> {
    let mut items = items(root)?;
    items.retain(|item| layout.has(item));
    let list = serde_json::to_vec(&items)?;
    let mut encoder = zstd::stream::write::Encoder::new(writer, LEVEL)?;
    encoder.write_all(&(list.len() as u64).to_le_bytes())?;
    encoder.write_all(&list)?;
    let folder = File::open(root)?;
    for item in &items {
        let Kind::File { size } = item.kind else { continue };
        let mut file = open(&folder, &item.path)?.take(size);
        if io::copy(&mut file, &mut encoder)? != size {
            return Err(io::Error::other(format!("{} has become shorter", item.path)));
        }
    }
    encoder.finish()
}

/// Opens a file below `folder` and nothing else: a step that uses a cache meanwhile may put a link anywhere.
fn open(folder: &File, path: &str) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    let file = File::from(rustix::fs::openat2(folder, path, flags, Mode::empty(), resolve)?);
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other(format!("{path} is no file"))) }
}

fn items(root: &Path) -> io::Result<Vec<Item>> {
    let mut items = Vec::new();
    let mut first: BTreeMap<u64, String> = BTreeMap::new();
    for entry in walkdir::WalkDir::new(root).min_depth(1).sort_by_file_name() {
        let entry = entry?;
        let metadata = entry.metadata()?;
        let relative = entry.path().strip_prefix(root).ok().and_then(Path::to_str);
        let path = relative.ok_or_else(|| io::Error::other("a name is not UTF-8"))?.to_owned();
        let found = metadata.file_type();
        let kind = if found.is_dir() {
            Kind::Directory { opaque: is_opaque(entry.path()) }
        } else if found.is_symlink() {
            let target = fs::read_link(entry.path())?.into_os_string().into_string();
            Kind::Symlink { target: target.map_err(|_| io::Error::other("a link is not UTF-8"))? }
        } else if found.is_char_device() && metadata.rdev() == 0 {
            Kind::Whiteout
        } else if !found.is_file() {
            // Sockets and pipes that a step left behind mean nothing.
            continue;
        } else if let Some(target) = first.get(&metadata.ino()) {
            Kind::Same { target: target.clone() }
        } else {
            first.insert(metadata.ino(), path.clone());
            Kind::File { size: metadata.len() }
        };
        let time = (metadata.mtime(), metadata.mtime_nsec());
        items.push(Item { path, kind, mode: metadata.mode() & 0o7777, time });
    }
    Ok(items)
}

fn is_opaque(path: &Path) -> bool {
    let mut value = [0_u8; 8];
    let marked = |name: &&str| {
        rustix::fs::lgetxattr(path, *name, &mut value).is_ok_and(|length| &value[..length] == b"y")
    };
    OPAQUE.iter().any(marked)
}

/// Makes what `reader`, an archive of `size` bytes, holds below `root`, which is empty.
pub(super) fn unpack(reader: impl Read, layout: Layout, size: u64, root: &Path) -> io::Result<()> {
    let mut decoder = zstd::stream::read::Decoder::new(reader)?;
    decoder.window_log_max(WINDOW)?;
    unpack_plain(&mut decoder, layout, size, root)
}

/// The same of what was compressed.
pub(super) fn unpack_plain(reader: &mut impl Read, layout: Layout, size: u64, root: &Path) -> io::Result<()> {
    let items = read_list(reader)?;
    check(&items, layout, size)?;
    for item in &items {
        make(item, root, reader)?;
    }
    if reader.read(&mut [0])? != 0 {
        return Err(refused("it holds more than its list says"));
    }
    // From below, because what is made in a directory changes its time, and may need a right that it loses now.
    for item in items.iter().rev() {
        if let Kind::Directory { .. } = item.kind {
            set_mode(&root.join(&item.path), item.mode & 0o1777)?;
            set_time(&root.join(&item.path), item.time)?;
        }
    }
    Ok(())
}

fn refused(reason: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

fn read_list(reader: &mut impl Read) -> io::Result<Vec<Item>> {
    let mut length = [0; 8];
    reader.read_exact(&mut length)?;
    let length = u64::from_le_bytes(length);
    if length > LONGEST {
        return Err(refused("its list is too long"));
    }
    let mut list = Vec::new();
    reader.take(length).read_to_end(&mut list)?;
    Ok(serde_json::from_slice(&list)?)
}

/// Looks at the whole list before anything is made.
fn check(items: &[Item], layout: Layout, size: u64) -> io::Result<()> {
    if items.len() > MOST {
        return Err(refused("it has too many entries"));
    }
    let (mut folders, mut files, mut all) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let mut bytes: u64 = 0;
    for item in items {
        let path = item.path.as_str();
        let parent = path.rsplit_once('/').map(|(parent, _)| parent);
        if !is_clean(path) || path.contains('\0') || !all.insert(path) {
            return Err(refused("a path is not clean, or is there twice"));
        }
        if !layout.has(item) {
            return Err(refused("it holds what no such entry has"));
        }
        if parent.is_some_and(|parent| !folders.contains(parent)) {
            return Err(refused("a path lies in no directory before it"));
        }
        match &item.kind {
            Kind::Directory { .. } => {
                folders.insert(path);
            }
            Kind::File { size } => {
                files.insert(path);
                bytes = bytes.saturating_add(*size);
            }
            Kind::Same { target } if !files.contains(target.as_str()) => {
                return Err(refused("a further name is of no file before it"));
            }
            Kind::Symlink { target } if target.is_empty() || target.contains('\0') => {
                return Err(refused("a link leads nowhere"));
            }
            _ => {}
        }
    }
    let largest = match layout {
        Layout::Step | Layout::Unpacked => LARGEST,
        Layout::Kept | Layout::Cache => LARGEST_CACHE,
    };
    if bytes > largest || bytes > ALWAYS.saturating_add(size.saturating_mul(RATIO)) {
        return Err(refused("it is far larger than its archive"));
    }
    Ok(())
}

fn make(item: &Item, root: &Path, contents: &mut impl Read) -> io::Result<()> {
    let path = root.join(&item.path);
    match &item.kind {
        Kind::Directory { opaque } => {
            fs::create_dir(&path)?;
            if *opaque {
                let name = OPAQUE[usize::from(!rustix::process::geteuid().is_root())];
                rustix::fs::lsetxattr(&path, name, b"y", XattrFlags::empty())?;
            }
            return Ok(());
        }
        Kind::Whiteout => mknodat(CWD, &path, FileType::CharacterDevice, Mode::empty(), 0)?,
        Kind::Symlink { target } => symlink(target, &path)?,
        Kind::Same { target } => return fs::hard_link(root.join(target), &path),
        Kind::File { size } => {
            let mut file = File::create_new(&path)?;
            if io::copy(&mut contents.take(*size), &mut file)? != *size {
                return Err(refused("it ends too early"));
            }
            set_mode(&path, item.mode & 0o777)?;
        }
    }
    set_time(&path, item.time)
}

fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

fn set_time(path: &Path, (seconds, nanoseconds): (i64, i64)) -> io::Result<()> {
    let time = Timespec { tv_sec: seconds, tv_nsec: nanoseconds.clamp(0, 999_999_999) };
    let times = Timestamps { last_access: time, last_modification: time };
    Ok(utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)?)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::{Layout, pack, unpack};

    fn list(items: &str) -> Vec<u8> {
        let mut plain = (items.len() as u64).to_le_bytes().to_vec();
        plain.extend(items.as_bytes());
        plain.extend(b"content");
        zstd::encode_all(&plain[..], 1).unwrap()
    }

    #[test]
    fn what_was_packed_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        fs::create_dir_all(from.join("fs/deep")).unwrap();
        fs::create_dir(&to).unwrap();
        fs::write(from.join("fs/program"), "#!/bin/sh\n").unwrap();
        fs::set_permissions(from.join("fs/program"), fs::Permissions::from_mode(0o755)).unwrap();
        fs::hard_link(from.join("fs/program"), from.join("fs/same")).unwrap();
        symlink("../../nowhere", from.join("fs/deep/link")).unwrap();
        mknodat(CWD, from.join("fs/gone"), FileType::CharacterDevice, Mode::empty(), 0).unwrap();
        fs::set_permissions(from.join("fs/deep"), fs::Permissions::from_mode(0o555)).unwrap();
        let archive = pack(&from, Layout::Step, Vec::new()).unwrap();
        unpack(&archive[..], Layout::Step, archive.len() as u64, &to).unwrap();
        let seen = |path: &str| {
            let [a, b] = [&from, &to].map(|root| fs::symlink_metadata(root.join(path)).unwrap());
            for (a, b) in [(a.mtime(), b.mtime()), (a.mtime_nsec(), b.mtime_nsec())] {
                assert_eq!(a, b, "{path}");
            }
            assert_eq!((a.mode(), a.rdev()), (b.mode(), b.rdev()), "{path}");
        };
        ["fs", "fs/program", "fs/same", "fs/gone", "fs/deep", "fs/deep/link"].into_iter().for_each(seen);
        assert_eq!(fs::read_to_string(to.join("fs/same")).unwrap(), "#!/bin/sh\n");
        assert_eq!(fs::metadata(to.join("fs/program")).unwrap().nlink(), 2);
        assert_eq!(fs::read_link(to.join("fs/deep/link")).unwrap().to_str(), Some("../../nowhere"));
        assert_eq!(pack(&to, Layout::Step, Vec::new()).unwrap(), archive);
    }

    #[test]
    fn hostile_lists_are_refused() {
        let item = |path: &str, rest: &str| format!(r#"{{"path":"{path}","mode":420,"time":[0,0],{rest}}}"#);
        let file = r#""kind":"file","size":7"#;
        let folder = r#""kind":"directory","opaque":false"#;
        let link = r#""kind":"symlink","target":"/tmp""#;
        let fs = item("fs", folder);
        let below = |items: &[String]| format!("{fs},{}", items.join(","));
        for (items, reason) in [
            (below(&[item("fs/../x", file)]), "a path is not clean, or is there twice"),
            (item("/x", file), "a path is not clean, or is there twice"),
            (below(std::slice::from_ref(&fs)), "a path is not clean, or is there twice"),
            (below(&[item("fs/x", link), item("fs/x/y", file)]), "a path lies in no directory before it"),
            (item("fs/x", file), "a path lies in no directory before it"),
            (item("fs", link), "it holds what no such entry has"),
            (item("entries.json", file), "it holds what no such entry has"),
            (item("made", link), "it holds what no such entry has"),
            (
                below(&[item("fs/x", r#""kind":"same","target":"../y""#)]),
                "a further name is of no file before it",
            ),
            (below(&[item("fs/x", r#""kind":"symlink","target":"""#)]), "a link leads nowhere"),
            (
                below(&[item("fs/x", r#""kind":"file","size":99999999999"#)]),
                "it is far larger than its archive",
            ),
            (below(&[item("fs/x", r#""kind":"file","size":8"#)]), "it ends too early"),
            (below(&[item("fs/x", r#""kind":"file","size":6"#)]), "it holds more than its list says"),
            (fs.clone(), "it holds more than its list says"),
        ] {
            let root = tempfile::tempdir().unwrap();
            let archive = list(&format!("[{items}]"));
            let error = unpack(&archive[..], Layout::Step, archive.len() as u64, root.path()).unwrap_err();
            assert_eq!(error.to_string(), reason, "{items}");
        }
        for (layout, items) in [
            (Layout::Cache, item("x", r#""kind":"whiteout""#)),
            (Layout::Cache, item("x", r#""kind":"directory","opaque":true"#)),
            (Layout::Cache, item("../x", file)),
            (Layout::Cache, format!("{},{}", item("x", link), item("x/y", file))),
            (Layout::Cache, item("x", r#""kind":"file","size":1073741825"#)),
            (Layout::Kept, item("x", file)),
            (Layout::Kept, item("fs", link)),
            (Layout::Kept, item("about", link)),
            (Layout::Kept, format!("{fs},{}", item("fs/x", r#""kind":"file","size":1073741825"#))),
        ] {
            let root = tempfile::tempdir().unwrap();
            let archive = list(&format!("[{items}]"));
            // As large as could be believed.
            assert!(unpack(&archive[..], layout, 1 << 30, root.path()).is_err(), "{layout:?} {items}");
            assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0, "{layout:?} {items}");
        }
        let root = tempfile::tempdir().unwrap();
        let archive = list(&format!("[{}]", below(&[item("fs/x", file)])));
        unpack(&archive[..], Layout::Step, archive.len() as u64, root.path()).unwrap();
        assert_eq!(fs::read_to_string(root.path().join("fs/x")).unwrap(), "content");
    }
}
