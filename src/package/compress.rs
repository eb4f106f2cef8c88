//! Compresses pieces of an archive so that they can be joined: gzip (RFC 1952) and zstd (RFC 8878).
//!
//! A piece becomes a *segment*, which depends on its bytes and on [`identity`] and on nothing else. [`Joiner`] makes a
//! blob of segments:
//! - gzip: one ordinary member. Each segment is raw deflate that ends with a full flush, so that it stands behind any
//!   other; the checksums are combined arithmetically. Readers that know only one member read all of it.
//! - zstd: a frame per segment, as the format foresees.

use std::io::{self, Write};

use flate2::{Compress, Compression as Level, Crc, FlushCompress, Status};

use crate::oci::Compression;

const GZIP_LEVEL: u32 = 6;

/// No name, no time, unknown operating system.
const GZIP_HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

/// An empty last block: the end of the deflate stream.
const GZIP_END: [u8; 2] = [3, 0];

/// What segments depend on besides their bytes. Raise the numbers whenever the golden digests of the tests change,
/// which an update of zlib-rs or zstd can do.
pub(super) fn identity(compression: Compression) -> String {
    match compression {
        Compression::Gzip => format!("gzip-{GZIP_LEVEL} zlib-rs 1"),
        Compression::Zstd { level } => format!("zstd-{level} libzstd 1"),
    }
}

/// Compresses a piece.
pub(super) fn segment(compression: Compression, plain: &[u8]) -> io::Result<Vec<u8>> {
    match compression {
        Compression::Gzip => deflate(plain),
        Compression::Zstd { level } => zstd::bulk::compress(plain, level.into()),
    }
}

fn deflate(plain: &[u8]) -> io::Result<Vec<u8>> {
    // A new state for each segment: nothing of an earlier one can influence the bytes.
    let mut state = Compress::new(Level::new(GZIP_LEVEL), false);
    // Room for the worst case, so that one call does all.
    let mut deflated = Vec::with_capacity(plain.len() + plain.len() / 512 + 1024);
    loop {
        let done = usize::try_from(state.total_in()).map_err(io::Error::other)?;
        let status = state
            .compress_vec(&plain[done..], &mut deflated, FlushCompress::Full)
            .map_err(io::Error::other)?;
        // Room that is left over means that the flush is complete as well.
        if state.total_in() == plain.len() as u64 && deflated.len() < deflated.capacity() {
            return Ok(deflated);
        }
        if status == Status::StreamEnd {
            return Err(io::Error::other("the compressor ended its stream too early"));
        }
        deflated.reserve(plain.len() / 4 + 256);
    }
}

/// The checksum of a piece, which [`Joiner::add`] takes beside its segment.
pub(super) fn checksum(bytes: &[u8]) -> Crc {
    let mut crc = Crc::new();
    crc.update(bytes);
    crc
}

/// Where the first segment stands in a blob.
pub(super) fn start(compression: Compression) -> u64 {
    match compression {
        Compression::Gzip => GZIP_HEADER.len() as u64,
        Compression::Zstd { .. } => 0,
    }
}

/// Joins segments to a blob.
pub(super) struct Joiner<W> {
    compression: Compression,
    output: W,
    crc: Crc,
}

impl<W: Write> Joiner<W> {
    pub(super) fn new(compression: Compression, mut output: W) -> io::Result<Self> {
        if compression == Compression::Gzip {
            output.write_all(&GZIP_HEADER)?;
        }
        Ok(Self { compression, output, crc: Crc::new() })
    }

    /// Adds a segment; `plain` is the checksum of what it was made from.
    pub(super) fn add(&mut self, segment: &[u8], plain: &Crc) -> io::Result<()> {
        self.crc.combine(plain);
        self.output.write_all(segment)
    }

    /// Ends the blob.
    pub(super) fn finish(mut self) -> io::Result<W> {
        if self.compression == Compression::Gzip {
            self.output.write_all(&GZIP_END)?;
            self.output.write_all(&self.crc.sum().to_le_bytes())?;
            self.output.write_all(&self.crc.amount().to_le_bytes())?;
        }
        self.output.flush()?;
        Ok(self.output)
    }
}

#[cfg(test)]
mod tests {
    use super::{Joiner, checksum, segment};
    use crate::oci::{Compression, Digest};
    use std::io::{Read as _, Write};
    use std::process::{Command, Stdio};

    const PIECE: usize = 256 * 1024;
    const ZSTD: Compression = Compression::Zstd { level: 3 };

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

    fn compress(compression: Compression, plain: &[u8]) -> Vec<u8> {
        let mut joiner = Joiner::new(compression, Vec::new()).unwrap();
        for piece in plain.chunks(PIECE) {
            joiner.add(&segment(compression, piece).unwrap(), &checksum(piece)).unwrap();
        }
        joiner.finish().unwrap()
    }

    #[test]
    fn the_bytes_are_the_ones_that_caches_and_digests_rely_on() {
        let digest = |compression| Digest::of(&compress(compression, &sample(600_000))).to_string();
        assert_eq!(
            digest(Compression::Gzip),
            "sha256:788f9e15f9c26d701e5642f608e9ec4545961dc4cf9fa117ffadc36d03bbaa40"
        );
        assert_eq!(digest(ZSTD), "sha256:1d7962dd6ee0b4e5becd23ac2cdef8c2b924b72e936877019c6071b7cf03ad39");
    }

    #[test]
    fn readers_of_one_member_and_of_frames_read_all_of_it() {
        for length in [0, 1, PIECE - 1, PIECE, PIECE + 1, 5 * PIECE] {
            let plain = sample(length);
            let mut read = Vec::new();
            let compressed = compress(Compression::Gzip, &plain);
            flate2::read::GzDecoder::new(&compressed[..]).read_to_end(&mut read).unwrap();
            assert!(read == plain, "{length}");
        }
        let plain = sample(5 * PIECE + 1);
        assert!(zstd::decode_all(&compress(ZSTD, &plain)[..]).unwrap() == plain);
    }

    #[test]
    fn incompressible_input_grows_little() {
        let mut state = 1_u64;
        let plain: Vec<u8> = std::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            state.to_be_bytes()[0]
        })
        .take(2 * PIECE)
        .collect();
        let compressed = compress(Compression::Gzip, &plain);
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
    #[ignore = "needs gzip, zstd and python3: run by .ci/run"]
    fn tool_gzip_zstd_and_python_read_all_of_it() {
        let plain = sample(5 * PIECE + 3);
        let compressed = compress(Compression::Gzip, &plain);
        assert!(filter("gzip", &["-dc"], &compressed) == plain);
        let script = "import sys, zlib\n\
                      d = zlib.decompressobj(wbits=31)\n\
                      sys.stdout.buffer.write(d.decompress(sys.stdin.buffer.read()))\n\
                      assert d.eof and not d.unused_data";
        assert!(filter("python3", &["-c", script], &compressed) == plain);
        assert!(filter("zstd", &["-dc"], &compress(ZSTD, &plain)) == plain);
    }
}
