//! Ctrl-C and SIGTERM: running sandboxes are told, the work unwinds, temporary files go, the exit status is 130.
//!
//! One thread waits for the signals, so none of our code runs in a signal handler.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::build::sandbox::{Handle, Signal};
use crate::ui::ExitCode;

static REQUESTED: AtomicBool = AtomicBool::new(false);
/// The sandboxes that run now.
static RUNNING: Mutex<Vec<Running>> = Mutex::new(Vec::new());
static NEXT: AtomicU64 = AtomicU64::new(0);

#[derive(Clone)]
struct Running {
    number: u64,
    handle: Handle,
    /// Whether signals are for it alone (`rpack run`) and do not stop rpack.
    only: bool,
}

/// How long a step may take to end by itself.
const PATIENCE: Duration = Duration::from_secs(1);
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
    let only = running().iter().any(|running| running.only);
    let again = !only && REQUESTED.swap(true, Ordering::SeqCst);
    pass_on(if again { Some(Signal::KILL) } else { Signal::from_named_raw(signal) });
    if !only && !again {
        std::thread::spawn(|| {
            std::thread::sleep(PATIENCE);
            pass_on(Some(Signal::KILL));
            std::thread::sleep(GRACE);
            end();
        });
    }
}

/// Sends `signal` to every sandbox.
fn pass_on(signal: Option<Signal>) {
    for running in running() {
        // It may have ended by itself a moment ago.
        let _ = signal.map(|signal| running.handle.signal(signal));
    }
}

fn running() -> Vec<Running> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

#[expect(clippy::exit, reason = "the work did not unwind in time, and the user asked to stop")]
fn end() {
    std::process::exit(i32::from(ExitCode::Interrupted as u8));
}

/// Names a sandbox that signals go to until the guard is dropped. With `only`, they go to it alone and rpack
/// ends when it does, with its status.
pub fn forward_to(handle: Handle, only: bool) -> Forwarding {
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
    running.push(Running { number, handle, only });
    Forwarding { number }
}

/// While it lives, signals are passed on to a sandbox.
#[derive(Debug)]
pub struct Forwarding {
    number: u64,
}

impl Drop for Forwarding {
    fn drop(&mut self) {
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        running.retain(|running| running.number != self.number);
    }
}
