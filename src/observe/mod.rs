//! What a build looks at, noted while it looks, so that a later build can tell that all of it is as it was.
//!
//! In: paths, times, as stages read them. Out: [`Sight`]s. Nothing here decides what is worth noting: the walk of the
//! source does ([`crate::source`]), and whoever reads a file of the machine.

mod sight;
mod state;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use sight::{Comparison, Sight, listing};
pub use state::{State, program};

/// Takes note of what is read outside of the source tree. Cheap to clone; clones share what they note.
#[derive(Clone, Debug, Default)]
pub struct Observer {
    noted: Arc<Mutex<Noted>>,
}

#[derive(Debug, Default)]
struct Noted {
    files: BTreeMap<PathBuf, Sight>,
    until: Option<i64>,
}

impl Observer {
    /// Takes note of a file or folder that is about to be read or looked for. What is there now counts, so this comes
    /// before reading. Links are followed.
    pub fn file(&self, path: &Path) {
        if !self.noted().files.contains_key(path) {
            let sight = Sight::of_machine(path);
            self.noted().files.insert(path.to_owned(), sight);
        }
    }

    /// Takes note that something is only known to hold until `time`, in seconds since 1970.
    pub fn until(&self, time: i64) {
        let mut noted = self.noted();
        noted.until = Some(noted.until.map_or(time, |until| until.min(time)));
    }

    /// Every file and folder noted so far.
    pub fn files(&self) -> Vec<(PathBuf, Sight)> {
        self.noted().files.iter().map(|(path, sight)| (path.clone(), sight.clone())).collect()
    }

    /// The earliest end of what was noted; none when all of it holds for good.
    pub fn end(&self) -> Option<i64> {
        self.noted().until
    }

    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
