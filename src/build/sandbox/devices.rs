//! `/proc` and `/dev` of a sandbox.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{MountAttrFlags, OpenTreeFlags, open_tree};

use super::channel::{During as _, Failure, Stage};
use super::kernel;
use super::root;
use super::spec::Tmpfs;
use super::view::{View, file_system};

/// Devices that are taken over from the host.
const NODES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];

/// Settings of the kernel: readable only.
const READ_ONLY: [&str; 4] = ["sys", "irq", "bus", "fs"];

/// Files that show or touch more than a process' own affairs.
const COVERED: [&str; 4] = ["kcore", "keys", "timer_list", "sysrq-trigger"];

/// Links that programs expect in `/dev`.
const LINKS: [(&str, &str); 5] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
];

/// A detached `/proc`: of the own process ids, or the host's.
///
/// It is refused with `EPERM` where the present one is partly masked, so this runs before anything is covered.
pub(super) fn process_list(host_pids: bool) -> Result<OwnedFd, Failure> {
    if host_pids {
        let flags =
            OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE;
        return open_tree(rustix::fs::CWD, "/proc", flags)
            .during(Stage::Other, || "take over the host's `/proc`".to_owned());
    }
    let attributes = MountAttrFlags::MOUNT_ATTR_NODEV | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    file_system("proc", &[], &[], attributes).during(Stage::Proc, || "mount a fresh `/proc`".to_owned())
}

/// The host's devices, open; those that do not exist are left out, except the first, which everything needs.
pub(super) fn open_nodes() -> Result<Vec<(&'static str, OwnedFd)>, Failure> {
    let mut nodes = Vec::new();
    for name in NODES {
        let path = format!("/dev/{name}");
        match rustix::fs::open(&path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()) {
            Ok(node) => nodes.push((name, node)),
            Err(Errno::NOENT) if name != NODES[0] => {}
            Err(errno) => Err(errno).during(Stage::Other, || format!("open `{path}`"))?,
        }
    }
    Ok(nodes)
}

/// Mounts `/proc`; a fresh one is restricted further.
pub(super) fn mount_process_list(
    view: &mut View,
    list: &OwnedFd,
    nodes: &[(&str, OwnedFd)],
    host_pids: bool,
) -> Result<(), Failure> {
    view.mount("/proc", list.as_fd())?;
    if host_pids {
        return Ok(());
    }
    for name in READ_ONLY {
        restrict(view, &format!("/proc/{name}"), |place| {
            let mount = clone_of(place)?;
            kernel::set_mount_attributes(mount.as_fd(), libc::MOUNT_ATTR_RDONLY, false)?;
            Ok(mount)
        })?;
    }
    if let Some((_, null)) = nodes.first() {
        for name in COVERED {
            restrict(view, &format!("/proc/{name}"), |_| clone_of(null.as_fd()))?;
        }
    }
    Ok(())
}

/// Mounts `/dev` with its devices, terminals, shared memory and links.
pub(super) fn mount_nodes(view: &mut View, nodes: &[(&str, OwnedFd)]) -> Result<(), Failure> {
    let size = Some(64 << 20);
    view.memory(&Tmpfs { target: "/dev".to_owned(), mode: 0o755, size })?;
    for (name, node) in nodes {
        let mount = clone_of(node.as_fd()).during(Stage::Other, || format!("take over `/dev/{name}`"))?;
        view.mount(&format!("/dev/{name}"), mount.as_fd())?;
    }
    let options = [("ptmxmode", "0666".to_owned()), ("mode", "0620".to_owned())];
    let terminals = file_system("devpts", &["newinstance"], &options, MountAttrFlags::MOUNT_ATTR_NOEXEC)
        .during(Stage::Other, || "make `/dev/pts`".to_owned())?;
    view.mount("/dev/pts", terminals.as_fd())?;
    view.memory(&Tmpfs { target: "/dev/shm".to_owned(), mode: 0o1777, size: Some(512 << 20) })?;
    let folder = view.open("/dev").during(Stage::Other, || "open `/dev`".to_owned())?;
    for (name, text) in LINKS {
        rustix::fs::symlinkat(text, &folder, name).during(Stage::Other, || format!("link `/dev/{name}`"))?;
    }
    Ok(())
}

/// Mounts what `make` gives on a path that this kernel may not have.
fn restrict(
    view: &View,
    path: &str,
    make: impl FnOnce(BorrowedFd<'_>) -> std::io::Result<OwnedFd>,
) -> Result<(), Failure> {
    let place = match view.open(path) {
        Ok(place) => place,
        Err(Errno::NOENT) => return Ok(()),
        Err(errno) => return Err(errno).during(Stage::Other, || format!("open `{path}`")),
    };
    let restricted = || -> std::io::Result<()> {
        let mount = make(place.as_fd())?;
        Ok(root::attach(mount.as_fd(), place.as_fd())?)
    };
    restricted().during(Stage::Other, || format!("restrict `{path}`"))
}

/// A detached copy of the one mount at an open place.
fn clone_of(place: BorrowedFd<'_>) -> std::io::Result<OwnedFd> {
    let flags =
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
    Ok(open_tree(place, "", flags)?)
}
