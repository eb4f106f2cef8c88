//! The `rpack` command.

fn main() {
    rpack::build::sandbox::reenter();
}
