//! The tools of a buildpack: their versions and the archives that they come in.

use std::collections::BTreeMap;

use serde_json::json;

use super::buildpack::{Source, Tool};
use super::model::{self, Contents, Layer, Release, Step, Toolchain, Version};
use super::platform::Architecture;
use super::template::Text;
use super::version::{self, Offer, Statement, Wanted};
use super::{Error, Options, Planner};

/// What was resolved.
#[derive(Debug, Default)]
pub(super) struct Tools {
    pub(super) versions: Vec<Version>,
    /// For the target; when steps run elsewhere, each again for the build platform.
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
        tools.toolchains.extend(toolchains(planner, &tool, &key, &version, offer.release)?);
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
    let (asked, mirror, offers) = offers(planner, tool, key, &default)?;
    let platform = planner.platforms.names();
    let wanted = Wanted {
        title: &tool.title,
        scheme: tool.scheme,
        patch: tool.patch,
        lines: &tool.lines,
        default: &default,
        asked: &asked,
        mirror,
        platform: &platform,
        as_of: &planner.buildpack.as_of,
        strict: planner.config.strict,
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

/// The source's name for the target, the key of a mirror that could have more, and what is offered for every
/// platform: each registry has gaps of its own.
fn offers(
    planner: &Planner<'_>,
    tool: &Tool,
    key: &str,
    default: &str,
) -> Result<(String, Option<&'static str>, Vec<Offer>), Error> {
    match &tool.source {
        Source::Npm(package) => {
            let name = npm_package(planner, key, package, planner.platforms.target)?;
            let mut releases = npm_releases(planner, &name)?;
            for architecture in &planner.platforms.all {
                let other = npm_package(planner, key, package, *architecture)?;
                if other != name {
                    let theirs = npm_releases(planner, &other)?;
                    releases.retain(|ours| theirs.iter().any(|their| their.version == ours.version));
                }
            }
            Ok((format!("npm:{name}"), Some("npm"), releases.into_iter().filter_map(Offer::new).collect()))
        }
        Source::Debian => {
            let base = &planner.buildpack.base;
            let mut offers = Vec::new();
            for package in tool.lines.iter().filter_map(|line| line.package.as_ref()) {
                let found = debian_releases(planner, base, package)?;
                offers.extend(found.into_iter().filter_map(|release| {
                    Offer::new(Release { version: version::upstream(&release.version), ..release })
                }));
            }
            Ok((base.clone(), None, offers))
        }
        Source::Pinned(from) => {
            let release = Release { version: default.to_owned(), path: String::new(), integrity: None };
            Ok((from.clone(), None, Offer::new(release).into_iter().collect()))
        }
    }
}

/// For tools of the base, the package that was chosen.
fn debian_package<'a>(tool: &Tool, offer: &'a Offer) -> Option<&'a str> {
    matches!(tool.source, Source::Debian).then_some(offer.release.path.as_str())
}

/// The package's name on an architecture.
fn npm_package(
    planner: &Planner<'_>,
    key: &str,
    package: &Text,
    architecture: Architecture,
) -> Result<String, Error> {
    let mut scope = planner.scope.clone();
    scope.set("arch", &planner.platforms.scope(architecture));
    scope.text(&format!("{key}.source"), package)
}

fn npm_releases(planner: &Planner<'_>, package: &str) -> Result<Vec<Release>, Error> {
    Ok(planner.catalogue.releases(&model::Source::Npm { package: package.to_owned() })?)
}

/// What the target has of the base's package, when every other platform has that version too.
fn debian_releases(planner: &Planner<'_>, base: &str, package: &str) -> Result<Vec<Release>, Error> {
    let mut kept: Option<Vec<Release>> = None;
    for architecture in &planner.platforms.all {
        let found = planner.catalogue.releases(&model::Source::Debian {
            base: base.to_owned(),
            architecture: architecture.debian.to_owned(),
            package: package.to_owned(),
        })?;
        let upstream = |release: &Release| version::upstream(&release.version);
        kept = Some(match kept {
            None => found,
            Some(mut kept) => {
                kept.retain(|ours| found.iter().any(|their| upstream(their) == upstream(ours)));
                kept
            }
        });
    }
    Ok(kept.unwrap_or_default())
}

/// The archives of a tool: the target's, and the build platform's when that is another.
fn toolchains(
    planner: &Planner<'_>,
    tool: &Tool,
    key: &str,
    version: &Version,
    release: Release,
) -> Result<Vec<Toolchain>, Error> {
    let Some(rule) = planner.buildpack.toolchains.iter().find(|rule| rule.tool == tool.name) else {
        return Ok(Vec::new());
    };
    let platforms = &planner.platforms;
    let mut found = vec![(platforms.target, release.clone())];
    if platforms.is_cross() {
        let mut theirs = release;
        if let Source::Npm(package) = &tool.source {
            let name = npm_package(planner, key, package, platforms.build)?;
            if let Some(same) =
                npm_releases(planner, &name)?.into_iter().find(|release| release.version == theirs.version)
            {
                theirs = same;
            }
        }
        found.push((platforms.build, theirs));
    }
    let toolchain = |(architecture, release): (Architecture, Release)| {
        let integrity = release.integrity.ok_or_else(|| Error::NoIntegrity {
            asked: version.source.clone(),
            version: version.version.clone(),
        })?;
        Ok(Toolchain {
            name: tool.name.clone(),
            platform: architecture.platform.to_owned(),
            version: version.version.clone(),
            ecosystem: "npm".to_owned(),
            path: release.path,
            integrity,
            target: rule.target.clone(),
            strip: rule.strip,
            include: rule.include.clone(),
            links: rule.links.clone(),
        })
    };
    found.into_iter().map(toolchain).collect()
}

/// Leaves out what neither runs in a step nor ships in a layer.
pub(super) fn needed(
    mut toolchains: Vec<Toolchain>,
    steps: &[Step],
    layers: &[Layer],
    options: &Options,
) -> Vec<Toolchain> {
    let ships = |name: &str| {
        let mut contents = layers.iter().flat_map(|layer| &layer.contents);
        contents.any(|part| matches!(part, Contents::Toolchain { name: shipped, .. } if shipped == name))
    };
    toolchains.retain(|toolchain| {
        let runs = toolchain.platform == options.build_platform && !steps.is_empty();
        runs || (toolchain.platform == options.platform && ships(&toolchain.name))
    });
    toolchains
}
