//! Go's module proxies: the variable, the file that `go env -w` writes, what the go command answers
//! (<https://go.dev/ref/mod#environment-variables>).
//!
//! The value is a list (`https://proxy.example,direct`), handed to the go command in the sandbox as it is.

use std::fs;

use super::{Endpoint, Machine, client};

const NAME: &str = "GOPROXY";

/// The proxies that the go command uses on the machine.
pub(super) fn find(machine: &Machine) -> Option<Endpoint> {
    of_environment(machine).or_else(|| of_file(machine)).or_else(|| ask(machine))
}

fn of_environment(machine: &Machine) -> Option<Endpoint> {
    let url = machine.environment.get(NAME).filter(|value| !value.is_empty())?.clone();
    Some(Endpoint { url, origin: format!("environment {NAME}") })
}

fn of_file(machine: &Machine) -> Option<Endpoint> {
    let path = machine.home.as_ref()?.join(".config/go/env");
    let text = fs::read_to_string(&path).ok()?;
    let (number, value) = text
        .lines()
        .enumerate()
        .find_map(|(number, line)| Some((number, line.strip_prefix(NAME)?.strip_prefix('=')?.trim())))?;
    Some(Endpoint { url: value.to_owned(), origin: format!("{}:{}", path.display(), number + 1) })
}

fn ask(machine: &Machine) -> Option<Endpoint> {
    let url = client::ask(machine, &["go", "env", NAME])?;
    Some(Endpoint { url, origin: format!("go env {NAME}") })
}
