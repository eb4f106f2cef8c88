//! `rpack explain`

use clap::{Args, Subcommand};

use super::{boxed, print, print_json};
use crate::pipeline::{self, Error, Session};
use crate::ui::ExitCode;
use crate::{closure, publish};

/// Say why an image is what it is
#[derive(Args, Debug)]
pub(super) struct Arguments {
    #[command(subcommand)]
    topic: Topic,
}

#[derive(Debug, Subcommand)]
enum Topic {
    Libs(Libs),
}

/// Show which file of an image needs which Debian package
///
/// Reads the image alone: its ELF files, and the lists of packages that scanners read. A package that no file loads
/// is listed by the base or by `runtime.packages`, or comes along with another one.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  rpack explain libs shop         the packages of shop:latest
  rpack explain libs oci:out      of an OCI layout
  rpack explain libs --json shop  every file, for programs")]
struct Libs {
    /// An image: a tag or digest of the store, oci:DIR[:TAG], oci-archive:FILE or docker-archive:FILE
    #[arg(value_name = "IMAGE")]
    image: String,
    /// Which image of an index: linux/amd64 or linux/arm64; this machine's unless stated
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(super) fn execute(arguments: &Arguments, session: &Session) -> Result<u8, Error> {
    match &arguments.topic {
        Topic::Libs(libs) => libs.execute(session),
    }
}

impl Libs {
    fn execute(&self, session: &Session) -> Result<u8, Error> {
        let platform = self.platform.as_deref().unwrap_or(pipeline::machine());
        let image = publish::find(&self.image, platform, &session.store).map_err(boxed)?;
        let unpacked = publish::unpack(&image, &session.store).map_err(boxed)?;
        let library_path: Vec<String> = unpacked
            .config
            .config
            .env
            .iter()
            .find_map(|variable| variable.strip_prefix("LD_LIBRARY_PATH="))
            .map(|folders| folders.split(':').map(str::to_owned).collect())
            .unwrap_or_default();
        // Debian's names are those of OCI for every architecture that images are made for.
        let architecture = &image.platform.architecture;
        let report = closure::report(&unpacked.tree, architecture, &library_path, &session.definitions)
            .map_err(boxed)?;
        if self.json {
            print_json(&report)?;
        } else {
            print(report.text().as_bytes())?;
        }
        Ok(ExitCode::Done as u8)
    }
}
