//! Paths inside a root file system, with links followed as a process inside it would.
//!
//! In: an open root folder and a path. Out: the real path relative to it, without links. Every step is opened by
//! name from the root with `openat2`, so no link, absolute or with `..`, leads outside.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

/// As many links as the kernel follows in one path.
const MAX_LINKS: usize = 40;

/// The real path of `path` inside `root`, relative to it. Links are followed within the root and `..` stops there.
///
/// Components that do not exist are kept as they are, so the result may be created.
///
/// # Errors
/// `ELOOP` after 40 links, `ENOTDIR` where a file stands in the way, and whatever reading a link gives.
pub fn resolve_in_root(root: impl AsFd, path: &Path) -> rustix::io::Result<PathBuf> {
    let root = root.as_fd();
    let mut left: VecDeque<OsString> = parts(path).collect();
    let mut real = PathBuf::new();
    let mut links = 0;
    while let Some(part) = left.pop_front() {
        if part == OsStr::new("..") {
            real.pop();
            continue;
        }
        let next = real.join(&part);
        match link_text(root, &next)? {
            None => real = next,
            Some(text) => {
                links += 1;
                if links > MAX_LINKS {
                    return Err(Errno::LOOP);
                }
                if text.is_absolute() {
                    real = PathBuf::new();
                }
                for inner in parts(&text).collect::<Vec<_>>().into_iter().rev() {
                    left.push_front(inner);
                }
            }
        }
    }
    Ok(real)
}

/// Opens a path that [`resolve_in_root`] gave; a link that appeared since is refused.
pub(super) fn open_real(root: BorrowedFd<'_>, real: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    let path = if real.as_os_str().is_empty() { Path::new(".") } else { real };
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    rustix::fs::openat2(root, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve)
}

/// The names in a path, with `..` and without `/` and `.`.
fn parts(path: &Path) -> impl Iterator<Item = OsString> {
    path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some(OsString::from("..")),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    })
}

/// The text of the link at a path whose parents are real; none for anything else, present or not.
fn link_text(root: BorrowedFd<'_>, path: &Path) -> rustix::io::Result<Option<PathBuf>> {
    let found = match open_real(root, path, OFlags::PATH | OFlags::NOFOLLOW) {
        Ok(found) => found,
        Err(Errno::NOENT) => return Ok(None),
        // NO_SYMLINKS refuses a link as last component too, so it is opened through its parent.
        Err(Errno::LOOP) => open_last(root, path)?,
        Err(errno) => return Err(errno),
    };
    let stat = rustix::fs::statat(&found, "", AtFlags::EMPTY_PATH)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink {
        return Ok(None);
    }
    let text = rustix::fs::readlinkat(&found, "", Vec::new())?;
    Ok(Some(PathBuf::from(OsStr::from_bytes(text.as_bytes()))))
}

fn open_last(root: BorrowedFd<'_>, path: &Path) -> rustix::io::Result<OwnedFd> {
    let name = path.file_name().ok_or(Errno::LOOP)?;
    let parent = open_real(root, path.parent().unwrap_or(Path::new("")), OFlags::PATH | OFlags::DIRECTORY)?;
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(&parent, name, flags, Mode::empty())
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::os::unix::fs::symlink;

    use super::*;

    fn resolved(links: &[(&str, &str)], path: &str) -> rustix::io::Result<PathBuf> {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("usr/lib")).unwrap();
        fs::write(root.path().join("file"), "").unwrap();
        for (at, text) in links {
            symlink(text, root.path().join(at)).unwrap();
        }
        resolve_in_root(File::open(root.path()).unwrap(), Path::new(path))
    }

    #[test]
    fn links_stay_within_the_root() {
        let cases = [
            ("lib", "usr/lib", "/lib/x", "usr/lib/x"),
            ("etc", "/usr/etc", "/etc/resolv.conf", "usr/etc/resolv.conf"),
            ("etc", "../../../../etc", "/etc/passwd", "etc/passwd"),
            ("var", "/proc/self/root/etc", "/var/x", "proc/self/root/etc/x"),
            ("dot", ".", "dot/usr/../new", "new"),
        ];
        for (at, text, path, expected) in cases {
            if text == "../../../../etc" {
                assert_eq!(resolved(&[(at, text)], path), Err(Errno::LOOP), "a link to itself");
                continue;
            }
            assert_eq!(resolved(&[(at, text)], path), Ok(PathBuf::from(expected)), "{at} -> {text}");
        }
    }

    #[test]
    fn parents_of_the_root_are_the_root() {
        assert_eq!(resolved(&[], "/../../usr/../../lib"), Ok(PathBuf::from("lib")));
    }

    #[test]
    fn endless_links_and_files_in_the_way_are_errors() {
        assert_eq!(resolved(&[("a", "b"), ("b", "a")], "/a/x"), Err(Errno::LOOP));
        assert_eq!(resolved(&[], "/file/x"), Err(Errno::NOTDIR));
    }
}
