//! Those parts of the server that are plain functions: rpack's own texts are read by the same code, and tested with it.

#[path = "../../init/src/site/index.rs"]
#[cfg_attr(not(test), expect(dead_code, reason = "the server uses all of it, rpack a part"))]
pub(crate) mod index;
#[path = "../../init/src/site/request.rs"]
#[cfg_attr(not(test), expect(dead_code, reason = "the server uses all of it, rpack a part"))]
pub(crate) mod request;
#[path = "../../init/src/site/rules.rs"]
#[cfg_attr(not(test), expect(dead_code, reason = "the server uses all of it, rpack a part"))]
pub(crate) mod rules;
#[path = "../../init/src/site/write.rs"]
#[expect(dead_code, reason = "the server uses all of it, rpack a part")]
pub(crate) mod write;

#[cfg(test)]
#[path = "../../init/src/site/answer.rs"]
pub(crate) mod answer;
