//! Requests with headers of their own, whose refusals are answers: what a registry's protocol needs.

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use super::{Client, Error, Protection, passing};

/// A request.
#[derive(Clone, Debug)]
pub struct Request {
    /// Where it goes.
    pub url: String,
    /// What protects the answer.
    pub protection: Protection,
    /// Beside what every request has. Those that hold credentials are not sent on to another host.
    pub headers: HeaderMap,
    /// The fields of a form, encoded; the request is then a POST instead of a GET.
    pub form: Option<String>,
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
    /// A GET without further headers.
    pub fn get(url: impl Into<String>, protection: Protection) -> Self {
        Self { url: url.into(), protection, headers: HeaderMap::new(), form: None }
    }

    /// The same request with a header. A text that cannot be one is left out: the server then refuses, and says why.
    #[must_use]
    pub fn with(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(mut value) = HeaderValue::from_str(value) {
            value.set_sensitive(name == reqwest::header::AUTHORIZATION);
            self.headers.append(name, value);
        }
        self
    }
}

impl Reply {
    /// The text of a header, if it has one; the first of several.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
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
            let mut response = self.send(request, None)?;
            if let Some(failure) = passing(&response) {
                return Err(failure);
            }
            let (status, headers) = (response.status().as_u16(), response.headers().clone());
            let mut bytes = Vec::new();
            self.read_body(&request.url, &mut response, limit, |part| {
                bytes.extend_from_slice(part);
                Ok(())
            })?;
            Ok(Reply { status, headers, bytes })
        })
    }
}
