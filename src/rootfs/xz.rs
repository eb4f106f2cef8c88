//! Decompressing xz and its predecessor lzma: most of the time that composing a root takes.
//!
//! In: compressed bytes. Out: a reader of what they hold. liblzma, whose C is compiled along, does it half as fast
//! again as the decoders in Rust. What it reads has the digest that a signature or the plan states.

use std::io::{self, BufRead, BufReader, Read};
use std::num::NonZero;
use std::thread;

use liblzma::bufread::XzDecoder;
use liblzma::stream::{CONCATENATED, MtStreamBuilder, Stream};

/// Files that need more memory than this are refused, in bytes.
const MEMORY: u64 = 256 << 20;
/// Decoders are slow when read in small pieces.
const PIECE: usize = 64 * 1024;

/// What an xz file holds, however many streams it consists of.
pub(super) fn xz(input: impl BufRead) -> io::Result<impl Read> {
    Ok(read(input, Stream::new_stream_decoder(MEMORY, CONCATENATED)?))
}

/// What an lzma file holds.
pub(super) fn lzma(input: impl BufRead) -> io::Result<impl Read> {
    Ok(read(input, Stream::new_lzma_decoder(MEMORY)?))
}

/// As [`xz`], with all processors if the file consists of blocks: for one file that everything else waits for.
pub(super) fn xz_alone(input: impl BufRead) -> io::Result<impl Read> {
    Ok(Streams { decoder: Some(read(input, parallel()?)) })
}

fn read<R: BufRead>(input: R, stream: Stream) -> BufReader<XzDecoder<R>> {
    BufReader::with_capacity(PIECE, XzDecoder::new_stream(input, stream))
}

fn parallel() -> io::Result<Stream> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get).min(8);
    let threads = u32::try_from(threads).unwrap_or(1);
    Ok(MtStreamBuilder::new().threads(threads).memlimit_threading(MEMORY).memlimit_stop(MEMORY).decoder()?)
}

/// Streams one after another, with zeros between them: the parallel decoder ends with its stream.
struct Streams<R: BufRead> {
    /// None at the end of the input.
    decoder: Option<BufReader<XzDecoder<R>>>,
}

impl<R: BufRead> Read for Streams<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(decoder) = &mut self.decoder {
            let count = decoder.read(buffer)?;
            if count > 0 || buffer.is_empty() {
                return Ok(count);
            }
            let input = self.decoder.take().map(|decoder| decoder.into_inner().into_inner());
            self.decoder = input.map(following).transpose()?.flatten();
        }
        Ok(0)
    }
}

/// The decoder of the stream after the padding at the beginning of `input`, if one follows.
fn following<R: BufRead>(mut input: R) -> io::Result<Option<BufReader<XzDecoder<R>>>> {
    loop {
        let bytes = input.fill_buf()?;
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        let is_end = bytes.is_empty();
        let is_padding = zeros == bytes.len();
        input.consume(zeros);
        if is_end {
            return Ok(None);
        }
        if !is_padding {
            return Ok(Some(read(input, parallel()?)));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use liblzma::stream::MtStreamBuilder;
    use liblzma::write::XzEncoder;

    use super::{xz, xz_alone};

    /// `text` in blocks of 4 KiB.
    fn blocks(text: &[u8]) -> Vec<u8> {
        let stream = MtStreamBuilder::new().threads(2).block_size(4096).preset(1).encoder().unwrap();
        let mut encoder = XzEncoder::new_stream(Vec::new(), stream);
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn both_ways_read_all_streams_and_refuse_what_is_cut_off_or_changed() {
        let text: Vec<u8> = (0..20_000_u32).flat_map(u32::to_le_bytes).collect();
        let one = blocks(&text);
        let mut two = one.clone();
        two.extend([0; 8]);
        two.extend(blocks(b"end"));
        let read = |bytes: &[u8]| {
            let mut plain = [Vec::new(), Vec::new()];
            let sizes = [
                xz(bytes).unwrap().read_to_end(&mut plain[0]),
                xz_alone(bytes).unwrap().read_to_end(&mut plain[1]),
            ];
            assert_eq!(sizes[0].is_ok(), sizes[1].is_ok());
            let is_read = sizes[0].is_ok();
            assert!(!is_read || plain[0] == plain[1]);
            is_read.then(|| std::mem::take(&mut plain[0]))
        };
        assert_eq!(read(&one).unwrap(), text);
        assert_eq!(read(&two).unwrap(), [&text[..], b"end"].concat());
        assert_eq!(read(&two[..two.len() - 1]), None);
        assert_eq!(read(&one[..one.len() / 2]), None);
        assert_eq!(read(b""), None);
        let mut changed = one.clone();
        changed[one.len() / 2] ^= 1;
        assert_eq!(read(&changed), None);
        assert_eq!(read(&[&one[..], b"something else"].concat()), None);
    }
}
