//! Questions to a person, on the terminal that the process belongs to.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use crate::interrupt;

/// The longest answer.
const LIMIT: usize = 4096;

/// How often a wait for an answer looks whether the user wants to stop, in nanoseconds.
const WAKE: i64 = 100_000_000;

/// A terminal to ask on.
#[derive(Debug)]
pub struct Terminal {
    file: File,
}

impl Terminal {
    /// The terminal of this process, whatever its standard streams are.
    ///
    /// # Errors
    /// When it has none.
    pub fn open() -> io::Result<Self> {
        Ok(Self { file: OpenOptions::new().read(true).write(true).open("/dev/tty")? })
    }

    /// Asks for one line.
    ///
    /// # Errors
    /// When the terminal is closed, or the user wants to stop.
    pub fn ask(&self, question: &str) -> io::Result<String> {
        (&self.file).write_all(question.as_bytes())?;
        self.line()
    }

    /// Asks for one line that is not shown. The terminal shows again what is typed afterwards, however that ends.
    ///
    /// # Errors
    /// As [`Terminal::ask`].
    pub fn ask_hidden(&self, question: &str) -> io::Result<String> {
        // First, so that nothing of an answer that comes at once is shown or lost.
        let silence = Silence::on(&self.file)?;
        (&self.file).write_all(question.as_bytes())?;
        let line = self.line();
        drop(silence);
        // The line end was not shown either.
        (&self.file).write_all(b"\n")?;
        line
    }

    fn line(&self) -> io::Result<String> {
        let mut line = Vec::new();
        let mut byte = [0];
        while line.len() < LIMIT {
            self.wait()?;
            match (&self.file).read(&mut byte)? {
                0 if line.is_empty() => return Err(io::ErrorKind::UnexpectedEof.into()),
                0 => break,
                _ if byte[0] == b'\n' => break,
                _ => line.push(byte[0]),
            }
        }
        String::from_utf8(line).map_err(io::Error::other)
    }

    /// Returns when something was typed. A plain read would not end on Ctrl-C: another thread takes the signal.
    fn wait(&self) -> io::Result<()> {
        let wake = Timespec { tv_sec: 0, tv_nsec: WAKE };
        loop {
            let mut files = [PollFd::new(&self.file, PollFlags::IN)];
            let found = poll(&mut files, Some(&wake));
            if interrupt::requested() {
                return Err(io::ErrorKind::Interrupted.into());
            }
            match found {
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                Ok(_) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// While it lives, a terminal does not show what is typed.
struct Silence<'a> {
    file: &'a File,
    former: Termios,
}

impl<'a> Silence<'a> {
    fn on(file: &'a File) -> io::Result<Self> {
        let former = tcgetattr(file)?;
        let mut silent = former.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        // What was typed before the question is no answer to it.
        tcsetattr(file, OptionalActions::Flush, &silent)?;
        Ok(Self { file, former })
    }
}

impl Drop for Silence<'_> {
    fn drop(&mut self) {
        // A terminal that has gone away needs no repair.
        let _ = tcsetattr(self.file, OptionalActions::Drain, &self.former);
    }
}
