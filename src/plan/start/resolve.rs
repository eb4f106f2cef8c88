//! From the words of a command to the program that runs: scripts are followed, wrappers are dropped, names become
//! paths.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use super::super::Error;
use super::super::error::start_hints;
use super::super::model::Notice;
use super::super::template::Scope;
use super::lexer::{self, Refusal};
use super::rules::{Commands, Reject};
use super::{StartCommand, below_app, listen};
use crate::ui::{Diagnose as _, Location};

/// How many scripts may call each other.
const DEPTH: usize = 5;
/// Commands of a shell itself that may stand in a list.
const BUILTINS: [&str; 7] = [":", "echo", "export", "set", "true", "ulimit", "umask"];
/// Programs that would interpret a command, none of which an image has unless its buildpack says so.
const SHELLS: [&str; 5] = ["sh", "bash", "dash", "ash", "zsh"];

/// Where a command stands.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) origin: String,
    pub(super) location: Option<Location>,
}

/// What became of a command.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It can be started.
    Accepted(StartCommand),
    /// It is no production start, but says what is.
    Replaced(StartCommand, Error),
    /// It can, but is no production start.
    Rejected(Error),
}

impl Outcome {
    /// The same as a replacement for what `error` is about.
    pub(super) fn instead_of(self, error: Error) -> Self {
        match self {
            Self::Accepted(found) | Self::Replaced(found, _) => Self::Replaced(found, error),
            Self::Rejected(error) => Self::Rejected(error),
        }
    }

    /// What is started, with a warning when that is not what was asked for. A rejected command is an error where the
    /// user has stated it for the image.
    pub(super) fn accepted(self, notices: &mut Vec<Notice>) -> Result<StartCommand, Error> {
        match self {
            Self::Accepted(found) => Ok(found),
            Self::Replaced(found, error) => {
                notices.push(instead(&found, &error));
                Ok(found)
            }
            Self::Rejected(error) => Err(error),
        }
    }
}

/// The notice that `found` is started, and what is not, and why.
pub(super) fn instead(found: &StartCommand, error: &Error) -> Notice {
    let text = format!("{error}; `{}` is started instead ({})", found.argv.join(" "), found.origin);
    Notice { id: error.id().to_owned(), text, warning: true }
}

/// Turns words into an argv for one buildpack.
#[derive(Debug)]
pub(super) struct Resolver<'a> {
    pub(super) commands: &'a Commands,
    /// Where commands start: the app's folder.
    directory: String,
    pub(super) scripts: BTreeMap<String, String>,
    lines: BTreeMap<String, usize>,
    /// The file that holds the scripts.
    file: String,
    /// Commands that the build has run.
    prepared: Vec<String>,
    programs: BTreeMap<String, String>,
    /// Where other bare words are.
    bins: String,
}

impl<'a> Resolver<'a> {
    pub(super) fn new(commands: &'a Commands, scope: &Scope, directory: String) -> Result<Self, Error> {
        let scripts = commands.scripts.as_ref().map(|source| scope.read("commands.scripts", source));
        let lines = commands.script_lines.as_ref().map(|source| scope.read("commands.script-lines", source));
        let prepared = commands.prepared.as_ref().map(|source| scope.read("commands.prepared", source));
        let bins = commands.bins.as_ref().map(|bins| scope.text("commands.bins.folder", &bins.folder));
        Ok(Self {
            commands,
            directory,
            scripts: scripts.transpose()?.unwrap_or_default(),
            lines: lines.transpose()?.unwrap_or_default(),
            file: scope.text("commands.scripts-file", &commands.scripts_file)?,
            prepared: prepared.transpose()?.unwrap_or_default(),
            programs: scope.table("commands.programs", &commands.programs)?,
            bins: bins.transpose()?.unwrap_or_default(),
        })
    }

    /// Resolves a line as it stands in a Procfile.
    pub(super) fn line(&self, text: &str, place: &Place) -> Result<Outcome, Error> {
        self.follow_line(text, &[], StartCommand::default(), place, 0)
    }

    /// Resolves exact words.
    pub(super) fn words(&self, words: Vec<String>, place: &Place) -> Result<Outcome, Error> {
        if words.is_empty() {
            return Err(syntax("", "it names no program", place));
        }
        self.follow(words, StartCommand::default(), place, 0)
    }

