//! Requests to one repository, with what the registry wants to see first.

use reqwest::Method;
use reqwest::header::{AUTHORIZATION, HeaderName};

use super::auth::Access;
use super::challenge;
use super::client::Registry;
use super::error::{Error, words};
use super::host::Repository;
use crate::http::{self, Client, Failure, Reply, Request};

/// One repository, and what is done in it.
#[derive(Debug)]
pub(super) struct Session<'a> {
    pub(super) registry: &'a Registry,
    pub(super) repository: Repository,
    pub(super) access: Access,
    pub(super) client: Client,
}

impl Session<'_> {
    /// A request to `address` of this repository.
    pub(super) fn request(&self, method: Method, address: impl Into<String>) -> Request {
        Request::new(method, address, self.repository.protection)
    }

    /// The header that the last answer accepted, if one was wanted.
    pub(super) fn header(&self) -> Option<String> {
        self.registry.tokens.get(&self.repository, &self.access)
    }

    /// Sends the request until the answer is not one of a passing fault.
    ///
    /// # Errors
    /// When no answer comes, or a refusal.
    pub(super) fn ask(&self, request: &Request, limit: u64) -> Result<Reply, Error> {
        self.client.attempt(&request.url, |_| self.once(request, limit))
    }

    /// Sends the request, and again with what the registry asks for. The answer has any status but 401, 403 and those
    /// of passing faults.
    pub(super) fn once(&self, request: &Request, limit: u64) -> Result<Reply, Failure<Error>> {
        // What is elsewhere is elsewhere on purpose, with an address that says enough.
        if !self.repository.is_own(&request.url) {
            let reply = self.send(request, None, limit)?;
            return self.checked(request, reply);
        }
        let mut used = self.header();
        // Where tokens end, the next one may be older than it seems: another thread got it for its own requests.
        let renewals = if used.is_some() { 2 } else { 1 };
        let mut reply = self.send(request, used.as_deref(), limit)?;
        for _ in 0..renewals {
            if reply.status != 401 {
                break;
            }
            let header = self.answer(request, &reply, used.as_deref()).map_err(Failure::Final)?;
            reply = self.send(request, Some(&header), limit)?;
            used = Some(header);
        }
        self.checked(request, reply)
    }

    fn send(&self, request: &Request, header: Option<&str>, limit: u64) -> Result<Reply, Failure<Error>> {
        let sent = match header {
            Some(header) => self.client.ask_once(&request.clone().with(AUTHORIZATION, header), limit),
            None => self.client.ask_once(request, limit),
        };
        sent.map_err(Failure::of)
    }

    /// The header that answers a 401.
    fn answer(&self, request: &Request, reply: &Reply, used: Option<&str>) -> Result<String, Error> {
        let repository = &self.repository;
        let credentials = &self.registry.credentials;
        let mut search = match used {
            Some(_) => credentials.find_again(&repository.host, &repository.path)?,
            None => credentials.find(&repository.host, &repository.path)?,
        };
        let challenge = challenge::read(&reply.headers);
        if let Some(challenge) = &challenge
            && let Some(header) = self.registry.tokens.renew(challenge, used, self, &search)?
        {
            return Ok(header);
        }
        if challenge.is_some() && search.credential.is_some() {
            search
                .failures
                .push("the registry asks for a user name and a password, which that is not".to_owned());
        }
        Err(Error::refused(repository, &self.shown(request), reply, &search))
    }

    fn checked(&self, request: &Request, reply: Reply) -> Result<Reply, Failure<Error>> {
        if matches!(reply.status, 401 | 403) {
            let repository = &self.repository;
            let found = self.registry.credentials.find(&repository.host, &repository.path);
            let search = found.map_err(Failure::Final)?;
            return Err(Failure::Final(Error::refused(repository, &self.shown(request), &reply, &search)));
        }
        let method = &request.method;
        match reply.passing(&words(&reply.bytes)) {
            Some(Failure::Passing { reason, asked, reached }) => {
                Err(Failure::Passing { reason: format!("at `{method}`, {reason}"), asked, reached })
            }
            Some(failure) => Err(failure),
            None => Ok(reply),
        }
    }

    /// The error for an answer that nothing can be made of.
    pub(super) fn unexpected(&self, request: &Request, reply: &Reply) -> Error {
        Error::Status {
            host: self.repository.host.clone(),
            request: self.shown(request),
            status: reply.status,
            code: words(&reply.bytes),
        }
    }

    /// The request for messages: without what registries append to addresses.
    pub(super) fn shown(&self, request: &Request) -> String {
        let url = http::shown(&request.url);
        let path = url.strip_prefix(self.repository.origin.as_str()).unwrap_or(&url);
        format!("`{} {path}`", request.method)
    }
}

/// What a registry says about an upload
/// (<https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pushing-blobs>).
pub(super) const CHUNK_LENGTH: HeaderName = HeaderName::from_static("oci-chunk-min-length");
