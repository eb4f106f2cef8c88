//! The one way to stderr.
//!
//! In: events of the stages, from several threads. Out: moving bars, lines or JSON, by [`Progress`]. Foreign
//! output is stripped of control sequences before it is shown or kept; a closed stderr never ends a build.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use super::Diagnose;
use super::event::{Event, Warning};
use super::live::{Bar, Live};
use super::render::{render, render_json};
use super::terminal::printable;
use super::timeline::{Cache, Ending, Kind, Running, Timeline};
use crate::config::Environment;

/// How many of its last lines are kept of each step, for the error that ends it.
pub const TAIL_LINES: usize = 100;

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

/// Writes progress, warnings and errors to stderr. Cheap to clone; usable from several threads.
#[derive(Clone)]
pub struct Reporter {
    shared: Arc<Shared>,
    verbose: bool,
    timeline: Timeline,
}

struct Shared {
    progress: Progress,
    colour: bool,
    live: Option<Live>,
    sink: Mutex<Box<dyn Write + Send>>,
    tails: Mutex<BTreeMap<String, VecDeque<String>>>,
    warnings: Mutex<Vec<Warning>>,
}

impl fmt::Debug for Reporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shared { progress, colour, .. } = &*self.shared;
        f.debug_struct("Reporter").field("progress", progress).field("colour", colour).finish_non_exhaustive()
    }
}

impl Reporter {
    /// A reporter to stderr in the given style, without colour.
    pub fn new(progress: Progress) -> Self {
        Self::build(progress, false, Box::new(io::stderr()))
    }

    /// A reporter that writes to `sink`; [`Progress::Tty`] is shown as [`Progress::Plain`].
    pub fn to(progress: Progress, colour: bool, sink: impl Write + Send + 'static) -> Self {
        let progress = if progress == Progress::Tty { Progress::Plain } else { progress };
        Self::build(progress, colour, Box::new(sink))
    }

    /// The style for this process: `flag` (`--progress`) as asked, `--quiet` above all, else bars on a terminal
    /// and lines elsewhere and in CI. Colours only on a terminal, never with `NO_COLOR` or `TERM=dumb`.
    pub fn auto(flag: Option<Progress>, quiet: bool, is_terminal: bool, environment: &Environment) -> Self {
        let dumb = environment.get("TERM") == Some("dumb");
        let moving = is_terminal && !dumb && !environment.is_ci();
        let progress = match flag {
            _ if quiet => Progress::Quiet,
            Some(progress) => progress,
            None if moving => Progress::Tty,
            None => Progress::Plain,
        };
        let colour = is_terminal && !dumb && !environment.no_color();
        Self::build(progress, colour, Box::new(io::stderr()))
    }

    fn build(progress: Progress, colour: bool, sink: Box<dyn Write + Send>) -> Self {
        let live = (progress == Progress::Tty).then(|| Live::stderr(colour));
        let (sink, tails, warnings) = (Mutex::new(sink), Mutex::default(), Mutex::default());
        let shared = Arc::new(Shared { progress, colour, live, sink, tails, warnings });
        Self { shared, verbose: false, timeline: Timeline::default() }
    }

    /// The same with another timeline; its clones share that too.
    #[must_use]
    pub fn with_timeline(self, timeline: Timeline) -> Self {
        Self { timeline, ..self }
    }

    /// The same, showing details as well or not.
    #[must_use]
    pub fn with_details(self, verbose: bool) -> Self {
        Self { verbose: verbose && self.shared.progress != Progress::Quiet, ..self }
    }

    /// Whether details are shown, and worth finding out.
    pub fn is_verbose(&self) -> bool {
        self.verbose
    }

    /// The style in use.
    pub fn progress(&self) -> Progress {
        self.shared.progress
    }

    /// Whether colours are used.
    pub fn colour(&self) -> bool {
        self.shared.colour
    }

    /// A line of information.
    pub fn info(&self, text: &str) {
        self.emit(&Event::Info { text });
    }

    /// A line for those who asked for details (`-v`).
    pub fn detail(&self, text: &str) {
        if self.verbose {
            // It may name what came from elsewhere.
            self.emit(&Event::Detail { text: &printable(text) });
        }
    }

    /// A warning with its stable id; `hint` says what to do about it.
    pub fn warn(&self, id: &str, text: &str, hint: Option<&str>) {
        self.emit(&Event::Warning { id, text, hint });
        let hint = hint.map(str::to_owned);
        lock(&self.shared.warnings).push(Warning { id: id.to_owned(), text: text.to_owned(), hint });
    }

    /// All warnings so far, in every style.
    pub fn warnings(&self) -> Vec<Warning> {
        lock(&self.shared.warnings).clone()
    }

    /// An error, in every style.
    pub fn error(&self, error: &dyn Diagnose) {
        if self.shared.progress == Progress::Json {
            let mut value = render_json(error);
            value["event"] = "error".into();
            self.json(&value);
        } else {
            self.line(render(error, self.shared.colour).trim_end());
        }
    }

    /// What ran from when to when, since this reporter was made.
    pub fn timeline(&self) -> &Timeline {
        &self.timeline
    }

    /// Begins a stage. Nothing is shown of it; it is for the timeline.
    pub fn begin(&self, stage: &str) -> Running {
        self.timeline.begin(Kind::Stage, stage)
    }

    /// Does the work of a stage, which is finished unless that fails.
    ///
    /// # Errors
    /// Those of the work.
    pub fn stage<T, E>(&self, stage: &str, work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let running = self.begin(stage);
        let done = work()?;
        running.done();
        Ok(done)
    }

