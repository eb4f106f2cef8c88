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
//! report    the same about a finished image
//! ```
//!
//! Invariants: nothing is executed; a package is added only for a file that names one of its files (or as the
//! companion of such a package), and at the version that the plan states; equal layers give an equal closure.

mod cache;
mod error;
mod load;
mod report;
mod rules;
mod scan;
mod search;
mod shebang;
mod supply;
mod view;

pub mod elf;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use globset::GlobSet;
use serde::{Deserialize, Serialize};

pub use error::{Error, Unresolved};
pub use report::{Bundled, Report, Used, report};

use crate::package::LayerInput;
use crate::plan::Plan;
use crate::plan::model::{Notice, Package};
use crate::rootfs::Context;
use crate::store::Tree;
use load::{Missing, Need, Outcome};
use rules::Rules;
use scan::Scan;
use search::Target;
use shebang::{Lacking, Role};
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

/// Finds what the image of `plan` needs besides what its `layers` hold.
///
/// # Errors
/// When a library or the start command's interpreter is neither in the image nor in the build root, or when
/// files cannot be read.
pub fn close(plan: &Plan, layers: &[LayerInput], context: &Context) -> Result<Closure, Error> {
    let rules = Rules::load(&context.definitions)?;
    let image = Image::new(plan, layers, &rules)?;
    let view = View::new(layers.iter().map(|layer| &layer.tree).collect());
    let mut scan = Scan::default();
    for layer in layers {
        scan.add(&layer.tree, |path| image.may_start(&layer.id, path))?;
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
        Search { image: &image, rules: &rules, supply: &supply, context, view, scan, added: BTreeMap::new() }
            .run(outcome)?;
    cache::keep(&key, &closure, &context.store)?;
    Ok(closure)
}

/// The image, as far as the loader and the kernel see it.
struct Image<'a> {
    plan: &'a Plan,
    target: Target<'a>,
    /// Folders of `LD_LIBRARY_PATH`.
    library_path: Vec<String>,
    /// Folders of `PATH`, without a slash in front.
    path: Vec<String>,
    /// The file that the start command names, if it is one.
    start: Option<String>,
    /// Paths of the layer `app`.
    app: Option<&'a Tree>,
    tolerated: GlobSet,
}

impl<'a> Image<'a> {
    fn new(plan: &'a Plan, layers: &'a [LayerInput], rules: &Rules) -> Result<Self, Error> {
        let architecture = &plan.runtime_root.architecture;
        let target = Target::debian(architecture).ok_or_else(|| Error::Target(architecture.clone()))?;
        let variable = |name: &str| {
            let value =
                plan.image.env.iter().find_map(|variable| variable.strip_prefix(name)?.strip_prefix('='));
            value.unwrap_or_default().split(':').filter(|folder| !folder.is_empty())
        };
        let mut image = Self {
            plan,
            target,
            library_path: variable("LD_LIBRARY_PATH").map(str::to_owned).collect(),
            path: variable("PATH").map(|folder| folder.trim_matches('/').to_owned()).collect(),
            start: None,
            app: layers.iter().find(|layer| layer.id == "app").map(|layer| &layer.tree),
            tolerated: rules.tolerated(&plan.ignored_libraries)?,
        };
        let view = View::new(layers.iter().map(|layer| &layer.tree).collect());
        image.start = image.started(&view);
        Ok(image)
    }

    /// The file that the start command names.
    fn started(&self, view: &View<'_>) -> Option<String> {
        let argv = &self.plan.image.entrypoint;
        let program = &argv[argv.iter().position(|word| word == "--").map_or(0, |at| at + 1)..].first()?;
        if program.starts_with('/') {
            view.file(program)
        } else if program.contains('/') {
            view.file(&format!("{}/{program}", self.plan.image.working_directory))
        } else {
            self.path.iter().find_map(|folder| view.file(&format!("{folder}/{program}")))
        }
    }

    fn is_on_path(&self, path: &str) -> bool {
        self.path.iter().any(|folder| folder == load::folder(path))
    }

    /// Whether a script of this layer is of interest.
    fn may_start(&self, layer: &str, path: &str) -> bool {
        layer == "app" || self.is_on_path(path) || self.start.as_deref() == Some(path)
    }

    fn role(&self, path: &str) -> Role {
        if self.start.as_deref() == Some(path) {
            Role::Start
        } else if self.is_on_path(path) && self.app.is_some_and(|app| app.get(path).is_some()) {
            Role::Command
        } else {
            Role::Other
        }
    }

