//! The layers of a plan, from the bottom up.

use std::collections::BTreeSet;

use super::buildpack::{Contents as Rule, Layer as LayerRule};
use super::model::{Contents, Layer, Site};
use super::part::Assets;
use super::template::{Expression, Text};
use super::{Error, Planner, part};

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
            // Patterns, until it is known which steps there are.
            let after = rule.after.clone();
            layers.push(Layer { id: rule.id.clone(), comment, contents, after });
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
        Rule::Work { include, exclude, paths_from } => Contents::Work {
            include: planner
                .scope
                .texts(&key("include"), include)?
                .into_iter()
                .chain(whole(planner, &key("paths-from"), paths_from.as_ref())?)
                .collect(),
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
        Rule::Site { roots, exclude, fallback, not_found, listing, dot_files } => Contents::Site(Site {
            roots: planner.scope.texts(&key("roots"), roots)?,
            exclude: planner.scope.texts(&key("exclude"), exclude)?,
            fallback: optional(planner, &key("fallback"), fallback.as_ref())?,
            not_found: optional(planner, &key("not-found"), not_found.as_ref())?,
            listing: switch(planner, &key("listing"), listing.as_ref())?,
            dot_files: switch(planner, &key("dot-files"), dot_files.as_ref())?,
        }),
        Rule::SiteServer {} => Contents::SiteServer {},
    })
}

/// Patterns for paths below the app's folder, with the folders above them and all below.
fn whole(planner: &Planner<'_>, key: &str, paths: Option<&Expression>) -> Result<Vec<String>, Error> {
    let paths = paths.map_or(Ok(Vec::new()), |paths| planner.scope.read::<Vec<String>>(key, paths))?;
    let app = part::directory(&planner.folder);
    let mut patterns = BTreeSet::new();
    for path in &paths {
        let path = globset::escape(&format!("{}/{path}", app.trim_start_matches('/')));
        let parents = path.match_indices('/').map(|(at, _)| path[..at].to_owned());
        patterns.extend(parents);
        patterns.extend([format!("{path}/**"), path]);
    }
    Ok(patterns.into_iter().collect())
}

/// A text that may come out empty, which is none.
fn optional(planner: &Planner<'_>, key: &str, text: Option<&Text>) -> Result<Option<String>, Error> {
    let text = text.map(|text| planner.scope.text(key, text)).transpose()?;
    Ok(text.filter(|text| !text.is_empty()))
}

/// A condition that is false when it is not stated.
fn switch(planner: &Planner<'_>, key: &str, condition: Option<&Expression>) -> Result<bool, Error> {
    condition.map_or(Ok(false), |condition| planner.scope.holds(key, condition))
}
