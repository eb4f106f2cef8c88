//! The tools of a buildpack: their versions and the archives that they come in.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::buildpack::{self, Source, Tool};
use super::model::{Contents, Layer, Notice, Step, Toolchain, Version};
use super::platform::Architecture;
use super::release::in_bases;
use super::source::{Asked, ask, exact, unasked};
use super::version::{self, Offer, Patch, Resolution, Statement, Wanted};
use super::{Error, Planner};

/// What was resolved.
#[derive(Default)]
pub(super) struct Tools {
    pub(super) versions: Vec<Version>,
    /// In the order of the versions.
    chosen: Vec<Chosen>,
}

/// A release and where it comes from.
struct Chosen {
    tool: Tool,
    key: String,
    offer: Offer,
    asked: Asked,
}

/// Resolves the tools in the order of the file; each sees the versions before it.
pub(super) fn resolve(planner: &mut Planner<'_>) -> Result<Tools, Error> {
    let mut tools = Tools::default();
    let mut known = BTreeMap::new();
    for tool in planner.buildpack.tools.clone() {
        let key = format!("tool.{}", tool.name);
        if !planner.scope.holds(&format!("{key}.when"), &tool.when)? {
            continue;
        }
        let (version, offer, asked) = resolve_one(planner, &tool, &key)?;
        known.insert(
            tool.name.clone(),
            json!({
                "version": version.version,
                "major": offer.major(),
                "minor": format!("{}.{}", offer.major(), offer.minor()),
                "package": asked.package(&offer),
                "integrity": offer.release.integrity,
            }),
        );
        planner.scope.set("versions", &known);
        tools.versions.push(version);
        tools.chosen.push(Chosen { tool, key, offer, asked });
    }
    Ok(tools)
}

fn resolve_one(planner: &mut Planner<'_>, tool: &Tool, key: &str) -> Result<(Version, Offer, Asked), Error> {
    let default = planner.scope.text(&format!("{key}.default"), &tool.default)?;
    let mut statements: Vec<Statement> =
        Statement::configured(planner.config, &tool.name).into_iter().collect();
    if let Some(expression) = &tool.statements {
        statements.extend(planner.scope.read::<Vec<Statement>>(&format!("{key}.statements"), expression)?);
    }
    let (resolution, asked) = choose(planner, tool, key, &default, &statements)?;
    let source = match asked.package(&resolution.offer) {
        Some(package) => format!("{}:{package}", asked.name),
        None => asked.name.clone(),
    };
    let version = Version {
        tool: tool.name.clone(),
        version: resolution.offer.release.version.clone(),
        requested: resolution.requested,
        origin: resolution.origin,
        source,
        line: resolution.line,
        statements: resolution.statements,
        candidates: resolution.candidates,
    };
    Ok((version, resolution.offer, asked))
}

/// The first source that has what is asked for decides; the next is asked only when it has not. A pin that no source
/// has exactly is met by the line of the base, where the buildpack says so.
fn choose(
    planner: &mut Planner<'_>,
    tool: &Tool,
    key: &str,
    default: &str,
    statements: &[Statement],
) -> Result<(Resolution, Asked), Error> {
    if let Some(kept) = kept(planner, tool, key, default, statements)? {
        return Ok(kept);
    }
    let sources: Vec<&Source> = tool.sources().collect();
    let is_only = sources.len() == 1;
    let patch = if is_only { tool.patch } else { Patch::Exact };
    let mut asked = Vec::new();
    for source in &sources {
        if matches!(source, Source::Debian) {
            match in_bases(planner, tool, patch, default, statements)? {
                Ok(found) => return Ok(found),
                Err((error, _)) if is_only => return Err(error),
                Err((_, one)) => asked.push(one),
            }
            continue;
        }
        let one = match ask(planner, tool, key, source, default, statements) {
            // A machine without this registry may have the others.
            Err(Error::Catalogue(failure)) if !is_only && failure.is_endpoint() => continue,
            one => one?,
        };
        match attempt(planner, tool, patch, default, statements, &[&one]) {
            Err(Error::VersionNotOffered { .. }) if !is_only => asked.push(one),
            resolution => return Ok((resolution?, one)),
        }
    }
    let has_base = sources.iter().any(|source| matches!(source, Source::Debian));
    if has_base
        && tool.patch == Patch::Line
        && let Ok(found) = in_bases(planner, tool, Patch::Line, default, statements)?
    {
        return Ok(found);
    }
    let all: Vec<&Asked> = asked.iter().collect();
    let resolution = attempt(planner, tool, Patch::Exact, default, statements, &all)?;
    Ok((resolution, asked.swap_remove(0)))
}

