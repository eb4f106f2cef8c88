//! Turns a challenge into the header that answers it.

use std::collections::BTreeMap;
use std::sync::Mutex;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::AUTHORIZATION;
use serde::Deserialize;

use super::challenge::{Challenge, check_realm};
use super::credentials::{Search, Secret};
use super::error::Error;
use super::host::Repository;
use crate::http::{Client, Protection, Reply, Request};

/// The largest answer of a token server.
const LIMIT: u64 = 64 << 10;

/// Headers that were accepted, by the address of a repository.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    known: Mutex<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
struct Answer {
    token: Option<String>,
    access_token: Option<String>,
}

impl Tokens {
    /// The header for requests to `repository`, if it is known.
    pub(super) fn get(&self, repository: &Repository) -> Option<String> {
        self.lock().get(&key(repository)).cloned()
    }

    fn keep(&self, repository: &Repository, header: &str) {
        self.lock().insert(key(repository), header.to_owned());
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, String>> {
        self.known.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Answers `challenge` with what `search` found; none when there is nothing to answer with.
    pub(super) fn answer(
        &self,
        challenge: &Challenge,
        repository: &Repository,
        search: &Search,
        client: &Client,
    ) -> Result<Option<String>, Error> {
        let secret = search.credential.as_ref().map(|credential| &credential.secret);
        let header = match (challenge, secret) {
            (Challenge::Basic, Some(Secret::Password { username, password })) => basic(username, password),
            (Challenge::Basic, _) => return Ok(None),
            (Challenge::Bearer { .. }, Some(Secret::Registry(token))) => format!("Bearer {token}"),
            (Challenge::Bearer { realm, service, scope }, secret) => {
                check_realm(&repository.origin, realm).map_err(|reason| Error::Realm {
                    host: repository.host.clone(),
                    realm: crate::http::shown(realm),
                    reason,
                })?;
                let scope = scope.clone().unwrap_or_else(|| format!("repository:{}:pull", repository.path));
                let ask = Ask {
                    realm,
                    service: service.as_deref(),
                    scope: &scope,
                    protection: repository.protection,
                };
                format!("Bearer {}", token(&ask, secret, repository, search, client)?)
            }
        };
        self.keep(repository, &header);
        Ok(Some(header))
    }
}

fn key(repository: &Repository) -> String {
    format!("{}/{}", repository.origin, repository.path)
}

fn basic(username: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{username}:{password}")))
}

/// A question to a token server.
struct Ask<'a> {
    realm: &'a str,
    service: Option<&'a str>,
    scope: &'a str,
    protection: Protection,
}

impl Ask<'_> {
    fn fields(&self) -> Vec<(&str, &str)> {
        let service = self.service.map(|service| ("service", service));
        service.into_iter().chain([("scope", self.scope)]).collect()
    }

    /// <https://distribution.github.io/distribution/spec/auth/token/#requesting-a-token>
    fn get(&self, secret: Option<&Secret>) -> Request {
        let separator = if self.realm.contains('?') { '&' } else { '?' };
        let url = format!("{}{separator}{}", self.realm, encode(&self.fields()));
        let request = Request::get(url, self.protection);
        match secret {
            Some(Secret::Password { username, password }) => {
                request.with(AUTHORIZATION, &basic(username, password))
            }
            Some(Secret::Identity(token)) => request.with(AUTHORIZATION, &basic("<token>", token)),
            _ => request,
        }
    }

    /// <https://distribution.github.io/distribution/spec/auth/oauth/>
    fn refresh(&self, token: &str) -> Request {
        let mut fields =
            vec![("grant_type", "refresh_token"), ("client_id", "rpack"), ("refresh_token", token)];
        fields.extend(self.fields());
        Request { form: Some(encode(&fields)), ..Request::get(self.realm, self.protection) }
    }
}

fn token(
    ask: &Ask<'_>,
    secret: Option<&Secret>,
    repository: &Repository,
    search: &Search,
    client: &Client,
) -> Result<String, Error> {
    let mut reply: Option<Reply> = None;
    if let Some(Secret::Identity(token)) = secret {
        // Token servers that know no refresh tokens say that there is nothing.
        reply = Some(client.ask(&ask.refresh(token), LIMIT)?).filter(|r| !matches!(r.status, 404 | 405));
    }
    let reply = match reply {
        Some(reply) => reply,
        None => client.ask(&ask.get(secret), LIMIT)?,
    };
    if reply.status != 200 {
        let request = format!("asking {} for a token", crate::http::shown(ask.realm));
        return Err(Error::refused(repository, &request, &reply, search));
    }
    let unreadable =
        |reason: &str| Error::Token { realm: crate::http::shown(ask.realm), reason: reason.to_owned() };
    let answer: Answer = serde_json::from_slice(&reply.bytes).map_err(|_| unreadable("it is not JSON"))?;
    let token = answer.token.filter(|token| !token.is_empty()).or(answer.access_token);
    token.filter(|token| !token.is_empty()).ok_or_else(|| unreadable("it holds no token"))
}

/// Form fields (<https://url.spec.whatwg.org/#urlencoded-serializing>).
fn encode(fields: &[(&str, &str)]) -> String {
    let mut url = reqwest::Url::parse("http://form.invalid/").expect("a constant address is one");
    url.query_pairs_mut().extend_pairs(fields);
    url.query().unwrap_or_default().to_owned()
}
