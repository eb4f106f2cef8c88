//! The start command: configuration, Procfile, then the buildpack's candidates.

use serde::Deserialize;

use super::buildpack::{Buildpack, StartRule};
use super::expression::Evaluator;
use super::lexer::{Line, Unsplit, split};
use super::versions::location;
use super::Error;
use crate::config::{Command, Config};
use crate::ui::Location;

/// How deep `npm run X` may lead to further scripts.
const DEPTH: usize = 5;

/// Programs that serve for development only, each with what to say instead.
const DEVELOPMENT: [(&str, &str); 12] = [
    ("nodemon", "start the file itself: `node FILE`"),
    ("ts-node-dev", "compile in the build script and start the result: `node dist/FILE.js`"),
    ("ts-node", "compile in the build script and start the result: `node dist/FILE.js`"),
    ("next dev", "use `next start`"),
    ("nuxt dev", "use `node .output/server/index.mjs`"),
    ("vite", "build with `vite build` and serve `dist` with a static server"),
    ("ng serve", "build with `ng build` and serve the output"),
    ("react-scripts start", "build with `react-scripts build` and serve `build`"),
    ("nest start", "use `node dist/main.js`"),
    ("astro dev", "build with `astro build` and start `node dist/server/entry.mjs`"),
    ("webpack serve", "build with `webpack` and serve the output"),
    ("flask run", "use gunicorn: `gunicorn app:app --bind 0.0.0.0:$PORT`"),
];

/// What starts the app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Start {
    pub(super) argv: Vec<String>,
    pub(super) env: Vec<(String, String)>,
    /// Below the app's folder.
    pub(super) directory: Option<String>,
    pub(super) origin: String,
}

#[derive(Deserialize)]
struct Process {
    command: String,
    line: usize,
}

/// Finds the start command.
pub(super) fn start(
    buildpack: &Buildpack,
    config: &Config,
    facts: &serde_json::Value,
    evaluator: &Evaluator<'_>,
) -> Result<Start, Error> {
    if let Some(command) = &config.start {
        let (shown, place) = (command.origin.to_string(), location(&command.origin));
        return match &command.value {
            Command::Argv(argv) => Ok(Start { argv: argv.clone(), env: Vec::new(), directory: None, origin: shown }),
            Command::Line(line) => from_line(line, shown, &place, facts),
        };
    }
    if let Some(name) = facts["procfile"]["default"].as_str() {
        let process = Process::deserialize(&facts["procfile"]["processes"][name])
            .map_err(|error| Error::Definition { file: "facts of Procfile".to_owned(), reason: error.to_string() })?;
        let place = Location { file: "Procfile".to_owned(), line: Some(process.line), column: None };
        return from_line(&process.command, format!("{place} {name}"), &place, facts);
    }
    let mut rejected = Vec::new();
    for rule in &buildpack.start {
        if !evaluator.holds(rule.when.as_ref())? {
            continue;
        }
        let origin = evaluator.render(&rule.origin)?;
        match from_rule(rule, &origin, evaluator, facts) {
            Err(Error::DevelopmentServer { command, .. }) => {
                rejected.push(format!("{origin}: `{command}` is a development server"));
            }
            other => return other,
        }
    }
    Err(Error::NoStart { rejected, suggestion: suggestion(&buildpack.id).to_owned() })
}

fn from_rule(
    rule: &StartRule,
    origin: &str,
    evaluator: &Evaluator<'_>,
    facts: &serde_json::Value,
) -> Result<Start, Error> {
    if let Some(script) = &rule.script {
        let line = facts["node"]["package"]["script_lines"][script].as_u64().and_then(|line| line.try_into().ok());
        let place = Location { file: "package.json".to_owned(), line, column: None };
        let command = facts["node"]["package"]["scripts"][script].as_str().unwrap_or_default();
        return from_line(command, origin.to_owned(), &place, facts);
    }
    let argv = evaluator.render_all(&rule.argv)?;
    Ok(Start { argv, env: Vec::new(), directory: None, origin: origin.to_owned() })
}

