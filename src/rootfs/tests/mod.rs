//! The stage as a whole: against a small archive made here, and against the real one.

mod network;
