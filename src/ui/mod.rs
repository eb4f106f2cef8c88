//! Everything people see: progress, warnings, errors. stdout is data and is written by `cli`, never here.

pub(crate) mod columns;
mod diagnostic;
mod event;
mod excerpt;
mod live;
mod prompt;
mod render;
mod reporter;
mod terminal;
#[cfg(test)]
pub(crate) mod tests;
mod timeline;

pub use diagnostic::{Diagnose, ExitCode, Location};
pub use event::Warning;
pub use excerpt::{Excerpt, excerpt};
pub use prompt::Terminal;
pub use render::{render, render_json};
pub use reporter::{Progress, Reporter, TAIL_LINES, Task, Transfer};
pub(crate) use terminal::shorten;
pub use terminal::size;
pub use timeline::{Cache, Kind, Record, Running, Span, Timeline};
