//! Python's package index: the variables of uv and pip, uv's and pip's configuration files, then what pip names as
//! its default (<https://pip.pypa.io/en/stable/topics/configuration/>,
//! <https://docs.astral.sh/uv/concepts/configuration-files/>).
//!
//! Where nothing is configured, pip and uv inside the sandbox use their own default.

use std::path::PathBuf;

use serde::Deserialize;

use super::{Endpoint, Machine, PipConf, address, client};

/// Strongest first.
const VARIABLES: [&str; 3] = ["UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL"];

/// The index that the machine is configured for.
pub(super) fn find(machine: &Machine) -> Option<Endpoint> {
    of_environment(machine).or_else(|| of_uv(machine)).or_else(|| of_files(machine))
}

/// What pip on the machine uses when nothing is configured: its help says so.
pub(super) fn ask(machine: &Machine) -> Option<Endpoint> {
    let help = ["pip", "pip3"].iter().find_map(|pip| client::ask(machine, &[pip, "install", "--help"]))?;
    let (_, option) = help.split_once("--index-url <url>")?;
    let (_, default) = option.split_once("(default")?;
    let url = address(default.split_once(')')?.0)?;
    Some(Endpoint { url, origin: "pip install --help".to_owned() })
}

fn of_environment(machine: &Machine) -> Option<Endpoint> {
    VARIABLES.iter().find_map(|name| {
        let url = address(machine.environment.get(*name)?)?;
        Some(Endpoint { url, origin: format!("environment {name}") })
    })
}

/// `uv.toml` of the user or the machine.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct UvSettings {
    index_url: Option<String>,
    #[serde(default)]
    index: Vec<UvIndex>,
    pip: Option<UvPip>,
}

#[derive(Deserialize)]
struct UvIndex {
    url: String,
    #[serde(default)]
    default: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct UvPip {
    index_url: Option<String>,
}

fn of_uv(machine: &Machine) -> Option<Endpoint> {
    let named = machine.environment.get("UV_CONFIG_FILE").map(PathBuf::from);
    let home = machine.home.iter().map(|home| home.join(".config/uv/uv.toml"));
    named.into_iter().chain(home).chain([machine.root.join("etc/uv/uv.toml")]).find_map(|path| {
        let settings: UvSettings = toml::from_str(&machine.read(&path)?).ok()?;
        let default = settings.index.into_iter().find(|index| index.default).map(|index| index.url);
        let url = default.or(settings.index_url).or(settings.pip.and_then(|pip| pip.index_url))?;
        Some(Endpoint { url: address(&url)?, origin: path.display().to_string() })
    })
}

fn of_files(machine: &Machine) -> Option<Endpoint> {
    let named = machine.environment.get("PIP_CONFIG_FILE").map(PathBuf::from);
    let home =
        machine.home.iter().flat_map(|home| [home.join(".config/pip/pip.conf"), home.join(".pip/pip.conf")]);
    let system = machine.root.join("etc/pip.conf");
    named.into_iter().chain(home).chain([system]).find_map(|path| {
        let text = machine.read(&path)?;
        let settings = PipConf::read(&text);
        let index = settings.of_install("index-url")?;
        let origin = format!("{}:{}", path.display(), index.line);
        Some(Endpoint { url: address(&index.value())?, origin })
    })
}
