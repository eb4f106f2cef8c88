//! One connection: requests in, answers out, without ever waiting.
//!
//! A connection costs a slot, two buffers and a clock: each phase ends at its deadline, so that a client that sends or
//! reads too slowly, or nothing, cannot keep the slot.

use super::answer::{Answer, answer, refuse};
use super::index::Index;
use super::kernel::{self, EAGAIN, EINTR, READABLE, WRITABLE};
use super::request::{Parsed, parse};
use super::write::Buffer;

/// The longest request head. What answers a request has as much room.
pub(crate) const HEAD: usize = 8192;
/// How many bytes of a file go out before others have their turn.
const TURN: usize = 1 << 20;
/// How many steps a connection takes before others have their turn.
const STEPS: usize = 64;

/// Milliseconds for a whole request head.
const REQUEST: u64 = 10_000;
/// Milliseconds between requests. Load balancers keep connections for up to ten minutes, and take it badly when the
/// server closes them first.
const IDLE: u64 = 620_000;
/// Milliseconds in which a client must take some bytes.
const PROGRESS: u64 = 30_000;
/// Milliseconds for a client to stop sending after it was refused.
const LINGER: u64 = 2_000;

/// What a connection is about to do.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// There is none.
    Free,
    /// It reads a request head.
    Reading,
    /// It sends an answer.
    Writing,
    /// It has sent its last answer and throws away what still comes: closing at once could destroy the answer.
    Draining,
}

/// What all connections share.
pub(crate) struct Site {
    pub(crate) epoll: i32,
    pub(crate) root: i32,
    pub(crate) index: Index<'static>,
    pub(crate) stopping: bool,
}

/// A connection. All zero is a free slot.
pub(crate) struct Connection {
    socket: i32,
    phase: Phase,
    /// What the socket is watched for.
    watched: u32,
    deadline: u64,
    input: &'static mut [u8],
    /// How much of the input is filled, and how much of that the current request took.
    filled: usize,
    taken: usize,
    output: &'static mut [u8],
    /// How much of the output is to be sent, and how much has been.
    pending: usize,
    sent: usize,
    file: Option<i32>,
    offset: u64,
    remaining: u64,
    keep_alive: bool,
    status: u16,
    body: u64,
    started: u64,
}

impl Connection {
    /// A free slot with its buffers.
    pub(crate) fn new(input: &'static mut [u8], output: &'static mut [u8]) -> Self {
        Self {
            socket: -1,
            phase: Phase::Free,
            watched: 0,
            deadline: 0,
            input,
            filled: 0,
            taken: 0,
            output,
            pending: 0,
            sent: 0,
            file: None,
            offset: 0,
            remaining: 0,
            keep_alive: false,
            status: 0,
            body: 0,
            started: 0,
        }
    }

    pub(crate) fn is_free(&self) -> bool {
        self.phase == Phase::Free
    }

    /// Whether it waits for a request of which nothing has come.
    pub(crate) fn is_idle(&self) -> bool {
        self.phase == Phase::Reading && self.filled == 0
    }

    pub(crate) fn deadline(&self) -> u64 {
        self.deadline
    }

    /// Takes a new connection into this slot.
    pub(crate) fn open(&mut self, socket: i32, token: u64, site: &Site, now: u64) {
        self.socket = socket;
        self.phase = Phase::Reading;
        (self.filled, self.taken, self.watched) = (0, 0, READABLE);
        // A connection that was opened for a request sends it soon.
        self.deadline = now + REQUEST;
        if kernel::watch(site.epoll, socket, true, READABLE, token).is_err() {
            self.close();
        }
    }

    pub(crate) fn close(&mut self) {
        self.close_file();
        if self.phase != Phase::Free {
            kernel::close(self.socket);
            self.phase = Phase::Free;
        }
    }

    fn close_file(&mut self) {
        if let Some(file) = self.file.take() {
            kernel::close(file);
        }
    }

    /// Ends it when its time is over.
    pub(crate) fn expire(&mut self, token: u64, site: &Site, now: u64) {
        if self.is_free() || now < self.deadline {
            return;
        }
        if self.phase == Phase::Reading && self.filled > 0 {
            self.refuse(408, now);
            self.advance(token, site, now);
        } else {
            self.close();
        }
    }

    /// Goes on as far as it can without waiting.
    pub(crate) fn advance(&mut self, token: u64, site: &Site, now: u64) {
        for _ in 0..STEPS {
            let step = match self.phase {
                Phase::Free => return,
                Phase::Reading => self.read(site, now),
                Phase::Writing => self.write(site, now),
                Phase::Draining => self.drain(),
            };
            match step {
                Ok(()) | Err(EINTR) => {}
                Err(EAGAIN) => {
                    let wanted = if self.phase == Phase::Writing { WRITABLE } else { READABLE };
                    if wanted != self.watched {
                        self.watched = wanted;
                        let _ = kernel::watch(site.epoll, self.socket, false, wanted, token);
                    }
                    return;
                }
                Err(_) => return self.close(),
            }
        }
        // Its turn is over. What it waits for is there, so the next look at events finds it again; a phase that
        // changed on the way is watched for what it needs now.
        let wanted = if self.phase == Phase::Writing { WRITABLE } else { READABLE };
        if !self.is_free() && wanted != self.watched {
            self.watched = wanted;
            let _ = kernel::watch(site.epoll, self.socket, false, wanted, token);
        }
    }

