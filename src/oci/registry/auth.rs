//! Turns a challenge into the header that answers it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::AUTHORIZATION;
use serde::Deserialize;

use super::challenge::Challenge;
use super::credentials::{Search, Secret};
use super::error::Error;
use super::host::may_lead;
use super::session::Session;
use crate::http::{Body, Protection, Reply, Request};

/// The largest answer of a token server.
const LIMIT: u64 = 64 << 10;

/// The name of this program to token servers.
const CLIENT: &str = "rpack";

/// What is done in a repository.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Access {
    /// Reading.
    Pull,
    /// Reading and writing.
    Push {
        /// Other repositories of the registry whose blobs may be mounted.
        from: BTreeSet<String>,
    },
}

impl Access {
    /// As token servers write it, for the repository `path`
    /// (<https://distribution.github.io/distribution/spec/auth/scope/>). What matters most comes first: some servers
    /// read nothing else.
    fn scopes(&self, path: &str) -> Vec<String> {
        match self {
            Self::Pull => vec![format!("repository:{path}:pull")],
            Self::Push { from } => {
                let others = from.iter().map(|other| format!("repository:{other}:pull"));
                std::iter::once(format!("repository:{path}:pull,push")).chain(others).collect()
            }
        }
    }
}

type Slot = Arc<Mutex<Option<String>>>;

/// Headers that answered a challenge, by the address of a repository and what is done in it. While one thread asks for a
/// new one the others wait for it.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    known: Mutex<BTreeMap<(String, Access), Slot>>,
}

/// What a token server gives.
#[derive(Deserialize)]
struct Answer {
    token: Option<String>,
    access_token: Option<String>,
    refresh_token: Option<String>,
    #[serde(skip)]
    realm: String,
}

impl Answer {
    /// The token for the registry.
    fn bearer(&self) -> Result<&str, Error> {
        let token = [&self.token, &self.access_token].into_iter().flatten().find(|token| !token.is_empty());
        token
            .map(String::as_str)
            .ok_or_else(|| Error::Token { realm: self.realm.clone(), reason: "it holds no token".to_owned() })
    }
}

/// What answers the challenge of a registry where somebody logs in.
pub(super) struct Pass {
    /// The header for the registry.
    pub(super) header: String,
    /// What the token server wants to see from now on instead of the password.
    pub(super) identity: Option<String>,
}

/// Shows user and password to whoever `challenge` names. A token server is asked for an identity token, which some give.
pub(super) fn pass(
    challenge: &Challenge,
    (username, password): (&str, &str),
    session: &Session<'_>,
    search: &Search,
) -> Result<Pass, Error> {
    let Challenge::Bearer { realm, service, scope } = challenge else {
        return Ok(Pass { header: basic(username, password), identity: None });
    };
    may_be_asked(&session.repository, realm)?;
    let scopes = scope.iter().flat_map(|scope| scope.split_whitespace()).map(str::to_owned).collect();
    let (service, protection) = (service.as_deref(), session.repository.protection);
    let ask = Ask { realm, service, scopes, login: Some(username), protection };
    let secret = Secret::Password { username: username.to_owned(), password: password.to_owned() };
    let answer = ask.token(Some(&secret), session, search)?;
    let header = format!("Bearer {}", answer.bearer()?);
    Ok(Pass { header, identity: answer.refresh_token.filter(|token| !token.is_empty()) })
}

/// Refuses a token server that `repository` may not lead to.
fn may_be_asked(repository: &super::host::Repository, realm: &str) -> Result<(), Error> {
    may_lead(&repository.origin, realm).map_err(|reason| Error::Elsewhere {
        host: repository.host.clone(),
        purpose: "for a token",
        address: crate::http::shown(realm),
        reason,
    })
}

impl Tokens {
    /// The header for requests to `repository`, if it is known.
    pub(super) fn get(&self, repository: &super::host::Repository, access: &Access) -> Option<String> {
        lock(&self.slot(repository, access)).clone()
    }

    fn slot(&self, repository: &super::host::Repository, access: &Access) -> Slot {
        let key = (format!("{}/{}", repository.origin, repository.path), access.clone());
        lock(&self.known).entry(key).or_default().clone()
    }

