//! What `project` and `tool.poetry` say of the project for people
//! (<https://packaging.python.org/en/latest/specifications/pyproject-toml/>,
//! <https://python-poetry.org/docs/pyproject/>).
//!
//! A value of an unexpected kind says nothing here: it decides no build, and whoever builds the package will object.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Value;

use super::super::{About, about};

/// The members of either table, whatever they are.
#[derive(Default, Deserialize)]
pub(super) struct Described {
    version: Option<Value>,
    description: Option<Value>,
    license: Option<Value>,
    authors: Option<Value>,
    homepage: Option<Value>,
    documentation: Option<Value>,
    urls: Option<Value>,
}

impl Described {
    /// The version; empty when a program computes it.
    pub(super) fn version(&self) -> String {
        about::text(text(self.version.as_ref()))
    }

    pub(super) fn about(&self) -> About {
        let urls = self.urls();
        let url = |own: Option<&Value>, label: &str| {
            let labelled = urls.get(label).map(String::as_str);
            about::url(text(own).or(labelled))
        };
        About {
            description: about::text(text(self.description.as_ref())),
            licenses: about::licenses(text(self.license.as_ref())),
            authors: self.authors(),
            url: url(self.homepage.as_ref(), "homepage"),
            documentation: url(self.documentation.as_ref(), "documentation"),
        }
    }

    /// Texts in Poetry, tables with `name` and `email` in the standard.
    fn authors(&self) -> String {
        let list = self.authors.as_ref().and_then(Value::as_array).into_iter().flatten();
        let person = |one: &Value| {
            let member = |key: &str| one.get(key).and_then(Value::as_str);
            about::person(one.as_str().or_else(|| member("name")), member("email"))
        };
        let people: Vec<String> = list.map(person).filter(|person| !person.is_empty()).collect();
        about::text(Some(&people.join(", ")))
    }

    /// By label, without what does not tell labels apart
    /// (<https://packaging.python.org/en/latest/specifications/well-known-project-urls/>).
    fn urls(&self) -> BTreeMap<String, String> {
        let table = self.urls.as_ref().and_then(Value::as_table).into_iter().flatten();
        let plain = |label: &String| label.to_lowercase().replace(|c: char| !c.is_alphanumeric(), "");
        table.filter_map(|(label, url)| Some((plain(label), url.as_str()?.to_owned()))).collect()
    }
}

fn text(value: Option<&Value>) -> Option<&str> {
    value.and_then(Value::as_str)
}
