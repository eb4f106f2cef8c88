//! Which earlier steps a step sees: the others may run at the same time, and a change in them does not run it again.

use std::collections::BTreeSet;

use globset::{Glob, GlobSet, GlobSetBuilder};

use super::buildpack::{Layer as LayerRule, Step as Rule};
use super::model::{Layer, Step};

/// For each step the positions of the earlier ones whose results it sees. What stands on a result stands on all that
/// this stood on, because it may hide or change parts of it.
pub fn seen(steps: &[Step]) -> Vec<BTreeSet<usize>> {
    let mut all: Vec<BTreeSet<usize>> = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        let named = |needs: &Vec<String>| -> BTreeSet<usize> {
            let direct = (0..index).filter(|earlier| needs.contains(&steps[*earlier].id));
            direct.flat_map(|earlier| all[earlier].iter().copied().chain([earlier])).collect()
        };
        let seen = step.needs.as_ref().map_or_else(|| (0..index).collect(), named);
        all.push(seen);
    }
    all
}

/// What is wrong with the needs of a plan's steps.
pub(super) fn check(steps: &[Step]) -> Result<(), String> {
    for (index, step) in steps.iter().enumerate() {
        for wanted in step.needs.iter().flatten() {
            if steps[..index].iter().any(|earlier| earlier.id == *wanted) {
                continue;
            }
            let found = if step.id == *wanted {
                "which is itself".to_owned()
            } else if steps.iter().any(|other| other.id == *wanted) {
                format!("which comes after it: move `{wanted}` up, or take it out of `needs`")
            } else {
                let known: Vec<String> = steps[..index].iter().map(|step| format!("`{}`", step.id)).collect();
                if known.is_empty() {
                    "and there is no step before it".to_owned()
                } else {
                    format!("and there is no such step; before it there is {}", known.join(", "))
                }
            };
            return Err(format!("the step `{}` needs `{wanted}`, {found}", step.id));
        }
    }
    Ok(())
}

/// What is wrong with the steps that layers of a plan come after.
pub(super) fn check_layers(layers: &[Layer], steps: &[Step]) -> Result<(), String> {
    for layer in layers {
        if let Some(wanted) = layer.after.iter().find(|wanted| steps.iter().all(|step| step.id != **wanted)) {
            return Err(format!(
                "the layer `{}` comes after the step `{wanted}`, and there is no such step",
                layer.id
            ));
        }
    }
    Ok(())
}

/// What is wrong with the patterns of the layers of a buildpack.
pub(super) fn check_layer_rules(rules: &[LayerRule]) -> Result<(), String> {
    for rule in rules {
        for pattern in &rule.after {
            Glob::new(pattern).map_err(|error| format!("the layer `{}`: {error}", rule.id))?;
        }
    }
    Ok(())
}

/// Makes ids of the patterns of layers.
pub(super) fn settle_layers(mut layers: Vec<Layer>, steps: &[Step]) -> Vec<Layer> {
    for layer in &mut layers {
        let globs = globs(&layer.after);
        let made = steps.iter().filter(|step| globs.is_match(&step.id));
        layer.after = made.map(|step| step.id.clone()).collect();
    }
    layers
}

/// What is wrong with the needs of the rules of buildpack `id`. Steps of other buildpacks may be there or not.
pub(super) fn check_rules(id: &str, rules: &[Rule]) -> Result<(), String> {
    for (index, rule) in rules.iter().enumerate() {
        for pattern in rule.needs.iter().flatten() {
            let glob = Glob::new(pattern)
                .map_err(|error| format!("the step `{}`: {error}", rule.id))?
                .compile_matcher();
            let is_own = pattern.split('/').next() == Some(id);
            if is_own && !rules[..index].iter().any(|earlier| glob.is_match(&earlier.id)) {
                return Err(format!(
                    "the step `{}` needs `{pattern}`, and no step before it is called so",
                    rule.id
                ));
            }
        }
    }
    Ok(())
}

/// Makes ids of the patterns of steps that are in their order now. Who needs all that comes before says nothing.
pub(super) fn settle(mut steps: Vec<Step>) -> Vec<Step> {
    for index in 0..steps.len() {
        let Some(patterns) = steps[index].needs.take() else { continue };
        let globs = globs(&patterns);
        let mut ids: Vec<String> = Vec::new();
        for earlier in &steps[..index] {
            if globs.is_match(&earlier.id) && !ids.contains(&earlier.id) {
                ids.push(earlier.id.clone());
            }
        }
        steps[index].needs = Some(ids);
        if seen(&steps[..=index])[index].len() == index {
            steps[index].needs = None;
        }
    }
    steps
}

fn globs(patterns: &[String]) -> GlobSet {
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        set.add(Glob::new(pattern).expect("patterns are checked when the buildpack is read"));
    }
    set.build().expect("each pattern is a glob")
}
