//! One blob on its way to a repository
//! (<https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pushing-blobs>).
//!
//! What another repository of the registry has is mounted, and the rest goes in one piece, with the request that ends an
//! upload. After a fault the registry says how much it has, and the rest follows in smaller pieces; an upload that ended
//! with the program goes on in the next run. Bytes that the registry has acknowledged are never sent again.

use std::path::PathBuf;

use reqwest::Method;
use reqwest::header::{CONTENT_RANGE, CONTENT_TYPE};
use serde::{Deserialize, Serialize};

use super::error::Error;
use super::push::stated;
use super::session::{CHUNK_LENGTH, Session};
use crate::http::{Attempts, Body, Counted, Failure, Part, Reply, Request};
use crate::oci::Digest;
use crate::store::Store;
use crate::ui::Transfer;

/// Answers to uploads say what they have to say in their headers, and errors in a few lines.
const LIMIT: u64 = 64 << 10;
/// Larger blobs leave a note that an upload is under way.
const NOTED: u64 = 1 << 20;
/// The pieces after the first fault; each further one without progress divides them by four.
const PIECE: u64 = 1 << 20;
/// Pieces never get smaller.
const SMALLEST_PIECE: u64 = 16 << 10;

/// How a blob came to be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// It was there.
    Present,
    /// Taken from another repository.
    Mounted,
    /// Bytes that were sent in this run.
    Uploaded(u64),
}

/// A blob to send.
pub(super) struct Upload<'a> {
    pub(super) session: &'a Session<'a>,
    pub(super) digest: Digest,
    pub(super) size: u64,
    /// Leads to a file with its bytes; not asked when they are not sent.
    pub(super) open: &'a dyn Fn() -> Result<PathBuf, Error>,
    /// Another repository of the registry that may have it.
    pub(super) from: Option<String>,
    pub(super) store: &'a Store,
    pub(super) progress: &'a Transfer,
}

/// An upload that the registry has opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Open {
    /// Where it goes on.
    location: String,
    /// The smallest piece that the registry takes, but for the last.
    #[serde(default)]
    least: u64,
}

/// How far an upload is.
#[derive(Debug)]
struct State {
    open: Option<Open>,
    /// Acknowledged bytes.
    have: u64,
    /// What was sent in all.
    sent: u64,
    /// The largest piece; none, before anything has failed: all at once.
    piece: Option<u64>,
    /// Whether the registry has to say how much it has.
    is_unsure: bool,
}

/// What came of opening an upload.
enum Begun {
    Mounted,
    Open(Open),
}

/// Whether the blob is in the repository. A registry that does not let it be looked at does not have it.
pub(super) fn is_present(session: &Session<'_>, digest: &Digest) -> Result<bool, Error> {
    let request = session.request(Method::HEAD, session.repository.blob(&digest.to_string()));
    match session.ask(&request, LIMIT) {
        Ok(reply) => Ok(reply.status == 200),
        Err(Error::Refused(refusal)) if refusal.status == 403 => Ok(false),
        Err(error) => Err(error),
    }
}

