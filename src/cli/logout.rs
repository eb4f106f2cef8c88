//! `rpack logout`

use clap::Args;

use super::{boxed, login};
use crate::pipeline::{Error, Session};
use crate::ui::ExitCode;

/// Log out from a registry
///
/// Removes what `rpack login` or `docker login` wrote: from the helper that `credHelpers` or `credsStore` names, and from
/// `$DOCKER_CONFIG/config.json` or `~/.docker/config.json`; from `$REGISTRY_AUTH_FILE` if that is set.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  rpack logout                        from Docker Hub
  rpack logout registry.example:5000")]
pub(super) struct Arguments {
    /// The host of the registry, with its port
    #[arg(value_name = "REGISTRY", default_value = "docker.io")]
    registry: String,
}

/// Runs the command.
pub(super) fn execute(arguments: &Arguments, session: &Session) -> Result<u8, Error> {
    let server = login::server(&arguments.registry)?;
    let registry = session.registry()?;
    let erased = registry.log_out(&server).map_err(boxed)?;
    let reporter = &session.reporter;
    for place in &erased {
        reporter.info(&format!("removed the credential for {server} from {place}"));
    }
    let left = registry.credential(&server).map_err(boxed)?;
    if erased.is_empty() && left.is_none() {
        reporter.info(&format!("not logged in to {server}"));
    }
    if let Some(left) = left {
        reporter.warn(
            "logout/elsewhere",
            &format!("{server} is still asked as {left}"),
            Some("what `podman login` wrote goes with `podman logout`; a variable has to be unset"),
        );
    }
    Ok(ExitCode::Done as u8)
}
