//! The vocabulary of OCI: digests, references, the documents of an image, canonical JSON.

mod canonical;
mod digest;
pub mod image;
mod reference;

pub use canonical::to_canonical_json;
pub use digest::{Digest, DigestReader, DigestWriter, InvalidDigest};
pub use reference::{InvalidReference, Reference};
