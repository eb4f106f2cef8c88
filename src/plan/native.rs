//! Debian packages that known dependencies need: rows of a buildpack, looked up by the names of dependencies.
//!
//! In: `[native]` of a buildpack, facts. Out: packages for the build root and for the runtime root, with a notice
//! that says what they are for.

use std::collections::BTreeSet;

use super::buildpack::{Compiles, NativeRow};
use super::catalogue::Source;
use super::{Error, Planner};

/// Packages that dependencies of the app need.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Packages {
    /// For the build root.
    pub(super) build: BTreeSet<String>,
    /// For the runtime root, with what they depend on.
    pub(super) runtime: BTreeSet<String>,
}

/// Looks up the app's dependencies, and says which packages they bring.
pub(super) fn packages(planner: &mut Planner<'_>) -> Result<Packages, Error> {
    let Some(native) = planner.buildpack.native.clone() else { return Ok(Packages::default()) };
    let dependencies = planner.scope.text("native.dependencies", &native.dependencies)?;
    let on_request = planner.scope.text("native.compiled", &native.compiled)?;
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<BTreeSet<_>>();
    let (dependencies, on_request) = (words(&dependencies), words(&on_request));
    let mut packages = Packages::default();
    if !on_request.is_empty() {
        packages.build.extend(native.tools.iter().cloned());
    }
    for row in &native.rows {
        let Some(name) = row.names.iter().find(|name| dependencies.contains(*name)) else { continue };
        if row.unless.iter().any(|name| dependencies.contains(name)) {
            continue;
        }
        let compiles = row.compiles == Compiles::Always
            || on_request.contains(":all:")
            || row.names.iter().any(|name| on_request.contains(name));
        if compiles {
            packages.build.extend(native.tools.iter().cloned());
            packages.build.extend(add(planner, name, "to compile", &row.build)?);
        }
        packages.build.extend(add(planner, name, "where it is linked", &row.links)?);
        packages.runtime.extend(add(planner, name, "while it runs", &row.runtime)?);
        programs(planner, name, row);
    }
    if let Some(unmatched) = &native.unmatched {
        let known = |name: &String| native.rows.iter().any(|row| row.names.contains(name));
        let names: Vec<String> = dependencies.iter().filter(|name| !known(name)).cloned().collect();
        if !names.is_empty() {
            let text = planner.scope.text("native.unmatched.text", &unmatched.text)?;
            planner.note(&unmatched.id, text.replace("NAMES", &listed(&names)), true);
        }
    }
    Ok(packages)
}

/// The names of `packages` in the base, with a notice about them.
fn add(planner: &mut Planner<'_>, name: &str, when: &str, packages: &[String]) -> Result<Vec<String>, Error> {
    let packages = packages.iter().map(|names| offered(planner, names)).collect::<Result<Vec<_>, _>>()?;
    note(planner, name, when, &packages);
    Ok(packages)
}

/// The first of the names that the base has: `libmagic1t64 | libmagic1` is one package in two releases.
fn offered(planner: &Planner<'_>, names: &str) -> Result<String, Error> {
    let mut names = names.split('|').map(str::trim);
    let first = names.next().unwrap_or_default();
    let Some(second) = names.next() else { return Ok(first.to_owned()) };
    for name in [first, second].into_iter().chain(names) {
        let source = Source::Debian {
            base: planner.base.id.clone(),
            architecture: planner.platforms.build.debian.to_owned(),
            package: name.to_owned(),
        };
        if !planner.catalogue.releases(&source)?.is_empty() {
            return Ok(name.to_owned());
        }
    }
    Ok(first.to_owned())
}

fn note(planner: &mut Planner<'_>, name: &str, when: &str, packages: &[String]) {
    if !packages.is_empty() {
        let text = format!("`{name}` needs {} {when}: added", listed(packages));
        planner.note("native/added", text, false);
    }
}

/// Programs are large and not every app calls them: they are named, not added.
fn programs(planner: &mut Planner<'_>, name: &str, row: &NativeRow) {
    let asked: Vec<&str> = planner.config.runtime_packages.iter().map(|one| one.value.as_str()).collect();
    let lacking: Vec<String> =
        row.programs.iter().filter(|package| !asked.contains(&package.as_str())).cloned().collect();
    if !lacking.is_empty() {
        let text = format!(
            "`{name}` runs programs that the image does not have: if the app uses that, `{}`",
            line("runtime", &lacking)
        );
        planner.note("native/programs", text, false);
    }
}

fn listed(packages: &[String]) -> String {
    packages.iter().map(|package| format!("`{package}`")).collect::<Vec<_>>().join(", ")
}

/// `build.packages = ["libpq-dev"]`
pub(super) fn line(part: &str, packages: &[String]) -> String {
    let first = |names: &String| names.split('|').next().unwrap_or_default().trim().to_owned();
    let names: Vec<String> = packages.iter().map(|names| format!("{:?}", first(names))).collect();
    format!("{part}.packages = [{}]", names.join(", "))
}
