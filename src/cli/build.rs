//! `rpack build`

use std::io::Read as _;
use std::path::PathBuf;
use std::{fs, io};

use clap::Args;

use super::app::AppArguments;
use super::secret::SecretArguments;
use super::{Failure, boxed, print};
use crate::oci::Reference;
use crate::package::Product;
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
  rpack build --secret id=NPM_TOKEN           with this shell's NPM_TOKEN for the steps that install
  rpack build --platform linux/arm64          for another architecture; nothing is emulated
  rpack build --platform linux/amd64,linux/arm64  one index with an image for each
  rpack plan --json | rpack build --plan -    the same image from its plan")]
pub(super) struct Arguments {
    #[command(flatten)]
    app: AppArguments,
    /// Build this plan (`-` is stdin) instead of making one; PATH is still the source
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
    #[command(flatten)]
    secrets: SecretArguments,
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
    let secrets = arguments.secrets.read(&session.environment)?;
    let app = arguments.app.app()?;
    let checkout = pipeline::read(&app, session)?;
    let (plans, context) = if let Some(file) = &arguments.plan {
        let plans = Plan::list_from_json(&read(file)?).map_err(boxed)?;
        (plans, pipeline::rootfs_context(session, &checkout.config)?)
    } else {
        let detection = pipeline::detect(&checkout, session)?;
        let context = pipeline::rootfs_context(session, &checkout.config)?;
        (pipeline::plans(&app, &checkout, &detection, &context, session)?, context)
    };
    let platforms: Vec<&str> = plans.iter().map(|plan| &*plan.platform).collect();
    let layers: Vec<&str> = plans.iter().flat_map(Plan::layer_types).collect();
    for output in &outputs {
        output.holds(&platforms, &layers).map_err(boxed)?;
    }
    for plan in &plans {
        super::plan::announce(plan, session);
    }
    let tag = arguments.tag.clone().unwrap_or_else(|| super::app::tag(&plans[0]));
    let product = pipeline::build_all(&plans, &checkout, &context, &secrets, session)?;
    pipeline::publish(&product, &tag, &outputs, session)?;
    session.reporter.info(&summary(&product, &tag));
    print(format!("{}\n", product.root.digest).as_bytes())?;
    Ok(ExitCode::Done as u8)
}

/// The tag, and for each image the number of layers and what a registry would store. The platform is named where it
/// is not this machine's alone.
fn summary(product: &Product, tag: &Reference) -> String {
    let images = product.images.iter().map(|image| {
        let bytes: u64 = image.layers.iter().map(|layer| layer.size).sum();
        #[expect(clippy::cast_precision_loss, reason = "megabytes with one digit")]
        let megabytes = bytes as f64 / 1e6;
        let platform = image.platform.to_string();
        let platform = if platform == pipeline::machine() && !product.is_index() {
            String::new()
        } else {
            format!("  {platform}")
        };
        format!("{}{platform}  {} layers, {megabytes:.1} MB", tag.familiar(), image.layers.len())
    });
    images.collect::<Vec<_>>().join("\n")
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
