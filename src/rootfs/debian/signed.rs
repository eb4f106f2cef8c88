//! Whether an InRelease file is genuine and may be used now.

use std::fs;
use std::io;

use super::Error;
use super::openpgp::{self, Keyring};
use super::release::{self, Release};
use crate::definitions::Definition;
use crate::http::shown;
use crate::oci::DigestWriter;
use crate::rootfs::base::{self, Base};
use crate::rootfs::{Context, error};

/// An InRelease file by its place, with what may say that one from there is genuine.
pub(super) struct Signed<'a> {
    pub(super) context: &'a Context,
    pub(super) base: &'a Base,
    pub(super) suite: &'a base::Suite,
    pub(super) url: &'a str,
}

impl Signed<'_> {
    /// What the file says, if it is signed and may be used at `now`.
    pub(super) fn verify(&self, bytes: &[u8], now: i64) -> Result<Release, error::Error> {
        let Self { base, url, .. } = self;
        let ring = Keyring::new(self.files().map(|file| (file.shown.as_str(), &*file.bytes)), self.keys())
            .map_err(|reason| error::Error::Definition { file: format!("bases/{}.toml", base.id), reason })?;
        let text = ring.verify(bytes, now).map_err(|refusal| match refusal {
            openpgp::Refusal::Unsigned(reason) => Error::Unsigned { url: shown(url), reason },
            openpgp::Refusal::Untrusted(reasons) => {
                Error::Signature { url: shown(url), base: base.id.clone(), reasons }
            }
        })?;
        let release = self.read(&text, now)?;
        self.context.store.put_record(&self.record(bytes), text.as_bytes())?;
        Ok(release)
    }

    /// The same of a kept file, which was verified when it was fetched: at `now`, or so shortly before that it counts as
    /// now. Its signatures are not checked again, unless other keys decide than did then.
    pub(super) fn verified(&self, bytes: &[u8], now: i64) -> Result<Release, error::Error> {
        let store = &self.context.store;
        // Only what this store has: a record may also come out of a cache of others, and this one decides about trust.
        let kept = store.root().join("metadata").join(self.record(bytes));
        if store.claim(&kept)
            && let Ok(text) = fs::read_to_string(&kept)
        {
            return self.read(&text, now);
        }
        self.verify(bytes, now)
    }

    fn read(&self, text: &str, now: i64) -> Result<Release, error::Error> {
        let url = || shown(self.url);
        let release = Release::parse(text).map_err(|reason| Error::Malformed { url: url(), reason })?;
        release.check(&self.suite.name, now).map_err(|refusal| match refusal {
            release::Refusal::Expired(until) => Error::Expired { url: url(), until, now },
            release::Refusal::Early(date) => Error::Early { url: url(), date, now },
            release::Refusal::Other(name) => Error::Malformed {
                url: url(),
                reason: format!("it is the release of `{name}`, expected `{}`", self.suite.name),
            },
        })?;
        Ok(release)
    }

    /// The record that keeps the signed text: under a digest of the file and of all that decides whether its signatures count, but the time.
    fn record(&self, bytes: &[u8]) -> String {
        let mut whole = DigestWriter::new(io::sink());
        let keys = self.keys().iter().map(String::as_bytes);
        for part in keys.chain(self.files().map(|file| &*file.bytes)).chain([bytes]) {
            whole.add(&(part.len() as u64).to_le_bytes());
            whole.add(part);
        }
        let (_, digest, _) = whole.finish();
        format!("release-{}", digest.hex())
    }

    fn files(&self) -> impl Iterator<Item = &Definition> {
        self.context.definitions.below("bases/keys", ".asc")
    }

    fn keys(&self) -> &[String] {
        &self.base.archives[&self.suite.archive].keys
    }
}
