//! `rpack inspect`

use clap::Args;

use super::{boxed, print, print_json};
use crate::inspect::{self, Choice};
use crate::pipeline::{self, Error, Session};
use crate::ui::ExitCode;

/// Show what an image is and holds
///
/// Start command, environment, base, versions and who asked for them, layers with what they hold, packages, labels, and
/// what refers to the image in its registry. Of anybody's image, as far as it says so. docs/publishing.md describes the
/// JSON form.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  rpack inspect shop                                  shop:latest of the store
  rpack inspect oci:out --json                        an OCI layout, for programs
  rpack inspect docker://registry.example/team/app:1  in a registry
  rpack inspect app --platform linux/arm64            another image of an index")]
pub(super) struct Arguments {
    #[command(flatten)]
    image: ImageArguments,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// An image to look at.
#[derive(Args, Debug)]
pub(super) struct ImageArguments {
    /// A tag or digest of the store, oci:DIR[:TAG], oci-archive:FILE, docker-archive:FILE or `docker://REFERENCE`
    #[arg(value_name = "IMAGE")]
    pub(super) name: String,
    #[command(flatten)]
    pub(super) platform: PlatformArgument,
}

/// Which image of an index.
#[derive(Args, Debug)]
pub(super) struct PlatformArgument {
    /// Which image of an index, such as linux/arm64; this machine's unless stated
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<String>,
}

impl PlatformArgument {
    /// What was chosen.
    pub(super) fn choice(&self) -> Choice<'_> {
        Choice { platform: self.platform.as_deref(), machine: pipeline::machine() }
    }
}

/// Runs the command.
pub(super) fn execute(arguments: &Arguments, session: &Session) -> Result<u8, Error> {
    let registry = session.registry()?;
    let ImageArguments { name, platform } = &arguments.image;
    let report = inspect::inspect(name, platform.choice(), &session.tools(&registry)).map_err(boxed)?;
    if arguments.json {
        print_json(&report)?;
    } else {
        print(report.text().as_bytes())?;
    }
    Ok(ExitCode::Done as u8)
}
