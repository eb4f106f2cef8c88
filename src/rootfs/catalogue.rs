//! The answers to what planning asks: exact packages and releases.

use std::collections::BTreeMap;

use super::base::Base;
use super::compose::identity;
use super::debian::{self, Choice, Refusal, Universe};
use super::{Context, Error, answers, image, registry};
use crate::oci::Digest;
use crate::plan::catalogue::{Catalogue, CatalogueError, Release, ResolvedImage, RootRequest, Source};
use crate::plan::model::{Package, Root};

/// The layer of packages that the user adds.
const ADDED: &str = "libraries";

impl Catalogue for Context {
    /// Resolves the request. A name `@GROUP` stands for the packages of a group of the base.
    fn root(&self, request: &RootRequest) -> Result<Root, CatalogueError> {
        Ok(resolve(self, request)?)
    }

    fn image(&self, reference: &str, platform: &str) -> Result<ResolvedImage, CatalogueError> {
        Ok(image::resolve(reference, platform, self).map_err(Error::from)?)
    }

    fn releases(&self, source: &Source) -> Result<Vec<Release>, CatalogueError> {
        Ok(match source {
            Source::Debian { base, architecture, package } => packaged(self, base, architecture, package)?,
            Source::Exact { of, version } => match of.as_ref() {
                Source::Debian { .. } | Source::Exact { .. } => {
                    self.releases(of)?.into_iter().filter(|release| release.version == *version).collect()
                }
                of => registry::exact(self, of, version)?.into_iter().collect(),
            },
            registry => registry::releases(self, registry)?,
        })
    }
}

impl From<Error> for CatalogueError {
    fn from(error: Error) -> Self {
        Box::new(error)
    }
}

fn packaged(context: &Context, base: &str, architecture: &str, package: &str) -> Result<Vec<Release>, Error> {
    let base = Base::load(&context.definitions, base)?;
    let question = answers::key(&context.suites(&base, architecture)?.digest, &("version", package));
    if let Some(known) = answers::find(&question, context) {
        return Ok(known);
    }
    let universe = context.universe(&base, architecture)?;
    let release =
        |version: &str| Release { version: version.to_owned(), path: package.to_owned(), integrity: None };
    let found = universe.version(package).map(release).into_iter().collect();
    answers::keep(&question, &found, context)?;
    Ok(found)
}

fn resolve(context: &Context, request: &RootRequest) -> Result<Root, Error> {
    let base = Base::load(&context.definitions, &request.base)?;
    if request.image.is_some() && request.packages.is_empty() && request.with_dependencies.is_empty() {
        return Ok(root(&base, request, Vec::new()));
    }
    let question = answers::key(&context.suites(&base, &request.architecture)?.digest, &("root", request));
    // What an image has installed is not in the question.
    let is_whole = request.image.is_none();
    if let Some(known) = answers::find(&question, context).filter(|_| is_whole) {
        return Ok(known);
    }
    let universe = context.universe(&base, &request.architecture)?;
    let root =
        resolve_in(context, &universe, &base, request)?.map_err(|refusal| refused(&base.id, refusal))?;
    if is_whole {
        answers::keep(&question, &root, context)?;
    }
    Ok(root)
}

/// Resolves the request from `universe`; the inner result is that of selecting.
pub(super) fn resolve_in(
    context: &Context,
    universe: &Universe,
    base: &Base,
    request: &RootRequest,
) -> Result<Result<Root, Refusal>, Error> {
    let layers = layers(base, &request.packages)?;
    let names: Vec<&str> = layers.keys().copied().collect();
    let added = request.with_dependencies.iter().map(String::as_str);
    let (listed, followed): (Vec<&str>, Vec<&str>) = if request.closure {
        (Vec::new(), names.into_iter().chain(added).collect())
    } else {
        (names, added.collect())
    };
    let chosen = match universe.select(&listed, &followed) {
        Ok(chosen) => chosen,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let chosen = match &request.image {
        Some(image) => {
            let installed = image::installed(image, context)?;
            let names: Vec<&str> = listed.iter().chain(&followed).copied().collect();
            match universe.lacking(chosen, &names, &installed) {
                Ok(chosen) => chosen,
                Err(refusal) => return Ok(Err(refusal)),
            }
        }
        None => chosen,
    };
    let drawn_in = drawn_in(request);
    let packages = chosen
        .into_iter()
        .map(|(name, choice)| package(choice, layers.get(name).copied().unwrap_or(drawn_in)))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Ok(root(base, request, packages)))
}

/// The layer of what nobody names: what a build root draws in belongs where the rest of it does.
pub(super) fn drawn_in(request: &RootRequest) -> &str {
    request.packages.values().next().filter(|_| request.closure).map_or(ADDED, String::as_str)
}