    fn check_start(&self, scan: &Scan, view: &View<'_>) -> Result<(), Error> {
        let Some(start) = &self.start else { return Ok(()) };
        let is_foreign = scan.foreign.contains(start)
            || scan.elves.get(start).is_some_and(|elf| elf.machine != self.target.machine);
        let interpreter = scan.elves.get(start).and_then(|elf| elf.interpreter.as_ref());
        let is_musl = interpreter.filter(|path| path.contains("/ld-musl-") && view.file(path).is_none());
        if is_foreign {
            return Err(Error::Architecture { path: start.clone(), platform: self.plan.platform.clone() });
        }
        match is_musl {
            Some(program) => Err(Error::Interpreter {
                script: start.clone(),
                program: program.clone(),
                packages: vec!["musl".to_owned()],
                origin: self.plan.image.start_origin.clone(),
            }),
            None => Ok(()),
        }
    }

    /// What the loader finds, without what need not be found.
    fn load(&self, scan: &Scan, view: &View<'_>) -> Outcome {
        let mut outcome = load::load(&scan.elves, view, &self.library_path, self.target);
        outcome.missing.retain(|need, _| !self.tolerated.is_match(load::base_name(&need.name)));
        outcome
    }

    fn lacking(&self, scan: &Scan, view: &View<'_>) -> Vec<Lacking> {
        shebang::lacking(&scan.scripts, view, &self.path, |path| self.role(path))
    }
}

/// The search for packages.
struct Search<'a> {
    image: &'a Image<'a>,
    rules: &'a Rules,
    supply: &'a Supply<'a>,
    context: &'a Context,
    view: View<'a>,
    scan: Scan,
    added: BTreeMap<String, Added>,
}

/// Packages with the reasons for them.
type Wanted = BTreeMap<String, BTreeSet<String>>;

