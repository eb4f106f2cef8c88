//! Compresses with several threads into one ordinary gzip member (RFC 1952).
//!
//! The input is cut every [`SEGMENT`] bytes. Each segment is compressed on its own as raw deflate that ends with
//! a full flush, so that segments can be joined behind one header; their checksums are combined
//! arithmetically. The bytes depend on the input, on [`IDENTITY`], and on nothing else: not on the number of
//! threads, not on how the input was written. Readers that know only one member read all of it.
//! Memory is bounded: a few segments per thread.

use std::io::{self, Write};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use flate2::{Compress, Compression, Crc, FlushCompress, Status};

/// Bytes of input per segment. 256 KiB cost 0.6 % in size against one stream.
const SEGMENT: usize = 256 * 1024;

const LEVEL: u32 = 6;

/// What the bytes depend on besides the input. Raise the number whenever the golden digest of the tests
/// changes, which an update of zlib-rs can do.
pub(crate) const IDENTITY: &str = "gzip-6 256KiB zlib-rs 1";

/// No name, no time, unknown operating system.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

/// An empty last block: the end of the deflate stream.
const END: [u8; 2] = [3, 0];

/// Why nothing was compressed.
#[derive(Debug)]
pub(crate) enum Failure<E> {
    /// The input could not be produced.
    Produce(E),
    /// The output could not be written.
    Write(io::Error),
}

/// How many threads compress, on this machine.
pub(crate) fn threads() -> usize {
    thread::available_parallelism().map_or(2, usize::from).clamp(2, 8)
}

/// Runs `produce` on this thread, compresses what it writes with `threads` others, writes to `output`.
pub(crate) fn gzip<W: Write + Send, T, E>(
    threads: usize,
    output: W,
    produce: impl FnOnce(&mut Segments) -> Result<T, E>,
) -> Result<(W, T), Failure<E>> {
    let (work, queue) = sync_channel(threads);
    let (order, results) = sync_channel(2 * threads);
    let queue = Mutex::new(queue);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| work_off(&queue));
        }
        let writer = scope.spawn(move || collect(results, output));
        let mut segments = Segments { pending: Vec::with_capacity(SEGMENT), work, order };
        let produced = produce(&mut segments);
        let handed_over = segments.hand_over();
        // Without senders the workers and the writer come to their end.
        drop(segments);
        let written = writer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        // When the output failed, the producer failed as well, and only the first says why.
        let output = written.map_err(Failure::Write)?;
        let value = produced.map_err(Failure::Produce)?;
        handed_over.map_err(Failure::Write)?;
        Ok((output, value))
    })
}

/// The input of the compressor: cuts what is written into segments.
pub(crate) struct Segments {
    pending: Vec<u8>,
    work: SyncSender<Job>,
    order: SyncSender<Receiver<io::Result<Segment>>>,
}

struct Job {
    plain: Vec<u8>,
    answer: SyncSender<io::Result<Segment>>,
}

struct Segment {
    deflated: Vec<u8>,
    crc: Crc,
}

impl Segments {
    fn hand_over(&mut self) -> io::Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let plain = std::mem::replace(&mut self.pending, Vec::with_capacity(SEGMENT));
        let (answer, result) = sync_channel(1);
        let stopped = || io::Error::from(io::ErrorKind::BrokenPipe);
        self.order.send(result).map_err(|_| stopped())?;
        self.work.send(Job { plain, answer }).map_err(|_| stopped())
    }
}

