//! The root file system: an overlay of read-only folders with one that collects what is written.
//!
//! In: open folders, so that paths covered meanwhile do not matter. Out: the overlay, attached to a folder.
//! In a user namespace attributes are kept as `user.overlay.*`, otherwise as `trusted.overlay.*`.

use std::fmt::Write as _;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MoveMountFlags, fsconfig_create,
    fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, move_mount,
};

use super::channel::{Failure, Stage};
use super::spec::Overlay;

/// The folders of an overlay.
#[derive(Debug)]
pub(super) struct Layers<'a> {
    /// Topmost first.
    pub(super) lowers: &'a [OwnedFd],
    /// What is written goes here.
    pub(super) upper: BorrowedFd<'a>,
    /// Used by the kernel; on the file system of `upper`.
    pub(super) work: BorrowedFd<'a>,
    /// Whether `trusted.*` attributes may be set.
    pub(super) trusted: bool,
}

/// Mounts the layers on the folder `at`.
pub(super) fn mount(layers: &Layers<'_>, at: BorrowedFd<'_>, overlay: Overlay) -> Result<(), Failure> {
    let classic = |earlier: String| {
        mount_classic(layers, at).map_err(|errno| Failure {
            operation: "mount the overlay of the root".to_owned(),
            errno: errno.raw_os_error(),
            detail: earlier,
            stage: Stage::Root,
        })
    };
    if overlay == Overlay::Classic {
        return classic(String::new());
    }
    match mount_by_parts(layers, at) {
        Ok(()) => Ok(()),
        // Kernels before 6.8 do not know `lowerdir+`.
        Err((Errno::INVAL, log)) => classic(log),
        Err((errno, detail)) => Err(Failure {
            operation: "mount the overlay of the root".to_owned(),
            errno: errno.raw_os_error(),
            detail,
            stage: Stage::Root,
        }),
    }
}

/// What some systems turn on for every overlay. Folders that a step makes would hide what another one, that it does not
/// see, puts into a folder of the same name; and a result would refer to files below it. `userxattr` turns the others off.
fn features(layers: &Layers<'_>) -> &'static [(&'static str, &'static str)] {
    if layers.trusted {
        &[("index", "off"), ("metacopy", "off"), ("redirect_dir", "nofollow")]
    } else {
        &[("index", "off")]
    }
}

/// One call per folder, so that their number is not limited by a page of options.
fn mount_by_parts(layers: &Layers<'_>, at: BorrowedFd<'_>) -> Result<(), (Errno, String)> {
    let context = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC).map_err(|errno| (errno, String::new()))?;
    let configure = || {
        for lower in layers.lowers {
            fsconfig_set_string(&context, "lowerdir+", reference(lower.as_fd()))?;
        }
        fsconfig_set_string(&context, "upperdir", reference(layers.upper))?;
        fsconfig_set_string(&context, "workdir", reference(layers.work))?;
        if !layers.trusted {
            fsconfig_set_flag(&context, "userxattr")?;
        }
        for (name, value) in features(layers) {
            fsconfig_set_string(&context, *name, *value)?;
        }
        // Without it every run would wait for the disk; the result counts only after the step has succeeded.
        let _ = fsconfig_set_flag(&context, "volatile");
        fsconfig_create(&context)?;
        let attributes = MountAttrFlags::MOUNT_ATTR_NODEV;
        let overlay = fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)?;
        attach(overlay.as_fd(), at)
    };
    configure().map_err(|errno| (errno, log_of(&context)))
}

/// All folders in one page of options.
fn mount_classic(layers: &Layers<'_>, at: BorrowedFd<'_>) -> rustix::io::Result<()> {
    let lowers: Vec<String> = layers.lowers.iter().map(|lower| reference(lower.as_fd())).collect();
    let mut options = format!(
        "lowerdir={},upperdir={},workdir={}",
        lowers.join(":"),
        reference(layers.upper),
        reference(layers.work)
    );
    if !layers.trusted {
        options.push_str(",userxattr");
    }
    for (name, value) in features(layers) {
        options.extend([",", name, "=", value]);
    }
    let mount = |options: &str| {
        let options = std::ffi::CString::new(options).map_err(|_| Errno::INVAL)?;
        rustix::mount::mount("overlay", reference(at), "overlay", MountFlags::NODEV, Some(options.as_c_str()))
    };
    match mount(&format!("{options},volatile")) {
        // Linux 5.10 brought `volatile`.
        Err(Errno::INVAL) => mount(&options),
        other => other,
    }
}

/// Attaches a detached mount to an open file or folder.
pub(super) fn attach(mount: BorrowedFd<'_>, at: BorrowedFd<'_>) -> rustix::io::Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount(mount, "", at, "", flags)
}

/// A name for an open folder that is short and holds no character that options treat specially.
fn reference(folder: BorrowedFd<'_>) -> String {
    format!("/proc/self/fd/{}", folder.as_raw_fd())
}

/// What the kernel had to say about a failed configuration.
fn log_of(context: &OwnedFd) -> String {
    let mut log = String::new();
    let mut message = [0; 256];
    // The kernel keeps eight messages at most.
    for _ in 0..8 {
        let Ok(length) = rustix::io::read(context, &mut message) else { break };
        let text = String::from_utf8_lossy(message.get(..length).unwrap_or_default());
        let separator = if log.is_empty() { "" } else { "; " };
        let _ = write!(log, "{separator}{}", text.trim_end().trim_start_matches("e "));
    }
    log
}
