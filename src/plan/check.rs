//! The checks of a buildpack: errors, warnings and notes that facts lead to.

use super::buildpack::{Check, Level};
use super::template::Scope;
use super::{Error, Planner, error};

/// When a check runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Over facts alone, before anything is asked of a registry.
    Early,
    /// With versions, values and the start command.
    Late,
}

/// Runs the checks of a phase in the order of the file; the first error ends planning.
pub(super) fn run(planner: &mut Planner<'_>, phase: Phase) -> Result<(), Error> {
    let mut notes = Vec::new();
    for (index, check) in planner.buildpack.checks.iter().enumerate() {
        let key = format!("check.{index}");
        if check.late != (phase == Phase::Late)
            || !planner.scope.holds(&format!("{key}.when"), &check.when)?
        {
            continue;
        }
        let text = planner.scope.text(&format!("{key}.text"), &check.text)?;
        if check.level == Level::Error || (check.strict && planner.config.strict) {
            return Err(failure(&planner.scope, check, &key, text)?);
        }
        notes.push((check.id.clone(), text, check.level == Level::Warning));
    }
    for (id, text, warning) in notes {
        planner.note(&id, text, warning);
    }
    Ok(())
}

fn failure(scope: &Scope, check: &Check, key: &str, text: String) -> Result<Error, Error> {
    let detail =
        check.detail.as_ref().map(|detail| scope.text(&format!("{key}.detail"), detail)).transpose()?;
    let file = check.file.as_ref().map(|file| scope.text(&format!("{key}.file"), file)).transpose()?;
    Ok(Error::Check {
        id: error::check_id(&check.id).unwrap_or("buildpack/check"),
        text,
        detail,
        hints: scope.texts(&format!("{key}.hints"), &check.hints)?,
        file,
    })
}
