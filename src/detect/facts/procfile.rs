//! The Procfile: names of processes with their commands.
//!
//! ```text
//! file    = { line EOL }              ; UTF-8, optional BOM, LF or CRLF, last EOL optional
//! line    = blank | comment | entry
//! comment = ws* "#" any*
//! entry   = ws* name ws* ":" ws* command ws*
//! name    = [A-Za-z0-9] { [A-Za-z0-9_-] }          ; 1 to 63; upper → lower and "_" → "-" with a notice
//! command = 1*any                     ; to the end of the line, not YAML: ":" and "#" are literal
//! ```

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Files, warning};
use crate::detect::Error;
use crate::detect::error::{Malformed, position};
use crate::plan::model::Notice;

const FILE: &str = "Procfile";
/// The longest name: that of a DNS label, because platforms make host names of it.
const NAME_LIMIT: usize = 63;
/// Processes that are run on demand and never by default.
const ON_DEMAND: [&str; 2] = ["release", "migrate"];

/// What the Procfile says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Procfile {
    /// Processes by normalised name.
    pub processes: BTreeMap<String, Process>,
    /// `web`, or the only process that is not run on demand (`release`, `migrate`).
    pub default: Option<String>,
    /// The program that the default process runs: the first word of its command after assignments, `cd D &&`
    /// and `exec`, without its folder.
    pub program: Option<String>,
}

/// One process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Process {
    /// As written, trimmed.
    pub command: String,
    /// From 1.
    pub line: usize,
}

/// Reads the Procfile, if there is one.
pub(super) fn read(files: &Files<'_>, notices: &mut Vec<Notice>) -> Result<Option<Procfile>, Error> {
    let Some(text) = files.text(FILE)? else { return Ok(None) };
    let procfile = parse(&text, notices)?;
    if procfile.processes.is_empty() {
        let text = "`Procfile` names no process: the language's own start command is used".to_owned();
        notices.push(warning("procfile/empty", text));
    }
    Ok(Some(procfile))
}

fn parse(text: &str, notices: &mut Vec<Notice>) -> Result<Procfile, Error> {
    let mut processes: BTreeMap<String, Process> = BTreeMap::new();
    for (index, line) in text.split('\n').enumerate() {
        let line = line.strip_suffix('\r').unwrap_or(line);
        let number = index + 1;
        let Some((written, command)) = entry(line).map_err(|(offset, problem)| {
            let place = (number, position(line, offset).1);
            let hint = "write each process as `NAME: COMMAND`, for example `web: node server.js`";
            Error::from(Malformed::at("procfile/syntax", FILE, text, place, problem, hint))
        })?
        else {
            continue;
        };
        let name = written.to_ascii_lowercase().replace('_', "-");
        if name != written {
            let text = format!("the process `{written}` of `Procfile:{number}` is called `{name}`");
            notices.push(Notice { id: "procfile/name".to_owned(), text, warning: false });
        }
        let process = Process { command: command.to_owned(), line: number };
        if let Some(first) = processes.insert(name.clone(), process) {
            let source = text.split('\n').nth(first.line - 1).unwrap_or_default();
            let first = (first.line, source.trim().to_owned());
            return Err(Error::ProcfileDuplicate { name, first, second: (number, line.trim().to_owned()) });
        }
    }
    let default = default(&processes);
    let program = default.as_ref().and_then(|name| program(&processes.get(name)?.command));
    Ok(Procfile { processes, default, program })
}

/// The name and the command of a line; nothing for blank lines and comments; else the offset of the problem.
fn entry(line: &str) -> Result<Option<(&str, &str)>, (usize, String)> {
    let blank = |c: char| c == ' ' || c == '\t';
    let start = line.len() - line.trim_start_matches(blank).len();
    let rest = &line[start..];
    if rest.is_empty() || rest.starts_with('#') {
        return Ok(None);
    }
    let in_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let length = rest.find(|c| !in_name(c)).unwrap_or(rest.len());
    let name = &rest[..length];
    if !name.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return Err((start, "is not valid: a process name starts with a letter or a digit".to_owned()));
    }
    if length > NAME_LIMIT {
        let problem =
            format!("is not valid: a process name has at most {NAME_LIMIT} characters, this one {length}");
        return Err((start + NAME_LIMIT, problem));
    }
    let after = rest[length..].trim_start_matches(blank);
    let colon = line.len() - after.len();
    let Some(command) = after.strip_prefix(':') else {
        return Err((colon, format!("is not valid: `:` is needed after the process name `{name}`")));
    };
    let command = command.trim_matches(blank);
    if command.is_empty() {
        return Err((colon + 1, format!("is not valid: the process `{name}` has no command")));
    }
    Ok(Some((name, command)))
}

fn default(processes: &BTreeMap<String, Process>) -> Option<String> {
    if processes.contains_key("web") {
        return Some("web".to_owned());
    }
    let mut others = processes.keys().filter(|name| !ON_DEMAND.contains(&name.as_str()));
    others.next().filter(|_| others.next().is_none()).cloned()
}

/// The program that `command` runs.
fn program(command: &str) -> Option<String> {
    let words = words(command);
    let mut words = words.iter().map(String::as_str).peekable();
    while let Some(word) = words.next() {
        match word {
            "exec" => {}
            "cd" => {
                words.next()?;
                words.next_if_eq(&"&&")?;
            }
            _ if is_assignment(word) => {}
            _ => return word.rsplit('/').next().filter(|name| !name.is_empty()).map(str::to_owned),
        }
    }
    None
}

fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| {
        name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    })
}

/// The words of `command` with quotes and backslashes resolved; an open quote ends with the line.
fn words(command: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut chars = command.chars();
    while let Some(c) = chars.next() {
        match (c, quote) {
            ('\\', None | Some('"')) => word.get_or_insert_default().extend(chars.next()),
            ('\'' | '"', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (c, Some(open)) if c == open => quote = None,
            (' ' | '\t', None) => words.extend(word.take()),
            _ => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use proptest::prelude::*;

    use super::{parse, program};
    use crate::ui::Diagnose as _;

    fn parsed(text: &str) -> (serde_json::Value, Vec<String>) {
        let mut notices = Vec::new();
        let procfile = parse(text, &mut notices).unwrap();
        (serde_json::to_value(procfile).unwrap(), notices.into_iter().map(|n| n.text).collect())
    }

    fn refused(text: &str) -> String {
        let error = parse(text, &mut Vec::new()).unwrap_err();
        let mut out = format!("{}: {error}", error.id());
        write!(out, "\nat {}\n{}", error.location().unwrap(), error.detail().unwrap()).unwrap();
        out
    }

    #[test]
    fn comments_blanks_line_ends_and_literal_colons() {
        let (procfile, notices) = parsed(
            "# c\r\n\r\n  Web_App\t:  A=1 exec ./bin/serve --url http://x:1 # y \r\nrelease: ./migrate",
        );
        let expected = serde_json::json!({
            "processes": {
                "release": {"command": "./migrate", "line": 4},
                "web-app": {"command": "A=1 exec ./bin/serve --url http://x:1 # y", "line": 3},
            },
            "default": "web-app",
            "program": "serve",
        });
        assert_eq!(procfile, expected);
        assert_eq!(notices, ["the process `Web_App` of `Procfile:3` is called `web-app`"]);
    }

    #[test]
    fn the_default_is_web_or_the_only_process() {
        let default = |text: &str| parsed(text).0["default"].clone();
        assert_eq!(default("a: x\nweb: y"), "web");
        assert_eq!(default("worker: x"), "worker");
        assert_eq!(default("a: x\nb: y"), serde_json::Value::Null);
        assert_eq!(default("release: x"), serde_json::Value::Null);
        assert_eq!(default(""), serde_json::Value::Null);
    }

    #[test]
    fn the_program_is_the_first_word_that_runs() {
        for (command, expected) in [
            ("node server.js", Some("node")),
            ("cd web && exec ./node_modules/.bin/next start", Some("next")),
            ("A='x y' B=\"z\" python3 -m app", Some("python3")),
            ("'my prog' x", Some("my prog")),
            ("cd web", None),
            ("A=1", None),
            ("bin/", None),
        ] {
            assert_eq!(program(command).as_deref(), expected, "{command}");
        }
    }

    #[test]
    fn what_is_no_entry_is_shown_with_a_caret() {
        assert_eq!(
            refused("web: a\nworker python x.py\n"),
            "procfile/syntax: `Procfile` is not valid: `:` is needed after the process name `worker`\n\
             at Procfile:2:8\n2 | worker python x.py\n  |        ^"
        );
        assert_eq!(
            refused("-web: x"),
            "procfile/syntax: `Procfile` is not valid: a process name starts with a letter or a digit\n\
             at Procfile:1:1\n1 | -web: x\n  | ^"
        );
        assert_eq!(
            refused("web:  "),
            "procfile/syntax: `Procfile` is not valid: the process `web` has no command\n\
             at Procfile:1:5\n1 | web:\n  |     ^"
        );
        let long = format!("{}: x", "a".repeat(64));
        assert_eq!(
            refused(&long),
            format!(
                "procfile/syntax: `Procfile` is not valid: a process name has at most 63 characters, this one 64\n\
                 at Procfile:1:64\n1 | {}\n  | {}^",
                &long[3..],
                " ".repeat(60)
            )
        );
    }

    #[test]
    fn a_name_used_twice_is_refused_with_both_lines() {
        assert_eq!(
            refused("web: a\n\nWEB: b"),
            "procfile/duplicate: `Procfile` names the process `web` twice, in lines 1 and 3\n\
             at Procfile:3\n1 | web: a\n3 | WEB: b"
        );
    }

    proptest! {
        #[test]
        fn no_text_panics(text in any::<String>(), line in r#"[a-z_ :='"\\$&#\t\r\n/]{0,40}"#) {
            let _ = parse(&text, &mut Vec::new());
            let _ = parse(&line, &mut Vec::new());
        }

        #[test]
        fn every_entry_of_the_grammar_is_read(
            name in "[a-z0-9][a-z0-9-]{0,62}",
            command in r"[!-~]([ -~]{0,20}[!-~])?",
            blank in "[ \t]{0,3}",
        ) {
            let procfile = parse(&format!("{blank}{name}{blank}:{blank}{command}{blank}\r\n"), &mut Vec::new()).unwrap();
            prop_assert_eq!(&procfile.processes[&name].command, &command);
        }
    }
}
