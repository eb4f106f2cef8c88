//! Certificates for registries: what docker and podman read for a host.
//!
//! In the folder of a host, with its port, `*.crt` are authorities that may vouch for it, and `NAME.cert` with `NAME.key`
//! is who this machine is (<https://github.com/containers/image/blob/main/docs/containers-certs.d.5.md>,
//! <https://docs.docker.com/engine/security/certificates/>). The first folder that exists counts. A
//! registry on this machine that has a folder, if an empty one, is asked by https.

use std::fs;
use std::path::PathBuf;

use super::credentials::Places;
use super::docker_config::is_hub;
use super::host::HUB;
use crate::http::Tls;

/// What is known for `host`. A certificate without its key, or a key without its certificate, is named nevertheless: the
/// first request then says which file is missing.
pub(super) fn of(host: &str, places: &Places) -> Tls {
    let Some(folder) = folder(host, places) else { return Tls::default() };
    let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    files.sort();
    let with = |extension: &'static str| {
        files.iter().filter(move |path| path.extension().is_some_and(|found| found == extension))
    };
    let identity = with("cert").chain(with("key")).next();
    Tls {
        authorities: with("crt").cloned().collect(),
        identity: identity.map(|path| (path.with_extension("cert"), path.with_extension("key"))),
    }
}

/// The folder for `host`, the first that there is.
pub(super) fn folder(host: &str, places: &Places) -> Option<PathBuf> {
    let below = |name| folders(places).into_iter().map(move |folder| folder.join(name));
    names(host).into_iter().flat_map(below).find(|folder| folder.is_dir())
}

/// Where the certificate of an authority for `host` may be put.
pub(super) fn advice(host: &str) -> String {
    format!("~/.config/containers/certs.d/{host}/ca.crt or /etc/containers/certs.d/{host}/ca.crt")
}

/// The folders of a host are called so. Docker Hub is known by another name than that of the host that serves it.
fn names(host: &str) -> Vec<&str> {
    if host.contains('/') {
        return Vec::new();
    }
    if is_hub(host) { vec![host, HUB.0] } else { vec![host] }
}

fn folders(places: &Places) -> Vec<PathBuf> {
    let home = places.home.as_deref();
    let variable = places.environment.get("XDG_CONFIG_HOME").filter(|text| !text.is_empty());
    let config = variable.map(PathBuf::from).or_else(|| home.map(|home| home.join(".config")));
    let docker = places.environment.get("DOCKER_CONFIG").filter(|text| !text.is_empty());
    let docker = docker.map(PathBuf::from).or_else(|| home.map(|home| home.join(".docker")));
    let own =
        [config.as_ref().map(|folder| folder.join("containers")), docker, config.map(|f| f.join("docker"))];
    let system = ["/etc/containers", "/etc/docker"].map(PathBuf::from);
    own.into_iter().flatten().chain(system).map(|folder| folder.join("certs.d")).collect()
}