    /// Resolves a named script.
    pub(super) fn script(&self, name: &str, place: &Place) -> Result<Outcome, Error> {
        self.follow_script(name, &[], StartCommand::default(), place, 0)
    }

    fn follow_script(
        &self,
        name: &str,
        more: &[String],
        so_far: StartCommand,
        place: &Place,
        depth: usize,
    ) -> Result<Outcome, Error> {
        let file = &self.file;
        let Some(text) = self.scripts.get(name) else {
            return Err(Error::Start {
                id: "start/script",
                reason: format!("{} calls the script `{name}`, which {file} does not have", place.origin),
                location: place.location.clone(),
                hints: vec![format!("scripts of {file}: {}", self.names())],
            });
        };
        if depth == DEPTH {
            return Err(Error::Start {
                id: "start/script",
                reason: format!("{} calls more than {DEPTH} scripts in turn, at last `{name}`", place.origin),
                location: place.location.clone(),
                hints: start_hints("node server.js"),
            });
        }
        let location = Location { file: file.clone(), line: self.lines.get(name).copied(), column: None };
        let inner = Place { origin: place.origin.clone(), location: Some(location) };
        self.follow_line(text, more, so_far, &inner, depth + 1)
    }

    fn names(&self) -> String {
        self.scripts.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
    }

    pub(super) fn follow_line(
        &self,
        text: &str,
        more: &[String],
        mut so_far: StartCommand,
        place: &Place,
        depth: usize,
    ) -> Result<Outcome, Error> {
        let text = self.without_prepared(text);
        let line = match lexer::split(text) {
            Ok(line) => line,
            Err(refusal) => {
                if let Some(words) = self.with_patterns(text) {
                    return self.follow(words, so_far, place, depth);
                }
                let list = self.list(text, more, &so_far, place, depth)?;
                return list.ok_or_else(|| refused(text, refusal, place));
            }
        };
        for (name, value) in line.env {
            assign(&mut so_far, text, name, &value, place)?;
        }
        if let Some(folder) = line.directory {
            so_far.directory = below_app(&self.directory, &folder).ok_or_else(|| {
                syntax(text, &format!("`cd {folder}` leads out of the app's folder"), place)
            })?;
        }
        let mut words = line.argv;
        words.extend_from_slice(more);
        self.follow(words, so_far, place, depth)
    }

