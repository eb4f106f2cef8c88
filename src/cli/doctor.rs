//! `rpack doctor`

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use clap::Args;
use serde::Serialize;

use super::{boxed, print, print_json};
use crate::build::sandbox::{Probe, Sandbox, Tier, tier};
use crate::config::Config;
use crate::pipeline::{self, Error, Session};
use crate::plan::lock::Lock;
use crate::rootfs::Endpoint;
use crate::rootfs::endpoints::CLIENTS;
use crate::ui::ExitCode;

/// Check what this machine allows and where downloads come from
///
/// Each probe runs in a process of its own. Exits with 1 when no build could run here.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  rpack doctor         the probe table, and every endpoint with where it came from
  rpack doctor --json  for a machine")]
pub(super) struct Arguments {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Report {
    isolation: Tier,
    probes: Vec<Probe>,
    endpoints: BTreeMap<String, Endpoint>,
    store: String,
    lock: Option<String>,
}

/// Runs the command.
pub(super) fn execute(arguments: &Arguments, session: &Session) -> Result<u8, Error> {
    let probes = Sandbox::default().probe(session.store.root()).map_err(boxed)?;
    let context = pipeline::rootfs_context(session, &Config::default())?;
    let report = Report {
        isolation: tier(&probes),
        probes,
        endpoints: without_credentials(context.endpoints.all()),
        store: session.store.root().display().to_string(),
        lock: Lock::read(Path::new(".")).map_err(boxed)?.map(|lock| lock.summary()),
    };
    if arguments.json {
        print_json(&report)?;
    } else {
        print(table(&report).as_bytes())?;
    }
    Ok(if report.isolation <= Tier::B { ExitCode::Done } else { ExitCode::Failed } as u8)
}

/// An address may hold a password, and this report is made to be shown around.
fn without_credentials(mut endpoints: BTreeMap<String, Endpoint>) -> BTreeMap<String, Endpoint> {
    for endpoint in endpoints.values_mut() {
        let parts: Vec<String> = endpoint.url.split(',').map(crate::http::shown).collect();
        endpoint.url = parts.join(",");
    }
    endpoints
}

fn table(report: &Report) -> String {
    let mut text = String::new();
    for probe in &report.probes {
        let mark = if probe.passed { "ok" } else { "no" };
        let _ = writeln!(text, "{mark}  {:<48} {}", probe.name, probe.detail);
        if let Some(remedy) = &probe.remedy {
            let _ = writeln!(text, "    {remedy}");
        }
    }
    let _ = writeln!(text, "\nisolation: {:?}\nstore:     {}\n", report.isolation, report.store);
    if let Some(lock) = &report.lock {
        let _ = writeln!(text, "lock of this folder: {lock}\n");
    }
    if let Some(announcement) = report.isolation.announcement() {
        let _ = writeln!(text, "{announcement}\n");
    }
    for (ecosystem, endpoint) in &report.endpoints {
        let _ = writeln!(text, "{ecosystem:<16} {}  ({})", endpoint.url, endpoint.origin);
    }
    for ecosystem in CLIENTS.iter().filter(|name| !report.endpoints.contains_key(**name)) {
        let _ = writeln!(text, "{ecosystem:<16} decided by the client in the sandbox");
    }
    text
}
