//! The vocabulary of OCI: digests, canonical JSON.

mod canonical;
mod digest;

pub use canonical::to_canonical_json;
pub use digest::{Digest, DigestWriter, InvalidDigest};