    /// What is left of a line whose first commands the build has run.
    fn without_prepared<'b>(&self, mut text: &'b str) -> &'b str {
        while let Some((first, rest)) = text.split_once("&&")
            && self.prepared.iter().any(|command| command == first.trim())
        {
            text = rest.trim_start();
        }
        text
    }

    /// A list of commands, for a shell to run one after another. Each is resolved as if it stood alone; nothing when one
    /// needs a shell itself, or runs in another folder.
    fn list(
        &self,
        text: &str,
        more: &[String],
        so_far: &StartCommand,
        place: &Place,
        depth: usize,
    ) -> Result<Option<Outcome>, Error> {
        let (Some(shell), Some(commands)) = (&self.commands.list_shell, lexer::sequence(text)) else {
            return Ok(None);
        };
        let mut script = String::new();
        let mut words = Vec::new();
        let mut replaced = None;
        for (index, (operator, command)) in commands.iter().enumerate() {
            let is_last = index + 1 == commands.len();
            let Ok(line) = lexer::split(command) else { return Ok(None) };
            let _ = write!(script, "{}{operator} ", if *operator == ";" { "" } else { " " });
            if BUILTINS.contains(&line.argv[0].as_str()) {
                words = line.argv;
            } else {
                let more = if is_last { more } else { &[] };
                let found = match self.follow_line(command, more, StartCommand::default(), place, depth)? {
                    Outcome::Accepted(found) => found,
                    Outcome::Replaced(found, error) => {
                        replaced = Some(error);
                        found
                    }
                    Outcome::Rejected(error) => return Ok(Some(Outcome::Rejected(error))),
                };
                if found.directory != self.directory {
                    return Ok(None);
                }
                let env = found.env.iter().map(|(name, value)| format!("{name}={} ", lexer::quoted(value)));
                script.extend(env);
                script.push_str(if is_last && found.env.is_empty() { "exec " } else { "" });
                words = found.argv;
            }
            script.push_str(&words.iter().map(|word| lexer::quoted(word)).collect::<Vec<_>>().join(" "));
        }
        // The start helper leaves references to the shell.
        let argv = vec![shell.clone(), "-c".to_owned(), script.trim().replace('$', "$$")];
        let directory = self.directory.clone();
        let env = so_far.env.clone();
        let origin = place.origin.clone();
        let found = StartCommand { argv, env, directory, origin, last: Some(words) };
        Ok(Some(match replaced {
            Some(error) => Outcome::Replaced(found, error),
            None => Outcome::Accepted(found),
        }))
    }

    fn follow(
        &self,
        mut words: Vec<String>,
        mut so_far: StartCommand,
        place: &Place,
        depth: usize,
    ) -> Result<Outcome, Error> {
        let written = words.join(" ");
        for (name, value) in self.unwrap(&mut words) {
            assign(&mut so_far, &written, name, &value, place)?;
        }
        if let Some((name, more)) = self.called_script(&words) {
            return self.follow_script(&name, &more, so_far, place, depth);
        }
        if words.is_empty() {
            return Err(syntax(&written, "it names no program", place));
        }
        if let Some(rule) = self.several(&words) {
            return self.follow_several(rule, &words, so_far, place, depth);
        }
        if let Some(rule) = self.rejecting(&words) {
            let why = rule.why.as_deref().unwrap_or("is for development");
            let error = Error::Start {
                id: if rule.why.is_some() { "start/process-manager" } else { "start/dev-server" },
                reason: format!("`{}` ({}) {why}", words.join(" "), place.origin),
                location: place.location.clone(),
                hints: start_hints(&rule.instead),
            };
            let can_start =
                |words: &Vec<String>| self.called_script(words).is_some() || self.rejecting(words).is_none();
            let Some(words) = watched(rule, &words).filter(can_start) else {
                return Ok(Outcome::Rejected(error));
            };
            let found = self.follow(words, so_far, place, depth)?;
            return Ok(found.instead_of(error));
        }
        let is_shell = SHELLS.contains(&basename(&words[0]));
        if is_shell
            && self.commands.list_shell.is_some()
            && let [_, option, text] = &words[..]
            && option == "-c"
        {
            return self.follow_line(&text.replace("$$", "$"), &[], so_far, place, depth + 1);
        }
        if is_shell && !self.commands.shell {
            return Err(needs_shell(&written, &words[0], None, place));
        }
        let words = listen::honour(&self.commands.listens, words);
        self.finish(words, so_far, place).map(Outcome::Accepted)
    }

    /// Drops leading words that only start what follows them; the assignments between them come back.
    pub(super) fn unwrap(&self, words: &mut Vec<String>) -> Vec<(String, String)> {
        let mut assignments = Vec::new();
        while let Some(wrapper) = self.commands.transparent.iter().find(|wrapper| words.starts_with(wrapper))
        {
            words.drain(..wrapper.len());
            while words.first().is_some_and(|word| word == "--") {
                words.remove(0);
            }
            while let Some(assignment) = words.first().and_then(|word| lexer::assignment(word, false)) {
                assignments.push(assignment);
                words.remove(0);
            }
        }
        assignments
    }

    /// The script that the words call, with the arguments for it.
    pub(super) fn called_script(&self, words: &[String]) -> Option<(String, Vec<String>)> {
        let rest_of = |start: usize| {
            let rest = &words[start..];
            let rest = rest.strip_prefix(&["--".to_owned()]).unwrap_or(rest);
            rest.to_vec()
        };
        for run in &self.commands.run {
            if words.starts_with(run) {
                let flags = words[run.len()..].iter().take_while(|word| word.starts_with('-')).count();
                let at = run.len() + flags;
                return words.get(at).map(|name| (name.clone(), rest_of(at + 1)));
            }
        }
        let alias = self.commands.aliases.iter().find(|alias| words.starts_with(&alias.words))?;
        Some((alias.script.clone(), rest_of(alias.words.len())))
    }

    pub(super) fn rejecting(&self, words: &[String]) -> Option<&Reject> {
        self.commands.reject.iter().find(|rule| {
            is_called(&rule.words, words) && rule.with.as_ref().is_none_or(|with| words.contains(with))
        })
    }

    fn finish(
        &self,
        mut words: Vec<String>,
        mut found: StartCommand,
        place: &Place,
    ) -> Result<StartCommand, Error> {
        if found.directory.is_empty() {
            found.directory.clone_from(&self.directory);
        }
        let first = words[0].clone();
        if first.contains('$') {
            // Known at run time only.
        } else if first.contains('/') {
            words[0] = if first.starts_with('/') {
                first
            } else {
                below_app(&found.directory, &first).ok_or_else(|| {
                    syntax(&words.join(" "), "its program is outside the app's folder", place)
                })?
            };
        } else if let Some(path) = self.programs.get(&first) {
            words[0].clone_from(path);
        } else if let Some(bins) = &self.commands.bins {
            words[0] = format!("{}/{first}", self.bins);
            if let Some(interpreter) = &bins.interpreter {
                words.insert(0, interpreter.clone());
            }
        }
        found.argv = words;
        found.origin.clone_from(&place.origin);
        Ok(found)
    }
}

