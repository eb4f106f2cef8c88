//! `package.json`: parsed whole, with the lines of what messages point at.
//!
//! The format is the one that `npm help package.json` describes. Members that npm itself tolerates in
//! odd shapes (`engines` as a list) are ignored in those shapes; members that decide the build are not.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};

use super::super::json::{self, Offsets};
use super::super::{About, Files, Located, about};
use crate::detect::Error;
use crate::detect::error::{Malformed, position};

/// The manifest of the root.
pub(super) const FILE: &str = "package.json";

/// Scripts that managers run around an installation, in the order in which they run.
const LIFECYCLE: [&str; 7] =
    ["preinstall", "install", "postinstall", "prepublish", "preprepare", "prepare", "postprepare"];

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
    /// `peerDependencies`.
    pub peer_dependencies: BTreeMap<String, String>,
    /// `engines`.
    pub engines: BTreeMap<String, String>,
    /// `packageManager` as written: `pnpm@9.1.0+sha512…`.
    pub package_manager: Option<String>,
    /// Whether `workspaces` is stated.
    pub workspaces: bool,
    /// `description`, `license`, `author` and `homepage`.
    pub about: About,
}

impl Package {
    /// Everything that an installation for development brings; a name in several lists counts once, and an optional
    /// one wins over a required one, as in npm.
    pub(super) fn wanted(&self) -> BTreeMap<&str, &str> {
        let lists = [&self.dev_dependencies, &self.dependencies, &self.optional_dependencies];
        lists.into_iter().flatten().map(|(name, range)| (name.as_str(), range.as_str())).collect()
    }

    /// The scripts that an installation would run, in order.
    pub(super) fn lifecycle(&self) -> Vec<String> {
        let names = LIFECYCLE.iter().filter(|name| self.scripts.contains_key(**name));
        names.map(|name| (*name).to_owned()).collect()
    }
}

/// A package with what it says of versions and of other packages of the repository.
pub(super) struct Manifest {
    /// Relative to the source.
    pub(super) file: String,
    pub(super) package: Package,
    /// Of Node.
    pub(super) versions: Vec<Located>,
    /// Of package managers, strongest first: the key is their name.
    pub(super) managers: Vec<(String, Located)>,
    /// The globs of `workspaces`.
    pub(super) workspaces: Vec<String>,
    /// Names whose versions are replaced: `resolutions`, `overrides`, `pnpm.overrides`.
    pub(super) overridden: Vec<String>,
    /// The file without the scripts that run around an installation; nothing when it has none.
    pub(super) without_lifecycle: Option<String>,
}

/// Reads the manifest at `file`, if there is one.
pub(super) fn read(files: &Files<'_>, file: &str) -> Result<Option<Manifest>, Error> {
    let Some(text) = files.text(file)? else { return Ok(None) };
    let value: Value = serde_json::from_str(&text).map_err(|error| invalid_json(file, &text, &error))?;
    let Value::Object(members) = value else {
        return Err(broken(file, &text, 0, "is not a JSON object").into());
    };
    let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at).collect();
    let offsets = json::offsets(&text).unwrap_or_default();
    let reader = Reader { file, offsets, text: &text, members: &members, breaks };
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
        peer_dependencies: reader.strings("peerDependencies")?,
        engines: reader.lenient("engines"),
        package_manager: reader.string("packageManager")?,
        workspaces: matches!(members.get("workspaces"), Some(Value::Array(_) | Value::Object(_))),
        about: reader.about(),
    };
    let versions = reader.versions(&package);
    let managers = reader.managers(&package);
    let workspaces = reader.workspaces();
    let overridden = reader.overridden();
    let without_lifecycle = without_lifecycle(&package, &members);
    let file = file.to_owned();
    Ok(Some(Manifest { file, package, versions, managers, workspaces, overridden, without_lifecycle }))
}

