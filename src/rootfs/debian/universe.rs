//! What the suites of a base offer together, and which version of a package is the first choice.
//!
//! In: the indexes of all suites with their priorities. Out: candidates by name, and what satisfies a relation, best
//! first. As apt has it (<https://manpages.debian.org/apt_preferences.5>): of the versions of a package the one from
//! the suite with the highest priority is the candidate, among equals the highest version. Other versions count
//! only where no candidate satisfies a relation.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::index::{Index, Record};
use super::relation::{self, Relation};
use super::version;

/// The priority of a suite that states none, and of packages that a base takes from a suite by name.
const ORDINARY: u32 = 500;

/// The packages of one suite.
#[derive(Debug)]
pub(in crate::rootfs) struct Suite {
    /// `trixie-security`.
    pub(in crate::rootfs) name: String,
    /// When it was made, in seconds since 1970.
    pub(in crate::rootfs) date: i64,
    /// Name of the archive of the base that holds the files.
    pub(in crate::rootfs) archive: String,
    /// How its versions compare with those of other suites; nothing means [`ORDINARY`].
    pub(in crate::rootfs) priority: Option<u32>,
    /// If not empty, the packages with ordinary priority. Others have `priority`, or are not offered without one.
    pub(in crate::rootfs) only: Vec<String>,
    /// What the suite holds.
    pub(in crate::rootfs) index: Index,
}

impl Suite {
    /// The priority of its versions of the package `name`; nothing when it does not offer them.
    fn priority_of(&self, name: &str) -> Option<u32> {
        if self.only.is_empty() {
            return Some(self.priority.unwrap_or(ORDINARY));
        }
        if self.only.iter().any(|only| only == name) { Some(ORDINARY) } else { self.priority }
    }
}

/// A version of a package in a suite.
#[derive(Clone, Copy, Debug)]
pub(in crate::rootfs) struct Choice<'a> {
    /// The archive that holds it.
    pub(in crate::rootfs) archive: &'a str,
    /// The priority of its suite.
    priority: u32,
    /// What the index says.
    pub(in crate::rootfs) record: Record<'a>,
}

/// All suites of a base for one architecture.
#[derive(Debug)]
pub(in crate::rootfs) struct Universe {
    /// Debian's name of the architecture.
    pub(in crate::rootfs) architecture: String,
    /// In the order of the base's file.
    pub(in crate::rootfs) suites: Vec<Arc<Suite>>,
    /// Names of dependencies that only maintainer scripts need, which never run here.
    pub(in crate::rootfs) unneeded: Vec<String>,
    /// Packages of which only the one with this SHA-256 (in hexadecimal digits) is offered, by name.
    pub(in crate::rootfs) pins: BTreeMap<String, String>,
}

impl Universe {
    /// All versions of the package `name`.
    pub(super) fn offers<'a>(&'a self, name: &'a str) -> impl Iterator<Item = Choice<'a>> {
        self.suites
            .iter()
            .filter_map(move |suite| Some((suite, suite.priority_of(name)?)))
            .flat_map(move |(suite, priority)| {
                let choice = move |record| Choice { archive: &suite.archive, priority, record };
                suite.index.named(name).map(choice)
            })
            .filter(move |choice| self.pins.get(name).is_none_or(|pin| pin == choice.record.sha256()))
    }

    /// The version of the package `name` that is the first choice.
    pub(super) fn candidate<'a>(&'a self, name: &'a str) -> Option<Choice<'a>> {
        // Of equal versions the first suite's stands.
        self.offers(name).reduce(|best, next| if ranks_above(&next, &best) { next } else { best })
    }

