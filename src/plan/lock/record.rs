//! From a finished plan to a lock.
//!
//! In: the plan, and the [`Locked`] catalogue that answered it. Out: the lock of the plan's platform. What is
//! locked already keeps its entry; what an index says of new packages is asked of the resolver.

use std::collections::{BTreeMap, BTreeSet};

use super::{Detail, Lock, Locked, Package, Tool, VERSION};
use crate::oci::Digest;
use crate::plan::catalogue::CatalogueError;
use crate::plan::model::Plan;

/// The lock of `plan`, which `locked` answered.
///
/// # Errors
/// When the indexes of new packages cannot be read.
pub fn record(plan: &Plan, locked: &Locked<'_>) -> Result<Lock, CatalogueError> {
    let old = locked.known;
    let mut packages: BTreeMap<Digest, Package> = BTreeMap::new();
    let mut roots = Vec::new();
    for asked in locked.asked.borrow().iter() {
        let details =
            if asked.from_lock { BTreeMap::new() } else { locked.resolver.details(&asked.answer)? };
        let id = asked.root.id();
        for package in &asked.answer.packages {
            let known = old.and_then(|lock| lock.packages.iter().find(|old| old.sha256 == package.sha256));
            let detail = details.get(&package.name);
            let entry = packages.entry(package.sha256).or_insert_with(|| Package {
                name: package.name.clone(),
                version: package.version.clone(),
                architecture: package.architecture.clone(),
                base: asked.answer.base.clone(),
                suite: known.map_or_else(|| suite(detail), |known| known.suite.clone()),
                archive: package.archive.clone(),
                path: package.path.clone(),
                size: package.size,
                sha256: package.sha256,
                date: known.map_or_else(|| detail.map_or(0, |detail| detail.date), |known| known.date),
                roots: Vec::new(),
                needs: Vec::new(),
            });
            entry.roots.push(id.clone());
            entry.needs.extend(known.into_iter().flat_map(|known| known.needs.clone()));
            entry.needs.extend(detail.into_iter().flat_map(|detail| detail.needs.clone()));
        }
        roots.push(asked.root.clone());
    }
    let mut lock = Lock {
        version: VERSION,
        roots,
        images: locked.images.borrow().iter().cloned().collect(),
        tools: tools(plan, locked),
        packages: packages.into_values().collect(),
    };
    lock.tidy();
    Ok(lock)
}

fn suite(detail: Option<&Detail>) -> String {
    detail.map(|detail| detail.suite.clone()).unwrap_or_default()
}

fn tools(plan: &Plan, locked: &Locked<'_>) -> Vec<Tool> {
    let statements = locked.statements.borrow();
    plan.versions
        .iter()
        .map(|version| {
            let asked = statements.get(&version.tool).map(Vec::as_slice).unwrap_or_default();
            let toolchain = plan.toolchains.iter().find(|toolchain| toolchain.name == version.tool);
            Tool {
                name: version.tool.clone(),
                version: version.version.clone(),
                requested: version.requested.clone(),
                origin: without_line(&version.origin),
                also: asked.iter().skip(1).cloned().collect(),
                source: version.source.clone(),
                path: toolchain.map(|toolchain| toolchain.path.clone()),
                integrity: toolchain.map(|toolchain| toolchain.integrity.clone()),
                platforms: vec![plan.platform.clone()],
            }
        })
        .collect()
}

/// `package.json:9 engines.node` → `package.json engines.node`: a line that moves is no change of the lock.
fn without_line(origin: &str) -> String {
    let (place, key) = origin.split_once(' ').map_or((origin, ""), |(place, key)| (place, key));
    let is_line = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let place = match place.rsplit_once(':') {
        Some((file, line)) if is_line(line) => file,
        _ => place,
    };
    if key.is_empty() { place.to_owned() } else { format!("{place} {key}") }
}

impl Lock {
    /// The part of one platform.
    #[must_use]
    pub fn only(&self, platform: &str) -> Self {
        let mut lock = self.clone();
        lock.retain(|found| found == platform);
        lock
    }

    /// This lock with the platforms of `other` replaced by what `other` says of them.
    #[must_use]
    pub fn with(mut self, other: &Self) -> Self {
        let replaced = other.platforms();
        self.retain(|platform| !replaced.iter().any(|other| other == platform));
        self.version = VERSION;
        self.roots.extend(other.roots.iter().cloned());
        self.images.extend(other.images.iter().cloned());
        for tool in &other.tools {
            let same = |known: &&mut Tool| {
                let unlike = Tool { platforms: tool.platforms.clone(), ..(**known).clone() };
                unlike == *tool
            };
            match self.tools.iter_mut().find(same) {
                Some(known) => known.platforms.extend(tool.platforms.iter().cloned()),
                None => self.tools.push(tool.clone()),
            }
        }
        for package in &other.packages {
            match self.packages.iter_mut().find(|known| known.sha256 == package.sha256) {
                Some(known) => {
                    known.roots.extend(package.roots.iter().cloned());
                    known.needs.extend(package.needs.iter().cloned());
                }
                None => self.packages.push(package.clone()),
            }
        }
        self.tidy();
        self
    }

    /// Keeps what is of the platforms that `keep` accepts.
    fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        self.roots.retain(|root| keep(&root.platform));
        for tool in &mut self.tools {
            tool.platforms.retain(|platform| keep(platform));
        }
        self.tools.retain(|tool| !tool.platforms.is_empty());
        for package in &mut self.packages {
            package.roots.retain(|root| root.split_once(' ').is_some_and(|(_, platform)| keep(platform)));
        }
        self.packages.retain(|package| !package.roots.is_empty());
        self.tidy();
    }

    /// Sorts every list, drops repetitions and needs that nothing here meets.
    fn tidy(&mut self) {
        let names: BTreeSet<String> = self.packages.iter().map(|package| package.name.clone()).collect();
        let tidied = |list: &mut Vec<String>| {
            list.sort();
            list.dedup();
        };
        for package in &mut self.packages {
            package.needs.retain(|need| names.contains(need));
            tidied(&mut package.needs);
            tidied(&mut package.roots);
        }
        self.tools.iter_mut().for_each(|tool| tidied(&mut tool.platforms));
        self.sort();
        self.images.dedup();
    }
}
