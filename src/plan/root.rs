//! What is asked of the base: the packages of the build root and of the runtime root.

use std::collections::BTreeMap;

use super::model::{Root, RootRequest};
use super::{Error, Planner};

/// What steps see as `/`: the listed packages with all that they depend on.
pub(super) fn build_root(planner: &Planner<'_>) -> Result<Root, Error> {
    let rule = &planner.buildpack.build_root;
    let mut names = planner.scope.texts("build-root.packages", &rule.packages)?;
    for (index, extra) in rule.extra.iter().enumerate() {
        let key = format!("build-root.extra.{index}");
        if planner.scope.holds(&format!("{key}.when"), &extra.when)? {
            names.extend(planner.scope.texts(&format!("{key}.packages"), &extra.packages)?);
        }
    }
    names.extend(planner.config.build_packages.iter().map(|package| package.value.clone()));
    let packages = names.into_iter().map(|name| (name, "build".to_owned())).collect();
    request(planner, packages, true, Vec::new())
}

/// What the image is made on: exactly the listed packages, and what the user added with its dependencies.
pub(super) fn runtime_root(planner: &Planner<'_>) -> Result<Root, Error> {
    let mut packages = BTreeMap::new();
    for (index, rule) in planner.buildpack.runtime_root.iter().enumerate() {
        let key = format!("runtime-root.{index}");
        if !planner.scope.holds(&format!("{key}.when"), &rule.when)? {
            continue;
        }
        for name in planner.scope.texts(&format!("{key}.packages"), &rule.packages)? {
            packages.insert(name, rule.layer.clone());
        }
    }
    let added = planner.config.runtime_packages.iter().map(|package| package.value.clone()).collect();
    request(planner, packages, false, added)
}

fn request(
    planner: &Planner<'_>,
    packages: BTreeMap<String, String>,
    closure: bool,
    mut with_dependencies: Vec<String>,
) -> Result<Root, Error> {
    with_dependencies.sort();
    with_dependencies.dedup();
    let request = RootRequest {
        base: planner.base.id.clone(),
        architecture: planner.architecture.debian.to_owned(),
        packages,
        closure,
        with_dependencies,
    };
    Ok(planner.catalogue.root(&request)?)
}
