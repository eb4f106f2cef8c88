//! Why detection stops, with what to do about it.

use std::fmt::Write as _;

use super::Candidate;
use crate::config::Origin;
use crate::ui::{Diagnose, ExitCode, Location};

/// How many characters of a line are shown on each side of the caret.
const AROUND: usize = 60;

/// Why no ecosystem could be settled on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file of the source cannot be read.
    #[error("cannot read `{path}` of the source")]
    Read {
        /// Relative to the source.
        path: String,
        /// The system's answer.
        source: std::io::Error,
    },
    /// A manifest is not text.
    #[error("`{path}` is not UTF-8 text{found}")]
    Encoding {
        /// Relative to the source.
        path: String,
        /// `: it is UTF-16`, when that can be told; else empty.
        found: &'static str,
    },
    /// A manifest breaks its format.
    #[error(transparent)]
    Malformed(Box<Malformed>),
    /// A requirements file includes one that is not there.
    #[error("`{}` includes `{included}`, which is not in the source", location.file)]
    RequirementsMissing {
        /// The including line.
        location: Location,
        /// Relative to the source, or as written when it leads outside.
        included: String,
    },
    /// A requirements file includes itself, directly or through others.
    #[error("`{}` includes `{included}`, which is already being read: {}", location.file, path.join(" → "))]
    RequirementsCycle {
        /// The including line.
        location: Location,
        /// The file that closes the circle.
        included: String,
        /// The files of the circle in order.
        path: Vec<String>,
    },
    /// Two lines of the Procfile name the same process.
    #[error("`Procfile` names the process `{name}` twice, in lines {} and {}", first.0, second.0)]
    ProcfileDuplicate {
        /// The name, normalised.
        name: String,
        /// Line number and text.
        first: (usize, String),
        /// Line number and text.
        second: (usize, String),
    },
    /// A detector cannot be used.
    #[error("the detector `{shown}` is invalid: {reason}")]
    Definition {
        /// Where a person finds it.
        shown: String,
        /// What is wrong.
        reason: String,
    },
    /// The configured language does not exist.
    #[error("`language` is `{value}` ({origin}), which is none of {}", quoted(known))]
    UnknownLanguage {
        /// As configured.
        value: String,
        /// Who configured it.
        origin: Origin,
        /// The ids of all detectors, sorted.
        known: Vec<String>,
    },
    /// Nothing was recognised.
    #[error("no language was recognised in `{root}`: {}", found(entries, *more))]
    None {
        /// The folder.
        root: String,
        /// What stands at its root, at most 20.
        entries: Vec<String>,
        /// How many more there are.
        more: usize,
        /// Lines `Node.js: package.json`.
        manifests: Vec<String>,
    },
    /// Nothing at the root, but apps in folders below.
    #[error("no language was recognised in `{root}`, but {} a manifest", counted(apps.len()))]
    ChooseApp {
        /// The folder.
        root: String,
        /// Path on disk and manifest of each folder.
        apps: Vec<(String, String)>,
    },
    /// Two ecosystems cannot be told apart, and guessing is forbidden.
    #[error(
        "the source may be `{}` ({} points) or `{}` ({} points), and `strict` forbids to guess",
        pair.0.language, pair.0.score, pair.1.language, pair.1.score
    )]
    Ambiguous {
        /// The winner and the runner-up.
        pair: Box<(Candidate, Candidate)>,
    },
}

/// A file that breaks its format at a known place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{}` {problem}", location.file)]
pub struct Malformed {
    /// Stable id.
    pub id: &'static str,
    /// Where.
    pub location: Location,
    /// `is not valid JSON: trailing comma`.
    pub problem: String,
    /// The line with a caret below.
    pub excerpt: String,
    /// What to do.
    pub hint: String,
}

impl Malformed {
    /// Reports `problem` at `line` and `column` (from 1) of `text`, the content of `file`.
    pub(crate) fn at(
        id: &'static str,
        file: &str,
        text: &str,
        (line, column): (usize, usize),
        problem: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        let location = Location { file: file.to_owned(), line: Some(line), column: Some(column) };
        let source = text.split('\n').nth(line.saturating_sub(1)).unwrap_or_default();
        let excerpt = excerpt(source.trim_end_matches('\r'), line, column);
        Self { id, location, problem: problem.into(), excerpt, hint: hint.into() }
    }
}

impl From<Malformed> for Error {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(Box::new(malformed))
    }
}

/// The part of `source` around `column` with the line number before and a caret below.
///
/// Control characters are replaced, because a manifest must not be able to steer the terminal.
fn excerpt(source: &str, line: usize, column: usize) -> String {
    let start = column.saturating_sub(AROUND + 1);
    let shown: String = source
        .chars()
        .skip(start)
        .take(2 * AROUND)
        .map(|c| match c {
            '\t' => ' ',
            c if c.is_control() => '\u{fffd}',
            c => c,
        })
        .collect();
    let number = line.to_string();
    let caret = column.saturating_sub(start + 1);
    format!("{number} | {}\n{:width$} | {:caret$}^", shown.trim_end(), "", "", width = number.len())
}

/// Line and column (in characters, from 1) of the byte at `offset`.
pub(crate) fn position(text: &str, offset: usize) -> (usize, usize) {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    let before = &text[..offset];
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[start..].chars().count() + 1)
}

