//! Parts of files on their way to a server.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use futures_util::stream;

use crate::ui::Transfer;

/// What is read at a time, and kept in memory of each file.
const PIECE: usize = 256 << 10;

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
    /// The bytes on their way, until something else fails.
    pub(super) fn body(&self, stopped: &Arc<AtomicBool>) -> io::Result<reqwest::Body> {
        let mut file = File::open(&self.file)?;
        file.seek(SeekFrom::Start(self.from))?;
        let (progress, stopped) = (self.progress.clone(), stopped.clone());
        let pieces = Pieces { bytes: file.take(self.length), progress, stopped };
        Ok(reqwest::Body::wrap_stream(stream::try_unfold(pieces, |mut pieces| async move {
            Ok::<_, io::Error>(pieces.next()?.map(|piece| (piece, pieces)))
        })))
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
