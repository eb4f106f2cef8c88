//! `rpack login`

use std::io::{self, Read as _};

use clap::Args;

use super::{Failure, boxed};
use crate::oci::registry::{Kept, Registry, Server};
use crate::pipeline::{Error, Session};
use crate::ui::{ExitCode, Terminal};

/// No password is longer than this many bytes.
const LIMIT: u64 = 64 << 10;

/// Log in to a registry
///
/// The registry has to accept user and password before anything is written. They are kept where docker would: by the
/// helper that `credHelpers` or `credsStore` names, else in `auths` of `$DOCKER_CONFIG/config.json` or
/// `~/.docker/config.json`; in `$REGISTRY_AUTH_FILE` if that is set, as podman does. docker, podman, skopeo and rpack
/// find them there.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  rpack login                                     to Docker Hub; asks for user and password
  rpack login registry.example:5000 -u me         asks for the password
  printf %s \"$TOKEN\" | rpack login registry.example -u ci --password-stdin")]
pub(super) struct Arguments {
    /// The host of the registry, with its port
    #[arg(value_name = "REGISTRY", default_value = "docker.io")]
    registry: String,
    /// The user; asked for on the terminal when it is not given
    #[arg(long, short = 'u', visible_alias = "username", value_name = "USER")]
    user: Option<String>,
    /// Read the password from standard input
    #[arg(long, requires = "user")]
    password_stdin: bool,
}

/// Runs the command.
pub(super) fn execute(arguments: &Arguments, session: &Session) -> Result<u8, Error> {
    let server = server(&arguments.registry)?;
    let registry = session.registry()?;
    let (user, password) = if let (Some(user), true) = (&arguments.user, arguments.password_stdin) {
        (user.clone(), from_stdin()?)
    } else {
        ask(arguments.user.as_deref(), &server, &registry)?
    };
    for (name, value) in [("user name", &user), ("password", &password)] {
        if value.is_empty() {
            return Err(boxed(Failure::NoCredential { reason: format!("the {name} is empty") }));
        }
    }
    if user.contains(':') {
        let reason = "a user name holds no `:`, which stands between it and the password".to_owned();
        return Err(boxed(Failure::NoCredential { reason }));
    }
    let proved = registry.prove(&server, &user, &password).map_err(boxed)?;
    let kept = registry.keep(&proved).map_err(boxed)?;
    let reporter = &session.reporter;
    if !proved.was_asked {
        let text = format!(
            "{server} answers everybody, so that it could not be tried whether the password is right"
        );
        reporter.warn("login/unproved", &text, None);
    }
    if let Kept::File(path) = &kept {
        reporter.warn(
            "login/unencrypted",
            &format!("what proves who you are to {server} is kept unencrypted in {}", path.display()),
            Some(
                "install a credential helper and name it there: `\"credsStore\": \"pass\"` for \
                  `docker-credential-pass`",
            ),
        );
    }
    warn_if_hidden(&server, &kept, &registry, session)?;
    reporter.info(&format!("logged in to {server} as {user}; kept in {kept}"));
    Ok(ExitCode::Done as u8)
}

/// The registry that was named.
pub(super) fn server(text: &str) -> Result<Server, Error> {
    text.parse().map_err(|reason| boxed(Failure::Registry { text: text.to_owned(), reason }))
}

/// Another place may come before the one that was written.
fn warn_if_hidden(server: &Server, kept: &Kept, registry: &Registry, session: &Session) -> Result<(), Error> {
    let place = match kept {
        Kept::File(path) => path.display().to_string(),
        Kept::Helper(name) => format!("`{name}`"),
    };
    let used = registry.credential(server).map_err(boxed)?;
    if let Some(used) = used.filter(|used| !used.contains(&place)) {
        session.reporter.warn(
            "login/hidden",
            &format!("{server} is still asked as {used}, which comes before {kept}"),
            Some("remove that, or unset the variable that names it"),
        );
    }
    Ok(())
}

fn ask(user: Option<&str>, server: &Server, registry: &Registry) -> Result<(String, String), Error> {
    let failed = |source: io::Error| boxed(Failure::NobodyToAsk { source });
    let terminal = Terminal::open().map_err(failed)?;
    let user = if let Some(user) = user {
        user.to_owned()
    } else {
        let known = registry.user(server).map_err(boxed)?;
        let shown = known.as_ref().map(|known| format!(" ({known})")).unwrap_or_default();
        let typed = terminal.ask(&format!("User name for {server}{shown}: ")).map_err(failed)?;
        let typed = typed.trim().to_owned();
        if typed.is_empty() { known.unwrap_or_default() } else { typed }
    };
    let password = terminal.ask_hidden("Password: ").map_err(failed)?;
    Ok((user, password))
}

/// The password, without the line end that `echo` adds.
fn from_stdin() -> Result<String, Error> {
    let failed = |reason: &str| boxed(Failure::NoCredential { reason: reason.to_owned() });
    let mut bytes = Vec::new();
    io::stdin()
        .lock()
        .take(LIMIT + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| failed(&format!("standard input cannot be read: {error}")))?;
    if bytes.len() as u64 > LIMIT {
        return Err(failed("standard input holds more than 64 KiB, which no password does"));
    }
    let text = String::from_utf8(bytes).map_err(|_| failed("the password is not UTF-8"))?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
}
