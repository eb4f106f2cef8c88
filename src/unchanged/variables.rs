//! The variables of the environment that a build may read.
//!
//! Kept as keyed digests, because an address may hold a password: the record says whether a value is the same and
//! not what it is.

use std::collections::BTreeMap;

use crate::config::Environment;
use crate::oci::Digest;

/// Those whose whole name is listed. `PATH` is not: it leads to clients, whose answers only count for a while anyway.
const NAMES: [&str; 9] = [
    "CI",
    "DOCKER_CONFIG",
    "GOPROXY",
    "GOSUMDB",
    "HOME",
    "M2_HOME",
    "MAVEN_HOME",
    "REGISTRY_AUTH_FILE",
    "SOURCE_DATE_EPOCH",
];

/// Those of a tool; npm's are read in either case.
const PREFIXES: [&str; 8] =
    ["rpack_", "npm_config_", "pnpm_config_", "yarn_", "bun_", "pip_", "uv_", "xdg_config_"];

/// Those of rpack that change where things are and not what is made.
const OF_PLACES: [&str; 2] = ["RPACK_STORE", "RPACK_REGISTRY_AUTH"];

/// The digests of the values of all that matter, by name.
pub(super) fn digests(environment: &Environment, salt: &str) -> BTreeMap<String, Digest> {
    let digest = |value: &[u8]| Digest::of(&[salt.as_bytes(), b"\0", value].concat());
    let variables = environment.iter().filter_map(|(name, value)| Some((name.to_str()?, value)));
    variables
        .filter(|(name, _)| matters(name))
        .map(|(name, value)| (name.to_owned(), digest(value.as_encoded_bytes())))
        .collect()
}

/// The first variable that differs.
pub(super) fn difference(old: &BTreeMap<String, Digest>, new: &BTreeMap<String, Digest>) -> Option<String> {
    let mut names = old.keys().chain(new.keys());
    names.find(|name| old.get(*name) != new.get(*name)).cloned()
}

fn matters(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    let is_listed = NAMES.contains(&name) || PREFIXES.iter().any(|prefix| lower.starts_with(prefix));
    is_listed && !OF_PLACES.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::{difference, digests};
    use crate::config::Environment;

    fn of(variables: &[(&str, &str)]) -> std::collections::BTreeMap<String, crate::oci::Digest> {
        let environment: Environment = variables.iter().copied().collect();
        digests(&environment, "salt")
    }

    #[test]
    fn what_a_build_reads_matters_and_the_terminal_does_not() {
        let old = of(&[("PIP_INDEX_URL", "https://a.example"), ("TERM", "xterm"), ("RPACK_STORE", "/a")]);
        let same = of(&[("PIP_INDEX_URL", "https://a.example"), ("TERM", "dumb"), ("RPACK_STORE", "/b")]);
        assert_eq!(difference(&old, &same), None);
        for (name, value) in [
            ("PIP_INDEX_URL", "https://b.example"),
            ("NPM_CONFIG_REGISTRY", "https://b.example"),
            ("GOPROXY", "off"),
            ("RPACK_START_COMMAND", "x"),
        ] {
            let other = of(&[("PIP_INDEX_URL", "https://a.example"), (name, value)]);
            assert_eq!(difference(&old, &other).as_deref(), Some(name));
        }
    }
}
