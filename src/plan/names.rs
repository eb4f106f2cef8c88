//! The names that expressions may use, so that a misspelt one is found when a buildpack is read and not on the
//! first app for which its line counts.

use std::collections::HashSet;
use std::sync::LazyLock;

use serde_json::{Value, json};

use crate::detect::facts::{Facts, unknown_name};

/// Values that planning adds. Their members depend on the buildpack and are checked when they are used; `facts` holds
/// those of ecosystems that rpack does not know.
const OPEN: [&str; 10] =
    ["arch", "base", "config", "facts", "failed", "outcome", "part", "start", "value", "versions"];

/// Refuses the first of `used` (in order of spelling) that is no known name.
pub(super) fn check(used: HashSet<String>) -> Result<(), String> {
    static SHAPE: LazyLock<Value> = LazyLock::new(shape);
    let mut used: Vec<String> = used.into_iter().collect();
    used.sort();
    match used.iter().find_map(|name| unknown_name(&SHAPE, name)) {
        Some(reason) => Err(reason),
        None => Ok(()),
    }
}

/// The facts with the values that planning adds to them.
fn shape() -> Value {
    let mut shape = Facts::shape().clone();
    for name in OPEN {
        shape[name] = json!({});
    }
    shape
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(name: &str) -> Option<String> {
        check(HashSet::from([name.to_owned()])).err()
    }

    #[test]
    fn known_names_pass() {
        for name in
            ["node", "node.package", "node.package.scripts.build", "versions.node.major", "facts.ruby"]
        {
            assert_eq!(refusal(name), None, "{name}");
        }
    }

    #[test]
    fn a_misspelt_fact_names_what_there_is() {
        assert_eq!(refusal("files.hass").unwrap(), "`files.hass` is not a fact: `files` knows `has`");
    }

    #[test]
    fn an_unknown_value_lists_the_known_ones() {
        assert_eq!(
            refusal("nod").unwrap(),
            "`nod` is not a fact: rpack knows `arch`, `base`, `config`, `facts`, `failed`, `files`, `go`, `node`, \
             `outcome`, `part`, `procfile`, `programs`, `python`, `shell`, `start`, `static`, `value`, `versions`"
        );
    }
}
