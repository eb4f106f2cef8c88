//! `rpack export`

use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};

use clap::Args;

use super::inspect::ImageArguments;
use super::{Failure, boxed};
use crate::inspect;
use crate::pipeline::{Error, Session};
use crate::publish;
use crate::ui::ExitCode;

/// Write the files of an image as one tar archive
///
/// The layers laid over each other, with owners, modes, times and hard links. The same image gives the same bytes.
/// Devices, pipes and extended attributes are left out.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  rpack export shop -o shop.tar                                 to a file
  rpack export shop | tar -t                                    names of all files
  rpack export shop | docker import - shop:flat                 as an image of one layer
  rpack export docker://registry.example/app:1 | tar -xC files  the files of an image in a registry")]
pub(super) struct Arguments {
    #[command(flatten)]
    image: ImageArguments,
    /// Where it goes; `-` is standard output
    #[arg(long, short, value_name = "FILE", default_value = "-")]
    output: PathBuf,
}

/// Runs the command.
pub(super) fn execute(arguments: &Arguments, session: &Session) -> Result<u8, Error> {
    let ImageArguments { name, platform } = &arguments.image;
    let to_stdout = arguments.output == Path::new("-");
    // Before any work: bytes of an archive would change what the terminal shows.
    if to_stdout && io::stdout().is_terminal() {
        return Err(boxed(Failure::Terminal { image: name.clone() }));
    }
    let registry = session.registry()?;
    let image = inspect::find(name, platform.choice(), &session.tools(&registry)).map_err(boxed)?;
    let result = if to_stdout {
        publish::export(&image, io::stdout().lock(), Path::new("standard output"), &session.store)
    } else {
        publish::export_to(&image, &arguments.output, &session.store)
    };
    match result {
        // A reader that has gone away (`| head`) is no failure.
        Err(publish::Error::Io { source, .. }) if to_stdout && source.kind() == io::ErrorKind::BrokenPipe => {
            Ok(ExitCode::Done as u8)
        }
        result => result.map(|()| ExitCode::Done as u8).map_err(boxed),
    }
}
