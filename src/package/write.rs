//! Writes a layer in one pass, with several threads and bounded memory.
//!
//! ```text
//!            ┌─ worker: read a group, digest it, find or compress its segment ─┐           ┌─ digest of the archive
//!  groups ───┼─ worker                                                         ├─ in order ┤
//!            └─ worker                                                         ┘           └─ blob and its digest
//! ```
//!
//! Groups are handed out in their order and come back in it, and only so many are under way. The bytes of a blob
//! depend on the entries and the compressor, not on the number of threads nor on what was found.

use std::io::{self, BufWriter};
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use flate2::Crc;

use super::cache::Key;
use super::compress::{self, Joiner};
use super::groups::{self, Group, Item};
use super::plain::{self, Check, Plain};
use super::segments::{Known, Segment};
use super::{Error, LayerDescriptor, LayerInput};
use crate::oci::{Compression, Digest, DigestWriter};
use crate::store::{self, Store};
use crate::threads::joined;

/// A layer that was written.
#[derive(Debug)]
pub(super) struct Written {
    /// What it became.
    pub layer: LayerDescriptor,
    /// Groups whose segment was found.
    pub found: usize,
    /// Groups that were compressed.
    pub compressed: usize,
}

/// What all threads look at.
struct Task<'a> {
    layer: &'a LayerInput,
    key: &'a Key,
    compression: Compression,
    known: &'a Known,
    /// Whether to end early.
    stop: &'a (dyn Fn() -> bool + Sync),
}

/// How many threads compress, on this machine.
pub(super) fn threads() -> usize {
    thread::available_parallelism().map_or(2, usize::from).clamp(2, 8)
}

/// Writes a layer as a blob, unless `stop` says meanwhile that it is not wanted any more.
pub(super) fn write(
    threads: usize,
    (layer, key): (&LayerInput, &Key),
    compression: Compression,
    known: &Known,
    store: &Store,
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<Written, Error> {
    let items: Vec<Item> =
        layer.tree.iter().map(|(path, entry)| Item { path, entry, link: key.link(path) }).collect();
    let task = Task { layer, key, compression, known, stop };
    let mut output = Output::new(compression, store)?;
    let (order, results) = sync_channel(2 * threads);
    let (work, queue) = sync_channel(threads);
    let (plain, archive) = sync_channel(threads);
    let queue = Mutex::new(queue);
    let (diff_id, uncompressed_size) = thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| work_off(&queue, &task));
        }
        let handing = scope.spawn(|| hand_out(&items, order, work, &task));
        let hasher = scope.spawn(|| digest(archive, layer));
        let collected = collect(results, plain, &mut output);
        let digested = joined(hasher);
        let handed = joined(handing);
        // A file that the digest shows to be another one comes before what was met later.
        digested.and_then(|digested| collected.and(handed).map(|()| digested))
    })?;
    output.finish(diff_id, uncompressed_size, &task, store)
}

/// A group on its way to a worker.
struct Job<'a> {
    group: Group<'a>,
    answer: SyncSender<Result<Packed<'a>, Error>>,
}

/// A group on its way from a worker.
struct Packed<'a> {
    plain: Plain<'a>,
    crc: Crc,
    key: Digest,
    compressed: Vec<u8>,
    was_found: bool,
}

/// Hands out groups until there are none left, nobody waits for them, or the layer is not wanted any more.
#[expect(clippy::needless_pass_by_value, reason = "dropping the senders ends the other threads")]
fn hand_out<'a>(
    items: &'a [Item<'a>],
    order: SyncSender<Receiver<Result<Packed<'a>, Error>>>,
    work: SyncSender<Job<'a>>,
    task: &Task<'_>,
) -> Result<(), Error> {
    for group in groups::cut(items) {
        if (task.stop)() {
            return Err(Error::Interrupted { layer: task.layer.id.clone() });
        }
        let (answer, result) = sync_channel(1);
        if order.send(result).is_err() || work.send(Job { group, answer }).is_err() {
            break;
        }
    }
    Ok(())
}

/// Packs groups until there are none left.
fn work_off(queue: &Mutex<Receiver<Job<'_>>>, task: &Task<'_>) {
    loop {
        let job = match queue.lock() {
            Ok(queue) => queue.recv(),
            Err(_) => return,
        };
        let Ok(job) = job else { return };
        // Nobody waits for the answer when something else failed.
        let _ = job.answer.send(pack(&job.group, task));
    }
}

