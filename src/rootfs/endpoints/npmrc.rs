//! npm's registry: environment, `.npmrc` files, what npm itself answers
//! (`man npmrc`).

use std::path::PathBuf;

use super::{Endpoint, Machine, address, client};

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
        let Some(text) = machine.read(&path) else { continue };
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

/// Asks npm on the host.
fn ask(machine: &Machine) -> Option<Endpoint> {
    let answer = client::ask(machine, &["npm", "config", "get", "registry"])?;
    Some(Endpoint { url: address(&answer)?, origin: "npm config get registry".to_owned() })
}
