//! Certificates for one server: an authority of its own, and who this machine is to it.

use std::fs;
use std::path::{Path, PathBuf};

use reqwest::blocking::ClientBuilder;
use reqwest::{Certificate, Identity};

/// Files with certificates in PEM form, beside those of the system.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// Authorities that may vouch for the server.
    pub authorities: Vec<PathBuf>,
    /// Who this machine is: a certificate and its key.
    pub identity: Option<(PathBuf, PathBuf)>,
}

impl Tls {
    /// Whether it says anything.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub(super) fn apply(&self, mut builder: ClientBuilder) -> Result<ClientBuilder, String> {
        for path in &self.authorities {
            let certificates =
                Certificate::from_pem_bundle(&read(path)?).map_err(|error| unusable(path, &error))?;
            builder = builder.tls_certs_merge(certificates);
        }
        if let Some((certificate, key)) = &self.identity {
            let mut pem = read(certificate)?;
            pem.push(b'\n');
            pem.extend(read(key)?);
            builder =
                builder.identity(Identity::from_pem(&pem).map_err(|error| unusable(certificate, &error))?);
        }
        Ok(builder)
    }
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
}

fn unusable(path: &Path, error: &reqwest::Error) -> String {
    format!("{}: {}", path.display(), super::innermost(error))
}
