//! A lock as the catalogue that planning asks.
//!
//! In: the lock, if there is one, and a [`Resolver`] behind it. Out: answers from the lock where it covers the
//! question, else from the resolver with everything locked kept. On the way it notes what was asked, from which
//! [`record`](super::record) makes the next lock.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::compare::{Difference, Places, Subject};
use super::{Image, Lock, Package, Purpose, Resolver, Root, Tool};
use crate::oci::Reference;
use crate::plan::catalogue::{
    Catalogue, CatalogueError, LockedRelease, Release, ResolvedImage, RootRequest, Source,
};
use crate::plan::model::Root as PlannedRoot;

/// What is done about a question that the lock does not cover.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It is resolved; the rest stays as locked.
    Resolve,
    /// It is a difference; the lock answers as far as it can.
    Refuse,
    /// As [`Mode::Resolve`], and what has one of these names (of a package, a tool, a base) counts as not locked.
    Upgrade(BTreeSet<String>),
    /// Nothing counts as locked.
    UpgradeAll,
}

/// What planning asked for one root, and the answer.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) root: Root,
    pub(super) answer: PlannedRoot,
    /// Whether the answer comes from the lock alone.
    pub(super) from_lock: bool,
}

/// A catalogue with a lock in front.
pub struct Locked<'a> {
    lock: Option<&'a Lock>,
    /// The same, whatever the mode: what is resolved to the same package again keeps its entry.
    pub(super) known: Option<&'a Lock>,
    pub(super) resolver: &'a dyn Resolver,
    pub(super) platform: &'a str,
    mode: Mode,
    pub(super) asked: RefCell<Vec<Asked>>,
    /// The texts that ask for each tool's version.
    pub(super) statements: RefCell<BTreeMap<String, Vec<String>>>,
    pub(super) images: RefCell<BTreeSet<Image>>,
    missing: RefCell<Vec<Difference>>,
    unfit: RefCell<Vec<Difference>>,
}

impl<'a> Locked<'a> {
    /// The catalogue for one platform.
    pub fn new(lock: Option<&'a Lock>, resolver: &'a dyn Resolver, platform: &'a str, mode: Mode) -> Self {
        let known = lock;
        let lock = lock.filter(|_| mode != Mode::UpgradeAll);
        let (asked, statements) = (RefCell::default(), RefCell::default());
        let (images, missing, unfit) = (RefCell::default(), RefCell::default(), RefCell::default());
        Self { lock, known, resolver, platform, mode, asked, statements, images, missing, unfit }
    }

    /// Packages that were asked for and are not locked, when they were refused.
    pub fn missing(&self, places: &Places) -> Vec<Difference> {
        let mut missing = self.missing.borrow().clone();
        missing.sort();
        missing.dedup();
        for difference in &mut missing {
            if let Some(place) = places.packages.get(&difference.name) {
                difference.why.clone_from(place);
            }
        }
        missing
    }

    /// Tools whose locked version does not do, roots that are not locked, and packages as
    /// [`missing`](Self::missing): what is known when planning went no further.
    pub fn known(&self, places: &Places) -> Vec<Difference> {
        let mut known = [self.unfit.borrow().clone(), self.missing(places)].concat();
        known.dedup();
        known
    }

    /// Whether the locked package counts as not locked: it is to be upgraded, or another root moved on from it.
    fn is_upgraded(&self, package: &Package) -> bool {
        let of_same = |asked: &&Asked| asked.answer.base == package.base;
        let asked = self.asked.borrow();
        let mut others = asked.iter().filter(of_same).flat_map(|asked| &asked.answer.packages);
        if others.any(|other| {
            (&other.name, &other.architecture) == (&package.name, &package.architecture)
                && other.sha256 != package.sha256
        }) {
            return true;
        }
        let Mode::Upgrade(names) = &self.mode else { return false };
        let is_tools_own = |tool: &Tool| {
            names.contains(&tool.name) && tool.source == format!("{}:{}", package.base, package.name)
        };
        names.contains(&package.name)
            || names.contains(&package.base)
            || self.lock.is_some_and(|lock| lock.tools.iter().any(is_tools_own))
    }

