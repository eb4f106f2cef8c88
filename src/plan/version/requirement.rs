//! What a statement of a version means, for each notation.

use std::str::FromStr as _;

use nodejs_semver::Range;
use pep440_rs::VersionSpecifiers;

use super::{Line, Offer, Patch, Scheme};

/// The meaning of a statement.
#[derive(Clone, Debug)]
pub(super) enum Requirement {
    /// The newest stable release, whatever the default is.
    Newest,
    /// Every release of a line: `lts/jod`, `1.24`.
    Line(Vec<u64>),
    /// One release.
    Pin { numbers: Vec<u64>, text: String },
    /// A minimum.
    AtLeast(Vec<u64>),
    /// A range of npm.
    Npm(Box<Range>),
    /// Ranges of Python, of which one is enough: Poetry has alternatives.
    Pep440(Vec<VersionSpecifiers>),
}

impl Requirement {
    /// Reads `text`. The error says what is wrong with it.
    pub(super) fn parse(
        scheme: Scheme,
        text: &str,
        minimum: bool,
        lines: &[Line],
        as_of: &str,
    ) -> Result<Self, String> {
        let text = text.trim();
        match scheme {
            Scheme::Npm => npm(text, lines, as_of),
            Scheme::Pep440 => pep440(text),
            Scheme::Go => go(text, minimum),
        }
    }

    /// Whether the release will do.
    pub(super) fn admits(&self, offer: &Offer, patch: Patch) -> bool {
        match self {
            Self::Newest => !offer.prerelease,
            Self::Line(line) => !offer.prerelease && offer.in_line(line),
            Self::Pin { numbers, text } => match patch {
                Patch::Exact => offer.release.version == *text,
                Patch::Line => offer.in_line(&numbers[..numbers.len().min(2)]),
            },
            Self::AtLeast(least) => !offer.prerelease && offer.numbers >= *least,
            Self::Npm(range) => nodejs_semver::Version::parse(&offer.release.version)
                .is_ok_and(|version| range.satisfies(&version)),
            Self::Pep440(ranges) => pep440_rs::Version::from_str(&offer.release.version)
                .is_ok_and(|version| ranges.iter().any(|range| range.contains(&version))),
        }
    }

    /// The numbers of an exact pin.
    pub(super) fn pin(&self) -> Option<&Vec<u64>> {
        match self {
            Self::Pin { numbers, .. } => Some(numbers),
            _ => None,
        }
    }

    /// Numbers that the statement is near to, for suggestions.
    pub(super) fn around(&self) -> Option<Vec<u64>> {
        match self {
            Self::Newest => None,
            Self::Line(numbers) | Self::Pin { numbers, .. } | Self::AtLeast(numbers) => Some(numbers.clone()),
            Self::Npm(range) => range.min_version().map(|version| vec![version.major()]),
            Self::Pep440(ranges) => {
                let specifier = ranges.iter().flat_map(|range| range.iter()).next();
                specifier.map(|specifier| specifier.version().release().to_vec())
            }
        }
    }
}

/// `1.24.3` → its numbers; nothing when it is not numbers and dots.
fn numbers(text: &str) -> Option<Vec<u64>> {
    text.split('.').map(|part| part.parse().ok()).collect()
}

fn npm(text: &str, lines: &[Line], as_of: &str) -> Result<Requirement, String> {
    let lower = text.to_ascii_lowercase();
    if matches!(lower.as_str(), "latest" | "current" | "node" | "stable") {
        return Ok(Requirement::Newest);
    }
    // A line of long-term support that has not ended, newest first.
    let supported: Vec<&Line> = lines.iter().rev().filter(|line| line.lts && !line.ended(as_of)).collect();
    if let Some(name) = lower.strip_prefix("lts/").or((lower == "lts").then_some("*")) {
        if name == "*" {
            let newest = supported.first().ok_or("no line with long-term support is known")?;
            return Ok(Requirement::Line(newest.numbers()));
        }
        if let Some(back) = name.strip_prefix('-').and_then(|back| back.parse::<usize>().ok()) {
            let line =
                supported.get(back).ok_or_else(|| format!("there are not {back} lines before `lts/*`"))?;
            return Ok(Requirement::Line(line.numbers()));
        }
        return codename(name, lines).ok_or_else(|| unknown_name(name, lines));
    }
    if let Some(line) = codename(&lower, lines) {
        return Ok(line);
    }
    let bare = text.strip_prefix('v').unwrap_or(text);
    if nodejs_semver::Version::parse(bare).is_ok() {
        let core = bare.split(['-', '+']).next().unwrap_or(bare);
        let numbers = numbers(core).ok_or("its numbers are too large")?;
        return Ok(Requirement::Pin { numbers, text: bare.to_owned() });
    }
    let reason = "expected a version such as `24` or `24.1.0`, a range such as `>=22 <25`, or `lts/*`";
    Range::parse(text).map(|range| Requirement::Npm(Box::new(range))).map_err(|_| reason.to_owned())
}

