//! Signals of the supervising processes: which are passed on, how they are read, how everything is ended.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus};

use super::channel::Ending;
use super::kernel;

/// The signals that reach the command when they are sent to a process that supervises it.
const FORWARDED: [Signal; 6] =
    [Signal::TERM, Signal::INT, Signal::HUP, Signal::QUIT, Signal::USR1, Signal::USR2];

/// The signal by which a process without its own process ids learns that its supervisor has gone.
pub(super) const ORPHANED: Signal = Signal::POWER;

/// What was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// A child ended.
    Child,
    /// To be passed on.
    Forward(Signal),
    /// The supervisor has gone.
    Orphaned,
}

/// All signals of this process, as a descriptor.
#[derive(Debug)]
pub(super) struct Signals(OwnedFd);

impl Signals {
    /// Blocks all signals and collects them.
    pub(super) fn collect() -> io::Result<Self> {
        kernel::signal_descriptor().map(Self)
    }

    /// The next event that matters; none when nothing is pending.
    pub(super) fn next(&self) -> Option<Event> {
        // `struct signalfd_siginfo` is 128 bytes long and begins with the number as 32 bits.
        let mut record = [0; 128];
        loop {
            match rustix::io::read(&self.0, &mut record) {
                Ok(_) => {}
                Err(Errno::INTR) => continue,
                Err(_) => return None,
            }
            let [a, b, c, d, ..] = record;
            let number = i32::from_ne_bytes([a, b, c, d]);
            if let Some(event) = Signal::from_named_raw(number).and_then(classify) {
                return Some(event);
            }
        }
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn classify(signal: Signal) -> Option<Event> {
    match signal {
        Signal::CHILD => Some(Event::Child),
        ORPHANED => Some(Event::Orphaned),
        signal if FORWARDED.contains(&signal) => Some(Event::Forward(signal)),
        _ => None,
    }
}

/// Takes note of every child that has ended; how `watched` ended, if it is among them.
pub(super) fn reap(watched: Pid) -> Option<Ending> {
    let mut ending = None;
    while let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) {
        if pid == watched {
            ending = Some(ending_of(status));
        }
    }
    ending
}

fn ending_of(status: WaitStatus) -> Ending {
    match status.terminating_signal() {
        Some(signal) => Ending::Signal(signal),
        None => Ending::Status(status.exit_status().unwrap_or(i32::from(super::SETUP_FAILED))),
    }
}

/// Kills every descendant of this process and waits until none is left.
///
/// This process must be a subreaper: what a killed process leaves behind becomes its child and is killed next.
pub(super) fn kill_descendants() {
    loop {
        for child in children() {
            let _ = rustix::process::kill_process(child, Signal::KILL);
        }
        match rustix::process::wait(WaitOptions::empty()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(_) => return,
        }
    }
}

/// The direct children, from the parent field of every `/proc/PID/stat`.
fn children() -> Vec<Pid> {
    let own = rustix::process::getpid().as_raw_nonzero().get();
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let mut found = Vec::new();
    for entry in entries.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()).and_then(Pid::from_raw)
        else {
            continue;
        };
        let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        if parent_in_stat(&stat) == Some(own) {
            found.push(pid);
        }
    }
    found
}

/// The fourth field; the second is a name in parentheses that may itself hold spaces and parentheses.
fn parent_in_stat(stat: &str) -> Option<i32> {
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_ascii_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parent_is_found_behind_any_process_name() {
        assert_eq!(parent_in_stat("12 (sh) S 7 12 12 0"), Some(7));
        assert_eq!(parent_in_stat("12 (a) b (c)) R 9 1 1"), Some(9));
        assert_eq!(parent_in_stat("12 sh S 7"), None);
    }

    #[test]
    fn only_the_documented_signals_are_passed_on() {
        assert_eq!(classify(Signal::TERM), Some(Event::Forward(Signal::TERM)));
        assert_eq!(classify(Signal::CHILD), Some(Event::Child));
        assert_eq!(classify(Signal::POWER), Some(Event::Orphaned));
        assert_eq!(classify(Signal::WINCH), None);
    }
}