    fn is_upgraded_tool(&self, tool: &Tool) -> bool {
        let Mode::Upgrade(names) = &self.mode else { return false };
        let mut roots = self.lock.into_iter().flat_map(|lock| &lock.roots);
        names.contains(&tool.name)
            || roots
                .any(|root| names.contains(&root.base) && tool.source.starts_with(&format!("{}:", root.base)))
    }

    /// The packages of the lock's root that the names lead to, or the names that it lacks.
    fn covered(&self, known: &Root, wanted: &Root) -> (Vec<&'a Package>, Vec<String>) {
        let id = known.id();
        let packages: BTreeMap<&str, &Package> = self
            .lock
            .into_iter()
            .flat_map(|lock| lock.packages.iter())
            .filter(|package| package.roots.contains(&id))
            .map(|package| (package.name.as_str(), package))
            .collect();
        let is_build = wanted.purpose == Purpose::Build;
        let mut found: BTreeMap<&str, &Package> = BTreeMap::new();
        let mut missing = BTreeSet::new();
        let mut queue: VecDeque<(&str, bool)> = VecDeque::new();
        queue.extend(wanted.packages.iter().map(|name| (name.as_str(), is_build)));
        queue.extend(wanted.added.iter().map(|name| (name.as_str(), true)));
        let mut followed = BTreeSet::new();
        // A locked root is complete for what was asked then: a need that it lacks is one of another root.
        let is_complete = wanted.added.iter().all(|name| known.added.contains(name));
        let is_wish = |name: &str| wanted.packages.iter().chain(&wanted.added).any(|wish| wish == name);
        while let Some((name, is_followed)) = queue.pop_front() {
            let Some(package) = packages.get(name) else {
                if !is_complete || is_wish(name) {
                    missing.insert(name.to_owned());
                }
                continue;
            };
            found.insert(&package.name, package);
            if is_followed && followed.insert(&package.name) {
                queue.extend(package.needs.iter().map(|need| (need.as_str(), true)));
            }
        }
        (found.into_values().collect(), missing.into_iter().collect())
    }

    fn answer(&self, request: &RootRequest, wanted: &Root) -> Result<(PlannedRoot, bool), CatalogueError> {
        let Some(lock) = self.lock else { return Ok((self.resolver.root(request)?, false)) };
        let known = lock.roots.iter().find(|root| {
            root.id() == wanted.id() && root.base == wanted.base && root.architecture == wanted.architecture
        });
        // What an image from elsewhere has already is asked for and not in the root.
        let is_same = |known: &Root| (&known.packages, &known.added) == (&wanted.packages, &wanted.added);
        if let Some(known) = known.filter(|known| request.image.is_some() && is_same(known)) {
            let id = known.id();
            let packages: Vec<&Package> =
                lock.packages.iter().filter(|package| package.roots.contains(&id)).collect();
            if !packages.iter().any(|package| self.is_upgraded(package)) {
                return Ok((self.resolver.assemble(request, &packages)?, true));
            }
        }
        if let Some(known) = known {
            let (packages, missing) = self.covered(known, wanted);
            if self.mode == Mode::Refuse {
                let mut differences = self.missing.borrow_mut();
                // What a locked package needs is not the app's wish, and its absence shows in what is.
                let wishes = |name: &&String| wanted.packages.contains(name) || wanted.added.contains(name);
                for name in missing.iter().filter(wishes) {
                    differences.push(Difference::not_locked(name));
                }
                if missing.is_empty() || !differences.is_empty() {
                    return Ok((self.resolver.assemble(request, &packages)?, true));
                }
            } else if missing.is_empty() && !packages.iter().any(|package| self.is_upgraded(package)) {
                return Ok((self.resolver.assemble(request, &packages)?, true));
            }
        }
        if known.is_none() {
            self.unfit.borrow_mut().push(Difference::of_root(lock, wanted));
        }
        let kept: Vec<&Package> = lock
            .packages
            .iter()
            .filter(|package| package.base == request.base)
            .filter(|package| [request.architecture.as_str(), "all"].contains(&package.architecture.as_str()))
            .filter(|package| !self.is_upgraded(package))
            .collect();
        Ok((self.resolver.root_keeping(request, &kept)?, false))
    }
}

