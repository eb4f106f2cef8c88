//! Detection: the source tree in, a [`Detection`] out: facts, evidence with scores, the winner, the runner-up.
//!
//! Facts are read by the parsers in [`facts`]; what they are worth is data, `detectors/*.toml`. Nothing runs and
//! nothing is fetched. A configured language decides without scoring.

mod definition;
mod error;
mod explain;
pub mod facts;
mod front_end;
mod matching;
mod settings;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

pub use error::{Error, Malformed};
pub use explain::{Explained, Rule, explain};

use crate::config::{Config, Resolved};
use crate::definitions::Definitions;
use crate::plan::model::Notice;
use crate::source::Source;
use definition::Detector;
use facts::Files;

/// How many names at the root are listed when nothing is recognised.
const LISTED: usize = 20;
/// How deep, and how many, folders with manifests are searched for when there is nothing at the root.
const DEPTH: usize = 3;
const FOLDERS: usize = 10;
/// The role of an ecosystem that makes files for another one.
const ASSETS: &str = "assets";
/// Folders whose manifests are nobody's app.
const NOT_THE_APP: [&str; 4] = ["docs", "node_modules", "testdata", "vendor"];

/// What was recognised.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Detection {
    /// Id of the buildpack that owns the start command.
    pub language: String,
    /// The app's folder in the source, for a member of a workspace; empty for the whole source.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub folder: String,
    /// What makes files for the app, in the order in which it is built.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub assets: Vec<Assets>,
    /// Every ecosystem with evidence, best first; the first is the winner.
    pub candidates: Vec<Candidate>,
    /// What the manifests say: an object with one member per ecosystem that left evidence, as the fact types of
    /// [`facts`](crate::detect) serialise. Conditions and templates of buildpacks read it.
    pub facts: serde_json::Value,
    /// Warnings met on the way.
    pub notices: Vec<Notice>,
}

/// An ecosystem that makes files for the app of another one: a front end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Assets {
    /// Id of the buildpack.
    pub language: String,
    /// Its folder in the source; empty for the source itself.
    pub folder: String,
    /// Why, in words.
    pub reason: String,
    /// What the manifests in that folder say.
    pub facts: serde_json::Value,
}

/// One ecosystem with what speaks for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Candidate {
    /// `node`, `python`, `go`, `procfile`.
    pub language: String,
    /// Its folder below the app's, for a front end; empty for the app's own.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub folder: String,
    /// Sum over the evidence.
    pub score: i32,
    /// `app`, or `tool`, `assets` or `apart` when an accessory rule matched.
    pub role: String,
    /// What was found, in the order of the detector's file.
    pub evidence: Vec<Evidence>,
}

/// One piece of evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Evidence {
    /// Points it gives.
    pub score: i32,
    /// Why, in words: `package.json has a start script`.
    pub reason: String,
}

/// Whether the app in `folder` is a member of a workspace, which only the whole source can build.
///
/// # Errors
/// When the file that declares the workspace cannot be read.
pub fn is_member(source: &Source, folder: &str) -> Result<bool, Error> {
    if folder.is_empty() {
        return Ok(false);
    }
    facts::is_member(&Files::new(source, ""), folder)
}

/// The folder of the app when there is nothing at the root of the source and one folder alone has a manifest.
///
/// # Errors
/// A detector that cannot be read.
pub fn only_folder(
    source: &Source,
    definitions: &Definitions,
    config: &Config,
) -> Result<Option<String>, Error> {
    let detectors = definition::load(definitions)?;
    let files = Files::new(source, "");
    if config.language.is_some() || !manifests(&files, &detectors).is_empty() {
        return Ok(None);
    }
    let [(folder, _)] = folders(&files, &detectors)[..] else { return Ok(None) };
    let is_nothing = matches!(detect(source, "", definitions, config), Err(Error::ChooseApp { .. }));
    Ok(is_nothing.then(|| folder.to_owned()))
}

