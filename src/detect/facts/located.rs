//! A statement with the place where it was made, and the version files that hold nothing else.

use serde::Serialize;

use super::Files;
use crate::detect::Error;

/// A wanted version, as written, with its place.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Located {
    /// The text, trimmed; prefixes that only name the tool (`python-`, `go`) are removed.
    pub value: String,
    /// Relative to the source.
    pub file: String,
    /// From 1, when known.
    pub line: Option<usize>,
    /// The key inside the file (`engines.node`); empty for files without keys.
    pub key: String,
}

/// The first line of the file at `path` that says something; `#` starts a comment.
pub(super) fn version_file(files: &Files<'_>, path: &str) -> Result<Option<Located>, Error> {
    let Some(text) = files.text(path)? else { return Ok(None) };
    Ok(statements(&text).next().map(|(line, value)| Located {
        value: value.to_owned(),
        file: path.to_owned(),
        line: Some(line),
        key: String::new(),
    }))
}

/// The version of one of `names` in `.tool-versions` of asdf: `NAME VERSION [FALLBACK …]` per line.
///
/// `system` states no version: it means whatever the machine has.
pub(super) fn tool_versions(files: &Files<'_>, names: &[&str]) -> Result<Option<Located>, Error> {
    let path = ".tool-versions";
    let Some(text) = files.text(path)? else { return Ok(None) };
    for (line, statement) in statements(&text) {
        let mut words = statement.split_whitespace();
        let Some(name) = words.next().filter(|name| names.contains(name)) else { continue };
        if let Some(value) = words.find(|version| *version != "system") {
            return Ok(Some(Located {
                value: value.to_owned(),
                file: path.to_owned(),
                line: Some(line),
                key: name.to_owned(),
            }));
        }
    }
    Ok(None)
}

/// Line numbers and trimmed texts of the lines that are neither blank nor comments.
fn statements(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().filter_map(|(index, line)| {
        let line = line.split('#').next().unwrap_or_default().trim();
        (!line.is_empty()).then_some((index + 1, line))
    })
}
