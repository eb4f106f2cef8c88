//! Those parts of the server that are plain functions: rpack's own texts are read by the same code, and tested with it.

#[path = "../../init/src/site/index.rs"]
pub(crate) mod index;
#[path = "../../init/src/site/request.rs"]
pub(crate) mod request;
#[path = "../../init/src/site/rules.rs"]
pub(crate) mod rules;
#[path = "../../init/src/site/write.rs"]
pub(crate) mod write;

#[cfg(test)]
#[path = "../../init/src/site/answer.rs"]
pub(crate) mod answer;
