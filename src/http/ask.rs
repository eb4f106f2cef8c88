//! Requests of any kind, whose refusals are answers: what a registry's protocol needs.

use reqwest::Method;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};

use super::part::Part;
use super::{Client, Error, Failure, Protection, retry};

/// A request.
#[derive(Clone, Debug)]
pub struct Request {
    /// What is done there.
    pub method: Method,
    /// Where it goes.
    pub url: String,
    /// What protects the answer.
    pub protection: Protection,
    /// Beside what every request has. Those that hold credentials are not sent on to another host.
    pub headers: HeaderMap,
    /// What is sent.
    pub body: Body,
}

/// What a request sends.
#[derive(Clone, Debug)]
pub enum Body {
    /// Nothing.
    Empty,
    /// The fields of a form, encoded.
    Form(String),
    /// These bytes.
    Bytes(Vec<u8>),
    /// A part of a file.
    Part(Part),
}

/// The answer, whatever its status.
#[derive(Clone, Debug)]
pub struct Reply {
    /// `200`, `401`, `404`.
    pub status: u16,
    /// What stands before the body.
    pub headers: HeaderMap,
    /// The body, whole.
    pub bytes: Vec<u8>,
}

impl Request {
    /// A request without further headers and without a body.
    pub fn new(method: Method, url: impl Into<String>, protection: Protection) -> Self {
        Self { method, url: url.into(), protection, headers: HeaderMap::new(), body: Body::Empty }
    }

    /// A GET without further headers.
    pub fn get(url: impl Into<String>, protection: Protection) -> Self {
        Self::new(Method::GET, url, protection)
    }

    /// The same request with a header. A text that cannot be one is left out: the server then refuses, and says why.
    #[must_use]
    pub fn with(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(mut value) = HeaderValue::from_str(value) {
            value.set_sensitive(name == AUTHORIZATION);
            self.headers.append(name, value);
        }
        self
    }

    /// The same request with `body`.
    #[must_use]
    pub fn sending(self, body: Body) -> Self {
        Self { body, ..self }
    }
}

impl Reply {
    /// The text of a header, if it has one; the first of several.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The failure that the status stands for, if the same request may work later; `words` are the server's own.
    pub(crate) fn passing<E>(&self, words: &str) -> Option<Failure<E>> {
        retry::is_transient(self.status).then(|| {
            let status = reqwest::StatusCode::from_u16(self.status)
                .map_or_else(|_| self.status.to_string(), |status| status.to_string());
            let words = if words.is_empty() { String::new() } else { format!(": {words}") };
            Failure::Passing {
                reason: format!("it answered `{status}`{words}"),
                asked: retry::retry_after(&self.headers),
                reached: true,
            }
        })
    }
}

impl Client {
    /// Sends `request` and returns whatever comes back, with at most `limit` bytes of a body. Passing faults are
    /// tried again.
    ///
    /// # Errors
    /// When no answer comes, or a larger one.
    pub fn ask(&self, request: &Request, limit: u64) -> Result<Reply, Error> {
        self.attempt(&request.url, |_| {
            let reply = self.ask_once(request, limit)?;
            reply.passing("").map_or(Ok(reply), Err)
        })
    }

    /// As [`Client::ask`], once: the answer may be one of a passing fault.
    pub(crate) fn ask_once(&self, request: &Request, limit: u64) -> Result<Reply, Failure> {
        let mut answer = self.send(request, None)?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let mut bytes = Vec::new();
        self.read_body(&request.url, &mut answer, limit, |part| {
            bytes.extend_from_slice(part);
            Ok(())
        })?;
        Ok(Reply { status, headers, bytes })
    }
}
