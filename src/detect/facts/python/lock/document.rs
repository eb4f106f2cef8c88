//! The text of a lock, with the errors that point into it.

use serde::de::DeserializeOwned;

use super::super::marker::Marker;
use super::super::requirement::parse;
use super::graph::Dependency;
use crate::detect::Error;
use crate::detect::error::{Malformed, position};

/// A lock that is being read.
pub(super) struct Document<'a> {
    /// Relative to the source.
    pub(super) file: &'a str,
    pub(super) text: &'a str,
}

impl Document<'_> {
    pub(super) fn toml<T: DeserializeOwned>(&self) -> Result<T, Error> {
        toml::from_str(self.text).map_err(|error| {
            let offset = error.span().map_or(0, |span| span.start);
            let problem = format!("is not valid: {}", error.message().replace('\n', ", "));
            self.invalid(position(self.text, offset), problem)
        })
    }

    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_str(self.text).map_err(|error| {
            self.invalid((error.line(), error.column().max(1)), format!("is not valid: {error}"))
        })
    }

    /// The line on which `key` stands first, from 1.
    pub(super) fn line_of(&self, key: &str) -> Option<usize> {
        let is_there = |line: &str| line.trim_start().trim_start_matches('"').starts_with(key);
        self.text.lines().position(is_there).map(|index| index + 1)
    }

    fn invalid(&self, place: (usize, usize), problem: String) -> Error {
        let hint = format!("write `{}` again with the program that made it", self.file);
        Malformed::at("python/lock-invalid", self.file, self.text, place, problem, hint).into()
    }

    /// A format that is not read; `command` writes the lock again.
    pub(super) fn old(&self, key: &str, problem: &str, command: &str) -> Error {
        let place = (self.line_of(key).unwrap_or(1), 1);
        let hint = format!("write it again with a current version: `{command}`");
        Malformed::at("python/lock-old", self.file, self.text, place, problem, hint).into()
    }

    /// Something about the package `name` that cannot be.
    pub(super) fn wrong(&self, name: &str, problem: &str) -> Error {
        // The package's own entry; what else names it may stand before.
        let entries = [format!("name = \"{name}\""), format!("\"{name}\": {{")];
        let is_entry = |line: &str| entries.iter().any(|entry| line.trim().starts_with(entry.as_str()));
        let line = self.text.lines().position(is_entry).map_or(1, |index| index + 1);
        self.invalid((line, 1), format!("says of `{name}` {problem}"))
    }

    /// A package whose files are not in the source tree.
    pub(super) fn outside(&self, name: &str, path: &str) -> Error {
        self.wrong(name, &format!("that it is in `{path}`, which is outside of the source tree"))
    }

    /// The marker of the package `name`.
    pub(super) fn marker(&self, name: &str, text: &str, extras: &[String]) -> Result<Marker, Error> {
        Marker::parse(text, extras)
            .map_err(|problem| self.wrong(name, &format!("the marker `{text}`: {problem}")))
    }

    /// A requirement as PEP 508 writes it.
    pub(super) fn dependency(&self, line: &str) -> Result<Dependency, Error> {
        let requirement =
            parse(line).map_err(|(_, problem)| self.wrong(line, &format!("a dependency: {problem}")))?;
        Ok(Dependency {
            marker: self.marker(&requirement.name, &requirement.marker, &[])?,
            name: requirement.name,
            version: None,
            extras: requirement.extras,
        })
    }
}
