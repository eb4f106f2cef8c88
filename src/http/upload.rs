//! Files on their way to a server.
//!
//! The blocking client hands a body from thread to thread 8 KiB at a time, which costs more than the way to a server that
//! is near. So files are sent by the other half of the same library, in larger pieces.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::stream;
use reqwest::header::CONTENT_LENGTH;

use super::tls::Broken;
use super::{Client, Error, Failure, Reply, Request, innermost, shown};
use crate::ui::Transfer;

/// A server that takes less than this many bytes a second is given up. It is far below any real connection, so that
/// uploads beside each other on a slow one are not cut off.
const SLOWEST: u64 = 8 << 10;

/// What is read at a time, and kept in memory of each file.
const PIECE: usize = 256 << 10;

/// The client for uploads, and the threads that drive its connections.
#[derive(Debug)]
pub(super) struct Uploads {
    runtime: tokio::runtime::Runtime,
    client: reqwest::Client,
}

/// A part of a file, read while it is sent.
#[derive(Clone, Debug)]
pub struct Part {
    /// The file.
    pub file: PathBuf,
    /// The first byte.
    pub from: u64,
    /// The number of bytes.
    pub length: u64,
    /// Told of each byte, and counts them.
    pub progress: Counted,
}

/// What of one request has left this machine.
#[derive(Clone, Debug)]
pub struct Counted {
    progress: Transfer,
    count: Arc<AtomicU64>,
}

/// A part that is being sent.
struct Pieces {
    bytes: io::Take<File>,
    progress: Counted,
    stopped: Arc<AtomicBool>,
}

impl Uploads {
    pub(super) fn new(builder: reqwest::ClientBuilder) -> Result<Self, Broken> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.map_err(|error| Broken::Library(error.to_string()))?;
        let client = builder.build().map_err(|error| Broken::Library(innermost(&error)))?;
        Ok(Self { runtime, client })
    }
}

impl Counted {
    /// A request of which nothing has left.
    pub fn new(progress: Transfer) -> Self {
        Self { progress, count: Arc::default() }
    }

    fn advance(&self, bytes: u64) {
        self.count.fetch_add(bytes, Ordering::Relaxed);
        self.progress.advance(bytes);
    }

    /// It was in vain: nothing has arrived, as far as is known.
    pub fn retract(&self) {
        self.progress.retract(self.count.swap(0, Ordering::Relaxed));
    }
}

impl Part {
    fn open(&self, stopped: &Arc<AtomicBool>) -> io::Result<Pieces> {
        let mut file = File::open(&self.file)?;
        file.seek(SeekFrom::Start(self.from))?;
        let (progress, stopped) = (self.progress.clone(), stopped.clone());
        Ok(Pieces { bytes: file.take(self.length), progress, stopped })
    }
}

impl Pieces {
    /// The next piece; none at the end.
    fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        if self.stopped.load(Ordering::Relaxed) {
            return Err(io::Error::other("something else has failed"));
        }
        let mut piece = Vec::with_capacity(PIECE);
        let count = self.bytes.by_ref().take(PIECE as u64).read_to_end(&mut piece)?;
        self.progress.advance(count as u64);
        Ok(Some(piece).filter(|piece| !piece.is_empty()))
    }
}

impl Client {
    /// Sends `request` once with `part` as its body, and returns whatever comes back, with at most `limit` bytes of a body.
    pub(super) fn upload(&self, request: &Request, part: &Part, limit: u64) -> Result<Reply, Failure> {
        let address = self.allowed(request)?;
        let uploads = self.uploads().map_err(Failure::Final)?;
        let unsent = |error: io::Error| Failure::Final(Error::unsent(&request.url, &error));
        let pieces = part.open(&self.stopped).map_err(unsent)?;
        let pieces = stream::try_unfold(pieces, |mut pieces| async move {
            Ok::<_, io::Error>(pieces.next()?.map(|piece| (piece, pieces)))
        });
        let sending = uploads
            .client
            .request(request.method.clone(), address)
            .headers(request.headers.clone())
            .header(CONTENT_LENGTH, part.length)
            .timeout(self.patience.silence + Duration::from_secs(part.length / SLOWEST))
            .body(reqwest::Body::wrap_stream(pieces));
        let broken = |error: reqwest::Error| Failure::from_reqwest(&request.url, &error);
        uploads.runtime.block_on(async {
            let mut response = sending.send().await.map_err(broken)?;
            let (status, headers) = (response.status().as_u16(), response.headers().clone());
            let mut bytes = Vec::new();
            while let Some(piece) = response.chunk().await.map_err(broken)? {
                bytes.extend_from_slice(&piece);
                if bytes.len() as u64 > limit {
                    return Err(Failure::Final(Error::TooLarge { url: shown(&request.url), limit }));
                }
            }
            Ok(Reply { status, headers, bytes })
        })
    }
}
