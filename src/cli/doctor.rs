//! `rpack doctor`

use std::fmt::Write as _;

use clap::Args;
use serde::Serialize;

use super::print;
use crate::build::sandbox::{self, Probe, Tier};
use crate::config::Config;
use crate::oci::to_canonical_json;
use crate::pipeline::{self, Error, Session};
use crate::rootfs::Endpoint;
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
    tier: Tier,
    probes: Vec<Probe>,
    endpoints: Vec<Endpoint>,
    store: String,
}

/// Runs the command.
pub(super) fn execute(arguments: &Arguments, session: &Session) -> Result<u8, Error> {
    let probes = sandbox::probe(session.store.root());
    let context = pipeline::rootfs_context(session, &Config::default())?;
    let report = Report {
        tier: sandbox::tier(&probes),
        probes,
        endpoints: context.endpoints().to_vec(),
        store: session.store.root().display().to_string(),
    };
    if arguments.json {
        let mut bytes = to_canonical_json(&report).expect("a report always serialises");
        bytes.push(b'\n');
        print(&bytes)?;
    } else {
        print(table(&report).as_bytes())?;
    }
    Ok(if report.tier.can_build() { ExitCode::Done } else { ExitCode::Failed } as u8)
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
    let _ = writeln!(text, "\nisolation: {}\nstore:     {}\n", report.tier, report.store);
    for endpoint in &report.endpoints {
        let _ = writeln!(text, "{:<16} {}  ({})", endpoint.ecosystem, endpoint.url, endpoint.origin);
    }
    text
}
