//! What a command sees: the root file system with everything that is mounted on it.
//!
//! In: the spec. Out: a process whose `/` is that view and which can reach nothing else, and the list of paths
//! that were made in `upper` only to mount on.
//!
//! Invariants: every source is open before anything is covered; every target is resolved within the root, so a
//! link in a root file system never leads to the host.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountPropagationFlags, OpenTreeFlags, UnmountFlags,
    fsconfig_create, fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, open_tree,
};

use super::channel::{During as _, Failure, Stage};
use super::devices;
use super::identity::Mapping;
use super::kernel;
use super::resolve::{open_real, resolve_in_root};
use super::root::{self, Layers};
use super::spec::{SecretFiles, Spec, Tmpfs};

/// Folders that exist everywhere; one is covered, in this process' own mount namespace, while the view is made.
const STAGES: [&str; 4] = ["/tmp", "/run", "/var", "/usr"];

/// Makes the view of `spec` this process' root.
pub(super) fn enter(spec: &Spec, mapping: Mapping, host_pids: bool) -> Result<Vec<PathBuf>, Failure> {
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    rustix::mount::mount_change("/", private)
        .during(Stage::Namespaces, || "make the mounts private".to_owned())?;
    let process_list = devices::process_list(host_pids)?;
    let nodes = devices::open_nodes()?;
    let mut binds = Vec::new();
    for bind in &spec.binds {
        let mount = clone_of(&bind.source, bind.read_only)
            .during(Stage::Other, || format!("read `{}` to mount it", bind.source.display()))?;
        binds.push((bind, mount));
    }
    let root = make_root(spec, mapping)?;
    let mut view = View { root, mounted: Vec::new(), made: Vec::new() };
    for folder in &spec.writable {
        view.keep_writable(folder)?;
    }
    devices::mount_process_list(&mut view, &process_list, &nodes, host_pids)?;
    devices::mount_nodes(&mut view, &nodes)?;
    let is_listed = |target: &str| {
        spec.tmpfs
            .iter()
            .map(|tmpfs| &tmpfs.target)
            .chain(spec.binds.iter().map(|bind| &bind.target))
            .any(|t| t == target)
    };
    if !is_listed("/tmp") {
        view.memory(&Tmpfs { target: "/tmp".to_owned(), mode: 0o1777, size: None })?;
    }
    for tmpfs in &spec.tmpfs {
        view.memory(tmpfs)?;
    }
    for (bind, mount) in &binds {
        view.mount(&bind.target, mount.as_fd())?;
    }
    if !spec.secrets.files.is_empty() {
        view.secrets(&spec.secrets)?;
    }
    if spec.upper.is_none() {
        kernel::set_mount_attributes(view.root.as_fd(), libc::MOUNT_ATTR_RDONLY, false)
            .during(Stage::Root, || "make the root read-only".to_owned())?;
    }
    turn_to(&view.root)?;
    Ok(if spec.upper.is_some() { view.made } else { Vec::new() })
}

/// A root with mounts on it.
#[derive(Debug)]
pub(super) struct View {
    root: OwnedFd,
    /// Real paths that are covered, so that what is made below them is not part of the root.
    mounted: Vec<PathBuf>,
    made: Vec<PathBuf>,
}

impl View {
    /// Opens a path inside.
    pub(super) fn open(&self, path: &str) -> rustix::io::Result<OwnedFd> {
        let real = resolve_in_root(&self.root, Path::new(path))?;
        open_real(self.root.as_fd(), &real, OFlags::PATH)
    }

    /// Attaches a detached mount to `target`, which is made if it does not exist.
    pub(super) fn mount(&mut self, target: &str, mount: BorrowedFd<'_>) -> Result<(), Failure> {
        self.try_mount(Path::new(target), mount).during(Stage::Other, || format!("mount on `{target}`"))
    }

    /// Makes `folder` a mount of its own, so that a read-only root does not cover it.
    fn keep_writable(&mut self, folder: &str) -> Result<(), Failure> {
        let attach = || -> rustix::io::Result<()> {
            let real = resolve_in_root(&self.root, Path::new(folder))?;
            let at = open_real(self.root.as_fd(), &real, OFlags::PATH | OFlags::DIRECTORY)?;
            let flags = OpenTreeFlags::OPEN_TREE_CLONE
                | OpenTreeFlags::OPEN_TREE_CLOEXEC
                | OpenTreeFlags::AT_EMPTY_PATH;
            let mount = open_tree(&at, "", flags)?;
            root::attach(mount.as_fd(), at.as_fd())
        };
        attach().during(Stage::Other, || format!("make `{folder}` writable"))
    }

