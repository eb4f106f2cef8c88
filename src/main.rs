//! The `rpack` command: sandbox re-entry, parse, run, exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    // A sandbox is this same program started again; it must not have any thread yet.
    rpack::build::sandbox::reenter();
    ExitCode::from(rpack::cli::main())
}
