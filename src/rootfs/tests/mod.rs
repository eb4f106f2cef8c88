//! The stage as a whole: against a small archive made here, and against the real one.

mod apt;
#[path = "../../../tests/it/support/debian_repository.rs"]
mod debian_repository;
mod dpkg;
mod machine;
mod network;
mod packages;
mod repository;
mod signatures;

use crate::http_server;
pub(crate) use machine::context;
