//! What can go wrong between this machine and a registry.

use super::certificates;
use super::credentials::Search;
use super::host::Repository;
use crate::http::{self, Reply};
use crate::oci::Digest;
use crate::store;
use crate::ui::{Diagnose, ExitCode};

/// Why nothing came from a registry.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The network.
    #[error(transparent)]
    Http(#[from] http::Error),
    /// The store.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// 401 or 403.
    #[error(transparent)]
    Refused(Box<Refusal>),
    /// 404.
    #[error("{host} has no `{repository}` called `{name}`{}", because(code))]
    Missing {
        /// The registry.
        host: String,
        /// The repository there.
        repository: String,
        /// The tag or digest.
        name: String,
        /// The registry's own words.
        code: String,
    },
    /// Any other status.
    #[error("{host}: {request} answered `{status}`{}", because(code))]
    Status {
        /// The registry.
        host: String,
        /// What was asked.
        request: String,
        /// The status.
        status: u16,
        /// The registry's own words.
        code: String,
    },
    /// An address that is not asked.
    #[error("{host} sends its clients {purpose} to {address}, which is not asked: {reason}")]
    Elsewhere {
        /// The registry.
        host: String,
        /// `for a token`, `to go on`.
        purpose: &'static str,
        /// The address.
        address: String,
        /// Why not.
        reason: &'static str,
    },
    /// A token server that answers something else.
    #[error("the answer of the token server {realm} cannot be used: {reason}")]
    Token {
        /// The token server.
        realm: String,
        /// What is wrong.
        reason: String,
    },
    /// The registry has stored something else than what was sent.
    #[error("{host} says that it has stored {found}, but {expected} was sent")]
    Stored {
        /// The registry.
        host: String,
        /// The digest of what was sent.
        expected: Digest,
        /// The digest in the answer.
        found: Digest,
    },
    /// A manifest that is none.
    #[error("`{reference}` cannot be read: {reason}")]
    Manifest {
        /// What was asked for.
        reference: String,
        /// What is wrong.
        reason: String,
    },
    /// What is to be sent cannot be read.
    #[error("{reason}")]
    Unread {
        /// What happened.
        reason: String,
    },
    /// A credential that cannot be written or removed.
    #[error("the credential for {host} in {place} cannot be changed: {reason}")]
    Unkept {
        /// The registry.
        host: String,
        /// The file or helper.
        place: String,
        /// What it says.
        reason: String,
    },
    /// Credentials that cannot be read.
    #[error("the credentials in {place} cannot be read: {reason}")]
    Credentials {
        /// The file or variable.
        place: String,
        /// What is wrong.
        reason: String,
    },
}

/// A refusal, with who asked.
#[derive(Debug, thiserror::Error)]
#[error("{host} refuses {}: {request} answered `{status}`{}", self.what(), because(code))]
pub struct Refusal {
    /// The registry.
    pub host: String,
    /// The repository there; empty for a login.
    pub repository: String,
    /// What was tried.
    pub request: String,
    /// 401, 403.
    pub status: u16,
    /// The registry's own words: `UNAUTHORIZED: authentication required`.
    pub code: String,
    /// Who asked, and where that was found.
    pub credential: Option<String>,
    /// Helpers that failed before.
    pub failures: Vec<String>,
}

impl Refusal {
    fn what(&self) -> String {
        if self.repository.is_empty() { "the login".to_owned() } else { format!("`{}`", self.repository) }
    }

    fn hints(&self) -> Vec<String> {
        let host = &self.host;
        if self.credential.is_none() {
            return vec![
                format!("log in: `rpack login {host}`"),
                "in a pipeline: `RPACK_REGISTRY_AUTH='{\"auths\":{\"registry.example\":{\"auth\":\"…\"}}}'`, the \
                 text of a docker config.json"
                    .to_owned(),
            ];
        }
        if self.repository.is_empty() {
            return vec![
                "look at the user name and the password; registries with a second factor, and many others, want an \
                 access token as the password"
                    .to_owned(),
            ];
        }
        vec![
            format!("the credential is not the right one for `{}`, or is out of date", self.repository),
            format!("write another: `rpack login {host}`; a public image needs none: `rpack logout {host}`"),
        ]
    }
}

fn because(code: &str) -> String {
    if code.is_empty() { String::new() } else { format!(": {code}") }
}

impl Error {
    /// A 401 or 403.
    pub(super) fn refused(repository: &Repository, request: &str, reply: &Reply, search: &Search) -> Self {
        if !matches!(reply.status, 401 | 403) {
            return Self::Status {
                host: repository.host.clone(),
                request: request.to_owned(),
                status: reply.status,
                code: words(&reply.bytes),
            };
        }
        Self::Refused(Box::new(Refusal {
            host: repository.host.clone(),
            repository: repository.path.clone(),
            request: request.to_owned(),
            status: reply.status,
            code: words(&reply.bytes),
            credential: search.credential.as_ref().map(ToString::to_string),
            failures: search.failures.clone(),
        }))
    }
}

