//! Language registries: which releases of a tool they offer, and where the bytes of a release are.
//!
//! In: a [`Source`] of the catalogue, a [`Toolchain`] of the plan, the endpoints of this machine. Out: [`Release`]s,
//! each with what the registry states about its bytes, and files that have been fetched.
//!
//! Invariants: no answer names a host that a plan would then carry; a release whose registry states no digest is
//! not used; what the plan says about the bytes is checked wherever they come from.

mod archive;
mod go;
mod integrity;
mod listing;
mod maven;
pub(super) mod npm;
mod pypi;
mod sumdb;
#[cfg(test)]
mod tests;

use std::path::Path;

pub(super) use integrity::{Integrity, h1};
pub(super) use sumdb::Database;

use super::{Context, Error};
use crate::http::{Expected, Fetched, Protection};
use crate::plan::catalogue::{Release, Source};
use crate::plan::model::Toolchain;
use crate::ui::Transfer;

/// The kinds of registries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ecosystem {
    /// Single archives with digests in `toolchains/*.toml`.
    Archive,
    /// Go's module proxies.
    Go,
    /// Maven repositories.
    Maven,
    /// The npm registry.
    Npm,
    /// Python's package index.
    Pypi,
}

impl Ecosystem {
    const ALL: [Self; 5] = [Self::Archive, Self::Go, Self::Maven, Self::Npm, Self::Pypi];

    /// As in plans and in `mirror.*`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Archive => "archive",
            Self::Go => "go",
            Self::Maven => "maven",
            Self::Npm => "npm",
            Self::Pypi => "pypi",
        }
    }

    /// What a name stands for: `npm package`.
    pub(super) fn thing(self) -> &'static str {
        match self {
            Self::Archive => "list of archives",
            Self::Go => "Go module",
            Self::Maven => "Maven artifact",
            Self::Npm => "npm package",
            Self::Pypi => "Python project",
        }
    }

    /// Who answers: `an npm registry`.
    pub(super) fn registry(self) -> &'static str {
        match self {
            Self::Archive => "a list of digests",
            Self::Go => "a Go module proxy",
            Self::Maven => "a Maven repository",
            Self::Npm => "an npm registry",
            Self::Pypi => "a Python package index",
        }
    }

    /// Ids of errors and warnings.
    pub(super) fn unknown(self) -> &'static str {
        match self {
            Self::Archive => "archive/unknown",
            Self::Go => "go/unknown-module",
            Self::Maven => "maven/unknown-artifact",
            Self::Npm => "npm/unknown-package",
            Self::Pypi => "pypi/unknown-project",
        }
    }

    pub(super) fn answer(self) -> &'static str {
        match self {
            Self::Archive => "archive/answer",
            Self::Go => "go/answer",
            Self::Maven => "maven/answer",
            Self::Npm => "npm/answer",
            Self::Pypi => "pypi/answer",
        }
    }

    fn stale(self) -> &'static str {
        match self {
            Self::Archive => "archive/stale",
            Self::Go => "go/stale",
            Self::Maven => "maven/stale",
            Self::Npm => "npm/stale",
            Self::Pypi => "pypi/stale",
        }
    }
}

/// The releases of a source that is a registry; of the others, none.
pub(super) fn releases(context: &Context, source: &Source) -> Result<Vec<Release>, Error> {
    match source {
        Source::Npm { package } => npm::releases(context, package),
        Source::Go { module, version } => go::releases(context, module, version),
        Source::Pypi { project, wheel, python } => pypi::releases(context, project, wheel, python.as_deref()),
        Source::Maven { group, artifact, classifier, extension } => {
            maven::Artifact { group, name: artifact, classifier: classifier.as_deref(), extension }
                .releases(context)
        }
        Source::Archive { id, platform } => archive::releases(context, id, platform),
        Source::Debian { .. } | Source::Exact { .. } => Ok(Vec::new()),
    }
}

/// The release `version` of a registry with its integrity, or none.
pub(super) fn exact(context: &Context, source: &Source, version: &str) -> Result<Option<Release>, Error> {
    match source {
        Source::Go { module, version: pattern } => go::exact(context, module, pattern, version),
        Source::Maven { group, artifact, classifier, extension } => {
            maven::Artifact { group, name: artifact, classifier: classifier.as_deref(), extension }
                .exact(context, version)
        }
        Source::Archive { id, platform } => archive::exact(context, id, platform, version),
        _ => Ok(releases(context, source)?.into_iter().find(|release| release.version == version)),
    }
}

/// Fetches the archive of a toolchain from where this machine finds its registry.
pub(super) fn fetch(
    context: &Context,
    toolchain: &Toolchain,
    expected: &Expected,
    progress: &Transfer,
) -> Result<(String, Fetched), Error> {
    let ecosystem = Ecosystem::ALL.into_iter().find(|known| known.name() == toolchain.ecosystem);
    let path = toolchain.path.as_str();
    let below = |root: &str| format!("{}/{path}", root.trim_end_matches('/'));
    let url = match ecosystem {
        Some(Ecosystem::Go) => {
            let proxies = go::proxies(context)?;
            return proxies.each(|proxy| {
                let url = format!("{}/{path}", proxy.trim_end_matches('/'));
                Ok((url.clone(), fetch_from(context, &url, expected, progress)?))
            });
        }
        Some(Ecosystem::Pypi) => pypi::address(context, path)?,
        Some(Ecosystem::Archive) => archive::address(context, path)?,
        Some(Ecosystem::Maven | Ecosystem::Npm) => below(&context.endpoints.find(&toolchain.ecosystem)?.url),
        None => return Err(Error::Endpoint { ecosystem: toolchain.ecosystem.clone() }),
    };
    let fetched = fetch_from(context, &url, expected, progress)?;
    Ok((url, fetched))
}

fn fetch_from(
    context: &Context,
    url: &str,
    expected: &Expected,
    progress: &Transfer,
) -> Result<Fetched, Error> {
    Ok(match local(url) {
        Some(path) => context.client.adopt(path, url, expected, &context.store)?,
        None => context.client.fetch(url, Protection::Transport, expected, &context.store, progress)?,
    })
}

/// The small text at `url`, or nothing when there is none.
fn text(context: &Context, url: &str, protection: Protection) -> Result<Option<Vec<u8>>, Error> {
    const LARGEST: u64 = 1 << 20;
    if let Some(path) = local(url) {
        return Ok(std::fs::read(path).ok());
    }
    match context.client.get(url, protection, LARGEST) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.is_missing() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The file that a `file:///` address names: a mirror may be a folder of this machine.
fn local(url: &str) -> Option<&Path> {
    url.strip_prefix("file://").filter(|path| path.starts_with('/')).map(Path::new)
}
