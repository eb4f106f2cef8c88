//! Front ends in folders below the app: what they hold, and whether they are built for it.
//!
//! The rows of detectors that have a role decide, as for what stands beside the app; they see the folder, and whether
//! programs of the app name it. One front end is built.

use super::definition::{Detector, Place};
use super::facts::{self, Files, warning};
use super::{ASSETS, Assets, Candidate, Error, matching, value};
use crate::plan::model::Notice;

/// The role of a front end that nothing connects with the app.
const APART: &str = "apart";

/// A folder as a detector sees it.
pub(super) struct Seen<'a> {
    pub(super) detector: &'a Detector,
    folder: &'a str,
    is_named: bool,
    pub(super) facts: serde_json::Value,
    /// Manifests of the detector's ecosystem in the folder.
    pub(super) manifests: Vec<String>,
}

impl Seen<'_> {
    pub(super) fn place(&self, rivals: i32) -> Place<'_> {
        Place { rivals, folder: self.folder, is_named: self.is_named }
    }
}

/// The folders below the app that hold a manifest of an ecosystem whose files may be for another one. A manifest that
/// cannot be read is passed over: nothing says yet that the app needs it.
pub(super) fn folders<'a>(
    files: &Files<'a>,
    detectors: &'a [Detector],
    winner: &Candidate,
    app: &serde_json::Value,
    notices: &mut Vec<Notice>,
) -> Vec<Seen<'a>> {
    let makes_assets = |detector: &&Detector| {
        detector.id != winner.language
            && detector.evidence.iter().any(|row| row.role.as_deref() == Some(ASSETS))
    };
    let named = app[&winner.language]["front_ends"].as_array();
    let mut seen = Vec::new();
    for detector in detectors.iter().filter(makes_assets) {
        for folder in facts::front_end_folders(files) {
            let below = files.of(&files.below(folder));
            let manifests: Vec<String> =
                detector.manifests.iter().filter(|manifest| below.has(manifest)).cloned().collect();
            if manifests.is_empty() {
                continue;
            }
            match facts::of_front_end(files, folder, &detector.id, notices) {
                Ok(facts) => seen.push(Seen {
                    detector,
                    folder,
                    is_named: named.is_some_and(|named| named.iter().any(|one| one == folder)),
                    facts: value(&facts),
                    manifests,
                }),
                Err(error) => {
                    let text = format!("`{folder}` is not looked at as a front end: {error}");
                    notices.push(warning("detect/skipped", text));
                }
            }
        }
    }
    seen
}

/// The front end that is built for the winner. All that are of interest are added to the candidates.
pub(super) fn find(
    files: &Files<'_>,
    detectors: &[Detector],
    app: &serde_json::Value,
    candidates: &mut Vec<Candidate>,
    notices: &mut Vec<Notice>,
) -> Result<Option<Assets>, Error> {
    let winner = candidates[0].clone();
    let mut chosen: Option<Assets> = None;
    for seen in folders(files, detectors, &winner, app, notices) {
        let place = seen.place(winner.score);
        let candidate = matching::score_folder(seen.detector, &seen.facts, &seen.manifests, place)?;
        let reason = reason(&candidate);
        match (candidate.role.as_str(), &chosen) {
            (ASSETS, None) => {
                let (language, folder) = (candidate.language.clone(), files.below(seen.folder));
                chosen = Some(Assets { language, folder, reason, facts: seen.facts });
            }
            (ASSETS, Some(chosen)) => {
                let text =
                    format!("`{}` is not built: `{}` is the front end that is", seen.folder, chosen.folder);
                notices.push(warning("detect/front-end", text));
            }
            (APART, _) => {
                notices.push(Notice { id: "detect/front-end".to_owned(), text: reason, warning: false });
            }
            _ => continue,
        }
        candidates.push(candidate);
    }
    Ok(chosen)
}

/// What the row says that gave the role.
pub(super) fn reason(candidate: &Candidate) -> String {
    candidate.evidence.last().map(|row| row.reason.clone()).unwrap_or_default()
}
