//! Where the time of a command went, as a file.
//!
//! In: the [`Record`] of its reporter. Out: a page for a browser (`page.rs`) or a trace for Perfetto (`trace.rs`).
//! Labels come from whoever wrote the app, and are text wherever they go. Of the machine, nothing is named: the
//! user's own folder is `~`.

mod page;
mod trace;

#[cfg(test)]
mod tests;

use std::path::Path;
use std::time::Duration;

use crate::ui::{Record, shorten};

/// Longer labels are cut.
const LONGEST: usize = 200;

/// How the file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One page of HTML that needs nothing else.
    Page,
    /// The [Trace Event Format](https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU).
    Trace,
}

impl Format {
    /// What the name of the file asks for: `.html` or `.json`.
    pub fn of(file: &Path) -> Option<Self> {
        match file.extension()?.to_str()? {
            "html" => Some(Self::Page),
            "json" => Some(Self::Trace),
            _ => None,
        }
    }
}

/// What a file says.
#[derive(Clone, Debug)]
pub struct Report {
    record: Record,
    succeeded: bool,
}

impl Report {
    /// Of a command that succeeded or failed; `home` is the user's own folder.
    pub fn new(mut record: Record, succeeded: bool, home: Option<&Path>) -> Self {
        let home = home.and_then(Path::to_str).map(|home| format!("{}/", home.trim_end_matches('/')));
        let home = home.filter(|home| home != "/");
        let clean = |text: &str| {
            let text =
                home.as_ref().map_or_else(|| text.to_owned(), |home| text.replace(home.as_str(), "~/"));
            shorten(&text, LONGEST)
        };
        for span in &mut record.spans {
            span.label = clean(&span.label);
            span.outcome = span.outcome.as_deref().map(clean);
        }
        Self { record, succeeded }
    }

    /// The content of the file.
    pub fn write(&self, format: Format) -> String {
        match format {
            Format::Page => page::page(self),
            Format::Trace => trace::trace(self),
        }
    }

    /// How deep each span lies in others.
    fn depths(&self) -> Vec<usize> {
        let mut depths = Vec::new();
        for span in &self.record.spans {
            depths.push(span.parent.map_or(0, |parent| depths[parent] + 1));
        }
        depths
    }
}

/// A time as people read it.
fn shown(time: Duration) -> String {
    if time < Duration::from_secs(1) {
        format!("{:.1} ms", time.as_secs_f64() * 1e3)
    } else {
        format!("{:.2} s", time.as_secs_f64())
    }
}
