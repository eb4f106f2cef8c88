//! Files: streamed to disk, hashed on the way, taken up again where a transfer broke.

use std::fmt::Write as _;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::PathBuf;

use reqwest::StatusCode;
use reqwest::header::CONTENT_RANGE;
use sha2::{Digest as _, Sha256, Sha512};
use tempfile::NamedTempFile;

use super::{Client, Error, Failure, Protection, checked, shown};
use crate::oci::Digest;
use crate::store::{self, Store};
use crate::ui::Transfer;

/// What a file must turn out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Exactly these bytes.
    Sha256 {
        /// Their digest.
        digest: Digest,
        /// Their number.
        size: u64,
    },
    /// Exactly these bytes, of unknown number.
    Sha512 {
        /// Their digest.
        digest: Vec<u8>,
        /// More than this is refused.
        limit: u64,
    },
}

impl Expected {
    pub(super) fn limit(&self) -> u64 {
        match self {
            Self::Sha256 { size, .. } => *size,
            Self::Sha512 { limit, .. } => *limit,
        }
    }
}

/// A fetched file.
#[derive(Debug)]
pub struct Fetched {
    /// The file, at its beginning.
    pub file: NamedTempFile,
    /// Digest of its bytes.
    pub digest: Digest,
    /// Number of its bytes.
    pub size: u64,
}

/// A file on its way.
struct Partial {
    file: NamedTempFile,
    sha256: Sha256,
    sha512: Option<Sha512>,
    size: u64,
}

impl Partial {
    fn new(store: &Store, expected: &Expected) -> Result<Self, store::Error> {
        let sha512 = matches!(expected, Expected::Sha512 { .. }).then(Sha512::new);
        Ok(Self { file: store.temporary_file()?, sha256: Sha256::new(), sha512, size: 0 })
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), store::Error> {
        self.file.write_all(bytes).map_err(store::Error::io("write", self.file.path()))?;
        self.sha256.update(bytes);
        if let Some(hasher) = &mut self.sha512 {
            hasher.update(bytes);
        }
        self.size += bytes.len() as u64;
        Ok(())
    }

    fn finish(mut self, url: &str, expected: &Expected) -> Result<Fetched, Error> {
        let found: [u8; 32] = self.sha256.finalize().into();
        let digest = Digest::from_hex(&hex(&found)).expect("32 bytes make 64 hexadecimal digits");
        match expected {
            Expected::Sha256 { size, .. } if *size != self.size => {
                return Err(Error::Size { url: shown(url), expected: *size, found: self.size });
            }
            Expected::Sha256 { digest: wanted, .. } if *wanted != digest => {
                return Err(Error::sha256(url, wanted, &digest));
            }
            Expected::Sha512 { digest: wanted, .. } => {
                let found = self.sha512.map(|hasher| hasher.finalize().to_vec()).unwrap_or_default();
                if *wanted != found {
                    return Err(Error::Digest {
                        url: shown(url),
                        algorithm: "sha512",
                        expected: hex(wanted),
                        found: hex(&found),
                    });
                }
            }
            Expected::Sha256 { .. } => {}
        }
        let path = self.file.path().to_owned();
        self.file.seek(SeekFrom::Start(0)).map_err(store::Error::io("read", &path))?;
        Ok(Fetched { file: self.file, digest, size: self.size })
    }
}

impl Client {
    /// Fetches `url` into a temporary file of the store and checks it.
    ///
    /// # Errors
    /// [`Error::Digest`] or [`Error::Size`] when the bytes are not the expected ones: they are not kept.
    pub fn fetch(
        &self,
        url: &str,
        protection: Protection,
        expected: &Expected,
        store: &Store,
        progress: &Transfer,
    ) -> Result<Fetched, Error> {
        let mut partial = Partial::new(store, expected)?;
        self.attempt(url, |_| self.fetch_rest(url, protection, expected, store, &mut partial, progress))?;
        partial.finish(url, expected)
    }

    /// Fetches `url` as the blob `digest`, unless the store has it. Returns its path.
    ///
    /// # Errors
    /// As [`Client::fetch`].
    pub fn fetch_to_blob(
        &self,
        url: &str,
        protection: Protection,
        (digest, size): (&Digest, u64),
        store: &Store,
        progress: &Transfer,
    ) -> Result<PathBuf, Error> {
        if let Some(path) = store.blob(digest) {
            progress.advance(size);
            return Ok(path);
        }
        let expected = Expected::Sha256 { digest: *digest, size };
        let fetched = self.fetch(url, protection, &expected, store, progress)?;
        Ok(store.keep_blob(fetched.file, digest)?)
    }

    fn fetch_rest(
        &self,
        url: &str,
        protection: Protection,
        expected: &Expected,
        store: &Store,
        partial: &mut Partial,
        progress: &Transfer,
    ) -> Result<(), Failure> {
        if matches!(expected, Expected::Sha256 { size, .. } if *size > 0 && *size == partial.size) {
            return Ok(());
        }
        let response = self.send_from(url, protection, partial.size)?;
        if response.status() == StatusCode::RANGE_NOT_SATISFIABLE && partial.size > 0 {
            *partial = Partial::new(store, expected)?;
            let reason = "it cannot go on where the transfer broke".to_owned();
            return Err(Failure::Passing { reason, asked: None, reached: true });
        }
        let mut response = checked(url, response)?;
        if partial.size > 0 && !continues(&response, partial.size) {
            *partial = Partial::new(store, expected)?;
        }
        let is_framed = response.content_length().is_some();
        let limit = expected.limit();
        let left = limit.saturating_sub(partial.size);
        let received = self.read_body(url, &mut response, left, |bytes| {
            partial.append(bytes)?;
            progress.advance(bytes.len() as u64);
            Ok(())
        });
        received.map_err(|failure| match failure {
            Failure::Final(Error::TooLarge { url, .. }) => Failure::Final(Error::TooLarge { url, limit }),
            other => other,
        })?;
        match expected {
            // A server that does not say how much it sends may have been cut off; otherwise the file is shorter
            // than promised.
            Expected::Sha256 { size, .. } if partial.size < *size && !is_framed => {
                let reason = format!("it sent {} of {size} bytes", partial.size);
                Err(Failure::Passing { reason, asked: None, reached: true })
            }
            _ => Ok(()),
        }
    }
}

/// Whether the server sends the rest from byte `have`; otherwise it starts again.
fn continues(response: &reqwest::blocking::Response, have: u64) -> bool {
    response.status() == StatusCode::PARTIAL_CONTENT
        && response
            .headers()
            .get(CONTENT_RANGE)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|text| text.starts_with(&format!("bytes {have}-")))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
