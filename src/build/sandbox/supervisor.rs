//! The re-executed process: enters the namespaces, starts the sandbox's first process, stays outside of it.
//!
//! In: the spec, and a channel to the caller that reads as ended when the caller is gone. Out: reports on that
//! channel, an exit status. When it ends, for whatever reason, nothing of the sandbox is left.

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{Pid, Signal};
use rustix::thread::UnshareFlags;

use super::channel::{Channel, During as _, Ending, Failure, Report, Request, Stage};
use super::identity::{self, Mapping};
use super::signals::{Event, Signals};
use super::spec::{Isolation, Spec};
use super::{SETUP_FAILED, init, kernel, network, signals};

/// Runs `spec` and returns the exit status of this process.
pub(super) fn run(control: &Channel, spec: &Spec) -> i32 {
    match Supervisor::start(control, spec) {
        Ok(mut supervisor) => supervisor.supervise(),
        Err(failure) => {
            let _ = control.send(&Report::Failed(failure), &[]);
            i32::from(SETUP_FAILED)
        }
    }
}

/// Enters the namespaces that `spec` asks for, a user namespace only where privileges lack.
fn enter_namespaces(spec: &Spec, host_pids: bool) -> Result<Mapping, Failure> {
    if !identity::is_privileged() {
        identity::enter_user_namespace(spec.uid, spec.gid)?;
    }
    let mut flags = UnshareFlags::NEWNS | UnshareFlags::NEWIPC | UnshareFlags::NEWUTS;
    flags.set(UnshareFlags::NEWPID, !host_pids);
    flags.set(UnshareFlags::NEWNET, !spec.network);
    kernel::unshare(flags).during(Stage::Namespaces, || "create namespaces".to_owned())?;
    Mapping::current().during(Stage::Namespaces, || "read `/proc/self/uid_map`".to_owned())
}

struct Supervisor<'a> {
    control: &'a Channel,
    signals: Signals,
    /// Closed when the first process of the sandbox needs it no more.
    status: Option<Channel>,
    init: Pid,
    pid_one: bool,
    host_pids: bool,
    failed: bool,
    /// What the first process says of the command.
    reported: Option<Ending>,
    /// How the first process ended itself.
    ended: Option<Ending>,
}

impl<'a> Supervisor<'a> {
    fn start(control: &'a Channel, spec: &Spec) -> Result<Self, Failure> {
        let during = |what: &'static str| move || what.to_owned();
        let signals = Signals::collect().during(Stage::Other, during("collect signals"))?;
        let host_pids = spec.isolation == Isolation::HostPids;
        let mapping = enter_namespaces(spec, host_pids)?;
        if host_pids {
            // Processes that lose their parent come here, and are found here when all must end.
            rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
                .during(Stage::Other, during("become a reaper"))?;
        }
        let (status, inner) = Channel::pair().during(Stage::Other, during("make a socket pair"))?;
        let Some(init) = kernel::fork().during(Stage::Namespaces, during("start the first process"))? else {
            drop((status, signals));
            init::run(spec, mapping, host_pids, inner);
        };
        Ok(Self {
            control,
            signals,
            status: Some(status),
            init,
            pid_one: spec.pid_one,
            host_pids,
            failed: false,
            reported: None,
            ended: None,
        })
    }

    fn supervise(&mut self) -> i32 {
        loop {
            if let (Some(ended), None) = (self.ended, &self.status) {
                return self.finish(ended);
            }
            let Ok([control, signals, status]) = self.wait() else { return self.abandon() };
            if status {
                self.read_status();
            }
            if control && !self.serve() {
                return self.abandon();
            }
            if signals {
                self.read_signals();
            }
        }
    }

    /// Waits until something can be read: from the caller, of signals, from inside.
    fn wait(&self) -> rustix::io::Result<[bool; 3]> {
        let mut waiting =
            vec![PollFd::new(self.control, PollFlags::IN), PollFd::new(&self.signals, PollFlags::IN)];
        waiting.extend(self.status.as_ref().map(|status| PollFd::new(status, PollFlags::IN)));
        rustix::io::retry_on_intr(|| poll(&mut waiting, None))?;
        let ready = |index: usize| waiting.get(index).is_some_and(|entry| !entry.revents().is_empty());
        Ok([ready(0), ready(1), ready(2)])
    }

    fn read_status(&mut self) {
        let received = self.status.as_ref().and_then(|status| status.receive::<Report>().ok().flatten());
        match received {
            Some((Report::Exited(ending), _)) => self.reported = Some(ending),
            Some((Report::Started(_), _)) => self.announce(),
            Some((report, _)) => {
                self.failed |= matches!(report, Report::Failed(_));
                let _ = self.control.send(&report, &[]);
            }
            None => {
                self.status = None;
                // The command took the place of the first process, which closed the channel.
                if self.pid_one && !self.failed {
                    self.announce();
                }
            }
        }
    }

    fn announce(&self) {
        let _ = self.control.send(&Report::Started(self.init.as_raw_nonzero().get()), &[]);
    }

    /// Answers the caller; false when it has gone.
    fn serve(&self) -> bool {
        let Ok(Some((Request::Connect(port), attached))) = self.control.receive() else { return false };
        if let Some(answer) = attached.into_iter().next().map(Channel::from_descriptor) {
            let _ = match network::connect(port) {
                Ok(socket) => answer.send(&Report::Connected(0), &[std::os::fd::AsFd::as_fd(&socket)]),
                Err(errno) => answer.send(&Report::Connected(errno.raw_os_error()), &[]),
            };
        }
        true
    }

    fn read_signals(&mut self) {
        while let Some(event) = self.signals.next() {
            match event {
                Event::Child => self.ended = self.ended.or(signals::reap(self.init)),
                // After its end its number may belong to another process.
                Event::Forward(signal) if self.ended.is_none() => {
                    let _ = rustix::process::kill_process(self.init, signal);
                }
                Event::Forward(_) | Event::Orphaned => {}
            }
        }
    }

    fn finish(&self, ended: Ending) -> i32 {
        if self.host_pids {
            signals::kill_descendants();
        }
        let ending = self.reported.unwrap_or(ended);
        if !self.failed {
            let _ = self.control.send(&Report::Exited(ending), &[]);
        }
        ending.status()
    }

    /// The caller has gone: nothing may be left.
    fn abandon(&self) -> i32 {
        if self.ended.is_none() {
            let _ = rustix::process::kill_process(self.init, Signal::KILL);
            while let Err(Errno::INTR) =
                rustix::process::waitpid(Some(self.init), rustix::process::WaitOptions::empty())
            {}
        }
        if self.host_pids {
            signals::kill_descendants();
        }
        i32::from(SETUP_FAILED)
    }
}
