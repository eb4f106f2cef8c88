//! What can go wrong on the network, told apart by what the user can do about it.

use crate::oci::Digest;
use crate::store;
use crate::ui::{Diagnose, ExitCode};

/// Why a request failed. URLs are shown without credentials.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The network may not be used and the answer is not in the store.
    #[error("{url} is not in the store, and the network may not be used")]
    Offline {
        /// What would have been asked.
        url: String,
    },
    /// No connection.
    #[error("cannot reach {url}: {reason}")]
    Unreachable {
        /// What was asked.
        url: String,
        /// The innermost cause.
        reason: String,
    },
    /// The server answered with something other than the file.
    #[error("{url} answered `{status}`")]
    Status {
        /// What was asked.
        url: String,
        /// Code and phrase: `404 Not Found`.
        status: String,
        /// The code alone.
        code: u16,
    },
    /// A passing fault that did not pass.
    #[error("{url} failed {attempts} times; the last time: {reason}")]
    Transient {
        /// What was asked.
        url: String,
        /// How often.
        attempts: u32,
        /// The last failure.
        reason: String,
    },
    /// More bytes than the caller takes.
    #[error("{url} sends more than the {limit} bytes that were expected at most")]
    TooLarge {
        /// What was asked.
        url: String,
        /// The limit in bytes.
        limit: u64,
    },
    /// The bytes are not those that were promised.
    #[error("{url} has {algorithm} digest {found}, expected {expected}")]
    Digest {
        /// What was asked.
        url: String,
        /// `sha1`, `sha256` or `sha512`.
        algorithm: &'static str,
        /// As promised.
        expected: String,
        /// As received.
        found: String,
    },
    /// The file ends before or after the size that was promised.
    #[error("{url} has {found} bytes, expected {expected}")]
    Size {
        /// What was asked.
        url: String,
        /// As promised.
        expected: u64,
        /// As received.
        found: u64,
    },
    /// An unprotected address for something that carries no signature of its own.
    #[error("{url} is not protected: plain http is used only for signed archives and for this machine")]
    Plain {
        /// The address.
        url: String,
    },
    /// The text is no address.
    #[error("`{url}` is not an http or https address")]
    Address {
        /// The text.
        url: String,
    },
    /// TLS cannot work on this machine.
    #[error("cannot set up https on this machine: {reason}")]
    Roots {
        /// The TLS library's answer.
        reason: String,
    },
    /// Nobody who is trusted vouches for the server.
    #[error("the certificate of {url} is not trusted: {reason}")]
    Untrusted {
        /// What was asked.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The server wants to know who this machine is, or does not believe it.
    #[error("{url} wants a client certificate that it accepts: {reason}")]
    Unidentified {
        /// What was asked.
        url: String,
        /// What the server said.
        reason: String,
    },
    /// Something else than TLS is spoken there.
    #[error("{url} does not answer as an https server does: {reason}")]
    NotTls {
        /// What was asked.
        url: String,
        /// What is wrong with the answer.
        reason: String,
    },
    /// A file with a certificate or a key for a server cannot be used.
    #[error("the certificate file {path} cannot be used: {reason}")]
    CertificateFile {
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// What is to be sent there cannot be read.
    #[error("what is to be sent to {url} cannot be read: {reason}")]
    Unsent {
        /// Where it was to go.
        url: String,
        /// The system's answer.
        reason: String,
    },
    /// Something else has failed meanwhile, which is what is shown.
    #[error("{url} was not fetched, because something else failed")]
    Stopped {
        /// What was asked.
        url: String,
    },
    /// The store refused.
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl Error {
    /// What is to be sent cannot be read.
    pub(super) fn unsent(url: &str, error: &std::io::Error) -> Self {
        Self::Unsent { url: shown(url), reason: error.to_string() }
    }

    /// The mismatch of a SHA-256 digest.
    pub(super) fn sha256(url: &str, expected: &Digest, found: &Digest) -> Self {
        Self::Digest { url: shown(url), algorithm: "sha256", expected: expected.hex(), found: found.hex() }
    }

    /// Whether the server said that there is no such file.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Status { code: 404 | 410, .. })
    }
}

impl Diagnose for Error {
    fn id(&self) -> &'static str {
        match self {
            Self::Offline { .. } => "network/offline",
            Self::Unreachable { .. } => "network/unreachable",
            Self::Status { .. } => "network/status",
            Self::Transient { .. } => "network/transient",
            Self::TooLarge { .. } => "network/too-large",
            Self::Digest { .. } | Self::Size { .. } => "store/digest",
            Self::Plain { .. } => "network/plain-http",
            Self::Address { .. } => "network/address",
            Self::Roots { .. } => "network/tls-roots",
            Self::Untrusted { .. } => "network/untrusted",
            Self::Unidentified { .. } => "network/client-certificate",
            Self::NotTls { .. } => "network/not-tls",
            Self::CertificateFile { .. } => "network/certificate-file",
            Self::Unsent { .. } => "network/unsent",
            Self::Stopped { .. } => "network/stopped",
            Self::Store(error) => error.id(),
        }
    }

    fn exit(&self) -> ExitCode {
        match self {
            Self::Transient { .. } => ExitCode::Retry,
            Self::Digest { .. } | Self::Size { .. } | Self::Unsent { .. } => ExitCode::Failed,
            Self::Plain { .. } | Self::Address { .. } | Self::CertificateFile { .. } => ExitCode::Usage,
            Self::Store(error) => error.exit(),
            _ => ExitCode::Network,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Offline { .. } => vec!["run the same command once without `--offline`".to_owned()],
            Self::Unreachable { .. } => vec![
                "see which addresses are used, and why: `rpack doctor`".to_owned(),
                "behind a proxy: `export HTTPS_PROXY=http://proxy.example:3128`".to_owned(),
            ],
            Self::Status { code: 401 | 403, .. } => {
                vec![
                    "the server wants credentials or refuses this machine: `rpack doctor` shows where its \
                      address was found"
                        .to_owned(),
                ]
            }
            Self::Transient { .. } => vec!["run the same command again later".to_owned()],
            Self::Digest { .. } | Self::Size { .. } => vec![
                "a mirror or proxy changed the file, or holds a damaged copy: fetch it again through another \
                 mirror"
                    .to_owned(),
            ],
            Self::Roots { .. } => vec![
                "name a file with certificates: `export SSL_CERT_FILE=/path/to/ca-certificates.crt`"
                    .to_owned(),
                "or install them: `apt-get install ca-certificates`".to_owned(),
            ],
            Self::Untrusted { .. } => vec![
                "if an authority of your own vouches for it, name a file with its certificate: \
                 `export SSL_CERT_FILE=/path/to/ca.crt`; the certificates of the system count no more then"
                    .to_owned(),
            ],
            Self::Plain { url } => vec![format!("use {}", url.replacen("http://", "https://", 1))],
            Self::Store(error) => error.hints(),
            _ => Vec::new(),
        }
    }
}

/// The address as it may be shown: without user and password, query and fragment.
pub fn shown(url: &str) -> String {
    let Ok(mut parsed) = reqwest::Url::parse(url) else { return url.to_owned() };
    if !parsed.username().is_empty() || parsed.password().is_some() {
        // Both setters fail only for addresses without a host, which have neither.
        let _ = parsed.set_username("");
        let _ = parsed.set_password(None);
    }
    parsed.set_query(None);
    parsed.set_fragment(None);
    parsed.to_string()
}

/// The address that `reference` stands for on the page at `base`; none when it is no address, or when a page of
/// another machine names a file of this one.
pub fn join(base: &str, reference: &str) -> Option<String> {
    let base = reqwest::Url::parse(base).ok()?;
    let joined = base.join(reference).ok()?;
    (joined.scheme() != "file" || base.scheme() == "file").then(|| joined.to_string())
}
