//! Configuration: layers merged into values that carry their origin.
//!
//! In: the `rpack.toml` of the repository and of the app, the environment, flags. Out: a [`Config`]. All problems of all layers are
//! reported at once, each with its place; what is unknown is an error with a suggestion, never ignored.

mod check;
mod environment;
mod error;
mod file;
mod merge;
mod model;
mod reference;
mod schema;
mod statement;
mod suggest;
#[cfg(test)]
mod tests;
mod value;
mod word;

use std::path::Path;

pub use environment::Environment;
pub use error::{Error, Fault, Place, Problem};
pub use model::{Command, Config, Origin, Resolved};
pub use reference::reference;
pub use schema::{KEYS, Key, Merge};

use serde::Serialize;
use statement::Statement;

use crate::ui::{Diagnose as _, Warning};

/// A flag of the command line that sets a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Flag {
    /// The key, with the part in capitals filled in (`runtime.node.version`), or an open table
    /// (`runtime.env`), whose value is then `NAME=value`.
    pub key: String,
    /// As the user typed it: `--language`.
    pub name: String,
    /// The text after it.
    pub value: String,
}

/// Reads and merges all layers. `repository` is the root of the source tree, and `app` the app's folder in it, whose
/// own file is stronger; it is empty for the root. Later flags are stronger.
pub fn load(
    repository: &Path,
    app: &str,
    environment: &Environment,
    flags: &[Flag],
) -> Result<Config, Error> {
    let (mut statements, mut problems) = file::read(repository, "")?;
    if !app.is_empty() {
        let (of_app, wrong) = file::read(repository, app)?;
        statements.extend(of_app);
        problems.extend(wrong);
    }
    merged(repository, statements, problems, environment, flags)
}

/// What the environment says, for a command without a source tree.
///
/// # Errors
/// When a variable is not understood.
pub fn of_environment(environment: &Environment) -> Result<Config, Error> {
    merged(Path::new(""), Vec::new(), Vec::new(), environment, &[])
}

fn merged(
    repository: &Path,
    mut statements: Vec<Statement>,
    mut problems: Vec<Problem>,
    environment: &Environment,
    flags: &[Flag],
) -> Result<Config, Error> {
    for mut words in [word::environment(environment), word::flags(flags)] {
        statements.append(&mut words.statements);
        problems.append(&mut words.problems);
        problems.append(&mut words.unknown);
    }
    let mut config = merge::merge(statements);
    repository.clone_into(&mut config.folder);
    if !config.strict && !environment.is_ci() {
        config.warnings = problems
            .extract_if(.., |problem| matches!(problem.fault, Fault::UnknownVariable { .. }))
            .map(|problem| Warning {
                id: problem.id().to_owned(),
                text: problem.to_string(),
                hint: problem.hints().into_iter().next(),
            })
            .collect();
    }
    if !problems.is_empty() {
        return Err(Error::Invalid(problems));
    }
    if let Some(user) = config.user.as_ref().filter(|user| user.value.split(':').next() == Some("0")) {
        config.warnings.push(Warning {
            id: "config/root-user".to_owned(),
            text: format!("`image.user` is `{}` ({}): the app will run as root", user.value, user.origin),
            hint: Some("remove it, and name what the app writes to in `image.writable`".to_owned()),
        });
    }
    Ok(config)
}
