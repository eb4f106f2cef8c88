//! Integration tests: one binary, one file per feature.

mod bad_input;
mod examples;
mod init;
mod reproducible;
mod sandbox;
mod style;
mod support;
