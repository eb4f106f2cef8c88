//! What a reporter can say. Every style shows the same events.
//!
//! The serialised form (`--progress json`) is an interface: one object per line, `event` names the kind, and
//! fields are only ever added.

use serde::{Deserialize, Serialize};

use super::terminal::{Style, paint, size};

/// Something that deserves attention and does not stop a build.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// Stable id, as errors have.
    pub id: String,
    /// One sentence.
    pub text: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// One event.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub(super) enum Event<'a> {
    /// A line of information.
    Info { text: &'a str },
    /// A line that only `-v` shows.
    Detail { text: &'a str },
    /// Something that deserves attention.
    Warning { id: &'a str, text: &'a str, hint: Option<&'a str> },
    /// A task begins.
    Task { label: &'a str },
    /// A task has ended.
    TaskDone { label: &'a str, outcome: &'a str },
    /// A transfer begins; `total` is 0 when unknown.
    Transfer { label: &'a str, total: u64 },
    /// A transfer has ended.
    TransferDone { label: &'a str, bytes: u64 },
    /// A line that a step printed.
    Output { step: &'a str, line: &'a str },
}

impl Event<'_> {
    /// The event as lines of text, without a final line feed.
    pub(super) fn text(&self, colour: bool) -> String {
        match self {
            Self::Info { text } => (*text).to_owned(),
            Self::Detail { text } => paint(Style::Dim, text, colour),
            Self::Warning { id, text, hint } => {
                let title = paint(Style::Warning, &format!("warning[{id}]"), colour);
                match hint {
                    Some(hint) => format!("{title}: {text}\n{}: {hint}", paint(Style::Hint, "hint", colour)),
                    None => format!("{title}: {text}"),
                }
            }
            Self::Task { label } | Self::Transfer { label, total: 0 } => (*label).to_owned(),
            Self::TaskDone { label, outcome } => {
                format!("{label}  {}", paint(Style::Done, outcome, colour))
            }
            Self::Transfer { label, total } => format!("{label}  ({})", size(*total)),
            Self::TransferDone { label, bytes } => {
                format!("{label}  {}", paint(Style::Done, &size(*bytes), colour))
            }
            Self::Output { step, line } => {
                format!("  {} {line}", paint(Style::Dim, &format!("{step} |"), colour))
            }
        }
    }
}