    /// Mounts a memory file system.
    pub(super) fn memory(&mut self, tmpfs: &Tmpfs) -> Result<(), Failure> {
        let mut options = vec![("mode", format!("{:o}", tmpfs.mode & 0o7777))];
        if let Some(size) = tmpfs.size {
            options.push(("size", size.to_string()));
        }
        let mount = file_system("tmpfs", &[], &options, MountAttrFlags::MOUNT_ATTR_NODEV)
            .during(Stage::Other, || format!("make a memory file system for `{}`", tmpfs.target))?;
        self.mount(&tmpfs.target, mount.as_fd())
    }

    /// Mounts a memory file system with the files.
    fn secrets(&mut self, secrets: &SecretFiles) -> Result<(), Failure> {
        let mut make = || -> rustix::io::Result<()> {
            let options = [("mode", "700".to_owned())];
            let attributes = MountAttrFlags::MOUNT_ATTR_NODEV | MountAttrFlags::MOUNT_ATTR_NOEXEC;
            let mount = file_system("tmpfs", &[], &options, attributes)?;
            let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::WRONLY | OFlags::CLOEXEC;
            for (name, bytes) in &secrets.files {
                let file = rustix::fs::openat(&mount, name.as_str(), flags, Mode::from_raw_mode(0o400))?;
                let mut left = &bytes[..];
                while !left.is_empty() {
                    let written = rustix::io::write(&file, left)?;
                    left = &left[written..];
                }
            }
            self.try_mount(Path::new(&secrets.folder), mount.as_fd())
        };
        make().during(Stage::Other, || "hand the secrets over".to_owned())
    }

    fn try_mount(&mut self, target: &Path, mount: BorrowedFd<'_>) -> rustix::io::Result<()> {
        let stat = rustix::fs::statat(mount, "", AtFlags::EMPTY_PATH)?;
        let real = if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            let real = resolve_in_root(&self.root, target)?;
            self.make_directory(&real)?;
            real
        } else {
            let name = target.file_name().ok_or(Errno::ISDIR)?;
            let parent = resolve_in_root(&self.root, target.parent().unwrap_or(Path::new("/")))?;
            self.make_directory(&parent)?;
            let real = parent.join(name);
            self.make_file(&parent, &real)?;
            real
        };
        let at = open_real(self.root.as_fd(), &real, OFlags::PATH)?;
        root::attach(mount, at.as_fd())?;
        self.mounted.push(real);
        Ok(())
    }

    /// Makes a real path a directory, with its parents.
    fn make_directory(&mut self, real: &Path) -> rustix::io::Result<()> {
        let mut parent = PathBuf::new();
        for name in real {
            let folder = open_real(self.root.as_fd(), &parent, OFlags::PATH | OFlags::DIRECTORY)?;
            parent.push(name);
            match rustix::fs::mkdirat(&folder, name, Mode::from_raw_mode(0o755)) {
                Ok(()) => self.note(parent.clone()),
                // A read-only mount may hold the directory already; what is missing shows when it is opened.
                Err(Errno::EXIST | Errno::ROFS) => {}
                Err(errno) => return Err(errno),
            }
        }
        open_real(self.root.as_fd(), real, OFlags::PATH | OFlags::DIRECTORY).map(drop)
    }

    /// Makes a real path something that a file can be mounted on. A link there is replaced, not followed.
    fn make_file(&mut self, parent: &Path, real: &Path) -> rustix::io::Result<()> {
        let folder = open_real(self.root.as_fd(), parent, OFlags::PATH | OFlags::DIRECTORY)?;
        let name = real.file_name().ok_or(Errno::ISDIR)?;
        match rustix::fs::statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => match FileType::from_raw_mode(stat.st_mode) {
                FileType::Directory => return Err(Errno::ISDIR),
                FileType::Symlink => rustix::fs::unlinkat(&folder, name, AtFlags::empty())?,
                _ => return Ok(()),
            },
            Err(Errno::NOENT) => {}
            Err(errno) => return Err(errno),
        }
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::WRONLY | OFlags::CLOEXEC;
        rustix::fs::openat(&folder, name, flags, Mode::from_raw_mode(0o644))?;
        self.note(real.to_owned());
        Ok(())
    }

    fn note(&mut self, real: PathBuf) {
        if !self.mounted.iter().any(|covered| real.starts_with(covered)) {
            self.made.push(real);
        }
    }
}

