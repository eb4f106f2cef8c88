//! The data of the closure: `bases/libraries.toml`.

use std::collections::BTreeMap;

use globset::{Glob, GlobSet, GlobSetBuilder};
use serde::Deserialize;

use super::Error;
use crate::definitions::Definitions;
use crate::oci::Digest;

const FILE: &str = "bases/libraries.toml";

/// What files do not say.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rules {
    /// Globs over names of libraries that the machine brings which runs the image.
    pub(super) provided: Vec<String>,
    /// Globs over names of libraries that dependencies load only where they are.
    pub(super) optional: Vec<String>,
    /// Package → packages whose files it reads.
    pub(super) companions: BTreeMap<String, Vec<String>>,
    /// Identity of the file.
    #[serde(skip)]
    pub(super) digest: Option<Digest>,
}

impl Rules {
    /// Reads the file.
    pub(super) fn load(definitions: &Definitions) -> Result<Self, Error> {
        let Some(file) = definitions.get(FILE) else { return Ok(Self::default()) };
        let wrong = |reason: String| Error::Definition { file: file.shown.clone(), reason };
        let text = std::str::from_utf8(&file.bytes).map_err(|_| wrong("it is not UTF-8 text".to_owned()))?;
        let mut rules: Self = toml::from_str(text).map_err(|error| wrong(error.to_string()))?;
        rules.digest = Some(Digest::of(&file.bytes));
        Ok(rules)
    }

    /// What need not be found: what is provided or optional, and what `ignored` names.
    pub(super) fn tolerated(&self, ignored: &[String]) -> Result<GlobSet, Error> {
        let mut set = GlobSetBuilder::new();
        for pattern in self.provided.iter().chain(&self.optional).chain(ignored) {
            let glob = Glob::new(pattern).map_err(|source| Error::Ignore {
                pattern: pattern.clone(),
                reason: source.kind().to_string(),
            })?;
            set.add(glob);
        }
        set.build().map_err(|source| Error::Ignore { pattern: ignored.join(" "), reason: source.to_string() })
    }
}