impl Search<'_> {
    /// Adds packages until nothing is missing that one could bring: what is added has needs of its own.
    fn run(mut self, mut outcome: Outcome) -> Result<Closure, Error> {
        loop {
            let wanted = self.wanted(&outcome)?;
            let mut grown = false;
            for (name, reasons) in wanted {
                grown |= self.add(&name, reasons)?;
            }
            if !grown {
                break;
            }
            outcome = self.image.load(&self.scan, &self.view);
        }
        let mut notices = self.unmet(&outcome)?;
        notices.extend(self.scripts()?);
        Ok(Closure { added: self.added.into_values().collect(), notices })
    }

    fn wanted(&self, outcome: &Outcome) -> Result<Wanted, Error> {
        let mut wanted = Wanted::new();
        for (need, missing) in &outcome.missing {
            if let Some(package) = self.supply.owner(&need.name, &missing.folders)? {
                wanted.entry(package).or_default().insert(format!("{} for /{}", need.name, need.file));
            }
        }
        for lacking in self.image.lacking(&self.scan, &self.view) {
            if lacking.role == Role::Other {
                continue;
            }
            if let Some(package) = self.supply.owner(&lacking.program, &self.image.path)? {
                wanted
                    .entry(package)
                    .or_default()
                    .insert(format!("{} for /{}", lacking.program, lacking.script));
            }
        }
        Ok(wanted)
    }

    /// Adds a package with its companions; nothing changes when it is there already.
    fn add(&mut self, name: &str, reasons: BTreeSet<String>) -> Result<bool, Error> {
        if let Some(known) = self.added.get_mut(name) {
            let mut all: BTreeSet<String> = known.reasons.drain(..).collect();
            all.extend(reasons);
            known.reasons = all.into_iter().collect();
            return Ok(false);
        }
        let listed = &self.image.plan.runtime_root.packages;
        if listed.iter().any(|package| package.name == name) {
            return Ok(false);
        }
        let Some(offer) = self.supply.offer(name)? else { return Ok(false) };
        for (path, entry) in offer.files {
            self.scan.add_file(&path, &entry, &|_| false)?;
            self.view.add(&path, entry);
        }
        let added = Added { package: offer.package, reasons: reasons.into_iter().collect() };
        self.added.insert(name.to_owned(), added);
        for companion in self.rules.companions.get(name).into_iter().flatten() {
            self.add(companion, BTreeSet::from([format!("companion of {name}")]))?;
        }
        Ok(true)
    }

    /// What is missing still: an error, unless something beside the file that needs it has that name.
    fn unmet(&self, outcome: &Outcome) -> Result<Vec<Notice>, Error> {
        let mut unresolved: BTreeMap<&str, &Missing> = BTreeMap::new();
        let mut beside: BTreeSet<String> = BTreeSet::new();
        let bundled = self.bundled();
        for (need, missing) in outcome.missing.iter().filter(|(_, missing)| !missing.optional) {
            if bundled.contains(&(container(&need.file), need.name.as_str())) {
                beside.insert(need.name.clone());
            } else {
                unresolved.entry(&need.name).or_insert(missing);
            }
        }
        if !unresolved.is_empty() {
            let unresolved = unresolved.into_iter().map(|(name, missing)| Unresolved {
                name: name.to_owned(),
                chain: missing.chain.clone(),
                packages: self.likely(name),
            });
            return Err(Error::Missing(unresolved.collect()));
        }
        let note = |name| Notice {
            id: "closure/preloaded".to_owned(),
            text: format!(
                "`{name}` ships with the app and is found only if the app loads it before what needs it"
            ),
            warning: false,
        };
        Ok(beside.into_iter().map(note).collect())
    }

    /// The names of all libraries outside packages, each with the container it lies in.
    fn bundled(&self) -> BTreeSet<(&str, &str)> {
        let names = self.scan.elves.iter().flat_map(|(path, elf)| {
            [Some(load::base_name(path)), elf.soname.as_deref()]
                .into_iter()
                .flatten()
                .map(move |name| (container(path), name))
        });
        names.collect()
    }

    /// Packages that seem to hold the library `name`.
    fn likely(&self, name: &str) -> Vec<String> {
        let root = &self.image.plan.runtime_root;
        let mut likely = self.supply.hidden(name);
        likely.extend(self.context.holders(&root.base, &root.architecture, load::base_name(name)));
        likely.dedup();
        likely
    }

    /// What is said about scripts whose interpreter the image lacks.
    fn scripts(&self) -> Result<Vec<Notice>, Error> {
        let mut others: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for lacking in self.image.lacking(&self.scan, &self.view) {
            if lacking.role == Role::Start {
                let packages = self.likely(&lacking.program);
                let origin = self.image.plan.image.start_origin.clone();
                let Lacking { script, program, .. } = lacking;
                return Err(Error::Interpreter { script, program, packages, origin });
            }
            others.entry(lacking.program).or_default().push(lacking.script);
        }
        let mut notices = Vec::new();
        for (program, scripts) in others {
            let package = self.supply.owner(&program, &self.image.path)?;
            let package = package.unwrap_or_else(|| load::base_name(&program).to_owned());
            let needs = if scripts.len() == 1 { "needs" } else { "need" };
            let text = format!(
                "{} {needs} `{program}`, which the image does not have: if the app runs that, \
                 `runtime.packages = [\"{package}\"]`",
                shebang::listed(&scripts)
            );
            notices.push(Notice { id: "closure/interpreter".to_owned(), text, warning: false });
        }
        notices.extend(self.started_by());
        Ok(notices)
    }

    /// A program that was added for a script is news: the image has no shell by design.
    fn started_by(&self) -> Vec<Notice> {
        let mut notices = Vec::new();
        for added in self.added.values() {
            let scripts = added.reasons.iter().filter(|reason| reason_is_script(reason, &self.scan));
            for reason in scripts {
                let text = format!("`{}` is added to the image: {reason}", added.package.name);
                notices.push(Notice { id: "closure/interpreter-added".to_owned(), text, warning: false });
            }
        }
        notices
    }
}

fn reason_is_script(reason: &str, scan: &Scan) -> bool {
    reason.split_once(" for /").is_some_and(|(_, file)| scan.scripts.contains_key(file))
}

/// The folder whose packages load each other's libraries: the nearest `site-packages` or `node_modules`, else the
/// first folder of the path.
fn container(path: &str) -> &str {
    let ends = ["/site-packages/", "/dist-packages/", "/node_modules/"]
        .iter()
        .filter_map(|folder| path.find(folder).map(|at| at + folder.len()));
    let end = ends.min().or_else(|| path.find('/')).unwrap_or(path.len());
    &path[..end]
}

/// The need with the file that has it, for messages.
impl std::fmt::Display for Need {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} for /{}", self.name, self.file)
    }
}
