//! `package.json`: parsed whole, with the lines of what messages point at.
//!
//! The format is the one that `npm help package.json` describes. Members that npm itself tolerates in
//! odd shapes (`engines` as a list) are ignored in those shapes; members that decide the build are not.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};

use super::super::json::{self, Offsets};
use super::super::{Files, Located};
use crate::detect::Error;
use crate::detect::error::{Malformed, position};

const FILE: &str = "package.json";

/// `package.json`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[expect(clippy::struct_field_names, reason = "the field is called so in package.json")]
pub struct Package {
    /// `name`.
    pub name: Option<String>,
    /// `version`.
    pub version: Option<String>,
    /// `type`: `module` or `commonjs` (the default).
    #[serde(rename = "type")]
    pub kind: String,
    /// `main` as written.
    pub main: Option<String>,
    /// `scripts`.
    pub scripts: BTreeMap<String, String>,
    /// The line of each script, from 1.
    pub script_lines: BTreeMap<String, usize>,
    /// `dependencies`: ranges by name.
    pub dependencies: BTreeMap<String, String>,
    /// `devDependencies`.
    pub dev_dependencies: BTreeMap<String, String>,
    /// `optionalDependencies`.
    pub optional_dependencies: BTreeMap<String, String>,
    /// `engines`.
    pub engines: BTreeMap<String, String>,
    /// `packageManager` as written: `pnpm@9.1.0+sha512…`.
    pub package_manager: Option<String>,
    /// Whether `workspaces` is stated.
    pub workspaces: bool,
}

/// The package and what it says of Node's version.
pub(super) struct Manifest {
    pub(super) package: Package,
    pub(super) versions: Vec<Located>,
}

/// Reads `package.json`, if there is one.
pub(super) fn read(files: &Files<'_>) -> Result<Option<Manifest>, Error> {
    let Some(text) = files.text(FILE)? else { return Ok(None) };
    let value: Value = serde_json::from_str(&text).map_err(|error| invalid_json(FILE, &text, &error))?;
    let Value::Object(members) = value else {
        return Err(broken(&text, 0, "is not a JSON object").into());
    };
    let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at).collect();
    let reader =
        Reader { offsets: json::offsets(&text).unwrap_or_default(), text: &text, members: &members, breaks };
    let scripts = reader.strings("scripts")?;
    let package = Package {
        name: reader.string("name")?,
        version: reader.string("version")?,
        kind: reader.string("type")?.filter(|kind| kind == "module").unwrap_or_else(|| "commonjs".to_owned()),
        main: reader.string("main")?,
        script_lines: scripts
            .keys()
            .filter_map(|name| Some((name.clone(), reader.line(&["scripts", name])?)))
            .collect(),
        scripts,
        dependencies: reader.strings("dependencies")?,
        dev_dependencies: reader.strings("devDependencies")?,
        optional_dependencies: reader.strings("optionalDependencies")?,
        engines: reader.lenient("engines"),
        package_manager: reader.string("packageManager")?,
        workspaces: matches!(members.get("workspaces"), Some(Value::Array(_) | Value::Object(_))),
    };
    let versions = reader.versions(&package);
    Ok(Some(Manifest { package, versions }))
}

/// The error for a text that `serde_json` refused.
pub(super) fn invalid_json(file: &str, text: &str, error: &serde_json::Error) -> Error {
    let message = error.to_string();
    let reason = message.rsplit_once(" at line ").map_or(message.as_str(), |(reason, _)| reason);
    let line = text.split('\n').nth(error.line().saturating_sub(1)).unwrap_or_default();
    // A stray line break is reported as column 0 of the line after it.
    let place = match (error.line(), error.column()) {
        (line @ 2.., 0) => {
            let before = text.split('\n').nth(line - 2).unwrap_or_default();
            (line - 1, before.trim_end_matches('\r').chars().count() + 1)
        }
        (number, bytes) => (number.max(1), position(line, bytes.saturating_sub(1)).1),
    };
    let conflict = text.lines().any(|line| line.starts_with("<<<<<<< "));
    let hint = if conflict {
        format!("resolve the merge conflict in `{file}`")
    } else {
        format!("correct `{file}` at the caret")
    };
    let problem = format!("is not valid JSON: {reason}");
    Malformed::at("node/manifest-invalid", file, text, place, problem, hint).into()
}

fn broken(text: &str, offset: usize, problem: impl Into<String>) -> Malformed {
    let hint = "correct `package.json` at the caret";
    Malformed::at("node/manifest-invalid", FILE, text, position(text, offset), problem, hint)
}

struct Reader<'a> {
    text: &'a str,
    members: &'a Map<String, Value>,
    offsets: Offsets,
    /// Offsets of the line breaks, ascending.
    breaks: Vec<usize>,
}

impl Reader<'_> {
    fn offset(&self, path: &[&str]) -> Option<usize> {
        let path: Vec<String> = path.iter().map(|part| (*part).to_owned()).collect();
        self.offsets.get(&path).copied()
    }

    fn line(&self, path: &[&str]) -> Option<usize> {
        self.offset(path).map(|offset| self.breaks.partition_point(|at| *at < offset) + 1)
    }

    fn wrong(&self, path: &[&str], needed: &str) -> Error {
        let problem = format!("has the wrong kind of value for `{}`: {needed} is needed", path.join("."));
        broken(self.text, self.offset(path).unwrap_or(0), problem).into()
    }

    fn string(&self, key: &str) -> Result<Option<String>, Error> {
        match self.members.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(self.wrong(&[key], "a string")),
        }
    }

    fn strings(&self, key: &str) -> Result<BTreeMap<String, String>, Error> {
        let members = match self.members.get(key) {
            None | Some(Value::Null) => return Ok(BTreeMap::new()),
            Some(Value::Object(members)) => members,
            Some(_) => return Err(self.wrong(&[key], "an object of strings")),
        };
        members
            .iter()
            .map(|(name, value)| match value {
                Value::String(text) => Ok((name.clone(), text.clone())),
                _ => Err(self.wrong(&[key, name], "a string")),
            })
            .collect()
    }

    /// The strings of an object; whatever else stands there is ignored.
    fn lenient(&self, key: &str) -> BTreeMap<String, String> {
        let members = self.members.get(key).and_then(Value::as_object).into_iter().flatten();
        members.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect()
    }

    fn versions(&self, package: &Package) -> Vec<Located> {
        let located = |value: &str, path: &[&str], line: Option<usize>| Located {
            value: value.trim().to_owned(),
            file: FILE.to_owned(),
            line,
            key: path.join("."),
        };
        let mut versions = Vec::new();
        let runtimes = match self.members.get("devEngines").and_then(|engines| engines.get("runtime")) {
            Some(Value::Array(runtimes)) => runtimes.as_slice(),
            Some(runtime) => std::slice::from_ref(runtime),
            None => &[],
        };
        for runtime in runtimes {
            let member = |key: &str| runtime.get(key).and_then(Value::as_str);
            if let (Some("node"), Some(version)) = (member("name"), member("version")) {
                let path = ["devEngines", "runtime"];
                versions.push(located(version, &path, self.line(&path)));
            }
        }
        if let Some(range) = package.engines.get("node") {
            let path = ["engines", "node"];
            versions.push(located(range, &path, self.line(&path)));
        }
        let volta = self.members.get("volta").and_then(|volta| volta.get("node")).and_then(Value::as_str);
        if let Some(version) = volta {
            let path = ["volta", "node"];
            versions.push(located(version, &path, self.line(&path)));
        }
        versions
    }
}
