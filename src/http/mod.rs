//! The one HTTP client: mirrors, certificates, proxies, retries, offline.
//!
//! In: addresses that `rootfs::endpoints` found. Out: bytes, or files in the store whose digest was computed on
//! the way. Proxies come from the environment (`HTTPS_PROXY`, `NO_PROXY`), certificates from the system or from
//! `SSL_CERT_FILE`. Blocking: parallel downloads use scoped threads.
//!
//! Invariants: a file is kept only when it has the promised digest; a passing fault (408, 429, 5xx, a broken
//! connection, a server that hardly sends) is tried five times and a broken transfer goes on where it stopped; a
//! refusal (401, 403, 404) is final; plain http is used only for archives that carry their own signature and for the
//! loopback interface; an https address is never followed to plain http.

mod download;
mod error;
mod pace;
mod retry;
#[cfg(test)]
mod tests;
mod transfer;

use std::io::{self, Read as _};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use flate2::read::MultiGzDecoder;
use reqwest::StatusCode;
use reqwest::blocking::Response;
use reqwest::header::{
    ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH, RANGE,
};

pub use download::Job;
pub use error::{Error, shown};
use pace::{Pace, Patience};
pub use transfer::{Expected, Fetched};

/// How the client behaves.
#[derive(Clone, Debug)]
pub struct Options {
    /// Answers [`Error::Offline`] to every request.
    pub offline: bool,
    /// The first pause between attempts; doubled each time.
    pub pause: Duration,
    /// How many transfers run at once in [`Client::download_all`].
    pub parallel: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { offline: false, pause: Duration::from_millis(500), parallel: 8 }
    }
}

/// What protects the bytes of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    /// Only the connection: https is needed.
    Transport,
    /// A signature in or over the content, so that plain http will do.
    Signature,
}

/// The client. Cheap to clone; usable from several threads.
#[derive(Clone, Debug)]
pub struct Client {
    options: Options,
    patience: Patience,
    inner: Option<Arc<reqwest::blocking::Client>>,
}

/// The answer to a request that names the version the caller has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The caller's version is the current one.
    Unchanged,
    /// New content.
    Changed {
        /// The content.
        bytes: Vec<u8>,
        /// The server's name for this version.
        etag: Option<String>,
    },
}

impl Client {
    /// A client that uses the system's certificates and proxies.
    ///
    /// # Errors
    /// [`Error::Roots`] when no certificate authority is known on this machine.
    pub fn new(options: Options) -> Result<Self, Error> {
        Self::with_patience(options, Patience::default())
    }

    fn with_patience(options: Options, patience: Patience) -> Result<Self, Error> {
        if options.offline {
            return Ok(Self { options, patience, inner: None });
        }
        // Another part of the process may have installed the same provider already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let inner = reqwest::blocking::Client::builder()
            .user_agent(concat!("rpack/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(Duration::from_secs(20))
            .timeout(patience.silence)
            .redirect(reqwest::redirect::Policy::custom(follow))
            .build()
            .map_err(|error| Error::Roots { reason: innermost(&error) })?;
        Ok(Self { options, patience, inner: Some(Arc::new(inner)) })
    }

    /// Whether the network may not be used.
    pub fn is_offline(&self) -> bool {
        self.options.offline
    }

    /// The bytes at `url`, at most `limit` of them.
    pub fn get(&self, url: &str, protection: Protection, limit: u64) -> Result<Vec<u8>, Error> {
        match self.get_if_changed(url, protection, limit, None, None)? {
            Answer::Changed { bytes, .. } => Ok(bytes),
            Answer::Unchanged => Err(Error::Status {
                url: shown(url),
                status: StatusCode::NOT_MODIFIED.to_string(),
                code: StatusCode::NOT_MODIFIED.as_u16(),
            }),
        }
    }

    /// The bytes at `url` unless they are still the version `etag`; `accept` asks for a media type.
    pub fn get_if_changed(
        &self,
        url: &str,
        protection: Protection,
        limit: u64,
        accept: Option<&str>,
        etag: Option<&str>,
    ) -> Result<Answer, Error> {
        let mut headers = HeaderMap::new();
        for (name, text) in [(ACCEPT, accept), (ACCEPT_ENCODING, Some("gzip")), (IF_NONE_MATCH, etag)] {
            if let Some(value) = text.and_then(|text| HeaderValue::from_str(text).ok()) {
                headers.insert(name, value);
            }
        }
        self.attempt(url, |_| {
            let response = self.send(url, protection, headers.clone())?;
            if response.status() == StatusCode::NOT_MODIFIED {
                return Ok(Answer::Unchanged);
            }
            let mut response = checked(url, response)?;
            let etag = response.headers().get(ETAG).and_then(|v| v.to_str().ok()).map(str::to_owned);
            let mut bytes = Vec::new();
            self.read_body(url, &mut response, limit, |part| {
                bytes.extend_from_slice(part);
                Ok(())
            })?;
            if response.headers().get(CONTENT_ENCODING).is_some_and(|encoding| encoding == "gzip") {
                bytes = plain(url, &bytes, limit)?;
            }
            Ok(Answer::Changed { bytes, etag })
        })
    }

    /// Runs `request` until it succeeds, fails for good, or has failed too often. It gets the number of
    /// attempts made before.
    fn attempt<T>(&self, url: &str, mut request: impl FnMut(u32) -> Result<T, Failure>) -> Result<T, Error> {
        let mut attempt = 0;
        loop {
            let (reason, asked, reached) = match request(attempt) {
                Ok(value) => return Ok(value),
                Err(Failure::Final(error)) => return Err(error),
                Err(Failure::Passing { reason, asked, reached }) => (reason, asked, reached),
            };
            attempt += 1;
            if attempt >= retry::ATTEMPTS {
                let url = shown(url);
                return Err(if reached {
                    Error::Transient { url, attempts: attempt, reason }
                } else {
                    Error::Unreachable { url, reason }
                });
            }
            thread::sleep(retry::pause(attempt, asked, self.options.pause));
        }
    }

    fn send(&self, url: &str, protection: Protection, headers: HeaderMap) -> Result<Response, Failure> {
        let Some(inner) = &self.inner else {
            return Err(Failure::Final(Error::Offline { url: shown(url) }));
        };
        let parsed = reqwest::Url::parse(url)
            .ok()
            .filter(|parsed| matches!(parsed.scheme(), "http" | "https") && parsed.has_host())
            .ok_or_else(|| Failure::Final(Error::Address { url: shown(url) }))?;
        if parsed.scheme() == "http" && protection == Protection::Transport && !is_loopback(&parsed) {
            return Err(Failure::Final(Error::Plain { url: shown(url) }));
        }
        inner.get(parsed).headers(headers).send().map_err(|error| Failure::from_reqwest(url, &error))
    }

    /// Gives `response`'s body to `sink`, part by part, and refuses more than `limit` bytes or a server that
    /// hardly sends.
    fn read_body(
        &self,
        url: &str,
        response: &mut Response,
        limit: u64,
        mut sink: impl FnMut(&[u8]) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut pace = Pace::new(self.patience);
        let mut buffer = vec![0; 128 * 1024];
        let mut size = 0;
        loop {
            let count = match response.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Failure::broken(&error)),
            };
            size += count as u64;
            if size > limit {
                return Err(Failure::Final(Error::TooLarge { url: shown(url), limit }));
            }
            sink(&buffer[..count])?;
            pace.advance(count)?;
        }
    }

