//! The vocabulary of OCI: digests, references, the documents of an image, canonical JSON.

mod canonical;
mod compression;
mod content;
mod digest;
mod docker_archive;
pub mod image;
pub mod layout;
mod media_types;
pub mod origin;
mod reference;
pub mod registry;
mod source;
pub mod unpack;

pub use canonical::to_canonical_json;
pub use compression::{Compression, InvalidCompression};
pub use content::{Content, is_document, is_index};
pub use digest::{Digest, DigestReader, DigestWriter, InvalidDigest};
pub use media_types::{InvalidMediaTypes, MediaTypes};
pub use reference::{InvalidReference, Reference};
pub use source::{ImageSource, InvalidSource, Pick};
