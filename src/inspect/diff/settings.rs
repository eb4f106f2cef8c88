//! What the configs of two images set differently.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

/// A setting with other values in both images.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Setting {
    /// `entrypoint`, `user`, `environment PATH`, `label maintainer`, `port 8080/tcp`; the config's own name where rpack
    /// has none.
    pub name: String,
    /// In the first image; none when it does not say.
    pub from: Option<Value>,
    /// In the second.
    pub to: Option<Value>,
}

/// Compares two configs.
pub(super) fn compare(from: &Value, to: &Value) -> Vec<Setting> {
    let (from, to) = (settings(from), settings(to));
    let names: BTreeSet<&String> = from.keys().chain(to.keys()).collect();
    let setting = |name: &String| Setting {
        name: name.clone(),
        from: from.get(name).cloned(),
        to: to.get(name).cloned(),
    };
    names.into_iter().map(setting).filter(|setting| setting.from != setting.to).collect()
}

/// All that a config says, apart from its layers. What is empty says nothing.
fn settings(config: &Value) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    for name in ["architecture", "os", "variant", "created", "author"] {
        add(&mut found, name, config.get(name));
    }
    for (name, value) in config.get("config").and_then(Value::as_object).into_iter().flatten() {
        match name.as_str() {
            "Entrypoint" => add(&mut found, "entrypoint", Some(value)),
            "Cmd" => add(&mut found, "arguments", Some(value)),
            "User" => add(&mut found, "user", Some(value)),
            "WorkingDir" => add(&mut found, "working-directory", Some(value)),
            "StopSignal" => add(&mut found, "stop-signal", Some(value)),
            "Env" => {
                for variable in value.as_array().into_iter().flatten().filter_map(Value::as_str) {
                    let (name, value) = variable.split_once('=').unwrap_or((variable, ""));
                    found.insert(format!("environment {name}"), Value::from(value));
                }
            }
            "ExposedPorts" => {
                for port in value.as_object().into_iter().flatten().map(|(port, _)| port) {
                    found.insert(format!("port {port}"), Value::from(true));
                }
            }
            "Labels" => {
                for (key, value) in value.as_object().into_iter().flatten() {
                    found.insert(format!("label {key}"), value.clone());
                }
            }
            other => add(&mut found, other, Some(value)),
        }
    }
    found
}

fn add(found: &mut BTreeMap<String, Value>, name: &str, value: Option<&Value>) {
    if let Some(value) = value.filter(|value| crate::inspect::is_said(value)) {
        found.insert(name.to_owned(), value.clone());
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Setting, compare};

    #[test]
    fn what_is_empty_says_nothing_and_order_of_variables_does_not_matter() {
        let one = json!({"os": "linux", "config": {"User": "", "Env": ["A=1", "B=2"], "Cmd": null}});
        let other = json!({"os": "linux", "config": {"Env": ["B=2", "A=1"], "Healthcheck": {}}});
        assert_eq!(compare(&one, &other), []);
    }

    #[test]
    fn every_kind_of_setting() {
        let one = json!({"created": "1", "config": {"Cmd": ["a"], "Env": ["A=1"], "Labels": {"x": "1"},
            "ExposedPorts": {"80/tcp": {}}, "Volumes": {"/data": {}}}});
        let other = json!({"created": "2", "config": {"Cmd": ["a", "b"], "Env": ["A=2"], "User": "1"}});
        let setting =
            |name: &str, from: Option<Value>, to: Option<Value>| Setting { name: name.to_owned(), from, to };
        assert_eq!(
            compare(&one, &other),
            [
                setting("Volumes", Some(json!({"/data": {}})), None),
                setting("arguments", Some(json!(["a"])), Some(json!(["a", "b"]))),
                setting("created", Some(json!("1")), Some(json!("2"))),
                setting("environment A", Some(json!("1")), Some(json!("2"))),
                setting("label x", Some(json!("1")), None),
                setting("port 80/tcp", Some(json!(true)), None),
                setting("user", None, Some(json!("1"))),
            ]
        );
    }
}
