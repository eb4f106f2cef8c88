//! Certificates for registries: what docker and podman read for a host.
//!
//! In the folder of a host, with its port, `*.crt` are authorities that may vouch for it, and `NAME.cert` with `NAME.key`
//! is who this machine is (<https://github.com/containers/image/blob/main/docs/containers-certs.d.5.md>,
//! <https://docs.docker.com/engine/security/certificates/>). The first folder that exists counts.

use std::fs;
use std::path::PathBuf;

use super::credentials::Places;
use crate::http::Tls;

/// What is known for `host`.
pub(super) fn of(host: &str, places: &Places) -> Tls {
    let folder = folders(places).into_iter().map(|folder| folder.join(host)).find(|folder| folder.is_dir());
    let Some(folder) = folder.filter(|_| !host.contains('/')) else { return Tls::default() };
    let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    files.sort();
    let with = |extension: &str| {
        files
            .iter()
            .filter(|path| path.extension().is_some_and(|found| found == extension))
            .cloned()
            .collect()
    };
    let (authorities, certificates): (Vec<PathBuf>, Vec<PathBuf>) = (with("crt"), with("cert"));
    let identity = certificates.into_iter().next().map(|certificate| {
        let key = certificate.with_extension("key");
        (certificate, key)
    });
    Tls { authorities, identity }
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