/// A detached, recursive copy of a mount, without devices and set-user-id programs.
fn clone_of(source: &Path, read_only: bool) -> std::io::Result<OwnedFd> {
    let flags =
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE;
    let mount = open_tree(rustix::fs::CWD, source, flags)?;
    let restricted = libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV;
    let attributes = if read_only { restricted | libc::MOUNT_ATTR_RDONLY } else { restricted };
    kernel::set_mount_attributes(mount.as_fd(), attributes, true)?;
    Ok(mount)
}

/// A detached mount of a new file system.
pub(super) fn file_system(
    kind: &str,
    flags: &[&str],
    options: &[(&str, String)],
    attributes: MountAttrFlags,
) -> rustix::io::Result<OwnedFd> {
    let context = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
    for flag in flags {
        fsconfig_set_flag(&context, *flag)?;
    }
    for (key, value) in options {
        fsconfig_set_string(&context, *key, value.as_str())?;
    }
    fsconfig_create(&context)?;
    fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes | MountAttrFlags::MOUNT_ATTR_NOSUID)
}

/// Mounts the root file system in a place that no other process sees, and opens it.
fn make_root(spec: &Spec, mapping: Mapping) -> Result<OwnedFd, Failure> {
    let folder = |path: &Path| {
        rustix::fs::open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
            .during(Stage::Root, || format!("open `{}` for the root", path.display()))
    };
    let lowers = spec.lowers.iter().map(|lower| folder(lower)).collect::<Result<Vec<_>, _>>()?;
    let given = match (&spec.upper, &spec.work) {
        (Some(upper), Some(work)) => Some((folder(upper)?, folder(work)?)),
        _ => None,
    };
    let stage = STAGES
        .iter()
        .find_map(|path| {
            rustix::fs::open(*path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).ok()
        })
        .ok_or(Errno::NOENT)
        .during(Stage::Root, || format!("find one of {STAGES:?}"))?;
    let prepare = || -> rustix::io::Result<_> {
        let mode = [("mode", "700".to_owned())];
        let scratch = file_system("tmpfs", &[], &mode, MountAttrFlags::MOUNT_ATTR_NODEV)?;
        root::attach(scratch.as_fd(), stage.as_fd())?;
        for name in ["root", "upper", "work"] {
            rustix::fs::mkdirat(&scratch, name, Mode::from_raw_mode(0o755))?;
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let open = |name: &str| rustix::fs::openat(&scratch, name, flags, Mode::empty());
        Ok((open("root")?, open("upper")?, open("work")?, scratch))
    };
    let (at, own_upper, own_work, scratch) =
        prepare().during(Stage::Root, || "make a scratch file system".to_owned())?;
    // A read-only root has an upper too, which takes the places to mount on and is closed afterwards.
    let (upper, work) = given.unwrap_or((own_upper, own_work));
    let layers =
        Layers { lowers: &lowers, upper: upper.as_fd(), work: work.as_fd(), trusted: mapping.initial };
    root::mount(&layers, at.as_fd(), spec.overlay)?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat(&scratch, "root", flags, Mode::empty())
        .during(Stage::Root, || "open the root".to_owned())
}

/// Makes `root` this process' `/` and lets go of everything else.
fn turn_to(root: &OwnedFd) -> Result<(), Failure> {
    let turn = || {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let old = rustix::fs::open("/", flags, Mode::empty())?;
        rustix::process::fchdir(root)?;
        match rustix::process::pivot_root(".", ".") {
            Ok(()) => {
                rustix::process::fchdir(&old)?;
                rustix::mount::unmount(".", UnmountFlags::DETACH)?;
            }
            // docker's default filter denies it even to a process that may mount.
            Err(Errno::PERM) => {
                rustix::mount::mount_move(".", "/")?;
                rustix::process::chroot(".")?;
            }
            Err(errno) => return Err(errno),
        }
        rustix::process::chdir("/")
    };
    turn().during(Stage::Root, || "make the new root the root".to_owned())
}
