//! The Linux system calls that the helpers need, without a C library. Numbers and layouts are the kernel's, for
//! x86-64 and 64-bit ARM.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "a register holds each of the kernel's types"
)]

use core::arch::asm;
use core::ffi::c_char;

#[cfg(target_arch = "x86_64")]
mod number {
    pub(super) const WRITEV: usize = 20;
    pub(super) const MMAP: usize = 9;
    pub(super) const RT_SIGACTION: usize = 13;
    pub(super) const RT_SIGPROCMASK: usize = 14;
    pub(super) const IOCTL: usize = 16;
    pub(super) const GETPID: usize = 39;
    pub(super) const CLONE: usize = 56;
    pub(super) const EXECVE: usize = 59;
    pub(super) const WAIT4: usize = 61;
    pub(super) const KILL: usize = 62;
    pub(super) const SETPGID: usize = 109;
    pub(super) const RT_SIGTIMEDWAIT: usize = 128;
    pub(super) const PRCTL: usize = 157;
    pub(super) const EXIT_GROUP: usize = 231;
    pub(super) const FACCESSAT: usize = 269;
}

#[cfg(target_arch = "aarch64")]
mod number {
    pub(super) const WRITEV: usize = 66;
    pub(super) const MMAP: usize = 222;
    pub(super) const RT_SIGACTION: usize = 134;
    pub(super) const RT_SIGPROCMASK: usize = 135;
    pub(super) const IOCTL: usize = 29;
    pub(super) const GETPID: usize = 172;
    pub(super) const CLONE: usize = 220;
    pub(super) const EXECVE: usize = 221;
    pub(super) const WAIT4: usize = 260;
    pub(super) const KILL: usize = 129;
    pub(super) const SETPGID: usize = 154;
    pub(super) const RT_SIGTIMEDWAIT: usize = 137;
    pub(super) const PRCTL: usize = 167;
    pub(super) const EXIT_GROUP: usize = 94;
    pub(super) const FACCESSAT: usize = 48;
}

pub(crate) const SIGINT: i32 = 2;
pub(crate) const SIGQUIT: i32 = 3;
pub(crate) const SIGTERM: i32 = 15;
pub(crate) const SIGCHLD: i32 = 17;
pub(crate) const SIGTSTP: i32 = 20;
pub(crate) const SIGTTIN: i32 = 21;
pub(crate) const SIGTTOU: i32 = 22;

pub(crate) const ENOENT: i32 = 2;
pub(crate) const E2BIG: i32 = 7;
pub(crate) const ENOEXEC: i32 = 8;
pub(crate) const EACCES: i32 = 13;
pub(crate) const ENOTDIR: i32 = 20;

/// A set of signals: bit 0 is signal 1.
pub(crate) type SignalSet = u64;

