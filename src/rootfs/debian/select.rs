//! Which packages a root consists of.
//!
//! In: the indexes of all suites of a base, names, and whether dependencies are followed. Out: one record per
//! package, by name. The highest version wins over all suites; a suite with a list of packages (backports)
//! offers only those. Deterministic: equal indexes and names give the same selection.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::index::{Index, Record};
use super::relation::{self, Relation};
use super::version;

/// The packages of one suite.
#[derive(Debug)]
pub(in crate::rootfs) struct Suite {
    /// `trixie-security`.
    pub(in crate::rootfs) name: String,
    /// When it was made, in seconds since 1970.
    pub(in crate::rootfs) date: i64,
    /// Name of the archive of the base that holds the files.
    pub(in crate::rootfs) archive: String,
    /// If not empty, only these packages are offered.
    pub(in crate::rootfs) only: Vec<String>,
    /// What the suite holds.
    pub(in crate::rootfs) index: Index,
}

/// A chosen package.
#[derive(Clone, Copy, Debug)]
pub(in crate::rootfs) struct Choice<'a> {
    /// The archive that holds it.
    pub(in crate::rootfs) archive: &'a str,
    /// What the index says.
    pub(in crate::rootfs) record: Record<'a>,
}

/// Why there is no selection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::rootfs) enum Refusal {
    /// No suite has a package of this name.
    Unknown {
        /// The name.
        name: String,
        /// Who needs it, if it was not asked for.
        needed_by: Option<String>,
        /// Existing names that look like it.
        similar: Vec<String>,
    },
    /// There are packages of this name, but none that fits.
    Unsatisfied {
        /// The relation, with its alternatives.
        relation: String,
        /// Who needs it.
        needed_by: String,
        /// What there is: `libc6 2.41-12`.
        available: Vec<String>,
    },
    /// Two chosen packages exclude each other.
    Conflict {
        /// Name and version of one.
        one: String,
        /// Name and version of the other.
        other: String,
        /// The relation that excludes it.
        relation: String,
    },
    /// A dependency field cannot be read.
    Malformed {
        /// The package that has it.
        package: String,
        /// The unreadable part.
        text: String,
    },
}

/// All suites of a base for one architecture.
#[derive(Debug)]
pub(in crate::rootfs) struct Universe {
    /// In the order of the base's file.
    pub(in crate::rootfs) suites: Vec<Arc<Suite>>,
    /// Names of dependencies that only maintainer scripts need, which never run here.
    pub(in crate::rootfs) unneeded: Vec<String>,
    /// Packages of which only the one with this SHA-256 (in hexadecimal digits) is offered, by name.
    pub(in crate::rootfs) pins: BTreeMap<String, String>,
}

impl Universe {
    /// The highest version of the package `name` that `relation` (if any) accepts.
    fn best<'a>(&'a self, name: &'a str, relation: Option<&Relation<'_>>) -> Option<Choice<'a>> {
        self.offers(name)
            .filter(|choice| relation.is_none_or(|relation| relation.accepts(choice.record.version())))
            .reduce(|best, next| {
                let order = version::compare(next.record.version(), best.record.version());
                if order.is_gt() { next } else { best }
            })
    }

    fn offers<'a>(&'a self, name: &'a str) -> impl Iterator<Item = Choice<'a>> {
        self.suites
            .iter()
            .filter(move |suite| suite.only.is_empty() || suite.only.iter().any(|only| only == name))
            .flat_map(move |suite| {
                suite.index.named(name).map(move |record| Choice { archive: &suite.archive, record })
            })
            .filter(|choice| self.pins.get(name).is_none_or(|pin| pin == choice.record.sha256()))
    }

    /// The version of the package `name` that would be chosen.
    pub(in crate::rootfs) fn version<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.best(name, None).map(|choice| choice.record.version())
    }

    /// The packages called `listed`, those called `followed`, and all that the latter need.
    ///
    /// # Errors
    /// The first reason why there is no such selection.
    pub(in crate::rootfs) fn select<'a>(
        &'a self,
        listed: &[&'a str],
        followed: &[&'a str],
    ) -> Result<BTreeMap<&'a str, Choice<'a>>, Refusal> {
        let mut chosen = BTreeMap::new();
        let mut queue = VecDeque::new();
        // All names first: what is asked for decides which alternatives hold already.
        for (name, is_followed) in listed.iter().map(|n| (n, false)).chain(followed.iter().map(|n| (n, true)))
        {
            let choice = self.best(name, None).ok_or_else(|| self.unknown(name, None))?;
            chosen.insert(choice.record.name(), choice);
            if is_followed {
                queue.push_back(choice);
            }
        }
        while let Some(choice) = queue.pop_front() {
            for field in choice.record.depends() {
                for clause in parse(choice.record, field)? {
                    if let Some(further) = self.resolve(&clause, choice.record, &chosen)? {
                        chosen.insert(further.record.name(), further);
                        queue.push_back(further);
                    }
                }
            }
        }
        check_conflicts(&chosen)?;
        Ok(chosen)
    }

    /// What has to be added so that `clause` holds; nothing when it holds already.
    fn resolve<'a>(
        &'a self,
        clause: &[Relation<'a>],
        needed_by: Record<'_>,
        chosen: &BTreeMap<&'a str, Choice<'a>>,
    ) -> Result<Option<Choice<'a>>, Refusal> {
        let holds = |relation: &Relation<'_>| {
            self.unneeded.iter().any(|name| name == relation.name)
                || chosen.get(relation.name).is_some_and(|choice| relation.accepts(choice.record.version()))
        };
        if clause.iter().any(holds) {
            return Ok(None);
        }
        // Looking through all chosen packages is the slower test, so it comes second.
        if clause.iter().any(|relation| chosen.values().any(|choice| provides(choice.record, relation))) {
            return Ok(None);
        }
        for relation in clause {
            if chosen.contains_key(relation.name) {
                continue;
            }
            if let Some(choice) = self.best(relation.name, Some(relation)) {
                return Ok(Some(choice));
            }
            if let Some(choice) = self.provider(relation) {
                return Ok(Some(choice));
            }
        }
        Err(self.unsatisfied(clause, needed_by))
    }

    /// The package that provides a virtual one: part of every Debian system if possible, else the first by name.
    fn provider<'a>(&'a self, relation: &Relation<'a>) -> Option<Choice<'a>> {
        self.suites
            .iter()
            .flat_map(|suite| suite.index.providers(relation.name))
            .filter(|record| provides(*record, relation))
            .filter_map(|record| self.best(record.name(), None))
            .filter(|choice| provides(choice.record, relation))
            .min_by_key(|choice| (choice.record.priority(), choice.record.name()))
    }

    fn unsatisfied(&self, clause: &[Relation<'_>], needed_by: Record<'_>) -> Refusal {
        let available: Vec<String> = clause
            .iter()
            .flat_map(|relation| {
                self.offers(relation.name).map(|choice| describe(choice.record)).collect::<Vec<_>>()
            })
            .collect();
        if let ([relation], true) = (clause, available.is_empty()) {
            return self.unknown(relation.name, Some(describe(needed_by)));
        }
        let relation = clause.iter().map(ToString::to_string).collect::<Vec<_>>().join(" | ");
        Refusal::Unsatisfied { relation, needed_by: describe(needed_by), available }
    }

    fn unknown(&self, name: &str, needed_by: Option<String>) -> Refusal {
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
        let similar = near.into_iter().take(4).map(|(_, name)| name.to_owned()).collect();
        Refusal::Unknown { name: name.to_owned(), needed_by, similar }
    }
}

