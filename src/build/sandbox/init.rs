//! The first process inside: makes the view, starts the command, reaps what it leaves behind.
//!
//! In: the spec, in new namespaces. Out: reports to the supervisor. With its own process ids the kernel ends
//! everything inside when this process ends; with the host's it does so itself.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::Mode;
use rustix::process::{DumpableBehavior, Pid, Signal};

use super::channel::{Channel, During as _, Ending, Failure, Report, Stage};
use super::identity::Mapping;
use super::signals::{Event, ORPHANED, Signals};
use super::spec::Spec;
use super::step::Step;
use super::{SETUP_FAILED, kernel, network, signals, view};

/// Never returns: becomes the command, or ends as the command ends.
pub(super) fn run(spec: &Spec, mapping: Mapping, host_pids: bool, status: Channel) -> ! {
    let code = match serve(spec, mapping, host_pids, &status) {
        Ok(ending) => {
            let _ = status.send(&Report::Exited(ending), &[]);
            ending.status()
        }
        Err(failure) => {
            let _ = status.send(&Report::Failed(failure), &[]);
            i32::from(SETUP_FAILED)
        }
    };
    if host_pids {
        signals::kill_descendants();
    }
    drop(status);
    kernel::leave(code)
}

fn serve(spec: &Spec, mapping: Mapping, host_pids: bool, status: &Channel) -> Result<Ending, Failure> {
    let during = |what: &'static str| move || what.to_owned();
    // A process that must end others first cannot be killed outright.
    let farewell = if host_pids && !spec.pid_one { ORPHANED } else { Signal::KILL };
    rustix::process::set_parent_process_death_signal(Some(farewell))
        .during(Stage::Other, during("set the parent death signal"))?;
    if has_gone(status) {
        kernel::leave(i32::from(SETUP_FAILED));
    }
    rustix::system::sethostname(spec.hostname.as_bytes())
        .during(Stage::Other, || format!("set the host name `{}`", spec.hostname))?;
    if !spec.network {
        network::raise_loopback().during(Stage::Other, during("bring `lo` up"))?;
    }
    rustix::process::umask(Mode::empty());
    let made = view::enter(spec, mapping, host_pids)?;
    rustix::process::umask(Mode::from_raw_mode(0o022));
    status
        .send(&Report::MountPoints(made), &[])
        .during(Stage::Other, during("report the places that were mounted on"))?;
    let step = Step::prepare(spec, mapping.single && spec.uid == 0)?;
    if spec.pid_one {
        return Err(step.become_it());
    }
    let signals = Signals::collect().during(Stage::Other, during("collect signals"))?;
    if host_pids {
        rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
            .during(Stage::Other, during("become a reaper"))?;
    }
    let command = start(&step)?;
    status.send(&Report::Started(0), &[]).during(Stage::Other, during("report the start"))?;
    // The command may run as the same user; it has no business in this process.
    let _ = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable);
    Ok(attend(command, &signals))
}

/// Forks the command and waits until it is executed.
fn start(step: &Step<'_>) -> Result<Pid, Failure> {
    let during = |what: &'static str| move || what.to_owned();
    let (outer, inner) = Channel::pair().during(Stage::Other, during("make a socket pair"))?;
    let Some(command) = kernel::fork().during(Stage::Other, during("start a process"))? else {
        drop(outer);
        let _ = inner.send(&Report::Failed(step.become_it()), &[]);
        kernel::leave(i32::from(SETUP_FAILED));
    };
    drop(inner);
    // The other end is closed by exec.
    match outer.receive().during(Stage::Other, during("read whether the command started"))? {
        Some((Report::Failed(failure), _)) => Err(failure),
        _ => Ok(command),
    }
}

/// Passes signals on and reaps until the command ends.
fn attend(command: Pid, signals: &Signals) -> Ending {
    loop {
        let mut waiting = [PollFd::new(signals, PollFlags::IN)];
        let _ = poll(&mut waiting, None);
        while let Some(event) = signals.next() {
            match event {
                Event::Child => {
                    if let Some(ending) = signals::reap(command) {
                        return ending;
                    }
                }
                Event::Forward(signal) => {
                    let _ = rustix::process::kill_process(command, signal);
                }
                Event::Orphaned => return Ending::Signal(Signal::KILL.as_raw()),
            }
        }
    }
}

/// Whether the supervisor ended before its death could be noticed by signal.
fn has_gone(status: &Channel) -> bool {
    let mut waiting = [PollFd::new(status, PollFlags::empty())];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut waiting, Some(&now)).is_ok_and(|ready| ready > 0)
}
