//! Adds packages to an image until nothing is missing that one could bring.
//!
//! In: an image with what its files ask for and what nothing meets; the build root. Out: the closure, with notices
//! about what is found only under conditions; or an error with all that is nowhere.

use std::collections::{BTreeMap, BTreeSet};

use super::image::Image;
use super::load::{self, Missing, Outcome};
use super::rules::Rules;
use super::scan::Scan;
use super::shebang::{self, Lacking, Role};
use super::supply::Supply;
use super::view::View;
use super::{Added, Closure, Error, Unresolved};
use crate::plan::model::Notice;
use crate::rootfs::Context;

/// An image with the packages that were added so far.
pub(super) struct Growth<'a> {
    pub(super) image: &'a Image<'a>,
    pub(super) rules: &'a Rules,
    pub(super) supply: &'a Supply<'a>,
    pub(super) context: &'a Context,
    pub(super) view: View<'a>,
    pub(super) scan: Scan,
    pub(super) added: BTreeMap<String, Added>,
}

/// Packages with the reasons for them.
type Wanted = BTreeMap<String, BTreeSet<String>>;

impl Growth<'_> {
    /// Adds packages until nothing is missing that one could bring: what is added has needs of its own.
    pub(super) fn run(mut self, mut outcome: Outcome) -> Result<Closure, Error> {
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
                wanted.entry(package).or_default().insert(need.to_string());
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

    /// The names of all libraries for this machine, each with the container it lies in.
    fn bundled(&self) -> BTreeSet<(&str, &str)> {
        let machine = self.image.target.machine;
        let elves = self.scan.elves.iter().filter(|(_, elf)| elf.machine == machine);
        let names = elves.flat_map(|(path, elf)| {
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
pub(super) fn container(path: &str) -> &str {
    let ends = ["/site-packages/", "/dist-packages/", "/node_modules/"]
        .iter()
        .filter_map(|folder| path.find(folder).map(|at| at + folder.len()));
    let end = ends.min().or_else(|| path.find('/')).unwrap_or(path.len());
    &path[..end]
}
