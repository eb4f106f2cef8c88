//! Where a repository is served: the host of its name, or the mirror that stands for it.

use std::collections::{BTreeMap, BTreeSet};

use crate::http::{Protection, is_loopback};
use crate::oci::Reference;

/// The name under which Docker Hub's images are known, and the host that serves them.
pub(super) const HUB: (&str, &str) = ("docker.io", "registry-1.docker.io");

/// What is configured about registries.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// `registry.mirrors.HOST`: by the host of a reference, the address to ask instead and where that was said.
    pub mirrors: BTreeMap<String, (String, String)>,
    /// `registry.insecure`: hosts, with their ports, that are asked by plain http.
    pub insecure: BTreeSet<String>,
}

/// A repository at the place that serves it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Repository {
    /// `https://registry.example`, without a slash at the end.
    pub(super) origin: String,
    /// The host with its port, for credentials and messages.
    pub(super) host: String,
    /// `library/app`; below a mirror's own path, if it has one.
    pub(super) path: String,
    /// Whether plain http may be used.
    pub(super) protection: Protection,
}

impl Repository {
    /// Finds the place of `reference`.
    pub(super) fn of(reference: &Reference, settings: &Settings) -> Self {
        if let Some((mirror, _)) = settings.mirrors.get(reference.domain()) {
            return Self::mirrored(mirror, reference.path());
        }
        let host = if reference.domain() == HUB.0 { HUB.1 } else { reference.domain() };
        let plain = settings.insecure.contains(host) || settings.insecure.contains(reference.domain());
        let secure = format!("https://{host}");
        let is_own = reqwest::Url::parse(&secure).is_ok_and(|url| is_loopback(&url));
        Self {
            origin: if plain || is_own { format!("http://{host}") } else { secure },
            host: host.to_owned(),
            path: reference.path().to_owned(),
            protection: if plain { Protection::Configured } else { Protection::Transport },
        }
    }

    /// `https://mirror.example/hub` serves `library/app` as `hub/library/app`.
    fn mirrored(mirror: &str, path: &str) -> Self {
        let mirror = mirror.trim_end_matches('/');
        let (scheme, rest) = mirror.split_once("://").unwrap_or(("https", mirror));
        let (host, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        Self {
            origin: format!("{scheme}://{host}"),
            host: host.rsplit_once('@').map_or(host, |(_, host)| host).to_owned(),
            path: if prefix.is_empty() { path.to_owned() } else { format!("{prefix}/{path}") },
            // Whoever writes `http://` in the configuration means it.
            protection: Protection::Configured,
        }
    }

    /// The address of a manifest, by tag or digest.
    pub(super) fn manifest(&self, name: &str) -> String {
        format!("{}/v2/{}/manifests/{name}", self.origin, self.path)
    }

    /// The address of a blob.
    pub(super) fn blob(&self, digest: &str) -> String {
        format!("{}/v2/{}/blobs/{digest}", self.origin, self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::{Repository, Settings};
    use crate::http::Protection;

    #[test]
    fn the_host_the_mirror_and_the_scheme() {
        let mut settings = Settings::default();
        settings.insecure.insert("old.example:5000".to_owned());
        let mirror = ("https://mirror.example/hub/".to_owned(), "rpack.toml:1".to_owned());
        settings.mirrors.insert("mirrored.example".to_owned(), mirror);
        for (reference, url, protection) in [
            ("app", "https://registry-1.docker.io/v2/library/app/manifests/1", Protection::Transport),
            ("a.example/b/c:1", "https://a.example/v2/b/c/manifests/1", Protection::Transport),
            ("localhost:5000/c", "http://localhost:5000/v2/c/manifests/1", Protection::Transport),
            ("127.0.0.1:5000/c", "http://127.0.0.1:5000/v2/c/manifests/1", Protection::Transport),
            ("[::1]:5000/c", "http://[::1]:5000/v2/c/manifests/1", Protection::Transport),
            // A private address is no reason for plain http.
            ("10.0.0.1:5000/c", "https://10.0.0.1:5000/v2/c/manifests/1", Protection::Transport),
            ("old.example:5000/c", "http://old.example:5000/v2/c/manifests/1", Protection::Configured),
            ("mirrored.example/c", "https://mirror.example/v2/hub/c/manifests/1", Protection::Configured),
        ] {
            let found = Repository::of(&reference.parse().unwrap(), &settings);
            assert_eq!((found.manifest("1").as_str(), found.protection), (url, protection), "{reference}");
        }
    }
}
