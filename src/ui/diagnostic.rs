//! What every error of every stage can say about itself, and the exit codes.

use std::error::Error;

/// The exit status of `rpack`: one documented list for all commands.
///
/// `rpack run` is the exception: it returns the status of the app it ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum ExitCode {
    /// The command did what was asked.
    Done = 0,
    /// It failed for a reason that none of the others names.
    Failed = 1,
    /// The command line, the environment or `rpack.toml` is wrong.
    Usage = 2,
    /// No ecosystem was recognised, or several that cannot be told apart.
    Detection = 3,
    /// A step of the app's own build failed.
    BuildStep = 4,
    /// A registry or the network refused.
    Network = 5,
    /// A passing fault: the same command may succeed later (`EX_TEMPFAIL`).
    Retry = 75,
    /// Interrupted by a signal.
    Interrupted = 130,
}

/// A place in a file that a message points at. Lines and columns count from 1.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Location {
    /// The file as the user knows it, relative to the source tree where possible.
    pub file: String,
    /// Line, from 1.
    pub line: Option<usize>,
    /// Column, from 1.
    pub column: Option<usize>,
}

impl std::fmt::Display for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
            if let Some(column) = self.column {
                write!(f, ":{column}")?;
            }
        }
        Ok(())
    }
}

/// An error that a person can act on. `Display` says what was found and what was needed; the rest is here.
pub trait Diagnose: Error {
    /// Stable id, `area/what`, never reused for something else.
    fn id(&self) -> &'static str;
    /// The exit status it leads to.
    fn exit(&self) -> ExitCode {
        ExitCode::Failed
    }
    /// The place in the user's files that it is about.
    fn location(&self) -> Option<Location> {
        None
    }
    /// Further lines of evidence, shown as they are (the last lines of a failing step, a diff).
    fn detail(&self) -> Option<String> {
        None
    }
    /// What to do next, in order of preference, each with text to paste where there is some.
    fn hints(&self) -> Vec<String> {
        Vec::new()
    }
    /// The errors it stands for, when several were found at once; each is shown instead of this one.
    fn several(&self) -> Vec<&dyn Diagnose> {
        Vec::new()
    }
}
