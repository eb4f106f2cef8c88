//! `rpack-init`, the start helper that images carry when their program cannot be PID 1 itself.
//!
//! In: a platform. Out: the binary for it, and how to write its arguments. The binaries are in `init/bin/`: static,
//! a few kilobytes, no C library, no shell. They are made from `init/src/` by `rpack build init`, with a compiler of
//! Debian, to the same bytes on every machine; so rpack needs no compiler for other platforms, and the images of two
//! machines are equal. Tests compare them with their sources (`init/README.md`).
//!
//! # Contract
//! `rpack-init [--port N] -- COMMAND [ARGUMENT]…`; what a container runtime appends is more arguments.
//!
//! - **`PORT`** is set to N when it is unset or empty. Everything else in the environment is passed on as it is.
//! - **Variables** in each argument are replaced: `$NAME`, `${NAME}`, and `${NAME:-default}` where the default
//!   stands in for unset or empty and may hold references itself. Not set is empty. `$$` is a dollar sign
//!   ([`escape`]). Values are not looked into, and one argument stays one argument. What is no reference stays as
//!   it is (`$5`, `${x%y}`, a `${` that is never closed).
//! - **The command** is looked for on `PATH` when it has no slash.
//! - **Signals** are passed on to the program, all of them but `SIGCHLD` and a terminal's requests to stop. When
//!   `SIGTERM`, `SIGINT` or `SIGQUIT` has ended it, the rest of its process group gets that signal too and is waited
//!   for. The program leads that group, has the terminal's foreground if there is a terminal, and starts with the
//!   signal mask that `rpack-init` was given.
//! - **Orphans** are reaped; when it is not PID 1, it declares itself their reaper.
//! - **Exit status**: the program's; 128 + n when signal n ended it; 127 no such program; 126 it cannot be
//!   started; 125 `rpack-init` itself failed. The last three come with one line on standard error, which begins
//!   with `rpack-init: `. What the program leaves running ends with the PID namespace.
//! - **`RPACK_INIT_LOG=1`** prints `PORT` with where it came from, and the final arguments.

/// The executable for a platform (`linux/amd64`): a static ELF file. None for a platform without one.
pub fn binary(platform: &str) -> Option<&'static [u8]> {
    match platform {
        "linux/amd64" => Some(include_bytes!("../../init/bin/rpack-init-amd64")),
        "linux/arm64" => Some(include_bytes!("../../init/bin/rpack-init-arm64")),
        _ => None,
    }
}

/// Where images have it.
pub const PATH: &str = "/usr/bin/rpack-init";

/// Writes a literal text as an argument of `rpack-init`, so that nothing in it is replaced.
pub fn escape(literal: &str) -> String {
    literal.replace('$', "$$")
}

#[cfg(test)]
#[path = "../../init/src/expand.rs"]
mod expand;
#[cfg(test)]
mod tests;
