//! Conditions and templates of buildpacks, evaluated strictly: an unknown name is an error.

use minijinja::value::{Serde, Value};
use minijinja::{Environment, UndefinedBehavior};
use serde::de::DeserializeOwned;

use super::Error;

/// The names that every buildpack may use besides its own variables.
const NAMES: [&str; 9] =
    ["node", "python", "go", "procfile", "files", "versions", "config", "architecture", "start"];

/// Work that one expression may do: far more than any honest one needs.
const FUEL: u64 = 100_000;

/// Evaluates texts of one buildpack over one set of values.
pub(super) struct Evaluator<'a> {
    environment: Environment<'a>,
    values: serde_json::Map<String, serde_json::Value>,
    file: String,
}

impl Evaluator<'_> {
    /// An evaluator for the buildpack in `file`.
    pub(super) fn new(file: String, facts: &serde_json::Value) -> Self {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_fuel(Some(FUEL));
        add_filters(&mut environment);
        let mut values: serde_json::Map<_, _> =
            NAMES.iter().map(|name| ((*name).to_owned(), serde_json::Value::Null)).collect();
        if let serde_json::Value::Object(facts) = facts {
            values.extend(facts.clone());
        }
        Self { environment, values, file }
    }

    /// Gives `name` a value.
    pub(super) fn set(&mut self, name: &str, value: serde_json::Value) {
        self.values.insert(name.to_owned(), value);
    }

    /// The truth of a condition; no condition holds always.
    pub(super) fn holds(&self, when: Option<&String>) -> Result<bool, Error> {
        when.map_or(Ok(true), |when| Ok(self.value(when)?.is_true()))
    }

    /// The value of an expression as a Rust type.
    pub(super) fn evaluate<T: DeserializeOwned>(&self, expression: &str) -> Result<T, Error> {
        let value = self.value(expression)?;
        T::deserialize(value).map_err(|error| self.invalid(expression, &error.to_string()))
    }

    /// The text that a template gives.
    pub(super) fn render(&self, template: &str) -> Result<String, Error> {
        if !template.contains("{{") && !template.contains("{%") {
            return Ok(template.to_owned());
        }
        let compiled =
            self.environment.template_from_str(template).map_err(|error| self.invalid(template, &chain(&error)))?;
        self.check(template, &compiled.undeclared_variables(false))?;
        compiled.render(Value::from(Serde(&self.values))).map_err(|error| self.invalid(template, &chain(&error)))
    }

    /// All the texts that templates give.
    pub(super) fn render_all(&self, templates: &[String]) -> Result<Vec<String>, Error> {
        templates.iter().map(|template| self.render(template)).collect()
    }

    fn value(&self, expression: &str) -> Result<Value, Error> {
        let compiled = self
            .environment
            .compile_expression(expression)
            .map_err(|error| self.invalid(expression, &chain(&error)))?;
        // Strict mode does not see a name that is short-circuited or stands alone.
        self.check(expression, &compiled.undeclared_variables(false))?;
        let value = compiled.eval(Value::from(Serde(&self.values))).map_err(|error| self.invalid(expression, &chain(&error)))?;
        if value.is_undefined() {
            return Err(self.invalid(expression, "it has no value"));
        }
        Ok(value)
    }

    fn check(&self, text: &str, names: &std::collections::HashSet<String>) -> Result<(), Error> {
        let mut unknown: Vec<&String> = names.iter().filter(|name| !self.values.contains_key(*name)).collect();
        unknown.sort();
        match unknown.first() {
            Some(name) => Err(self.invalid(text, &format!("there is no name `{name}`"))),
            None => Ok(()),
        }
    }

    fn invalid(&self, text: &str, reason: &str) -> Error {
        Error::Definition { file: self.file.clone(), reason: format!("in `{text}`: {reason}") }
    }
}

/// Filters that version texts and paths need; plain comparison of version texts would be wrong.
fn add_filters(environment: &mut Environment<'_>) {
    environment.add_filter("major", |version: &str| {
        version.split('.').next().and_then(|major| major.parse::<u64>().ok()).unwrap_or_default()
    });
    environment.add_filter("line", |version: &str| {
        version.split('.').take(2).collect::<Vec<_>>().join(".")
    });
    environment.add_filter("module_name", module_name);
}

/// The last element of a Go module path that is not a major version (`example.com/shop/v2` → `shop`).
fn module_name(path: &str) -> String {
    let version = |part: &&str| {
        part.strip_prefix('v').is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()))
    };
    let name = path.rsplit('/').find(|part| !part.is_empty() && *part != "." && !version(part));
    name.unwrap_or("app").to_owned()
}

/// An error with its causes on one line.
fn chain(error: &minijinja::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Evaluator, module_name};

    fn evaluator() -> Evaluator<'static> {
        let facts = json!({"node": {"package": {"scripts": {"build": "tsc"}}, "lock": null}});
        Evaluator::new("buildpacks/x/buildpack.toml".into(), &facts)
    }

    #[test]
    fn conditions_read_facts() {
        let evaluator = evaluator();
        for (when, expected) in [
            ("'build' in node.package.scripts", true),
            ("'test' in node.package.scripts", false),
            ("node.lock is none", true),
            ("node.lock and node.lock.drift", false),
            ("python is none", true),
        ] {
            assert_eq!(evaluator.holds(Some(&when.to_owned())).unwrap(), expected, "{when}");
        }
    }

    #[test]
    fn unknown_names_are_errors_even_where_they_are_not_reached() {
        for (when, reason) in [
            ("node.nope", "it has no value"),
            ("true or ruby", "there is no name `ruby`"),
            ("node.nope == 1", "undefined value"),
        ] {
            let error = evaluator().holds(Some(&when.to_owned())).unwrap_err().to_string();
            assert!(error.contains(reason), "{when}: {error}");
        }
    }

    #[test]
    fn a_module_is_named_by_its_last_element_that_is_no_version() {
        for (path, name) in [("example.com/shop/v2", "shop"), ("shop", "shop"), ("example.com/vault", "vault")] {
            assert_eq!(module_name(path), name);
        }
    }
}
