//! Which of the ways that the plan foresees the build has turned out.

use std::collections::BTreeSet;

use super::Error;
use super::contents::globs;
use crate::plan::Plan;
use crate::plan::model::Outcome;
use crate::store::{Kind, Tree};

/// How many of the names that the build made an error lists.
const LISTED: usize = 20;

/// The plan for what is in `work`, the source below `app/` with the results of all steps: an alternative whose files
/// exist takes the place of the plan's own layers and config. `source` is the tree before the build.
///
/// # Errors
/// When the plan depends on files that the build has not made.
pub fn settle(plan: &Plan, work: &Tree, source: &Tree) -> Result<Plan, Error> {
    let mut settled = Plan { alternatives: Vec::new(), ..plan.clone() };
    for alternative in &plan.alternatives {
        if fits(&alternative.outcome, work)? {
            if let Some(root) = &alternative.runtime_root {
                settled.runtime_root = root.clone();
            }
            if let Some(layers) = &alternative.layers {
                settled.layers.clone_from(layers);
            }
            settled.image = alternative.image.clone();
            settled.outcome = Some(alternative.outcome.clone());
            return Ok(settled);
        }
    }
    match &plan.outcome {
        Some(own) if !fits(own, work)? => {
            let all = plan.alternatives.iter().map(|one| &one.outcome).chain([own]);
            Err(Error::NoOutput { expected: all.cloned().collect(), made: made(work, source) })
        }
        _ => Ok(settled),
    }
}

/// Whether there is a file for each of the outcome's globs.
fn fits(outcome: &Outcome, work: &Tree) -> Result<bool, Error> {
    for glob in &outcome.files {
        let set = globs(std::slice::from_ref(glob))?;
        let is_file = |kind: &Kind| matches!(kind, Kind::File { .. } | Kind::Symlink { .. });
        if !work.iter().any(|(path, entry)| is_file(&entry.kind) && set.is_match(path)) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// What the build made in the app's folder and one below, as far as the source has nothing of that name.
fn made(work: &Tree, source: &Tree) -> Vec<String> {
    let names: BTreeSet<String> = work
        .iter()
        .filter_map(|(path, _)| path.strip_prefix("app/"))
        .filter(|path| path.split('/').next() != Some("node_modules"))
        .map(|path| path.split('/').take(2).collect::<Vec<_>>().join("/"))
        .filter(|path| source.get(path).is_none())
        .collect();
    names.into_iter().take(LISTED).collect()
}