#[cfg(target_arch = "x86_64")]
pub(crate) unsafe fn call(number: usize, arguments: [usize; 6]) -> isize {
    let result;
    // SAFETY: the caller answers for the call; the kernel clobbers rcx and r11 alone.
    unsafe {
        asm!("syscall", inlateout("rax") number as isize => result,
            in("rdi") arguments[0], in("rsi") arguments[1], in("rdx") arguments[2],
            in("r10") arguments[3], in("r8") arguments[4], in("r9") arguments[5],
            lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    result
}

#[cfg(target_arch = "aarch64")]
pub(crate) unsafe fn call(number: usize, arguments: [usize; 6]) -> isize {
    let result;
    // SAFETY: the caller answers for the call; the kernel preserves all registers but x0.
    unsafe {
        asm!("svc 0", in("x8") number, inlateout("x0") arguments[0] as isize => result,
            in("x1") arguments[1], in("x2") arguments[2], in("x3") arguments[3],
            in("x4") arguments[4], in("x5") arguments[5], options(nostack));
    }
    result
}

/// Writes one line to standard error: the name of the program and the parts. Eight parts at most; a failure is ignored,
/// because there is nobody to tell.
pub(crate) fn say(parts: &[&[u8]]) {
    const STDERR: usize = 2;
    #[repr(C)]
    #[derive(Clone, Copy)]
    struct Piece(*const u8, usize);
    let piece = |bytes: &[u8]| Piece(bytes.as_ptr(), bytes.len());
    let mut pieces = [piece(b""); 10];
    pieces[0] = piece(crate::NAME);
    for (target, part) in pieces[1..9].iter_mut().zip(parts) {
        *target = piece(part);
    }
    pieces[9] = piece(b"\n");
    // SAFETY: the pieces outlive the call, and the kernel only reads them.
    unsafe { call(number::WRITEV, [STDERR, pieces.as_ptr() as usize, pieces.len(), 0, 0, 0]) };
}

/// Ends the process.
pub(crate) fn exit(status: i32) -> ! {
    loop {
        // SAFETY: no memory is involved.
        unsafe { call(number::EXIT_GROUP, [status as usize, 0, 0, 0, 0, 0]) };
    }
}

/// Fresh zeroed pages of at least `length` bytes.
pub(crate) fn map(length: usize) -> Option<*mut u8> {
    const READ_WRITE: usize = 3;
    const PRIVATE_ANONYMOUS: usize = 0x22;
    const NO_FILE: usize = usize::MAX;
    // SAFETY: a new anonymous mapping at an address of the kernel's choice touches no existing memory.
    let address = unsafe { call(number::MMAP, [0, length, READ_WRITE, PRIVATE_ANONYMOUS, NO_FILE, 0]) };
    (address > 0).then_some(address as *mut u8)
}

/// The number of this process.
pub(crate) fn process() -> i32 {
    // SAFETY: no memory is involved.
    unsafe { call(number::GETPID, [0; 6]) as i32 }
}

/// A copy of this process: `Ok(0)` in the copy, its number here, or an error number.
pub(crate) fn fork() -> Result<i32, i32> {
    // SAFETY: without sharing flags the copy has its own memory; the process has one thread.
    match unsafe { call(number::CLONE, [SIGCHLD as usize, 0, 0, 0, 0, 0]) } {
        error if error < 0 => Err(-error as i32),
        process => Ok(process as i32),
    }
}

/// Becomes another program. Returns an error number when that fails.
///
/// # Safety
/// `path` is a null-terminated string; `argv` and `envp` are null-terminated vectors of such.
pub(crate) unsafe fn execute(
    path: *const c_char,
    argv: *const *const c_char,
    envp: *const *const c_char,
) -> i32 {
    // SAFETY: the caller's promise.
    let result = unsafe { call(number::EXECVE, [path as usize, argv as usize, envp as usize, 0, 0, 0]) };
    -result as i32
}

/// Whether something is at `path`.
///
/// # Safety
/// `path` is a null-terminated string.
pub(crate) unsafe fn exists(path: *const c_char) -> bool {
    const CURRENT_DIRECTORY: usize = -100_isize as usize;
    // SAFETY: the caller's promise.
    unsafe { call(number::FACCESSAT, [CURRENT_DIRECTORY, path as usize, 0, 0, 0, 0]) == 0 }
}

/// Lets the kernel hand orphaned descendants to this process, as it does for PID 1.
pub(crate) fn become_subreaper() {
    const PR_SET_CHILD_SUBREAPER: usize = 36;
    // SAFETY: no memory is involved.
    unsafe { call(number::PRCTL, [PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0, 0]) };
}

/// Blocks every signal; they wait until [`next_signal`] takes them. Returns what was blocked before.
pub(crate) fn block_signals() -> SignalSet {
    let mut before = 0;
    set_mask(SignalSet::MAX, Some(&mut before));
    before
}

/// Blocks exactly these signals.
pub(crate) fn restore_signals(signals: SignalSet) {
    set_mask(signals, None);
}

fn set_mask(signals: SignalSet, before: Option<&mut SignalSet>) {
    const SIG_SETMASK: usize = 2;
    let before = before.map_or(0, |before| core::ptr::from_mut(before) as usize);
    // SAFETY: both addresses are null or valid for the eight bytes that the kernel reads and writes.
    unsafe {
        call(
            number::RT_SIGPROCMASK,
            [SIG_SETMASK, &raw const signals as usize, before, size_of::<SignalSet>(), 0, 0],
        )
    };
}

/// Gives `SIGCHLD` its default meaning: when it is inherited as ignored, the kernel keeps no exit status.
pub(crate) fn notice_children() {
    // The kernel's `struct sigaction` is at most four words; all zero is the default.
    let default = [0_usize; 4];
    // SAFETY: the kernel reads `default` and writes nothing.
    unsafe {
        call(
            number::RT_SIGACTION,
            [SIGCHLD as usize, default.as_ptr() as usize, 0, size_of::<SignalSet>(), 0, 0],
        )
    };
}

/// Waits for a blocked signal and takes it.
pub(crate) fn next_signal() -> i32 {
    let every = SignalSet::MAX;
    loop {
        // SAFETY: the kernel reads the set, and writes nothing because the other addresses are null.
        let signal = unsafe {
            call(number::RT_SIGTIMEDWAIT, [&raw const every as usize, 0, 0, size_of::<SignalSet>(), 0, 0])
        };
        if signal > 0 {
            return signal as i32;
        }
    }
}

/// Takes one ended child: its number and wait status. None when no child has ended.
pub(crate) fn reap() -> Option<(i32, i32)> {
    const ANY: usize = usize::MAX;
    const WNOHANG: usize = 1;
    let mut status = 0_i32;
    // SAFETY: `status` is valid for the four bytes that the kernel writes.
    let process = unsafe { call(number::WAIT4, [ANY, &raw mut status as usize, WNOHANG, 0, 0, 0]) };
    (process > 0).then_some((process as i32, status))
}

/// Sends a signal to a process.
pub(crate) fn signal_process(process: i32, signal: i32) {
    // SAFETY: no memory is involved.
    unsafe { call(number::KILL, [process as usize, signal as usize, 0, 0, 0, 0]) };
}

/// Sends a signal to a process group; whether there is one.
pub(crate) fn signal_group(group: i32, signal: i32) -> bool {
    // SAFETY: no memory is involved.
    unsafe { call(number::KILL, [-group as isize as usize, signal as usize, 0, 0, 0, 0]) == 0 }
}

/// Makes a process the leader of a new process group. Zero means this process.
pub(crate) fn lead_group(process: i32) {
    // SAFETY: no memory is involved.
    unsafe { call(number::SETPGID, [process as usize, process as usize, 0, 0, 0, 0]) };
}

/// Makes this process's group the foreground of the terminal on standard input; nothing happens without one.
/// `SIGTTOU` must be blocked, because the caller is in the background.
pub(crate) fn take_terminal() {
    const STDIN: usize = 0;
    const TIOCSPGRP: usize = 0x5410;
    let group = process();
    // SAFETY: the kernel reads the four bytes of `group`.
    unsafe { call(number::IOCTL, [STDIN, TIOCSPGRP, &raw const group as usize, 0, 0, 0]) };
}