fn check_conflicts(chosen: &BTreeMap<&str, Choice<'_>>) -> Result<(), Refusal> {
    for choice in chosen.values() {
        for relation in parse(choice.record, choice.record.conflicts())?.into_iter().flatten() {
            let other = chosen.values().find(|other| {
                // A package may conflict with a name that it provides itself: the others must go.
                other.record.name() != choice.record.name()
                    && (other.record.name() == relation.name && relation.accepts(other.record.version())
                        || provides(other.record, &relation))
            });
            if let Some(other) = other {
                return Err(Refusal::Conflict {
                    one: describe(choice.record),
                    other: describe(other.record),
                    relation: relation.to_string(),
                });
            }
        }
    }
    Ok(())
}

/// Whether `record` provides what `relation` asks for; a provided name without a version satisfies only
/// relations without one.
fn provides(record: Record<'_>, relation: &Relation<'_>) -> bool {
    if !record.provides().contains(relation.name) {
        return false;
    }
    let provided = relation::parse(record.provides()).unwrap_or_default();
    provided.into_iter().flatten().any(|provided| {
        provided.name == relation.name
            && match provided.version {
                Some((_, version)) => relation.accepts(version),
                None => relation.version.is_none(),
            }
    })
}

fn parse<'a>(record: Record<'a>, field: &'a str) -> Result<Vec<Vec<Relation<'a>>>, Refusal> {
    relation::parse(field)
        .map_err(|text| Refusal::Malformed { package: describe(record), text: text.to_owned() })
}

fn describe(record: Record<'_>) -> String {
    format!("{} {}", record.name(), record.version())
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

/// Of `chosen`, what a system that has `installed` lacks of `names` and of what they need: packages that are not there,
/// and those that are there in a version that one of these does not accept. What only an installed package needs is
/// left to whoever made the system.
///
/// # Errors
/// When a dependency cannot be read.
pub(in crate::rootfs) fn lacking<'a>(
    mut chosen: BTreeMap<&'a str, Choice<'a>>,
    names: &[&'a str],
    installed: &BTreeMap<String, String>,
) -> Result<BTreeMap<&'a str, Choice<'a>>, Refusal> {
    let mut wanted: Vec<&str> = names.iter().copied().filter(|name| !installed.contains_key(*name)).collect();
    let mut lacking = BTreeMap::new();
    while let Some(name) = wanted.pop() {
        let Some(choice) = chosen.remove(name) else { continue };
        for field in choice.record.depends() {
            for relation in parse(choice.record, field)?.into_iter().flatten() {
                match installed.get(relation.name) {
                    Some(version) if relation.accepts(version) => {}
                    _ if chosen.contains_key(relation.name) => wanted.push(relation.name),
                    _ => wanted.extend(
                        chosen
                            .values()
                            .filter(|choice| provides(choice.record, &relation))
                            .map(|choice| choice.record.name())
                            .filter(|name| !installed.contains_key(*name)),
                    ),
                }
            }
        }
        lacking.insert(name, choice);
    }
    Ok(lacking)
}
