//! `rpack plan`

use clap::Args;

use super::app::AppArguments;
use super::print;
use crate::pipeline::{self, Error, Session};
use crate::plan::{self, Plan};
use crate::ui::ExitCode;

/// Show what would be built, without building it
///
/// The JSON form is complete: `rpack build --plan` makes the same image from it. docs/plan.md describes it. It is one
/// line for each platform.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  rpack plan                                versions, steps, layers, start command
  rpack plan --json > plan.json             keep it
  rpack plan --json | rpack build --plan -  the same image as `rpack build`")]
pub(super) struct Arguments {
    #[command(flatten)]
    app: AppArguments,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(super) fn execute(arguments: &Arguments, session: &Session) -> Result<u8, Error> {
    let app = arguments.app.app()?;
    let checkout = pipeline::read(&app, session)?;
    let detection = pipeline::detect(&checkout, session)?;
    let context = pipeline::rootfs_context(session, &checkout.config)?;
    let plans = pipeline::plans(&app, &checkout, &detection, &context, session)?;
    if arguments.json {
        return print(&plans.iter().flat_map(Plan::to_json).collect::<Vec<u8>>())
            .map(|()| ExitCode::Done as u8);
    }
    print(plans.iter().map(plan::explain).collect::<Vec<_>>().join("\n").as_bytes())?;
    Ok(ExitCode::Done as u8)
}

/// What a person wants to see of a plan before it is built.
pub(super) fn announce(plan: &Plan, session: &Session) {
    for version in &plan.versions {
        session.reporter.info(&format!(
            "{} {}  ({}, asked for {})",
            version.tool, version.version, version.origin, version.requested
        ));
    }
    for notice in &plan.notices {
        if notice.warning {
            session.reporter.warn(&notice.id, &notice.text, None);
        } else {
            session.reporter.info(&notice.text);
        }
    }
}
