//! Where a repository is served: the host of its name, or the mirror that stands for it.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::Url;

use super::error::Error;
use crate::http::{Protection, is_internal, is_loopback, shown};
use crate::oci::{Digest, Reference};

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
    /// Finds the place of `reference`: the host's mirror, if it has one.
    pub(super) fn of(reference: &Reference, settings: &Settings) -> Self {
        if let Some((mirror, _)) = settings.mirrors.get(reference.domain()) {
            return Self::mirrored(mirror, reference.path());
        }
        Self::itself(reference, settings)
    }

    /// Finds the place of `reference`, whatever may stand for it.
    pub(super) fn itself(reference: &Reference, settings: &Settings) -> Self {
        let host = if reference.domain() == HUB.0 { HUB.1 } else { reference.domain() };
        let plain = settings.insecure.contains(host) || settings.insecure.contains(reference.domain());
        let secure = format!("https://{host}");
        let is_own = Url::parse(&secure).is_ok_and(|url| is_loopback(&url));
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

    /// Has it asked by https on this machine's own interface too, unless plain http is configured.
    pub(super) fn protect(&mut self) {
        if self.protection == Protection::Transport && self.origin.starts_with("http://") {
            self.origin = format!("https://{}", self.host);
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

    /// The address where uploads begin.
    pub(super) fn uploads(&self) -> String {
        format!("{}/v2/{}/blobs/uploads/", self.origin, self.path)
    }

    /// What notes and locks about a blob of this repository are called.
    pub(super) fn key(&self, digest: &Digest) -> String {
        Digest::of(format!("{}/{}@{digest}", self.origin, self.path).as_bytes()).hex()
    }

    /// The address of the list of what refers to a manifest.
    pub(super) fn referrers(&self, digest: &str) -> String {
        format!("{}/v2/{}/referrers/{digest}", self.origin, self.path)
    }

    /// The address that `location`, in the answer from `asked`, stands for. A registry behind a proxy that ends TLS may
    /// write its own address with `http`; nobody is asked that way who can be asked by `https`.
    ///
    /// # Errors
    /// When nothing may be sent there.
    pub(super) fn follow(&self, asked: &str, location: &str) -> Result<String, Error> {
        let elsewhere = |reason| Error::Elsewhere {
            host: self.host.clone(),
            purpose: "to go on",
            address: shown(location),
            reason,
        };
        let own = Url::parse(asked).map_err(|_| elsewhere(NO_ADDRESS))?;
        let mut target = own.join(location).map_err(|_| elsewhere(NO_ADDRESS))?;
        let is_same_server = target.host_str() == own.host_str() && target.port() == own.port();
        if own.scheme() == "https" && target.scheme() == "http" && is_same_server {
            target = Url::parse(&target.as_str().replacen("http", "https", 1))
                .map_err(|_| elsewhere(NO_ADDRESS))?;
        }
        may_lead(&self.origin, target.as_str()).map_err(elsewhere)?;
        Ok(target.into())
    }

    /// Whether the address is one of this registry, so that credentials for it may go along.
    pub(super) fn is_own(&self, address: &str) -> bool {
        match (Url::parse(&self.origin), Url::parse(address)) {
            (Ok(own), Ok(address)) => own.origin() == address.origin(),
            _ => false,
        }
    }
}

const NO_ADDRESS: &str = "it is not an address";

/// Whether a registry at `registry` may send its clients to `target`; the error says why not.
///
/// Credentials, or what is uploaded, go there, and the answer comes from wherever it points: it must not be less
/// protected than the registry, and not an address of this machine or of a private network unless the registry is one.
pub(super) fn may_lead(registry: &str, target: &str) -> Result<(), &'static str> {
    let (Ok(registry), Ok(target)) = (Url::parse(registry), Url::parse(target)) else {
        return Err(NO_ADDRESS);
    };
    if !matches!(target.scheme(), "http" | "https") || !target.has_host() {
        return Err("it is not an http or https address");
    }
    let same_host = target.host_str() == registry.host_str();
    let plain_is_fine = registry.scheme() == "http" && (same_host || is_loopback(&registry));
    if target.scheme() == "http" && !plain_is_fine {
        return Err("it is not protected by https");
    }
    if is_internal(&target) && !same_host && !is_internal(&registry) {
        return Err("it is an address of this machine or of a private network");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Repository, Settings, may_lead};
    use crate::http::Protection;

    fn repository(reference: &str) -> Repository {
        Repository::of(&reference.parse().unwrap(), &Settings::default())
    }

    #[test]
    fn where_an_upload_goes_on() {
        let repository = repository("r.example:5000/app");
        let asked = repository.uploads();
        for (location, expected) in [
            (
                "/v2/app/blobs/uploads/1?_state=x",
                Ok("https://r.example:5000/v2/app/blobs/uploads/1?_state=x"),
            ),
            ("2", Ok("https://r.example:5000/v2/app/blobs/uploads/2")),
            ("http://r.example:5000/u", Ok("https://r.example:5000/u")),
            ("https://store.example/u?sig=1", Ok("https://store.example/u?sig=1")),
            ("http://store.example/u?sig=1", Err("it is not protected by https")),
            ("https://169.254.169.254/u", Err("it is an address of this machine or of a private network")),
        ] {
            let found = repository.follow(&asked, location);
            let found =
                found.as_deref().map_err(|error| error.to_string().rsplit_once(": ").unwrap().1.to_owned());
            assert_eq!(found, expected.map_err(str::to_owned), "{location}");
        }
        assert!(repository.is_own("https://r.example:5000/u"));
        assert!(!repository.is_own("https://r.example/u") && !repository.is_own("https://store.example/u"));
    }

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

    #[test]
    fn token_servers_are_at_least_as_protected_as_the_registry() {
        let check = |registry: &str, realm: &str| may_lead(registry, realm).err();
        let plain = Some("it is not protected by https");
        let inside = Some("it is an address of this machine or of a private network");
        for (registry, realm, expected) in [
            ("https://r.example", "https://auth.example/token", None),
            ("https://r.example", "http://auth.example/token", plain),
            ("https://r.example", "http://r.example/token", plain),
            ("http://r.example", "http://r.example/token", None),
            ("http://r.example", "http://other.example/token", plain),
            ("http://localhost:5000", "http://127.0.0.1:5001/token", None),
            ("https://r.example", "https://127.0.0.1/token", inside),
            ("https://r.example", "https://169.254.169.254/token", inside),
            ("https://r.example", "https://[::ffff:10.0.0.1]/token", inside),
            ("https://10.0.0.1", "https://10.0.0.2/token", None),
            ("https://r.example", "file:///etc/passwd", Some("it is not an http or https address")),
            ("https://r.example", "token", Some("it is not an address")),
        ] {
            assert_eq!(check(registry, realm), expected, "{registry} {realm}");
        }
    }
}