/// Recognises what the app is that stands in `folder` of the source; empty for the source itself.
///
/// # Errors
/// A manifest that cannot be read, nothing that is recognised, a configured language that does not exist, and,
/// under `strict`, two ecosystems that cannot be told apart.
pub fn detect(
    source: &Source,
    folder: &str,
    definitions: &Definitions,
    config: &Config,
) -> Result<Detection, Error> {
    let detectors = definition::load(definitions)?;
    let files = Files::new(source, folder);
    let language = config.language.as_ref();
    if let Some(language) = language {
        known(language, &detectors)?;
    }
    let mut notices = Vec::new();
    let mut facts = facts::read(&files, language.map(|language| language.value.as_str()), &mut notices)?;
    let manifests = manifests(&files, &detectors);
    let mut candidates = matching::score(&detectors, &value(&facts), &manifests)?;
    match language {
        Some(language) => choose(language, &mut candidates),
        None => notices.extend(matching::judge(&candidates, config.strict)?),
    }
    let winner = candidates.first().filter(|one| language.is_some() || matching::can_win(one));
    let Some(winner) = winner.map(|winner| winner.language.clone()) else {
        return Err(unrecognised(source, &files, &detectors));
    };
    facts.complete(&files, &winner, &mut notices)?;
    notices.extend(settings::notices(source, &files, config));
    let facts = value(&facts);
    let is_assets = |one: &&Candidate| one.role == ASSETS;
    let assets = candidates.iter().filter(is_assets).map(|one| Assets {
        language: one.language.clone(),
        folder: folder.to_owned(),
        reason: front_end::reason(one),
        facts: facts.clone(),
    });
    let mut assets: Vec<Assets> = assets.collect();
    if assets.is_empty() {
        assets.extend(front_end::find(&files, &detectors, &facts, &mut candidates, &mut notices)?);
    }
    Ok(Detection { language: winner, folder: folder.to_owned(), assets, candidates, facts, notices })
}

fn value(facts: &facts::Facts) -> serde_json::Value {
    serde_json::to_value(facts).expect("facts have string keys and no failing serialiser")
}

fn known(language: &Resolved<String>, detectors: &[Detector]) -> Result<(), Error> {
    if detectors.iter().any(|detector| detector.id == language.value) {
        return Ok(());
    }
    Err(Error::UnknownLanguage {
        value: language.value.clone(),
        origin: language.origin.clone(),
        known: detectors.iter().map(|detector| detector.id.clone()).collect(),
    })
}

/// Puts the configured language first, with the statement as its first evidence.
fn choose(language: &Resolved<String>, candidates: &mut Vec<Candidate>) {
    let place = candidates.iter().position(|one| one.language == language.value);
    let mut winner = match place {
        Some(place) => candidates.remove(place),
        None => Candidate {
            language: language.value.clone(),
            folder: String::new(),
            score: 0,
            role: String::new(),
            evidence: Vec::new(),
        },
    };
    "app".clone_into(&mut winner.role);
    let reason = format!("`language` is `{}` ({})", language.value, language.origin);
    winner.evidence.insert(0, Evidence { score: 0, reason });
    candidates.insert(0, winner);
}

/// The manifests of languages at the root.
fn manifests(files: &Files<'_>, detectors: &[Detector]) -> Vec<String> {
    let names = detectors.iter().filter(|detector| !detector.fallback).flat_map(|one| &one.manifests);
    let found: BTreeSet<&String> = names.filter(|name| files.has(name)).collect();
    found.into_iter().cloned().collect()
}

fn unrecognised(source: &Source, files: &Files<'_>, detectors: &[Detector]) -> Error {
    let root = source.root.display().to_string();
    let apps: Vec<(String, String)> = folders(files, detectors)
        .into_iter()
        .map(|(folder, manifest)| (source.root.join(folder).display().to_string(), manifest.to_owned()))
        .collect();
    if !apps.is_empty() {
        return Error::ChooseApp { root, apps };
    }
    let entries: Vec<String> = files.root().iter().take(LISTED).cloned().collect();
    let more = files.root().len() - entries.len();
    let mut sorted: Vec<&Detector> = detectors.iter().collect();
    sorted.sort_by_key(|detector| detector.order);
    let manifests = sorted.iter().map(|one| format!("{}: {}", one.name, one.manifests.join(", "))).collect();
    Error::None { root, entries, more, manifests }
}

/// Folders below the root that hold a manifest, with its name; not those inside one of them.
fn folders<'a>(files: &Files<'a>, detectors: &[Detector]) -> Vec<(&'a str, &'a str)> {
    let mut found: Vec<(&str, &str)> = Vec::new();
    for path in files.paths() {
        let Some((folder, name)) = path.rsplit_once('/') else { continue };
        let parts = || folder.split('/');
        if found.len() < FOLDERS
            && parts().count() <= DEPTH
            && !parts().any(|part| part.starts_with('.') || NOT_THE_APP.contains(&part))
            && !found.iter().any(|(app, _)| folder == *app || folder.starts_with(&format!("{app}/")))
            && detectors.iter().any(|detector| detector.manifests.iter().any(|manifest| manifest == name))
        {
            found.push((folder, name));
        }
    }
    found
}
