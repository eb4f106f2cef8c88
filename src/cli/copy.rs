//! `rpack copy`

use clap::Args;

use super::metadata::{Metadata, MetadataArguments};
use super::{Failure, boxed, print};
use crate::oci::Reference;
use crate::pipeline::{Error, Session};
use crate::publish::{self, Destination};
use crate::ui::ExitCode;

/// Copy an image between the store, registries, engines, folders and archives
///
/// All platforms of an index are copied, byte for byte. From registry to registry only what the target lacks is
/// transferred, and nothing at all within one registry. stdout is the image's digest.
#[derive(Args, Debug)]
#[command(after_help = "\
Images are named so, on either side:
  app:1                          in the store
  docker://registry.example/app:1  in a registry
  oci:DIR[:TAG]                  in an OCI layout
  oci-archive:FILE[:TAG]         in an archive of one
  docker-archive:FILE[:NAME:TAG]  in a file for `docker load`
  docker-daemon:NAME:TAG         in docker's engine
  containers-storage:NAME:TAG    in the storage of podman, buildah and CRI-O
A destination may leave the name in an engine out; it is then that of the source.

Examples:
  rpack copy app docker://registry.example/team/app:1   push
  rpack copy docker://registry.example/team/app:1 app:1  pull
  rpack copy docker://a.example/app:1 docker://b.example/app:1
  rpack copy app:1 docker-daemon:                       into docker, as app:1")]
pub(super) struct Arguments {
    /// The image
    #[arg(value_name = "SOURCE")]
    source: String,
    /// Where it goes; several tags of a repository may be named
    #[arg(value_name = "DESTINATION", required = true)]
    destinations: Vec<String>,
    #[command(flatten)]
    metadata: MetadataArguments,
}

/// A destination, and the name of the image there.
struct Target {
    destination: Destination,
    reference: Option<Reference>,
}

/// Runs the command.
pub(super) fn execute(arguments: &Arguments, session: &Session) -> Result<u8, Error> {
    // Before any work: a typo must not be found after a transfer.
    let targets = arguments.destinations.iter().map(|text| target(text)).collect::<Result<Vec<_>, _>>()?;
    arguments.metadata.check()?;
    let registry = session.registry()?;
    let tools = session.tools(&registry);
    let found = publish::locate(&arguments.source, &tools).map_err(boxed)?;
    let mut copied = None;
    let (mut references, mut places) = (Vec::new(), Vec::new());
    for Target { destination, reference } in targets {
        let named = reference.or_else(|| found.reference());
        let named = named.ok_or_else(|| boxed(Failure::Unnamed { image: arguments.source.clone() }))?;
        let named = std::slice::from_ref(&named);
        copied = Some(publish::copy(&found, &destination, named, &tools).map_err(boxed)?.root);
        references.extend_from_slice(named);
        places.push(destination);
    }
    let Some(root) = copied else { return Ok(ExitCode::Done as u8) };
    references.dedup();
    arguments.metadata.write(|| Metadata::of(&root, &references, &places, &session.reporter))?;
    let text = format!("{}\n", root.digest);
    print(text.as_bytes())?;
    Ok(ExitCode::Done as u8)
}

/// What is not one of the forms is a name in the store.
fn target(text: &str) -> Result<Target, Error> {
    match text.parse::<Destination>() {
        Ok(destination) => {
            let reference = match &destination {
                Destination::Registry(reference) => Some(reference.clone()),
                _ => None,
            };
            Ok(Target { destination, reference })
        }
        Err(error) if Destination::is_form(text) => Err(boxed(error)),
        Err(error) => match text.parse::<Reference>() {
            Ok(reference) => Ok(Target { destination: Destination::Store, reference: Some(reference) }),
            Err(_) => Err(boxed(error)),
        },
    }
}
