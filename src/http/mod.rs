//! The one HTTP client: mirrors, certificates, proxies, retries, offline.
//!
//! In: addresses that `rootfs::endpoints` found. Out: bytes, or files in the store whose digest was computed on
//! the way. Proxies come from the environment (`HTTPS_PROXY`, `NO_PROXY`), certificates from the system or from
//! `SSL_CERT_FILE`. Blocking: whoever asks for several things at once does so from several threads.
//!
//! Invariants: a file is kept only when it has the promised digest; a passing fault (408, 429, 5xx, a broken
//! connection, a server that hardly sends) is tried five times and a broken transfer goes on where it stopped; a
//! refusal (401, 403, 404) is final; plain http is used only for archives that carry their own signature and for the
//! loopback interface, or where it is configured; an https address is never followed to plain http, and an address
//! elsewhere never to one of this machine or of a private network; credentials are never sent on to another host.

mod ask;
mod connector;
mod download;
mod error;
mod pace;
mod part;
mod retry;
#[cfg(test)]
mod tests;
mod tls;
mod transfer;

use std::io::Read as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use flate2::read::MultiGzDecoder;
use reqwest::StatusCode;
use reqwest::header::{
    ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH, RANGE,
};

pub use ask::{Body, Reply, Request};
use connector::{Connector, Incoming};
pub use download::Job;
pub use error::{Error, join, shown};
use pace::{Pace, Patience};
pub use part::{Counted, Part};
pub use tls::Tls;
pub use transfer::{Algorithm, Expected, Fetched};

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
        Self { offline: false, pause: Duration::from_millis(500), parallel: 16 }
    }
}

/// What protects the bytes of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    /// Only the connection: https is needed.
    Transport,
    /// A signature in or over the content, so that plain http will do.
    Signature,
    /// Whoever configured the address said that plain http will do.
    Configured,
}

/// The client. Cheap to clone; usable from several threads.
#[derive(Clone, Debug)]
pub struct Client {
    options: Options,
    patience: Patience,
    connector: Arc<OnceLock<Result<Connector, tls::Broken>>>,
    stopped: Arc<AtomicBool>,
    tls: Option<Arc<Tls>>,
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
    /// A client that uses the system's certificates and proxies. They are read with the first request, because most
    /// builds make none; without any certificate authority that request is [`Error::Roots`].
    pub fn new(options: Options) -> Self {
        Self::with_patience(options, Patience::default())
    }

    fn with_patience(options: Options, patience: Patience) -> Self {
        Self { options, patience, connector: Arc::default(), stopped: Arc::default(), tls: None }
    }

