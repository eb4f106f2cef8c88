//! Processes: those that the Procfile and the configuration state, and which of them the image starts.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::super::buildpack::Buildpack;
use super::super::model::Notice;
use super::super::template::Scope;
use super::super::{Error, origin};
use super::StartCommand;
use super::resolve::{Outcome, Place, Resolver};
use crate::config::{Command, Config, Origin, Resolved};
use crate::ui::{Diagnose as _, Location};

/// Processes that run on demand: never when the image starts, unless somebody asks for them.
const ON_DEMAND: [&str; 2] = ["migrate", "release"];
/// The process that an image starts when nobody asks for another.
pub(in crate::plan) const DEFAULT: &str = "web";

/// A process that somebody has written down.
#[derive(Clone, Debug)]
struct Stated {
    command: Command,
    place: Place,
}

/// All stated processes by name.
#[derive(Clone, Debug)]
pub(super) struct Processes(BTreeMap<String, Stated>);

#[derive(Deserialize)]
struct Procfile {
    processes: BTreeMap<String, Line>,
}

#[derive(Deserialize)]
struct Line {
    command: String,
    line: usize,
}

impl Processes {
    /// Those of the Procfile, and those of the configuration in their stead.
    pub(super) fn read(config: &Config, facts: &Value) -> Result<Self, Error> {
        let mut stated = BTreeMap::new();
        if let Some(procfile) = facts.get("procfile").filter(|value| !value.is_null()) {
            let procfile: Procfile =
                serde_json::from_value(procfile.clone()).map_err(|error| Error::Expression {
                    file: "the detection".to_owned(),
                    key: "procfile".to_owned(),
                    source_text: String::new(),
                    reason: error.to_string(),
                })?;
            for (name, Line { command, line }) in procfile.processes {
                let location = Location { file: "Procfile".to_owned(), line: Some(line), column: None };
                let place = Place { origin: format!("Procfile:{line}"), location: Some(location) };
                stated.insert(name, Stated { command: Command::Line(command), place });
            }
        }
        for (name, command) in &config.processes {
            let place = place(&format!("process.{name}"), &command.origin);
            stated.insert(name.clone(), Stated { command: command.value.clone(), place });
        }
        Ok(Self(stated))
    }

    /// The process that the image starts, with its name; none when that is for the language to say.
    pub(super) fn default(
        &self,
        resolver: &Resolver<'_>,
        config: &Config,
        notices: &mut Vec<Notice>,
    ) -> Result<Option<(String, StartCommand)>, Error> {
        if let Some(chosen) = &config.process {
            return match self.0.get(&chosen.value) {
                Some(stated) => {
                    Ok(Some((chosen.value.clone(), stated.resolve(resolver)?.accepted(notices)?)))
                }
                None => Ok(None),
            };
        }
        if let Some(start) = &config.start {
            let place = place("start.command", &start.origin);
            let stated = Stated { command: start.value.clone(), place };
            return Ok(Some((DEFAULT.to_owned(), stated.resolve(resolver)?.accepted(notices)?)));
        }
        let mut others = self.0.iter().filter(|(name, _)| !ON_DEMAND.contains(&name.as_str()));
        let found = match (self.0.get_key_value(DEFAULT), others.next(), others.next()) {
            (Some(web), ..) => web,
            (None, None, _) => return Ok(None),
            (None, Some(only), None) => only,
            (None, Some(first), Some(second)) => {
                let names = [first.0, second.0].into_iter().chain(others.map(|(name, _)| name));
                return Err(Error::NoDefaultProcess { processes: names.cloned().collect() });
            }
        };
        Ok(Some((found.0.clone(), found.1.resolve(resolver)?.accepted(notices)?)))
    }

    /// Every process but `default`, those of the language included. One that cannot be started is left out with a
    /// warning: nobody has asked for it yet.
    pub(super) fn others(
        &self,
        default: &str,
        buildpack: &Buildpack,
        scope: &Scope,
        resolver: &Resolver<'_>,
        notices: &mut Vec<Notice>,
    ) -> Result<BTreeMap<String, StartCommand>, Error> {
        let mut found = known(buildpack, scope, resolver)?;
        for (name, stated) in self.0.iter().filter(|(name, _)| *name != default) {
            match stated.resolve(resolver).and_then(|outcome| outcome.accepted(notices)) {
                Ok(command) => {
                    found.insert(name.clone(), command);
                }
                Err(error) => {
                    let hint = error.hints().into_iter().next().map(|hint| format!("; {hint}"));
                    notices.push(Notice {
                        id: "process/left-out".to_owned(),
                        text: format!(
                            "the process `{name}` is left out: {error}{}",
                            hint.unwrap_or_default()
                        ),
                        warning: true,
                    });
                }
            }
        }
        found.remove(default);
        Ok(found)
    }

    /// What `start.process` names although nobody states it: a process of the language, or nothing.
    pub(super) fn of_language(
        &self,
        chosen: &Resolved<String>,
        buildpack: &Buildpack,
        scope: &Scope,
        resolver: &Resolver<'_>,
    ) -> Result<StartCommand, Error> {
        let mut known = known(buildpack, scope, resolver)?;
        known.remove(&chosen.value).ok_or_else(|| Error::NoProcess {
            name: chosen.value.clone(),
            origin: chosen.origin.to_string(),
            known: self.0.keys().chain(known.keys()).cloned().collect(),
        })
    }
}

impl Stated {
    fn resolve(&self, resolver: &Resolver<'_>) -> Result<Outcome, Error> {
        match &self.command {
            Command::Line(text) => resolver.line(text, &self.place),
            Command::Argv(words) => resolver.words(words.clone(), &self.place),
        }
    }
}

/// The processes that the buildpack knows.
fn known(
    buildpack: &Buildpack,
    scope: &Scope,
    resolver: &Resolver<'_>,
) -> Result<BTreeMap<String, StartCommand>, Error> {
    let mut found = BTreeMap::new();
    for (index, process) in buildpack.processes.iter().enumerate() {
        let key = format!("process.{index}");
        if !scope.holds(&format!("{key}.when"), &process.when)? {
            continue;
        }
        let place = Place { origin: scope.text(&format!("{key}.origin"), &process.origin)?, location: None };
        let argv = scope.texts(&format!("{key}.argv"), &process.argv)?;
        found.insert(process.name.clone(), resolver.words(argv, &place)?.accepted(&mut Vec::new())?);
    }
    Ok(found)
}

fn place(key: &str, stated: &Origin) -> Place {
    match stated {
        Origin::File { path, line, column } => Place {
            origin: origin(path, Some(*line), key),
            location: Some(Location { file: path.clone(), line: Some(*line), column: Some(*column) }),
        },
        other => Place { origin: other.to_string(), location: None },
    }
}
