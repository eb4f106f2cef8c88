//! The parts of `rpack-site`. `request`, `rules`, `index`, `answer` and `write` are pure, and tested by rpack's tests.

pub(crate) mod answer;
pub(crate) mod connection;
pub(crate) mod index;
pub(crate) mod kernel;
pub(crate) mod request;
pub(crate) mod rules;
pub(crate) mod write;