    /// Ends what is under way, here and in every clone: the build has failed elsewhere.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    fn go_on(&self, url: &str) -> Result<(), Failure> {
        if self.stopped.load(Ordering::Relaxed) {
            return Err(Failure::Final(Error::Stopped { url: shown(url) }));
        }
        Ok(())
    }

    /// The way to the network, for a client that may use it.
    fn connector(&self) -> Result<&Connector, Error> {
        let connector = self.connector.get_or_init(|| Connector::new(self.patience, self.tls.as_deref()));
        connector.as_ref().map_err(tls::Broken::error)
    }

    /// Whether the network may not be used.
    pub fn is_offline(&self) -> bool {
        self.options.offline
    }

    /// The same client with ten times the pauses between attempts, for servers that are often overloaded.
    #[must_use]
    pub fn patient(&self) -> Self {
        let options = Options { pause: self.options.pause.saturating_mul(10), ..self.options.clone() };
        Self { options, ..self.clone() }
    }

    /// The same client with certificates for some servers alone. It has connections of its own.
    #[must_use]
    pub fn with_tls(&self, tls: Tls) -> Self {
        Self { connector: Arc::default(), tls: Some(Arc::new(tls)), ..self.clone() }
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
        let mut request = Request::get(url, protection);
        for (name, text) in [(ACCEPT, accept), (ACCEPT_ENCODING, Some("gzip")), (IF_NONE_MATCH, etag)] {
            if let Some(text) = text {
                request = request.with(name, text);
            }
        }
        self.attempt(url, |_| {
            let response = self.send(&request, None)?;
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
    pub(crate) fn attempt<T, E: From<Error>>(
        &self,
        url: &str,
        mut request: impl FnMut(u32) -> Result<T, Failure<E>>,
    ) -> Result<T, E> {
        let mut attempts = Attempts::default();
        loop {
            match request(attempts.made) {
                Ok(value) => return Ok(value),
                Err(failure) => self.pause(url, failure, &mut attempts)?,
            }
        }
    }

    /// Waits before the next attempt.
    ///
    /// # Errors
    /// When there is to be none.
    pub(crate) fn pause<E: From<Error>>(
        &self,
        url: &str,
        failure: Failure<E>,
        attempts: &mut Attempts,
    ) -> Result<(), E> {
        let (reason, asked, reached) = match failure {
            Failure::Final(error) => return Err(error),
            Failure::Passing { reason, asked, reached } => (reason, asked, reached),
        };
        attempts.made += 1;
        if attempts.made >= retry::ATTEMPTS {
            let url = shown(url);
            let error = if reached {
                Error::Transient { url, attempts: attempts.made, reason }
            } else {
                Error::Unreachable { url, reason }
            };
            return Err(error.into());
        }
        thread::sleep(retry::pause(attempts.made, asked, self.options.pause));
        Ok(())
    }

    /// Sends the request; with `from`, for a file of which so many bytes are here.
    fn send(&self, request: &Request, from: Option<u64>) -> Result<Incoming, Failure> {
        let address = self.allowed(request)?;
        let connector = self.connector().map_err(Failure::Final)?;
        let mut more = HeaderMap::new();
        if let Some(have) = from {
            // The digest is over the bytes as they are stored: nobody may pack them for the journey.
            more.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
            if have > 0 {
                let range = HeaderValue::from_str(&format!("bytes={have}-"));
                more.insert(RANGE, range.expect("digits are fit for a header"));
            }
        }
        connector.send(request, address, more, &self.stopped)
    }

    /// The address of `request`, if it may be asked.
    fn allowed(&self, request: &Request) -> Result<reqwest::Url, Failure> {
        let url = &request.url;
        if self.options.offline {
            return Err(Failure::Final(Error::Offline { url: shown(url) }));
        }
        self.go_on(url)?;
        let parsed = reqwest::Url::parse(url)
            .ok()
            .filter(|parsed| matches!(parsed.scheme(), "http" | "https") && parsed.has_host())
            .ok_or_else(|| Failure::Final(Error::Address { url: shown(url) }))?;
        if parsed.scheme() == "http" && request.protection == Protection::Transport && !is_loopback(&parsed) {
            return Err(Failure::Final(Error::Plain { url: shown(url) }));
        }
        Ok(parsed)
    }

    /// Gives the body of `answer` to `sink`, part by part, and refuses more than `limit` bytes or a server that
    /// hardly sends.
    fn read_body(
        &self,
        url: &str,
        answer: &mut Incoming,
        limit: u64,
        mut sink: impl FnMut(&[u8]) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut pace = Pace::new(self.patience);
        let mut size = 0;
        let mut take = |bytes: &[u8]| {
            size += bytes.len() as u64;
            if size > limit {
                return Err(Failure::Final(Error::TooLarge { url: shown(url), limit }));
            }
            sink(bytes)?;
            pace.advance(bytes.len())?;
            self.go_on(url)
        };
        while answer.next(&mut take)? {}
        Ok(())
    }
}

/// How often something was tried in vain.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Attempts {
    made: u32,
}

impl Attempts {
    /// Something came of the last one: what failed after that counts anew.
    pub(crate) fn progressed(&mut self) {
        self.made = 0;
    }
}

/// How one attempt ended.
#[derive(Debug)]
pub(crate) enum Failure<E = Error> {
    /// Trying again cannot help.
    Final(E),
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

impl<E: From<Error>> Failure<E> {
    /// The same for a caller with more kinds of errors.
    pub(crate) fn of(failure: Failure) -> Self {
        match failure {
            Failure::Final(error) => Self::Final(error.into()),
            Failure::Passing { reason, asked, reached } => Self::Passing { reason, asked, reached },
        }
    }
}

impl Failure {
    fn broken(error: &dyn std::error::Error) -> Self {
        let reason = format!("the connection broke: {}", innermost(error));
        Self::Passing { reason, asked: None, reached: true }
    }

    fn silent(words: &str, patience: Duration) -> Self {
        let reason = format!("{words}: {} s have passed", patience.as_secs_f32());
        Self::Passing { reason, asked: None, reached: true }
    }

    fn from_reqwest(url: &str, error: &reqwest::Error) -> Self {
        let reason = innermost(error);
        if error.is_redirect() || error.is_builder() {
            return Self::Final(Error::Unreachable { url: shown(url), reason });
        }
        // A certificate that is not trusted stays so for the next seconds.
        if let Some(refusal) = tls::refusal(url, error) {
            return Self::Final(refusal);
        }
        // So does a name that does not exist; a name server that does not answer may recover.
        let hopeless = ["lookup address", "refused"];
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
fn checked(url: &str, response: Incoming) -> Result<Incoming, Failure> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    if let Some(failure) = passing(&response) {
        return Err(failure);
    }
    Err(Failure::Final(Error::Status { url: shown(url), status: status.to_string(), code: status.as_u16() }))
}

/// The failure that a status stands for which says that the same request may work later.
fn passing(response: &Incoming) -> Option<Failure> {
    let status = response.status();
    retry::is_transient(status.as_u16()).then(|| {
        let asked = retry::retry_after(response.headers());
        Failure::Passing { reason: format!("it answered `{status}`"), asked, reached: true }
    })
}

fn follow(attempt: reqwest::redirect::Attempt<'_>) -> reqwest::redirect::Action {
    let downgrade = attempt.url().scheme() == "http"
        && !is_loopback(attempt.url())
        && attempt.previous().last().is_some_and(|url| url.scheme() == "https");
    if downgrade {
        return attempt.error("an https address leads to plain http");
    }
    let leads_inside = is_internal(attempt.url())
        && attempt
            .previous()
            .last()
            .is_some_and(|url| url.host_str() != attempt.url().host_str() && !is_internal(url));
    if leads_inside {
        return attempt.error("it leads to an address of this machine or of a private network");
    }
    if attempt.previous().len() > 10 {
        return attempt.error("more than 10 redirections");
    }
    attempt.follow()
}

/// Whether the address is this machine's own.
pub fn is_loopback(url: &reqwest::Url) -> bool {
    let Some(host) = url.host_str() else { return false };
    let is_name = host == "localhost" || host.ends_with(".localhost");
    is_name || numeric(host).is_some_and(|ip| ip.is_loopback())
}

/// Whether the address is written as one of this machine, of a link or of a private network: a server elsewhere
/// that leads there makes its client ask what it cannot ask itself.
pub fn is_internal(url: &reqwest::Url) -> bool {
    use std::net::IpAddr::{V4, V6};
    is_loopback(url)
        || match url.host_str().and_then(numeric) {
            Some(V4(ip)) => ip.is_private() || ip.is_link_local() || ip.is_unspecified(),
            Some(V6(ip)) => ip.is_unique_local() || ip.is_unicast_link_local() || ip.is_unspecified(),
            None => false,
        }
}

/// The address that a host is written as; IPv4 inside IPv6 counts as IPv4.
fn numeric(host: &str) -> Option<std::net::IpAddr> {
    let address: std::net::IpAddr = host.trim_start_matches('[').trim_end_matches(']').parse().ok()?;
    Some(address.to_canonical())
}

fn chain(error: &dyn std::error::Error) -> impl Iterator<Item = String> {
    std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string)
}

fn innermost(error: &dyn std::error::Error) -> String {
    chain(error).last().unwrap_or_default()
}
