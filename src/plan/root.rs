//! What is asked of the base: the packages of the build root and of the runtime root.

use std::collections::BTreeMap;

use super::catalogue::RootRequest;
use super::model::{BaseImage, Root};
use super::native::Packages;
use super::platform::Architecture;
use super::{Error, Planner, base};

/// The packages that the buildpack and known dependencies ask for to build.
pub(super) fn build_packages(planner: &Planner<'_>, native: &Packages) -> Result<Vec<String>, Error> {
    let rule = &planner.buildpack.build_root;
    let mut names = planner.scope.texts("build-root.packages", &rule.packages)?;
    for (index, extra) in rule.extra.iter().enumerate() {
        let key = format!("build-root.extra.{index}");
        if planner.scope.holds(&format!("{key}.when"), &extra.when)? {
            names.extend(planner.scope.texts(&format!("{key}.packages"), &extra.packages)?);
        }
    }
    names.extend(native.build.iter().cloned());
    Ok(names)
}

/// What steps see as `/`, on the build platform: `names` and what the user adds, with all that they depend on.
pub(super) fn build_root(planner: &mut Planner<'_>, mut names: Vec<String>) -> Result<Root, Error> {
    let added: Vec<String> =
        planner.config.build_packages.iter().map(|package| package.value.clone()).collect();
    let image = planner.bases.build.clone();
    if let Some(image) = image.as_ref().filter(|image| !planner.is_same_release(image)) {
        if !added.is_empty() {
            return Err(planner.other_release("base.build", image, added));
        }
        let text = format!(
            "the build runs in `{}` as it is; it must have what these packages of {} hold: {}",
            image.image.reference,
            planner.base.id,
            names.join(", ")
        );
        names.clear();
        planner.note("base/as-it-is", text, false);
    }
    names.extend(added);
    let packages = names.into_iter().map(|name| (name, "build".to_owned())).collect();
    let architecture = planner.platforms.build;
    request(planner, architecture, packages, true, Vec::new(), image.map(|image| image.image))
}

/// What the image is made on, for the target: exactly the listed packages, and what the user and known dependencies
/// add, with its dependencies.
pub(super) fn runtime_root(planner: &Planner<'_>, native: &Packages) -> Result<Root, Error> {
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
    let added = planner.config.runtime_packages.iter().map(|package| package.value.clone());
    let added: Vec<String> = added.chain(native.runtime.iter().cloned()).collect();
    let image = planner.bases.runtime.as_ref();
    if let Some(image) = image {
        packages.retain(|_, layer| layer != base::LAYER);
        let wanted: Vec<String> = packages.keys().chain(&added).cloned().collect();
        if !wanted.is_empty() && !planner.is_same_release(image) {
            return Err(planner.other_release("base.runtime", image, wanted));
        }
    }
    let architecture = planner.platforms.target;
    request(planner, architecture, packages, false, added, image.map(|image| image.image.clone()))
}

fn request(
    planner: &Planner<'_>,
    architecture: Architecture,
    packages: BTreeMap<String, String>,
    closure: bool,
    mut with_dependencies: Vec<String>,
    image: Option<BaseImage>,
) -> Result<Root, Error> {
    with_dependencies.sort();
    with_dependencies.dedup();
    let request = RootRequest {
        base: planner.base.id.clone(),
        architecture: architecture.debian.to_owned(),
        packages,
        closure,
        with_dependencies,
        image,
    };
    Ok(planner.catalogue.root(&request)?)
}
