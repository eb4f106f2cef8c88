//! Certificates for one server: an authority of its own, and who this machine is to it; what TLS says against a server.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use reqwest::{Certificate, ClientBuilder, Identity};
use rustls::{AlertDescription, CertificateError};

use super::{Error, chain, innermost, shown};

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

    pub(super) fn apply(&self, builder: ClientBuilder) -> Result<ClientBuilder, Broken> {
        // A server that refuses a client closes the connection behind its reason; over HTTP/2 that is often lost.
        let mut builder = builder.http1_only();
        for path in &self.authorities {
            let certificates = Certificate::from_pem_bundle(&read(path)?);
            let certificates = certificates.map_err(|error| unusable(path, &innermost(&error)))?;
            if certificates.is_empty() {
                return Err(unusable(path, "it holds no certificate in PEM form"));
            }
            builder = builder.tls_certs_merge(certificates);
        }
        if let Some((certificate, key)) = &self.identity {
            let mut pem = read(certificate)?;
            pem.push(b'\n');
            pem.extend(read(key)?);
            let identity = Identity::from_pem(&pem);
            builder = builder.identity(identity.map_err(|error| {
                unusable(certificate, &format!("with {}: {}", key.display(), innermost(&error)))
            })?);
        }
        Ok(builder)
    }
}

/// Why there is no way to the network.
#[derive(Clone, Debug)]
pub(super) enum Broken {
    /// The TLS library's answer.
    Library(String),
    /// A file for one server.
    File(PathBuf, String),
}

impl Broken {
    /// The error for every request.
    pub(super) fn error(&self) -> Error {
        match self {
            Self::Library(reason) => Error::Roots { reason: reason.clone() },
            Self::File(path, reason) => {
                Error::CertificateFile { path: path.display().to_string(), reason: reason.clone() }
            }
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Broken> {
    fs::read(path).map_err(|error| unusable(path, &error.to_string()))
}

fn unusable(path: &Path, reason: &str) -> Broken {
    Broken::File(path.to_owned(), reason.to_owned())
}

/// What servers say about the certificate of a client.
const ABOUT_CLIENTS: [AlertDescription; 8] = [
    AlertDescription::BadCertificate,
    AlertDescription::UnsupportedCertificate,
    AlertDescription::CertificateRevoked,
    AlertDescription::CertificateExpired,
    AlertDescription::CertificateUnknown,
    AlertDescription::CertificateRequired,
    AlertDescription::UnknownCA,
    AlertDescription::AccessDenied,
];

/// What TLS says against `url`, if that is why a request failed.
pub(super) fn refusal(url: &str, error: &reqwest::Error) -> Option<Error> {
    // It comes after the handshake, through parts of the client that pass errors on as texts.
    let said = |text: String| {
        let alerts = ABOUT_CLIENTS.map(|alert| rustls::Error::AlertReceived(alert).to_string());
        alerts.into_iter().find(|alert| text.contains(alert))
    };
    if let Some(reason) = chain(error).find_map(said) {
        return Some(Error::Unidentified { url: shown(url), reason });
    }
    let found = std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source());
    let error = found.into_iter().find_map(of_library)?;
    let (url, reason) = (shown(url), error.to_string());
    match error {
        rustls::Error::InvalidCertificate(kind) => {
            Some(Error::Untrusted { url, reason: words(kind).unwrap_or(reason) })
        }
        rustls::Error::InvalidMessage(_) => Some(Error::NotTls { url, reason }),
        _ => None,
    }
}

/// Errors of the library come wrapped into those of the system's interface, more than once.
fn of_library<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a rustls::Error> {
    let mut found = error;
    while let Some(inner) = found.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        found = inner;
    }
    found.downcast_ref()
}

/// What is wrong with a certificate, in words, for the common cases.
fn words(error: &CertificateError) -> Option<String> {
    let text = match error {
        CertificateError::UnknownIssuer => "no authority that this machine knows has signed it",
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "it has expired",
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => "it is not valid yet",
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "it is for another host"
        }
        _ => return None,
    };
    Some(text.to_owned())
}