    /// Notes that `bytes` need no transfer, since they are there already. Nothing is shown of it.
    pub fn found(&self, label: &str, bytes: u64) {
        let ending = Ending { outcome: None, cache: Some(Cache::Hit), bytes: Some(bytes) };
        self.timeline.begin(Kind::Download, label).ended(ending);
    }

    /// Starts a task of one line (`node.install  npm ci`); dropping it without `done` leaves it unfinished.
    pub fn task(&self, label: &str) -> Task {
        let bar = self.shared.live.as_ref().map(|live| live.task(label));
        if bar.is_none() {
            self.emit(&Event::Task { label });
        }
        let running = self.timeline.begin(Kind::Task, label);
        Task { reporter: self.clone(), label: label.to_owned(), bar, running }
    }

    /// Starts a transfer of `total` bytes in all (0 when unknown).
    pub fn transfer(&self, label: &str, total: u64) -> Transfer {
        let bar = self.shared.live.as_ref().map(|live| live.transfer(label, total));
        if bar.is_none() {
            self.emit(&Event::Transfer { label, total });
        }
        let running = Arc::new(Mutex::new(Some(self.timeline.begin(Kind::Download, label))));
        let (reporter, bar) = (self.clone(), bar.map(Arc::new));
        Transfer { reporter, label: label.to_owned(), done: Arc::default(), bar, running }
    }

    /// A line that a build step printed. The last [`TAIL_LINES`] are kept for [`Reporter::tail`].
    pub fn output(&self, step: &str, line: &str) {
        let line = printable(line);
        let mut tails = lock(&self.shared.tails);
        let tail = tails.entry(step.to_owned()).or_default();
        if tail.len() == TAIL_LINES {
            tail.pop_front();
        }
        tail.push_back(line.clone());
        let shown = self.shared.live.as_ref().is_some_and(|live| live.output(step, tail));
        drop(tails);
        if !shown {
            self.emit(&Event::Output { step, line: &line });
        }
    }

    /// The last lines that `step` printed, oldest first.
    pub fn tail(&self, step: &str) -> Vec<String> {
        lock(&self.shared.tails).get(step).map(|tail| tail.iter().cloned().collect()).unwrap_or_default()
    }

    fn emit(&self, event: &Event<'_>) {
        match self.shared.progress {
            Progress::Quiet => {}
            Progress::Json => self.json(event),
            Progress::Plain | Progress::Tty => self.line(&event.text(self.shared.colour)),
        }
    }

    fn json(&self, value: &impl Serialize) {
        // Every value given here is made of texts and numbers, which always serialise.
        if let Ok(text) = serde_json::to_string(value) {
            self.line(&text);
        }
    }

    fn line(&self, text: &str) {
        if let Some(live) = &self.shared.live {
            live.line(text);
        } else {
            let mut sink = lock(&self.shared.sink);
            let _ = writeln!(sink, "{text}").and_then(|()| sink.flush());
        }
    }
}

/// A thread that panicked while it held the lock left nothing half-written that matters here.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A running task.
#[derive(Debug)]
pub struct Task {
    reporter: Reporter,
    label: String,
    bar: Option<Bar>,
    running: Running,
}

impl Task {
    /// Ends the task with its outcome (`3.2 s`).
    pub fn done(self, outcome: &str) {
        self.end(outcome, None);
    }

    /// Ends the task, whose result was there already (`cached`).
    pub fn found(self, outcome: &str) {
        self.end(outcome, Some(Cache::Hit));
    }

    /// Ends the task, whose result could have been there and was not.
    pub fn made(self, outcome: &str) {
        self.end(outcome, Some(Cache::Miss));
    }

    fn end(self, outcome: &str, cache: Option<Cache>) {
        let Self { reporter, label, bar, running } = self;
        drop(bar);
        running.ended(Ending { outcome: Some(outcome.to_owned()), cache, bytes: None });
        reporter.emit(&Event::TaskDone { label: &label, outcome });
    }
}

/// A running transfer; shared by several threads.
#[derive(Clone, Debug)]
pub struct Transfer {
    reporter: Reporter,
    label: String,
    done: Arc<AtomicU64>,
    bar: Option<Arc<Bar>>,
    running: Arc<Mutex<Option<Running>>>,
}

impl Transfer {
    /// `bytes` more have arrived.
    pub fn advance(&self, bytes: u64) {
        self.done.fetch_add(bytes, Ordering::Relaxed);
        if let Some(bar) = &self.bar {
            bar.advance(bytes);
        }
    }

    /// `bytes` that were counted have not arrived.
    pub fn retract(&self, bytes: u64) {
        self.done.fetch_sub(bytes, Ordering::Relaxed);
        if let Some(bar) = &self.bar {
            bar.retract(bytes);
        }
    }

    /// `bytes` are to arrive in all.
    pub fn expect(&self, bytes: u64) {
        if let Some(bar) = &self.bar {
            bar.expect(bytes);
        }
    }

    /// Everything has arrived.
    pub fn finish(self) {
        let Self { reporter, label, done, bar, running } = self;
        if let Some(bar) = bar {
            bar.clear();
        }
        let bytes = done.load(Ordering::Relaxed);
        if let Some(running) = lock(&running).take() {
            running.ended(Ending { outcome: None, cache: Some(Cache::Miss), bytes: Some(bytes) });
        }
        reporter.emit(&Event::TransferDone { label: &label, bytes });
    }
}
