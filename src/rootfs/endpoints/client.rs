//! Asking an ecosystem's own client on the host what it would use.

use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::Machine;
use crate::rootfs::cache::FRESH;
use crate::store;

/// A client answers in half a second; a broken installation must not hold up a build.
const PATIENCE: Duration = Duration::from_secs(10);

/// The line that the command prints, run away from any project's own configuration. None when the program is not
/// there, fails or does not answer in time.
pub(super) fn ask(machine: &Machine, command: &[&str]) -> Option<String> {
    // Without a path the system would look in places of its own.
    machine.environment.get("PATH")?;
    // What it reads is its own business, so its answer counts as long as a registry's.
    machine.observer.until(store::now().saturating_add(FRESH));
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
