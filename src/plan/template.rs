//! Expressions and templates of buildpacks: compiled when a buildpack is read, evaluated over facts.
//!
//! In: text of a buildpack and named values. Out: conditions, texts, lists. Invariants: a syntax error or a name
//! that no fact has is found when the buildpack is read, at its line; a value that is not there is an error with
//! file and key, never an empty text; evaluation is bounded, because an organisation's buildpack is input too.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior, Value};
use nodejs_semver::{Range, Version};
use serde::{Deserialize, Serialize};

use super::Error;
use super::names;

/// Instructions that one evaluation may take; the largest of ours takes some hundreds.
const FUEL: u64 = 100_000;
/// The longest range of versions that is read.
const RANGE_LIMIT: usize = 256;

static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    environment.add_filter("basename", |path: &str| path.rsplit('/').next().unwrap_or(path).to_owned());
    environment.add_filter("quoted", quoted);
    environment.add_filter("refusing", refusing);
    environment.add_filter("without_major", without_major);
    environment
});

/// A word as a shell reads it.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Those that want another version: `range → who` and a version in, `who wants range` out. A range that is none of npm
/// wants nothing.
#[expect(clippy::needless_pass_by_value, reason = "filters are handed values")]
fn refusing(wanted: Value, version: &str) -> Vec<String> {
    let wanted = serde_json::to_value(&wanted).and_then(serde_json::from_value::<BTreeMap<String, String>>);
    let (Ok(wanted), Ok(version)) = (wanted, Version::parse(version)) else { return Vec::new() };
    let refuses = |range: &str| Range::parse(range).is_ok_and(|range| !version.satisfies(&range));
    let rows = wanted.into_iter().filter(|(range, _)| range.len() <= RANGE_LIMIT && refuses(range));
    rows.map(|(range, who)| format!("{who} wants {range}")).collect()
}

/// `example.com/app/v2` names the module `example.com/app` in its second major version.
fn without_major(path: &str) -> String {
    match path.rsplit_once('/') {
        Some((rest, last)) if last.strip_prefix('v').is_some_and(|n| n.parse::<u32>().is_ok()) => {
            rest.to_owned()
        }
        _ => path.to_owned(),
    }
}

/// An expression whose result is used as it is: `node.package.scripts.build is defined`.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Expression(String);

/// A text with `{{ … }}` parts.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Text(String);

impl Default for Expression {
    /// What always holds.
    fn default() -> Self {
        Self("true".to_owned())
    }
}

impl TryFrom<String> for Expression {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let expression = ENVIRONMENT.compile_expression_owned(text.clone()).map_err(|error| plain(&error))?;
        names::check(expression.undeclared_variables(true))?;
        Ok(Self(text))
    }
}

impl TryFrom<String> for Text {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let template = ENVIRONMENT.template_from_str(&text).map_err(|error| plain(&error))?;
        let used = template.undeclared_variables(true);
        names::check(used)?;
        Ok(Self(text))
    }
}

fn plain(error: &minijinja::Error) -> String {
    error.detail().map_or_else(|| error.kind().to_string(), str::to_owned)
}

/// The values that expressions see, for one buildpack file.
#[derive(Clone, Debug)]
pub(super) struct Scope {
    file: String,
    values: BTreeMap<String, Value>,
}

impl Scope {
    /// An empty scope for the buildpack that people find at `file`.
    pub(super) fn new(file: &str) -> Self {
        Self { file: file.to_owned(), values: BTreeMap::new() }
    }

    /// Adds or replaces a value.
    pub(super) fn set<T: Serialize>(&mut self, name: &str, value: &T) {
        self.values.insert(name.to_owned(), Value::from(Serde(value)));
    }

    fn context(&self) -> Value {
        Value::from_pairs(self.values.iter().map(|(name, value)| (name.clone(), value.clone())))
    }

    fn error(&self, key: &str, source: &str, reason: String) -> Error {
        Error::Expression {
            file: self.file.clone(),
            key: key.to_owned(),
            source_text: source.to_owned(),
            reason,
        }
    }

    /// The value of an expression. `key` says where it stands: `step.node/build.when`.
    pub(super) fn value(&self, key: &str, expression: &Expression) -> Result<Value, Error> {
        let compiled = ENVIRONMENT
            .compile_expression(&expression.0)
            .map_err(|error| self.error(key, &expression.0, plain(&error)))?;
        let value =
            compiled.eval(self.context()).map_err(|error| self.error(key, &expression.0, plain(&error)))?;
        if value.is_undefined() {
            return Err(self.error(key, &expression.0, "it is undefined".to_owned()));
        }
        Ok(value)
    }

    /// Whether a condition holds.
    pub(super) fn holds(&self, key: &str, condition: &Expression) -> Result<bool, Error> {
        Ok(self.value(key, condition)?.is_true())
    }

    /// A rendered text.
    pub(super) fn text(&self, key: &str, text: &Text) -> Result<String, Error> {
        ENVIRONMENT
            .render_str(&text.0, self.context())
            .map_err(|error| self.error(key, &text.0, plain(&error)))
    }

    /// Rendered texts; those that come out empty are left out, so that an element can be conditional.
    pub(super) fn texts(&self, key: &str, texts: &[Text]) -> Result<Vec<String>, Error> {
        let mut rendered = Vec::with_capacity(texts.len());
        for text in texts {
            rendered.push(self.text(key, text)?);
        }
        rendered.retain(|text| !text.is_empty());
        Ok(rendered)
    }

    /// Rendered values of a table; empty ones are left out.
    pub(super) fn table(
        &self,
        key: &str,
        table: &BTreeMap<String, Text>,
    ) -> Result<BTreeMap<String, String>, Error> {
        let mut rendered = BTreeMap::new();
        for (name, text) in table {
            let value = self.text(&format!("{key}.{name}"), text)?;
            if !value.is_empty() {
                rendered.insert(name.clone(), value);
            }
        }
        Ok(rendered)
    }

    /// An expression's value as a Rust type.
    pub(super) fn read<T: serde::de::DeserializeOwned>(
        &self,
        key: &str,
        expression: &Expression,
    ) -> Result<T, Error> {
        let value = self.value(key, expression)?;
        let json = serde_json::to_value(&value).map_err(|error| error.to_string());
        json.and_then(|json| serde_json::from_value(json).map_err(|error| error.to_string()))
            .map_err(|reason| self.error(key, &expression.0, reason))
    }
}
