//! `tool.poetry` of `pyproject.toml`: dependencies in Poetry's notation, translated to that of Python's standards.
//!
//! The notation: <https://python-poetry.org/docs/dependency-specification/>.

use std::collections::BTreeMap;
use std::str::FromStr as _;

use pep440_rs::Version;
use serde::Deserialize;
use toml::{Spanned, Value};

use super::super::Files;
use super::described::Described;
use super::project::{FILE, Index};
use super::requirement::{Requirement, normalised};

/// The table.
#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Poetry {
    pub(super) name: Option<String>,
    pub(super) package_mode: Option<bool>,
    #[serde(default)]
    packages: Vec<Value>,
    #[serde(default)]
    pub(super) dependencies: BTreeMap<String, Spanned<Value>>,
    #[serde(default)]
    pub(super) scripts: BTreeMap<String, Value>,
    #[serde(default)]
    pub(super) source: Vec<Index>,
    #[serde(flatten)]
    pub(super) about: Described,
}

/// Requirements in the standard's notation.
#[derive(Default)]
pub(super) struct Translated {
    pub(super) wanted: Vec<Requirement>,
    /// Whether something cannot be said in it.
    pub(super) needs_lock: bool,
}

/// The dependencies of the main group that are not optional. `line` gives the line of an offset.
pub(super) fn requirements(poetry: &Poetry, line: impl Fn(usize) -> usize) -> Translated {
    let mut translated = Translated::default();
    for (name, value) in &poetry.dependencies {
        if name == "python" {
            continue;
        }
        let place = line(value.span().start);
        let several = match value.get_ref() {
            Value::Array(several) => several.as_slice(),
            one => std::slice::from_ref(one),
        };
        for one in several {
            let requirement = Requirement {
                name: normalised(name),
                file: FILE.to_owned(),
                line: place,
                ..Requirement::default()
            };
            translated.add(requirement, one);
        }
    }
    translated
}

impl Translated {
    fn add(&mut self, mut requirement: Requirement, value: &Value) {
        if let Value::String(constraint) = value {
            requirement.spec = self.specifier(constraint);
            self.wanted.push(requirement);
            return;
        }
        let Some(table) = value.as_table() else { return };
        let text = |key: &str| table.get(key).and_then(Value::as_str);
        if table.get("optional").and_then(Value::as_bool) == Some(true) {
            return;
        }
        requirement.spec = text("version").map(|constraint| self.specifier(constraint)).unwrap_or_default();
        let extras = table.get("extras").and_then(Value::as_array).into_iter().flatten();
        requirement.extras = extras.filter_map(Value::as_str).map(normalised).collect();
        requirement.url = match (text("git"), text("url"), text("path")) {
            (Some(git), ..) => {
                let reference = text("rev").or(text("tag")).or(text("branch"));
                let reference = reference.map(|name| format!("@{name}")).unwrap_or_default();
                Some(format!("git+{git}{reference}"))
            }
            (_, Some(url), _) => Some(url.to_owned()),
            (.., Some(path)) => Some(path.to_owned()),
            _ => None,
        };
        let python = text("python").map(|range| self.python(range));
        let platform = text("platform").map(|name| format!("sys_platform == '{name}'"));
        let parts = [text("markers").map(str::to_owned), python, platform];
        let parts: Vec<String> = parts.into_iter().flatten().filter(|part| !part.is_empty()).collect();
        requirement.marker = match parts.as_slice() {
            [one] => one.clone(),
            several => several.iter().map(|part| format!("({part})")).collect::<Vec<_>>().join(" and "),
        };
        // Folders are for whoever builds the source tree as a whole.
        self.needs_lock |= text("path").is_some();
        self.wanted.push(requirement);
    }

    fn specifier(&mut self, constraint: &str) -> String {
        specifier(constraint).unwrap_or_else(|| {
            self.needs_lock = true;
            String::new()
        })
    }

