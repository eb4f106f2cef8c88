//! `Pipfile`: packages, the wanted Python, indexes. The format: <https://github.com/pypa/pipfile>.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::{Spanned, Value};

use super::super::{Files, Located};
use super::project::{Index, Manifest, private};
use super::requirement::{Requirement, normalised};
use crate::detect::Error;
use crate::detect::error::{Malformed, position};

const FILE: &str = "Pipfile";
/// Keys of a package that are markers, for themselves.
const MARKERS: [&str; 5] =
    ["os_name", "platform_machine", "platform_python_implementation", "python_version", "sys_platform"];

#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    source: Vec<Index>,
    #[serde(default)]
    packages: BTreeMap<String, Spanned<Value>>,
    #[serde(default)]
    requires: Requires,
}

#[derive(Default, Deserialize)]
struct Requires {
    python_full_version: Option<Spanned<String>>,
    python_version: Option<Spanned<String>>,
}

/// Reads the file; nothing when there is none.
pub(super) fn read(files: &Files<'_>) -> Result<Option<Manifest>, Error> {
    let Some(text) = files.text(FILE)? else { return Ok(None) };
    let document: Document = toml::from_str(&text).map_err(|error| {
        let offset = error.span().map_or(0, |span| span.start);
        let problem = format!("is not valid: {}", error.message().replace('\n', ", "));
        let hint = "correct `Pipfile` at the caret";
        Error::from(Malformed::at(
            "python/manifest-invalid",
            FILE,
            &text,
            position(&text, offset),
            problem,
            hint,
        ))
    })?;
    let line = |offset: usize| position(&text, offset).0;
    let requires = document.requires;
    let python = [
        (requires.python_full_version, "requires.python_full_version"),
        (requires.python_version, "requires.python_version"),
    ];
    let python = python.into_iter().find_map(|(value, key)| value.map(|value| (value, key)));
    let mut manifest = Manifest {
        python: python.map(|(value, key)| Located {
            line: Some(line(value.span().start)),
            value: value.into_inner(),
            file: FILE.to_owned(),
            key: key.to_owned(),
        }),
        indexes: private(document.source),
        ..Manifest::default()
    };
    for (name, value) in document.packages {
        let place = line(value.span().start);
        let one = Requirement {
            name: normalised(&name),
            file: FILE.to_owned(),
            line: place,
            ..Requirement::default()
        };
        let one = requirement(one, value.get_ref());
        // A folder has no name until it is built.
        manifest.needs_lock |= one.url.as_ref().is_some_and(|url| !url.contains("://"));
        manifest.wanted.push(one);
    }
    Ok(Some(manifest))
}

fn requirement(mut one: Requirement, value: &Value) -> Requirement {
    let version = |text: &str| if text == "*" { String::new() } else { text.to_owned() };
    if let Value::String(text) = value {
        one.spec = version(text);
        return one;
    }
    let Some(table) = value.as_table() else { return one };
    let text = |key: &str| table.get(key).and_then(Value::as_str);
    one.spec = text("version").map(version).unwrap_or_default();
    let extras = table.get("extras").and_then(Value::as_array).into_iter().flatten();
    one.extras = extras.filter_map(Value::as_str).map(normalised).collect();
    one.url = match (text("git"), text("file"), text("path")) {
        (Some(git), ..) => {
            let reference = text("ref").map(|name| format!("@{name}")).unwrap_or_default();
            let prefix = if git.starts_with("git+") { "" } else { "git+" };
            Some(format!("{prefix}{git}{reference}"))
        }
        (_, Some(file), _) => Some(file.to_owned()),
        (.., Some(path)) => Some(path.to_owned()),
        _ => None,
    };
    let mut parts: Vec<String> = text("markers").map(str::to_owned).into_iter().collect();
    parts.extend(MARKERS.iter().filter_map(|key| Some(format!("{key} {}", text(key)?))));
    one.marker = parts.join(" and ");
    one
}
