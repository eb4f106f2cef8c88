//! `rpack diff`

use clap::Args;

use super::inspect::PlatformArgument;
use super::{boxed, print, print_json};
use crate::inspect;
use crate::pipeline::{Error, Session};
use crate::ui::ExitCode;

/// Show how two images differ
///
/// Settings, packages, files and sizes. Layers that both images have are neither fetched nor opened, unless another
/// layer removes something of them or has dpkg's list of all packages. docs/publishing.md describes the JSON form, which
/// has all files; the text has the first of each layer.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  rpack diff shop:1 shop:2                                   two images of the store
  rpack diff docker://registry.example/shop:1 shop           what a push would change
  rpack diff oci:a oci:b --exit-code                         fail when they differ
  rpack diff shop:1 shop:2 --json | jq -r '.packages[].name'")]
pub(super) struct Arguments {
    /// A tag or digest of the store, oci:DIR[:TAG], oci-archive:FILE, docker-archive:FILE or `docker://REFERENCE`
    #[arg(value_name = "FROM")]
    from: String,
    /// The other image, named in the same way
    #[arg(value_name = "TO")]
    to: String,
    #[command(flatten)]
    platform: PlatformArgument,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Return 1 when they are not the same image, byte for byte
    #[arg(long)]
    exit_code: bool,
}

/// Runs the command.
pub(super) fn execute(arguments: &Arguments, session: &Session) -> Result<u8, Error> {
    let registry = session.registry()?;
    let Arguments { from, to, platform, json, exit_code } = arguments;
    let difference = inspect::diff(from, to, platform.choice(), &session.tools(&registry)).map_err(boxed)?;
    if *json {
        print_json(&difference)?;
    } else {
        print(difference.text().as_bytes())?;
    }
    let differs = *exit_code && !difference.same;
    Ok(if differs { ExitCode::Failed as u8 } else { ExitCode::Done as u8 })
}
