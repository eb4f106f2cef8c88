//! Ending all steps of a build: one has failed, or something else that the image needs.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use super::sandbox::{Handle, Signal};

/// How long a step may take to end by itself.
const PATIENCE: Duration = Duration::from_secs(1);

/// The running steps of a build, and whether they are to end.
#[derive(Debug, Default)]
pub struct Halt {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    is_set: bool,
    next: u64,
    running: Vec<(u64, Handle)>,
}

impl Halt {
    /// Ends what runs. What is started from now on is ended too.
    pub fn set(&self) {
        let mut state = self.state();
        if !state.is_set {
            state.is_set = true;
            end(state.running.iter().map(|(_, handle)| handle.clone()).collect());
        }
    }

    /// Whether steps are to end.
    pub fn is_set(&self) -> bool {
        self.state().is_set
    }

    /// Takes `handle` for a running step until the guard is dropped.
    pub(super) fn watch(&self, handle: Handle) -> Watched<'_> {
        let mut state = self.state();
        if state.is_set {
            end(vec![handle.clone()]);
        }
        state.next += 1;
        let number = state.next;
        state.running.push((number, handle));
        Watched { halt: self, number }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks first: a package manager may be writing to its cache.
fn end(handles: Vec<Handle>) {
    let signal = |signal| {
        for handle in &handles {
            // It may have ended by itself.
            let _ = handle.signal(signal);
        }
    };
    signal(Signal::TERM);
    thread::spawn(move || {
        thread::sleep(PATIENCE);
        for handle in handles {
            // Likewise.
            let _ = handle.signal(Signal::KILL);
        }
    });
}

/// While it lives, its step is one that runs.
#[derive(Debug)]
pub(super) struct Watched<'a> {
    halt: &'a Halt,
    number: u64,
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        self.halt.state().running.retain(|(number, _)| *number != self.number);
    }
}
