//! `rpack init`

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};

use clap::Args;

use super::app::AppArguments;
use super::{Failure, boxed, print};
use crate::detect::{Candidate, Detection};
use crate::pipeline::{self, Error, Session};
use crate::plan::{self, Plan};
use crate::ui::ExitCode;

/// The file that is written.
const NAME: &str = "rpack.toml";

/// Write an rpack.toml with what was detected, as comments to change
///
/// Every line but the edition is a comment: it shows what `rpack build` does, and where that was found. The edition
/// keeps the defaults of this rpack when a newer one builds the app.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  rpack init            write rpack.toml into this folder
  rpack init --dry-run  print it instead
  rpack init --force    write it anew")]
pub(super) struct Arguments {
    #[command(flatten)]
    app: AppArguments,
    /// Print the file instead of writing it
    #[arg(long)]
    dry_run: bool,
    /// Replace a file that is there
    #[arg(long)]
    force: bool,
}

/// Runs the command.
pub(super) fn execute(arguments: &Arguments, session: &Session) -> Result<u8, Error> {
    let app = arguments.app.app()?;
    let checkout = pipeline::read(&app, session)?;
    let path = checkout.home.join(NAME);
    if path.exists() && !arguments.force && !arguments.dry_run {
        return Err(boxed(Failure::InitExists { path }));
    }
    let detection = pipeline::detect(&checkout, session)?;
    let context = pipeline::rootfs_context(session, &checkout.config)?;
    let plan = pipeline::plan(&app, pipeline::machine(), &checkout, &detection, &context, session)?;
    let edition = plan::newest_edition(&session.definitions).map_err(boxed)?;
    let text = text(&edition, &detection, &plan);
    if arguments.dry_run {
        print(text.as_bytes())?;
        return Ok(ExitCode::Done as u8);
    }
    let mut options = OpenOptions::new();
    options.write(true);
    let options =
        if arguments.force { options.create(true).truncate(true) } else { options.create_new(true) };
    let written = options.open(&path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|source| match source.kind() {
        ErrorKind::AlreadyExists => boxed(Failure::InitExists { path: path.clone() }),
        _ => boxed(Failure::Write { path: path.clone(), source }),
    })?;
    session.reporter.info(&format!("{} written", path.display()));
    Ok(ExitCode::Done as u8)
}

fn text(edition: &str, detection: &Detection, plan: &Plan) -> String {
    let mut text = format!(
        "# What `rpack build` found. Take the `#` from a line to fix what it says; `rpack plan` shows the effect.\n\
         # All keys: docs/configuration.md of rpack.\n\n\
         # The defaults that the app was set up with: a newer rpack keeps them.\n\
         edition = {}\n",
        quoted(edition)
    );
    block(&mut text, &languages(detection), &[format!("language = {}", quoted(&plan.language))]);
    for version in &plan.versions {
        let asked = match version.origin.as_str() {
            "default" => "nobody asks for another".to_owned(),
            origin => format!("asked for by {origin}: {}", version.requested),
        };
        let why = vec![format!("{} {}, {asked}", version.tool, version.version)];
        block(&mut text, &why, &[format!("runtime.{}.version = {}", version.tool, quoted(&version.version))]);
    }
    block(&mut text, &["the image's repository".to_owned()], &[format!("name = {}", quoted(&plan.name))]);
    starts(&mut text, plan);
    let ports: Vec<String> = plan.image.ports.iter().map(u16::to_string).collect();
    let why = "the port when nobody sets PORT".to_owned();
    block(&mut text, &[why], &[format!("image.ports = [{}]", ports.join(", "))]);
    let steps: Vec<&str> = plan.steps.iter().map(|step| step.title.as_str()).collect();
    if !steps.is_empty() {
        let why = vec![format!("steps: {}", steps.join("; ")), "a command instead of the last:".to_owned()];
        block(&mut text, &why, &["build.command = \"…\"".to_owned()]);
    }
    let packages = ["build.packages = []".to_owned(), "runtime.packages = []".to_owned()];
    block(&mut text, &["Debian packages besides those that were found necessary".to_owned()], &packages);
    text
}

/// The start command of the image, or each that may come of the build, and other processes.
fn starts(text: &mut String, plan: &Plan) {
    let own = plan.outcome.iter().map(|outcome| (outcome, &plan.image));
    let alternatives = plan.alternatives.iter().map(|one| (&one.outcome, &one.image));
    let mut why = vec![format!("from {}", plan.image.start_origin)];
    let possible: Vec<_> = alternatives.chain(own).collect();
    if possible.len() > 1 {
        why = vec!["what the build makes decides:".to_owned()];
        why.extend(possible.iter().map(|(outcome, image)| {
            format!(
                "  {} ({}): {}",
                outcome.title,
                outcome.files.join(", "),
                argv(&image.entrypoint).join(" ")
            )
        }));
    }
    let line = format!("start.command = {}", list(argv(&plan.image.entrypoint)));
    block(text, &why, &[line]);
    for (name, process) in plan.image.processes.iter().filter(|(_, one)| one.argv != plan.image.entrypoint) {
        let line = format!("process.{name} = {}", list(argv(&process.argv)));
        block(text, &[format!("from {}", process.origin)], &[line]);
    }
}

/// The winner and the runner-up with what speaks for them.
fn languages(detection: &Detection) -> Vec<String> {
    let line = |candidate: &Candidate| {
        let reasons: Vec<&str> = candidate.evidence.iter().map(|evidence| evidence.reason.as_str()).collect();
        format!("{} ({} points: {})", candidate.language, candidate.score, reasons.join("; "))
    };
    detection.candidates.iter().take(2).map(line).collect()
}

/// The command without the start helper.
fn argv(entrypoint: &[String]) -> &[String] {
    let helper = entrypoint.iter().position(|word| word == "--").map_or(0, |at| at + 1);
    &entrypoint[helper..]
}

fn list(words: &[String]) -> String {
    let words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
    format!("[{}]", words.join(", "))
}

/// A basic string of TOML (<https://toml.io/en/v1.0.0#string>).
fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

/// Comments, then settings that are comments as well.
fn block(text: &mut String, why: &[String], settings: &[String]) {
    text.push('\n');
    for line in why.iter().chain(settings) {
        let _ = writeln!(text, "# {}", line.replace('\n', " "));
    }
}
