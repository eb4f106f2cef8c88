//! The answers to what planning asks: exact packages and releases.

use std::collections::BTreeMap;

use super::base::Base;
use super::compose::identity;
use super::debian::{self, Choice, Refusal};
use super::{Context, Error, npm};
use crate::oci::Digest;
use crate::plan::model::{Catalogue, CatalogueError, Package, Release, Root, RootRequest, Source};

/// The layer of packages that the user adds.
const ADDED: &str = "libraries";

impl Catalogue for Context {
    /// Resolves the request. A name `@GROUP` stands for the packages of a group of the base.
    fn root(&self, request: &RootRequest) -> Result<Root, CatalogueError> {
        Ok(resolve(self, request)?)
    }

    fn releases(&self, source: &Source) -> Result<Vec<Release>, CatalogueError> {
        Ok(match source {
            Source::Npm { package } => npm::releases(self, package)?,
            Source::Debian { base, architecture, package } => packaged(self, base, architecture, package)?,
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
    let universe = context.universe(&base, architecture)?;
    let release =
        |version: &str| Release { version: version.to_owned(), path: package.to_owned(), integrity: None };
    Ok(universe.version(package).map(release).into_iter().collect())
}

fn resolve(context: &Context, request: &RootRequest) -> Result<Root, Error> {
    let base = Base::load(&context.definitions, &request.base)?;
    let universe = context.universe(&base, &request.architecture)?;
    let layers = layers(&base, &request.packages)?;
    let names: Vec<&str> = layers.keys().copied().collect();
    let added = request.with_dependencies.iter().map(String::as_str);
    let (listed, followed): (Vec<&str>, Vec<&str>) = if request.closure {
        (Vec::new(), names.into_iter().chain(added).collect())
    } else {
        (names, added.collect())
    };
    // What a build root draws in belongs where the rest of it does.
    let drawn_in = request.packages.values().next().filter(|_| request.closure).map_or(ADDED, String::as_str);
    let chosen = universe.select(&listed, &followed).map_err(|refusal| refused(&base.id, refusal))?;
    let packages = chosen
        .into_iter()
        .map(|(name, choice)| package(choice, layers.get(name).copied().unwrap_or(drawn_in)))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Root {
        base: base.id.clone(),
        architecture: request.architecture.clone(),
        digest: identity(&base, &request.architecture, &packages),
        packages,
    })
}

/// The layer of each requested package, groups expanded; a package's own line wins over its group's.
fn layers<'a>(
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

fn refused(base: &str, refusal: Refusal) -> Error {
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
