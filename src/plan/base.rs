//! Which base both roots are composed from.
//!
//! In: the buildpack's default, `base.name` of the configuration, the bases that release lines of tools name. Out: one
//! id for the whole plan: an image never mixes two libcs. The bases' files are asked for nothing but who they are and
//! when their support ends; what they hold is the catalogue's matter.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Error, Planner};
use crate::config::{Config, Origin};
use crate::definitions::Definitions;
use crate::ui::Location;

/// The base of a plan while it is made.
#[derive(Clone, Debug)]
pub(super) struct Base {
    /// Id of the base: the file `bases/ID.toml`.
    pub(super) id: String,
    /// Whether the configuration names it: then no tool moves it.
    pub(super) forced: bool,
    /// The tool that settled it: `Python 3.11.2`.
    settled_by: Option<String>,
}

/// What a base's file says about itself.
#[derive(Debug, Default, Deserialize)]
struct About {
    version: Option<String>,
    codename: Option<String>,
    eol: Option<String>,
    #[serde(default)]
    suites: Vec<toml::Value>,
}

impl Base {
    /// The configured base, else the buildpack's.
    pub(super) fn new(definitions: &Definitions, config: &Config, default: &str) -> Result<Self, Error> {
        let Some(named) = &config.base else {
            return Ok(Self { id: default.to_owned(), forced: false, settled_by: None });
        };
        if about(definitions, &named.value).suites.is_empty() {
            let location = match &named.origin {
                Origin::File { path, line, column } => {
                    Some(Box::new(Location { file: path.clone(), line: Some(*line), column: Some(*column) }))
                }
                _ => None,
            };
            return Err(Error::ConfigValue {
                key: "base.name",
                value: named.value.clone(),
                needed: "there is no such base",
                location,
                hint: format!("the bases are {}", known(definitions).join(", ")),
            });
        }
        Ok(Self { id: named.value.clone(), forced: true, settled_by: None })
    }

    /// Takes note that `tool` (`Python 3.11.2`) comes from `id`.
    pub(super) fn settle(&mut self, id: &str, tool: String) -> Result<(), Error> {
        if let Some(other) = self.settled_by.as_ref().filter(|_| self.id != id) {
            return Err(Error::MixedBases {
                one: other.clone(),
                one_base: self.id.clone(),
                other: tool,
                other_base: id.to_owned(),
            });
        }
        id.clone_into(&mut self.id);
        self.settled_by.get_or_insert(tool);
        Ok(())
    }

    /// What expressions see as `base`.
    pub(super) fn value(&self, definitions: &Definitions) -> Value {
        let about = about(definitions, &self.id);
        json!({ "id": self.id, "version": about.version, "codename": about.codename })
    }
}

impl Planner<'_> {
    /// Says so when the base gets no more security fixes on the day that the buildpack is judged by.
    pub(super) fn note_end_of_base(&mut self, definitions: &Definitions) {
        let eol = about(definitions, &self.base.id).eol.filter(|eol| *eol < self.buildpack.as_of);
        if let Some(eol) = eol {
            let text = format!("base `{}` gets no more security fixes since {eol}", self.base.id);
            self.note("base/end-of-life", text, true);
        }
    }
}

/// A file that cannot be read is the catalogue's to report.
fn about(definitions: &Definitions, id: &str) -> About {
    let file = definitions.get(&format!("bases/{id}.toml"));
    let text = file.and_then(|file| std::str::from_utf8(&file.bytes).ok());
    text.and_then(|text| toml::from_str(text).ok()).unwrap_or_default()
}

fn known(definitions: &Definitions) -> Vec<String> {
    let ids = definitions
        .below("bases", ".toml")
        .filter_map(|file| file.path.strip_prefix("bases/")?.strip_suffix(".toml"));
    ids.filter(|id| !about(definitions, id).suites.is_empty()).map(|id| format!("`{id}`")).collect()
}