/// The registry's own words
/// (<https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes>), on one line.
pub(super) fn words(bytes: &[u8]) -> String {
    let document: serde_json::Value = serde_json::from_slice(bytes).unwrap_or_default();
    let texts = document["errors"].as_array().into_iter().flatten().map(|error| {
        let text = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
        match (text("code"), text("message")) {
            (code, message) if message.is_empty() => code,
            (code, message) if code.is_empty() => message,
            (code, message) => format!("{code}: {message}"),
        }
    });
    let all = texts.filter(|text| !text.is_empty()).collect::<Vec<_>>().join("; ");
    all.chars().filter(|c| !c.is_control()).take(300).collect()
}

fn is_here(host: &str) -> bool {
    reqwest::Url::parse(&format!("http://{host}")).is_ok_and(|url| http::is_loopback(&url))
}

/// What to do about a failure of TLS where it can be done for one registry.
fn about_tls(error: &http::Error) -> Option<String> {
    let host = |url: &str| {
        let url = reqwest::Url::parse(url).ok()?;
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        Some(format!("{}{port}", url.host_str()?))
    };
    match error {
        http::Error::Untrusted { url, .. } => {
            let places = certificates::advice(&host(url)?);
            Some(format!("for this registry alone, put the certificate of its authority into {places}"))
        }
        http::Error::Unidentified { url, .. } => Some(format!(
            "put a certificate that it accepts and its key, in PEM form, into \
             ~/.config/containers/certs.d/{0}/client.cert and ~/.config/containers/certs.d/{0}/client.key",
            host(url)?
        )),
        http::Error::CertificateFile { .. } => Some(
            "`*.crt` are authorities; `NAME.cert` is the certificate of this machine and `NAME.key` its key, and \
             neither is of use without the other"
                .to_owned(),
        ),
        http::Error::NotTls { url, .. } => Some(format!(
            "if it speaks plain http, and you trust the network in between: `registry.insecure = [\"{0}\"]` in \
             rpack.toml, or `RPACK_REGISTRY__INSECURE={0}`",
            host(url)?
        )),
        _ => None,
    }
}

impl Diagnose for Error {
    fn id(&self) -> &'static str {
        match self {
            Self::Http(error) => error.id(),
            Self::Store(error) => error.id(),
            Self::Refused(_) => "registry/refused",
            Self::Missing { .. } => "registry/missing",
            Self::Status { .. } => "registry/status",
            Self::Elsewhere { .. } => "registry/elsewhere",
            Self::Token { .. } => "registry/token",
            Self::Stored { .. } => "registry/stored",
            Self::Unread { .. } => "registry/unread",
            Self::Manifest { .. } => "registry/manifest",
            Self::Credentials { .. } => "registry/credentials",
            Self::Unkept { .. } => "registry/unkept",
        }
    }

    fn exit(&self) -> ExitCode {
        match self {
            Self::Http(error) => error.exit(),
            Self::Store(error) => error.exit(),
            Self::Credentials { .. } => ExitCode::Usage,
            Self::Manifest { .. } | Self::Stored { .. } | Self::Unread { .. } | Self::Unkept { .. } => {
                ExitCode::Failed
            }
            _ => ExitCode::Network,
        }
    }

    fn detail(&self) -> Option<String> {
        let Self::Refused(refusal) = self else { return None };
        let Refusal { credential, failures, .. } = &**refusal;
        let who = credential.as_ref().map_or_else(
            || "asked as nobody: no credential for it was found".to_owned(),
            |credential| format!("asked as {credential}"),
        );
        Some(std::iter::once(who).chain(failures.iter().cloned()).collect::<Vec<_>>().join("\n"))
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Http(error) => about_tls(error).into_iter().chain(error.hints()).collect(),
            Self::Store(error) => error.hints(),
            Self::Refused(refusal) => refusal.hints(),
            Self::Missing { .. } => vec!["look at the spelling, and whether the tag still exists".to_owned()],
            Self::Status { host, status: 400, .. } if is_here(host) => vec![format!(
                "a registry on this machine is asked by plain http; if this one speaks https, make the folder that its \
                 certificates may be in: `mkdir -p ~/.config/containers/certs.d/{host}`"
            )],
            Self::Elsewhere { .. } => vec![
                "if the address is right, name the registry by an address of the same kind, or a mirror: \
                 `registry.mirrors.\"registry.example\" = \"https://mirror.example\"` in rpack.toml"
                    .to_owned(),
            ],
            Self::Unkept { .. } => vec![
                "keep credentials in another folder: `export DOCKER_CONFIG=/path/to/folder`; without a file, in a \
                 pipeline: `RPACK_REGISTRY_AUTH`"
                    .to_owned(),
            ],
            Self::Credentials { .. } => {
                vec!["repair or remove it, then log in again: `rpack login REGISTRY`".to_owned()]
            }
            _ => Vec::new(),
        }
    }
}
