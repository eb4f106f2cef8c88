//! When steps run: as soon as what they see is there and a slot is free, the earlier of the plan first.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use crate::build::{Error, Halt};
use crate::store::Tree;

/// A step's result.
pub(super) struct Kept {
    /// Its entry in the store.
    pub(super) entry: PathBuf,
    /// Whether it was there already.
    pub(super) cached: bool,
    /// What it holds.
    pub(super) tree: Arc<Tree>,
}

/// What all slots look at.
struct Board {
    kept: Vec<Option<Kept>>,
    started: Vec<bool>,
    failed: BTreeMap<usize, Error>,
}

/// Makes what is missing of `kept`, at most `jobs` at once. `make` gets a step's position and the entries that it
/// sees, the latest first; `seen` are their positions. `ended` is told what is there whenever a step has ended
/// while others have not.
///
/// # Errors
/// The first failure in the order of the plan; the other steps are ended. None when `halt` was set by somebody else.
pub(super) fn run(
    seen: &[BTreeSet<usize>],
    kept: Vec<Option<Kept>>,
    jobs: NonZeroUsize,
    halt: &Halt,
    make: &(dyn Fn(usize, Vec<PathBuf>) -> Result<Kept, Error> + Sync),
    ended: &(dyn Fn(&[Option<Kept>]) + Sync),
) -> Result<Vec<Kept>, Option<Error>> {
    let started: Vec<bool> = kept.iter().map(Option::is_some).collect();
    let missing = started.iter().filter(|started| !**started).count();
    let board = Mutex::new(Board { kept, started, failed: BTreeMap::new() });
    let changed = Condvar::new();
    let slot = || {
        let mut held = lock(&board);
        while !held.started.iter().all(|started| *started) && !halt.is_set() {
            let Some(index) = held.ready(seen) else {
                held = changed.wait(held).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            held.started[index] = true;
            let entries = held.entries(&seen[index]);
            drop(held);
            let result = make(index, entries);
            held = lock(&board);
            match result {
                Ok(kept) => {
                    held.kept[index] = Some(kept);
                    if held.kept.iter().any(Option::is_none) {
                        ended(&held.kept);
                    }
                }
                Err(error) => {
                    halt.set();
                    held.failed.insert(index, error);
                }
            }
            changed.notify_all();
        }
    };
    thread::scope(|scope| {
        for _ in 0..jobs.get().min(missing) {
            scope.spawn(slot);
        }
    });
    let Board { kept, failed, .. } = board.into_inner().unwrap_or_else(PoisonError::into_inner);
    let (ended, failed): (Vec<Error>, Vec<Error>) =
        failed.into_values().partition(|error| matches!(error, Error::Interrupted { .. }));
    match failed.into_iter().chain(ended).next() {
        Some(error) => Err(Some(error)),
        None => kept.into_iter().collect::<Option<_>>().ok_or(None),
    }
}

impl Board {
    /// The first step that can start.
    fn ready(&self, seen: &[BTreeSet<usize>]) -> Option<usize> {
        let is_there = |index: &usize| self.kept[*index].is_some();
        (0..seen.len()).find(|index| !self.started[*index] && seen[*index].iter().all(is_there))
    }

    fn entries(&self, seen: &BTreeSet<usize>) -> Vec<PathBuf> {
        seen.iter().rev().filter_map(|index| Some(self.kept[*index].as_ref()?.entry.clone())).collect()
    }
}

fn lock(board: &Mutex<Board>) -> MutexGuard<'_, Board> {
    board.lock().unwrap_or_else(PoisonError::into_inner)
}