fn pack<'a>(group: &Group<'a>, task: &Task<'_>) -> Result<Packed<'a>, Error> {
    let plain = plain::read(group, task.layer, task.key)?;
    let key = Digest::of(&plain.bytes);
    let crc = compress::checksum(&plain.bytes);
    let found = task.known.get(&key);
    let was_found = found.is_some();
    let compressed = match found {
        Some(found) => found,
        None => compress::segment(task.compression, &plain.bytes)
            .map_err(|source| Error::Compress { layer: task.layer.id.clone(), source })?,
    };
    Ok(Packed { plain, crc, key, compressed, was_found })
}

/// Takes the groups in their order: segments to the output, the archive's bytes to the one who digests them.
#[expect(clippy::needless_pass_by_value, reason = "dropping the channels ends the other threads")]
fn collect<'a>(
    results: Receiver<Receiver<Result<Packed<'a>, Error>>>,
    archive: SyncSender<Plain<'a>>,
    output: &mut Output,
) -> Result<(), Error> {
    for result in results {
        // A worker answers each job, unless it panicked; its panic ends the scope.
        let Ok(packed) = result.recv() else { break };
        let packed = packed?;
        output.add(&packed)?;
        if archive.send(packed.plain).is_err() {
            break;
        }
    }
    Ok(())
}

/// The digest and size of the archive; checks files that came in parts.
fn digest(archive: Receiver<Plain<'_>>, layer: &LayerInput) -> Result<(Digest, u64), Error> {
    let digest = || DigestWriter::new(io::sink());
    let (mut whole, mut file) = (digest(), digest());
    for Plain { bytes, check } in archive {
        whole.add(&bytes);
        let Some(Check { item, content, expected }) = check else { continue };
        file.add(&bytes[content]);
        if let Some(expected) = expected {
            let (_, found, _) = std::mem::replace(&mut file, digest()).finish();
            if found != expected {
                return Err(plain::changed(layer, &item));
            }
        }
    }
    let (_, digest, size) = whole.finish();
    Ok((digest, size))
}

/// The blob that is written, and what is in it.
struct Output {
    joiner: Joiner<DigestWriter<BufWriter<tempfile::NamedTempFile>>>,
    path: PathBuf,
    segments: Vec<Segment>,
    found: usize,
}

impl Output {
    fn new(compression: Compression, store: &Store) -> Result<Self, Error> {
        let file = store.temporary_file()?;
        let path = file.path().to_owned();
        let output = DigestWriter::new(BufWriter::with_capacity(128 * 1024, file));
        let joiner = Joiner::new(compression, output).map_err(store::Error::io("write", &path))?;
        Ok(Self { joiner, path, segments: Vec::new(), found: 0 })
    }

    fn add(&mut self, packed: &Packed<'_>) -> Result<(), Error> {
        self.joiner.add(&packed.compressed, &packed.crc).map_err(store::Error::io("write", &self.path))?;
        let length = u32::try_from(packed.compressed.len()).expect("a group has less than a megabyte");
        let checksum = compress::checksum(&packed.compressed).sum();
        self.segments.push(Segment { key: packed.key, length, checksum });
        self.found += usize::from(packed.was_found);
        Ok(())
    }

    /// Makes it a blob of the store.
    fn finish(
        self,
        diff_id: Digest,
        uncompressed_size: u64,
        task: &Task<'_>,
        store: &Store,
    ) -> Result<Written, Error> {
        let output = self.joiner.finish().map_err(store::Error::io("write", &self.path))?;
        let (buffered, digest, size) = output.finish();
        let file = buffered
            .into_inner()
            .map_err(|error| store::Error::io("write", &self.path)(error.into_error()))?;
        store.keep_blob(file, &digest)?;
        task.known.keep(&digest, &self.segments, store)?;
        let layer = LayerDescriptor {
            id: task.layer.id.clone(),
            media_type: task.compression.media_type().to_owned(),
            digest,
            size,
            diff_id,
            uncompressed_size: Some(uncompressed_size),
        };
        Ok(Written { layer, found: self.found, compressed: self.segments.len() - self.found })
    }
}