/// The root that holds `packages`, which are sorted by name.
pub(super) fn root(base: &Base, request: &RootRequest, packages: Vec<Package>) -> Root {
    let composed = identity(base, &request.architecture, &packages);
    let digest = match &request.image {
        Some(image) => Digest::of(format!("{composed} over {}", image.digest).as_bytes()),
        None => composed,
    };
    Root {
        base: base.id.clone(),
        architecture: request.architecture.clone(),
        digest,
        packages,
        image: request.image.clone(),
    }
}

/// `root` with further packages, which come from another root of the same base. Nothing is asked of the network.
///
/// # Errors
/// When the base is not there.
pub fn extended(
    root: &Root,
    further: impl IntoIterator<Item = Package>,
    context: &Context,
) -> Result<Root, Error> {
    let base = Base::load(&context.definitions, &root.base)?;
    let mut packages = root.packages.clone();
    packages.extend(further);
    packages.sort_by(|one, other| one.name.cmp(&other.name));
    packages.dedup_by(|one, other| one.name == other.name);
    let digest = identity(&base, &root.architecture, &packages);
    Ok(Root { digest, packages, ..root.clone() })
}

impl Context {
    /// Packages of a base that seem, by Debian's rules for names, to hold the shared library `file`
    /// (<https://www.debian.org/doc/debian-policy/ch-sharedlibs.html#run-time-shared-libraries>), or the program of
    /// that name. None when the base cannot be asked.
    pub fn holders(&self, base: &str, architecture: &str, file: &str) -> Vec<String> {
        let Ok(base) = Base::load(&self.definitions, base) else { return Vec::new() };
        let Ok(universe) = self.universe(&base, architecture) else { return Vec::new() };
        library_packages(file).into_iter().filter(|name| universe.version(name).is_some()).collect()
    }
}

/// `libfoo.so.5` → `libfoo5`, `libfoo5t64`, `libfoo-5`, …, the likeliest first.
fn library_packages(file: &str) -> Vec<String> {
    let lower = file.to_ascii_lowercase().replace('_', "-");
    let Some((stem, version)) = lower.split_once(".so") else { return vec![lower] };
    let version = version.trim_start_matches('.');
    let major = version.split('.').next().unwrap_or_default();
    let mut names = Vec::new();
    for version in [version, major] {
        // A digit before the version is set apart: `libpng16-16`, but `libpq5`.
        let joints = if stem.ends_with(|c: char| c.is_ascii_digit()) { ["-", ""] } else { ["", "-"] };
        for joint in joints.into_iter().filter(|_| !version.is_empty()) {
            for ending in ["", "t64"] {
                names.push(format!("{stem}{joint}{version}{ending}"));
            }
        }
    }
    names.push(stem.to_owned());
    let mut seen = std::collections::BTreeSet::new();
    names.retain(|name| seen.insert(name.clone()));
    names
}

/// The layer of each requested package, groups expanded; a package's own line wins over its group's.
pub(super) fn layers<'a>(
    base: &'a Base,
    requested: &'a BTreeMap<String, String>,
) -> Result<BTreeMap<&'a str, &'a str>, Error> {
    let mut layers = BTreeMap::new();
    for (name, layer) in requested {
        let Some(group) = name.strip_prefix('@') else { continue };
        let members = base.expand(group).map_err(|missing| Error::Definition {
            file: format!("bases/{}.toml", base.id),
            reason: format!("there is no group `@{missing}`"),
        })?;
        for member in members {
            let known = layers.entry(member).or_insert(layer.as_str());
            // A package of two groups belongs to the lower layer.
            if layer == "base" {
                *known = layer;
            }
        }
    }
    for (name, layer) in requested.iter().filter(|(name, _)| !name.starts_with('@')) {
        layers.insert(name.as_str(), layer.as_str());
    }
    Ok(layers)
}

fn package(choice: Choice<'_>, layer: &str) -> Result<Package, Error> {
    let record = choice.record;
    let wrong = |reason: &str| debian::Error::Deb {
        package: format!("{} {}", record.name(), record.version()),
        reason: reason.to_owned(),
    };
    Ok(Package {
        name: record.name().to_owned(),
        version: record.version().to_owned(),
        architecture: record.architecture().to_owned(),
        archive: choice.archive.to_owned(),
        path: record.path().to_owned(),
        size: record.size().ok_or_else(|| wrong("the index states no size in bytes"))?,
        sha256: Digest::from_hex(record.sha256()).map_err(|_| wrong("the index states no SHA-256 digest"))?,
        layer: layer.to_owned(),
    })
}

pub(super) fn refused(base: &str, refusal: Refusal) -> Error {
    let base = base.to_owned();
    Error::Debian(match refusal {
        Refusal::Unknown { name, chain, similar } => debian::Error::Unknown { base, name, chain, similar },
        Refusal::Unsatisfied { relation, chain, available } => {
            debian::Error::Unsatisfied { base, relation, chain, available }
        }
        Refusal::Conflict { one, other, relation, breaks } => {
            debian::Error::Conflict { one, other, relation, breaks }
        }
        Refusal::Malformed { package, text } => {
            debian::Error::Deb { package, reason: format!("`{text}` in its dependencies cannot be read") }
        }
    })
}
