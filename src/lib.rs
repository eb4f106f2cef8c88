//! rpack builds small, non-root, reproducible OCI images from source.

pub mod config;
pub mod definitions;
pub mod detect;
pub mod http;
#[cfg(test)]
#[path = "../tests/it/support/http_server.rs"]
mod http_server;
pub mod oci;
pub mod plan;
pub mod rootfs;
pub mod source;
pub mod store;
pub mod ui;
