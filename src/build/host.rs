//! What a step with network needs of the machine: name servers, certificates, proxies, registry addresses.
//!
//! None of it enters a step's key or result. Steps without network get nothing of it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::sandbox::Bind;
use crate::config::Environment;

/// Where the certificate bundle stands inside every root.
const BUNDLE: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Variables that name a bundle, each read by some client: Node, OpenSSL and uv, pip, requests, curl, git, cargo.
const BUNDLE_VARIABLES: [&str; 7] = [
    "NODE_EXTRA_CA_CERTS",
    "SSL_CERT_FILE",
    "PIP_CERT",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "CARGO_HTTP_CAINFO",
];

/// Variables that say how to reach the outside; clients in a step read them as they do on the machine.
const FORWARDED: [&str; 12] = [
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "GOPROXY",
    "GOSUMDB",
    "GONOSUMDB",
    "GOPRIVATE",
    "GONOPROXY",
    "GOINSECURE",
];

/// The machine as steps with network see it.
#[derive(Clone, Debug, Default)]
pub struct Host {
    binds: Vec<Bind>,
    env: BTreeMap<String, String>,
}

impl Host {
    /// Reads the machine. `registries` are variables that name registries (`npm_config_registry`), found by the
    /// endpoints' rules.
    pub fn read(environment: &Environment, registries: BTreeMap<String, String>) -> Self {
        let mut env = registries;
        for name in FORWARDED {
            if let Some(value) = environment.get(name) {
                env.entry(name.to_owned()).or_insert_with(|| value.to_owned());
            }
        }
        let mut binds = Vec::new();
        for target in ["/etc/resolv.conf", "/etc/hosts"] {
            if let Ok(source) = Path::new(target).canonicalize() {
                binds.push(Bind { source, target: target.to_owned(), read_only: true });
            }
        }
        if let Some(source) = bundle(environment) {
            binds.push(Bind { source, target: BUNDLE.to_owned(), read_only: true });
            env.extend(BUNDLE_VARIABLES.iter().map(|name| ((*name).to_owned(), BUNDLE.to_owned())));
        }
        Self { binds, env }
    }

    /// Files of the machine to show to a step with network.
    pub(super) fn binds(&self) -> &[Bind] {
        &self.binds
    }

    /// Variables to add to the environment of a step with network.
    pub(super) fn env(&self) -> &BTreeMap<String, String> {
        &self.env
    }
}

/// The machine's certificate bundle: what the user names, else the usual places of the distributions.
fn bundle(environment: &Environment) -> Option<PathBuf> {
    let usual = [BUNDLE, "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem", "/etc/ssl/ca-bundle.pem"];
    let named = environment.get("SSL_CERT_FILE");
    named.into_iter().chain(usual).find_map(|path| Path::new(path).canonicalize().ok())
}
