//! What a build may turn out to have made: a server, a static site. Some frameworks decide that by settings that only
//! they understand, so the plan holds each possibility whole, and the files that exist after the build choose.

use serde_json::{Value, json};

use super::buildpack::Outcome as Rule;
use super::model::{Alternative, Image, Layer, Notice, Outcome, Root};
use super::start::{self, Candidate};
use super::{APP, Error, Planner};

/// One possibility before its layers are known.
#[derive(Clone, Debug)]
pub(super) struct Possible {
    /// When it counts.
    pub(super) outcome: Outcome,
    /// What it starts.
    pub(super) candidate: Candidate,
    /// What expressions see as `outcome`.
    value: Value,
}

/// One possibility, planned.
#[derive(Clone, Debug)]
pub(super) struct Decided {
    pub(super) outcome: Outcome,
    pub(super) runtime_root: Root,
    pub(super) layers: Vec<Layer>,
    pub(super) image: Image,
}

/// The possibilities in order, up to the first that depends on no file. There is at least one.
pub(super) fn possible(planner: &mut Planner<'_>, facts: &Value) -> Result<Vec<Possible>, Error> {
    let rules = match &planner.buildpack.outcomes[..] {
        [] => vec![Rule::default()],
        rules => rules.to_vec(),
    };
    let mut found = Vec::new();
    let mut refused = None;
    for (index, rule) in rules.iter().enumerate() {
        let key = format!("outcome.{index}");
        if !planner.scope.holds(&format!("{key}.when"), &rule.when)? {
            continue;
        }
        match of_rule(planner, rule, &key, facts) {
            Ok(possible) => found.extend(possible),
            Err(error @ (Error::StartNone { .. } | Error::Start { .. })) => {
                refused.get_or_insert(error);
            }
            Err(error) => return Err(error),
        }
        if let Some(certain) = found.iter().position(|one: &Possible| one.outcome.files.is_empty()) {
            found.truncate(certain + 1);
            break;
        }
    }
    match (found.is_empty(), refused) {
        (true, Some(error)) => Err(error),
        (true, None) => Err(start::none(&planner.buildpack)),
        (false, _) => Ok(found),
    }
}

fn of_rule(planner: &mut Planner<'_>, rule: &Rule, key: &str, facts: &Value) -> Result<Vec<Possible>, Error> {
    let mut value = json!(planner.scope.table(&format!("{key}.values"), &rule.values)?);
    for name in rule.values.keys() {
        // A value that comes out empty is there all the same.
        value.as_object_mut().expect("a table").entry(name).or_insert_with(|| json!(""));
    }
    value["id"] = json!(rule.id);
    planner.scope.set("outcome", &value);
    let title = planner.scope.text(&format!("{key}.title"), &rule.title)?;
    let files = planner.scope.texts(&format!("{key}.files"), &rule.files)?;
    let mut notices = Vec::new();
    let candidates = start::starts(planner, facts, &mut notices)?;
    planner.add_notices(notices);
    let folder = planner.folder.clone();
    let possible = |candidate: Candidate| {
        let needed = files.iter().chain(&candidate.files).map(|glob| below(&folder, glob)).collect();
        let title = if title.is_empty() { candidate.start.origin.clone() } else { title.clone() };
        Possible { outcome: Outcome { title, files: needed }, candidate, value: value.clone() }
    };
    Ok(candidates.into_iter().map(possible).collect())
}

/// A glob below the app's folder as one below `/`.
fn below(folder: &str, glob: &str) -> String {
    let glob = glob.strip_prefix("./").unwrap_or(glob);
    let app = APP.trim_start_matches('/');
    if folder.is_empty() { format!("{app}/{glob}") } else { format!("{app}/{folder}/{glob}") }
}

/// Makes `one` what expressions see.
pub(super) fn show(planner: &mut Planner<'_>, one: &Possible) {
    planner.scope.set("outcome", &one.value);
    let start = &one.candidate.start;
    let shell = one.candidate.commands().any(|command| command.last.is_some());
    let value = json!({
        "program": start.program(), "argv": start.argv, "origin": start.origin, "shell": shell,
    });
    planner.scope.set("start", &value);
}

/// The last is the plan's own; the others are alternatives to it, without what is the same.
pub(super) fn split(mut all: Vec<Decided>) -> (Decided, Vec<Alternative>) {
    let own = all.pop().expect("there is at least one possibility");
    let alternative = |one: Decided| Alternative {
        outcome: one.outcome,
        runtime_root: (one.runtime_root != own.runtime_root).then_some(one.runtime_root),
        layers: (one.layers != own.layers).then_some(one.layers),
        image: one.image,
    };
    let alternatives = all.into_iter().map(alternative).collect();
    (own, alternatives)
}

impl Planner<'_> {
    /// Adds what is not there yet: possibilities are looked at one after another and notice the same.
    pub(super) fn add_notices(&mut self, notices: Vec<Notice>) {
        for notice in notices {
            if !self.notices.contains(&notice) {
                self.notices.push(notice);
            }
        }
    }
}
