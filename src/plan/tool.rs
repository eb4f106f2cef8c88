//! The tools of a buildpack: their versions and the archives that they come in.

use std::collections::BTreeMap;

use serde_json::json;

use super::buildpack::{Source, Tool};
use super::model::{self, Notice, Release, Toolchain, Version};
use super::version::{self, Line, Offer, Resolution, Statement, Wanted};
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
    let wanted = |asked, mirror| Wanted {
        title: &tool.title,
        scheme: tool.scheme,
        patch: tool.patch,
        lines: &tool.lines,
        default: &default,
        asked,
        mirror,
        platform: planner.architecture.platform,
        as_of: &planner.buildpack.as_of,
        strict: planner.config.strict,
    };
    let (source, resolution, notices) = match &tool.source {
        Source::Npm(package) => {
            let package = planner.scope.text(&format!("{key}.source"), package)?;
            let releases = planner.catalogue.releases(&model::Source::Npm { package: package.clone() })?;
            let offers: Vec<Offer> = releases.into_iter().filter_map(Offer::new).collect();
            let (asked, mut notices) = (format!("npm:{package}"), Vec::new());
            let found = version::resolve(&wanted(&asked, Some("npm")), &statements, &offers, &mut notices)?;
            (asked, found, notices)
        }
        Source::Pinned(from) => {
            let release = Release { version: default.clone(), path: String::new(), integrity: None };
            let offers: Vec<Offer> = Offer::new(release).into_iter().collect();
            let mut notices = Vec::new();
            let found = version::resolve(&wanted(from, None), &statements, &offers, &mut notices)?;
            (from.clone(), found, notices)
        }
        Source::Debian => {
            let (base, found, notices) = in_bases(planner, tool, &statements, &wanted("", None))?;
            let title = format!("{} {}", tool.title, found.offer.release.version);
            planner.base.settle(&base, title)?;
            (format!("{base}:{}", found.offer.release.path), found, notices)
        }
    };
    planner.notices.extend(notices);
    let version = Version {
        tool: tool.name.clone(),
        version: resolution.offer.release.version.clone(),
        requested: resolution.requested,
        origin: resolution.origin,
        source,
    };
    Ok((version, resolution.offer))
}

/// Asks the bases that could have the tool, one after the other: each costs an index, and an old or a new one may
/// not be there at all. The base with the default line is asked first if that line is admitted, then those with
/// newer lines.
fn in_bases(
    planner: &Planner<'_>,
    tool: &Tool,
    statements: &[Statement],
    wanted: &Wanted<'_>,
) -> Result<(String, Resolution, Vec<Notice>), Error> {
    let home = |line: &Line| line.base.clone().unwrap_or_else(|| planner.base.id.clone());
    // Where the configuration names a base, the default is the newest line that this base has.
    let own = |line: &&Line| home(line) == planner.base.id;
    let named = tool.lines.iter().filter(|_| planner.base.forced);
    let default = match named.filter(own).max_by_key(|line| (line.name == wanted.default, line.numbers())) {
        Some(line) => line.name.clone(),
        None => wanted.default.to_owned(),
    };
    let wanted = Wanted { default: &default, ..*wanted };
    let lines = version::admitted_lines(&wanted, statements, &tool.lines)?;
    let mut order: Vec<String> = Vec::new();
    let first = lines.iter().filter(|line| line.name == default);
    for base in first.chain(lines.iter().rev()).copied().map(home) {
        if !order.contains(&base) && (!planner.base.forced || base == planner.base.id) {
            order.push(base);
        }
    }
    if order.is_empty() {
        order.push(planner.base.id.clone());
    }
    let mut offers = Vec::new();
    let mut refused = None;
    for base in order {
        for line in tool.lines.iter().filter(|line| home(line) == base) {
            let Some(package) = &line.package else { continue };
            let found = planner.catalogue.releases(&model::Source::Debian {
                base: base.clone(),
                architecture: planner.architecture.debian.to_owned(),
                package: package.clone(),
            })?;
            offers.extend(found.into_iter().filter_map(|release| {
                Offer::new(Release { version: version::upstream(&release.version), ..release })
            }));
        }
        let mut notices = Vec::new();
        match version::resolve(&Wanted { asked: &base, ..wanted }, statements, &offers, &mut notices) {
            Ok(found) => return Ok((base, found, notices)),
            Err(error @ Error::VersionNotOffered { .. }) => refused.get_or_insert(error),
            Err(error) => return Err(error),
        };
    }
    let mut refused = refused.expect("at least one base was asked");
    if let Error::VersionNotOffered { bases, forced, .. } = &mut refused {
        let named = tool.lines.iter().filter(|line| line.base.is_some());
        *bases = named.map(|line| (line.name.clone(), home(line))).collect();
        let elsewhere = || lines.iter().rev().find(|line| line.base.is_some()).copied().map(home);
        *forced = planner.base.forced.then(elsewhere);
    }
    Err(refused)
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
