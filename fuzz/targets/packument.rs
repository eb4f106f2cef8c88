//! Target `packument`: see `rpack::fuzz`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| rpack::fuzz::packument(bytes));
