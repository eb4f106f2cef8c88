//! Credential helpers: programs that keep passwords
//! (<https://github.com/docker/docker-credential-helpers#development>).

use std::io::{Read, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::credentials::{Programs, Secret};

/// The most that a helper may print.
const LIMIT: u64 = 64 << 10;

/// The user name that stands for an identity token.
const TOKEN: &str = "<token>";

/// A helper, and the name under which it knows a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Helper {
    /// `pass` for the program `docker-credential-pass`.
    pub(super) name: String,
    /// `registry.example`.
    pub(super) server: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: String,
}

#[derive(Serialize)]
struct Kept<'a> {
    #[serde(rename = "ServerURL")]
    server: &'a str,
    #[serde(rename = "Username")]
    username: &'a str,
    #[serde(rename = "Secret")]
    secret: &'a str,
}

/// How a helper ended.
struct Ending {
    is_done: bool,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

impl Helper {
    /// The credential that it keeps.
    ///
    /// # Errors
    /// Why there is no answer; it reads on after the helper's name.
    pub(super) fn get(&self, programs: Programs<'_>) -> Result<Option<Secret>, String> {
        let ending = self.run("get", self.server.as_bytes(), programs)?;
        if !ending.is_done {
            return if ending.knows_nothing() { Ok(None) } else { Err(ending.failure()) };
        }
        let answer: Answer = serde_json::from_slice(&ending.stdout)
            .map_err(|_| "printed something that is no credential".to_owned())?;
        Ok(Some(if answer.username == TOKEN {
            Secret::Identity(answer.secret)
        } else {
            Secret::Password { username: answer.username, password: answer.secret }
        }))
    }

    /// Gives it a credential to keep.
    ///
    /// # Errors
    /// As [`Helper::get`].
    pub(super) fn store(&self, secret: &Secret, programs: Programs<'_>) -> Result<(), String> {
        let (username, secret) = match secret {
            Secret::Password { username, password } => (username.as_str(), password.as_str()),
            Secret::Identity(token) | Secret::Registry(token) => (TOKEN, token.as_str()),
        };
        let kept = Kept { server: &self.server, username, secret };
        let text = serde_json::to_vec(&kept).map_err(|error| error.to_string())?;
        let ending = self.run("store", &text, programs)?;
        if ending.is_done { Ok(()) } else { Err(ending.failure()) }
    }

    /// Lets it forget the credential.
    ///
    /// # Errors
    /// As [`Helper::get`].
    pub(super) fn erase(&self, programs: Programs<'_>) -> Result<(), String> {
        let ending = self.run("erase", self.server.as_bytes(), programs)?;
        if ending.is_done || ending.knows_nothing() { Ok(()) } else { Err(ending.failure()) }
    }

    fn run(&self, action: &str, input: &[u8], programs: Programs<'_>) -> Result<Ending, String> {
        if !self.name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.')) {
            return Err("has a name that is not one of a program".to_owned());
        }
        let program = format!("docker-credential-{}", self.name);
        let folders = programs.path.split(':').filter(|folder| folder.starts_with('/'));
        let path = folders.map(|folder| Path::new(folder).join(&program)).find(|path| path.is_file());
        let mut child = Command::new(path.ok_or("is not on PATH")?)
            .arg(action)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("cannot be started: {error}"))?;
        if let Some(mut stdin) = child.stdin.take() {
            let input = input.to_vec();
            // Beside the wait: a helper that does not read must not hold up rpack either. What it does not read it
            // answers for.
            thread::spawn(move || drop(stdin.write_all(&input)));
        }
        finish(&mut child, programs.patience)
    }
}

impl Ending {
    /// Its own words: helpers print what went wrong to stdout, and programs that crash to stderr.
    fn words(&self) -> String {
        let last = |bytes: &[u8]| {
            let text = String::from_utf8_lossy(bytes).into_owned();
            text.lines().map(str::trim).rfind(|line| !line.is_empty()).map(str::to_owned)
        };
        let words = last(&self.stdout).or_else(|| last(&self.stderr)).unwrap_or_default();
        words.chars().filter(|c| !c.is_control()).take(300).collect()
    }

    fn knows_nothing(&self) -> bool {
        let text = String::from_utf8_lossy(&self.stdout);
        text.contains("credentials not found") || text.contains("no credentials server URL")
    }

    fn failure(&self) -> String {
        let words = self.words();
        if words.is_empty() { "failed and did not say why".to_owned() } else { format!("failed: {words}") }
    }
}

/// Waits for the end, and for all that was printed: something that the helper has left behind may hold its output open.
fn finish(child: &mut Child, patience: Duration) -> Result<Ending, String> {
    let stdout = collect(child.stdout.take());
    let stderr = collect(child.stderr.take());
    let end = Instant::now() + patience;
    let late = || format!("gave no answer within {} seconds", patience.as_secs_f32());
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if Instant::now() < end => thread::sleep(Duration::from_millis(10)),
            Ok(None) => {
                // It may have ended in between.
                let _ = child.kill();
                let _ = child.wait();
                return Err(late());
            }
            Err(error) => return Err(format!("cannot be waited for: {error}")),
        }
    };
    let left = || end.saturating_duration_since(Instant::now());
    let stdout = stdout.recv_timeout(left()).map_err(|_| late())?;
    // Nothing but the wording of a failure depends on it.
    let stderr = stderr.recv_timeout(left().min(Duration::from_millis(100))).unwrap_or_default();
    Ok(Ending { is_done: status.success(), stdout, stderr })
}

/// Reads all of a stream, in a thread of its own.
fn collect(stream: Option<impl Read + Send + 'static>) -> Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // What cannot be read is missing from the answer, which then is none.
        let _ = stream.map(|stream| stream.take(LIMIT).read_to_end(&mut bytes));
        // Nobody waits any more for a helper that was late.
        let _ = sender.send(bytes);
    });
    receiver
}
