//! The compressions of layers: none, gzip, zstd; told apart by their first bytes, not by what a manifest claims.
//!
//! All members of a gzip file and all frames of a zstd file count
//! (<https://datatracker.ietf.org/doc/html/rfc8878#section-3.1>): eStargz and zstd:chunked make many.

use std::io::{self, BufRead, Read};

const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// The second to fourth byte of a frame that holds no content; the first is 0x50 to 0x5f.
const SKIPPABLE: [u8; 3] = [0x2a, 0x4d, 0x18];

/// A zstd window larger than two to the power of this is refused, because it is memory. Decoders must offer 8 MiB by
/// the recommendation of the format; `zstd --ultra -22` uses 128 MiB.
const WINDOW: u32 = 27;

/// A compression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    None,
    Gzip,
    Zstd,
}

/// The compression of what begins with `start`: four bytes, or all there are.
pub(crate) fn kind(start: &[u8]) -> Kind {
    let is_skippable =
        start.first().is_some_and(|byte| byte & 0xf0 == 0x50) && start[1..].starts_with(&SKIPPABLE);
    match start {
        start if start.starts_with(&GZIP) => Kind::Gzip,
        start if start.starts_with(&ZSTD) || is_skippable => Kind::Zstd,
        _ => Kind::None,
    }
}

/// The plain bytes of `blob`.
pub(super) fn open<R: BufRead>(blob: &mut R) -> io::Result<Box<dyn Read + '_>> {
    Ok(match kind(blob.fill_buf()?) {
        Kind::None => Box::new(blob),
        Kind::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(blob)),
        Kind::Zstd => {
            let mut decoder = zstd::Decoder::with_buffer(blob)?;
            decoder.window_log_max(WINDOW)?;
            Box::new(decoder)
        }
    })
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use super::open;

    fn plain(mut bytes: &[u8]) -> std::io::Result<Vec<u8>> {
        let mut found = Vec::new();
        open(&mut bytes)?.read_to_end(&mut found)?;
        Ok(found)
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    /// A frame with one block that is not compressed.
    fn frame(bytes: &[u8]) -> Vec<u8> {
        let mut found = vec![0x28, 0xb5, 0x2f, 0xfd, 0x20, u8::try_from(bytes.len()).unwrap()];
        let block = u32::try_from(bytes.len() << 3 | 1).unwrap();
        found.extend(&block.to_le_bytes()[..3]);
        found.extend(bytes);
        found
    }

    #[test]
    fn all_members_and_frames_count() {
        assert_eq!(plain(b"plain").unwrap(), b"plain");
        assert_eq!(plain(b"").unwrap(), b"");
        assert_eq!(plain(&[gzip(b"one "), gzip(b"two")].concat()).unwrap(), b"one two");
        let skipped = [&[0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0][..], b"toc"].concat();
        let frames = [skipped.clone(), frame(b"one "), skipped, frame(b""), frame(b"two")].concat();
        assert_eq!(plain(&frames).unwrap(), b"one two");
    }

    #[test]
    fn a_frame_that_ends_early_or_wants_gigabytes_is_an_error() {
        let whole = frame(b"content");
        assert!(plain(&whole[..whole.len() - 1]).is_err());
        assert!(plain(&[0x50, 0x2a, 0x4d, 0x18, 9, 0, 0, 0, 1]).is_err());
        // A window of 3.75 TiB.
        assert!(plain(&[0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xff, 1, 0, 0]).is_err());
    }
}
