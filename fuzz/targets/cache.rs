//! Target `cache`: see `rpack::fuzz`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| rpack::fuzz::cache(bytes));
