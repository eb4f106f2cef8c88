//! Reads images from registries by the distribution specification 1.1
//! (<https://github.com/opencontainers/distribution-spec/blob/main/spec.md>).
//!
//! In: references, the machine's credentials, mirrors. Out: manifests as bytes and blobs as files of the store.
//!
//! Invariants: everything has the digest and size that was asked for or stated; credentials go to the registry they
//! belong to, and to the token server that it names, if that one may be asked (`challenge.rs`); plain http is used
//! only for this machine and for hosts that are configured so. Retries and resumed transfers are [`crate::http`]'s.

mod auth;
mod challenge;
mod client;
mod credentials;
mod docker_config;
mod error;
mod helper;
mod host;
#[cfg(test)]
mod tests;

pub(crate) use client::media_type;
pub use client::{Document, Registry};
pub use credentials::{Credentials, Places};
pub use error::{Error, Refusal};
pub use host::Settings;