/// A line as a person wrote it, followed through package.json scripts.
fn from_line(
    command: &str,
    origin: String,
    place: &Location,
    facts: &serde_json::Value,
) -> Result<Start, Error> {
    let scripts = &facts["node"]["package"]["scripts"];
    let mut start = Start { argv: Vec::new(), env: Vec::new(), directory: None, origin };
    let mut command = command.to_owned();
    for _ in 0..DEPTH {
        let Line { assignments, directory, argv } = split(&command).map_err(|why| unsplit(&command, why, place))?;
        start.env.extend(assignments);
        start.directory = directory.or(start.directory);
        start.argv = without_wrappers(argv, &mut start.env);
        let next = script_of(&start.argv).and_then(|name| scripts[name].as_str());
        match next {
            Some(next) => next.clone_into(&mut command),
            None => break,
        }
    }
    if let Some(instead) = development(&start.argv) {
        return Err(Error::DevelopmentServer { command, location: place.clone(), instead: instead.to_owned() });
    }
    if facts["node"].is_object() {
        start.argv = resolve_binary(start.argv, facts);
    }
    if start.argv.is_empty() {
        return Err(unsplit(&command, Unsplit::Empty, place));
    }
    Ok(start)
}

fn unsplit(command: &str, why: Unsplit, location: &Location) -> Error {
    let (command, location) = (command.to_owned(), location.clone());
    match why {
        Unsplit::Shell(operator, _) => Error::NeedsShell { command, operator, location },
        Unsplit::Quote(_) => Error::InvalidStart { command, reason: "has a quote that is not closed".into(), location },
        Unsplit::Empty => Error::InvalidStart { command, reason: "names no program".into(), location },
    }
}

/// `cross-env A=b` and `env A=b` only set variables; `npx` and `npm exec` only find a program.
fn without_wrappers(argv: Vec<String>, env: &mut Vec<(String, String)>) -> Vec<String> {
    let mut words = argv.into_iter().peekable();
    loop {
        match words.peek().map(String::as_str) {
            Some("cross-env" | "env") => {
                words.next();
                while let Some((name, value)) = words.peek().and_then(|word| word.split_once('=')) {
                    env.push((name.to_owned(), value.to_owned()));
                    words.next();
                }
            }
            Some("npx") => {
                words.next();
            }
            _ => return words.collect(),
        }
    }
}

/// The package.json script that a command runs.
fn script_of(argv: &[String]) -> Option<&str> {
    let words: Vec<&str> = argv.iter().map(String::as_str).filter(|word| *word != "--silent").collect();
    match words.as_slice() {
        ["npm" | "pnpm" | "yarn" | "bun", "run" | "run-script", name, ..] => Some(name),
        ["npm" | "pnpm" | "yarn", name @ ("start" | "serve")] => Some(name),
        ["yarn", name] => Some(name),
        _ => None,
    }
}

/// The advice for a command that serves for development only.
fn development(argv: &[String]) -> Option<&'static str> {
    let first = argv.first()?.rsplit('/').next()?;
    let second = argv.get(1).map(String::as_str).unwrap_or_default();
    if first == "node" && second == "--watch" {
        return Some("start without `--watch`");
    }
    if first == "vite" && second == "build" {
        return None;
    }
    let both = format!("{first} {second}");
    DEVELOPMENT.iter().find(|(program, _)| *program == first || *program == both).map(|(_, instead)| *instead)
}

/// A program of a dependency stands in `node_modules/.bin`; its first line asks for `env`, which is not there.
fn resolve_binary(argv: Vec<String>, facts: &serde_json::Value) -> Vec<String> {
    let Some(first) = argv.first() else { return argv };
    let package = &facts["node"]["package"];
    let dependencies = ["dependencies", "optional_dependencies"].iter();
    let has_dependencies = dependencies.clone().any(|kind| package[*kind].as_object().is_some_and(|map| !map.is_empty()));
    if first.contains('/') || ["node", "npm", "python", "python3"].contains(&first.as_str()) || !has_dependencies {
        return argv;
    }
    let mut resolved = vec!["node".to_owned(), format!("node_modules/.bin/{first}")];
    resolved.extend(argv.into_iter().skip(1));
    resolved
}

fn suggestion(language: &str) -> &'static str {
    match language {
        "python" => "python main.py",
        "node" => "node server.js",
        _ => "./server --port $PORT",
    }
}
