//! Asking an ecosystem's own client on the host what it would use.

use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::Machine;
use crate::oci::Digest;
use crate::rootfs::cache::{self, FRESH, Header};
use crate::store;

/// A client answers in half a second; a broken installation must not hold up a build.
const PATIENCE: Duration = Duration::from_secs(10);

/// How the names of variables begin that clients read, in lower case.
const READ: [&str; 9] =
    ["path", "home", "npm_config_", "node_", "pip_", "python", "goproxy", "goflags", "xdg_config_"];

/// The line that the command prints, run away from any project's own configuration. None when the program is not
/// there, fails or does not answer in time.
///
/// What the client reads is its own business, so its answer counts as long as a registry's, in the same surroundings.
pub(super) fn ask(machine: &Machine, command: &[&str]) -> Option<String> {
    let now = store::now();
    let question = question(machine, command);
    let known = machine.answers.as_ref().and_then(|answers| cache::read(answers, &question));
    if let Some((header, answer)) = known.filter(|(header, _)| header.is_fresh(now)) {
        machine.observer.until(header.fetched.saturating_add(FRESH));
        return String::from_utf8(answer).ok();
    }
    machine.observer.until(now.saturating_add(FRESH));
    let answer = run(machine, command)?;
    if let Some(answers) = &machine.answers {
        let header = Header { url: question, fetched: now, etag: None };
        // Without it the client is asked again, and that is all.
        let _ = cache::write(answers, &header, answer.as_bytes());
    }
    Some(answer)
}

/// Names a question: the command, and the variables that clients read, without what is secret in them.
fn question(machine: &Machine, command: &[&str]) -> String {
    let matters = |name: &str| {
        let name = name.to_ascii_lowercase();
        let is_secret = ["auth", "token", "password", "secret", "key"].iter().any(|word| name.contains(word));
        !is_secret && READ.iter().any(|start| name.starts_with(start))
    };
    // An address may hold a password before its host.
    let public = |value: &str| value.rsplit('@').next().unwrap_or_default().to_owned();
    let variables = machine.environment.iter().filter(|(name, _)| matters(name));
    let known: Vec<_> = variables.map(|(name, value)| (name, public(value))).collect();
    let text = serde_json::to_string(&known).expect("texts always serialise");
    format!("client:{} {}", command.join(" "), Digest::of(text.as_bytes()).hex())
}

fn run(machine: &Machine, command: &[&str]) -> Option<String> {
    // Without a path the system would look in places of its own.
    machine.environment.get("PATH")?;
    let (program, arguments) = command.split_first()?;
    let mut child = Command::new(program)
        .args(arguments)
        .current_dir("/")
        .env_clear()
        .envs(&machine.environment)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let start = Instant::now();
    while child.try_wait().ok()?.is_none() {
        if start.elapsed() > PATIENCE {
            // It may have ended meanwhile; then there is nothing to stop.
            let _ = child.kill();
            let _ = child.wait();
            return None;
        }
        thread::sleep(Duration::from_millis(20));
    }
    let output = child.wait_with_output().ok()?;
    let line = std::str::from_utf8(&output.stdout).ok()?.trim();
    (output.status.success() && !line.is_empty()).then(|| line.to_owned())
}
