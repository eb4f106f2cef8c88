//! What is taken out of folders of packages after the steps, as the plan says it.

use serde::{Deserialize, Serialize};

use super::{APP, Error, Planner};

/// Which packages of `node_modules` ship: those that these manifests need at run time, on this platform.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Prune {
    /// The folders of the manifests, absolute: `/app`, `/app/apps/web`.
    pub folders: Vec<String>,
    /// The architecture of the image in npm's names: `x64`. Packages for others do not ship.
    pub cpu: String,
}

/// What the buildpack says about pruning, if anything.
pub(super) fn prune(planner: &Planner<'_>) -> Result<Option<Prune>, Error> {
    let Some(rule) = &planner.buildpack.prune else { return Ok(None) };
    if !planner.scope.holds("prune.when", &rule.when)? {
        return Ok(None);
    }
    let folders = planner.scope.read::<Vec<String>>("prune.folders", &rule.folders)?;
    let absolute =
        |folder: String| if folder.is_empty() { APP.to_owned() } else { format!("{APP}/{folder}") };
    let cpu = planner.platforms.target.npm.to_owned();
    Ok(Some(Prune { folders: folders.into_iter().map(absolute).collect(), cpu }))
}
