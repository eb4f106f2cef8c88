//! Trees on disk: written as lowers, read back from overlay uppers.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::num::NonZero;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::thread;

use super::Error;
use super::tree::{Content, Entry, Kind, Tree};
use crate::threads::joined;

/// A thread of its own is worth it for this many entries.
const SHARE: usize = 256;

/// Writes `tree` below `root`, which must not exist. Owners are not restored, setuid bits are dropped, and
/// directories stay writable by the owner, so that an ordinary user can use and remove them.
pub(super) fn write(tree: &Tree, root: &Path) -> Result<(), Error> {
    fs::create_dir(root).map_err(Error::io("create", root))?;
    fs::set_permissions(root, fs::Permissions::from_mode(0o755))
        .map_err(Error::io("set the mode of", root))?;
    let (directories, others): (Vec<_>, Vec<_>) =
        tree.iter().partition(|(_, entry)| matches!(entry.kind, Kind::Directory { .. }));
    for (path, entry) in directories {
        write_directory(&root.join(path), entry.mode)?;
    }
    // With the directories there, the rest can be written in any order.
    let threads = thread::available_parallelism().map_or(1, NonZero::get).min(8);
    let share = others.len().div_ceil(threads).max(SHARE);
    thread::scope(|scope| {
        let write = |part: &[(&str, &Entry)]| {
            part.iter().try_for_each(|(path, entry)| write_entry(&root.join(path), entry))
        };
        let tasks: Vec<_> = others.chunks(share).map(|part| scope.spawn(move || write(part))).collect();
        tasks.into_iter().try_for_each(joined)
    })
}

/// Writes what is no directory.
fn write_entry(target: &Path, entry: &Entry) -> Result<(), Error> {
    match &entry.kind {
        Kind::File { content, .. } => write_file(target, content, entry.mode),
        Kind::Symlink { target: text } => symlink(text, target).map_err(Error::io("create", target)),
        Kind::Directory { .. } | Kind::Whiteout => Ok(()),
    }
}

fn write_directory(target: &Path, mode: u32) -> Result<(), Error> {
    fs::create_dir(target).map_err(Error::io("create", target))?;
    let mode = fs::Permissions::from_mode((mode & 0o1777) | 0o700);
    fs::set_permissions(target, mode).map_err(Error::io("set the mode of", target))
}

fn write_file(target: &Path, content: &Content, mode: u32) -> Result<(), Error> {
    let mode = (mode & 0o777) | 0o400;
    match content {
        Content::Bytes(bytes) => fs::write(target, bytes).map_err(Error::io("write", target))?,
        Content::Path(source) => {
            let metadata = fs::symlink_metadata(source).map_err(Error::io("read", source))?;
            if metadata.mode() & 0o7777 == mode && fs::hard_link(source, target).is_ok() {
                return Ok(());
            }
            fs::copy(source, target).map_err(Error::io("copy to", target))?;
        }
    }
    fs::set_permissions(target, fs::Permissions::from_mode(mode))
        .map_err(Error::io("set the mode of", target))
}

/// Reads a directory; see [`super::Store::read_directory`].
pub(super) fn read(root: &Path) -> Result<Tree, Error> {
    let mut tree = Tree::new();
    for entry in walkdir::WalkDir::new(root).min_depth(1) {
        let entry = entry.map_err(|error| {
            let path = error.path().unwrap_or(root).to_owned();
            Error::io("read", &path)(error.into())
        })?;
        let path = entry.path();
        let relative = path.strip_prefix(root).ok().and_then(Path::to_str).ok_or_else(|| Error::Damaged {
            path: path.to_owned(),
            reason: "its name is not UTF-8".to_owned(),
        })?;
        if let Some(found) = read_entry(path)? {
            tree.insert(relative, found);
        }
    }
    Ok(tree)
}

fn read_entry(path: &Path) -> Result<Option<Entry>, Error> {
    let metadata = fs::symlink_metadata(path).map_err(Error::io("read", path))?;
    let kind = metadata.file_type();
    let kind = if kind.is_dir() {
        Kind::Directory { opaque: is_opaque(path) }
    } else if kind.is_file() {
        Kind::File { size: metadata.len(), content: Content::Path(path.to_owned()) }
    } else if kind.is_symlink() {
        let target = fs::read_link(path).map_err(Error::io("read", path))?;
        let target = target.into_os_string().into_string().map_err(|_| Error::Damaged {
            path: path.to_owned(),
            reason: "the text of the link is not UTF-8".to_owned(),
        })?;
        Kind::Symlink { target }
    } else if kind.is_char_device() && metadata.rdev() == 0 {
        Kind::Whiteout
    } else {
        // Sockets, pipes and device nodes that a step left behind mean nothing in an image.
        return Ok(None);
    };
    let mut entry = Entry::new(kind, metadata.mode() & 0o7777);
    entry.mtime = metadata.mtime();
    Ok(Some(entry))
}

/// Overlay marks a directory that replaces a lower one; the name of the mark depends on who mounted it
/// (`userxattr` in a user namespace).
fn is_opaque(path: &Path) -> bool {
    let mut value = [0_u8; 8];
    ["user.overlay.opaque", "trusted.overlay.opaque"].iter().any(|name| {
        rustix::fs::lgetxattr(path, *name, &mut value).is_ok_and(|length| &value[..length] == b"y")
    })
}

/// Removes a folder even where a directory in it has no permission bits, as overlay's `work/work` has.
///
/// # Errors
/// When something in it belongs to somebody else.
pub fn remove_all(path: &Path) -> io::Result<()> {
    if fs::remove_dir_all(path).is_ok() || !path.exists() {
        return Ok(());
    }
    open_up(path)?;
    fs::remove_dir_all(path)
}

fn open_up(path: &Path) -> io::Result<()> {
    if !fs::symlink_metadata(path)?.is_dir() {
        return Ok(());
    }
    fs::set_permissions(path, fs::Permissions::from_mode(0o700))?;
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() && entry.file_name() != OsStr::new("..") {
            open_up(&entry.path())?;
        }
    }
    Ok(())
}
