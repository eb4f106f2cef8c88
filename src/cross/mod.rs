//! What is checked of an image whose steps ran on another platform than its own: that what ships can run there.
//!
//! In: the platforms, the layers, the packages that were installed, the work tree as it ships. Out: nothing, or the packages that would not start. An image for the
//! platform of the steps is not looked at. Two things can go wrong, because nothing is emulated:
//!
//! - A package compiled native code, which is for the build platform.
//! - An npm package needs native code and brings none for the target: its installation script did not run.
//!
//! A package that brings files for several platforms, the target's among them, is fine. Files of Debian packages
//! are the target's by their origin.

mod error;
mod machine;
mod packages;

use std::collections::{BTreeMap, BTreeSet};

pub use error::{Error, Native};

use crate::package::LayerInput;
use crate::store::Tree;
use crate::ui::Reporter;
pub use packages::Packages;
use packages::{Npm, Package, Registry};

/// Where the image runs, and where its steps ran.
#[derive(Clone, Copy, Debug)]
pub struct Platforms<'a> {
    /// `linux/arm64`.
    pub target: &'a str,
    /// `linux/amd64`.
    pub build: &'a str,
}

/// The native files of one owner.
#[derive(Debug, Default)]
struct Files {
    /// Whether one is for the target.
    fits: bool,
    /// Those for other machines.
    foreign: Vec<String>,
}

/// Who brought a file: a package, or the app itself by folder.
type Owner = (Option<Package>, String);

/// Refuses what cannot run on the target; what the app can do without is a warning.
///
/// # Errors
/// When native code for another machine ships, or native code for the target is missing.
pub fn check(
    platforms: Platforms<'_>,
    layers: &[LayerInput],
    packages: &Packages,
    work: &Tree,
    reporter: &Reporter,
) -> Result<(), Error> {
    if platforms.target == platforms.build {
        return Ok(());
    }
    let Some(machine) = machine::of_platform(platforms.target) else { return Ok(()) };
    let owners = native_files(layers, machine, packages)?;
    let mut missing: BTreeMap<Package, String> = BTreeMap::new();
    let mut own = Vec::new();
    for ((package, _), files) in owners.iter().filter(|(_, files)| !files.fits && !files.foreign.is_empty()) {
        match package {
            Some(package) => {
                missing.insert(package.clone(), format!("{} is for another machine", files.foreign[0]));
            }
            None => own.extend(files.foreign.iter().cloned()),
        }
    }
    let fitting: BTreeSet<&Package> = owners
        .iter()
        .filter(|(_, files)| files.fits)
        .filter_map(|((package, _), _)| package.as_ref())
        .collect();
    let mut unneeded = BTreeSet::new();
    for (folder, npm) in packages.npm().filter(|(_, npm)| npm.scripted) {
        if has_native(npm, &fitting) {
            continue;
        }
        match packages::compiles(folder, work) {
            Some(evidence) => drop(missing.entry(npm.package.clone()).or_insert(evidence)),
            None => drop(unneeded.insert(npm.package.name.clone())),
        }
    }
    let (optional, needed): (Vec<_>, Vec<_>) =
        missing.into_iter().partition(|(package, _)| packages.is_optional(package));
    warn(platforms.target, &optional, &unneeded, reporter);
    if !needed.is_empty() {
        let native = needed.into_iter().map(|(package, evidence)| Native {
            name: package.name,
            version: package.version,
            python: package.registry == Registry::Python,
            evidence,
        });
        return Err(Error::NativeBuild {
            packages: native.collect(),
            platform: platforms.target.to_owned(),
            build_platform: platforms.build.to_owned(),
        });
    }
    if own.is_empty() {
        return Ok(());
    }
    Err(Error::Foreign {
        files: own,
        platform: platforms.target.to_owned(),
        build_platform: platforms.build.to_owned(),
    })
}

/// Whether the package, or one of its companions, brings native code for the target.
fn has_native(npm: &Npm, fitting: &BTreeSet<&Package>) -> bool {
    fitting.iter().any(|found| **found == npm.package || npm.companions.contains(&found.name))
}

/// The native files of the layers that no Debian package brought, by owner.
fn native_files(
    layers: &[LayerInput],
    machine: u16,
    packages: &Packages,
) -> Result<BTreeMap<Owner, Files>, Error> {
    let mut owners: BTreeMap<Owner, Files> = BTreeMap::new();
    let entries = layers.iter().flat_map(|layer| layer.tree.iter());
    for (path, entry) in entries.filter(|(_, entry)| entry.package.is_none()) {
        let found =
            machine::of_file(entry).map_err(|source| Error::Read { path: path.to_owned(), source })?;
        let Some(found) = found else { continue };
        let owner = match packages.owner(path) {
            Some(package) => (Some(package.clone()), String::new()),
            None => (None, path.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned()),
        };
        let files = owners.entry(owner).or_default();
        if found == machine {
            files.fits = true;
        } else {
            files.foreign.push(path.to_owned());
        }
    }
    Ok(owners)
}

/// What is left out without harm, and what may be harmless.
fn warn(platform: &str, optional: &[(Package, String)], scripted: &BTreeSet<String>, reporter: &Reporter) {
    if !optional.is_empty() {
        let names: Vec<String> = optional.iter().map(|(package, _)| format!("`{}`", package.name)).collect();
        let text = format!("optional packages have no native code for {platform}: {}", names.join(", "));
        reporter.warn("cross/optional-native", &text, None);
    }
    if !scripted.is_empty() {
        let names: Vec<String> = scripted.iter().map(|name| format!("`{name}`")).collect();
        let text = format!(
            "installation scripts did not run, because they would run for another platform: {}",
            names.join(", ")
        );
        reporter.warn("cross/scripts", &text, None);
    }
}

#[cfg(test)]
mod tests;
