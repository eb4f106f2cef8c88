//! Integration tests: one binary, one file per feature.

mod examples;
mod init;
