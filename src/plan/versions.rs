//! Versions: what was asked for, by whom, and which release answers it.
//!
//! The first statement that speaks wins; weaker ranges narrow the choice where something remains. An exact version
//! is taken exactly or the build fails: nothing is substituted silently.

use std::str::FromStr as _;

use serde::Deserialize;

use super::buildpack::{Scheme, Tool};
use super::model::{Notice, Release, Version};
use super::Error;
use crate::config::{Origin, Resolved};
use crate::ui::Location;

/// Versions shown when the wanted one does not exist.
const NEAREST: usize = 5;

/// A statement of a manifest.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Statement {
    pub(super) value: String,
    pub(super) file: String,
    pub(super) line: Option<usize>,
    #[serde(default)]
    pub(super) key: String,
}

/// A request for a version with its origin.
#[derive(Clone, Debug)]
struct Request {
    text: String,
    /// `engines.node`, `toolchain`, `go`; empty for a version file.
    key: String,
    location: Location,
    shown: String,
}

/// A resolved tool: the version that goes into the plan and the release it stands for.
#[derive(Clone, Debug)]
pub(super) struct Chosen {
    pub(super) version: Version,
    pub(super) release: Release,
    pub(super) notices: Vec<Notice>,
}

/// Chooses among `releases` for `tool`.
pub(super) fn choose(
    tool: &Tool,
    default: &str,
    source: &str,
    configured: Option<&Resolved<String>>,
    statements: &[Statement],
    releases: &[Release],
) -> Result<Chosen, Error> {
    let requests = requests(configured, statements);
    let default_request = Request {
        text: default.to_owned(),
        key: String::new(),
        location: Location { file: format!("buildpack default for {}", tool.name), line: None, column: None },
        shown: "default".to_owned(),
    };
    let winner = requests.first().unwrap_or(&default_request);
    let mut candidates = admitted(tool, winner, releases)?;
    if candidates.is_empty() {
        return Err(not_offered(tool, winner, source, releases));
    }
    let mut notices = Vec::new();
    for weaker in requests.iter().skip(1) {
        let narrowed = admitted(tool, weaker, releases)?;
        let both: Vec<_> = candidates.iter().filter(|release| narrowed.contains(release)).copied().collect();
        if both.is_empty() {
            notices.push(conflict(tool, winner, weaker));
        } else {
            candidates = both;
        }
    }
    let release = newest(tool, default, &candidates).clone();
    notices.extend(remarks(tool, winner, &release));
    let version = Version {
        tool: tool.name.clone(),
        version: release.version.clone(),
        requested: winner.text.clone(),
        origin: winner.shown.clone(),
        source: source.to_owned(),
    };
    Ok(Chosen { version, release, notices })
}

fn requests(configured: Option<&Resolved<String>>, statements: &[Statement]) -> Vec<Request> {
    let configured = configured.map(|value| Request {
        text: value.value.clone(),
        key: String::new(),
        location: location(&value.origin),
        shown: value.origin.to_string(),
    });
    let stated = statements.iter().map(|statement| {
        let location =
            Location { file: statement.file.clone(), line: statement.line, column: None };
        let shown = format!("{location} {}", statement.key);
        let (text, key) = (statement.value.clone(), statement.key.clone());
        Request { text, key, shown: shown.trim_end().to_owned(), location }
    });
    configured.into_iter().chain(stated).collect()
}

/// An origin as a place to point at.
pub(super) fn location(origin: &Origin) -> Location {
    match origin {
        Origin::File { path, line, column } => {
            Location { file: path.clone(), line: Some(*line), column: Some(*column) }
        }
        other => Location { file: other.to_string(), line: None, column: None },
    }
}

/// The releases that a request admits.
fn admitted<'a>(tool: &Tool, request: &Request, releases: &'a [Release]) -> Result<Vec<&'a Release>, Error> {
    let invalid = |expected| Error::InvalidVersion {
        tool: tool.name.clone(),
        requested: request.text.clone(),
        location: request.location.clone(),
        expected,
    };
    match tool.scheme {
        Scheme::Npm => npm(tool, &request.text, releases)
            .ok_or_else(|| invalid("a version such as `24.1.0`, a range such as `>=22 <25`, or `lts/*`")),
        Scheme::Pep440 => pep440(&request.text, releases)
            .ok_or_else(|| invalid("a version such as `3.13` or a specifier such as `>=3.11,<3.14`")),
        Scheme::Go => go(&request.text, request.key == "go", releases)
            .ok_or_else(|| invalid("a version such as `1.27` or `1.27.4`")),
    }
}

fn npm<'a>(tool: &Tool, text: &str, releases: &'a [Release]) -> Option<Vec<&'a Release>> {
    let text = text.trim();
    let range = match text.strip_prefix("lts/") {
        Some("*") => tool.line.first()?.version.clone(),
        Some(name) => {
            let named = |line: &&super::buildpack::Line| {
                line.name.as_deref().is_some_and(|known| known.eq_ignore_ascii_case(name))
            };
            tool.line.iter().find(named)?.version.clone()
        }
        None if ["latest", "current", "node", "stable", "*", ""].contains(&text) => "*".to_owned(),
        None => text.strip_prefix('v').unwrap_or(text).to_owned(),
    };
    let range = nodejs_semver::Range::parse(&range).ok()?;
    let satisfies = |release: &&Release| {
        nodejs_semver::Version::parse(&release.version)
            .is_ok_and(|version| range.satisfies(&version) && (!version.is_prerelease() || text.contains('-')))
    };
    Some(releases.iter().filter(satisfies).collect())
}

