//! Credential helpers: programs that keep passwords
//! (<https://github.com/docker/docker-credential-helpers#development>).

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde::Deserialize;

use super::credentials::Secret;

/// A helper that asks a person or a locked keyring must not hold up a build.
const PATIENCE: Duration = Duration::from_secs(30);

/// The most that a helper may print.
const LIMIT: u64 = 64 << 10;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: String,
}

/// Asks `docker-credential-NAME`, found on `programs`, for the credential of `server`.
///
/// # Errors
/// Why there is no answer; it reads on after the helper's name.
pub(super) fn get(name: &str, server: &str, programs: &str) -> Result<Option<Secret>, String> {
    if !name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.')) {
        return Err("has a name that is not one of a program".to_owned());
    }
    let program = format!("docker-credential-{name}");
    let folders = programs.split(':').filter(|folder| folder.starts_with('/'));
    let path = folders.map(|folder| Path::new(folder).join(&program)).find(|path| path.is_file());
    let path = path.ok_or("is not on PATH")?;
    let mut child = Command::new(path)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("cannot be started: {error}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A helper that does not read its input says what it has to say in its answer.
        let _ = stdin.write_all(server.as_bytes());
    }
    let (is_done, output) = finish(&mut child, PATIENCE)?;
    let text = String::from_utf8_lossy(&output);
    if !is_done {
        let first = text.lines().next().unwrap_or_default().trim();
        let is_unknown =
            first.contains("credentials not found") || first.contains("no credentials server URL");
        return if is_unknown { Ok(None) } else { Err(format!("failed: {first}")) };
    }
    let answer: Answer =
        serde_json::from_slice(&output).map_err(|_| "printed something that is no credential".to_owned())?;
    Ok(Some(if answer.username == "<token>" {
        Secret::Identity(answer.secret)
    } else {
        Secret::Password { username: answer.username, password: answer.secret }
    }))
}

/// Whether the child succeeded, and what it printed.
fn finish(child: &mut Child, patience: Duration) -> Result<(bool, Vec<u8>), String> {
    let stdout = child.stdout.take();
    let reader = thread::spawn(move || {
        let mut bytes = Vec::new();
        // What cannot be read is missing from the answer, which then is none.
        let _ = stdout.map(|stdout| stdout.take(LIMIT).read_to_end(&mut bytes));
        bytes
    });
    let end = Instant::now() + patience;
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if Instant::now() < end => thread::sleep(Duration::from_millis(10)),
            Ok(None) => {
                // It may have ended in between.
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("gave no answer within {} seconds", patience.as_secs()));
            }
            Err(error) => return Err(format!("cannot be waited for: {error}")),
        }
    };
    Ok((status.success(), reader.join().unwrap_or_default()))
}
