//! The layers of a plan, from the bottom up.

use super::buildpack::{Contents as Rule, Layer as LayerRule};
use super::model::{Contents, Layer};
use super::part::Assets;
use super::{Error, Planner};

/// The layers whose conditions hold and that have contents. A layer may still turn out empty when it is packed
/// (`libraries`); packaging leaves such a layer out.
pub(super) fn layers(planner: &Planner<'_>, init: bool, assets: &Assets) -> Result<Vec<Layer>, Error> {
    let mut layers = Vec::new();
    for rule in &planner.buildpack.layers {
        if !planner.scope.holds(&format!("layer.{}.when", rule.id), &rule.when)? {
            continue;
        }
        let mut contents = Vec::new();
        for part in rule.contents.iter().filter(|part| init || !matches!(part, Rule::Init {})) {
            contents.push(part_of(planner, rule, part, assets)?);
        }
        if !contents.is_empty() {
            let comment = planner.scope.text(&format!("layer.{}.comment", rule.id), &rule.comment)?;
            layers.push(Layer { id: rule.id.clone(), comment, contents });
        }
    }
    Ok(layers)
}

fn part_of(planner: &Planner<'_>, rule: &LayerRule, part: &Rule, assets: &Assets) -> Result<Contents, Error> {
    let key = |name: &str| format!("layer.{}.{name}", rule.id);
    Ok(match part {
        Rule::RuntimeRoot {} => Contents::RuntimeRoot {},
        Rule::Toolchain { name, include } => {
            Contents::Toolchain { name: name.clone(), include: include.clone() }
        }
        Rule::Work { include, exclude } => Contents::Work {
            include: planner.scope.texts(&key("include"), include)?,
            exclude: planner
                .scope
                .texts(&key("exclude"), exclude)?
                .into_iter()
                .chain(assets.exclude())
                .collect(),
        },
        Rule::Init {} => Contents::Init {},
        Rule::Files { files, links } => {
            Contents::Files { files: planner.scope.table(&key("files"), files)?, links: links.clone() }
        }
    })
}
