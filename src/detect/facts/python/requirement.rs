//! One requirement: `name[extras] specifier ; marker`, `name @ URL`, a bare URL or a path.
//!
//! The grammar: <https://packaging.python.org/en/latest/specifications/dependency-specifiers/>, and pip's
//! additions to it for URLs and paths.

use std::str::FromStr as _;

use pep440_rs::{Operator, VersionSpecifiers};
use serde::Serialize;

/// Endings of archives that stand for themselves.
const ARCHIVES: [&str; 6] = [".whl", ".tar.gz", ".tar.bz2", ".tar.xz", ".tgz", ".zip"];

/// One line of a requirements file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Requirement {
    /// Normalised after PEP 503: lower case, `-` for runs of `-`, `_` and `.`. Empty when a URL does not tell it.
    pub name: String,
    /// Normalised extras in the order written.
    pub extras: Vec<String>,
    /// The version specifier as written: `>=1,<2`.
    pub spec: String,
    /// The environment marker as written; empty when there is none.
    pub marker: String,
    /// URL or path, for requirements that are not looked up in an index.
    pub url: Option<String>,
    /// Whether it came with `-e`.
    pub editable: bool,
    /// Whether the line has a `--hash`.
    pub hashed: bool,
    /// The file it stands in.
    pub file: String,
    /// From 1.
    pub line: usize,
}

impl Requirement {
    /// The specifier, or what stands for it.
    pub(super) fn shown_spec(&self) -> &str {
        if self.spec.is_empty() { "any version" } else { &self.spec }
    }

    /// Whether the line allows one version only.
    pub(super) fn is_exact(&self) -> bool {
        self.url.is_some()
            || self.spec.starts_with("===")
            || VersionSpecifiers::from_str(&self.spec)
                .is_ok_and(|specifiers| specifiers.iter().any(|one| *one.operator() == Operator::Equal))
    }
}

/// The name after PEP 503.
pub(super) fn normalised(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for c in name.chars() {
        match c {
            '-' | '_' | '.' if out.ends_with('-') => {}
            '-' | '_' | '.' => out.push('-'),
            _ => out.push(c.to_ascii_lowercase()),
        }
    }
    out
}

/// Parses one requirement, or gives the offset of the problem and its description.
pub(super) fn parse(text: &str) -> Result<Requirement, (usize, String)> {
    let whole = text.trim_end();
    let start = whole.len() - whole.trim_start().len();
    if is_direct(&whole[start..]) {
        return Ok(direct(&whole[start..]));
    }
    let mut cursor = Cursor { text: whole, at: start };
    let name = cursor.name().ok_or_else(|| (start, "a package name is needed".to_owned()))?;
    let mut requirement = Requirement { name: normalised(name), ..Requirement::default() };
    cursor.blank();
    if cursor.eat('[') {
        requirement.extras = cursor.extras()?;
        cursor.blank();
    }
    let at = cursor.at;
    let rest = &whole[at..];
    if let Some(url) = rest.strip_prefix('@') {
        let (url, marker) = url.split_once(" ;").unwrap_or((url, ""));
        if url.trim().is_empty() {
            return Err((at + 1, "a URL is needed after `@`".to_owned()));
        }
        requirement.url = Some(url.trim().to_owned());
        marker.trim().clone_into(&mut requirement.marker);
        return Ok(requirement);
    }
    let (spec, marker) = rest.split_once(';').unwrap_or((rest, ""));
    marker.trim().clone_into(&mut requirement.marker);
    let spec = spec.trim();
    let spec = spec.strip_prefix('(').and_then(|inner| inner.strip_suffix(')')).unwrap_or(spec).trim();
    if !spec.is_empty() && !spec.starts_with(['<', '>', '=', '!', '~']) {
        let found: String = spec.chars().take(20).collect();
        return Err((
            at,
            format!(
                "a version such as `=={found}`, `@ URL` or `;` is needed after `{name}`, found `{found}`"
            ),
        ));
    }
    // `===` compares texts, so its operand need not be a version.
    if !spec.is_empty() && !spec.starts_with("===") && VersionSpecifiers::from_str(spec).is_err() {
        return Err((at, format!("`{spec}` is not a version specifier")));
    }
    spec.clone_into(&mut requirement.spec);
    Ok(requirement)
}

/// Whether the text is a URL, a path or an archive's name, and not a name for an index.
fn is_direct(text: &str) -> bool {
    let word = text.split_whitespace().next().unwrap_or_default();
    let word = word.split(';').next().unwrap_or_default();
    let name = word.find(['[', '<', '>', '=', '!', '~', '@', ' ']).map_or(word, |end| &word[..end]);
    name.starts_with(['.', '/'])
        || name.contains('/')
        || ARCHIVES.iter().any(|ending| word.ends_with(ending) && !word.contains('@'))
}

fn direct(text: &str) -> Requirement {
    let (url, marker) = text.split_once(" ;").unwrap_or((text, ""));
    let url = url.trim();
    let egg = url.split_once("#egg=").or(url.split_once("&egg=")).map(|(_, egg)| egg);
    let egg = egg.map(|egg| egg.split(['&', '[']).next().unwrap_or_default());
    let file = url.split(['#', '?']).next().unwrap_or_default().rsplit('/').next().unwrap_or_default();
    let wheel = file.strip_suffix(".whl").and_then(|stem| stem.split('-').next());
    Requirement {
        name: normalised(egg.or(wheel).unwrap_or_default()),
        marker: marker.trim().to_owned(),
        url: Some(url.to_owned()),
        ..Requirement::default()
    }
}

struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    fn blank(&mut self) {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start().len();
    }

    fn eat(&mut self, c: char) -> bool {
        let found = self.text[self.at..].starts_with(c);
        self.at += if found { c.len_utf8() } else { 0 };
        found
    }

    fn name(&mut self) -> Option<&'a str> {
        let rest = &self.text[self.at..];
        let in_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let name = &rest[..rest.find(|c| !in_name(c)).unwrap_or(rest.len())];
        let ends = |c: char| c.is_ascii_alphanumeric();
        if !name.starts_with(ends) || !name.ends_with(ends) {
            return None;
        }
        self.at += name.len();
        Some(name)
    }

    /// The names up to `]`.
    fn extras(&mut self) -> Result<Vec<String>, (usize, String)> {
        let mut extras = Vec::new();
        loop {
            self.blank();
            if self.eat(']') {
                return Ok(extras);
            }
            let extra =
                self.name().ok_or_else(|| (self.at, "the name of an extra or `]` is needed".to_owned()))?;
            extras.push(normalised(extra));
            self.blank();
            if !self.eat(',') && !self.text[self.at..].starts_with(']') {
                return Err((self.at, "`,` or `]` is needed after an extra".to_owned()));
            }
        }
    }
}
