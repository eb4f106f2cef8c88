//! What a step that failed points at.
//!
//! In: a failed step with its last lines, and rows of data: those of its buildpack, and those that every ecosystem has
//! (`buildpacks/advice.toml`). Out: the id of the situation, when a row names one, and what to do, ready to paste.

use std::collections::BTreeMap;

use regex::Regex;
use serde::{Deserialize, Serialize};

use super::Error;
use super::buildpack::{self, Buildpack};
use super::native::{self, Native, NativeRow};
use super::template::{Expression, Scope, Text};
use crate::definitions::Definitions;

/// The rows of every ecosystem.
const SHARED: &str = "buildpacks/advice.toml";
/// The situation that a row of `[native]` recognises.
const NATIVE: &str = "native/missing";

/// The ids that rows may have.
const IDS: &[&str] = &[
    "build/oom",
    "go/private-module",
    "go/vendor-drift",
    "go/version-too-old",
    "lock/drift",
    NATIVE,
    "network/blocked",
    "node/engine",
    "node/gyp",
    "node/heap",
    "node/scripts-blocked",
    "python/django-settings",
    "python/no-wheel",
    "python/pip-check",
    "python/sdist-failed",
    "registry/auth",
    "registry/not-found",
];

/// A step that failed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Failed {
    /// Its id.
    pub step: String,
    /// The exit status; 128 and the number of the signal for a command that a signal ended.
    pub code: i32,
    /// Whether its plan gave it the network.
    pub network: bool,
    /// Its last lines of output.
    pub output: Vec<String>,
}

/// What to say of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Advised {
    /// The situation, if it is a known one.
    pub id: Option<&'static str>,
    /// What to do.
    pub hints: Vec<String>,
}

impl Advised {
    fn add(&mut self, id: Option<&str>, hint: String) {
        self.id = self.id.or(IDS.iter().copied().find(|known| Some(*known) == id));
        if !self.hints.contains(&hint) {
            self.hints.push(hint);
        }
    }
}

/// What to do when a step fails in a known way.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Advice {
    /// The id of the error; without one it stays that of any failed step.
    id: Option<String>,
    /// What must hold besides; it sees `failed`.
    #[serde(default)]
    when: Expression,
    /// Exit statuses that are enough.
    #[serde(default)]
    codes: Vec<i32>,
    /// What a line of the output holds.
    #[serde(default)]
    patterns: Vec<String>,
    /// Regular expressions that a line fits; the text sees their named groups.
    #[serde(default)]
    matches: Vec<Match>,
    text: Text,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
struct Match(Regex);

impl TryFrom<String> for Match {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Regex::new(&text).map(Self).map_err(|error| error.to_string().trim().replace('\n', " "))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    advice: Vec<Advice>,
}

/// What conditions and texts see as `failed`.
#[derive(Serialize)]
struct Seen<'a> {
    step: &'a str,
    code: i32,
    network: bool,
    /// Whether a row before this one has said which situation it is.
    known: bool,
    /// The line that was recognised; empty when the exit status was enough.
    line: &'a str,
    /// The named groups of the row's expressions; empty texts for those that have not matched.
    found: BTreeMap<&'a str, &'a str>,
}

impl Advice {
    /// The id, when it is none that a row may have.
    pub(super) fn unknown_id(&self) -> Option<&str> {
        self.id.as_deref().filter(|id| !IDS.contains(id))
    }

    /// What was recognised, if anything was.
    fn seen<'a>(&'a self, failed: &'a Failed, known: bool) -> Option<Seen<'a>> {
        let lines = || failed.output.iter().map(String::as_str);
        let groups = self.matches.iter().flat_map(|one| one.0.capture_names().flatten());
        let mut found: BTreeMap<&str, &str> = groups.map(|name| (name, "")).collect();
        let matched = lines().find_map(|line| {
            let captures = |one: &'a Match| one.0.captures(line).map(|captures| (one, captures));
            self.matches.iter().find_map(captures).map(|(one, captures)| (line, one, captures))
        });
        let line = if let Some((line, one, captures)) = matched {
            for name in one.0.capture_names().flatten() {
                found.insert(name, captures.name(name).map_or("", |group| group.as_str()));
            }
            Some(line)
        } else {
            lines().find(|line| self.patterns.iter().any(|pattern| line.contains(pattern.as_str())))
        };
        let line = line.or_else(|| self.codes.contains(&failed.code).then_some(""))?;
        Some(Seen {
            step: &failed.step,
            code: failed.code,
            network: failed.network,
            known,
            line: line.trim(),
            found,
        })
    }

    /// What it says of the step; nothing when it is about something else.
    fn says(&self, failed: &Failed, known: bool) -> Result<Option<String>, Error> {
        let Some(seen) = self.seen(failed, known) else { return Ok(None) };
        let mut scope = Scope::new(SHARED);
        scope.set("failed", &seen);
        if !scope.holds("advice.when", &self.when)? {
            return Ok(None);
        }
        scope.text("advice.text", &self.text).map(Some)
    }
}

/// The rows of every ecosystem.
pub(super) fn shared(definitions: &Definitions) -> Result<Vec<Advice>, Error> {
    let Some(file) = definitions.get(SHARED) else { return Ok(Vec::new()) };
    let text = String::from_utf8_lossy(&file.bytes);
    let File { advice } = buildpack::parse(&text, &file.shown)?;
    Ok(advice)
}

/// What to do about `failed`, a step of a plan for `language`. Its own buildpack, which its id begins with, comes first:
/// it may be a front end of the app. The first row that has an id says which situation it is.
pub fn advise(definitions: &Definitions, language: &str, failed: &Failed) -> Advised {
    let own = failed.step.split('/').next().unwrap_or_default();
    let languages = if own == language { vec![language] } else { vec![own, language] };
    let mut advised = Advised::default();
    for language in languages {
        let Ok((Buildpack { native, advice, .. }, _)) = Buildpack::load(definitions, language) else {
            continue;
        };
        for hint in native.iter().flat_map(|native| missing(native, failed)) {
            advised.add(Some(NATIVE), hint);
        }
        for row in &advice {
            let said = row.says(failed, advised.id.is_some());
            if let Some(hint) = said.unwrap_or_else(|error| Some(error.to_string())) {
                advised.add(row.id.as_deref(), hint);
            }
        }
    }
    advised
}

/// The packages that lines of the output ask for.
fn missing(native: &Native, failed: &Failed) -> Vec<String> {
    let hint = |row: &NativeRow| {
        let line = |pattern: &String| failed.output.iter().find(|line| line.contains(pattern.as_str()));
        let seen = row.patterns.iter().find_map(line)?;
        let packages = native::line("build", &row.build);
        Some(format!("`{}` points at a missing package: write `{packages}` in rpack.toml", seen.trim()))
    };
    native.rows.iter().filter_map(hint).collect()
}
