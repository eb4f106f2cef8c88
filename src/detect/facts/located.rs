//! A statement with the place where it was made, and the version files that hold nothing else.

use serde::Serialize;
use toml::de::{DeTable, DeValue};

use super::Files;
use crate::detect::Error;
use crate::detect::error::{Malformed, position};

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

/// Where mise looks for tools in a project, in its order (<https://mise.jdx.dev/configuration.html>).
const MISE: [&str; 6] = [
    "mise.toml",
    ".mise.toml",
    "mise/config.toml",
    ".mise/config.toml",
    ".config/mise.toml",
    ".config/mise/config.toml",
];

/// The version of one of `names` in the `[tools]` of mise: a text, a list of them, or a table with `version`.
pub(super) fn mise(files: &Files<'_>, names: &[&str]) -> Result<Option<Located>, Error> {
    for path in MISE {
        let Some(text) = files.text(path)? else { continue };
        let document = DeTable::parse(&text).map_err(|error| {
            let place = position(&text, error.span().map_or(0, |span| span.start));
            let problem = format!("is not valid TOML: {}", error.message().trim().replace('\n', ", "));
            Malformed::at(
                "detect/mise-invalid",
                path,
                &text,
                place,
                problem,
                format!("correct `{path}` at the caret"),
            )
        })?;
        let Some(tools) = document.get_ref().get("tools").and_then(|tools| tools.get_ref().as_table()) else {
            continue;
        };
        for (name, value) in tools {
            // `core:node` names the same tool.
            let bare = name.get_ref().strip_prefix("core:").unwrap_or(name.get_ref());
            let wanted = names.contains(&bare).then(|| mise_version(value.get_ref())).flatten();
            if let Some(wanted) = wanted.filter(|version| version != "system") {
                return Ok(Some(Located {
                    value: wanted,
                    file: path.to_owned(),
                    line: Some(position(&text, name.span().start).0),
                    key: format!("tools.{bare}"),
                }));
            }
        }
    }
    Ok(None)
}

fn mise_version(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::Array(list) => mise_version(list.iter().next()?.get_ref()),
        DeValue::Table(table) => mise_version(table.get("version")?.get_ref()),
        value => value.as_str().map(|text| text.trim().trim_start_matches("prefix:").to_owned()),
    }
}

/// Line numbers and trimmed texts of the lines that are neither blank nor comments.
fn statements(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().filter_map(|(index, line)| {
        let line = line.split('#').next().unwrap_or_default().trim();
        (!line.is_empty()).then_some((index + 1, line))
    })
}

#[cfg(test)]
mod tests {
    use super::{Files, mise};
    use crate::detect::tests::{refused, source};

    fn version(path: &str, text: &str, names: &[&str]) -> Option<String> {
        let source = source(&[(path, text)]);
        let found = mise(&Files::new(&source, ""), names).unwrap()?;
        Some(format!("{} at {}:{} {}", found.value, found.file, found.line.unwrap(), found.key))
    }

    #[test]
    fn mise_states_versions_in_three_ways() {
        let text = "[env]\nX = \"1\"\n\n[tools]\nnode = [\"22\", \"20\"]\n\"core:go\" = { version = \"prefix:1.24\" }\npython = \"system\"\n";
        assert_eq!(version("mise.toml", text, &["node"]).unwrap(), "22 at mise.toml:5 tools.node");
        assert_eq!(
            version(".config/mise.toml", text, &["go"]).unwrap(),
            "1.24 at .config/mise.toml:6 tools.go"
        );
        assert_eq!(version("mise.toml", text, &["python"]), None);
        assert_eq!(version("mise.toml", "tools = 1\n", &["node"]), None);
    }

    #[test]
    fn a_broken_file_of_mise_is_shown_at_its_place() {
        assert_eq!(
            refused(&[("package.json", "{}"), (".mise.toml", "[tools]\nnode = \n")]),
            "error[detect/mise-invalid] exit 2: `.mise.toml` is not valid TOML: string values must be quoted, \
             expected literal string\nat .mise.toml:2:8\n2 | node =\n  |        ^\nhint: correct `.mise.toml` at the caret\n"
        );
    }
}