    /// Answers `challenge` with what `search` found; none when there is nothing to answer with. `used` is the header that
    /// was refused.
    pub(super) fn renew(
        &self,
        challenge: &Challenge,
        used: Option<&str>,
        session: &Session<'_>,
        search: &Search,
    ) -> Result<Option<String>, Error> {
        let slot = self.slot(&session.repository, &session.access);
        let mut known = lock(&slot);
        if known.is_some() && known.as_deref() != used {
            return Ok(known.clone());
        }
        let secret = search.credential.as_ref().map(|credential| &credential.secret);
        let header = match (challenge, secret) {
            (Challenge::Basic, Some(Secret::Password { username, password })) => basic(username, password),
            (Challenge::Basic, _) => return Ok(None),
            (Challenge::Bearer { .. }, Some(Secret::Registry(token))) => format!("Bearer {token}"),
            (Challenge::Bearer { realm, service, scope }, secret) => {
                let repository = &session.repository;
                may_be_asked(repository, realm)?;
                let own = session.access.scopes(&repository.path);
                let scopes = scopes(own, scope.as_deref(), used.is_some());
                let service = service.as_deref();
                let ask = Ask { realm, service, scopes, login: None, protection: repository.protection };
                format!("Bearer {}", ask.token(secret, session, search)?.bearer()?)
            }
        };
        *known = Some(header.clone());
        Ok(Some(header))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What to ask for: our own wishes and the challenge's. The challenge's come first when ours were not enough.
fn scopes(own: Vec<String>, challenge: Option<&str>, were_not_enough: bool) -> Vec<String> {
    let wanted = challenge.into_iter().flat_map(str::split_whitespace).map(str::to_owned);
    let all: Vec<String> =
        if were_not_enough { wanted.chain(own).collect() } else { own.into_iter().chain(wanted).collect() };
    let is_covered = |at: usize| {
        all.iter().enumerate().any(|(other, scope)| {
            other != at && covers(scope, &all[at]) && (other < at || !covers(&all[at], scope))
        })
    };
    (0..all.len()).filter(|at| !is_covered(*at)).map(|at| all[at].clone()).collect()
}

/// Whether the scope `wide` allows all that `narrow` does.
fn covers(wide: &str, narrow: &str) -> bool {
    let parts = |scope: &str| scope.rsplit_once(':').map(|(of, what)| (of.to_owned(), what.to_owned()));
    match (parts(wide), parts(narrow)) {
        (Some((of, all)), Some((other, some))) => {
            of == other && some.split(',').all(|action| all.split(',').any(|other| other == action))
        }
        _ => wide == narrow,
    }
}

fn basic(username: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{username}:{password}")))
}

/// A question to a token server.
struct Ask<'a> {
    realm: &'a str,
    service: Option<&'a str>,
    scopes: Vec<String>,
    /// The user, for a login.
    login: Option<&'a str>,
    protection: Protection,
}

impl Ask<'_> {
    fn service(&self) -> impl Iterator<Item = (&str, &str)> {
        self.service.into_iter().map(|service| ("service", service))
    }

    /// <https://distribution.github.io/distribution/spec/auth/token/#requesting-a-token>
    fn get(&self, secret: Option<&Secret>) -> Request {
        let separator = if self.realm.contains('?') { '&' } else { '?' };
        let scopes = self.scopes.iter().map(|scope| ("scope", scope.as_str()));
        // As docker asks: servers that give identity tokens want to know for whom and what.
        let login = self
            .login
            .into_iter()
            .flat_map(|user| [("account", user), ("client_id", CLIENT), ("offline_token", "true")]);
        let fields: Vec<_> = self.service().chain(scopes).chain(login).collect();
        let url = format!("{}{separator}{}", self.realm, encode(&fields));
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
            vec![("grant_type", "refresh_token"), ("client_id", CLIENT), ("refresh_token", token)];
        let scopes = self.scopes.join(" ");
        fields.extend(self.service());
        fields.push(("scope", &scopes));
        Request::new(reqwest::Method::POST, self.realm, self.protection).sending(Body::Form(encode(&fields)))
    }

    /// The token. A server that gives none for all that was asked is asked for the first scope alone: blobs that
    /// cannot be mounted are uploaded.
    fn token(
        &self,
        secret: Option<&Secret>,
        session: &Session<'_>,
        search: &Search,
    ) -> Result<Answer, Error> {
        let mut reply = self.reply(secret, session)?;
        if matches!(reply.status, 400 | 401 | 403) && self.scopes.len() > 1 {
            let first = Self { scopes: self.scopes[..1].to_vec(), ..*self };
            reply = first.reply(secret, session)?;
        }
        let realm = crate::http::shown(self.realm);
        if reply.status != 200 {
            let request = format!("asking {realm} for a token");
            return Err(Error::refused(&session.repository, &request, &reply, search));
        }
        let answer: Answer = serde_json::from_slice(&reply.bytes)
            .map_err(|_| Error::Token { realm: realm.clone(), reason: "it is not JSON".to_owned() })?;
        Ok(Answer { realm, ..answer })
    }

    fn reply(&self, secret: Option<&Secret>, session: &Session<'_>) -> Result<Reply, Error> {
        let client = &session.client;
        if let Some(Secret::Identity(token)) = secret {
            let reply = client.ask(&self.refresh(token), LIMIT)?;
            // Token servers that know no refresh tokens say that there is nothing.
            if !matches!(reply.status, 404 | 405) {
                return Ok(reply);
            }
        }
        Ok(client.ask(&self.get(secret), LIMIT)?)
    }
}

/// Form fields (<https://url.spec.whatwg.org/#urlencoded-serializing>).
pub(super) fn encode(fields: &[(&str, &str)]) -> String {
    let mut url = reqwest::Url::parse("http://form.invalid/").expect("a constant address is one");
    url.query_pairs_mut().extend_pairs(fields);
    url.query().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::{Access, scopes};

    #[test]
    fn scopes_cover_each_other() {
        let push = |from: &[&str]| {
            let from = from.iter().map(|&text| text.to_owned()).collect();
            Access::Push { from }.scopes("app")
        };
        for (own, challenge, were_not_enough, expected) in [
            (Access::Pull.scopes("app"), None, false, vec!["repository:app:pull"]),
            (Access::Pull.scopes("app"), Some("repository:app:pull"), false, vec!["repository:app:pull"]),
            (push(&[]), Some("repository:app:pull"), false, vec!["repository:app:pull,push"]),
            (push(&[]), Some("repository:app:push,pull"), true, vec!["repository:app:push,pull"]),
            (
                push(&["base"]),
                Some("repository:app:delete registry:catalog:*"),
                true,
                vec![
                    "repository:app:delete",
                    "registry:catalog:*",
                    "repository:app:pull,push",
                    "repository:base:pull",
                ],
            ),
        ] {
            assert_eq!(scopes(own, challenge, were_not_enough), expected);
        }
    }
}
