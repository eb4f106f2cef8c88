//! `requirements.txt` and the files it includes.
//!
//! The format: <https://pip.pypa.io/en/stable/reference/requirements-file-format/>. Included files are relative
//! to the including one. A file that includes itself is an error; one that is included twice is read once.

use std::collections::BTreeSet;

use super::super::Files;
use super::requirement::{Requirement, normalised, parse};
use crate::detect::Error;
use crate::detect::error::{Malformed, position};
use crate::paths::beside;
use crate::ui::Location;

/// How deep files may include each other.
const NESTING: usize = 50;
/// Options of whole files that take a value; those with a meaning here are handled by name.
const WITH_VALUE: [&str; 9] = [
    "-i",
    "--index-url",
    "--extra-index-url",
    "-f",
    "--find-links",
    "--no-binary",
    "--only-binary",
    "--trusted-host",
    "--use-feature",
];
/// Options of whole files without a value.
const FLAGS: [&str; 3] = ["--no-index", "--prefer-binary", "--pre"];
/// Options of one requirement.
const OF_REQUIREMENT: [&str; 4] = ["--hash", "--global-option", "--config-settings", "-C"];

/// What the files say together.
#[derive(Debug, Default)]
pub(super) struct Requirements {
    pub(super) wanted: Vec<Requirement>,
    pub(super) files: BTreeSet<String>,
    pub(super) hashed: bool,
    pub(super) local: Vec<String>,
    /// Normalised names that are to be compiled, or `:all:`.
    pub(super) no_binary: BTreeSet<String>,
    /// Names that a constraint file holds to one version.
    constrained: BTreeSet<String>,
}

impl Requirements {
    /// The requirements that several versions satisfy.
    pub(super) fn unpinned(&self) -> Vec<String> {
        self.wanted
            .iter()
            .filter(|one| !one.is_exact() && !self.constrained.contains(&one.name))
            .map(|one| format!("{} ({}:{})", one.name, one.file, one.line))
            .collect()
    }
}

/// Reads `file` and what it includes.
pub(super) fn read(files: &Files<'_>, file: &str) -> Result<Requirements, Error> {
    let mut reader =
        Reader { files, found: Requirements::default(), stack: Vec::new(), done: BTreeSet::new() };
    let location = Location { file: file.to_owned(), line: None, column: None };
    reader.file(file, false, &location)?;
    Ok(reader.found)
}

struct Reader<'a> {
    files: &'a Files<'a>,
    found: Requirements,
    stack: Vec<String>,
    done: BTreeSet<(String, bool)>,
}

/// A line with its continuations.
struct Line<'a> {
    file: &'a str,
    /// The whole file, for messages.
    source: &'a str,
    number: usize,
    text: String,
}

impl Line<'_> {
    fn location(&self) -> Location {
        Location { file: self.file.to_owned(), line: Some(self.number), column: None }
    }

    /// Reports a problem at a byte of the joined text. Only the first physical line can be shown, so a place in a
    /// continuation is shown at the end of it.
    fn invalid(&self, offset: usize, problem: &str) -> Error {
        let first = self.source.split('\n').nth(self.number - 1).unwrap_or_default();
        let place = (self.number, position(first.trim_end(), offset).1);
        let problem = format!("is not valid: {problem}");
        let hint = format!("correct `{}` at the caret", self.file);
        Malformed::at("python/requirements-invalid", self.file, self.source, place, problem, hint).into()
    }
}

