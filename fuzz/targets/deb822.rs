//! Target `deb822`: see `rpack::fuzz`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| rpack::fuzz::deb822(bytes));