impl Catalogue for Locked<'_> {
    fn root(&self, request: &RootRequest) -> Result<PlannedRoot, CatalogueError> {
        let purpose = if request.closure { Purpose::Build } else { Purpose::Runtime };
        let wanted = Root {
            purpose,
            platform: self.platform.to_owned(),
            base: request.base.clone(),
            architecture: request.architecture.clone(),
            packages: self.resolver.names(request)?.into_keys().collect(),
            added: request.with_dependencies.clone(),
        };
        let (answer, from_lock) = self.answer(request, &wanted)?;
        self.asked.borrow_mut().push(Asked { root: wanted, answer: answer.clone(), from_lock });
        Ok(answer)
    }

    fn releases(&self, source: &Source) -> Result<Vec<Release>, CatalogueError> {
        self.resolver.releases(source)
    }

    /// A tag of a registry stays at the digest that is locked; what a layout holds is what it holds.
    fn image(&self, reference: &str, platform: &str) -> Result<ResolvedImage, CatalogueError> {
        let is_same = |image: &&Image| image.reference == reference && image.platform == platform;
        let is_upgraded = matches!(&self.mode, Mode::Upgrade(names) if names.contains(reference));
        let locked = self.lock.and_then(|lock| lock.images.iter().find(is_same)).filter(|_| !is_upgraded);
        let is_tag = reference.parse::<Reference>().is_ok_and(|reference| reference.digest().is_none());
        let mut resolved = match locked.filter(|_| is_tag) {
            Some(locked) => self.resolver.image(&format!("{reference}@{}", locked.digest), platform)?,
            None => self.resolver.image(reference, platform)?,
        };
        reference.clone_into(&mut resolved.image.reference);
        let (reference, platform) = (reference.to_owned(), platform.to_owned());
        let digest = resolved.image.digest;
        self.images.borrow_mut().insert(Image { reference, platform, digest });
        Ok(resolved)
    }

    fn locked(&self, tool: &str, asked: &[String]) -> Option<LockedRelease> {
        self.statements.borrow_mut().insert(tool.to_owned(), asked.to_vec());
        let lock = self.lock?;
        let found = lock.tools.iter().find(|locked| {
            locked.name == tool && locked.platforms.iter().any(|platform| platform == self.platform)
        })?;
        if self.is_upgraded_tool(found) {
            return None;
        }
        let package = found.source.rsplit(':').next().unwrap_or_default();
        let release = Release {
            version: found.version.clone(),
            path: found.path.clone().unwrap_or_else(|| package.to_owned()),
            integrity: found.integrity.clone(),
        };
        let same = found.statements() == asked;
        Some(LockedRelease {
            release,
            source: found.source.clone(),
            requested: found.requested.clone(),
            same,
        })
    }

    fn unfit(&self, tool: &str, wanted: &str, origin: &str) {
        let locked = self.lock.and_then(|lock| lock.tools.iter().find(|locked| locked.name == tool));
        self.unfit.borrow_mut().push(Difference {
            subject: Subject::Tool,
            name: tool.to_owned(),
            locked: locked.map(|locked| locked.version.clone()),
            wanted: Some(wanted.to_owned()),
            why: origin.to_owned(),
        });
    }
}

impl Tool {
    /// The statements that ask for it, strongest first.
    fn statements(&self) -> Vec<String> {
        if self.origin == "default" {
            return Vec::new();
        }
        std::iter::once(&self.requested).chain(&self.also).cloned().collect()
    }
}