impl Reader<'_> {
    fn file(&mut self, file: &str, constraint: bool, from: &Location) -> Result<(), Error> {
        if self.stack.iter().any(|open| open == file) || self.stack.len() > NESTING {
            let start = self.stack.iter().position(|open| open == file).unwrap_or(0);
            let mut path = self.stack[start..].to_vec();
            path.push(file.to_owned());
            return Err(Error::RequirementsCycle { location: from.clone(), included: file.to_owned(), path });
        }
        if !self.done.insert((file.to_owned(), constraint)) {
            return Ok(());
        }
        let text = self.files.text(file)?.ok_or_else(|| Error::RequirementsMissing {
            location: from.clone(),
            included: file.to_owned(),
        })?;
        self.found.files.insert(file.to_owned());
        self.stack.push(file.to_owned());
        for (number, joined) in logical_lines(&text) {
            let line = Line { file, source: &text, number, text: joined };
            if line.text.trim_start().starts_with('-') {
                self.options(&line, constraint)?;
            } else {
                self.requirement(&line, constraint)?;
            }
        }
        self.stack.pop();
        Ok(())
    }

    fn options(&mut self, line: &Line<'_>, constraint: bool) -> Result<(), Error> {
        let mut words = words(&line.text).into_iter();
        while let Some((offset, word)) = words.next() {
            let (name, mut value) = split_option(word);
            if FLAGS.contains(&name) || name == "--require-hashes" {
                self.found.hashed |= name == "--require-hashes";
                continue;
            }
            let known = matches!(name, "-r" | "--requirement" | "-c" | "--constraint" | "-e" | "--editable");
            if !known && !WITH_VALUE.contains(&name) && !OF_REQUIREMENT.contains(&name) {
                return Err(line.invalid(offset, &format!("`{name}` is not an option of requirements files")));
            }
            if value.is_none() {
                value = words.next().map(|(_, word)| word);
            }
            let Some(value) = value.filter(|value| !value.is_empty()) else {
                return Err(line.invalid(offset, &format!("`{name}` needs a value")));
            };
            match name {
                "-r" | "--requirement" => self.include(line, offset, value, constraint)?,
                "-c" | "--constraint" => self.include(line, offset, value, true)?,
                "-e" | "--editable" => {
                    self.direct(
                        line,
                        parse(value).map_err(|(_, problem)| line.invalid(offset, &problem))?,
                        true,
                    );
                }
                "--no-binary" => self.no_binary(value),
                _ => {}
            }
        }
        Ok(())
    }

    /// `:none:` takes back what was said before.
    fn no_binary(&mut self, names: &str) {
        for name in names.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            match name {
                ":none:" => self.found.no_binary.clear(),
                ":all:" => drop(self.found.no_binary.insert(name.to_owned())),
                name => drop(self.found.no_binary.insert(normalised(name))),
            }
        }
    }

    fn include(
        &mut self,
        line: &Line<'_>,
        offset: usize,
        target: &str,
        constraint: bool,
    ) -> Result<(), Error> {
        if target.contains("://") {
            let problem = format!("it includes `{target}`, and only files of the source can be included");
            return Err(line.invalid(offset, &problem));
        }
        let location = line.location();
        match beside(line.file, target).filter(|path| !path.is_empty()) {
            Some(path) => self.file(&path, constraint, &location),
            None => Err(Error::RequirementsMissing { location, included: target.to_owned() }),
        }
    }

    fn requirement(&mut self, line: &Line<'_>, constraint: bool) -> Result<(), Error> {
        let options = words(&line.text).into_iter().find(|(_, word)| word.starts_with('-')).map(|(at, _)| at);
        let (text, options) = line.text.split_at(options.unwrap_or(line.text.len()));
        let mut requirement = parse(text).map_err(|(offset, problem)| line.invalid(offset, &problem))?;
        for (offset, word) in words(options) {
            let (name, _) = split_option(word);
            if word.starts_with('-') && !OF_REQUIREMENT.contains(&name) {
                let problem = format!("`{name}` is not an option of a requirement");
                return Err(line.invalid(text.len() + offset, &problem));
            }
            requirement.hashed |= name == "--hash";
        }
        self.found.hashed |= requirement.hashed;
        if constraint {
            if requirement.is_exact() {
                self.found.constrained.insert(requirement.name);
            }
            return Ok(());
        }
        self.direct(line, requirement, false);
        Ok(())
    }

    /// Keeps a requirement; a folder of the source goes to its own list, as it has no name.
    fn direct(&mut self, line: &Line<'_>, requirement: Requirement, editable: bool) {
        if let Some(url) = &requirement.url
            && requirement.name.is_empty()
            && !url.contains(':')
        {
            self.found.local.push(url.clone());
            return;
        }
        let file = line.file.to_owned();
        self.found.wanted.push(Requirement { file, line: line.number, editable, ..requirement });
    }
}

/// `--name=value` and `-rvalue` in two; the value is absent when it is the next word.
fn split_option(word: &str) -> (&str, Option<&str>) {
    if word.starts_with("--") {
        return match word.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (word, None),
        };
    }
    match word.char_indices().nth(2) {
        Some((end, _)) => (&word[..end], Some(word[end..].trim_start_matches('='))),
        None => (word, None),
    }
}

/// The words of a line with their offsets.
fn words(line: &str) -> Vec<(usize, &str)> {
    let mut words = Vec::new();
    let mut rest = line;
    loop {
        rest = rest.trim_start();
        let offset = line.len() - rest.len();
        if rest.is_empty() {
            return words;
        }
        let length = rest.find(char::is_whitespace).unwrap_or(rest.len());
        words.push((offset, &rest[..length]));
        rest = &rest[length..];
    }
}

/// Lines with continuations joined and comments removed; blank ones are left out. Numbers are of the first line.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (index, line) in text.split('\n').enumerate() {
        let line = line.strip_suffix('\r').unwrap_or(line);
        let (number, mut joined) = open.take().unwrap_or((index + 1, String::new()));
        let comment = line.trim_start().starts_with('#');
        if let Some(part) = line.strip_suffix('\\').filter(|_| !comment) {
            joined.push_str(part);
            open = Some((number, joined));
        } else {
            // A comment line ends what is open; the blank keeps its `#` from joining a word.
            joined.push_str(if comment { " " } else { "" });
            joined.push_str(line);
            lines.push((number, joined));
        }
    }
    lines.extend(open);
    for (_, line) in &mut lines {
        let comment = line
            .char_indices()
            .find(|(at, c)| *c == '#' && line[..*at].chars().next_back().is_none_or(char::is_whitespace));
        if let Some((at, _)) = comment {
            line.truncate(at);
        }
        line.truncate(line.trim_end().len());
    }
    lines.retain(|(_, line)| !line.is_empty());
    lines
}
