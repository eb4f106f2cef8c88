//! Everything people see: progress, warnings, errors. stdout is data and is written by `cli`, never here.

mod diagnostic;
mod reporter;

pub use diagnostic::{Diagnose, ExitCode, Location};
pub use reporter::{Progress, Reporter, Task, Transfer};