/// What a program that watches files or manages processes would run, when its words name it.
fn watched(rule: &Reject, words: &[String]) -> Option<Vec<String>> {
    let program = rule.runs.as_ref()?;
    let mut rest = words[rule.words.len()..].iter();
    while let Some(word) = rest.next() {
        if rule.exec.contains(word) {
            // The program may be written as one word with its arguments.
            let program = rest.next()?.split_whitespace().map(str::to_owned);
            return Some(program.chain(rest.cloned()).collect());
        }
        if rule.valued.contains(word) {
            rest.next();
        } else if !word.starts_with('-') {
            return if rule.settings.iter().any(|ending| word.ends_with(ending)) {
                None
            } else if let Some(separator) = &rule.separator {
                let arguments = rest.skip_while(|word| *word != separator).skip(1);
                let program = is_source(word).then_some(program);
                Some(program.into_iter().chain([word]).chain(arguments).cloned().collect())
            } else {
                Some([program, word].into_iter().chain(rest).cloned().collect())
            };
        }
    }
    None
}

/// Whether the word is a file for Node.js, and no command.
fn is_source(word: &str) -> bool {
    let extension = Path::new(word).extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|one| ["js", "cjs", "mjs", "ts", "cts", "mts"].contains(&one))
}

/// Whether `words` begin with `program`, wherever that is.
pub(super) fn is_called(program: &[String], words: &[String]) -> bool {
    let (Some(first), Some(called)) = (program.first(), words.first()) else { return false };
    basename(called) == first && words[1..].starts_with(&program[1..])
}

pub(super) fn basename(word: &str) -> &str {
    word.rsplit('/').next().unwrap_or(word)
}

/// Keeps an assignment as a default of the image's environment. There is no one to expand a variable in it.
fn assign(
    so_far: &mut StartCommand,
    text: &str,
    name: String,
    value: &str,
    place: &Place,
) -> Result<(), Error> {
    let literal = value.replace("$$", "");
    if literal.contains('$') {
        return Err(needs_shell(text, &format!("{name}={value}"), None, place));
    }
    so_far.env.insert(name, value.replace("$$", "$"));
    Ok(())
}

fn refused(text: &str, refusal: Refusal, place: &Place) -> Error {
    match refusal {
        Refusal::Shell { what, rest } => needs_shell(text, &what, rest.as_deref(), place),
        Refusal::Syntax(reason) => syntax(text, &reason, place),
    }
}

fn syntax(text: &str, reason: &str, place: &Place) -> Error {
    Error::Start {
        id: "start/syntax",
        reason: format!("the start command `{text}` ({}) cannot be read: {reason}", place.origin),
        location: place.location.clone(),
        hints: start_hints("PROGRAM ARGUMENTS"),
    }
}

fn needs_shell(text: &str, what: &str, rest: Option<&str>, place: &Place) -> Error {
    let mut hints = vec![
        "move what prepares the app into `build.command` in rpack.toml, and start one program".to_owned(),
    ];
    hints.extend(start_hints(rest.unwrap_or("PROGRAM ARGUMENTS")));
    Error::Start {
        id: "start/needs-shell",
        reason: format!(
            "the start command `{text}` ({}) needs a shell for `{what}`, and the image has none",
            place.origin
        ),
        location: place.location.clone(),
        hints,
    }
}