/// A bare version means its minor line: a distribution has one patch level of each.
fn pep440<'a>(text: &str, releases: &'a [Release]) -> Option<Vec<&'a Release>> {
    let text = text.trim();
    let text = text.strip_prefix("cpython-").or_else(|| text.strip_prefix("python-")).unwrap_or(text);
    let bare = text.starts_with(|first: char| first.is_ascii_digit());
    let specifiers = if bare {
        let line: Vec<&str> = text.split('.').take(2).collect();
        format!("=={}.*", line.join("."))
    } else {
        text.to_owned()
    };
    let specifiers = pep440_rs::VersionSpecifiers::from_str(&specifiers).ok()?;
    let satisfies = |release: &&Release| {
        pep440_rs::Version::from_str(&release.version).is_ok_and(|version| specifiers.contains(&version))
    };
    Some(releases.iter().filter(satisfies).collect())
}

/// `go 1.N[.P]` in go.mod is a minimum; anything else names a line, of which any patch not older will do.
fn go<'a>(text: &str, minimum: bool, releases: &'a [Release]) -> Option<Vec<&'a Release>> {
    let text = text.trim();
    let wanted = numbers(text.strip_prefix("go").unwrap_or(text))?;
    let same_line = |version: &[u64]| version.iter().take(2).eq(wanted.iter().take(2));
    let admitted: Vec<&Release> = releases
        .iter()
        .filter(|release| {
            numbers(&release.version)
                .is_some_and(|version| version >= wanted && (minimum || same_line(&version)))
        })
        .collect();
    // The line that the module names, if it is offered; else the choice is the newest of the rest.
    let own: Vec<&Release> = admitted
        .iter()
        .filter(|release| numbers(&release.version).is_some_and(|version| same_line(&version)))
        .copied()
        .collect();
    Some(if own.is_empty() { admitted } else { own })
}

fn numbers(text: &str) -> Option<Vec<u64>> {
    text.split('.').map(|part| part.parse().ok()).collect()
}

/// The newest of the default line, else of the newest line with long support, else of all.
fn newest<'a>(tool: &Tool, default: &str, candidates: &[&'a Release]) -> &'a Release {
    let lines = std::iter::once(default).chain(tool.line.iter().map(|line| line.version.as_str()));
    let of_line = lines.map(|line| -> Vec<&'a Release> {
        candidates.iter().filter(|release| in_line(&release.version, line)).copied().collect()
    });
    let group = of_line.into_iter().find(|group| !group.is_empty()).unwrap_or_else(|| candidates.to_vec());
    group.into_iter().max_by_key(|release| order(&release.version)).expect("the caller has candidates")
}

fn in_line(version: &str, line: &str) -> bool {
    version.strip_prefix(line).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Numeric order of release versions; texts that are no numbers come first.
fn order(version: &str) -> Vec<u64> {
    version.split(['.', '-', '+']).map(|part| part.parse().unwrap_or_default()).collect()
}

fn not_offered(tool: &Tool, request: &Request, source: &str, releases: &[Release]) -> Error {
    let wanted = order(request.text.trim_start_matches(|c: char| !c.is_ascii_digit()));
    let mut versions: Vec<&str> = releases
        .iter()
        .map(|release| release.version.as_str())
        .filter(|version| !version.contains('-'))
        .collect();
    versions.sort_by_key(|version| distance(&order(version), &wanted));
    versions.truncate(NEAREST);
    Error::NotOffered {
        tool: tool.name.clone(),
        requested: request.text.clone(),
        location: request.location.clone(),
        source_name: source.to_owned(),
        nearest: versions.into_iter().map(str::to_owned).collect(),
    }
}

/// Difference of the parts, most significant first; of two equally far the newer is nearer.
fn distance(version: &[u64], wanted: &[u64]) -> (Vec<u64>, std::cmp::Reverse<Vec<u64>>) {
    let parts = version.iter().zip(wanted.iter().chain(std::iter::repeat(&0)));
    (parts.map(|(a, b)| a.abs_diff(*b)).collect(), std::cmp::Reverse(version.to_vec()))
}

fn conflict(tool: &Tool, winner: &Request, weaker: &Request) -> Notice {
    Notice {
        id: "version/conflict".to_owned(),
        text: format!(
            "{} asks for {} {}, which does not go with {} of {}; the latter counts",
            weaker.shown, tool.name, weaker.text, winner.text, winner.shown
        ),
        warning: true,
    }
}

/// What the user should know of the choice.
fn remarks(tool: &Tool, winner: &Request, release: &Release) -> Vec<Notice> {
    let mut notices = Vec::new();
    if let Some(line) = tool.line.iter().find(|line| in_line(&release.version, &line.version))
        && let Some(end) = &line.end_of_life
    {
        notices.push(Notice {
            id: "version/end-of-life".to_owned(),
            text: format!("{} {} gets fixes until {end}", tool.name, line.version),
            warning: false,
        });
    }
    let patch = matches!(tool.scheme, Scheme::Pep440 | Scheme::Go) && winner.key != "go";
    let asked = winner.text.trim_start_matches(|c: char| !c.is_ascii_digit());
    if patch && asked.split('.').count() > 2 && asked != release.version && numbers(asked).is_some() {
        notices.push(Notice {
            id: "version/patch".to_owned(),
            text: format!(
                "{} asks for {} {asked}; the distribution has {} of this line",
                winner.shown, tool.name, release.version
            ),
            warning: true,
        });
    }
    notices
}
