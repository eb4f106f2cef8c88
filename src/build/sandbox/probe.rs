//! What this machine allows, found by trying it, each trial in a process of its own.
//!
//! In: a folder in which results of steps would be collected. Out: a table, and the [`Tier`] that follows from it.

use std::io;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use rustix::fs::{FileType, Mode, OFlags};
use rustix::mount::{MountAttrFlags, MountPropagationFlags};
use rustix::thread::UnshareFlags;
use serde::{Deserialize, Serialize};

use super::channel::{Ending, Failure, Job, Report};
use super::identity::{self, Mapping};
use super::remedy::Settings;
use super::root::Layers;
use super::spec::{Overlay, Stdin};
use super::view::file_system;
use super::{Error, Sandbox, channel, kernel, network, remedy, restore, root};

/// How far a command can be isolated on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Tier {
    /// Fully: own users, mounts, processes and network.
    A,
    /// With the process ids of the host: steps see, and can signal, other processes of the same user.
    B,
    /// Only by `chroot`, which rpack does not use unasked.
    C,
    /// Not at all.
    D,
}

impl Tier {
    /// What people are told, once for a whole run, when a sandbox is weaker than it should be.
    pub fn announcement(self) -> Option<&'static str> {
        match self {
            Self::A => None,
            Self::B => Some(
                "this container masks parts of `/proc`, so steps run with the host's process ids: they can see \
                 and signal other processes of this user",
            ),
            Self::C => Some("no namespaces are allowed here: only a weak `chroot` would be possible"),
            Self::D => Some("neither namespaces nor `chroot` are allowed here: no step can be run"),
        }
    }
}

/// Something that is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Check {
    /// A user namespace with one mapped id.
    UserNamespace,
    /// A mount namespace with a tmpfs in it, inside a user namespace.
    MountsAsUser,
    /// A mount namespace with a tmpfs in it, with the privileges at hand.
    MountsAsRoot,
    /// Own process ids with a fresh `/proc`.
    Processes,
    /// An overlay whose upper lies in the folder for results.
    Overlay,
    /// An overlay whose upper lies in `/var/tmp`.
    OverlayOnRoot,
    /// A network of its own with `lo`.
    Network,
    /// `chroot`.
    Chroot,
    /// Device nodes.
    MakeNode,
    /// Control groups that can be written.
    ControlGroups,
}

const CHECKS: [Check; 10] = [
    Check::UserNamespace,
    Check::MountsAsUser,
    Check::MountsAsRoot,
    Check::Processes,
    Check::Overlay,
    Check::OverlayOnRoot,
    Check::Network,
    Check::Chroot,
    Check::MakeNode,
    Check::ControlGroups,
];

/// One line of the table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Probe {
    /// What was tried.
    pub check: Check,
    /// Its name for people.
    pub name: String,
    /// Whether it succeeded.
    pub passed: bool,
    /// What was seen.
    pub detail: String,
    /// What to do where its failure matters.
    pub remedy: Option<String>,
}

/// The tier that follows from a table.
pub fn tier(probes: &[Probe]) -> Tier {
    let passed = |check| probes.iter().any(|probe| probe.check == check && probe.passed);
    let mounts = passed(Check::MountsAsUser) || passed(Check::MountsAsRoot);
    if mounts && passed(Check::Overlay) {
        return if passed(Check::Processes) { Tier::A } else { Tier::B };
    }
    if passed(Check::Chroot) { Tier::C } else { Tier::D }
}

impl Sandbox {
    /// Tries everything; `scratch` is an existing folder on the file system where results will be collected.
    ///
    /// # Errors
    /// When rpack cannot start itself again; a refusal is a line of the table.
    pub fn probe(&self, scratch: &Path) -> Result<Vec<Probe>, Error> {
        let settings = Settings::read();
        let mut probes = Vec::new();
        for check in CHECKS {
            let (passed, detail) = self.try_one(check, scratch)?;
            let remedy = (!passed).then(|| remedy_for(check, &settings)).flatten();
            probes.push(Probe { check, name: name_of(check, scratch), passed, detail, remedy });
        }
        // Root needs no user namespace, and an ordinary user no root: one of the two is enough.
        if tier(&probes) <= Tier::B {
            for probe in &mut probes {
                if matches!(probe.check, Check::UserNamespace | Check::MountsAsUser | Check::MountsAsRoot) {
                    probe.remedy = None;
                }
            }
        }
        Ok(probes)
    }

