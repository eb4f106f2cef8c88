//! Whether what an image had is still there when some of its layers are replaced.
//!
//! In: its layers before and after. Out: what was found before and is not found any more, by the rules by which the
//! closure was made: libraries and loaders, interpreters of scripts, the program of the start command, and what links
//! lead to. What was missing before stays the concern of whoever built the image.

use std::collections::{BTreeMap, BTreeSet};

use globset::GlobSet;

use super::image::{library_path, path, started};
use super::load::{self, Outcome};
use super::report::owners;
use super::rules::Rules;
use super::scan::Scan;
use super::search::Target;
use super::shebang::{self, Role};
use super::view::View;
use super::{Error, known};
use crate::oci::image::ContainerConfig;
use crate::package::LayerInput;
use crate::rootfs::Context;
use crate::store::{Kind, Store};

/// The image whose layers are replaced.
#[derive(Clone, Copy, Debug)]
pub struct Kept<'a> {
    /// Its layers as they are, from the bottom up.
    pub before: &'a [LayerInput],
    /// And as they will be.
    pub after: &'a [LayerInput],
    /// How it is started.
    pub config: &'a ContainerConfig,
    /// Id of its base.
    pub base: &'a str,
    /// Debian's name of the architecture.
    pub architecture: &'a str,
}

/// Something that is not found any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The file that needs it, absolute; none for the start command.
    pub file: Option<String>,
    /// `libfoo.so.5`, `/bin/sh`.
    pub name: String,
    /// The package that had it, or seems to hold it.
    pub package: Option<String>,
}

/// What is not found any more, sorted by file.
///
/// # Errors
/// When a file cannot be read, or the architecture is none of Debian's.
pub fn broken(kept: Kept<'_>, context: &Context) -> Result<Vec<Broken>, Error> {
    let tolerated = Rules::load(&context.definitions)?.tolerated(&[])?;
    let likely = |name: &str| {
        let holders = context.holders(kept.base, kept.architecture, load::base_name(name));
        holders.into_iter().next()
    };
    broken_with(kept, &tolerated, likely, &context.store)
}

/// The same with what need not be found, and with who guesses the package of a library.
pub(super) fn broken_with(
    kept: Kept<'_>,
    tolerated: &GlobSet,
    likely: impl Fn(&str) -> Option<String>,
    store: &Store,
) -> Result<Vec<Broken>, Error> {
    let target =
        Target::debian(kept.architecture).ok_or_else(|| Error::Target(kept.architecture.to_owned()))?;
    let before = Side::new(kept.before, kept.config, target, store)?;
    let after = Side::new(kept.after, kept.config, target, store)?;
    let mut owner = BTreeMap::new();
    for layer in kept.before {
        owner.extend(owners(&layer.tree, &before.view)?);
    }
    let mut broken = after.libraries_missing_since(&before, tolerated, &owner, likely);
    broken.extend(after.interpreters_missing_since(&before, &owner));
    broken.extend(links(kept.before, kept.after, &before.view, &after.view, &owner));
    if let Some(start) = before.start.as_ref().filter(|_| after.start.is_none()) {
        broken.push(Broken { file: None, name: format!("/{start}"), package: owner.get(start).cloned() });
    }
    broken.sort_by(|one, other| (&one.file, &one.name).cmp(&(&other.file, &other.name)));
    Ok(broken)
}

/// The package of each file.
type Owners = BTreeMap<String, String>;

/// An image at one time.
struct Side<'a> {
    view: View<'a>,
    outcome: Outcome,
    /// Scripts with the interpreters that they lack.
    lacking: BTreeSet<(String, String)>,
    /// Folders of `PATH`.
    path: Vec<String>,
    start: Option<String>,
}

impl<'a> Side<'a> {
    fn new(
        layers: &'a [LayerInput],
        config: &ContainerConfig,
        target: Target<'_>,
        store: &Store,
    ) -> Result<Self, Error> {
        let view = View::new(layers.iter().map(|layer| &layer.tree).collect());
        let path = path(&config.env);
        let argv: Vec<String> = config.entrypoint.iter().chain(&config.cmd).flatten().cloned().collect();
        let start = started(&argv, &config.working_dir, &path, &view);
        let mut scan = Scan::default();
        for layer in layers {
            let may_start = |file: &str| {
                let on_path = path.iter().any(|folder| folder == load::folder(file));
                layer.id == "app" || on_path || start.as_deref() == Some(file)
            };
            scan.merge(known::scan(&layer.tree, may_start, store)?);
        }
        let outcome = load::load(&scan.elves, &view, &library_path(&config.env), target);
        let lacking = shebang::lacking(&scan.scripts, &view, &path, |_| Role::Other);
        let lacking = lacking.into_iter().map(|one| (one.script, one.program)).collect();
        Ok(Self { view, outcome, lacking, path, start })
    }

    fn libraries_missing_since(
        &self,
        before: &Self,
        tolerated: &GlobSet,
        owner: &Owners,
        likely: impl Fn(&str) -> Option<String>,
    ) -> Vec<Broken> {
        let is_new = |need: &load::Need| !before.outcome.missing.contains_key(need);
        let missing = self.outcome.missing.iter().filter(|(need, missing)| {
            !missing.optional && is_new(need) && !tolerated.is_match(load::base_name(&need.name))
        });
        missing
            .map(|(need, _)| Broken {
                file: Some(format!("/{}", need.file)),
                name: need.name.clone(),
                package: before
                    .outcome
                    .met
                    .get(need)
                    .and_then(|file| owner.get(file).cloned())
                    .or_else(|| likely(&need.name)),
            })
            .collect()
    }

    fn interpreters_missing_since(&self, before: &Self, owner: &Owners) -> Vec<Broken> {
        let found = |program: &str| {
            if program.contains('/') {
                return before.view.file(program);
            }
            before.path.iter().find_map(|folder| before.view.file(&format!("{folder}/{program}")))
        };
        self.lacking
            .difference(&before.lacking)
            .map(|(script, program)| Broken {
                file: Some(format!("/{script}")),
                name: program.clone(),
                package: found(program).and_then(|file| owner.get(&file).cloned()),
            })
            .collect()
    }
}

/// Links that are the same and led somewhere.
fn links(
    before: &[LayerInput],
    after: &[LayerInput],
    old: &View<'_>,
    new: &View<'_>,
    owner: &Owners,
) -> Vec<Broken> {
    let text = |kind: &Kind| match kind {
        Kind::Symlink { target } => Some(target.clone()),
        _ => None,
    };
    let mut broken = Vec::new();
    for (layer, now) in before.iter().zip(after) {
        for (path, entry) in layer.tree.iter() {
            let Some(target) = text(&entry.kind) else { continue };
            let stays = now.tree.get(path).is_some_and(|now| now.kind == entry.kind);
            let Some((led_to, _)) = old.locate(path).filter(|_| stays) else { continue };
            if new.locate(path).is_none() {
                let package = owner.get(&led_to).cloned();
                broken.push(Broken { file: Some(format!("/{path}")), name: target, package });
            }
        }
    }
    broken
}
