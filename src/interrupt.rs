//! Ctrl-C and SIGTERM: the running sandbox is told, the work unwinds, temporary files go, the exit status is 130.
//!
//! One thread waits for the signals, so none of our code runs in a signal handler.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::ui::ExitCode;

static REQUESTED: AtomicBool = AtomicBool::new(false);
/// The sandbox that runs now; 0 when none does.
static RUNNING: AtomicI32 = AtomicI32::new(0);
/// Whether a signal is for the program in the sandbox alone (`rpack run`) and does not stop rpack.
static PASS_ON: AtomicBool = AtomicBool::new(false);

/// How long unwinding may take before the process ends anyway: a download in flight is not waited for.
const GRACE: Duration = Duration::from_secs(3);

/// Whether the user asked to stop.
pub fn requested() -> bool {
    REQUESTED.load(Ordering::SeqCst)
}

/// Starts waiting for signals; called once, before any work.
///
/// # Errors
/// When the system refuses the handlers or the thread.
pub fn watch() -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        for signal in signals.forever() {
            received(signal);
        }
    })?;
    Ok(())
}

fn received(signal: i32) {
    let again = !PASS_ON.load(Ordering::SeqCst) && REQUESTED.swap(true, Ordering::SeqCst);
    if let Some(pid) = Pid::from_raw(RUNNING.load(Ordering::SeqCst)) {
        let signal = if again { Some(Signal::KILL) } else { Signal::from_named_raw(signal) };
        // The sandbox may have ended by itself a moment ago.
        let _ = signal.map(|signal| kill_process(pid, signal));
    }
    if !PASS_ON.load(Ordering::SeqCst) {
        std::thread::spawn(|| {
            std::thread::sleep(GRACE);
            end();
        });
    }
}

#[expect(clippy::exit, reason = "the work did not unwind in time, and the user asked to stop")]
fn end() {
    std::process::exit(i32::from(ExitCode::Interrupted as u8));
}

/// Names the sandbox process that signals go to until the guard is dropped. With `only`, they go to it alone
/// and rpack ends when it does, with its status.
pub fn forward_to(pid: i32, only: bool) -> Forwarding {
    PASS_ON.store(only, Ordering::SeqCst);
    RUNNING.store(pid, Ordering::SeqCst);
    Forwarding(())
}

/// While it lives, signals are passed on to a sandbox.
#[derive(Debug)]
pub struct Forwarding(());

impl Drop for Forwarding {
    fn drop(&mut self) {
        RUNNING.store(0, Ordering::SeqCst);
        PASS_ON.store(false, Ordering::SeqCst);
    }
}