    fn read(&mut self, site: &Site, now: u64) -> Result<(), i32> {
        match parse(&self.input[..self.filled]) {
            Parsed::Complete(request, length) => {
                let mut out = Buffer::new(self.output);
                let mut request = request;
                request.keep_alive &= !site.stopping;
                let answer = answer(&request, site.index, kernel::today(), &mut out);
                let length_of_head = out.written().map(<[u8]>::len);
                self.taken = length;
                match length_of_head {
                    Some(pending) => self.begin(answer, pending, Some(site), now),
                    None => self.refuse(500, now),
                }
                return Ok(());
            }
            Parsed::Refused(status) => {
                self.refuse(status, now);
                return Ok(());
            }
            Parsed::Incomplete if self.filled == self.input.len() => {
                let is_line = !self.input.contains(&b'\n');
                self.refuse(if is_line { 414 } else { 431 }, now);
                return Ok(());
            }
            Parsed::Incomplete => {}
        }
        let was_idle = self.filled == 0;
        match kernel::read(self.socket, &mut self.input[self.filled..])? {
            0 => self.close(),
            length => {
                if was_idle {
                    self.deadline = now + REQUEST;
                    self.started = now;
                }
                self.filled += length;
            }
        }
        Ok(())
    }

    /// Answers with a status alone, and ends the connection after it.
    fn refuse(&mut self, status: u16, now: u64) {
        let mut out = Buffer::new(self.output);
        let answer = refuse(status, kernel::today(), &mut out);
        let pending = out.written().map_or(0, <[u8]>::len);
        self.taken = self.filled;
        self.begin(answer, pending, None, now);
    }

    fn begin(&mut self, answer: Answer<'_>, pending: usize, site: Option<&Site>, now: u64) {
        self.phase = Phase::Writing;
        self.deadline = now + PROGRESS;
        (self.pending, self.sent, self.remaining, self.body) = (pending, 0, 0, 0);
        (self.keep_alive, self.status) = (answer.keep_alive, answer.status);
        if let (Some(body), Some(site)) = (answer.body, site) {
            match kernel::open(site.root, body.name) {
                Ok(file) => {
                    self.file = Some(file);
                    (self.offset, self.remaining) = (body.offset, body.length);
                }
                Err(_) => self.refuse(500, now),
            }
        }
    }

    fn write(&mut self, site: &Site, now: u64) -> Result<(), i32> {
        if self.sent < self.pending {
            let rest = &self.output[self.sent..self.pending];
            self.sent += kernel::send(self.socket, rest, self.remaining > 0)?;
            self.deadline = now + PROGRESS;
            return Ok(());
        }
        if let Some(file) = self.file.filter(|_| self.remaining > 0) {
            let length = usize::try_from(self.remaining).unwrap_or(TURN).min(TURN);
            let sent = kernel::send_file(self.socket, file, &mut self.offset, length)? as u64;
            if sent == 0 {
                // The file is shorter than the index says: there is no way to tell the client but to end here.
                self.log(now);
                self.close();
                return Ok(());
            }
            self.remaining -= sent.min(self.remaining);
            self.body += sent;
            self.deadline = now + PROGRESS;
            return Ok(());
        }
        self.log(now);
        self.close_file();
        self.next(site, now);
        Ok(())
    }

    /// Goes on to the next request, which may have come already, or to the end.
    fn next(&mut self, site: &Site, now: u64) {
        if !self.keep_alive {
            kernel::shut_down(self.socket);
            self.phase = Phase::Draining;
            self.deadline = now + LINGER;
            return;
        }
        self.input.copy_within(self.taken..self.filled, 0);
        self.filled -= self.taken;
        self.taken = 0;
        self.phase = Phase::Reading;
        self.started = now;
        self.deadline = now + if self.filled > 0 { REQUEST } else { IDLE };
        if site.stopping && self.filled == 0 {
            self.close();
        }
    }

    fn drain(&mut self) -> Result<(), i32> {
        if kernel::read(self.socket, self.input)? == 0 {
            self.close();
        }
        Ok(())
    }

    /// One line for each answer: method, address, status, bytes of the body, milliseconds.
    fn log(&self, now: u64) {
        let mut line = [0; 1024];
        let mut out = Buffer::new(&mut line);
        let head = &self.input[..self.taken];
        let start = head.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        let request = head[start..].split(|byte| matches!(byte, b'\r' | b'\n')).next().unwrap_or_default();
        let mut words = request.split(|byte| *byte == b' ');
        for _ in 0..2 {
            let word = words.next().filter(|word| !word.is_empty()).unwrap_or(b"-");
            // Four characters may stand for one byte.
            out.printable(&word[..word.len().min(200)]);
            out.put(b" ");
        }
        out.number(u64::from(self.status));
        out.put(b" ");
        out.number(self.body);
        out.put(b" ");
        out.number(now.saturating_sub(self.started));
        out.put(b"ms\n");
        kernel::print(out.written().unwrap_or_default());
    }
}
