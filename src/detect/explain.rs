//! Every rule of every detector, whether it holds for a source, and why not.

use minijinja::Value;
use minijinja::value::Serde;
use serde::Serialize;

use super::definition::{self, Detector, Place, Row, context, environment, evaluate};
use super::facts::{self, Files};
use super::{Error, front_end, manifests, matching, value};
use crate::config::Config;
use crate::definitions::Definitions;
use crate::source::Source;

/// A detector with what became of its rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Explained {
    /// Id of the ecosystem.
    pub language: String,
    /// The folder below the app's that was looked at; empty for the app's own.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub folder: String,
    /// The file of the detector.
    pub file: String,
    /// In the order of the file.
    pub rules: Vec<Rule>,
}

/// A rule and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Rule {
    /// Its id in the file.
    pub id: String,
    /// The points it is worth.
    pub score: i32,
    /// Whether its condition holds.
    pub holds: bool,
    /// Whether it counts: of the rules of one kind that hold, the one with the most points does.
    pub counts: bool,
    /// What was found; or the part of the condition that does not hold.
    pub why: String,
}

/// Looks at all rules for the app in `folder` of the source.
///
/// # Errors
/// When a manifest or a detector cannot be read.
pub fn explain(
    source: &Source,
    folder: &str,
    definitions: &Definitions,
    config: &Config,
) -> Result<Vec<Explained>, Error> {
    let detectors = definition::load(definitions)?;
    let files = Files::new(source, folder);
    let language = config.language.as_ref().map(|language| language.value.as_str());
    let facts = value(&facts::read(&files, language, &mut Vec::new())?);
    let manifests = manifests(&files, &detectors);
    let rivals = matching::rivals(&detectors, &facts, &manifests)?;
    let one = |detector: &Detector, facts: &serde_json::Value, manifests: &[String], place: Place<'_>| {
        let rules = rules(detector, facts, manifests, place)?;
        let (language, file) = (detector.id.clone(), detector.shown.clone());
        Ok::<_, Error>(Explained { language, folder: place.folder.to_owned(), file, rules })
    };
    let mut explained = Vec::new();
    for (detector, rivals) in detectors.iter().zip(rivals) {
        explained.push(one(detector, &facts, &manifests, Place { rivals, ..Place::default() })?);
    }
    let candidates = matching::score(&detectors, &facts, &manifests)?;
    let winner = candidates
        .iter()
        .find(|candidate| language.map_or(matching::can_win(candidate), |id| candidate.language == id));
    if let Some(winner) = winner {
        for seen in front_end::folders(&files, &detectors, winner, &facts, &mut Vec::new()) {
            explained.push(one(seen.detector, &seen.facts, &seen.manifests, seen.place(winner.score))?);
        }
    }
    Ok(explained)
}

fn rules(
    detector: &Detector,
    facts: &serde_json::Value,
    manifests: &[String],
    place: Place<'_>,
) -> Result<Vec<Rule>, Error> {
    let environment = environment();
    let mut rules: Vec<(&Row, Rule)> = Vec::new();
    for row in &detector.evidence {
        let seen = context(facts.clone(), detector, manifests, row.role.as_ref().map(|_| place));
        let seen = Value::from(Serde(seen));
        let found = evaluate(&environment, detector, row, &seen)?;
        let (holds, why) = match found {
            Some(reason) => (true, reason),
            None => (
                false,
                format!(
                    "no: {}",
                    failing(row, |part| {
                        let row = Row { when: part.to_owned(), reason: String::new(), ..row.clone() };
                        matches!(evaluate(&environment, detector, &row, &seen), Ok(None))
                    })
                ),
            ),
        };
        rules.push((row, Rule { id: row.id.clone(), score: row.score, holds, counts: holds, why }));
    }
    for index in 0..rules.len() {
        let row = rules[index].0;
        let better = rules.iter().enumerate().find(|(other, (rival, rule))| {
            let first = *other < index && rival.score == row.score;
            rule.holds && rival.kind() == row.kind() && (rival.score > row.score || first)
        });
        if let Some(better) = better.map(|(_, (rival, _))| rival.id.clone())
            && rules[index].1.holds
        {
            let rule = &mut rules[index].1;
            rule.counts = false;
            rule.why = format!("{} (counts no more beside `{better}`)", rule.why);
        }
    }
    Ok(rules.into_iter().map(|(_, rule)| rule).collect())
}

/// The first of the conditions joined by `and` for which `fails` holds; the whole when it cannot be taken apart.
/// A bare name stands for all facts of an ecosystem.
fn failing(row: &Row, fails: impl Fn(&str) -> bool) -> String {
    let whole = row.when.split_whitespace().collect::<Vec<_>>().join(" ");
    match conjuncts(&whole).into_iter().find(|part| fails(part)) {
        Some(part) if part.chars().all(|c| c.is_ascii_alphanumeric()) => {
            format!("there is nothing of `{part}`")
        }
        Some(part) => part.to_owned(),
        None => whole,
    }
}

/// The parts of an expression between the `and`s that are in no brackets and no quotes; nothing when there is an `or`
/// beside them, which binds less.
fn conjuncts(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut depth, mut quote, mut start) = (0_usize, None, 0);
    for (at, character) in text.char_indices() {
        match (quote, character) {
            (Some(open), _) => quote = quote.filter(|_| character != open),
            (None, '\'' | '"') => quote = Some(character),
            (None, '(' | '[' | '{') => depth += 1,
            (None, ')' | ']' | '}') => depth = depth.saturating_sub(1),
            (None, ' ') if depth == 0 && text[at..].starts_with(" or ") => return Vec::new(),
            (None, ' ') if depth == 0 && text[at..].starts_with(" and ") => {
                parts.push(&text[start..at]);
                start = at + " and ".len();
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_taken_apart_where_they_are_joined() {
        assert_eq!(conjuncts("a and b"), ["a", "b"]);
        assert_eq!(
            conjuncts("a and (b or c and d) and 'x and y' in e"),
            ["a", "(b or c and d)", "'x and y' in e"]
        );
        assert_eq!(conjuncts("a and b or c"), Vec::<&str>::new());
    }
}
