//! The system calls of the server besides those that it shares with `rpack-init`.

use crate::syscall::call;

#[cfg(target_arch = "x86_64")]
mod number {
    pub(super) const READ: usize = 0;
    pub(super) const WRITE: usize = 1;
    pub(super) const CLOSE: usize = 3;
    pub(super) const LSEEK: usize = 8;
    pub(super) const MMAP: usize = 9;
    pub(super) const SENDFILE: usize = 40;
    pub(super) const SOCKET: usize = 41;
    pub(super) const SENDTO: usize = 44;
    pub(super) const SHUTDOWN: usize = 48;
    pub(super) const BIND: usize = 49;
    pub(super) const LISTEN: usize = 50;
    pub(super) const SETSOCKOPT: usize = 54;
    pub(super) const CLOCK_GETTIME: usize = 228;
    pub(super) const EPOLL_CTL: usize = 233;
    pub(super) const OPENAT: usize = 257;
    pub(super) const EPOLL_PWAIT: usize = 281;
    pub(super) const ACCEPT4: usize = 288;
    pub(super) const SIGNALFD4: usize = 289;
    pub(super) const EPOLL_CREATE1: usize = 291;
    pub(super) const PRLIMIT64: usize = 302;
}

#[cfg(target_arch = "aarch64")]
mod number {
    pub(super) const READ: usize = 63;
    pub(super) const WRITE: usize = 64;
    pub(super) const CLOSE: usize = 57;
    pub(super) const LSEEK: usize = 62;
    pub(super) const MMAP: usize = 222;
    pub(super) const SENDFILE: usize = 71;
    pub(super) const SOCKET: usize = 198;
    pub(super) const SENDTO: usize = 206;
    pub(super) const SHUTDOWN: usize = 210;
    pub(super) const BIND: usize = 200;
    pub(super) const LISTEN: usize = 201;
    pub(super) const SETSOCKOPT: usize = 208;
    pub(super) const CLOCK_GETTIME: usize = 113;
    pub(super) const EPOLL_CTL: usize = 21;
    pub(super) const OPENAT: usize = 56;
    pub(super) const EPOLL_PWAIT: usize = 22;
    pub(super) const ACCEPT4: usize = 242;
    pub(super) const SIGNALFD4: usize = 74;
    pub(super) const EPOLL_CREATE1: usize = 20;
    pub(super) const PRLIMIT64: usize = 261;
}

pub(crate) const EINTR: i32 = 4;
pub(crate) const EAGAIN: i32 = 11;

pub(crate) const READABLE: u32 = 1;
pub(crate) const WRITABLE: u32 = 4;

const CLOSE_ON_EXEC: usize = 0o2_000_000;
const NON_BLOCKING: usize = 0o4_000;

/// A result of the kernel's: a number, or an error number.
type Result<T> = core::result::Result<T, i32>;

fn checked(result: isize) -> Result<usize> {
    usize::try_from(result).map_err(|_| i32::try_from(-result).unwrap_or(i32::MAX))
}

/// A call whose arguments are numbers alone.
fn plain(number: usize, arguments: [usize; 6]) -> Result<usize> {
    // SAFETY: callers pass no addresses, except those of values that they hold during the call.
    checked(unsafe { call(number, arguments) })
}

#[expect(clippy::cast_sign_loss, reason = "the kernel reads the lower half of the register")]
fn register(descriptor: i32) -> usize {
    descriptor as usize
}

fn descriptor(result: Result<usize>) -> Result<i32> {
    result.map(|number| i32::try_from(number).unwrap_or(-1))
}

/// An event of `epoll_wait`; the layout is the kernel's.
#[derive(Clone, Copy, Default)]
#[cfg_attr(target_arch = "x86_64", repr(C, packed))]
#[cfg_attr(not(target_arch = "x86_64"), repr(C))]
pub(crate) struct Event {
    pub(crate) events: u32,
    pub(crate) token: u64,
}

pub(crate) fn epoll() -> Result<i32> {
    descriptor(plain(number::EPOLL_CREATE1, [CLOSE_ON_EXEC, 0, 0, 0, 0, 0]))
}

/// Watches `watched`: adds it, or changes what it is watched for.
pub(crate) fn watch(epoll: i32, watched: i32, is_new: bool, events: u32, token: u64) -> Result<usize> {
    const ADD: usize = 1;
    const MODIFY: usize = 3;
    let event = Event { events, token };
    let operation = if is_new { ADD } else { MODIFY };
    let address = &raw const event as usize;
    plain(number::EPOLL_CTL, [register(epoll), operation, register(watched), address, 0, 0])
}

/// Waits for events, at most so many milliseconds.
pub(crate) fn wait(epoll: i32, events: &mut [Event], milliseconds: usize) -> usize {
    let address = events.as_mut_ptr() as usize;
    plain(number::EPOLL_PWAIT, [register(epoll), address, events.len(), milliseconds, 0, 0]).unwrap_or(0)
}

/// A socket that listens on all addresses of the machine, of both families where there are both.
pub(crate) fn listen(port: u16) -> Result<i32> {
    const INET: u16 = 2;
    const INET6: u16 = 10;
    let mut address = [0_u8; 28];
    address[..2].copy_from_slice(&INET6.to_ne_bytes());
    address[2..4].copy_from_slice(&port.to_be_bytes());
    listen_on(usize::from(INET6), &address).or_else(|_| {
        address[..2].copy_from_slice(&INET.to_ne_bytes());
        listen_on(usize::from(INET), &address[..16])
    })
}

