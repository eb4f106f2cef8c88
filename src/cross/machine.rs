//! Which machine a native file is for: the first bytes of its ELF header
//! (<https://refspecs.linuxfoundation.org/elf/gabi4+/ch4.eheader.html>).

use std::fs::File;
use std::io::{self, Read as _};

use crate::closure::elf;
use crate::store::{Content, Entry, Kind};

/// The part of the header that is read: identification, type, machine.
const HEADER: usize = 20;

/// The value of `e_machine` for a platform; none for a platform that is not known.
pub(super) fn of_platform(platform: &str) -> Option<u16> {
    elf::machine(platform.strip_prefix("linux/")?)
}

/// The value of `e_machine`; none of a file that is no ELF file.
pub(super) fn of_file(entry: &Entry) -> io::Result<Option<u16>> {
    let Kind::File { size, content } = &entry.kind else { return Ok(None) };
    if *size < HEADER as u64 {
        return Ok(None);
    }
    let mut header = [0; HEADER];
    match content {
        Content::Bytes(bytes) => header.copy_from_slice(&bytes[..HEADER]),
        Content::Path(path) => File::open(path)?.read_exact(&mut header)?,
    }
    if !header.starts_with(&elf::MAGIC) {
        return Ok(None);
    }
    let big_endian = header[5] == 2;
    let machine = [header[18], header[19]];
    Ok(Some(if big_endian { u16::from_be_bytes(machine) } else { u16::from_le_bytes(machine) }))
}

#[cfg(test)]
mod tests {
    use super::{of_file, of_platform};
    use crate::store::Entry;

    #[test]
    fn helpers_are_for_their_platforms() {
        for platform in ["linux/amd64", "linux/arm64"] {
            let helper = Entry::bytes(crate::init::binary(platform).unwrap());
            assert_eq!(of_file(&helper).unwrap(), of_platform(platform), "{platform}");
        }
        assert_eq!(of_file(&Entry::bytes("\x7fELF")).unwrap(), None);
        assert_eq!(of_file(&Entry::bytes("#!/bin/sh\n# longer than a header\n")).unwrap(), None);
        assert_eq!(of_file(&Entry::directory()).unwrap(), None);
    }
}
