//! Debian packages that known dependencies need: rows of a buildpack, looked up by the names of dependencies.
//!
//! In: `[native]` of a buildpack, facts. Out: packages for the build root and for the runtime root, with a notice
//! that says what they are for.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::catalogue::Source;
use super::template::Text;
use super::{Error, Planner};

/// Debian packages that known dependencies need.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Native {
    /// The names of the app's dependencies, between blanks.
    pub(super) dependencies: Text,
    /// Those that the app wants compiled although there are compiled ones; `:all:` stands for all.
    #[serde(default)]
    pub(super) compiled: Text,
    /// What every compilation takes.
    #[serde(default)]
    pub(super) tools: Vec<String>,
    #[serde(default)]
    pub(super) rows: Vec<NativeRow>,
    /// The warning about names that no row has.
    pub(super) unmatched: Option<Unmatched>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Unmatched {
    pub(super) id: String,
    /// With `NAMES` where the names belong.
    pub(super) text: Text,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct NativeRow {
    /// Dependencies that need the same.
    #[serde(default)]
    pub(super) names: Vec<String>,
    /// Dependencies in whose company the row does not count: they bring the same themselves.
    #[serde(default)]
    pub(super) unless: Vec<String>,
    /// What compiling takes besides the tools.
    #[serde(default)]
    pub(super) build: Vec<String>,
    /// What files that come compiled are linked against. It goes to the build root, and from there to the image as
    /// far as the files show.
    #[serde(default)]
    pub(super) links: Vec<String>,
    /// What is loaded by name while the app runs, so that no file shows it; with dependencies.
    #[serde(default)]
    pub(super) runtime: Vec<String>,
    /// Packages with programs that it calls. They are named, not added.
    #[serde(default)]
    pub(super) programs: Vec<String>,
    #[serde(default)]
    pub(super) compiles: Compiles,
    /// What the output of a step holds when `build` is missing.
    #[serde(default)]
    pub(super) patterns: Vec<String>,
}

/// When a dependency is compiled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Compiles {
    /// There is nothing compiled for Linux in its registry.
    Always,
    /// Only when the app says so.
    #[default]
    OnRequest,
}

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
