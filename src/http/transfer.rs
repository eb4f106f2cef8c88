//! Files: streamed to disk, hashed on the way, taken up again where a transfer broke.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use reqwest::StatusCode;
use reqwest::header::CONTENT_RANGE;
use sha1::Sha1;
use sha2::{Digest as _, Sha256, Sha512};
use tempfile::NamedTempFile;

use super::connector::Incoming;
use super::{Client, Error, Failure, Protection, Request, checked, shown};
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
    Digest {
        /// How they are hashed.
        algorithm: Algorithm,
        /// Their digest.
        digest: Vec<u8>,
        /// More than this is refused.
        limit: u64,
    },
    /// Any bytes: the caller checks what is in them.
    Any {
        /// More than this is refused.
        limit: u64,
    },
}

/// Digests that registries state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// Broken for collisions; old repositories state nothing else.
    Sha1,
    /// SHA-256.
    Sha256,
    /// SHA-512.
    Sha512,
}

impl Algorithm {
    /// `sha512`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    /// The length of a digest in bytes.
    pub fn length(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }
}

impl Expected {
    pub(super) fn limit(&self) -> u64 {
        match self {
            Self::Sha256 { size, .. } => *size,
            Self::Digest { limit, .. } | Self::Any { limit } => *limit,
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
    other: Option<Other>,
    size: u64,
}

/// A digest besides SHA-256, which is always computed.
enum Other {
    Sha1(Sha1),
    Sha512(Box<Sha512>),
}

impl Other {
    fn of(expected: &Expected) -> Option<Self> {
        match expected {
            Expected::Digest { algorithm: Algorithm::Sha1, .. } => Some(Self::Sha1(Sha1::new())),
            Expected::Digest { algorithm: Algorithm::Sha512, .. } => Some(Self::Sha512(Box::default())),
            _ => None,
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha1(hasher) => hasher.update(bytes),
            Self::Sha512(hasher) => hasher.update(bytes),
        }
    }

    fn finalize(self) -> Vec<u8> {
        match self {
            Self::Sha1(hasher) => hasher.finalize().to_vec(),
            Self::Sha512(hasher) => hasher.finalize().to_vec(),
        }
    }
}

impl Partial {
    fn new(store: &Store, expected: &Expected) -> Result<Self, store::Error> {
        let other = Other::of(expected);
        Ok(Self { file: store.temporary_file()?, sha256: Sha256::new(), other, size: 0 })
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), store::Error> {
        self.file.write_all(bytes).map_err(store::Error::io("write", self.file.path()))?;
        self.sha256.update(bytes);
        if let Some(hasher) = &mut self.other {
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
            Expected::Digest { algorithm, digest: wanted, .. } => {
                let found = self.other.map_or_else(|| found.to_vec(), Other::finalize);
                if *wanted != found {
                    return Err(Error::Digest {
                        url: shown(url),
                        algorithm: algorithm.name(),
                        expected: hex(wanted),
                        found: hex(&found),
                    });
                }
            }
            Expected::Sha256 { .. } | Expected::Any { .. } => {}
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
        self.fetch_as(&Request::get(url, protection), expected, store, progress)
    }

    /// As [`Client::fetch`], with a request of the caller's.
    ///
    /// # Errors
    /// As [`Client::fetch`].
    pub fn fetch_as(
        &self,
        request: &Request,
        expected: &Expected,
        store: &Store,
        progress: &Transfer,
    ) -> Result<Fetched, Error> {
        let mut partial = Partial::new(store, expected)?;
        self.attempt(&request.url, |_| self.fetch_rest(request, expected, store, &mut partial, progress))?;
        partial.finish(&request.url, expected)
    }

    /// Takes a file of this machine, which a `file:` address names, as if it had been fetched.
    ///
    /// # Errors
    /// As [`Client::fetch`]; a file that is not there is one that the server does not have.
    pub fn adopt(
        &self,
        path: &Path,
        url: &str,
        expected: &Expected,
        store: &Store,
    ) -> Result<Fetched, Error> {
        let missing = || Error::Status { url: url.to_owned(), status: "no such file".to_owned(), code: 404 };
        let mut file = File::open(path).map_err(|_| missing())?;
        let mut partial = Partial::new(store, expected)?;
        let mut buffer = vec![0; 128 * 1024];
        loop {
            let count = file.read(&mut buffer).map_err(store::Error::io("read", path))?;
            if count == 0 {
                return partial.finish(url, expected);
            }
            if partial.size + count as u64 > expected.limit() {
                return Err(Error::TooLarge { url: url.to_owned(), limit: expected.limit() });
            }
            partial.append(&buffer[..count])?;
        }
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
        // Both roots of an app have packages in common, and so have builds that run at the same time.
        let _lock = store.lock(&format!("blob-{}", digest.hex()))?;
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
        request: &Request,
        expected: &Expected,
        store: &Store,
        partial: &mut Partial,
        progress: &Transfer,
    ) -> Result<(), Failure> {
        if matches!(expected, Expected::Sha256 { size, .. } if *size > 0 && *size == partial.size) {
            return Ok(());
        }
        let url = &request.url;
        let response = self.send(request, Some(partial.size))?;
        if response.status() == StatusCode::RANGE_NOT_SATISFIABLE && partial.size > 0 {
            *partial = Partial::new(store, expected)?;
            let reason = "it cannot go on where the transfer broke".to_owned();
            return Err(Failure::Passing { reason, asked: None, reached: true });
        }
        let mut response = checked(url, response)?;
        if partial.size > 0 && !continues(&response, partial.size) {
            *partial = Partial::new(store, expected)?;
        }
        let is_framed = response.is_framed();
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
fn continues(response: &Incoming, have: u64) -> bool {
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
