//! Go's module proxies and checksum database: the variable, the file that `go env -w` writes, what the go command
//! answers (<https://go.dev/ref/mod#environment-variables>).
//!
//! The value is a list (`https://proxy.example,direct`), handed to the go command in the sandbox as it is.

use super::{Endpoint, Machine, client};

/// The proxies that the go command uses on the machine.
pub(super) fn proxies(machine: &Machine) -> Option<Endpoint> {
    stated(machine, "GOPROXY").or_else(|| ask(machine))
}

/// The checksum database, where it is not the go command's own default.
pub(super) fn checksums(machine: &Machine) -> Option<Endpoint> {
    stated(machine, "GOSUMDB")
}

fn stated(machine: &Machine, name: &str) -> Option<Endpoint> {
    of_environment(machine, name).or_else(|| of_file(machine, name))
}

fn of_environment(machine: &Machine, name: &str) -> Option<Endpoint> {
    let url = machine.environment.get(name).filter(|value| !value.is_empty())?.clone();
    Some(Endpoint { url, origin: format!("environment {name}") })
}

fn of_file(machine: &Machine, name: &str) -> Option<Endpoint> {
    let path = machine.home.as_ref()?.join(".config/go/env");
    let text = machine.read(&path)?;
    let (number, value) = text
        .lines()
        .enumerate()
        .find_map(|(number, line)| Some((number, line.strip_prefix(name)?.strip_prefix('=')?.trim())))?;
    Some(Endpoint { url: value.to_owned(), origin: format!("{}:{}", path.display(), number + 1) })
}

fn ask(machine: &Machine) -> Option<Endpoint> {
    let url = client::ask(machine, &["go", "env", "GOPROXY"])?;
    Some(Endpoint { url, origin: "go env GOPROXY".to_owned() })
}
