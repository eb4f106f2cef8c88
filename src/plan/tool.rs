//! The tools of a buildpack: their versions and the archives that they come in.

use std::collections::BTreeMap;

use serde_json::json;

use super::buildpack::{Source, Tool};
use super::model::{self, Release, Toolchain, Version};
use super::version::{self, Offer, Statement, Wanted};
use super::{Error, Planner};

/// What was resolved.
#[derive(Debug, Default)]
pub(super) struct Tools {
    pub(super) versions: Vec<Version>,
    pub(super) toolchains: Vec<Toolchain>,
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
        let (version, offer) = resolve_one(planner, &tool, &key)?;
        known.insert(
            tool.name.clone(),
            json!({
                "version": version.version,
                "major": offer.major(),
                "minor": format!("{}.{}", offer.major(), offer.minor()),
                "package": debian_package(&tool, &offer),
            }),
        );
        planner.scope.set("versions", &known);
        if let Some(toolchain) = toolchain(planner, &tool, &version, &offer)? {
            tools.toolchains.push(toolchain);
        }
        tools.versions.push(version);
    }
    Ok(tools)
}

fn resolve_one(planner: &mut Planner<'_>, tool: &Tool, key: &str) -> Result<(Version, Offer), Error> {
    let default = planner.scope.text(&format!("{key}.default"), &tool.default)?;
    let mut statements: Vec<Statement> =
        Statement::configured(planner.config, &tool.name).into_iter().collect();
    if let Some(expression) = &tool.statements {
        statements.extend(planner.scope.read::<Vec<Statement>>(&format!("{key}.statements"), expression)?);
    }
    let (asked, mirror) = asked(planner, tool, key)?;
    let mut wanted = Wanted {
        title: &tool.title,
        scheme: tool.scheme,
        patch: tool.patch,
        lines: &tool.lines,
        default: &default,
        asked: &asked,
        mirror,
        platform: planner.architecture.platform,
        as_of: &planner.buildpack.as_of,
        strict: planner.config.strict,
    };
    let kept = kept(planner, tool, &wanted, &statements);
    let offers = match &kept {
        Some((offer, requested)) => {
            // A default that changed since does not move what is locked.
            wanted.default = requested;
            vec![offer.clone()]
        }
        None => offers(planner, tool, &asked, &default)?,
    };
    let resolution = version::resolve(&wanted, &statements, &offers, &mut planner.notices)?;
    let source = match debian_package(tool, &resolution.offer) {
        Some(package) => format!("{asked}:{package}"),
        None => asked,
    };
    let version = Version {
        tool: tool.name.clone(),
        version: resolution.offer.release.version.clone(),
        requested: resolution.requested,
        origin: resolution.origin,
        source,
    };
    Ok((version, resolution.offer))
}

/// The locked release with what was asked for then, unless it comes from elsewhere or does not do any more.
fn kept(
    planner: &Planner<'_>,
    tool: &Tool,
    wanted: &Wanted<'_>,
    statements: &[Statement],
) -> Option<(Offer, String)> {
    let texts: Vec<String> = statements.iter().map(|statement| statement.value.clone()).collect();
    let locked = planner.catalogue.locked(&tool.name, &texts)?;
    let is_from_here = match &tool.source {
        Source::Debian => {
            let mut packages = tool.lines.iter().filter_map(|line| line.package.as_ref());
            packages.any(|package| locked.source == format!("{}:{package}", wanted.asked))
        }
        Source::Npm(_) | Source::Pinned(_) => locked.source == wanted.asked,
    };
    let offer = Offer::new(locked.release).filter(|_| is_from_here);
    match offer.filter(|offer| locked.same || version::admits(wanted, statements, offer)) {
        Some(offer) if statements.is_empty() => Some((offer, locked.requested)),
        Some(offer) => Some((offer, wanted.default.to_owned())),
        None => {
            let (text, origin) = version::asking(wanted, statements);
            planner.catalogue.unfit(&tool.name, &text, &origin);
            None
        }
    }
}

/// The source's name, and the key of a mirror that could have more.
fn asked(planner: &Planner<'_>, tool: &Tool, key: &str) -> Result<(String, Option<&'static str>), Error> {
    Ok(match &tool.source {
        Source::Npm(package) => {
            let package = planner.scope.text(&format!("{key}.source"), package)?;
            (format!("npm:{package}"), Some("npm"))
        }
        Source::Debian => (planner.buildpack.base.clone(), None),
        Source::Pinned(from) => (from.clone(), None),
    })
}

/// What the source called `asked` offers.
fn offers(planner: &Planner<'_>, tool: &Tool, asked: &str, default: &str) -> Result<Vec<Offer>, Error> {
    match &tool.source {
        Source::Npm(_) => {
            let package = asked.strip_prefix("npm:").unwrap_or(asked).to_owned();
            let releases = planner.catalogue.releases(&model::Source::Npm { package })?;
            Ok(releases.into_iter().filter_map(Offer::new).collect())
        }
        Source::Debian => {
            let mut offers = Vec::new();
            for package in tool.lines.iter().filter_map(|line| line.package.as_ref()) {
                let found = planner.catalogue.releases(&model::Source::Debian {
                    base: asked.to_owned(),
                    architecture: planner.architecture.debian.to_owned(),
                    package: package.clone(),
                })?;
                offers.extend(found.into_iter().filter_map(|release| {
                    Offer::new(Release { version: version::upstream(&release.version), ..release })
                }));
            }
            Ok(offers)
        }
        Source::Pinned(_) => {
            let release = Release { version: default.to_owned(), path: String::new(), integrity: None };
            Ok(Offer::new(release).into_iter().collect())
        }
    }
}

/// For tools of the base, the package that was chosen.
fn debian_package<'a>(tool: &Tool, offer: &'a Offer) -> Option<&'a str> {
    matches!(tool.source, Source::Debian).then_some(offer.release.path.as_str())
}

fn toolchain(
    planner: &Planner<'_>,
    tool: &Tool,
    version: &Version,
    offer: &Offer,
) -> Result<Option<Toolchain>, Error> {
    let Some(rule) = planner.buildpack.toolchains.iter().find(|rule| rule.tool == tool.name) else {
        return Ok(None);
    };
    let integrity = offer.release.integrity.clone().ok_or_else(|| Error::NoIntegrity {
        asked: version.source.clone(),
        version: version.version.clone(),
    })?;
    Ok(Some(Toolchain {
        name: tool.name.clone(),
        version: version.version.clone(),
        ecosystem: "npm".to_owned(),
        path: offer.release.path.clone(),
        integrity,
        target: rule.target.clone(),
        strip: rule.strip,
        include: rule.include.clone(),
        links: rule.links.clone(),
    }))
}