fn listen_on(family: usize, address: &[u8]) -> Result<i32> {
    const STREAM: usize = 1;
    const BACKLOG: usize = 1024;
    const SOL_SOCKET: usize = 1;
    const REUSE_ADDRESS: usize = 2;
    const IPPROTO_TCP: usize = 6;
    const NO_DELAY: usize = 1;
    const IPPROTO_IPV6: usize = 41;
    const ONLY_IPV6: usize = 26;
    let kind = STREAM | CLOSE_ON_EXEC | NON_BLOCKING;
    let socket = descriptor(plain(number::SOCKET, [family, kind, 0, 0, 0, 0]))?;
    let option = |level, name, value: u32| {
        let pointer = &raw const value as usize;
        plain(number::SETSOCKOPT, [register(socket), level, name, pointer, size_of::<u32>(), 0])
    };
    let listening = option(SOL_SOCKET, REUSE_ADDRESS, 1)
        .and_then(|_| option(IPPROTO_TCP, NO_DELAY, 1))
        .and_then(|_| if family == 10 { option(IPPROTO_IPV6, ONLY_IPV6, 0) } else { Ok(0) })
        .and_then(|_| {
            plain(number::BIND, [register(socket), address.as_ptr() as usize, address.len(), 0, 0, 0])
        })
        .and_then(|_| plain(number::LISTEN, [register(socket), BACKLOG, 0, 0, 0, 0]));
    match listening {
        Ok(_) => Ok(socket),
        Err(error) => {
            close(socket);
            Err(error)
        }
    }
}

pub(crate) fn accept(listener: i32) -> Result<i32> {
    descriptor(plain(number::ACCEPT4, [register(listener), 0, 0, CLOSE_ON_EXEC | NON_BLOCKING, 0, 0]))
}

pub(crate) fn read(from: i32, buffer: &mut [u8]) -> Result<usize> {
    plain(number::READ, [register(from), buffer.as_mut_ptr() as usize, buffer.len(), 0, 0, 0])
}

/// Sends bytes; `more` says that a file follows.
pub(crate) fn send(socket: i32, bytes: &[u8], more: bool) -> Result<usize> {
    const NO_SIGNAL: usize = 0x4000;
    const MORE: usize = 0x8000;
    let flags = if more { NO_SIGNAL | MORE } else { NO_SIGNAL };
    plain(number::SENDTO, [register(socket), bytes.as_ptr() as usize, bytes.len(), flags, 0, 0])
}

pub(crate) fn send_file(socket: i32, file: i32, offset: &mut u64, length: usize) -> Result<usize> {
    let address = core::ptr::from_mut(offset) as usize;
    plain(number::SENDFILE, [register(socket), register(file), address, length, 0, 0])
}

/// Says that nothing more will be sent.
pub(crate) fn shut_down(socket: i32) {
    const WRITING: usize = 1;
    let _ = plain(number::SHUTDOWN, [register(socket), WRITING, 0, 0, 0, 0]);
}

pub(crate) fn close(descriptor: i32) {
    let _ = plain(number::CLOSE, [register(descriptor), 0, 0, 0, 0, 0]);
}

/// Writes to standard output, as far as it takes it.
pub(crate) fn print(text: &[u8]) {
    let _ = plain(number::WRITE, [1, text.as_ptr() as usize, text.len(), 0, 0, 0]);
}

/// Opens a file for reading; `name` ends with a null byte and is relative to `folder`.
pub(crate) fn open(folder: i32, name: &[u8]) -> Result<i32> {
    const ENOENT: i32 = 2;
    if !name.ends_with(b"\0") {
        return Err(ENOENT);
    }
    descriptor(plain(number::OPENAT, [register(folder), name.as_ptr() as usize, CLOSE_ON_EXEC, 0, 0, 0]))
}

/// The content of a file, which stays as it is while the process lives.
pub(crate) fn content(file: i32) -> Result<&'static [u8]> {
    const END: usize = 2;
    const READ_ONLY: usize = 1;
    const PRIVATE: usize = 2;
    let length = plain(number::LSEEK, [register(file), 0, END, 0, 0, 0])?;
    if length == 0 {
        return Ok(&[]);
    }
    let address = plain(number::MMAP, [0, length, READ_ONLY, PRIVATE, register(file), 0])?;
    // SAFETY: the kernel mapped `length` bytes there, which are never unmapped; images do not change.
    Ok(unsafe { core::slice::from_raw_parts(address as *const u8, length) })
}

/// Seconds since 1970.
pub(crate) fn today() -> u64 {
    clock(0)[0]
}

/// Milliseconds of a clock that only runs forward.
pub(crate) fn milliseconds() -> u64 {
    let [seconds, nanoseconds] = clock(1);
    seconds * 1000 + nanoseconds / 1_000_000
}

fn clock(which: usize) -> [u64; 2] {
    let mut time = [0_u64; 2];
    let _ = plain(number::CLOCK_GETTIME, [which, &raw mut time as usize, 0, 0, 0, 0]);
    time
}

/// A descriptor that is readable when one of the signals waits.
pub(crate) fn signals(signals: u64) -> Result<i32> {
    let address = &raw const signals as usize;
    descriptor(plain(
        number::SIGNALFD4,
        [usize::MAX, address, size_of::<u64>(), CLOSE_ON_EXEC | NON_BLOCKING, 0, 0],
    ))
}

/// Allows as many open files as this process may have, and tells how many.
pub(crate) fn raise_file_limit() -> u64 {
    const FILES: usize = 7;
    let mut limit = [0_u64; 2];
    if plain(number::PRLIMIT64, [0, FILES, 0, &raw mut limit as usize, 0, 0]).is_err() {
        return 0;
    }
    let raised = [limit[1], limit[1]];
    match plain(number::PRLIMIT64, [0, FILES, &raw const raised as usize, 0, 0, 0]) {
        Ok(_) => raised[0],
        Err(_) => limit[0],
    }
}
