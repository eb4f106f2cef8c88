//! Taking back out of a result what the sandbox put there to mount on.
//!
//! In: the upper of a run that has ended, the lowers below it, and the paths that were made in it. Out: an upper
//! that holds what the command wrote. A link that a mounted file had replaced is there again, because it was only
//! covered. Everything is best effort: what a command made of a place is its own result and stays.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// Removes `made` (relative, parents first), and the copies of directories that were needed to reach it.
pub(super) fn remove_mount_points(upper: &Path, lowers: &[PathBuf], made: &[PathBuf]) {
    for path in made.iter().rev() {
        let full = upper.join(path);
        let Ok(found) = fs::symlink_metadata(&full) else { continue };
        if found.is_dir() {
            // Refused when the command has written there.
            let _ = fs::remove_dir(&full);
        } else if found.is_file() && found.len() == 0 {
            let _ = fs::remove_file(&full);
        }
    }
    for path in made.iter().rev() {
        for parent in path.ancestors().skip(1).filter(|parent| !parent.as_os_str().is_empty()) {
            if is_bare_copy(&upper.join(parent), lowers, parent) {
                let _ = fs::remove_dir(upper.join(parent));
            }
        }
    }
}

/// Gives the kernel's own folder in `work` permissions under which it can be removed.
pub(super) fn release_work(work: &Path) {
    for name in ["work", "work/incompat", "work/incompat/volatile"] {
        let folder = work.join(name);
        if fs::symlink_metadata(&folder).is_ok_and(|found| found.is_dir()) {
            let _ = fs::set_permissions(&folder, fs::Permissions::from_mode(0o700));
        }
    }
}

/// Whether a directory in upper says nothing that the topmost lower does not say.
fn is_bare_copy(full: &Path, lowers: &[PathBuf], path: &Path) -> bool {
    let Ok(copy) = fs::symlink_metadata(full) else { return false };
    let below = lowers.iter().find_map(|lower| fs::symlink_metadata(lower.join(path)).ok());
    let same = |below: fs::Metadata| {
        below.is_dir() && (below.mode(), below.uid(), below.gid()) == (copy.mode(), copy.uid(), copy.gid())
    };
    copy.is_dir() && !is_opaque(full) && below.is_some_and(same)
}

fn is_opaque(folder: &Path) -> bool {
    let mut value = [0; 1];
    ["user.overlay.opaque", "trusted.overlay.opaque"]
        .iter()
        .any(|name| rustix::fs::lgetxattr(folder, *name, &mut value).is_ok_and(|length| length > 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_made_and_is_unchanged_goes() {
        let folder = tempfile::tempdir().unwrap();
        let (upper, lower) = (folder.path().join("upper"), folder.path().join("lower"));
        fs::create_dir_all(lower.join("etc/ssl")).unwrap();
        for path in ["etc/ssl", "proc", "data"] {
            fs::create_dir_all(upper.join(path)).unwrap();
        }
        fs::write(upper.join("etc/ssl/ca.pem"), "").unwrap();
        fs::write(upper.join("data/kept"), "written by the command").unwrap();
        let made: Vec<PathBuf> = ["proc", "data", "etc/ssl/ca.pem"].map(PathBuf::from).to_vec();
        remove_mount_points(&upper, &[lower], &made);
        let left: Vec<_> = walkdir::WalkDir::new(&upper)
            .min_depth(1)
            .sort_by_file_name()
            .into_iter()
            .map(|entry| entry.unwrap().path().strip_prefix(&upper).unwrap().to_owned())
            .collect();
        assert_eq!(left, [PathBuf::from("data"), PathBuf::from("data/kept")]);
    }
}
