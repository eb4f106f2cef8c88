//! rpack builds small, non-root, reproducible OCI images from source.

pub mod build;
pub mod config;
pub mod definitions;
pub mod detect;
pub mod oci;
pub mod plan;
pub mod source;
pub mod store;
pub mod ui;
