//! What the file system says of a file without opening it, as git's index keeps it.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt as _;

use serde::{Deserialize, Serialize};

/// How old a file must be to be trusted, in seconds: one that was just written may be written again within one tick
/// of the file system's clock.
const SETTLED: i64 = 2;

/// Size, modification and change time in seconds and nanoseconds, inode, device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State(u64, (i64, i64), (i64, i64), u64, u64);

/// The state of the program that runs: another one may decide differently.
pub fn program() -> Option<State> {
    fs::metadata(std::env::current_exe().ok()?).ok().map(|found| State::of(&found))
}

impl State {
    /// The state that `metadata` tells.
    pub fn of(metadata: &Metadata) -> Self {
        Self(
            metadata.len(),
            (metadata.mtime(), metadata.mtime_nsec()),
            (metadata.ctime(), metadata.ctime_nsec()),
            metadata.ino(),
            metadata.dev(),
        )
    }

    /// The size in bytes.
    pub fn size(&self) -> u64 {
        self.0
    }

    /// Whether a file in this state at the time `now` (seconds since 1970) has the same content whenever it is found
    /// in this state again.
    pub fn is_settled(&self, now: i64) -> bool {
        self.1.0 < now - SETTLED && self.2.0 < now - SETTLED
    }
}
