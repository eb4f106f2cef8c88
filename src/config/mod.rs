//! Configuration: layers merged into values that carry their origin.

mod model;

pub use model::{Command, Config, Origin, Resolved};
