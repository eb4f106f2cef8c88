//! Takes note of what ran from when to when.
//!
//! In: beginnings and endings, from several threads, as the [`Reporter`](super::Reporter) hears of them. Out: a
//! [`Record`] of [`Span`]s, in the order in which they began. Invariants: a parent stands before what ran in it; times
//! count from the beginning of the process and never go back; labels have no control characters. What steps print is
//! not noted, because it may hold what nobody should keep.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

use super::terminal::printable;

/// What a span is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A stage of the command.
    Stage,
    /// One thing that a stage does: a step, a layer, an output.
    Task,
    /// A download, or files that would have been one.
    Download,
}

/// Whether the work was necessary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cache {
    /// The result was there already.
    Hit,
    /// It had to be made.
    Miss,
}

/// Something that ran.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// What it is.
    pub kind: Kind,
    /// What people know it by.
    pub label: String,
    /// The place in the record of the span that it ran in.
    pub parent: Option<usize>,
    /// When it began.
    pub start: Duration,
    /// When it ended.
    pub end: Duration,
    /// Whether it came to its end: false for what failed, and for what ran when the record was taken.
    pub finished: bool,
    /// What became of it, in words.
    pub outcome: Option<String>,
    /// Whether it was there already, where it could be.
    pub cache: Option<Cache>,
    /// The bytes that it moved, where they are counted.
    pub bytes: Option<u64>,
}

/// What ran until now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// In the order in which they began.
    pub spans: Vec<Span>,
    /// When the record was taken.
    pub end: Duration,
}

/// How something ended.
#[derive(Clone, Debug, Default)]
pub(super) struct Ending {
    pub(super) outcome: Option<String>,
    pub(super) cache: Option<Cache>,
    pub(super) bytes: Option<u64>,
}

/// Takes the record. Cheap to clone; all clones write to the same one.
#[derive(Clone)]
pub struct Timeline {
    clock: Arc<dyn Fn() -> Duration + Send + Sync>,
    noted: Arc<Mutex<Noted>>,
}

#[derive(Default)]
struct Noted {
    spans: Vec<Span>,
    /// Those that have not ended, in their order, with the thread that began each.
    running: Vec<(usize, ThreadId)>,
}

impl fmt::Debug for Timeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timeline").finish_non_exhaustive()
    }
}

impl Default for Timeline {
    fn default() -> Self {
        let start = Instant::now();
        Self::with_clock(move || start.elapsed())
    }
}

impl Timeline {
    /// A timeline by another clock, which must not go back.
    pub fn with_clock(clock: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        Self { clock: Arc::new(clock), noted: Arc::default() }
    }

    /// Notes that something begins. It ran in what this thread has begun before and not ended, or, on a thread that
    /// has nothing running, in the latest stage.
    pub fn begin(&self, kind: Kind, label: &str) -> Running {
        let thread = std::thread::current().id();
        let mut noted = self.noted();
        // Asked for under the lock, so that the order of the list is that of time.
        let start = (self.clock)();
        let Noted { spans, running } = &mut *noted;
        let of_thread = running.iter().rev().find(|(_, other)| *other == thread);
        let of_stage = || running.iter().rev().find(|(index, _)| spans[*index].kind == Kind::Stage);
        let parent = of_thread.or_else(of_stage).map(|(index, _)| *index);
        let (label, index) = (printable(label), spans.len());
        running.push((index, thread));
        spans.push(Span {
            kind,
            label,
            parent,
            start,
            end: start,
            finished: false,
            outcome: None,
            cache: None,
            bytes: None,
        });
        Running { timeline: self.clone(), index }
    }

    /// What ran until now; what runs still ends here.
    pub fn record(&self) -> Record {
        let noted = self.noted();
        let end = (self.clock)();
        let mut spans = noted.spans.clone();
        for (index, _) in &noted.running {
            spans[*index].end = end;
        }
        Record { spans, end }
    }

    fn end(&self, index: usize, ending: Option<Ending>) {
        let mut noted = self.noted();
        let Some(place) = noted.running.iter().position(|(running, _)| *running == index) else { return };
        noted.running.remove(place);
        let end = (self.clock)();
        let span = &mut noted.spans[index];
        span.end = end;
        if let Some(Ending { outcome, cache, bytes }) = ending {
            span.finished = true;
            span.outcome = outcome.map(|text| printable(&text));
            (span.cache, span.bytes) = (cache, bytes);
        }
    }

    /// A thread that panicked while it held the lock left a list that can be read.
    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Something that runs; dropping it without an ending leaves it unfinished.
#[derive(Debug)]
pub struct Running {
    timeline: Timeline,
    index: usize,
}

impl Running {
    /// It has come to its end.
    pub fn done(self) {
        self.ended(Ending::default());
    }

    /// Its result was there already.
    pub fn found(self, outcome: &str) {
        self.ended(Ending {
            outcome: Some(outcome.to_owned()),
            cache: Some(Cache::Hit),
            ..Ending::default()
        });
    }

    /// Its result was not there: `outcome` says why, or what was made.
    pub fn made(self, outcome: &str) {
        self.ended(Ending {
            outcome: Some(outcome.to_owned()),
            cache: Some(Cache::Miss),
            ..Ending::default()
        });
    }

    pub(super) fn ended(self, ending: Ending) {
        self.timeline.end(self.index, Some(ending));
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.timeline.end(self.index, None);
    }
}
