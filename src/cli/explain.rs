//! `rpack explain`

use clap::{Args, Subcommand};

use super::{boxed, print, print_json};
use crate::closure::{self, LayerSize, Report, Sizes};
use crate::package::{Image, LayerDescriptor};
use crate::pipeline::{self, Error, Session};
use crate::publish::{self, Unpacked};
use crate::ui::ExitCode;

/// Say why an image is what it is
#[derive(Args, Debug)]
pub(super) struct Arguments {
    #[command(subcommand)]
    topic: Topic,
}

#[derive(Debug, Subcommand)]
enum Topic {
    Libs(Libs),
    Size(Size),
}

/// Show what takes the space in an image
///
/// Reads the image alone: its layers, and the lists of packages that scanners read. Folders are shown that have one
/// per cent of all files or more, each with the layer or the Debian package that brings it.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  rpack explain size shop            the layers and largest folders of shop:latest
  rpack explain size --json oci:out  of an OCI layout, for programs")]
struct Size {
    #[command(flatten)]
    image: ImageArguments,
}

/// An image to look at.
#[derive(Args, Debug)]
struct ImageArguments {
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
    #[command(flatten)]
    image: ImageArguments,
}

/// Runs the command.
pub(super) fn execute(arguments: &Arguments, session: &Session) -> Result<u8, Error> {
    match &arguments.topic {
        Topic::Libs(libs) => libs.execute(session),
        Topic::Size(size) => size.execute(session),
    }
}

impl ImageArguments {
    fn find(&self, session: &Session) -> Result<(Image, Unpacked), Error> {
        let platform = self.platform.as_deref().unwrap_or(pipeline::machine());
        let registry = session.registry()?;
        let image = publish::find(&self.image, platform, &session.tools(&registry)).map_err(boxed)?;
        let unpacked = publish::unpack(&image, &session.store).map_err(boxed)?;
        Ok((image, unpacked))
    }

    fn print<T: serde::Serialize>(&self, report: &T, text: impl Fn(&T) -> String) -> Result<u8, Error> {
        if self.json {
            print_json(report)?;
        } else {
            print(text(report).as_bytes())?;
        }
        Ok(ExitCode::Done as u8)
    }
}

impl Libs {
    fn execute(&self, session: &Session) -> Result<u8, Error> {
        let (image, unpacked) = self.image.find(session)?;
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
        self.image.print(&report, Report::text)
    }
}

impl Size {
    fn execute(&self, session: &Session) -> Result<u8, Error> {
        let (image, unpacked) = self.image.find(session)?;
        let of_path = publish::layer_of_paths(&image, &session.store).map_err(boxed)?;
        let history = unpacked.config.history.iter().filter(|entry| !entry.empty_layer);
        let mut comments = history.map(|entry| entry.comment.as_str());
        let layer = |layer: &LayerDescriptor| LayerSize {
            comment: comments.next().filter(|text| !text.is_empty()).unwrap_or(&layer.id).to_owned(),
            compressed: layer.size,
            files: 0,
        };
        let layers = image.layers.iter().map(layer).collect();
        let sizes = closure::sizes(&unpacked.tree, layers, &of_path).map_err(boxed)?;
        self.image.print(&sizes, Sizes::text)
    }
}
