//! `_headers`: paths, and headers for them.
//!
//! ```text
//! # a comment
//! /fonts/*
//!   Access-Control-Allow-Origin: *
//!   ! Cache-Control
//! ```
//! A path begins with a slash; `*` stands for the rest, `:name` for one part. Every rule that fits counts, in the
//! order of the file: a name that is stated again is added to, `!` takes what was there away.

use super::Error;
use crate::site::server::rules;

/// The most bytes of all headers that rules give one file: the server has a fixed buffer.
const LIMIT: usize = 4096;

/// Headers that the server computes.
const OURS: [&str; 11] = [
    "accept-ranges",
    "connection",
    "content-encoding",
    "content-length",
    "content-range",
    "date",
    "etag",
    "location",
    "status",
    "transfer-encoding",
    "vary",
];

/// What rules say of one address.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    pattern: String,
    changes: Vec<Change>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Change {
    Add(String, String),
    Remove(String),
}

/// All rules, in order.
#[derive(Debug, Default)]
pub(super) struct Headers {
    rules: Vec<Rule>,
}

impl Headers {
    /// Reads a file, called `file` in messages.
    pub(super) fn parse(file: &str, text: &str) -> Result<Self, Error> {
        let mut rules: Vec<Rule> = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let fail = |problem: String| Error::Headers { file: file.to_owned(), line: index + 1, problem };
            let content = line.trim();
            if content.is_empty() || content.starts_with('#') {
                continue;
            }
            if !line.starts_with([' ', '\t']) {
                if let Some(problem) = super::redirects::pattern_problem(content) {
                    return Err(fail(problem));
                }
                rules.push(Rule { pattern: content.to_owned(), changes: Vec::new() });
                continue;
            }
            let rule = rules.last_mut().ok_or_else(|| fail(format!("`{content}` stands below no path")))?;
            rule.changes.push(change(content).map_err(fail)?);
            let length: usize = rule.changes.iter().map(Change::length).sum();
            if length > LIMIT {
                return Err(fail(format!("the headers of `{}` have more than {LIMIT} bytes", rule.pattern)));
            }
        }
        Ok(Self { rules })
    }

    /// Changes the headers of the file that is served at `address`. Nothing when they become too long.
    pub(super) fn apply(&self, address: &str, headers: &mut Vec<(String, String)>) -> Option<()> {
        for rule in &self.rules {
            if rules::matches(rule.pattern.as_bytes(), address.as_bytes()).is_none() {
                continue;
            }
            let mut stated: Vec<&str> = Vec::new();
            for change in &rule.changes {
                match change {
                    Change::Remove(name) => headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name)),
                    Change::Add(name, value) => {
                        // What is built in is replaced; within a rule, a name may be stated several times.
                        if !stated.iter().any(|known| known.eq_ignore_ascii_case(name)) {
                            headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
                        }
                        stated.push(name);
                        headers.push((name.clone(), value.clone()));
                    }
                }
            }
        }
        let length: usize = headers.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
        (length <= LIMIT).then_some(())
    }
}

impl Change {
    fn length(&self) -> usize {
        match self {
            Self::Add(name, value) => name.len() + value.len() + 4,
            Self::Remove(_) => 0,
        }
    }
}

fn change(line: &str) -> Result<Change, String> {
    if let Some(name) = line.strip_prefix('!') {
        return name_of(name).map(Change::Remove);
    }
    let (name, value) = line.split_once(':').ok_or_else(|| format!("`{line}` has no `:`"))?;
    let value = value.trim();
    if value.is_empty() || value.chars().any(|c| c.is_control() || !c.is_ascii()) {
        return Err(format!("the value of `{name}` is not printable ASCII"));
    }
    Ok(Change::Add(name_of(name)?, value.to_owned()))
}

fn name_of(text: &str) -> Result<String, String> {
    let name = text.trim();
    if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')) {
        return Err(format!("`{name}` is no name of a header"));
    }
    if OURS.contains(&name.to_ascii_lowercase().as_str()) {
        return Err(format!("`{name}` is computed by the server and cannot be set"));
    }
    Ok(name.to_owned())
}