fn codename(name: &str, lines: &[Line]) -> Option<Requirement> {
    let line = lines.iter().find(|line| line.codename.as_deref() == Some(name))?;
    Some(Requirement::Line(line.numbers()))
}

fn unknown_name(name: &str, lines: &[Line]) -> String {
    let known: Vec<&str> = lines.iter().filter_map(|line| line.codename.as_deref()).collect();
    format!("no line is called `{name}`; known are {}", known.join(", "))
}

fn pep440(text: &str) -> Result<Requirement, String> {
    let reason = "expected a version such as `3.13`, or a range such as `>=3.11,<4`";
    let text = text.strip_prefix("python-").or(text.strip_prefix("cpython-")).unwrap_or(text);
    if let Some(numbers) = numbers(text) {
        return Ok(match numbers.len() {
            1 | 2 => Requirement::Line(numbers),
            _ => Requirement::Pin { text: text.to_owned(), numbers },
        });
    }
    let range = |text: &str| {
        let translated = poetry(text)?;
        VersionSpecifiers::from_str(&translated).ok()
    };
    let ranges: Option<Vec<VersionSpecifiers>> =
        text.split('|').filter(|part| !part.is_empty()).map(range).collect();
    ranges.filter(|ranges| !ranges.is_empty()).map(Requirement::Pep440).ok_or_else(|| reason.to_owned())
}

/// Writes the carets and tildes of Poetry as ranges; other parts stay as they are.
fn poetry(text: &str) -> Option<String> {
    let mut parts = Vec::new();
    for part in text.split(',').map(str::trim) {
        let tilde = part.strip_prefix('~').filter(|rest| !rest.starts_with('='));
        let (rest, keep) = match (part.strip_prefix('^'), tilde) {
            (Some(rest), _) => (rest, 1),
            (None, Some(rest)) => (rest, 2),
            (None, None) => {
                let is_bare = part.starts_with(|c: char| c.is_ascii_digit());
                parts.push(match part {
                    "*" => ">=0".to_owned(),
                    part if is_bare => format!("=={part}"),
                    part => part.to_owned(),
                });
                continue;
            }
        };
        let least = numbers(rest)?;
        let keep = if least.len() < keep { least.len() } else { keep };
        let mut upper = least[..keep].to_vec();
        *upper.last_mut()? = upper.last()?.checked_add(1)?;
        let upper: Vec<String> = upper.iter().map(u64::to_string).collect();
        parts.push(format!(">={rest},<{}", upper.join(".")));
    }
    Some(parts.join(","))
}

fn go(text: &str, minimum: bool) -> Result<Requirement, String> {
    let bare = text.strip_prefix("go").unwrap_or(text);
    // Release candidates (`1.27rc1`) count as their line.
    let core = bare.split(|c: char| c.is_ascii_alphabetic()).next().unwrap_or(bare);
    let core = core.strip_suffix(".x").or(core.strip_suffix(".*")).unwrap_or(core).trim_end_matches('.');
    let numbers = numbers(core).ok_or("expected a version such as `1.24` or `1.24.3`")?;
    Ok(match (minimum, numbers.len()) {
        (true, _) => Requirement::AtLeast(numbers),
        (false, 1 | 2) => Requirement::Line(numbers),
        (false, _) => Requirement::Pin { text: core.to_owned(), numbers },
    })
}