    /// A range of Pythons as a marker.
    fn python(&mut self, range: &str) -> String {
        let specifier = self.specifier(range);
        let parts = specifier.split(',').filter(|part| !part.is_empty()).map(|part| {
            let digits = part.find(|c: char| c.is_ascii_digit()).unwrap_or(part.len());
            let (operator, version) = part.split_at(digits);
            let variable = if version.ends_with(".*") { "python_version" } else { "python_full_version" };
            format!("{variable} {operator} '{version}'")
        });
        parts.collect::<Vec<_>>().join(" and ")
    }
}

/// `^1.2` as `>=1.2,<2`. Nothing for what the standard cannot say: alternatives, and what is no constraint.
pub(super) fn specifier(constraint: &str) -> Option<String> {
    if constraint.contains('|') {
        return None;
    }
    let mut parts = Vec::new();
    for part in constraint.split(',').flat_map(blanks) {
        parts.push(one(part.trim())?);
    }
    parts.retain(|part| !part.is_empty());
    Some(parts.join(","))
}

/// Poetry also separates by blanks: `>=1 <2`, but not `>= 1`.
fn blanks(part: &str) -> Vec<&str> {
    let words: Vec<&str> = part.split_whitespace().collect();
    if words.iter().all(|word| word.contains(|c: char| c.is_ascii_digit() || c == '*')) {
        words
    } else {
        vec![part]
    }
}

/// One part; an empty text when it allows everything.
fn one(part: &str) -> Option<String> {
    if part.is_empty() || part == "*" {
        return Some(String::new());
    }
    let tilde = part.strip_prefix('~').filter(|rest| !rest.starts_with('='));
    let (text, keep) = match (part.strip_prefix('^'), tilde) {
        (Some(text), _) => (text.trim(), None),
        (None, Some(text)) => (text.trim(), Some(2)),
        (None, None) if part.starts_with(|c: char| c.is_ascii_digit()) => {
            return Some(format!("=={part}"));
        }
        (None, None) => return Some(part.split_whitespace().collect()),
    };
    let version = Version::from_str(text).ok()?;
    let mut upper = version.release().to_vec();
    // A caret keeps the first number that is not 0, a tilde the first two.
    let first = upper.iter().position(|number| *number != 0).unwrap_or(upper.len() - 1);
    let keep = keep.unwrap_or(first + 1).min(upper.len());
    upper.truncate(keep);
    let last = upper.last_mut()?;
    *last = last.checked_add(1)?;
    let upper: Vec<String> = upper.iter().map(u64::to_string).collect();
    Some(format!(">={text},<{}", upper.join(".")))
}

/// Whether there is something to package: what is stated, or a module of the project's name.
pub(super) fn has_module(files: &Files<'_>, poetry: &Poetry, name: Option<&str>) -> bool {
    let Some(name) = name else { return false };
    let module = normalised(name).replace('-', "_");
    !poetry.packages.is_empty()
        || ["", "src/"].iter().any(|folder| {
            files.has(&format!("{folder}{module}/__init__.py")) || files.has(&format!("{folder}{module}.py"))
        })
}

#[cfg(test)]
mod tests {
    use super::specifier;

    #[test]
    fn constraints_of_poetry_in_the_standards_notation() {
        for (constraint, expected) in [
            ("^1.2.3", Some(">=1.2.3,<2")),
            ("^0.2.3", Some(">=0.2.3,<0.3")),
            ("^0.0.3", Some(">=0.0.3,<0.0.4")),
            ("^0", Some(">=0,<1")),
            ("^1.0b1", Some(">=1.0b1,<2")),
            ("~1.2.3", Some(">=1.2.3,<1.3")),
            ("~1", Some(">=1,<2")),
            ("~=1.2", Some("~=1.2")),
            ("*", Some("")),
            ("1.2.*", Some("==1.2.*")),
            ("1.2.3", Some("==1.2.3")),
            (">= 1.0, < 2", Some(">=1.0,<2")),
            (">=1 <2", Some(">=1,<2")),
            ("^1 || ^3", None),
            ("^x", None),
        ] {
            assert_eq!(specifier(constraint).as_deref(), expected, "{constraint}");
        }
    }
}
