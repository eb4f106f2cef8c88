//! Detectors: one TOML file per ecosystem that says what counts as evidence for it.
//!
//! Conditions and reasons are minijinja expressions and templates over the facts. They are checked when they are
//! loaded: a name that is no fact is an error then, and not a condition that is silently never true.

use std::collections::BTreeMap;

use minijinja::{Environment, UndefinedBehavior, Value};
use serde::Deserialize;

use super::Error;
use super::facts::{Facts, unknown_name};
use crate::definitions::{Definition, Definitions};

/// How much work one expression may cause, in minijinja's units (about one per instruction).
const FUEL: u64 = 1_000_000;

/// What counts as evidence for an ecosystem.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Detector {
    /// Id of the ecosystem and of its buildpack.
    pub(super) id: String,
    /// For people.
    pub(super) name: String,
    /// Place in ties: the lower wins.
    pub(super) order: i32,
    /// Files at the root that make a folder an app of this ecosystem.
    pub(super) manifests: Vec<String>,
    /// Whether it takes part only when no other ecosystem can win.
    #[serde(default)]
    pub(super) fallback: bool,
    /// Names for use in expressions, as `lists.NAME`.
    #[serde(default)]
    pub(super) lists: BTreeMap<String, Vec<String>>,
    /// In the order in which they are shown.
    pub(super) evidence: Vec<Row>,
    /// Where a person finds the file.
    #[serde(skip)]
    pub(super) shown: String,
}

/// One piece of evidence.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Row {
    /// Unique in the file.
    pub(super) id: String,
    /// Of the rows of one kind that hold, the one with the most points counts; the row's id when not given.
    pub(super) kind: Option<String>,
    /// Points.
    pub(super) score: i32,
    /// The role that the ecosystem takes when the row holds. Such rows are looked at last and may use what is in
    /// [`Place`].
    pub(super) role: Option<String>,
    /// Expression.
    pub(super) when: String,
    /// Template: why, in words.
    pub(super) reason: String,
}

impl Row {
    /// What counts once.
    pub(super) fn kind(&self) -> &str {
        self.kind.as_deref().unwrap_or(&self.id)
    }
}

/// Loads and checks all detectors, sorted by id.
pub(super) fn load(definitions: &Definitions) -> Result<Vec<Detector>, Error> {
    let mut detectors: Vec<Detector> = Vec::new();
    for file in definitions.below("detectors", ".toml") {
        let detector = parse(file)?;
        if let Some(other) = detectors.iter().find(|other| other.id == detector.id) {
            return Err(invalid(&file.shown, format!("`{}` has the same id `{}`", other.shown, other.id)));
        }
        detectors.push(detector);
    }
    detectors.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(detectors)
}

fn invalid(shown: &str, reason: impl Into<String>) -> Error {
    Error::Definition { shown: shown.to_owned(), reason: reason.into() }
}

fn parse(file: &Definition) -> Result<Detector, Error> {
    let text = std::str::from_utf8(&file.bytes).map_err(|error| invalid(&file.shown, error.to_string()))?;
    let mut detector: Detector =
        toml::from_str(text).map_err(|error| invalid(&file.shown, error.to_string().trim_end()))?;
    detector.shown.clone_from(&file.shown);
    check(&detector)?;
    Ok(detector)
}

fn check(detector: &Detector) -> Result<(), Error> {
    let environment = environment();
    let shape = |place| context(Facts::shape().clone(), detector, &[], place);
    let (shape, shape_of_accessories) = (shape(None), shape(Some(Place::default())));
    let mut ids = Vec::new();
    for row in &detector.evidence {
        let fail = |reason: String| invalid(&detector.shown, format!("evidence `{}`: {reason}", row.id));
        if ids.contains(&&row.id) {
            return Err(fail("the id is used twice".to_owned()));
        }
        ids.push(&row.id);
        let shape = if row.role.is_some() { &shape_of_accessories } else { &shape };
        let condition = environment.compile_expression(&row.when).map_err(|error| fail(shown(&error)))?;
        let reason = environment.template_from_str(&row.reason).map_err(|error| fail(shown(&error)))?;
        let names = condition.undeclared_variables(true).into_iter().chain(reason.undeclared_variables(true));
        let mut unknown: Vec<String> = names.filter_map(|name| unknown_name(shape, &name)).collect();
        unknown.sort();
        if let Some(first) = unknown.into_iter().next() {
            return Err(fail(first));
        }
    }
    Ok(())
}

/// What rows with a role see besides.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Place<'a> {
    /// The best score of the other ecosystems.
    pub(super) rivals: i32,
    /// The folder below the app's; empty for the app's own.
    pub(super) folder: &'a str,
    /// Whether programs of the app name that folder.
    pub(super) is_named: bool,
}

/// What expressions of a detector see: the facts (absent ones as none), `lists`, `manifests` (the manifests of all
/// ecosystems at the root) and, in rows with a role, `rivals`, `folder` and `named`.
pub(super) fn context(
    mut facts: serde_json::Value,
    detector: &Detector,
    manifests: &[String],
    place: Option<Place<'_>>,
) -> serde_json::Value {
    let shape = Facts::shape();
    if let (Some(members), Some(roots)) = (facts.as_object_mut(), shape.as_object()) {
        for root in roots.keys() {
            members.entry(root.clone()).or_insert(serde_json::Value::Null);
        }
        members.insert("lists".to_owned(), serde_json::json!(detector.lists));
        members.insert("manifests".to_owned(), serde_json::json!(manifests));
        if let Some(place) = place {
            members.insert("rivals".to_owned(), serde_json::json!(place.rivals));
            members.insert("folder".to_owned(), serde_json::json!(place.folder));
            members.insert("named".to_owned(), serde_json::json!(place.is_named));
        }
    }
    facts
}

/// The engine for expressions: strict, with bounded work.
pub(super) fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    environment
}

/// The reason why `row` holds, or nothing when it does not.
pub(super) fn evaluate(
    environment: &Environment<'_>,
    detector: &Detector,
    row: &Row,
    context: &Value,
) -> Result<Option<String>, Error> {
    let fail = |reason: String| invalid(&detector.shown, format!("evidence `{}`: {reason}", row.id));
    let value = environment
        .compile_expression(&row.when)
        .and_then(|expression| expression.eval(context.clone()))
        .map_err(|error| fail(shown(&error)))?;
    if value.is_undefined() {
        return Err(fail(format!("`{}` has no value", row.when)));
    }
    if !value.is_true() {
        return Ok(None);
    }
    let reason = environment.render_str(&row.reason, context.clone()).map_err(|error| fail(shown(&error)))?;
    Ok(Some(reason))
}

/// What minijinja says, in one line.
fn shown(error: &minijinja::Error) -> String {
    let kind = error.kind().to_string();
    error.detail().map_or(kind.clone(), |detail| format!("{kind}: {detail}"))
}
