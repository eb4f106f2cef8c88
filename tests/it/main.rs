//! Integration tests: one binary, one file per feature.
#![expect(clippy::unwrap_used, reason = "a failed assumption of a test is a failed test")]

mod app_folder;
mod archive;
mod bad_input;
mod bases;
mod beside;
mod cache;
mod cli;
mod examples;
mod failing_steps;
mod faults;
mod incremental;
mod init;
mod init_command;
mod languages_page;
mod libraries;
mod lock;
mod new_language;
mod platforms;
mod private_registries;
mod publishing;
mod rebase;
mod reproducible;
mod root;
mod run;
mod sandbox;
mod scanner;
mod secrets;
mod site;
mod steps;
mod style;
mod support;
mod timings;
mod toolchains;
mod unchanged;
