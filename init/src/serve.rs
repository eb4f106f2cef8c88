//! `rpack-site`: serves the files of an image over HTTP.
//!
//! In: `[--root DIR] [PORT]`, the environment's `PORT`, and the index `usr/share/rpack/site` below the root. The
//! contract is documented in `src/site/mod.rs`. One thread, no memory that grows, no file that the index does not
//! list.
//!
//! This file is the entry and the loop over events; `site::connection` is what happens on one connection.

#![no_std]
#![no_main]
#![no_builtins]

mod entry;
#[expect(dead_code, reason = "the two programs share it, and each uses a part")]
mod memory;
mod site;
#[expect(dead_code, reason = "the two programs share it, and each uses a part")]
mod syscall;

use core::ffi::c_char;
use core::panic::PanicInfo;

use entry::{text, variable};
use memory::Arena;
use site::connection::{Connection, HEAD, Site};
use site::index::Index;
use site::kernel::{self, Event, READABLE};

/// What its messages begin with.
const NAME: &[u8] = b"rpack-site: ";
/// Exit status when it cannot serve.
const FAILED: i32 = 125;
/// Below the root.
const INDEX: &[u8] = b"usr/share/rpack/site\0";
const DEFAULT_PORT: u16 = 8080;

/// The most connections at a time. Each takes a descriptor for itself and one for the file that it sends.
const CONNECTIONS: usize = 2048;
/// Descriptors that are no connections.
const OTHER_FILES: u64 = 16;
/// Milliseconds between looks at the clock.
const TICK: usize = 1000;
/// Milliseconds for connections to end after a signal to stop.
const GRACE: u64 = 9000;

const LISTENER: u64 = u64::MAX;
const SIGNALS: u64 = u64::MAX - 1;
/// SIGINT and SIGTERM.
const STOP: u64 = 1 << 1 | 1 << 14;

/// Called by `_start` with the vectors that the kernel laid on the stack.
pub(crate) fn run(arguments: &'static [*const c_char], environment: &'static [*const c_char]) -> ! {
    let (root, port) = options(arguments, environment);
    // Nothing interrupts a call, and a client that is gone is an error of the call alone.
    syscall::block_signals();
    let files = kernel::raise_file_limit().saturating_sub(OTHER_FILES) / 2;
    let count = usize::try_from(files).unwrap_or(CONNECTIONS).clamp(1, CONNECTIONS);
    let folder = kernel::open(-100, root).unwrap_or_else(|_| fail(&[b"the root cannot be opened"]));
    let index = kernel::open(folder, INDEX).and_then(kernel::content).ok().and_then(Index::new);
    let Some(index) = index else { fail(&[b"there is no valid index at /usr/share/rpack/site"]) };
    let epoll = kernel::epoll().unwrap_or_else(|_| fail(&[b"the kernel has no epoll"]));
    let listener = kernel::listen(port).unwrap_or_else(|_| fail(&[b"the port cannot be listened on"]));
    let signals = kernel::signals(STOP).unwrap_or_else(|_| fail(&[b"signals cannot be waited for"]));
    for (descriptor, token) in [(listener, LISTENER), (signals, SIGNALS)] {
        if kernel::watch(epoll, descriptor, true, READABLE, token).is_err() {
            fail(&[b"sockets cannot be waited for"]);
        }
    }
    let site = Site { epoll, root: folder, index, stopping: false };
    Server { site, listener, signals, connections: connections(count), stop_at: u64::MAX }.run()
}

/// `--root DIR` and the port: of the environment, else of the command line, else 8080.
fn options(arguments: &[*const c_char], environment: &[*const c_char]) -> (&'static [u8], u16) {
    let mut root: &[u8] = b"/\0";
    let mut port = None;
    let mut words = arguments.iter().skip(1);
    while let Some(word) = words.next() {
        if text(*word) == b"--root" {
            root = words
                .next()
                .map_or_else(|| fail(&[b"`--root` needs a folder"]), |word| entry::terminated(*word));
        } else {
            port = Some(text(*word));
        }
    }
    let stated = variable(environment, b"PORT").filter(|value| !value.is_empty()).or(port);
    (root, stated.map_or(DEFAULT_PORT, number))
}