    fn try_one(&self, check: Check, scratch: &Path) -> Result<(bool, String), Error> {
        let place = if check == Check::OverlayOnRoot { Path::new("/var/tmp") } else { scratch };
        let folder = match tempfile::Builder::new().prefix(".rpack-probe-").tempdir_in(place) {
            Ok(folder) => folder,
            Err(error) => return Ok((false, format!("cannot write to `{}`: {error}", place.display()))),
        };
        let job = Job::Probe(check, folder.path().to_owned());
        let (mut child, control) = self.start(&job, Stdin::Null, Stdio::null(), Stdio::null())?;
        let answer = control.receive::<Report>();
        let _ = child.wait();
        restore::release_work(&folder.path().join("work"));
        match answer {
            Ok(Some((Report::Probed(passed, detail), _))) => Ok((passed, detail)),
            _ => Ok((false, "the trial was ended by the system".to_owned())),
        }
    }
}

/// Carries out one trial, in a process that ends afterwards.
pub(super) fn perform(control: &channel::Channel, check: Check, folder: &Path) -> i32 {
    let (passed, detail) = match attempt(check, folder) {
        Ok(detail) => (true, detail),
        Err(problem) => (false, problem.0),
    };
    match control.send(&Report::Probed(passed, detail), &[]) {
        Ok(()) => 0,
        Err(_) => i32::from(super::SETUP_FAILED),
    }
}

/// Why a trial failed, in words.
struct Problem(String);

impl From<rustix::io::Errno> for Problem {
    fn from(errno: rustix::io::Errno) -> Self {
        Self(io::Error::from(errno).to_string())
    }
}

impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        let error = io::Error::from_raw_os_error(failure.errno);
        let detail = if failure.detail.is_empty() { String::new() } else { format!(" ({})", failure.detail) };
        Self(format!("cannot {}: {error}{detail}", failure.operation))
    }
}

fn attempt(check: Check, folder: &Path) -> Result<String, Problem> {
    match check {
        Check::UserNamespace => identity::enter_user_namespace(0, 0)?,
        Check::MountsAsUser => {
            identity::enter_user_namespace(0, 0)?;
            try_mounts()?;
        }
        Check::MountsAsRoot => try_mounts()?,
        Check::Processes => return try_processes(),
        Check::Overlay | Check::OverlayOnRoot => try_overlay(folder)?,
        Check::Network => {
            enter_privileges()?;
            kernel::unshare(UnshareFlags::NEWNET)?;
            network::raise_loopback()?;
        }
        Check::Chroot => rustix::process::chroot(folder)?,
        Check::MakeNode => {
            let null = rustix::fs::makedev(1, 3);
            let mode = Mode::from_raw_mode(0o600);
            rustix::fs::mknodat(rustix::fs::CWD, folder.join("null"), FileType::CharacterDevice, mode, null)?;
        }
        Check::ControlGroups => return writable_groups(),
    }
    Ok("works".to_owned())
}

fn enter_privileges() -> Result<(), Failure> {
    if identity::is_privileged() { Ok(()) } else { identity::enter_user_namespace(0, 0) }
}

fn own_mounts() -> Result<(), Problem> {
    kernel::unshare(UnshareFlags::NEWNS)?;
    rustix::mount::mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
    Ok(())
}

fn try_mounts() -> Result<(), Problem> {
    own_mounts()?;
    file_system("tmpfs", &[], &[], MountAttrFlags::MOUNT_ATTR_NODEV)?;
    Ok(())
}

fn try_processes() -> Result<String, Problem> {
    enter_privileges()?;
    kernel::unshare(UnshareFlags::NEWPID)?;
    own_mounts()?;
    let Some(child) = kernel::fork()? else {
        let mounted = file_system("proc", &[], &[], MountAttrFlags::MOUNT_ATTR_NODEV);
        kernel::leave(mounted.map_or_else(rustix::io::Errno::raw_os_error, |_| 0));
    };
    let status = rustix::process::waitpid(Some(child), rustix::process::WaitOptions::empty())?;
    match status.and_then(|(_, status)| status.exit_status()) {
        Some(0) => Ok("works".to_owned()),
        Some(errno) => Err(io::Error::from_raw_os_error(errno).into()),
        None => Err(Problem("the first process was killed".to_owned())),
    }
}

