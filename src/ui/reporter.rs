//! The one way to stderr.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Moving bars and spinners.
    Tty,
    /// One line per event, for logs.
    Plain,
    /// One JSON object per line.
    Json,
    /// Errors only.
    Quiet,
}

/// Writes progress and warnings to stderr. Cheap to clone; usable from several threads.
#[derive(Clone, Debug)]
pub struct Reporter {
    progress: Progress,
}

impl Reporter {
    /// A reporter in the given style.
    pub fn new(progress: Progress) -> Self {
        Self { progress }
    }

    /// A line of information.
    pub fn info(&self, text: &str) {
        if self.progress != Progress::Quiet {
            self.line(text);
        }
    }

    /// A warning with its stable id; `hint` says what to do about it.
    pub fn warn(&self, id: &str, text: &str, hint: Option<&str>) {
        if self.progress == Progress::Quiet {
            return;
        }
        self.line(&format!("warning[{id}]: {text}"));
        if let Some(hint) = hint {
            self.line(&format!("hint: {hint}"));
        }
    }

    /// Starts a task of one line (`node.install  npm ci`); dropping it without `done` leaves it unfinished.
    pub fn task(&self, label: &str) -> Task {
        self.info(label);
        Task { reporter: self.clone(), label: label.to_owned() }
    }

    /// Starts a transfer of `total` bytes in all (0 when unknown).
    pub fn transfer(&self, label: &str, total: u64) -> Transfer {
        Transfer { label: label.to_owned(), total, done: Arc::new(AtomicU64::new(0)) }
    }

    /// A line that a build step printed.
    pub fn output(&self, step: &str, line: &str) {
        if self.progress != Progress::Quiet {
            self.line(&format!("  {step} | {line}"));
        }
    }

    fn line(&self, text: &str) {
        // A closed stderr must not end the build.
        let _ = writeln!(std::io::stderr().lock(), "{text}");
    }
}

/// A running task.
#[derive(Debug)]
pub struct Task {
    reporter: Reporter,
    label: String,
}

impl Task {
    /// Ends the task with its outcome (`cached`, `3.2 s`).
    pub fn done(self, outcome: &str) {
        self.reporter.info(&format!("{}  {outcome}", self.label));
    }
}

/// A running transfer; shared by several threads.
#[derive(Clone, Debug)]
pub struct Transfer {
    label: String,
    total: u64,
    done: Arc<AtomicU64>,
}

impl Transfer {
    /// `bytes` more have arrived.
    pub fn advance(&self, bytes: u64) {
        self.done.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Everything has arrived.
    pub fn finish(self) {
        let _ = (self.label, self.total);
    }
}
