//! How slow a server may be.
//!
//! A server that is silent is noticed by the client's timeout; one that sends a byte now and then is not. A transfer
//! that brings less than the least in a whole window counts as broken: it is tried again where it stopped.

use std::time::{Duration, Instant};

use super::Failure;

/// What is still waited for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// How long nothing at all may come.
    pub(super) silence: Duration,
    /// The time over which bytes are counted.
    pub(super) window: Duration,
    /// How many bytes must come in it.
    pub(super) least: u64,
}

impl Default for Patience {
    fn default() -> Self {
        Self { silence: Duration::from_secs(60), window: Duration::from_secs(60), least: 64 << 10 }
    }
}

/// The speed of one transfer.
pub(super) struct Pace {
    patience: Patience,
    since: Instant,
    bytes: u64,
}

impl Pace {
    /// A transfer that begins now.
    pub(super) fn new(patience: Patience) -> Self {
        Self { patience, since: Instant::now(), bytes: 0 }
    }

    /// Counts bytes that came.
    pub(super) fn advance(&mut self, count: usize) -> Result<(), Failure> {
        self.bytes += count as u64;
        let elapsed = self.since.elapsed();
        if elapsed < self.patience.window {
            return Ok(());
        }
        if self.bytes < self.patience.least {
            let reason = format!("it sent {} bytes in {:.0} s", self.bytes, elapsed.as_secs_f64());
            return Err(Failure::Passing { reason, asked: None, reached: true });
        }
        (self.since, self.bytes) = (Instant::now(), 0);
        Ok(())
    }
}
