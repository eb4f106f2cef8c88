//! The caller's side: starts the sandbox process and follows what it reports.
//!
//! In: a [`Spec`]. Out: a [`Running`] command, then its [`Outcome`]. The caller may have threads; everything that
//! must not happen beside them is done by rpack's own program, executed anew.
//!
//! Invariants: when a [`Running`] is dropped, or the caller is killed, no process and no mount is left.

use std::fs;
use std::io;
use std::net::TcpStream;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal};

use super::channel::{Channel, Ending, Failure, Job, Report, Request, Stage};
use super::probe::Tier;
use super::spec::{Isolation, Output, Spec, Stdin};
use super::{Error, PROGRAM, restore};

/// Starts sandboxes by executing a program that calls [`reenter`](super::reenter).
#[derive(Clone, Debug)]
pub struct Sandbox {
    executable: PathBuf,
}

impl Default for Sandbox {
    fn default() -> Self {
        Self { executable: PathBuf::from("/proc/self/exe") }
    }
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The exit status; 128 and the number of the signal for a command that a signal ended.
    pub code: i32,
    /// The signal that ended it.
    pub signal: Option<i32>,
}

/// A command that runs.
#[derive(Debug)]
pub struct Running {
    /// Its standard output, with [`Output::Pipe`]; it must be read or taken, or the command will block.
    pub stdout: Option<ChildStdout>,
    /// Its standard error, likewise.
    pub stderr: Option<ChildStderr>,
    /// The first process inside, as the caller sees it: the command itself with `pid_one`.
    pub pid: i32,
    /// How far it is isolated: [`Tier::A`] or [`Tier::B`].
    pub tier: Tier,
    supervisor: Child,
    handle: Handle,
    upper: Option<(PathBuf, PathBuf)>,
    lowers: Vec<PathBuf>,
    made: Vec<PathBuf>,
    outcome: Option<Outcome>,
}

/// Reaches a running command from any thread, also while another one waits for it.
#[derive(Clone, Debug)]
pub struct Handle {
    control: Arc<Channel>,
    supervisor: Arc<OwnedFd>,
}

impl Sandbox {
    /// Uses another program than the running one.
    pub fn with_executable(executable: impl Into<PathBuf>) -> Self {
        Self { executable: executable.into() }
    }

    /// Starts a command, and returns when it is executed.
    ///
    /// With [`Isolation::Auto`], where the kernel refuses a fresh `/proc`, it runs with the host's process ids:
    /// [`Running::tier`] says so.
    ///
    /// # Errors
    /// Whatever kept the command from being executed; nothing is left then.
    pub fn spawn(&self, spec: &Spec) -> Result<Running, Error> {
        spec.check()?;
        if let (Some(upper), Some(work)) = (&spec.upper, &spec.work) {
            // The kernel marks it while it is in use without waiting for the disk, and refuses it afterwards.
            if fs::read_dir(work).is_ok_and(|mut entries| entries.next().is_some()) {
                let what = format!("its work folder `{}` is not empty: it serves one run", work.display());
                return Err(Error::Invalid { what });
            }
            // The mode of the upper folder is the mode of `/`.
            fs::set_permissions(upper, fs::Permissions::from_mode(0o755)).map_err(|source| Error::Setup {
                operation: format!("make `{}` readable for all", upper.display()),
                source,
                detail: String::new(),
            })?;
        }
        match self.launch(spec)? {
            Ok(running) => Ok(running),
            Err(failure) if failure.stage == Stage::Proc && spec.isolation == Isolation::Auto => {
                let spec = Spec { isolation: Isolation::HostPids, ..spec.clone() };
                self.launch(&spec)?.map_err(|failure| Error::from_failure(failure, &spec))
            }
            Err(failure) => Err(Error::from_failure(failure, spec)),
        }
    }

    fn launch(&self, spec: &Spec) -> Result<Result<Running, Failure>, Error> {
        let streams = || match spec.output {
            Output::Pipe => Stdio::piped(),
            Output::Inherit => Stdio::inherit(),
            Output::Null => Stdio::null(),
        };
        let job = Job::Run(Box::new(spec.clone()));
        let (mut supervisor, control) = self.start(&job, spec.stdin, streams(), streams())?;
        let mut made = Vec::new();
        let pid = loop {
            match control.receive() {
                Ok(Some((Report::MountPoints(paths), _))) => made = paths,
                Ok(Some((Report::Started(pid), _))) => break pid,
                Ok(Some((Report::Failed(failure), _))) => {
                    let _ = supervisor.wait();
                    remove_traces(spec, &made);
                    return Ok(Err(failure));
                }
                _ => {
                    drop(control);
                    let _ = supervisor.wait();
                    return Err(Error::Lost);
                }
            }
        };
        let descriptor = i32::try_from(supervisor.id()).ok().and_then(Pid::from_raw).ok_or(Error::Lost)?;
        let descriptor = rustix::process::pidfd_open(descriptor, PidfdFlags::empty());
        let descriptor = descriptor.map_err(|errno| Error::Setup {
            operation: "open its own process".to_owned(),
            source: errno.into(),
            detail: String::new(),
        })?;
        Ok(Ok(Running {
            stdout: supervisor.stdout.take(),
            stderr: supervisor.stderr.take(),
            pid,
            tier: if spec.isolation == Isolation::HostPids { Tier::B } else { Tier::A },
            supervisor,
            handle: Handle { control: Arc::new(control), supervisor: Arc::new(descriptor) },
            upper: spec.upper.clone().zip(spec.work.clone()),
            lowers: spec.lowers.clone(),
            made,
            outcome: None,
        }))
    }

