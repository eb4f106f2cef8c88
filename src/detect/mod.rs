//! Detection: the source tree in, a [`Detection`] out: facts, evidence with scores, the winner, the runner-up.

use serde::{Deserialize, Serialize};

use crate::plan::model::Notice;

/// What was recognised.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Detection {
    /// Id of the buildpack that owns the start command.
    pub language: String,
    /// Every ecosystem with evidence, best first; the first is the winner.
    pub candidates: Vec<Candidate>,
    /// What the manifests say: an object with one member per ecosystem that left evidence, as the fact types of
    /// [`facts`](crate::detect) serialise. Conditions and templates of buildpacks read it.
    pub facts: serde_json::Value,
    /// Warnings met on the way.
    pub notices: Vec<Notice>,
}

/// One ecosystem with what speaks for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Candidate {
    /// `node`, `python`, `go`, `procfile`.
    pub language: String,
    /// Sum over the evidence.
    pub score: i32,
    /// `app`, or `tool`/`assets` when an accessory rule matched.
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
