//! Lists of versions as registries answer them: asked for, kept, asked again only when they may have changed.
//!
//! In: an address and a reader of the answer. Out: what the reader makes of it. The extract is kept and not the
//! answer, which may be a hundred times as long. A list that cannot be refreshed is used as it is, with a warning.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Ecosystem;
use crate::http::{self, Answer, Protection, shown};
use crate::rootfs::cache::{self, Header};
use crate::rootfs::{Context, Error};

/// The longest lists have some ten megabytes.
const LARGEST: u64 = 128 << 20;

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Question<'a> {
    pub(super) ecosystem: Ecosystem,
    /// The package, module, project or artifact, for messages.
    pub(super) name: &'a str,
    /// The registry's address, for messages.
    pub(super) registry: &'a str,
    pub(super) url: &'a str,
    /// The media type that is wanted.
    pub(super) accept: Option<&'a str>,
}

impl Question<'_> {
    /// The error for an answer that is none.
    fn answer(&self, reason: String) -> Error {
        Error::RegistryAnswer { ecosystem: self.ecosystem, url: shown(self.url), reason }
    }

    fn unknown(&self) -> Error {
        Error::RegistryUnknown {
            ecosystem: self.ecosystem,
            name: self.name.to_owned(),
            registry: shown(self.registry),
        }
    }
}

/// What `read` makes of the answer, now or when it was last asked for.
///
/// # Errors
/// [`Error::RegistryUnknown`] when there is no such list, [`Error::RegistryAnswer`] when it cannot be read.
pub(super) fn ask<T: Serialize + DeserializeOwned>(
    context: &Context,
    question: &Question<'_>,
    read: impl Fn(&[u8]) -> Result<T, String>,
) -> Result<T, Error> {
    if let Some(path) = super::local(question.url) {
        let bytes = std::fs::read(path).map_err(|_| question.unknown())?;
        return read(&bytes).map_err(|reason| question.answer(reason));
    }
    let kept = cache::read(&context.store, question.url)
        .and_then(|(header, bytes)| Some((header, serde_json::from_slice::<T>(&bytes).ok()?)));
    let (etag, kept) = match kept {
        Some((header, list)) if context.client.is_offline() || header.is_fresh(context.now) => {
            context.used(header.fetched);
            return Ok(list);
        }
        Some((header, list)) => (header.etag, Some(list)),
        None => (None, None),
    };
    context.used(context.now);
    let answer = context.client.get_if_changed(
        question.url,
        Protection::Transport,
        LARGEST,
        question.accept,
        etag.as_deref(),
    );
    let (list, etag) = match (answer, kept) {
        (Ok(Answer::Changed { bytes, etag }), _) => {
            (read(&bytes).map_err(|reason| question.answer(reason))?, etag)
        }
        (Ok(Answer::Unchanged), Some(kept)) => (kept, etag),
        (Ok(Answer::Unchanged), None) => {
            let reason = "it says that nothing changed, but was asked for the first time";
            return Err(question.answer(reason.to_owned()));
        }
        (Err(error), _) if error.is_missing() => return Err(question.unknown()),
        (Err(error @ (http::Error::Unreachable { .. } | http::Error::Transient { .. })), Some(kept)) => {
            // The next build asks again.
            context.used(0);
            let id = question.ecosystem.stale();
            context.reporter.warn(id, &format!("{error}; an older list of versions is used"), None);
            return Ok(kept);
        }
        (Err(error), _) => return Err(error.into()),
    };
    let bytes = serde_json::to_vec(&list).expect("a list of versions serialises to plain JSON");
    let header = Header { url: question.url.to_owned(), fetched: context.now, etag };
    cache::write(&context.store, &header, &bytes)?;
    Ok(list)
}
