//! Integration tests: one binary, one file per feature.
#![expect(clippy::unwrap_used, reason = "a failed assumption of a test is a failed test")]

mod archive;
mod bad_input;
mod cli;
mod examples;
mod faults;
mod init;
mod reproducible;
mod sandbox;
mod style;
mod support;
