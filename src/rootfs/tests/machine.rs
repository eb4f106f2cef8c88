//! The machine that the tests run on, with its own mirrors.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::definitions::Definitions;
use crate::http::{Client, Options};
use crate::rootfs::{Context, Endpoints, Machine};
use crate::store::Store;
use crate::ui::{Progress, Reporter};

/// A context with `store` that asks what this machine is set up for.
pub(crate) fn context(store: &Path) -> Context {
    let environment: BTreeMap<String, String> = std::env::vars().collect();
    let home = environment.get("HOME").map(PathBuf::from);
    let machine = Machine::new(PathBuf::from("/"), home, environment);
    let definitions = Definitions::embedded();
    let endpoints = Endpoints::new(machine, &BTreeMap::new(), &definitions).unwrap();
    Context::new(
        Store::open(store).unwrap(),
        Client::new(Options::default()),
        Reporter::new(Progress::Quiet),
        definitions,
        endpoints,
        jiff::Timestamp::now().as_second(),
    )
}