/// The manifest as installations see it: what its scripts need are sources, which are not there yet.
fn without_lifecycle(package: &Package, members: &Map<String, Value>) -> Option<String> {
    if package.lifecycle().is_empty() {
        return None;
    }
    let mut members = members.clone();
    if let Some(Value::Object(scripts)) = members.get_mut("scripts") {
        scripts.retain(|name, _| !LIFECYCLE.contains(&name.as_str()));
    }
    serde_json::to_string_pretty(&members).ok().map(|text| text + "\n")
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

fn broken(file: &str, text: &str, offset: usize, problem: impl Into<String>) -> Malformed {
    let hint = format!("correct `{file}` at the caret");
    Malformed::at("node/manifest-invalid", file, text, position(text, offset), problem, hint)
}

struct Reader<'a> {
    file: &'a str,
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
        broken(self.file, self.text, self.offset(path).unwrap_or(0), problem).into()
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

    fn about(&self) -> About {
        let text = |key: &str| self.members.get(key).and_then(Value::as_str);
        let author = self.members.get("author");
        let member = |key: &str| author?.get(key)?.as_str();
        About {
            description: about::text(text("description")),
            licenses: about::licenses(text("license")),
            authors: about::person(text("author").or_else(|| member("name")), member("email")),
            url: about::url(text("homepage")),
            documentation: String::new(),
        }
    }

    /// The strings of an object; whatever else stands there is ignored.
    fn lenient(&self, key: &str) -> BTreeMap<String, String> {
        let members = self.members.get(key).and_then(Value::as_object).into_iter().flatten();
        members.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect()
    }

    fn located(&self, value: &str, path: &[&str]) -> Located {
        Located {
            value: value.trim().to_owned(),
            file: self.file.to_owned(),
            line: self.line(path),
            key: path.join("."),
        }
    }

    /// Versions in `{name, version}` objects, one or a list of them, at `engines.runtime` and the like.
    fn named(&self, path: [&str; 2]) -> Vec<(String, Located)> {
        let found = match self.members.get(path[0]).and_then(|engines| engines.get(path[1])) {
            Some(Value::Array(list)) => list.as_slice(),
            Some(one) => std::slice::from_ref(one),
            None => &[],
        };
        let member = |one: &Value, key: &str| one.get(key).and_then(Value::as_str).map(str::to_owned);
        found
            .iter()
            .filter_map(|one| {
                let version = member(one, "version").unwrap_or_else(|| "*".to_owned());
                Some((member(one, "name")?, self.located(&version, &path)))
            })
            .collect()
    }

    fn volta(&self, tool: &str) -> Option<Located> {
        let version = self.members.get("volta")?.get(tool)?.as_str()?;
        Some(self.located(version, &["volta", tool]))
    }

    fn versions(&self, package: &Package) -> Vec<Located> {
        let runtimes = [["devEngines", "runtime"], ["engines", "runtime"]];
        let runtimes = runtimes.into_iter().flat_map(|path| self.named(path));
        let mut versions: Vec<Located> =
            runtimes.filter(|(name, _)| name == "node").map(|(_, version)| version).collect();
        if let Some(range) = package.engines.get("node") {
            versions.push(self.located(range, &["engines", "node"]));
        }
        versions.extend(self.volta("node"));
        versions
    }

    fn managers(&self, package: &Package) -> Vec<(String, Located)> {
        let mut managers = Vec::new();
        if let Some(declared) = &package.package_manager {
            let (name, version) = declared.split_once('@').unwrap_or((declared, "*"));
            let version = version.split_once('+').map_or(version, |(version, _)| version);
            // An address says nothing about the version.
            let version = if version.contains("://") { "*" } else { version };
            managers.push((name.trim().to_owned(), self.located(version, &["packageManager"])));
        }
        managers.extend(self.named(["devEngines", "packageManager"]));
        for name in ["pnpm", "yarn", "bun", "npm"] {
            managers.extend(self.volta(name).map(|version| (name.to_owned(), version)));
            if let Some(range) = package.engines.get(name) {
                managers.push((name.to_owned(), self.located(range, &["engines", name])));
            }
        }
        managers
    }

    fn workspaces(&self) -> Vec<String> {
        let globs = match self.members.get("workspaces") {
            Some(Value::Object(members)) => members.get("packages"),
            other => other,
        };
        let globs = globs.and_then(Value::as_array).into_iter().flatten();
        globs.filter_map(Value::as_str).map(str::to_owned).collect()
    }

    fn overridden(&self) -> Vec<String> {
        let pnpm = self.members.get("pnpm").and_then(|pnpm| pnpm.get("overrides"));
        let lists = [self.members.get("resolutions"), self.members.get("overrides"), pnpm];
        let keys = lists.into_iter().flatten().filter_map(Value::as_object).flatten().map(|(key, _)| key);
        // `a/b`, `**/b`, `a>b`, `b@^1` all end in the name that is replaced.
        keys.map(|key| overridden_name(key).to_owned()).collect()
    }
}

/// The package that a key of `resolutions` or `overrides` is about.
pub(super) fn overridden_name(key: &str) -> &str {
    let last = key.rsplit('>').next().unwrap_or(key).trim();
    let scope = last.rfind("/@").map(|at| at + 1).or_else(|| last.starts_with('@').then_some(0));
    let name = match scope {
        Some(at) => &last[at..],
        None => last.rsplit('/').next().unwrap_or(last),
    };
    let end = name.char_indices().skip(1).find(|(_, c)| *c == '@').map_or(name.len(), |(at, _)| at);
    &name[..end]
}