    /// Executes the program and hands it the job.
    pub(super) fn start(
        &self,
        job: &Job,
        stdin: Stdin,
        stdout: Stdio,
        stderr: Stdio,
    ) -> Result<(Child, Channel), Error> {
        let failed = |source| Error::Start { executable: self.executable.clone(), source };
        let (control, inner) = Channel::pair().map_err(failed)?;
        // The value of the builder is dropped here, and with it our copy of the child's end.
        let mut supervisor = Command::new(&self.executable)
            .arg0(PROGRAM)
            .env_clear()
            .stdin(Stdio::from(inner.into_descriptor()))
            .stdout(stdout)
            .stderr(stderr)
            // A key pressed on the terminal reaches the caller alone, which decides.
            .process_group(0)
            .spawn()
            .map_err(failed)?;
        let stdin = (stdin == Stdin::Inherit).then(rustix::stdio::stdin);
        if let Err(source) = control.send_job(job, stdin) {
            drop(control);
            let _ = supervisor.wait();
            return Err(failed(source));
        }
        Ok((supervisor, control))
    }
}

impl Running {
    /// Sends a signal to the command: TERM, INT, HUP, QUIT, USR1 or USR2, which are passed on.
    ///
    /// # Errors
    /// `ESRCH` when it has ended.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        self.handle.signal(signal)
    }

    /// A handle for other threads.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Waits until the command and everything that it started has ended.
    ///
    /// Then `upper` holds what it wrote, without the places that were made to mount on; whiteouts are character
    /// devices 0:0, and opaque directories carry `user.overlay.opaque` or `trusted.overlay.opaque`.
    ///
    /// # Errors
    /// [`Error::Lost`] when the supervising process was killed.
    pub fn wait(&mut self) -> Result<Outcome, Error> {
        loop {
            if let Some(outcome) = self.outcome {
                return Ok(outcome);
            }
            let report = self.handle.control.receive::<Report>();
            match report {
                Ok(Some((Report::Exited(ending), _))) => self.conclude(ending),
                Ok(Some(_)) => {}
                _ => return Err(Error::Lost),
            }
        }
    }

    /// As [`wait`](Self::wait), but no longer than `patience`; none when the command still runs then.
    ///
    /// # Errors
    /// As [`wait`](Self::wait).
    pub fn wait_for(&mut self, patience: Duration) -> Result<Option<Outcome>, Error> {
        let end = Instant::now() + patience;
        while self.outcome.is_none() {
            let left = end.saturating_duration_since(Instant::now());
            let limit = Timespec::try_from(left).unwrap_or(Timespec { tv_sec: 3600, tv_nsec: 0 });
            let mut waiting = [PollFd::new(&*self.handle.control, PollFlags::IN)];
            match poll(&mut waiting, Some(&limit)) {
                Ok(0) => return Ok(None),
                Ok(_) => return self.wait().map(Some),
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => return Err(Error::Lost),
            }
        }
        Ok(self.outcome)
    }

    /// Ends the command and everything that it started, at once.
    pub fn kill(&mut self) {
        let _ = rustix::net::shutdown(&*self.handle.control, rustix::net::Shutdown::Both);
        let _ = self.supervisor.wait();
        self.clean();
        self.outcome.get_or_insert(Ending::Signal(Signal::KILL.as_raw()).into());
    }

    fn conclude(&mut self, ending: Ending) {
        let _ = self.supervisor.wait();
        self.clean();
        self.outcome = Some(ending.into());
    }

    fn clean(&self) {
        if let Some((upper, work)) = &self.upper {
            restore::remove_mount_points(upper, &self.lowers, &self.made);
            restore::release_work(work);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.outcome.is_none() {
            self.kill();
        }
    }
}

impl Handle {
    /// As [`Running::signal`].
    ///
    /// # Errors
    /// `ESRCH` when it has ended.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        Ok(rustix::process::pidfd_send_signal(&*self.supervisor, signal)?)
    }

    /// A connection to `port` on the command's own loopback, which needs no network of the sandbox.
    ///
    /// # Errors
    /// `ECONNREFUSED` as long as nothing listens there; `UnexpectedEof` when the sandbox has ended.
    pub fn connect(&self, port: u16) -> io::Result<TcpStream> {
        let (answer, inner) = Channel::pair()?;
        self.control.send(&Request::Connect(port), &[inner.as_fd()])?;
        drop(inner);
        match answer.receive()? {
            Some((Report::Connected(0), attached)) => {
                let socket = attached.into_iter().next().ok_or(io::ErrorKind::UnexpectedEof)?;
                Ok(TcpStream::from(socket))
            }
            Some((Report::Connected(errno), _)) => Err(io::Error::from_raw_os_error(errno)),
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

impl From<Ending> for Outcome {
    fn from(ending: Ending) -> Self {
        let signal = match ending {
            Ending::Signal(signal) => Some(signal),
            Ending::Status(_) => None,
        };
        Self { code: ending.status(), signal }
    }
}

fn remove_traces(spec: &Spec, made: &[PathBuf]) {
    let paths: (Option<&Path>, Option<&Path>) = (spec.upper.as_deref(), spec.work.as_deref());
    if let (Some(upper), Some(work)) = paths {
        restore::remove_mount_points(upper, &spec.lowers, made);
        restore::release_work(work);
    }
}