impl Upload<'_> {
    /// Sends the blob, which is known not to be there.
    ///
    /// # Errors
    /// When the registry refuses, or faults do not pass. What it has acknowledged is not sent again by the next run.
    pub(super) fn run(&self) -> Result<Sent, Error> {
        let noted = self.noted();
        let is_unsure = noted.is_some();
        let mut state = State { open: noted, have: 0, sent: 0, piece: None, is_unsure };
        let mut attempts = Attempts::default();
        let address = self.session.repository.uploads();
        loop {
            match self.advance(&mut state, &mut attempts) {
                Ok(sent) => {
                    self.forget();
                    return Ok(sent);
                }
                Err(failure) => {
                    state.is_unsure = state.open.is_some();
                    state.piece = Some(state.piece.map_or(PIECE, |piece| (piece / 4).max(SMALLEST_PIECE)));
                    self.session.client.pause(&address, failure, &mut attempts)?;
                }
            }
        }
    }

    /// Goes on until the blob is there or something fails.
    fn advance(&self, state: &mut State, attempts: &mut Attempts) -> Result<Sent, Failure<Error>> {
        if state.is_unsure {
            self.find_out(state, attempts)?;
            // The last request may have arrived, and only its answer not.
            if state.open.is_none() && is_present(self.session, &self.digest).map_err(Failure::Final)? {
                return Ok(Sent::Uploaded(state.sent));
            }
        }
        let mut open = match state.open.clone() {
            Some(open) => open,
            None => match self.begin()? {
                Begun::Mounted => return Ok(Sent::Mounted),
                Begun::Open(open) => open,
            },
        };
        state.open = Some(open.clone());
        self.note(&open);
        if state.have > 0 || state.piece.is_some() {
            while state.have < self.size {
                open = self.send_piece(&open, state)?;
                state.open = Some(open.clone());
                self.note(&open);
                attempts.progressed();
            }
        }
        self.finish(&open, state)?;
        Ok(Sent::Uploaded(state.sent))
    }

    fn begin(&self) -> Result<Begun, Failure<Error>> {
        let mut address = self.session.repository.uploads();
        if let Some(from) = &self.from {
            let digest = self.digest.to_string();
            let fields = super::auth::encode(&[("mount", digest.as_str()), ("from", from)]);
            address = format!("{address}?{fields}");
        }
        let request = self.session.request(Method::POST, address).sending(Body::Bytes(Vec::new()));
        let reply = self.session.once(&request, LIMIT)?;
        match reply.status {
            201 => Ok(Begun::Mounted),
            202 => {
                let least =
                    reply.headers.get(CHUNK_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
                let location = self.location(&request, &reply)?;
                Ok(Begun::Open(Open { location, least: least.unwrap_or_default() }))
            }
            _ => Err(Failure::Final(self.session.unexpected(&request, &reply))),
        }
    }

    /// Sends the next piece.
    fn send_piece(&self, open: &Open, state: &mut State) -> Result<Open, Failure<Error>> {
        let left = self.size - state.have;
        let length = state.piece.map_or(left, |piece| piece.max(open.least).min(left));
        let sent = Counted::new(self.progress.clone());
        let part = self.part(state.have, length, &sent)?;
        let range = format!("{}-{}", state.have, state.have + length - 1);
        let request = self.session.request(Method::PATCH, &open.location).sending(part);
        let request = request.with(CONTENT_RANGE, &range).with(CONTENT_TYPE, "application/octet-stream");
        let reply = self.session.once(&request, LIMIT).inspect_err(|_| sent.retract())?;
        match reply.status {
            200..300 => {
                state.have += length;
                state.sent += length;
                Ok(Open { location: self.location(&request, &reply)?, least: open.least })
            }
            status => {
                sent.retract();
                Err(self.interrupted(&request, &reply, status, state))
            }
        }
    }

    /// Sends what is left, and says that this was all.
    fn finish(&self, open: &Open, state: &mut State) -> Result<(), Failure<Error>> {
        let separator = if open.location.contains('?') { '&' } else { '?' };
        let digest = self.digest.to_string();
        let digest = super::auth::encode(&[("digest", digest.as_str())]);
        let address = format!("{}{separator}{digest}", open.location);
        let mut request = self.session.request(Method::PUT, address).sending(Body::Bytes(Vec::new()));
        let (rest, sent) = (self.size - state.have, Counted::new(self.progress.clone()));
        if rest > 0 {
            request = request
                .sending(self.part(state.have, rest, &sent)?)
                .with(CONTENT_TYPE, "application/octet-stream");
        }
        let reply = self.session.once(&request, LIMIT).inspect_err(|_| sent.retract())?;
        match reply.status {
            200..300 => {
                state.sent += rest;
                self.check(&reply)
            }
            status => {
                sent.retract();
                Err(self.interrupted(&request, &reply, status, state))
            }
        }
    }

    /// A registry that has stored something else is wrong about it, or somebody between here and there is.
    fn check(&self, reply: &Reply) -> Result<(), Failure<Error>> {
        match stated(reply) {
            Some(found) if found != self.digest => Err(Failure::Final(Error::Stored {
                host: self.session.repository.host.clone(),
                expected: self.digest,
                found,
            })),
            _ => Ok(()),
        }
    }

    /// An upload that is gone begins anew, one that is elsewhere goes on there; all else is final.
    fn interrupted(
        &self,
        request: &Request,
        reply: &Reply,
        status: u16,
        state: &mut State,
    ) -> Failure<Error> {
        if status == 404 {
            self.progress.retract(state.have);
            (state.open, state.have) = (None, 0);
        }
        if matches!(status, 404 | 416) {
            let reason = self.session.unexpected(request, reply).to_string();
            return Failure::Passing { reason, asked: Some(std::time::Duration::ZERO), reached: true };
        }
        self.forget();
        Failure::Final(self.session.unexpected(request, reply))
    }

    /// Asks how much the registry has.
    fn find_out(&self, state: &mut State, attempts: &mut Attempts) -> Result<(), Failure<Error>> {
        let Some(open) = state.open.clone() else { return Ok(()) };
        let request = self.session.request(Method::GET, &open.location);
        let reply = self.session.once(&request, LIMIT)?;
        state.is_unsure = false;
        let have = (reply.status == 204).then(|| range(reply.header("range"))).flatten();
        let Some(have) = have.filter(|have| *have <= self.size) else {
            self.progress.retract(state.have);
            (state.open, state.have) = (None, 0);
            return Ok(());
        };
        if have > state.have {
            if state.piece.is_some() {
                state.sent += have - state.have;
            }
            self.progress.advance(have - state.have);
            attempts.progressed();
        }
        state.have = have;
        let location = match reply.header("location") {
            Some(_) => self.location(&request, &reply)?,
            None => open.location,
        };
        state.open = Some(Open { location, least: open.least });
        Ok(())
    }

    fn location(&self, request: &Request, reply: &Reply) -> Result<String, Failure<Error>> {
        let Some(location) = reply.header("location") else {
            return Err(Failure::Final(self.session.unexpected(request, reply)));
        };
        self.session.repository.follow(&request.url, location).map_err(Failure::Final)
    }

    fn part(&self, from: u64, length: u64, sent: &Counted) -> Result<Body, Failure<Error>> {
        let file = (self.open)().map_err(Failure::Final)?;
        Ok(Body::Part(Part { file, from, length, progress: sent.clone() }))
    }

    /// The name of the note about this upload.
    fn record(&self) -> String {
        format!("uploads/{}.json", self.session.repository.key(&self.digest))
    }

    /// The upload that an earlier run left open.
    fn noted(&self) -> Option<Open> {
        let bytes = (self.size >= NOTED).then(|| self.store.record(&self.record())).flatten()?;
        let open: Open = serde_json::from_slice(&bytes).ok()?;
        // The note may be old, and the registry's word is not needed for what it may ask.
        let location =
            self.session.repository.follow(&self.session.repository.uploads(), &open.location).ok()?;
        Some(Open { location, ..open })
    }

    fn note(&self, open: &Open) {
        if self.size >= NOTED
            && let Ok(bytes) = serde_json::to_vec(open)
        {
            // Without it the next run begins anew.
            let _ = self.store.put_record(&self.record(), &bytes);
        }
    }

    fn forget(&self) {
        if self.size >= NOTED {
            self.store.drop_record(&self.record());
        }
    }
}

/// The number of bytes that `0-END` stands for. Some registries write `0-0` for nothing at all.
fn range(text: Option<&str>) -> Option<u64> {
    let (start, end) = text?.trim_start_matches("bytes=").split_once('-')?;
    let end: u64 = end.trim().parse().ok()?;
    (start.trim() == "0").then_some(if end == 0 { 0 } else { end + 1 })
}

#[cfg(test)]
mod tests {
    use super::range;

    #[test]
    fn ranges_of_uploads() {
        for (text, expected) in [
            (Some("0-1023"), Some(1024)),
            (Some("bytes=0-9"), Some(10)),
            (Some("0-0"), Some(0)),
            (Some("5-9"), None),
            (Some("0--1"), None),
            (Some("x"), None),
            (None, None),
        ] {
            assert_eq!(range(text), expected, "{text:?}");
        }
    }
}
