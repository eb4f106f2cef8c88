//! `rpack-init`: the first process of an image whose program cannot be PID 1 itself.
//!
//! In: the argument vector and the environment as the kernel lays them on the stack. Out: the exit status of the
//! program. The contract is documented in `src/init.rs`. The binary is static and uses no C library, no shell
//! and no file of the image, so it starts on any root filesystem.
//!
//! This file is the entry: options, environment, expanded command. `supervise` runs the command.

#![no_std]
#![no_main]
#![no_builtins]

mod entry;
mod expand;
#[expect(dead_code, reason = "the two programs share it, and each uses a part")]
mod memory;
mod supervise;
mod syscall;

use core::ffi::c_char;
use core::panic::PanicInfo;

use entry::{entries, text, variable};
use memory::Arena;

/// What its messages begin with.
const NAME: &[u8] = b"rpack-init: ";
/// Exit status when `rpack-init` itself fails, as `docker run` and `env` use it.
const FAILED: i32 = 125;

/// What the command line asked for.
struct Options {
    /// `--port N`, digits only.
    port: Option<&'static [u8]>,
    /// How many arguments precede the command.
    command: usize,
}

/// Called by `_start` with the vectors that the kernel laid on the stack.
pub(crate) fn run(arguments: &'static [*const c_char], environment: &'static [*const c_char]) -> ! {
    let options = options(arguments);
    let mut arena = Arena::new();
    let (environment, port) = with_port(environment, options.port, &mut arena);
    let command = expanded(&arguments[options.command..], environment, &mut arena);
    if variable(environment, b"RPACK_INIT_LOG") == Some(b"1") {
        log(command, environment, port);
    }
    let name = text(command[0]);
    let path = variable(environment, b"PATH").unwrap_or(b"/usr/bin:/bin");
    supervise::run(&supervise::Program { name, path, argv: command, envp: environment }, &mut arena)
}

/// Reads the options up to `--`. Ends the process when they are not `[--port N] -- COMMAND…`.
fn options(arguments: &[*const c_char]) -> Options {
    let mut port = None;
    let mut at = 1;
    loop {
        let Some(argument) = arguments.get(at).map(|pointer| text(*pointer)) else {
            fail(&[b"no command; usage: rpack-init [--port N] -- COMMAND [ARGUMENT]..."]);
        };
        match argument {
            b"--" if at + 1 < arguments.len() => return Options { port, command: at + 1 },
            b"--" => fail(&[b"no command after `--`"]),
            b"--port" => {
                let value = arguments.get(at + 1).map_or(b"".as_slice(), |pointer| text(*pointer));
                if !is_port(value) {
                    fail(&[b"`--port` needs a number from 1 to 65535, found `", value, b"`"]);
                }
                port = Some(value);
                at += 2;
            }
            other => fail(&[b"unknown option `", other, b"`; the command follows `--`"]),
        }
    }
}

fn is_port(value: &[u8]) -> bool {
    let number = || value.iter().fold(0_u32, |sum, digit| sum * 10 + u32::from(digit - b'0'));
    (1..=5).contains(&value.len()) && value.iter().all(u8::is_ascii_digit) && (1..=65535).contains(&number())
}

/// Where the value of `PORT` comes from.
#[derive(Clone, Copy)]
enum Port {
    /// It was in the environment.
    Given,
    /// It was unset or empty; `--port` filled it in.
    Default,
    /// It is unset or empty.
    Absent,
}

/// The environment, null-terminated, with `PORT` filled in when it is unset or empty and a default is known.
fn with_port(
    given: &[*const c_char],
    default: Option<&[u8]>,
    arena: &mut Arena,
) -> (&'static [*const c_char], Port) {
    let environment = arena.pointers(given.len() + 2);
    let mut length = 0;
    let mut port = Port::Absent;
    for pointer in given {
        if let Some(value) = text(*pointer).strip_prefix(b"PORT=") {
            if value.is_empty() && default.is_some() {
                continue;
            }
            if !value.is_empty() {
                port = Port::Given;
            }
        }
        environment[length] = *pointer;
        length += 1;
    }
    if let (Port::Absent, Some(default)) = (port, default) {
        environment[length] = arena.string(&[b"PORT=", default]);
        length += 1;
        port = Port::Default;
    }
    (&environment[..=length], port)
}

/// The command with its references to variables replaced, null-terminated. One argument stays one argument.
fn expanded(
    command: &[*const c_char],
    environment: &'static [*const c_char],
    arena: &mut Arena,
) -> &'static [*const c_char] {
    let argv = arena.pointers(command.len() + 1);
    let lookup = |name: &[u8]| variable(environment, name);
    for (target, pointer) in argv.iter_mut().zip(command) {
        let argument = text(*pointer);
        let mut length = 0;
        expand::expand(argument, &lookup, &mut |part| length += part.len());
        let bytes = arena.bytes(length + 1);
        let mut end = 0;
        expand::expand(argument, &lookup, &mut |part| {
            bytes[end..end + part.len()].copy_from_slice(part);
            end += part.len();
        });
        *target = bytes.as_ptr().cast();
    }
    argv
}

/// What `RPACK_INIT_LOG=1` prints.
fn log(command: &[*const c_char], environment: &[*const c_char], port: Port) {
    match (port, variable(environment, b"PORT")) {
        (Port::Given, Some(value)) => syscall::say(&[b"PORT=", value, b" (given by the environment)"]),
        (Port::Default, Some(value)) => {
            syscall::say(&[b"PORT=", value, b" (default of the image: unset or empty)"]);
        }
        _ => syscall::say(&[b"PORT is unset or empty, and the image has no default"]),
    }
    for argument in entries(command) {
        syscall::say(&[b"argument `", argument, b"`"]);
    }
}

/// Says why nothing can be started and ends the process.
pub(crate) fn fail(message: &[&[u8]]) -> ! {
    syscall::say(message);
    syscall::exit(FAILED)
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    fail(&[b"internal error"])
}