/// What a lock holds the tool to, unless it comes from elsewhere or does not do any more.
fn kept(
    planner: &mut Planner<'_>,
    tool: &Tool,
    key: &str,
    default: &str,
    statements: &[Statement],
) -> Result<Option<(Resolution, Asked)>, Error> {
    let texts: Vec<String> = statements.iter().map(|statement| statement.value.clone()).collect();
    let Some(locked) = planner.catalogue.locked(&tool.name, &texts) else { return Ok(None) };
    let (platform, as_of) = (planner.platforms.names(), planner.buildpack.as_of.clone());
    let mut wanted = Wanted {
        title: &tool.title,
        scheme: tool.scheme,
        patch: tool.patch,
        lines: &tool.lines,
        default,
        asked: &locked.source,
        mirror: None,
        platform: &platform,
        as_of: &as_of,
        strict: planner.config.strict,
    };
    let mut from = None;
    for source in tool.sources() {
        from = unasked(planner, tool, key, source, &locked.source)?;
        if from.is_some() {
            break;
        }
    }
    let offer =
        Offer::new(locked.release).filter(|offer| locked.same || version::admits(&wanted, statements, offer));
    let (Some(asked), Some(offer)) = (from, offer) else {
        let (text, origin) = version::asking(&wanted, statements);
        planner.catalogue.unfit(&tool.name, &text, &origin);
        return Ok(None);
    };
    // A default that changed since does not move what is locked.
    if statements.is_empty() {
        wanted.default = &locked.requested;
    }
    let resolution = version::resolve(&wanted, statements, &[offer], &mut planner.notices)?;
    if asked.kind == "debian" {
        planner.base.settle(&asked.name, format!("{} {}", tool.title, resolution.offer.release.version))?;
    }
    Ok(Some((resolution, asked)))
}

fn attempt(
    planner: &mut Planner<'_>,
    tool: &Tool,
    patch: Patch,
    default: &str,
    statements: &[Statement],
    asked: &[&Asked],
) -> Result<Resolution, Error> {
    let names: Vec<&str> = asked.iter().map(|one| one.name.as_str()).collect();
    // Of equal versions that of the earlier source.
    let mut known = BTreeSet::new();
    let all = asked.iter().flat_map(|one| one.offers.iter().cloned());
    let offers: Vec<Offer> = all.filter(|offer| known.insert(offer.release.version.clone())).collect();
    let platform = planner.platforms.names();
    let wanted = Wanted {
        title: &tool.title,
        scheme: tool.scheme,
        patch,
        lines: &tool.lines,
        default,
        asked: &names.join("`, `"),
        mirror: asked.iter().rev().find_map(|one| one.mirror()),
        platform: &platform,
        as_of: &planner.buildpack.as_of,
        strict: planner.config.strict,
    };
    version::resolve(&wanted, statements, &offers, &mut planner.notices)
}

/// The archives that steps run or layers ship: the target's, and the build platform's when that is another. What
/// neither needs is not asked for.
pub(super) fn toolchains(
    planner: &mut Planner<'_>,
    tools: &Tools,
    steps: &[Step],
    layers: &[Layer],
) -> Result<Vec<Toolchain>, Error> {
    let (target, build) = (planner.platforms.target, planner.platforms.build);
    let mut found = Vec::new();
    for (version, chosen) in tools.versions.iter().zip(&tools.chosen) {
        let is_about = |rule: &&buildpack::Toolchain| {
            rule.tool == chosen.tool.name
                && rule.source.as_deref().is_none_or(|kind| kind == chosen.asked.kind)
        };
        let Some(rule) = planner.buildpack.toolchains.iter().find(is_about).cloned() else { continue };
        let runs = !steps.is_empty();
        if ships(&chosen.tool.name, layers) || (runs && target == build) {
            found.extend(toolchain(planner, version, chosen, &rule, target)?);
        }
        if runs && target != build {
            found.extend(toolchain(planner, version, chosen, &rule, build)?);
        }
    }
    Ok(found)
}

fn ships(name: &str, layers: &[Layer]) -> bool {
    let mut contents = layers.iter().flat_map(|layer| &layer.contents);
    contents.any(|part| matches!(part, Contents::Toolchain { name: shipped, .. } if shipped == name))
}

/// The archive for one architecture; none for tools that the base has as packages.
fn toolchain(
    planner: &mut Planner<'_>,
    version: &Version,
    chosen: &Chosen,
    rule: &buildpack::Toolchain,
    architecture: Architecture,
) -> Result<Option<Toolchain>, Error> {
    let Chosen { tool, key, offer, asked } = chosen;
    let missing = || Error::NoIntegrity { asked: version.source.clone(), version: version.version.clone() };
    let listed = (architecture == planner.platforms.target).then(|| offer.release.clone());
    let release = match listed.filter(|release| release.integrity.is_some()) {
        Some(release) => release,
        None => match exact(planner, asked, key, architecture, &version.version)? {
            Some(release) => release,
            None if asked.is_archive() => return Err(missing()),
            None => return Ok(None),
        },
    };
    let integrity = release.integrity.ok_or_else(missing)?;
    if integrity.starts_with("sha1-") {
        planner.notices.push(Notice {
            id: "toolchain/weak-digest".to_owned(),
            text: format!(
                "`{}` {} is verified by SHA-1 only: its registry states nothing better",
                version.source, version.version
            ),
            warning: true,
        });
    }
    Ok(Some(Toolchain {
        name: tool.name.clone(),
        platform: architecture.platform.to_owned(),
        version: version.version.clone(),
        ecosystem: asked.kind.to_owned(),
        path: release.path,
        integrity,
        target: rule.target.clone(),
        strip: rule.strip,
        include: rule.include.clone(),
        executable: rule.executable.clone(),
        rename: rule.rename.clone(),
        links: rule.links.clone(),
    }))
}
