//! `rpack detect`

use std::fmt::Write as _;

use clap::Args;

use super::app::AppArguments;
use super::{print, print_json};
use crate::detect::{Detection, Explained};
use crate::pipeline::{self, Error, Session};
use crate::ui::ExitCode;

/// Show what the folder holds and why
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  rpack detect             what is this, and what speaks for it
  rpack detect --explain   with the rules that say nothing, and why
  rpack detect api --json  with every fact that was read")]
pub(super) struct Arguments {
    #[command(flatten)]
    app: AppArguments,
    /// Show every rule, those that do not hold as well, and why
    #[arg(long)]
    explain: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(super) fn execute(arguments: &Arguments, session: &Session) -> Result<u8, Error> {
    let checkout = pipeline::read(&arguments.app.app()?, session)?;
    if arguments.explain {
        let explained = pipeline::explain_detection(&checkout, session)?;
        if arguments.json {
            print_json(&explained)?;
        } else {
            print(rules(&explained).as_bytes())?;
        }
        return Ok(ExitCode::Done as u8);
    }
    let detection = pipeline::detect(&checkout, session)?;
    if arguments.json {
        print_json(&detection)?;
    } else {
        for notice in &detection.notices {
            if notice.warning {
                session.reporter.warn(&notice.id, &notice.text, None);
            } else {
                session.reporter.info(&notice.text);
            }
        }
        print(table(&detection).as_bytes())?;
    }
    // The process ends: giving every entry of a large tree back, one by one, would take a tenth of its time.
    std::mem::forget(checkout);
    Ok(ExitCode::Done as u8)
}

/// A block for each detector: its file, then its rules. `+` marks what counts, `=` what holds beside a better one.
fn rules(explained: &[Explained]) -> String {
    let mut text = String::new();
    for detector in explained {
        let folder =
            if detector.folder.is_empty() { String::new() } else { format!(" in {}", detector.folder) };
        let _ = writeln!(text, "{}{folder} ({})", detector.language, detector.file);
        for rule in &detector.rules {
            let mark = match (rule.counts, rule.holds) {
                (true, _) => '+',
                (false, true) => '=',
                (false, false) => '-',
            };
            let _ = writeln!(text, "  {mark} {:>4}  {:<18} {}", rule.score, rule.id, rule.why);
        }
    }
    text
}

fn table(detection: &Detection) -> String {
    let mut text = String::new();
    for candidate in &detection.candidates {
        let chosen = if candidate.language == detection.language { "  chosen" } else { "" };
        let place =
            if candidate.folder.is_empty() { String::new() } else { format!(" in {}", candidate.folder) };
        let _ = writeln!(
            text,
            "{:<10} {:>4}  {}{place}{chosen}",
            candidate.language, candidate.score, candidate.role
        );
        for evidence in &candidate.evidence {
            let _ = writeln!(text, "{:>15}  {}", format!("{:+}", evidence.score), evidence.reason);
        }
    }
    text
}
