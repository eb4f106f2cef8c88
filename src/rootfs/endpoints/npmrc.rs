//! npm's registry: environment, `.npmrc` files, what npm itself answers
//! (`man npmrc`).

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::{Endpoint, Machine, address};

/// npm answers in half a second; a broken installation must not hold up a build.
const PATIENCE: Duration = Duration::from_secs(10);

/// The registry that npm uses on the machine.
pub(super) fn find(machine: &Machine) -> Option<Endpoint> {
    of_environment(machine).or_else(|| of_files(machine)).or_else(|| ask(machine))
}

fn of_environment(machine: &Machine) -> Option<Endpoint> {
    machine.environment.iter().find_map(|(name, value)| {
        let is_registry = name.eq_ignore_ascii_case("npm_config_registry");
        let url = address(value).filter(|_| is_registry)?;
        Some(Endpoint { url, origin: format!("environment {name}") })
    })
}

fn of_files(machine: &Machine) -> Option<Endpoint> {
    let variable = |wanted: &str| {
        machine.environment.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value)
    };
    let user = variable("npm_config_userconfig")
        .map(PathBuf::from)
        .or_else(|| machine.home.as_ref().map(|home| home.join(".npmrc")));
    let global = variable("npm_config_globalconfig").map(PathBuf::from);
    let usual = ["usr/local/etc/npmrc", "usr/etc/npmrc", "etc/npmrc"].map(|path| machine.root.join(path));
    for path in user.into_iter().chain(global).chain(usual) {
        let Ok(text) = fs::read_to_string(&path) else { continue };
        for (number, line) in text.lines().enumerate() {
            let Some((key, value)) = line.split_once('=') else { continue };
            if key.trim() == "registry"
                && let Some(url) = address(&expand(value.trim().trim_matches(['"', '\'']), machine))
            {
                return Some(Endpoint { url, origin: format!("{}:{}", path.display(), number + 1) });
            }
        }
    }
    None
}

/// Replaces `${NAME}` by the variable's value, as npm does; unknown names stay.
fn expand(text: &str, machine: &Machine) -> String {
    let mut expanded = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let Some((name, after)) = after.split_once('}') else { break };
        expanded.push_str(before);
        match machine.environment.get(name) {
            Some(value) => expanded.push_str(value),
            None => expanded.extend(["${", name, "}"]),
        }
        rest = after;
    }
    expanded + rest
}

/// Asks npm on the host, away from any project's own configuration.
fn ask(machine: &Machine) -> Option<Endpoint> {
    // Without a path the system would look in places of its own.
    machine.environment.get("PATH")?;
    let mut child = Command::new("npm")
        .args(["config", "get", "registry"])
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
    let url = address(std::str::from_utf8(&output.stdout).ok()?)?;
    Some(Endpoint { url, origin: "npm config get registry".to_owned() })
}
