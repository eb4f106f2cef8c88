//! The system calls that have no safe wrapper. All `unsafe` of the sandbox is in this file.
//!
//! Everything here except [`set_mount_attributes`] is called only in the re-executed process and its forks, which
//! have one thread.
#![expect(unsafe_code, reason = "fork, signals, exec and mount_setattr have no safe wrapper")]

use std::ffi::{CString, c_char};
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};

use rustix::process::Pid;
use rustix::thread::UnshareFlags;

/// Duplicates this process; none in the child.
pub(super) fn fork() -> io::Result<Option<Pid>> {
    // SAFETY: the process was freshly executed and has one thread, so the child may use the allocator and locks.
    let pid = unsafe { libc::fork() };
    if pid < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(Pid::from_raw(pid))
}

/// Ends this process at once: a fork must not run what its original registered for the end.
pub(super) fn leave(status: i32) -> ! {
    // SAFETY: `_exit` takes any number and touches no memory.
    unsafe { libc::_exit(status) }
}

/// Moves this process into new namespaces.
pub(super) fn unshare(flags: UnshareFlags) -> rustix::io::Result<()> {
    debug_assert!(!flags.contains(UnshareFlags::FILES), "descriptors stay shared");
    // SAFETY: only `FILES` is unsound, and callers pass namespaces alone.
    unsafe { rustix::thread::unshare_unsafe(flags) }
}

/// Blocks every signal and opens a descriptor from which they are read instead.
pub(super) fn signal_descriptor() -> io::Result<OwnedFd> {
    // SAFETY: an all-zero `sigset_t` is valid storage, which `sigfillset` initialises before it is read.
    let descriptor = unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&raw mut set);
        if libc::sigprocmask(libc::SIG_SETMASK, &raw const set, std::ptr::null_mut()) != 0 {
            return Err(io::Error::last_os_error());
        }
        libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK)
    };
    if descriptor < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel just returned this descriptor, and nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// Gives every signal its default action and unblocks all, as an executed program expects.
pub(super) fn reset_signals() {
    // SAFETY: all-zero `sigset_t` and `sigaction` are valid: `SIG_DFL` is 0, the mask is empty. Numbers that may
    // not be changed (KILL, STOP, those libc keeps) are refused with an error that needs no handling.
    unsafe {
        let action: libc::sigaction = std::mem::zeroed();
        for number in 1..=64 {
            libc::sigaction(number, &raw const action, std::ptr::null_mut());
        }
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const set, std::ptr::null_mut());
    }
}

/// Replaces this process by `program`; returns only the error.
pub(super) fn execute(program: &CString, arguments: &[CString], environment: &[CString]) -> io::Error {
    let pointers = |texts: &[CString]| -> Vec<*const c_char> {
        texts.iter().map(|text| text.as_ptr()).chain([std::ptr::null()]).collect()
    };
    let (arguments, environment) = (pointers(arguments), pointers(environment));
    // SAFETY: both arrays end with a null pointer, and the texts they point to outlive the call.
    unsafe { libc::execve(program.as_ptr(), arguments.as_ptr(), environment.as_ptr()) };
    io::Error::last_os_error()
}

/// Keeps every descriptor but the three standard ones from the next executed program.
pub(super) fn close_on_exec() -> io::Result<()> {
    // SAFETY: marking descriptors closes none in this process and touches no memory.
    let result = unsafe { libc::syscall(libc::SYS_close_range, 3, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Adds attributes (`MOUNT_ATTR_RDONLY` …) to a mount, and to all below it when `recursive`.
///
/// Attributes are only added, so those that an outer user namespace has locked stay as they are.
pub(super) fn set_mount_attributes(
    mount: BorrowedFd<'_>,
    attributes: u64,
    recursive: bool,
) -> io::Result<()> {
    let value = libc::mount_attr { attr_set: attributes, attr_clr: 0, propagation: 0, userns_fd: 0 };
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the path is a NUL-terminated text, `value` is the structure of the size that is given with it, and
    // the kernel only reads both.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const value,
            size_of::<libc::mount_attr>(),
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Brings a network interface up.
pub(super) fn interface_up(name: &str) -> io::Result<()> {
    let socket = rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::DGRAM, None)?;
    // SAFETY: an all-zero `ifreq` is valid, and the name is cut to leave its last byte zero.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (slot, byte) in request.ifr_name.iter_mut().zip(name.bytes().take(libc::IFNAMSIZ - 1)) {
        *slot = c_char::from_ne_bytes([byte]);
    }
    let flags = libc::IFF_UP | libc::IFF_RUNNING;
    request.ifr_ifru.ifru_flags = libc::c_short::try_from(flags).map_err(io::Error::other)?;
    // SAFETY: `SIOCSIFFLAGS` reads an `ifreq`, which outlives the call.
    let result = unsafe { libc::ioctl(socket.as_fd().as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
