//! Runs the programs of engines: what they print is capped, and nothing that should be quick is waited for without end.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::error::{Error, Way};
use super::{super::Error as PublishError, Engine};
use crate::interrupt;

/// How long a question may take: an engine may be behind ssh.
const PATIENCE: Duration = Duration::from_secs(60);

/// The most that is kept of what a program prints.
const LIMIT: u64 = 16 << 20;

/// A program of an engine with its arguments.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call<'a> {
    pub engine: Engine,
    pub way: Way,
    pub program: &'static str,
    pub arguments: &'a [&'a str],
    /// Where it runs: what it is given by a relative name is here.
    pub directory: &'a Path,
}

/// How a program ended, and what it printed.
#[derive(Debug)]
pub(super) struct Ended {
    pub is_success: bool,
    pub stdout: Vec<u8>,
    stderr: String,
}

impl Ended {
    /// The last thing that it said, and all of it when that is more.
    fn said(&self) -> (String, Option<String>) {
        let lines: Vec<&str> = self.stderr.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let last =
            lines.last().map_or("it said nothing", |line| line.strip_prefix("Error: ").unwrap_or(line));
        let clean =
            |text: &str| -> String { text.chars().filter(|c| !c.is_control() || *c == '\n').collect() };
        (clean(last), (lines.len() > 1).then(|| clean(&lines.join("\n"))))
    }
}