fn number(value: &[u8]) -> u16 {
    let sum = value.iter().try_fold(0_u16, |sum, digit| {
        let digit = digit.is_ascii_digit().then(|| u16::from(digit - b'0'))?;
        sum.checked_mul(10)?.checked_add(digit)
    });
    match sum {
        Some(port) if port > 0 => port,
        _ => fail(&[b"the port must be a number from 1 to 65535, found `", value, b"`"]),
    }
}

fn connections(count: usize) -> &'static mut [Connection] {
    let mut arena = Arena::new();
    let buffers = arena.bytes(count * 2 * HEAD);
    let mut buffers = buffers.chunks_exact_mut(HEAD);
    memory::slice(count, || {
        let input = buffers.next().unwrap_or_default();
        Connection::new(input, buffers.next().unwrap_or_default())
    })
}

struct Server {
    site: Site,
    listener: i32,
    signals: i32,
    connections: &'static mut [Connection],
    /// When what is left ends, after a signal to stop.
    stop_at: u64,
}

impl Server {
    fn run(mut self) -> ! {
        let mut events = [Event::default(); 256];
        let mut looked = kernel::milliseconds();
        loop {
            let count = kernel::wait(self.site.epoll, &mut events, TICK);
            let now = kernel::milliseconds();
            for event in &events[..count] {
                match event.token {
                    LISTENER => self.accept(now),
                    SIGNALS => self.stop(now),
                    token => self.advance(token, now),
                }
            }
            if now >= looked + TICK as u64 {
                looked = now;
                self.expire(now);
            }
            if self.site.stopping && (now >= self.stop_at || self.connections.iter().all(Connection::is_free))
            {
                syscall::exit(0);
            }
        }
    }

    fn advance(&mut self, token: u64, now: u64) {
        let slot = usize::try_from(token).ok().and_then(|token| self.connections.get_mut(token));
        if let Some(connection) = slot {
            connection.advance(token, &self.site, now);
        }
    }

    fn expire(&mut self, now: u64) {
        for (token, connection) in self.connections.iter_mut().enumerate() {
            connection.expire(token as u64, &self.site, now);
        }
    }

    /// Takes what waits to connect.
    fn accept(&mut self, now: u64) {
        while !self.site.stopping {
            let Ok(socket) = kernel::accept(self.listener) else { return };
            match self.slot() {
                Some(token) => {
                    self.connections[token].open(socket, token as u64, &self.site, now);
                    self.advance(token as u64, now);
                }
                None => kernel::close(socket),
            }
        }
    }

    /// A free slot; else that of the connection that has been idle for longest.
    fn slot(&mut self) -> Option<usize> {
        if let Some(free) = self.connections.iter().position(Connection::is_free) {
            return Some(free);
        }
        let idle = self.connections.iter().enumerate().filter(|(_, connection)| connection.is_idle());
        let (oldest, _) = idle.min_by_key(|(_, connection)| connection.deadline())?;
        self.connections[oldest].close();
        Some(oldest)
    }

    /// Takes no more connections, ends those without a request, and lets the others finish.
    fn stop(&mut self, now: u64) {
        // A signal counts once: what was read is no longer waiting.
        let taken = kernel::read(self.signals, &mut [0; 128]);
        if taken.is_ok() && self.site.stopping {
            syscall::exit(0);
        }
        self.site.stopping = true;
        self.stop_at = now + GRACE;
        kernel::close(self.listener);
        for connection in self.connections.iter_mut().filter(|connection| connection.is_idle()) {
            connection.close();
        }
    }
}

/// Says why nothing can be served and ends the process.
pub(crate) fn fail(message: &[&[u8]]) -> ! {
    syscall::say(message);
    syscall::exit(FAILED)
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    fail(&[b"internal error"])
}
