//! The `rpack` command.

fn main() {}
