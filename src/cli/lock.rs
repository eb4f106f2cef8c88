//! `rpack lock`

use std::collections::BTreeSet;

use clap::Args;
use serde::Serialize;

use super::app::AppArguments;
use super::{Failure, boxed, print, print_json};
use crate::pipeline::{self, Checkout, Error, Session};
use crate::plan::lock::{self, Difference, Lock, Mode};
use crate::ui::ExitCode;

/// Write down the exact packages and tools that the app is built from
///
/// `rpack build` then uses what `rpack.lock` says, on every machine and whatever is published later. An existing lock
/// changes only where the app asks for something else. stdout is what changed. docs/lock.md describes the file.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  rpack lock                         write rpack.lock, or bring it up to date with the app
  rpack lock --upgrade               take the newest of everything
  rpack lock --upgrade libssl3t64    of one package, tool or base
  rpack lock --check                 fail when the lock would change; for CI
  rpack build --locked               build with exactly what is locked")]
pub(super) struct Arguments {
    #[command(flatten)]
    app: AppArguments,
    /// Resolve these packages, tools or bases again, or everything; PATH stands before it
    #[arg(long, value_name = "NAME", num_args = 0..)]
    upgrade: Option<Vec<String>>,
    /// Write nothing, and exit with 1 when the lock would change
    #[arg(long)]
    check: bool,
    /// Write nothing, and show what would change
    #[arg(long)]
    dry_run: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Report {
    file: &'static str,
    changed: bool,
    written: bool,
    differences: Vec<Difference>,
}

/// Runs the command.
pub(super) fn execute(arguments: &Arguments, session: &Session) -> Result<u8, Error> {
    let mut app = arguments.app.app()?;
    let checkout = pipeline::read(&app, session)?;
    let mode = mode(arguments, &checkout)?;
    let context = pipeline::rootfs_context(session, &checkout.config)?;
    // Without a word about platforms, those that are locked.
    let locked = checkout.lock.as_ref().map(Lock::platforms).unwrap_or_default();
    if !arguments.app.names_platforms() && !locked.is_empty() {
        app.platforms = locked;
    }
    let (new, differences) = pipeline::lock(&app, &mode, &checkout, &context, session)?;
    let changed = checkout.lock.as_ref() != Some(&new);
    let written = changed && !arguments.check && !arguments.dry_run;
    if written {
        new.write(&checkout.home).map_err(boxed)?;
    }
    if arguments.json {
        print_json(&Report { file: lock::NAME, changed, written, differences })?;
    } else {
        print(lock::table(&differences).as_bytes())?;
    }
    if arguments.check && changed {
        return Err(boxed(Failure::LockOutdated));
    }
    let state = match (written, changed) {
        (true, _) => "written",
        (false, true) => "would change",
        (false, false) => "up to date",
    };
    session.reporter.info(&format!("{}; {state}", new.summary()));
    Ok(ExitCode::Done as u8)
}

fn mode(arguments: &Arguments, checkout: &Checkout) -> Result<Mode, Error> {
    let Some(names) = &arguments.upgrade else { return Ok(Mode::Resolve) };
    let Some(lock) = checkout.lock.as_ref().filter(|_| !names.is_empty()) else {
        return Ok(Mode::UpgradeAll);
    };
    names.iter().try_for_each(|name| lock.find(name)).map_err(boxed)?;
    Ok(Mode::Upgrade(names.iter().cloned().collect::<BTreeSet<_>>()))
}
