//! What fuzzing and the test over its corpus call: every reader of bytes that come from a network or a package.
//!
//! In: any bytes. Out: nothing; a panic is a fault of the reader. Besides not failing, each target states what must
//! hold of whatever is accepted. Compiled for tests and by `cargo fuzz` only; see `docs/fuzzing.md`.

pub use crate::cache::transfer::fuzz::cache;
pub use crate::closure::fuzz::elf;
pub use crate::oci::unpack::fuzz::layer;
pub use crate::rootfs::fuzz::{archive, deb, deb822, openpgp, packument, relations};

/// Both readers of tar archives.
pub fn tar(bytes: &[u8]) {
    archive(bytes);
    layer(bytes);
}

/// A target: its name, and what gets the bytes.
pub type Target = (&'static str, fn(&[u8]));

/// All targets, by the names of their folders in `fuzz/corpus/`.
pub const TARGETS: [Target; 8] = [
    ("cache", cache),
    ("deb", deb),
    ("deb822", deb822),
    ("elf", elf),
    ("openpgp", openpgp),
    ("packument", packument),
    ("relations", relations),
    ("tar", tar),
];

#[cfg(test)]
mod tests;
