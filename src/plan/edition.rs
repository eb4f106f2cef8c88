//! Editions: which set of defaults an app is built with.

use serde::Deserialize;

use super::Error;
use crate::config::Config;
use crate::definitions::Definitions;
use crate::ui::Location;

const FILE: &str = "buildpacks/editions.toml";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(rename = "edition")]
    editions: Vec<Edition>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Edition {
    name: String,
    #[serde(rename = "about")]
    _about: String,
}

/// The newest edition.
pub fn newest(definitions: &Definitions) -> Result<String, Error> {
    Ok(read(definitions)?.pop().unwrap_or_default())
}

/// The edition that is configured, or the newest.
pub(super) fn of(config: &Config, definitions: &Definitions) -> Result<String, Error> {
    let known = read(definitions)?;
    let Some(wanted) = &config.edition else { return Ok(known.last().cloned().unwrap_or_default()) };
    if known.contains(&wanted.value) {
        return Ok(wanted.value.clone());
    }
    Err(Error::Edition { wanted: wanted.value.clone(), origin: wanted.origin.to_string(), known })
}

/// The names of all editions, oldest first.
fn read(definitions: &Definitions) -> Result<Vec<String>, Error> {
    let Some(file) = definitions.get(FILE) else { return Ok(Vec::new()) };
    let invalid = |reason: String| {
        let location = Location { file: file.shown.clone(), line: None, column: None };
        Error::Definition { location, reason }
    };
    let text = std::str::from_utf8(&file.bytes).map_err(|error| invalid(error.to_string()))?;
    let file: File = toml::from_str(text).map_err(|error| invalid(error.message().to_owned()))?;
    let mut names: Vec<String> = file.editions.into_iter().map(|edition| edition.name).collect();
    names.sort();
    Ok(names)
}