impl Write for Segments {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let count = buffer.len().min(SEGMENT - self.pending.len());
        self.pending.extend_from_slice(&buffer[..count]);
        if self.pending.len() == SEGMENT {
            self.hand_over()?;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Compresses segments until there are none left.
fn work_off(queue: &Mutex<Receiver<Job>>) {
    loop {
        let job = match queue.lock() {
            Ok(queue) => queue.recv(),
            Err(_) => return,
        };
        let Ok(job) = job else { return };
        // The writer is gone when the output failed; then nobody needs the answer.
        let _ = job.answer.send(deflate(&job.plain));
    }
}

fn deflate(plain: &[u8]) -> io::Result<Segment> {
    let mut crc = Crc::new();
    crc.update(plain);
    // A new state for each segment: nothing of an earlier one can influence the bytes.
    let mut state = Compress::new(Compression::new(LEVEL), false);
    // Room for the worst case, so that one call does all.
    let mut deflated = Vec::with_capacity(plain.len() + plain.len() / 512 + 1024);
    loop {
        let done = usize::try_from(state.total_in()).map_err(io::Error::other)?;
        let status = state
            .compress_vec(&plain[done..], &mut deflated, FlushCompress::Full)
            .map_err(io::Error::other)?;
        // Room that is left over means that the flush is complete as well.
        if state.total_in() == plain.len() as u64 && deflated.len() < deflated.capacity() {
            return Ok(Segment { deflated, crc });
        }
        if status == Status::StreamEnd {
            return Err(io::Error::other("the compressor ended its stream too early"));
        }
        deflated.reserve(plain.len() / 4 + 256);
    }
}

/// Writes the segments in the order of the input, then the trailer.
fn collect<W: Write>(results: Receiver<Receiver<io::Result<Segment>>>, mut output: W) -> io::Result<W> {
    let mut crc = Crc::new();
    output.write_all(&HEADER)?;
    for result in results {
        let segment = result.recv().map_err(|_| io::Error::other("a compressing thread stopped"))??;
        output.write_all(&segment.deflated)?;
        crc.combine(&segment.crc);
    }
    output.write_all(&END)?;
    output.write_all(&crc.sum().to_le_bytes())?;
    output.write_all(&crc.amount().to_le_bytes())?;
    output.flush()?;
    Ok(output)
}

#[cfg(test)]
mod tests {
    use super::{Failure, SEGMENT, gzip};
    use crate::oci::Digest;
    use std::io::{self, Read as _, Write};
    use std::process::{Command, Stdio};

    /// Text that compresses like code: words in an order that a small generator gives.
    fn sample(length: usize) -> Vec<u8> {
        let words =
            ["const ", "return ", "function(", ") {\n", "}\n", "value", " = ", "0x1f8b", ";\n", "// why\n"];
        let mut state = 1_u32;
        let mut text = Vec::with_capacity(length + 16);
        while text.len() < length {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            text.extend_from_slice(words[(state >> 16) as usize % words.len()].as_bytes());
        }
        text.truncate(length);
        text
    }

    fn compress(threads: usize, plain: &[u8], piece: usize) -> Vec<u8> {
        let produce = |segments: &mut super::Segments| {
            plain.chunks(piece).try_for_each(|piece| segments.write_all(piece))
        };
        gzip(threads, Vec::new(), produce).unwrap().0
    }

    #[test]
    fn the_bytes_depend_on_the_input_only() {
        let plain = sample(3 * SEGMENT + 17);
        let expected = compress(1, &plain, 512);
        for (threads, piece) in [(1, 100_000), (2, 512), (5, 7777), (8, usize::MAX)] {
            assert_eq!(compress(threads, &plain, piece), expected);
        }
    }

    #[test]
    fn the_bytes_are_the_ones_that_caches_and_digests_rely_on() {
        let digest = Digest::of(&compress(2, &sample(600_000), 4096));
        assert_eq!(
            digest.to_string(),
            "sha256:788f9e15f9c26d701e5642f608e9ec4545961dc4cf9fa117ffadc36d03bbaa40"
        );
    }

    #[test]
    fn readers_of_one_member_read_all_of_it() {
        for length in [0, 1, SEGMENT - 1, SEGMENT, SEGMENT + 1, 5 * SEGMENT] {
            let plain = sample(length);
            let compressed = compress(2, &plain, 4096);
            let mut read = Vec::new();
            flate2::read::GzDecoder::new(&compressed[..]).read_to_end(&mut read).unwrap();
            assert!(read == plain, "{length}");
        }
    }

    #[test]
    fn incompressible_input_grows_little() {
        let mut state = 1_u64;
        let plain: Vec<u8> = std::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            state.to_be_bytes()[0]
        })
        .take(2 * SEGMENT)
        .collect();
        let compressed = compress(2, &plain, 4096);
        assert!(compressed.len() < plain.len() + plain.len() / 1000, "{}", compressed.len());
        let mut read = Vec::new();
        flate2::read::GzDecoder::new(&compressed[..]).read_to_end(&mut read).unwrap();
        assert!(read == plain);
    }

    fn filter(program: &str, arguments: &[&str], input: &[u8]) -> Vec<u8> {
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let output = std::thread::scope(|scope| {
            scope.spawn(move || stdin.write_all(input));
            child.wait_with_output().unwrap()
        });
        assert!(output.status.success(), "{program}");
        output.stdout
    }

    #[test]
    #[ignore = "needs gzip and python3: run by .ci/run"]
    fn tool_gzip_and_python_read_all_of_it() {
        let plain = sample(5 * SEGMENT + 3);
        let compressed = compress(2, &plain, 4096);
        assert!(filter("gzip", &["-dc"], &compressed) == plain);
        let script = "import sys, zlib\n\
                      d = zlib.decompressobj(wbits=31)\n\
                      sys.stdout.buffer.write(d.decompress(sys.stdin.buffer.read()))\n\
                      assert d.eof and not d.unused_data";
        assert!(filter("python3", &["-c", script], &compressed) == plain);
    }

    #[test]
    fn a_failing_output_is_the_error_that_is_reported() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let plain = sample(40 * SEGMENT);
        let result = gzip(2, Full, |segments| segments.write_all(&plain));
        let Err(Failure::Write(error)) = result else { panic!("a write error is expected") };
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    }

    #[test]
    fn a_failing_input_ends_the_threads() {
        let result = gzip(2, Vec::new(), |_| Err::<(), _>("no"));
        assert!(matches!(result, Err(Failure::Produce("no"))));
    }
}
