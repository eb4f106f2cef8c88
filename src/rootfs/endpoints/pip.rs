//! Python's package index: the variables of uv and pip, then pip's configuration files
//! (<https://pip.pypa.io/en/stable/topics/configuration/>).
//!
//! Where nothing is configured, pip and uv inside the sandbox use their own default.

use std::fs;
use std::path::PathBuf;

use super::{Endpoint, Machine, address};

/// Strongest first.
const VARIABLES: [&str; 3] = ["UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL"];

/// The index that the machine is configured for.
pub(super) fn find(machine: &Machine) -> Option<Endpoint> {
    of_environment(machine).or_else(|| of_files(machine))
}

fn of_environment(machine: &Machine) -> Option<Endpoint> {
    VARIABLES.iter().find_map(|name| {
        let url = address(machine.environment.get(*name)?)?;
        Some(Endpoint { url, origin: format!("environment {name}") })
    })
}

fn of_files(machine: &Machine) -> Option<Endpoint> {
    let named = machine.environment.get("PIP_CONFIG_FILE").map(PathBuf::from);
    let home =
        machine.home.iter().flat_map(|home| [home.join(".config/pip/pip.conf"), home.join(".pip/pip.conf")]);
    let system = machine.root.join("etc/pip.conf");
    named.into_iter().chain(home).chain([system]).find_map(|path| {
        let text = fs::read_to_string(&path).ok()?;
        let (line, url) = index_url(&text)?;
        Some(Endpoint { url, origin: format!("{}:{line}", path.display()) })
    })
}

/// `index-url` of the sections that concern installing, with its line from 1.
fn index_url(text: &str) -> Option<(usize, String)> {
    let mut section = "";
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name;
        } else if ["global", "install"].contains(&section)
            && let Some((key, value)) = line.split_once(['=', ':'])
            && matches!(key.trim(), "index-url" | "index_url")
        {
            return Some((number + 1, address(value)?));
        }
    }
    None
}
