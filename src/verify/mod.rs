//! Looking at an app that runs.
//!
//! In: its process. Out: where it listens. Nothing is sent to it.

mod forward;
mod listening;

pub use forward::forward;
pub use listening::{Listening, listening};
