//! The closure: what an image needs besides what was listed, by the evidence of its own files.
//!
//! In: the plan, and the layers as they would ship. Out: [`Closure`], the packages of the build root to add to the
//! runtime root, each with the files that need it; or what is nowhere to be found. `docs/libraries.md` states the
//! rules for people.
//!
//! ```text
//! scan      ELF files (elf) and first lines of scripts      rules   what files do not say: bases/libraries.toml
//! load      what the dynamic loader would find (search, view)
//! supply    the build root: who owns what is missing        shebang interpreters of scripts
//! growth    adds packages until nothing is missing          report  the same about a finished image; its size
//! ```
//!
//! Invariants: nothing is executed; a package is added only for a file that names one of its files (or as the
//! companion of such a package), and at the version that the plan states; equal layers give an equal closure.

mod cache;
mod error;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod growth;
mod image;
mod kept;
mod known;
mod load;
mod report;
mod rules;
mod scan;
mod search;
mod shebang;
mod size;
mod supply;
mod view;

pub mod elf;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use error::{Error, Unresolved};
pub use kept::{Broken, Kept, broken};
pub use report::{Bundled, RECORDS, Report, Used, report, versions};
pub use size::{LayerSize, Place, Sizes, sizes};
pub use supply::growing;

use crate::package::LayerInput;
use crate::plan::Plan;
use crate::plan::model::{Notice, Package};
use crate::rootfs::Context;
use crate::store::Tree;
use growth::Growth;
use image::Image;
use rules::Rules;
use scan::Scan;
use supply::Supply;
use view::View;

/// What an image needs besides what was listed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closure {
    /// Packages to add to the runtime root, by name.
    pub added: Vec<Added>,
    /// What the user should know.
    pub notices: Vec<Notice>,
}

/// A package to add.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Added {
    /// For the layer `libraries`.
    pub package: Package,
    /// Why: `libpq.so.5 for /app/x.so`, `/bin/sh for /app/start.sh`, `companion of libfontconfig1`; sorted.
    pub reasons: Vec<String>,
}

/// Finds what the image of `plan` needs besides what its `layers` and the image `base` below them hold. What the
/// files of `base` need is its makers' concern.
///
/// # Errors
/// When a library or the start command's interpreter is neither in the image nor in the build root, or when
/// files cannot be read.
pub fn close(
    plan: &Plan,
    layers: &[LayerInput],
    base: Option<&Tree>,
    context: &Context,
) -> Result<Closure, Error> {
    let rules = Rules::load(&context.definitions)?;
    let view = View::new(base.into_iter().chain(layers.iter().map(|layer| &layer.tree)).collect());
    let image = Image::new(plan, layers, base, &view, &rules)?;
    let mut scan = Scan::default();
    if let Some(image) = &plan.runtime_root.image {
        scan.merge(known::scan_base(image, context)?);
    }
    for layer in layers {
        scan.merge(known::scan(&layer.tree, |path| image.may_start(&layer.id, path), &context.store)?);
    }
    image.check_start(&scan, &view)?;
    let outcome = image.load(&scan, &view);
    if outcome.missing.is_empty() && image.lacking(&scan, &view).is_empty() {
        return Ok(Closure::default());
    }
    let key = cache::key(plan, layers, &scan, rules.digest)?;
    if let Some(closure) = cache::find(&key, &context.store) {
        return Ok(closure);
    }
    let supply = Supply::new(plan, context);
    let closure =
        Growth { image: &image, rules: &rules, supply: &supply, context, view, scan, added: BTreeMap::new() }
            .run(outcome)?;
    cache::keep(&key, &closure, &context.store)?;
    Ok(closure)
}
