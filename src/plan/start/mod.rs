//! The start command: which one counts, and its argv.
//!
//! In: configuration, Procfile and the candidates of a buildpack. Out: commands that need no shell, or a shell with a
//! list of such commands. Order:
//! `start.process`, `start.command`, the default process of the Procfile, the buildpack's candidates.

mod lexer;
mod listen;
pub(super) mod process;
mod resolve;
mod rules;
mod several;

use std::collections::BTreeMap;

use serde_json::Value;

use super::buildpack::{Buildpack, Start};
use super::model::Notice;
use super::template::Scope;
use super::{APP, Error, Planner, part};
use crate::paths::inside;
use crate::ui::Diagnose as _;

use process::Processes;
use resolve::{Outcome, Place, Resolver};
pub(super) use rules::Commands;
use several::SEVERAL;

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
    /// When a shell runs a list of commands: the words of the last.
    pub(super) last: Option<Vec<String>>,
}

impl StartCommand {
    /// The name of what really runs: that of the program, or of the file that its interpreter is given.
    pub(super) fn program(&self) -> &str {
        let argv = self.last.as_ref().unwrap_or(&self.argv);
        let bin = argv.iter().take(2).find(|word| word.contains("/.bin/"));
        let path = bin.or(argv.first()).map_or("", String::as_str);
        path.rsplit('/').next().unwrap_or(path)
    }

    /// Whether an argument refers to a variable.
    pub(super) fn expands(&self) -> bool {
        self.argv.iter().any(|word| word.contains('$'))
    }
}

/// A command that the image may start.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub(super) start: StartCommand,
    /// Globs below the app's folder, for each of which there must be a file after the build.
    pub(super) files: Vec<String>,
    /// The name of the process.
    pub(super) process: String,
    /// The other processes.
    pub(super) others: BTreeMap<String, StartCommand>,
}

impl Candidate {
    /// The start command and those of the other processes.
    pub(super) fn commands(&self) -> impl Iterator<Item = &StartCommand> {
        std::iter::once(&self.start).chain(self.others.values())
    }
}

/// Finds what the image may start, the likeliest first. All but the last depend on files that the build makes.
pub(super) fn starts(
    planner: &Planner<'_>,
    facts: &Value,
    notices: &mut Vec<Notice>,
) -> Result<Vec<Candidate>, Error> {
    let Planner { buildpack, scope, config, .. } = planner;
    let resolver = Resolver::new(&buildpack.commands, scope, part::directory(&planner.folder))?;
    let processes = Processes::read(config, facts)?;
    let found = match (processes.default(&resolver, config, notices)?, &config.process) {
        (Some((name, start)), _) => vec![(name, start, Vec::new())],
        (None, Some(chosen)) if chosen.value != process::DEFAULT => {
            let start = processes.of_language(chosen, buildpack, scope, &resolver)?;
            vec![(chosen.value.clone(), start, Vec::new())]
        }
        _ => candidates(buildpack, scope, &resolver, notices)?
            .into_iter()
            .map(|(start, files)| (process::DEFAULT.to_owned(), start, files))
            .collect(),
    };
    let name = found.first().map_or(process::DEFAULT, |(name, ..)| name);
    let others = processes.others(name, buildpack, scope, &resolver, notices)?;
    let candidate = |(process, start, files)| {
        let start = without_port(start, notices);
        Candidate { start, files, process, others: others.clone() }
    };
    Ok(found.into_iter().map(candidate).collect())
}

/// The command without the port that it sets: that is for whoever runs the image.
fn without_port(mut found: StartCommand, notices: &mut Vec<Notice>) -> StartCommand {
    if let Some(port) = found.env.remove("PORT") {
        let text = format!(
            "{} sets PORT={port}, which is left out: whoever runs the image chooses the port",
            found.origin
        );
        let notice = Notice { id: "start/fixed-port".to_owned(), text, warning: true };
        if !notices.contains(&notice) {
            notices.push(notice);
        }
    }
    found
}

/// The candidates of the buildpack that are no development servers, up to the first that depends on no file.
fn candidates(
    buildpack: &Buildpack,
    scope: &Scope,
    resolver: &Resolver<'_>,
    notices: &mut Vec<Notice>,
) -> Result<Vec<(StartCommand, Vec<String>)>, Error> {
    let mut rejected: Vec<Error> = Vec::new();
    let mut accepted: Vec<(StartCommand, Vec<String>)> = Vec::new();
    for (index, candidate) in buildpack.starts.iter().enumerate() {
        let key = format!("start.{index}");
        // Several programs give way to another script alone: a file would be one of them at best.
        let may_follow = candidate.script.is_some() || rejected.iter().all(|error| error.id() != SEVERAL);
        if !may_follow || !scope.holds(&format!("{key}.when"), &candidate.when)? {
            continue;
        }
        match candidate_outcome(candidate, &key, scope, resolver)? {
            Outcome::Accepted(found) => {
                let files = scope.texts(&format!("{key}.files"), &candidate.files)?;
                let is_certain = files.is_empty();
                accepted.push((found, files));
                if is_certain {
                    break;
                }
            }
            Outcome::Replaced(found, error) => {
                rejected.push(error);
                accepted.push((found, Vec::new()));
                break;
            }
            Outcome::Rejected(error) => rejected.push(error),
        }
    }
    match (accepted.first(), rejected.into_iter().next()) {
        (Some((first, _)), Some(error)) => notices.push(resolve::instead(first, &error)),
        (Some(_), None) => {}
        (None, Some(error)) => return Err(error),
        (None, None) => return Err(none(buildpack)),
    }
    Ok(accepted)
}

/// What to say where there is no candidate.
pub(super) fn none(buildpack: &Buildpack) -> Error {
    let stated = ["`start.command` in rpack.toml", "a `Procfile`"].map(str::to_owned);
    let mut looked_for = stated.to_vec();
    for start in &buildpack.starts {
        if !looked_for.contains(&start.looks_for) {
            looked_for.push(start.looks_for.clone());
        }
    }
    Error::StartNone {
        language: buildpack.title.clone(),
        looked_for,
        example: buildpack.image.example.clone(),
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
    let found = match path.strip_prefix('/') {
        Some(absolute) => inside("", absolute.trim_start_matches('/'))?,
        None => inside(directory, path)?,
    };
    let clean = format!("/{found}");
    (clean == APP || clean.starts_with(&format!("{APP}/"))).then_some(clean)
}