    /// The version of the package `name` that would be chosen.
    pub(in crate::rootfs) fn version<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.candidate(name).map(|choice| choice.record.version())
    }

    /// What satisfies one of the alternatives of `clause`, in the order in which it is tried: the alternatives from
    /// left to right, each the package itself before those that provide it.
    pub(super) fn solutions<'a>(&'a self, clause: &[Relation<'a>]) -> Vec<Choice<'a>> {
        let mut found = Vec::new();
        for relation in clause {
            found.extend(self.candidate(relation.name).filter(|choice| self.is(choice.record, relation)));
            found.extend(self.providers(relation, true));
        }
        if found.is_empty() {
            for relation in clause {
                let mut others: Vec<_> =
                    self.offers(relation.name).filter(|choice| self.is(choice.record, relation)).collect();
                others.sort_by(|one, other| ranks_above(one, other).cmp(&ranks_above(other, one)).reverse());
                found.extend(others);
                found.extend(self.providers(relation, false));
            }
        }
        found
    }

    /// The packages that provide what `relation` asks for: those first that every system has, then by name.
    fn providers<'a>(&'a self, relation: &Relation<'a>, candidates: bool) -> Vec<Choice<'a>> {
        let mut names: Vec<&str> = self
            .suites
            .iter()
            .flat_map(|suite| suite.index.providers(relation.name))
            .map(|record| record.name())
            .filter(|name| *name != relation.name)
            .collect();
        names.sort_unstable();
        names.dedup();
        let mut found: Vec<Choice<'a>> = names
            .into_iter()
            .flat_map(|name| {
                let best = candidates.then(|| self.candidate(name)).flatten();
                best.into_iter().chain(self.offers(name).filter(move |_| !candidates))
            })
            .filter(|choice| self.provides(choice.record, relation))
            .collect();
        found.sort_by_key(|choice| (Reverse(choice.record.is_essential()), choice.record.priority()));
        found
    }

    /// Whether the package itself is what `relation` asks for.
    pub(super) fn is(&self, record: Record<'_>, relation: &Relation<'_>) -> bool {
        record.name() == relation.name
            && self.qualifies(record, relation)
            && relation.accepts(record.version())
    }

    /// Whether `record` provides what `relation` asks for.
    pub(super) fn provides(&self, record: Record<'_>, relation: &Relation<'_>) -> bool {
        if !record.provides().contains(relation.name) || !self.qualifies(record, relation) {
            return false;
        }
        let provided = relation::parse(record.provides()).unwrap_or_default();
        provided.into_iter().flatten().any(|provided| covers(&provided, relation))
    }

    /// Whether the architecture of `record` is the one that `relation` asks for. All packages of a root have its
    /// architecture or none, so a name without qualifier always fits.
    pub(super) fn qualifies(&self, record: Record<'_>, relation: &Relation<'_>) -> bool {
        match relation.qualifier {
            None | Some("native") => true,
            Some("any") => record.is_multi_arch_allowed(),
            Some(architecture) => architecture == self.architecture,
        }
    }

    /// Existing names that look like `name`.
    pub(super) fn similar(&self, name: &str) -> Vec<String> {
        let mut near: Vec<(usize, &str)> = Vec::new();
        for record in self.suites.iter().flat_map(|suite| suite.index.records()) {
            let candidate = record.name();
            let distance = distance(name, candidate);
            if distance <= 2 || (name.len() > 3 && candidate.starts_with(name)) {
                near.push((distance, candidate));
            }
        }
        near.sort_unstable();
        near.dedup();
        near.into_iter().take(4).map(|(_, name)| name.to_owned()).collect()
    }
}

fn ranks_above(one: &Choice<'_>, other: &Choice<'_>) -> bool {
    let versions = || version::compare(one.record.version(), other.record.version());
    one.priority.cmp(&other.priority).then_with(versions).is_gt()
}

/// Whether the provided name satisfies `relation`; one without a version satisfies only relations without one.
pub(super) fn covers(provided: &Relation<'_>, relation: &Relation<'_>) -> bool {
    provided.name == relation.name
        && match provided.version {
            Some((_, version)) => relation.accepts(version),
            None => relation.version.is_none(),
        }
}

/// The number of edits between two names, or 3 when it is certainly more than 2.
fn distance(a: &str, b: &str) -> usize {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    if a.len().abs_diff(b.len()) > 2 {
        return 3;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()].min(3)
}