impl Call<'_> {
    /// `docker load`: the program and what it was to do.
    fn shown(&self) -> String {
        let words = self.arguments.iter().take_while(|word| !word.starts_with('-'));
        [self.program].into_iter().chain(words.copied()).collect::<Vec<_>>().join(" ")
    }

    /// Its answer, whatever that is.
    ///
    /// # Errors
    /// When it cannot be started or does not end.
    pub(super) fn ask(&self) -> Result<Ended, Error> {
        let mut running = self.start(Stdio::null())?;
        let stdout = running.child.stdout.take().map(kept);
        let status = self.wait(&mut running.child, Some(PATIENCE))?;
        Ok(running.ended(status, stdout))
    }

    /// What it prints when it succeeds.
    ///
    /// # Errors
    /// When it cannot be started, or fails: then it is the engine that does not answer.
    pub(super) fn answer(&self) -> Result<Vec<u8>, Error> {
        let ended = match self.ask() {
            Err(Error::Late { patience, .. }) => {
                return Err(self.silent(format!("nothing within {} seconds", patience.as_secs())));
            }
            ended => ended?,
        };
        if ended.is_success { Ok(ended.stdout) } else { Err(self.silent(ended.said().0)) }
    }

    pub(super) fn silent(&self, reason: String) -> Error {
        Error::Silent { engine: self.engine, command: self.shown(), way: self.way, reason }
    }

    /// Runs it to its end.
    ///
    /// # Errors
    /// When it cannot be started or fails.
    pub(super) fn run(&self) -> Result<(), Error> {
        let mut running = self.start(Stdio::null())?;
        let stdout = running.child.stdout.take().map(kept);
        let status = self.wait(&mut running.child, None)?;
        self.succeeded(&running.ended(status, stdout))
    }

    /// Runs it with what `write` writes on its stdin.
    ///
    /// # Errors
    /// When it cannot be started or fails, and those of `write`, after which nothing is kept.
    pub(super) fn feed(
        &self,
        write: &mut dyn FnMut(&mut dyn Write) -> Result<(), PublishError>,
    ) -> Result<(), PublishError> {
        let mut running = self.start(Stdio::piped())?;
        let stdout = running.child.stdout.take().map(kept);
        let stdin = running.child.stdin.take();
        let written = stdin.map_or(Ok(()), |stdin| write(&mut Interruptible(stdin)));
        match written {
            // It has ended, and says why itself; an archive may also end later than its reader looks.
            Ok(()) | Err(PublishError::Engine(Error::Pipe { .. })) => {}
            Err(error) => {
                stop(&mut running.child);
                return Err(error);
            }
        }
        let status = self.wait(&mut running.child, None)?;
        Ok(self.succeeded(&running.ended(status, stdout))?)
    }

    /// Runs it with its stdout in `file`, which takes at most `limit` bytes.
    ///
    /// # Errors
    /// When it cannot be started, fails, or prints more.
    pub(super) fn save(&self, file: &mut File, limit: u64) -> Result<(), PublishError> {
        let mut running = self.start(Stdio::null())?;
        let stdout = running.child.stdout.take();
        let mut file = Interruptible(file);
        let copied = stdout.map_or(Ok(0), |stdout| io::copy(&mut stdout.take(limit + 1), &mut file));
        let stopped = match copied {
            Ok(size) if size <= limit => None,
            Ok(_) => Some(Error::Large { command: self.shown(), limit }.into()),
            Err(source) => {
                let path = self.directory.to_owned();
                Some(crate::store::Error::Io { action: "write to", path, source }.into())
            }
        };
        if let Some(error) = stopped {
            stop(&mut running.child);
            return Err(error);
        }
        let status = self.wait(&mut running.child, None)?;
        Ok(self.succeeded(&running.ended(status, None))?)
    }

    fn succeeded(&self, ended: &Ended) -> Result<(), Error> {
        if ended.is_success {
            return Ok(());
        }
        let (reason, output) = ended.said();
        Err(Error::Refused { engine: self.engine, way: self.way, command: self.shown(), reason, output })
    }

    fn start(&self, stdin: Stdio) -> Result<Running, Error> {
        let mut child = Command::new(self.program)
            .args(self.arguments)
            .current_dir(self.directory)
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|source| match source.kind() {
                io::ErrorKind::NotFound => Error::Missing { engine: self.engine, way: self.way },
                _ => Error::Start { program: self.program, source },
            })?;
        let stderr = child.stderr.take().map(kept);
        Ok(Running { child, stderr })
    }

    fn wait(&self, child: &mut Child, patience: Option<Duration>) -> Result<ExitStatus, Error> {
        let begin = Instant::now();
        loop {
            match child.try_wait() {
                Ok(Some(status)) => return Ok(status),
                Ok(None) if interrupt::requested() => stop(child),
                Ok(None) => {
                    if let Some(patience) = patience.filter(|patience| begin.elapsed() > *patience) {
                        stop(child);
                        return Err(Error::Late { command: self.shown(), patience });
                    }
                    thread::sleep(Duration::from_millis(5));
                }
                Err(source) => return Err(Error::Start { program: self.program, source }),
            }
        }
    }
}

struct Running {
    child: Child,
    stderr: Option<JoinHandle<Vec<u8>>>,
}

impl Running {
    fn ended(self, status: ExitStatus, stdout: Option<JoinHandle<Vec<u8>>>) -> Ended {
        // A thread that reads has no reason to panic, and what is missing is missing from a message.
        let read = |thread: Option<JoinHandle<Vec<u8>>>| {
            thread.and_then(|thread| thread.join().ok()).unwrap_or_default()
        };
        let stderr = String::from_utf8_lossy(&read(self.stderr)).into_owned();
        Ended { is_success: status.success(), stdout: read(stdout), stderr }
    }
}

/// Reads to the end, so that the program never waits, and keeps the beginning.
fn kept(mut stream: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // What cannot be read is missing from a message or answer, which then is none.
        let _ = (&mut stream).take(LIMIT).read_to_end(&mut bytes);
        let _ = io::copy(&mut stream, &mut io::sink());
        bytes
    })
}

fn stop(child: &mut Child) {
    // It may have ended by itself.
    let _ = child.kill();
    let _ = child.wait();
}

/// Takes nothing more after Ctrl-C.
struct Interruptible<W>(W);

impl<W: Write> Write for Interruptible<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if interrupt::requested() {
            return Err(io::Error::other("interrupted"));
        }
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
