//! Composes one root and says how long each part took: what `bench/compose` measures.
//!
//! In: `STORE SETTING PACKAGE…`, where a package may be `@GROUP` and the setting is `closure` (what the packages need
//! comes along) or `listed`; or `STORE archives`. Out: one line of JSON on stdout. The parts are those of a build: find
//! exact packages, fetch and unpack them, write the directory that a sandbox would start from. For `archives` the line
//! says where Debian's are.

#![expect(clippy::print_stdout, reason = "its result is one line on stdout")]

use std::collections::BTreeMap;
use std::error::Error;
use std::path::PathBuf;
use std::time::Instant;

use rpack::definitions::Definitions;
use rpack::http::{Client, Options};
use rpack::plan::catalogue::{Catalogue as _, RootRequest};
use rpack::rootfs::{Context, Endpoints, Machine, Purpose, directory};
use rpack::store::{Store, now};
use rpack::ui::{Progress, Reporter};

fn main() -> Result<(), Box<dyn Error>> {
    // Cargo adds `--bench`.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let [store, setting, packages @ ..] = &arguments[..] else {
        return Err("usage: compose STORE archives|closure|listed PACKAGE…".into());
    };
    let environment: BTreeMap<String, String> = std::env::vars().collect();
    let home = environment.get("HOME").map(PathBuf::from);
    let machine = Machine::new(PathBuf::from("/"), home, environment);
    let start = Instant::now();
    let definitions = Definitions::embedded();
    let endpoints = Endpoints::new(machine, &BTreeMap::new(), &definitions)?;
    if setting == "archives" {
        let [main, security] = ["debian", "debian-security"].map(|name| endpoints.find(name));
        println!("{}", serde_json::json!({ "main": main?.url, "security": security?.url }));
        return Ok(());
    }
    let context = Context::new(
        Store::open(store)?,
        Client::new(Options::default()),
        Reporter::new(Progress::Quiet),
        definitions,
        endpoints,
        now(),
    );
    let request = RootRequest {
        base: "debian-13".to_owned(),
        architecture: "amd64".to_owned(),
        packages: packages.iter().map(|name| (name.clone(), "base".to_owned())).collect(),
        closure: setting == "closure",
        with_dependencies: Vec::new(),
        image: None,
    };
    let root = context.root(&request).map_err(|error| error.to_string())?;
    let resolved = start.elapsed();
    let start = Instant::now();
    directory(&root, Purpose::Build, &context)?;
    let composed = start.elapsed();
    let names: Vec<&str> = root.packages.iter().map(|package| package.name.as_str()).collect();
    let bytes: u64 = root.packages.iter().map(|package| package.size).sum();
    let line = serde_json::json!({
        "resolve": resolved.as_secs_f64(),
        "compose": composed.as_secs_f64(),
        "bytes": bytes,
        "digest": root.digest,
        "packages": names,
    });
    println!("{line}");
    Ok(())
}
