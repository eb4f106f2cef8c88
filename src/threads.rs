//! Waiting for threads.

use std::thread::ScopedJoinHandle;

/// What `thread` has made; its panic is that of whoever waits for it.
pub(crate) fn joined<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
