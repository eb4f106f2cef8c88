//! The start command: which one counts, and its argv.
//!
//! In: configuration, Procfile and the candidates of a buildpack. Out: a [`StartCommand`] that needs no shell.
//! Order: `start.command`, the Procfile's default process, the buildpack's candidates.

mod lexer;
mod resolve;

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::buildpack::{Buildpack, Start};
use super::model::Notice;
use super::template::Scope;
use super::{APP, Error, origin};
use crate::config::{Command, Config, Origin};
use crate::ui::Location;

use resolve::{Outcome, Place, Resolver};

/// What the image starts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct StartCommand {
    /// The program's absolute path where that is known, and its arguments.
    pub(super) argv: Vec<String>,
    /// Assignments that stood in front of it.
    pub(super) env: BTreeMap<String, String>,
    /// `/app`, or a folder below it.
    pub(super) directory: String,
    /// Who said so.
    pub(super) origin: String,
}

impl StartCommand {
    /// The name of what really runs: that of the program, or of the file that its interpreter is given.
    pub(super) fn program(&self) -> &str {
        let bin = self.argv.iter().take(2).find(|word| word.contains("/.bin/"));
        let path = bin.or(self.argv.first()).map_or("", String::as_str);
        path.rsplit('/').next().unwrap_or(path)
    }

    /// Whether an argument refers to a variable.
    pub(super) fn expands(&self) -> bool {
        self.argv.iter().any(|word| word.contains('$'))
    }
}

#[derive(Deserialize)]
struct Process {
    command: String,
    line: usize,
}

#[derive(Deserialize)]
struct Procfile {
    processes: BTreeMap<String, Process>,
    default: Option<String>,
}

/// Finds the start command.
pub(super) fn start(
    buildpack: &Buildpack,
    scope: &Scope,
    config: &Config,
    facts: &Value,
    notices: &mut Vec<Notice>,
) -> Result<StartCommand, Error> {
    let resolver = Resolver::new(&buildpack.commands, scope)?;
    let mut found = match configured(&resolver, config)? {
        Some(found) => found,
        None => match procfile(&resolver, facts)? {
            Some(found) => found,
            None => candidates(buildpack, scope, &resolver, notices)?,
        },
    };
    if let Some(port) = found.env.remove("PORT") {
        notices.push(Notice {
            id: "start/fixed-port".to_owned(),
            text: format!(
                "{} sets PORT={port}, which is left out: whoever runs the image chooses the port",
                found.origin
            ),
            warning: true,
        });
    }
    Ok(found)
}

fn configured(resolver: &Resolver<'_>, config: &Config) -> Result<Option<StartCommand>, Error> {
    let Some(start) = &config.start else { return Ok(None) };
    let place = match &start.origin {
        Origin::File { path, line, column } => Place {
            origin: origin(path, Some(*line), "start.command"),
            location: Some(Location { file: path.clone(), line: Some(*line), column: Some(*column) }),
        },
        other => Place { origin: other.to_string(), location: None },
    };
    let outcome = match &start.value {
        Command::Line(text) => resolver.line(text, &place)?,
        Command::Argv(words) => resolver.words(words.clone(), &place)?,
    };
    outcome.accepted().map(Some)
}

fn procfile(resolver: &Resolver<'_>, facts: &Value) -> Result<Option<StartCommand>, Error> {
    let Some(procfile) = facts.get("procfile").filter(|value| !value.is_null()) else { return Ok(None) };
    let procfile: Procfile = serde_json::from_value(procfile.clone()).map_err(|error| Error::Expression {
        file: "the detection".to_owned(),
        key: "procfile".to_owned(),
        source_text: String::new(),
        reason: error.to_string(),
    })?;
    let Some(process) = procfile.default.as_ref().and_then(|name| procfile.processes.get(name)) else {
        let on_demand = |name: &str| matches!(name, "release" | "migrate");
        let mut others = procfile.processes.iter().filter(|(name, _)| !on_demand(name)).peekable();
        let Some((_, first)) = others.peek() else { return Ok(None) };
        return Err(Error::NoDefaultProcess {
            command: first.command.clone(),
            processes: others.map(|(name, _)| name.clone()).collect(),
        });
    };
    let place = Place {
        origin: format!("Procfile:{}", process.line),
        location: Some(Location { file: "Procfile".to_owned(), line: Some(process.line), column: None }),
    };
    resolver.line(&process.command, &place)?.accepted().map(Some)
}

/// The first candidate of the buildpack that is no development server.
fn candidates(
    buildpack: &Buildpack,
    scope: &Scope,
    resolver: &Resolver<'_>,
    notices: &mut Vec<Notice>,
) -> Result<StartCommand, Error> {
    let mut rejected = Vec::new();
    for (index, candidate) in buildpack.starts.iter().enumerate() {
        let key = format!("start.{index}");
        if !scope.holds(&format!("{key}.when"), &candidate.when)? {
            continue;
        }
        match candidate_outcome(candidate, &key, scope, resolver)? {
            Outcome::Accepted(found) => {
                notices.extend(rejected.iter().map(|error: &Error| Notice {
                    id: "start/dev-server".to_owned(),
                    text: format!(
                        "{error}; `{}` is started instead ({})",
                        found.argv.join(" "),
                        found.origin
                    ),
                    warning: true,
                }));
                return Ok(found);
            }
            Outcome::Rejected(error) => rejected.push(error),
        }
    }
    match rejected.into_iter().next() {
        Some(error) => Err(error),
        None => Err(Error::StartNone {
            language: buildpack.title.clone(),
            looked_for: std::iter::once("`start.command` in rpack.toml".to_owned())
                .chain(std::iter::once("a `Procfile`".to_owned()))
                .chain(buildpack.starts.iter().map(|start| start.looks_for.clone()))
                .collect(),
            example: buildpack.image.example.clone(),
        }),
    }
}

fn candidate_outcome(
    candidate: &Start,
    key: &str,
    scope: &Scope,
    resolver: &Resolver<'_>,
) -> Result<Outcome, Error> {
    let place = Place { origin: scope.text(&format!("{key}.origin"), &candidate.origin)?, location: None };
    match &candidate.script {
        Some(name) => resolver.script(name, &place),
        None => resolver.words(scope.texts(&format!("{key}.argv"), &candidate.argv)?, &place),
    }
}

/// `path` below the app's folder, without `.` and `..`; nothing when it leads out of it.
fn below_app(directory: &str, path: &str) -> Option<String> {
    let joined = if path.starts_with('/') { path.to_owned() } else { format!("{directory}/{path}") };
    let mut parts: Vec<&str> = Vec::new();
    for part in joined.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            _ => parts.push(part),
        }
    }
    let clean = format!("/{}", parts.join("/"));
    (clean == APP || clean.starts_with(&format!("{APP}/"))).then_some(clean)
}
