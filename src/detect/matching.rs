//! Scoring: facts and detectors in, candidates out, best first.

use minijinja::Value;
use minijinja::value::Serde;

use super::definition::{Detector, Place, Row, context, environment, evaluate};
use super::{Candidate, Error, Evidence};
use crate::plan::model::Notice;

/// The least score that makes an ecosystem a candidate for the app.
pub(super) const THRESHOLD: i32 = 25;
/// From which share of the winner's score (in percent) the runner-up makes the choice a guess.
const AMBIGUOUS: i32 = 70;

/// The role of an ecosystem that may own the start command.
const APP: &str = "app";

/// Scores all detectors. Candidates come in this order: the winner, others by role, score and fixed order.
pub(super) fn score(
    detectors: &[Detector],
    facts: &serde_json::Value,
    manifests: &[String],
) -> Result<Vec<Candidate>, Error> {
    let scored = without_roles(detectors, facts, manifests)?;
    let rivals = best_others(detectors, &scored);
    let mut candidates = Vec::new();
    for ((detector, candidate), rivals) in detectors.iter().zip(scored).zip(rivals) {
        let place = Place { rivals, ..Place::default() };
        let candidate = with_role(candidate, detector, facts, manifests, place)?;
        if !candidate.evidence.is_empty() {
            candidates.push((detector, candidate));
        }
    }
    let decided = candidates.iter().any(|(detector, one)| !detector.fallback && can_win(one));
    candidates.retain(|(detector, _)| !detector.fallback || !decided);
    candidates.sort_by_key(|(detector, one)| (!can_win(one), one.role != APP, -one.score, detector.order));
    Ok(candidates.into_iter().map(|(_, candidate)| candidate).collect())
}

/// Scores one detector for a folder below the app's.
pub(super) fn score_folder(
    detector: &Detector,
    facts: &serde_json::Value,
    manifests: &[String],
    place: Place<'_>,
) -> Result<Candidate, Error> {
    let candidate = without_role(detector, facts, manifests)?;
    let candidate = with_role(candidate, detector, facts, manifests, place)?;
    Ok(Candidate { folder: place.folder.to_owned(), ..candidate })
}

/// For each detector the best score of the others, which rows with a role may use.
pub(super) fn rivals(
    detectors: &[Detector],
    facts: &serde_json::Value,
    manifests: &[String],
) -> Result<Vec<i32>, Error> {
    Ok(best_others(detectors, &without_roles(detectors, facts, manifests)?))
}

fn best_others(detectors: &[Detector], scored: &[Candidate]) -> Vec<i32> {
    let plain: Vec<(bool, i32)> =
        detectors.iter().zip(scored).map(|(detector, one)| (detector.fallback, one.score)).collect();
    let best = |index: usize| {
        let others = plain.iter().enumerate().filter(|(other, (fallback, _))| *other != index && !fallback);
        others.map(|(_, (_, score))| *score).max().unwrap_or(0)
    };
    (0..plain.len()).map(best).collect()
}

/// What each detector scores by the rows that have no role.
fn without_roles(
    detectors: &[Detector],
    facts: &serde_json::Value,
    manifests: &[String],
) -> Result<Vec<Candidate>, Error> {
    detectors.iter().map(|detector| without_role(detector, facts, manifests)).collect()
}

fn without_role(
    detector: &Detector,
    facts: &serde_json::Value,
    manifests: &[String],
) -> Result<Candidate, Error> {
    let candidate = Candidate {
        language: detector.id.clone(),
        folder: String::new(),
        score: 0,
        role: APP.to_owned(),
        evidence: Vec::new(),
    };
    let context = context(facts.clone(), detector, manifests, None);
    add(candidate, detector, &context, |row| row.role.is_none())
}

fn with_role(
    candidate: Candidate,
    detector: &Detector,
    facts: &serde_json::Value,
    manifests: &[String],
    place: Place<'_>,
) -> Result<Candidate, Error> {
    let context = context(facts.clone(), detector, manifests, Some(place));
    add(candidate, detector, &context, |row| row.role.is_some())
}

/// Adds the rows that `select` picks and that hold: of each kind the one with the most points.
fn add(
    mut candidate: Candidate,
    detector: &Detector,
    context: &serde_json::Value,
    select: impl Fn(&Row) -> bool,
) -> Result<Candidate, Error> {
    let environment = environment();
    let context = Value::from(Serde(context));
    let mut found: Vec<(&Row, Evidence)> = Vec::new();
    for row in detector.evidence.iter().filter(|row| select(row)) {
        let Some(reason) = evaluate(&environment, detector, row, &context)? else { continue };
        let evidence = Evidence { score: row.score, reason };
        match found.iter_mut().find(|(other, _)| other.kind() == row.kind()) {
            Some(best) if best.0.score >= row.score => {}
            Some(best) => *best = (row, evidence),
            None => found.push((row, evidence)),
        }
    }
    for (row, evidence) in found {
        candidate.score += evidence.score;
        candidate.evidence.push(evidence);
        if let Some(role) = &row.role {
            candidate.role.clone_from(role);
        }
    }
    Ok(candidate)
}

/// Whether the candidate may own the start command.
pub(super) fn can_win(candidate: &Candidate) -> bool {
    candidate.role == APP && candidate.score >= THRESHOLD
}

/// Judges the choice between the two best: a notice when it is a guess, an error when guessing is forbidden.
pub(super) fn judge(candidates: &[Candidate], strict: bool) -> Result<Option<Notice>, Error> {
    let [winner, runner_up, ..] = candidates else { return Ok(None) };
    if !can_win(runner_up) {
        return Ok(None);
    }
    if runner_up.score * 100 < winner.score * AMBIGUOUS {
        let text = format!(
            "it may also be {}; to choose: `--language {}`",
            super::error::evidence(runner_up),
            runner_up.language
        );
        return Ok(Some(Notice { id: "detect/runner-up".to_owned(), text, warning: false }));
    }
    if strict {
        return Err(Error::Ambiguous { pair: Box::new((winner.clone(), runner_up.clone())) });
    }
    let text = format!(
        "built as {}, although it may be {}; to choose: `--language {}` or `--language {}`",
        super::error::evidence(winner),
        super::error::evidence(runner_up),
        winner.language,
        runner_up.language
    );
    Ok(Some(super::facts::warning("detect/ambiguous", text)))
}
