//! `go.mod` and `go.work`: directives in lines and blocks.
//!
//! The format: <https://go.dev/ref/mod#go-mod-file>. What the app's build reads is kept; every other known
//! directive is checked for its form alone, and an unknown one is an error, as for the go command.

use std::collections::BTreeMap;

use super::super::{Files, Located};
use crate::detect::Error;
use crate::detect::error::{Malformed, position};
use crate::paths::beside;

/// All directives of both files.
const DIRECTIVES: [&str; 10] =
    ["module", "go", "toolchain", "godebug", "require", "exclude", "replace", "retract", "tool", "ignore"];

/// What one of the files says.
#[derive(Debug, Default)]
pub(super) struct Module {
    pub(super) path: Option<String>,
    pub(super) go: Option<Located>,
    pub(super) toolchain: Option<Located>,
    pub(super) requires: BTreeMap<String, String>,
    pub(super) replaces_outside: Vec<String>,
    /// Folders that modules are replaced by, clean and relative to the source.
    pub(super) replaces: Vec<String>,
    /// Folders of `use`, clean and relative to the source.
    pub(super) uses: Vec<String>,
}

/// Reads `file`, if it exists.
pub(super) fn read(files: &Files<'_>, file: &str) -> Result<Option<Module>, Error> {
    let Some(text) = files.text(file)? else { return Ok(None) };
    Ok(Some(parse(file, &text)?))
}

fn parse(file: &str, text: &str) -> Result<Module, Error> {
    let mut module = Module::default();
    // The directive whose parentheses are open, with its line.
    let mut block: Option<(String, usize)> = None;
    for (index, line) in text.split('\n').enumerate() {
        let number = index + 1;
        let fail = |offset: usize, problem: String| {
            let place = (number, position(line, offset).1);
            let problem = format!("is not valid: {problem}");
            let hint =
                format!("correct `{file}` at the caret, or run `go mod edit` to see what Go says of it");
            Error::from(Malformed::at("go/manifest-invalid", file, text, place, problem, hint))
        };
        let words = words(line).map_err(|offset| fail(offset, "a quote is not closed".to_owned()))?;
        let texts: Vec<&str> = words.iter().map(|(_, word)| word.as_str()).collect();
        let start = words.first().map_or(0, |(offset, _)| *offset);
        match (texts.as_slice(), &block) {
            ([], _) => {}
            ([")"], Some(_)) => block = None,
            ([directive, "("], None) => {
                known(file, directive).map_err(|problem| fail(start, problem))?;
                block = Some(((*directive).to_owned(), number));
            }
            (arguments, Some((directive, _))) => {
                module.take(file, directive, arguments, number).map_err(|problem| fail(start, problem))?;
            }
            ([directive, arguments @ ..], None) => {
                known(file, directive).map_err(|problem| fail(start, problem))?;
                module.take(file, directive, arguments, number).map_err(|problem| fail(start, problem))?;
            }
        }
    }
    if let Some((directive, line)) = block {
        let problem = format!("is not valid: the block of `{directive}` is not closed with `)`");
        let hint = format!("close the block in `{file}`");
        return Err(Malformed::at("go/manifest-invalid", file, text, (line, 1), problem, hint).into());
    }
    Ok(module)
}

fn known(file: &str, directive: &str) -> Result<(), String> {
    if DIRECTIVES.contains(&directive) || (directive == "use" && file == "go.work") {
        Ok(())
    } else {
        Err(format!("`{directive}` is not a directive"))
    }
}

/// The words of a line with their offsets: comments are dropped, quotes resolved; else the offset of a quote
/// that stays open.
fn words(line: &str) -> Result<Vec<(usize, String)>, usize> {
    let mut words = Vec::new();
    let mut rest = line;
    loop {
        rest = rest.trim_start();
        let offset = line.len() - rest.len();
        let Some(first) = rest.chars().next().filter(|_| !rest.starts_with("//")) else { return Ok(words) };
        let (word, length) = match first {
            '(' | ')' => (first.to_string(), 1),
            '"' | '`' => {
                let length = closing(rest, first).ok_or(offset)?;
                (rest[1..length - 1].replace("\\\"", "\"").replace("\\\\", "\\"), length)
            }
            _ => {
                let end =
                    rest.find(|c: char| c.is_whitespace() || matches!(c, '(' | ')')).unwrap_or(rest.len());
                let end = rest[..end].find("//").unwrap_or(end);
                (rest[..end].to_owned(), end)
            }
        };
        words.push((offset, word));
        rest = &rest[length..];
    }
}

/// The length of the quoted text that `rest` starts with.
fn closing(rest: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        if escaped {
            escaped = false;
        } else if c == '\\' && quote == '"' {
            escaped = true;
        } else if c == quote {
            return Some(at + 1);
        }
    }
    None
}

impl Module {
    fn take(&mut self, file: &str, directive: &str, arguments: &[&str], line: usize) -> Result<(), String> {
        let located = |value: &str| {
            Some(Located {
                value: value.to_owned(),
                file: file.to_owned(),
                line: Some(line),
                key: directive.to_owned(),
            })
        };
        match (directive, arguments) {
            ("module", [path]) => self.path = Some((*path).to_owned()),
            ("go", [version]) => self.go = located(version),
            ("toolchain", ["default"]) => {}
            ("toolchain", [version]) => self.toolchain = located(version),
            ("require", [path, version]) => {
                self.requires.insert((*path).to_owned(), (*version).to_owned());
            }
            ("use", [folder]) => match beside(file, folder) {
                Some(folder) => self.uses.push(folder),
                None => self.replaces_outside.push(format!("use {folder}")),
            },
            ("replace", [old, "=>", new] | [old, _, "=>", new]) if is_local(new) => match beside(file, new) {
                Some(folder) => self.replaces.push(folder),
                None => self.replaces_outside.push(format!("{old} => {new}")),
            },
            ("module" | "go" | "toolchain" | "use", _) => {
                return Err(format!("`{directive}` needs exactly one argument, found {}", arguments.len()));
            }
            ("require", _) => return Err("`require` needs a module path and a version".to_owned()),
            ("replace", [_, "=>", _] | [_, _, "=>", _] | [_, "=>", _, _] | [_, _, "=>", _, _]) => {}
            ("replace", _) => return Err("`replace` needs `OLD => NEW`".to_owned()),
            (_, []) => return Err(format!("`{directive}` needs an argument")),
            _ => {}
        }
        Ok(())
    }
}

/// Whether a `replace` target is a folder and not a module.
fn is_local(target: &str) -> bool {
    target.starts_with('/') || target.split('/').next().is_some_and(|first| matches!(first, "." | ".."))
}