fn quoted(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

fn counted(folders: usize) -> String {
    if folders == 1 {
        "1 folder below it holds".to_owned()
    } else {
        format!("{folders} folders below it hold")
    }
}

fn found(entries: &[String], more: usize) -> String {
    if entries.is_empty() {
        return "it holds no file, or ignore rules leave none".to_owned();
    }
    let mut text = format!("found {}", quoted(entries));
    if more > 0 {
        let _ = write!(text, " and {more} more");
    }
    text
}

impl Diagnose for Error {
    fn id(&self) -> &'static str {
        match self {
            Self::Read { .. } => "detect/read",
            Self::Encoding { .. } => "detect/encoding",
            Self::Malformed(malformed) => malformed.id,
            Self::RequirementsMissing { .. } => "python/requirements-missing",
            Self::RequirementsCycle { .. } => "python/requirements-cycle",
            Self::ProcfileDuplicate { .. } => "procfile/duplicate",
            Self::Definition { .. } => "detect/definition",
            Self::UnknownLanguage { .. } => "detect/unknown-language",
            Self::None { .. } => "detect/none",
            Self::ChooseApp { .. } => "detect/choose-app",
            Self::Ambiguous { .. } => "detect/ambiguous",
        }
    }

    fn exit(&self) -> ExitCode {
        match self {
            Self::Read { .. } => ExitCode::Failed,
            Self::None { .. } | Self::ChooseApp { .. } | Self::Ambiguous { .. } => ExitCode::Detection,
            _ => ExitCode::Usage,
        }
    }

    fn location(&self) -> Option<Location> {
        match self {
            Self::Read { path, .. } | Self::Encoding { path, .. } => {
                Some(Location { file: path.clone(), line: None, column: None })
            }
            Self::Malformed(malformed) => Some(malformed.location.clone()),
            Self::RequirementsMissing { location, .. } | Self::RequirementsCycle { location, .. } => {
                Some(location.clone())
            }
            Self::ProcfileDuplicate { second, .. } => {
                Some(Location { file: "Procfile".to_owned(), line: Some(second.0), column: None })
            }
            Self::UnknownLanguage { origin: Origin::File { path, line, column }, .. } => {
                Some(Location { file: path.clone(), line: Some(*line), column: Some(*column) })
            }
            _ => None,
        }
    }

    fn detail(&self) -> Option<String> {
        match self {
            Self::Malformed(malformed) => Some(malformed.excerpt.clone()),
            Self::ProcfileDuplicate { first, second, .. } => {
                let width = second.0.to_string().len();
                Some(format!("{:width$} | {}\n{} | {}", first.0, first.1, second.0, second.1))
            }
            Self::None { manifests, .. } => Some(format!("supported:\n  {}", manifests.join("\n  "))),
            Self::ChooseApp { apps, .. } => {
                let lines: Vec<String> =
                    apps.iter().map(|(path, manifest)| format!("{path}: {manifest}")).collect();
                Some(lines.join("\n"))
            }
            Self::Ambiguous { pair } => Some(format!("{}\n{}", evidence(&pair.0), evidence(&pair.1))),
            _ => None,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Encoding { path, .. } => vec![format!("save `{path}` as UTF-8")],
            Self::Malformed(malformed) => vec![malformed.hint.clone()],
            Self::RequirementsMissing { included, .. } => vec![format!(
                "add `{included}`, delete the line, or check that no ignore rule hides the file"
            )],
            Self::RequirementsCycle { .. } => vec!["delete one of the lines of the circle".to_owned()],
            Self::ProcfileDuplicate { .. } => vec!["delete or rename one of the two lines".to_owned()],
            Self::UnknownLanguage { known, .. } => {
                known.iter().map(|id| format!("`--language {id}`")).collect()
            }
            Self::None { .. } => vec![
                "run `rpack build DIR` with the folder that holds the app".to_owned(),
                "name the language: `--language LANGUAGE`, or `language = \"LANGUAGE\"` in `rpack.toml`"
                    .to_owned(),
                "say how to start it: a file `Procfile` with the line `web: COMMAND`".to_owned(),
            ],
            Self::ChooseApp { apps, .. } => {
                apps.iter().map(|(path, _)| format!("`rpack build {path}`")).collect()
            }
            Self::Ambiguous { pair } => {
                vec![format!("`--language {}`", pair.0.language), format!("`--language {}`", pair.1.language)]
            }
            Self::Read { .. } | Self::Definition { .. } => Vec::new(),
        }
    }
}

/// `node (75 points): +50 package.json has a start script, …`
pub(crate) fn evidence(candidate: &Candidate) -> String {
    let rows: Vec<String> =
        candidate.evidence.iter().map(|row| format!("{:+} {}", row.score, row.reason)).collect();
    format!("{} ({} points): {}", candidate.language, candidate.score, rows.join(", "))
}

#[cfg(test)]
mod tests {
    use super::{excerpt, position};

    #[test]
    fn a_long_line_is_cut_around_the_caret_and_controls_are_replaced() {
        assert_eq!(excerpt("a\tb\u{1b}[31m", 12, 3), "12 | a b\u{fffd}[31m\n   |   ^");
        let long = "x".repeat(500);
        let shown = excerpt(&long, 1, 300);
        assert_eq!(shown, format!("1 | {}\n  | {}^", "x".repeat(120), " ".repeat(60)));
    }

    #[test]
    fn positions_count_characters() {
        assert_eq!(position("a\näb", 4), (2, 2));
        assert_eq!(position("ä", 1), (1, 1));
        assert_eq!(position("", 9), (1, 1));
    }
}
