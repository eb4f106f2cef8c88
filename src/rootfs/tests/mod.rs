//! The stage as a whole: against a small archive made here, and against the real one.

mod apt;
mod composing;
#[expect(dead_code, reason = "the integration tests use the rest of it")]
#[path = "../../../tests/it/support/debian_repository.rs"]
mod debian_repository;
mod dpkg;
mod fixture;
mod machine;
mod mirror;
mod network;
mod packages;
mod selecting;
mod signatures;
mod trust;

use crate::http_server;
pub(crate) use machine::context;
