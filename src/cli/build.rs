//! `rpack build`

use std::io::Read as _;
use std::path::PathBuf;
use std::{fs, io};

use clap::Args;

use super::app::AppArguments;
use super::{Failure, boxed, print};
use crate::oci::Reference;
use crate::package::Image;
use crate::pipeline::{self, Error, Session};
use crate::plan::Plan;
use crate::publish::Destination;
use crate::ui::ExitCode;

/// Build an image from source
///
/// Recognises what the folder holds, installs and compiles in a sandbox, and makes a small non-root image.
/// The image goes to the store under its tag; `rpack run` starts it from there. stdout is the image's digest.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  rpack build                                 build the app in this folder
  rpack build web -t shop/web:1.4 -o oci:out  name it and write an OCI layout as well
  rpack build -o docker-archive:app.tar       then: docker load -i app.tar
  rpack plan --json | rpack build --plan -    the same image from its plan")]
pub(super) struct Arguments {
    #[command(flatten)]
    app: AppArguments,
    /// Build this plan (`-` is stdin) instead of making one; PATH is still the source
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
    /// The image's tag [default: NAME:latest]
    #[arg(long, short, value_name = "NAME[:TAG]")]
    tag: Option<Reference>,
    /// Write the image there too: oci:DIR[:TAG], oci-archive:FILE[:TAG] or docker-archive:FILE[:NAME:TAG]
    #[arg(long, short, value_name = "DESTINATION")]
    output: Vec<String>,
}

/// Runs the command.
pub(super) fn execute(arguments: &Arguments, session: &Session) -> Result<u8, Error> {
    // Before any work: a typo in an output must not be found after the build.
    let outputs: Vec<Destination> =
        arguments.output.iter().map(|text| text.parse().map_err(boxed)).collect::<Result<_, _>>()?;
    let app = arguments.app.app()?;
    let checkout = pipeline::read(&app, session)?;
    let (plan, context) = if let Some(file) = &arguments.plan {
        let plan = Plan::from_json(&read(file)?).map_err(boxed)?;
        (plan, pipeline::rootfs_context(session, &checkout.config)?)
    } else {
        let detection = pipeline::detect(&checkout, session)?;
        let context = pipeline::rootfs_context(session, &checkout.config)?;
        (pipeline::plan(&app, &checkout, &detection, &context, session)?, context)
    };
    super::plan::announce(&plan, session);
    let image = pipeline::build(&plan, &checkout, &context, session)?;
    let tag = arguments.tag.clone().unwrap_or_else(|| super::app::tag(&plan));
    pipeline::publish(&image, &tag, &outputs, session)?;
    session.reporter.info(&summary(&image, &tag));
    print(format!("{}\n", image.manifest.digest).as_bytes())?;
    Ok(ExitCode::Done as u8)
}

/// One line: the tag, the number of layers, what a registry would store.
fn summary(image: &Image, tag: &Reference) -> String {
    let bytes: u64 = image.layers.iter().map(|layer| layer.size).sum();
    #[expect(clippy::cast_precision_loss, reason = "megabytes with one digit")]
    let megabytes = bytes as f64 / 1e6;
    format!("{}  {} layers, {megabytes:.1} MB", tag.familiar(), image.layers.len())
}

fn read(file: &PathBuf) -> Result<Vec<u8>, Error> {
    let failed = |source| boxed(Failure::Read { path: file.clone(), source });
    if file.as_os_str() == "-" {
        let mut bytes = Vec::new();
        io::stdin().lock().read_to_end(&mut bytes).map_err(failed)?;
        return Ok(bytes);
    }
    fs::read(file).map_err(failed)
}