    /// The request for the rest of a file of which `have` bytes are here.
    fn send_from(&self, url: &str, protection: Protection, have: u64) -> Result<Response, Failure> {
        // The digest is over the bytes as they are stored: nobody may pack them for the journey.
        let mut headers = HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static("identity"))]);
        if have > 0 {
            let range = HeaderValue::from_str(&format!("bytes={have}-")).expect("digits are a header value");
            headers.insert(RANGE, range);
        }
        self.send(url, protection, headers)
    }
}

/// How one attempt ended.
enum Failure {
    /// Trying again cannot help.
    Final(Error),
    /// Trying again may help.
    Passing {
        /// What happened.
        reason: String,
        /// The pause that the server asked for.
        asked: Option<Duration>,
        /// Whether a server was there at all.
        reached: bool,
    },
}

impl Failure {
    fn broken(error: &dyn std::error::Error) -> Self {
        let reason = format!("the connection broke: {}", innermost(error));
        Self::Passing { reason, asked: None, reached: true }
    }

    fn from_reqwest(url: &str, error: &reqwest::Error) -> Self {
        let reason = innermost(error);
        if error.is_redirect() || error.is_builder() {
            return Self::Final(Error::Unreachable { url: shown(url), reason });
        }
        // A name that does not exist or a certificate that is not trusted stays so for the next seconds; a name
        // server that does not answer may recover.
        let hopeless = ["lookup address", "certificate", "refused"];
        let is_hopeless = |text: String| {
            hopeless.iter().any(|part| text.contains(part)) && !text.contains("Temporary failure")
        };
        if error.is_connect() && chain(error).any(is_hopeless) {
            return Self::Final(Error::Unreachable { url: shown(url), reason });
        }
        Self::Passing { reason, asked: None, reached: !error.is_connect() }
    }
}

impl From<crate::store::Error> for Failure {
    fn from(error: crate::store::Error) -> Self {
        Self::Final(error.into())
    }
}

/// Unpacks an answer that was packed for the journey.
fn plain(url: &str, bytes: &[u8], limit: u64) -> Result<Vec<u8>, Failure> {
    let mut found = Vec::new();
    MultiGzDecoder::new(bytes)
        .take(limit.saturating_add(1))
        .read_to_end(&mut found)
        .map_err(|error| Failure::broken(&error))?;
    if found.len() as u64 > limit {
        return Err(Failure::Final(Error::TooLarge { url: shown(url), limit }));
    }
    Ok(found)
}

/// Turns statuses other than success into failures.
fn checked(url: &str, response: Response) -> Result<Response, Failure> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    if retry::is_transient(status.as_u16()) {
        let asked = retry::retry_after(response.headers());
        return Err(Failure::Passing { reason: format!("it answered `{status}`"), asked, reached: true });
    }
    Err(Failure::Final(Error::Status { url: shown(url), status: status.to_string(), code: status.as_u16() }))
}

fn follow(attempt: reqwest::redirect::Attempt<'_>) -> reqwest::redirect::Action {
    let downgrade = attempt.url().scheme() == "http"
        && !is_loopback(attempt.url())
        && attempt.previous().last().is_some_and(|url| url.scheme() == "https");
    if downgrade {
        return attempt.error("an https address leads to plain http");
    }
    if attempt.previous().len() > 10 {
        return attempt.error("more than 10 redirections");
    }
    attempt.follow()
}

fn is_loopback(url: &reqwest::Url) -> bool {
    let Some(host) = url.host_str() else { return false };
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || address.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn chain(error: &dyn std::error::Error) -> impl Iterator<Item = String> {
    std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string)
}

fn innermost(error: &dyn std::error::Error) -> String {
    chain(error).last().unwrap_or_default()
}