fn try_overlay(folder: &Path) -> Result<(), Problem> {
    for name in ["lower", "upper", "work", "at"] {
        std::fs::create_dir(folder.join(name))?;
    }
    enter_privileges()?;
    own_mounts()?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let open = |name: &str| rustix::fs::open(folder.join(name), flags, Mode::empty());
    let (lower, upper, work, at) = (open("lower")?, open("upper")?, open("work")?, open("at")?);
    let trusted = Mapping::current()?.initial;
    let layers = Layers { lowers: &[lower], upper: upper.as_fd(), work: work.as_fd(), trusted };
    root::mount(&layers, at.as_fd(), Overlay::Auto)?;
    Ok(())
}

/// The controllers below which this process may make groups.
fn writable_groups() -> Result<String, Problem> {
    let own = std::fs::read_to_string("/proc/self/cgroup")?;
    let mut names = Vec::new();
    for line in own.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else { continue };
        let name = controllers.trim_start_matches("name=");
        let place = PathBuf::from("/sys/fs/cgroup").join(name).join(path.trim_start_matches('/'));
        if rustix::fs::access(&place, rustix::fs::Access::WRITE_OK).is_ok() {
            names.push(if name.is_empty() { "unified" } else { name }.to_owned());
        }
    }
    if names.is_empty() {
        return Err(Problem(
            "none can be written, so memory and processes of steps are not limited".to_owned(),
        ));
    }
    Ok(names.join(", "))
}

fn name_of(check: Check, scratch: &Path) -> String {
    match check {
        Check::UserNamespace => "user namespace".to_owned(),
        Check::MountsAsUser => "mount namespace in a user namespace".to_owned(),
        Check::MountsAsRoot => "mount namespace as root".to_owned(),
        Check::Processes => "process ids with a fresh `/proc`".to_owned(),
        Check::Overlay => format!("overlay with upper in `{}`", scratch.display()),
        Check::OverlayOnRoot => "overlay with upper in `/var/tmp`".to_owned(),
        Check::Network => "network namespace".to_owned(),
        Check::Chroot => "chroot".to_owned(),
        Check::MakeNode => "device nodes".to_owned(),
        Check::ControlGroups => "control groups".to_owned(),
    }
}

/// What to do about a failure; none where a sandbox does without.
fn remedy_for(check: Check, settings: &Settings) -> Option<String> {
    match check {
        Check::UserNamespace | Check::MountsAsUser | Check::MountsAsRoot | Check::Network => {
            Some(settings.remedies(false).join("; or: "))
        }
        Check::Processes => Some(settings.remedies(true).join("; or: ")),
        Check::Overlay => Some(remedy::UPPER.to_owned()),
        Check::OverlayOnRoot | Check::Chroot | Check::MakeNode | Check::ControlGroups => None,
    }
}

impl Ending {
    /// As shells report it: 128 and the number of the signal.
    pub(super) fn status(self) -> i32 {
        match self {
            Self::Status(status) => status,
            Self::Signal(signal) => 128 + signal,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(passed: &[Check]) -> Vec<Probe> {
        let probe = |check| Probe {
            check,
            name: String::new(),
            passed: passed.contains(&check),
            detail: String::new(),
            remedy: None,
        };
        CHECKS.into_iter().map(probe).collect()
    }

    #[test]
    fn tiers_follow_from_the_table() {
        use Check::{Chroot, MountsAsRoot, MountsAsUser, Processes};
        assert_eq!(tier(&table(&[MountsAsUser, Check::Overlay, Processes])), Tier::A);
        assert_eq!(tier(&table(&[MountsAsRoot, Check::Overlay, Processes, Chroot])), Tier::A);
        assert_eq!(tier(&table(&[MountsAsUser, Check::Overlay])), Tier::B);
        assert_eq!(tier(&table(&[Chroot])), Tier::C);
        assert_eq!(tier(&table(&[MountsAsUser, Processes])), Tier::D);
        assert_eq!(tier(&table(&[])), Tier::D);
    }
}
