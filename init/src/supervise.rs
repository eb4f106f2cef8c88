//! Runs the program and stays as its parent: passes signals on, reaps orphans, ends as the program ended.
//!
//! In: the program with its final arguments and environment. Out: never returns; the exit status is the program's,
//! 128 plus the signal's number when a signal ended it, 127 when there is no such program, 126 when it cannot be
//! started.
//!
//! The program leads its own process group, and owns the terminal if there is one. Signals go to the program alone: a
//! master that ends its workers in an order of its own must not lose them to the same signal. When it was asked to end
//! and has ended, the rest of its group is asked with the same signal and waited for, so that a shell which passes
//! nothing on does not take the time to finish from what it has started.

use core::ffi::c_char;

use crate::memory::Arena;
use crate::syscall;

const CANNOT_START: i32 = 126;
const NOT_FOUND: i32 = 127;

/// What is to be run.
pub(crate) struct Program {
    /// The first argument: a path when it has a slash, else looked for in `path`.
    pub(crate) name: &'static [u8],
    /// Folders, separated by colons.
    pub(crate) path: &'static [u8],
    /// Arguments, null-terminated.
    pub(crate) argv: &'static [*const c_char],
    /// Environment, null-terminated.
    pub(crate) envp: &'static [*const c_char],
}

/// Runs the program to its end and ends this process with its status.
pub(crate) fn run(program: &Program, arena: &mut Arena) -> ! {
    if syscall::process() != 1 {
        syscall::become_subreaper();
    }
    syscall::notice_children();
    let inherited = syscall::block_signals();
    let child = match syscall::fork() {
        Ok(0) => {
            syscall::lead_group(0);
            syscall::take_terminal();
            syscall::restore_signals(inherited);
            syscall::exit(execute(program, arena))
        }
        Ok(child) => child,
        Err(_) => crate::fail(&[b"no process can be made: the limit of processes or of memory is reached"]),
    };
    // Both sides do it, so that the group exists whichever runs first.
    syscall::lead_group(child);
    // The signal that asked it to end, and its exit status.
    let (mut asked, mut ended) = (None, None);
    loop {
        match syscall::next_signal() {
            syscall::SIGCHLD => {
                while let Some((process, status)) = syscall::reap() {
                    if process == child {
                        ended = Some(exit_status(status));
                        if let Some(signal) = asked {
                            syscall::signal_group(child, signal);
                        }
                    }
                }
            }
            // Requests of a terminal to stop: they concern its foreground group, which is the program's.
            syscall::SIGTSTP | syscall::SIGTTIN | syscall::SIGTTOU => {}
            signal => {
                if matches!(signal, syscall::SIGINT | syscall::SIGQUIT | syscall::SIGTERM) {
                    asked = Some(signal);
                }
                if ended.is_none() {
                    syscall::signal_process(child, signal);
                } else {
                    syscall::signal_group(child, signal);
                }
            }
        }
        // Signal 0 only asks whether anybody is there.
        if let Some(status) = ended
            && (asked.is_none() || !syscall::signal_group(child, 0))
        {
            syscall::exit(status);
        }
    }
}

/// What a shell would report for a wait status.
fn exit_status(status: i32) -> i32 {
    match status & 0x7f {
        0 => (status >> 8) & 0xff,
        signal => 128 + signal,
    }
}

/// Becomes the program. When no candidate can be started, says why and returns the exit status for it.
fn execute(program: &Program, arena: &mut Arena) -> i32 {
    let name = program.name;
    if name.is_empty() {
        syscall::say(&[b"the command is empty after its variables were replaced"]);
        return NOT_FOUND;
    }
    if name.contains(&b'/') {
        let path = arena.string(&[name]);
        let error = attempt(path, program);
        return explain(name, path, error);
    }
    let mut denied = None;
    for folder in program.path.split(|byte| *byte == b':') {
        // An empty entry is the working directory.
        let folder = if folder.is_empty() { b"." } else { folder };
        let path = arena.string(&[folder, b"/", name]);
        match attempt(path, program) {
            syscall::EACCES => denied = denied.or(Some(path)),
            // SAFETY: the arena's strings are terminated.
            syscall::ENOENT if unsafe { syscall::exists(path) } => {
                return explain(name, path, syscall::ENOENT);
            }
            syscall::ENOENT | syscall::ENOTDIR => {}
            error => return explain(name, path, error),
        }
    }
    if let Some(path) = denied {
        return explain(name, path, syscall::EACCES);
    }
    syscall::say(&[b"`", name, b"`: not found in PATH=", program.path]);
    NOT_FOUND
}

/// Tries to become the program at `path`; returns the error number.
fn attempt(path: *const c_char, program: &Program) -> i32 {
    // SAFETY: the arena's strings are terminated, and both vectors end with a null pointer.
    unsafe { syscall::execute(path, program.argv.as_ptr(), program.envp.as_ptr()) }
}

/// Says why `path` cannot be started; returns the exit status.
fn explain(name: &[u8], path: *const c_char, error: i32) -> i32 {
    let reason: &[u8] = match error {
        // SAFETY: the arena's strings are terminated.
        syscall::ENOENT if unsafe { syscall::exists(path) } => {
            b"the interpreter that its first line or its ELF header names is missing"
        }
        syscall::ENOENT | syscall::ENOTDIR => {
            syscall::say(&[b"`", name, b"`: no such file"]);
            return NOT_FOUND;
        }
        syscall::EACCES => b"not executable: a folder, or permission denied",
        syscall::ENOEXEC => b"not a program: neither for this architecture, nor a script with a `#!` line",
        syscall::E2BIG => b"arguments and environment are too long together",
        _ => b"the kernel refuses to start it",
    };
    let shown = crate::text(path);
    syscall::say(&[b"`", shown, b"`: ", reason]);
    CANNOT_START
}
