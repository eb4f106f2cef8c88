//! Ctrl-C and SIGTERM: the running sandbox is told, the work unwinds, temporary files go, the exit status is 130.
//!
//! One thread waits for the signals, so none of our code runs in a signal handler.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::build::sandbox::{Handle, Signal};
use crate::ui::ExitCode;

static REQUESTED: AtomicBool = AtomicBool::new(false);
/// The sandbox that runs now, and whether signals are for it alone (`rpack run`) and do not stop rpack.
static RUNNING: Mutex<Option<(Handle, bool)>> = Mutex::new(None);

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
    let running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let only = running.as_ref().is_some_and(|(_, only)| *only);
    let again = !only && REQUESTED.swap(true, Ordering::SeqCst);
    if let Some((handle, _)) = &running {
        let signal = if again { Some(Signal::KILL) } else { Signal::from_named_raw(signal) };
        // The sandbox may have ended by itself a moment ago.
        let _ = signal.map(|signal| handle.signal(signal));
    }
    if !only && !again {
        std::thread::spawn(move || {
            std::thread::sleep(PATIENCE);
            // Likewise.
            let _ = running.map(|(handle, _)| handle.signal(Signal::KILL));
            std::thread::sleep(GRACE);
            end();
        });
    }
}

#[expect(clippy::exit, reason = "the work did not unwind in time, and the user asked to stop")]
fn end() {
    std::process::exit(i32::from(ExitCode::Interrupted as u8));
}

/// Names the sandbox that signals go to until the guard is dropped. With `only`, they go to it alone and rpack
/// ends when it does, with its status.
pub fn forward_to(handle: Handle, only: bool) -> Forwarding {
    *RUNNING.lock().unwrap_or_else(PoisonError::into_inner) = Some((handle, only));
    Forwarding(())
}

/// While it lives, signals are passed on to a sandbox.
#[derive(Debug)]
pub struct Forwarding(());

impl Drop for Forwarding {
    fn drop(&mut self) {
        *RUNNING.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}
