//! Reads images from registries and writes them there, by the distribution specification 1.1
//! (<https://github.com/opencontainers/distribution-spec/blob/main/spec.md>).
//!
//! In: references, the machine's credentials and certificates, mirrors. Out: manifests as bytes and blobs as files of the
//! store; images in repositories; credentials that a registry has accepted, where docker and podman look for them
//! (`login.rs`).
//!
//! Invariants: everything has the digest and size that was asked for or stated; credentials go to the registry they
//! belong to, and to the token server that it names, if that one may be asked (`host.rs`); plain http is used
//! only for this machine and for hosts that are configured so; a tag is moved when all it names is there. Retries and
//! resumed downloads are [`crate::http`]'s, resumed uploads are here (`upload.rs`).

mod auth;
mod certificates;
mod challenge;
mod client;
mod config_file;
mod credentials;
mod docker_config;
mod error;
mod helper;
mod host;
mod known;
mod login;
mod push;
mod referrers;
mod session;
#[cfg(test)]
mod tests;
mod upload;

pub(crate) use client::media_type;
pub use client::{Document, Registry};
pub use credentials::{Credentials, Places};
pub use error::{Error, Refusal};
pub use host::Settings;
pub use login::{Kept, Proved, Server};
pub use push::{Pushed, Way};
