//! Facts of shell scripts that start an app: `start.sh`, `run.sh` or `entrypoint.sh` at the root.
//!
//! In: the script, and the scripts of the source that it calls. Out: what interprets it, and the programs that the
//! image must have for it.

mod script;
#[cfg(test)]
mod tests;
mod words;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{Files, Located};

/// Names of the script, in the order in which they count.
const NAMES: [&str; 3] = ["start.sh", "run.sh", "entrypoint.sh"];
/// How many scripts are followed.
const LIMIT: usize = 32;

/// What the source says about its start script.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Shell {
    /// The script.
    pub file: Option<String>,
    /// The program of its `#!` line without the folder; without such a line `sh`, or `bash` when only bash
    /// understands the script.
    pub interpreter: String,
    /// Arguments of the `#!` line.
    pub arguments: Vec<String>,
    /// Whether there is a `#!` line.
    pub shebang: bool,
    /// What only bash understands, with the first place.
    pub bashism: Option<Located>,
    /// Programs that are called and that the source does not hold, with the first place, sorted.
    pub programs: Vec<Located>,
    /// The program that the script ends with and that runs below the shell, for want of `exec`.
    pub last: Option<Located>,
}

impl Shell {
    /// A value with every optional member, for [`Facts::shape`](super::Facts::shape).
    pub(super) fn shape() -> Self {
        Self {
            file: Some(String::new()),
            bashism: Some(Located::default()),
            last: Some(Located::default()),
            ..Self::default()
        }
    }
}

fn script(files: &Files<'_>) -> Option<&'static str> {
    NAMES.into_iter().find(|name| files.has(name))
}

/// Whether a script is there.
pub(super) fn is_present(files: &Files<'_>) -> bool {
    script(files).is_some()
}

/// Reads the facts; they are empty without a script.
pub(super) fn read(files: &Files<'_>) -> Shell {
    let Some(file) = script(files) else { return Shell::default() };
    let text = files.program(file).unwrap_or_default();
    let shebang = shebang(&text);
    let is_shell =
        shebang.as_ref().is_none_or(|(program, _)| ["sh", "dash", "bash"].contains(&program.as_str()));
    let read = if is_shell { script::read(&text) } else { script::Script::default() };
    let bashism = read.bashism.map(|(what, line)| located(what, file, line));
    let last = read.last.map(|call| located(call.word, file, call.line));
    let plain = if bashism.is_some() { "bash" } else { "sh" };
    let (interpreter, arguments) = shebang.clone().unwrap_or_else(|| (plain.to_owned(), Vec::new()));
    Shell {
        file: Some(file.to_owned()),
        interpreter,
        arguments,
        shebang: shebang.is_some(),
        bashism,
        programs: programs(files, file),
        last,
    }
}

fn located(value: String, file: &str, line: usize) -> Located {
    Located { value, file: file.to_owned(), line: Some(line), key: String::new() }
}

/// The program and the arguments of a `#!` line.
fn shebang(text: &str) -> Option<(String, Vec<String>)> {
    let mut words = text.lines().next()?.strip_prefix("#!")?.split_whitespace();
    let mut program = words.next()?;
    if program.ends_with("/env") {
        program = words.find(|word| !word.starts_with('-') && !word.contains('='))?;
    }
    let name = program.rsplit('/').next().unwrap_or(program);
    Some((name.to_owned(), words.map(str::to_owned).collect()))
}

/// The programs that `first` and the scripts of the source that it calls need.
fn programs(files: &Files<'_>, first: &str) -> Vec<Located> {
    let mut found: BTreeMap<String, Located> = BTreeMap::new();
    let mut functions = BTreeSet::new();
    let (mut queue, mut seen) = (vec![first.to_owned()], BTreeSet::new());
    while let Some(file) = queue.pop() {
        if seen.len() == LIMIT || !seen.insert(file.clone()) {
            continue;
        }
        let Some(text) = files.program(&file) else { continue };
        let shebang = shebang(&text);
        let program = shebang.map(|(program, _)| program);
        if let Some(program) = program.as_ref().filter(|_| file != first) {
            found.entry(program.clone()).or_insert_with(|| located(program.clone(), &file, 1));
        }
        // What is no script of a shell calls what its language calls.
        let is_shell = program.is_none_or(|program| ["sh", "dash", "bash"].contains(&program.as_str()));
        if !is_shell || text.contains('\0') {
            continue;
        }
        let script = script::read(&text);
        functions.extend(script.functions);
        for call in script.calls {
            queue.extend(call.script.as_deref().and_then(|path| in_source(files, path)));
            if let Some(path) = in_source(files, &call.word) {
                queue.push(path);
            } else if !script::is_own(&call.word) {
                // A path of the image says which program it is; one of the app may be made by a build.
                let absolute = call.word.strip_prefix('/').and_then(|path| path.rsplit('/').next());
                let name = absolute.unwrap_or(&call.word).to_owned();
                found.entry(name.clone()).or_insert_with(|| located(name, &file, call.line));
            }
        }
    }
    // A script calls functions of those that it reads.
    found.into_values().filter(|call| !functions.contains(&call.value)).collect()
}

/// The file of the source that a word of a script names.
fn in_source(files: &Files<'_>, word: &str) -> Option<String> {
    let path = word.strip_prefix("/app/").unwrap_or(word);
    let path = path.strip_prefix("./").unwrap_or(path);
    files.has(path).then(|| path.to_owned())
}
