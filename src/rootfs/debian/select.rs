//! Which packages a root consists of.
//!
//! In: a universe, names, and whether dependencies are followed. Out: one version per package, by name.
//! Dependencies are followed into the depth as apt does it, alternatives tried from left to right; when a choice
//! turns out to be impossible, the latest other one is taken instead. Deterministic: equal indexes and names give
//! the same selection.

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use super::index::Record;
use super::relation::{self, Relation};
use super::universe::{Choice, Universe, covers};

/// After this many impossible choices the first one is reported.
const ATTEMPTS: usize = 5_000;

/// Why there is no selection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::rootfs) enum Refusal {
    /// No suite has a package of this name.
    Unknown {
        /// The name.
        name: String,
        /// Who needs it and who needs that, from what was asked for; empty if it was itself asked for.
        chain: Vec<String>,
        /// Existing names that look like it.
        similar: Vec<String>,
    },
    /// There are packages of this name, but none that fits.
    Unsatisfied {
        /// The relation, with its alternatives.
        relation: String,
        /// Who needs it and who needs that, from what was asked for.
        chain: Vec<String>,
        /// What there is: `libc6 2.41-12`.
        available: Vec<String>,
    },
    /// Two packages exclude each other.
    Conflict {
        /// One and who needs it, from what was asked for.
        one: Vec<String>,
        /// The other and who needs it.
        other: Vec<String>,
        /// The relation of the first that excludes the other.
        relation: String,
        /// Whether it stands in Breaks, not in Conflicts.
        breaks: bool,
    },
    /// A dependency field cannot be read.
    Malformed {
        /// The package that has it.
        package: String,
        /// The unreadable part.
        text: String,
    },
}

impl Universe {
    /// The packages called `listed`, those called `followed`, and all that the latter need.
    ///
    /// # Errors
    /// The first reason why there is no such selection.
    pub(in crate::rootfs) fn select<'a>(
        &'a self,
        listed: &[&'a str],
        followed: &[&'a str],
    ) -> Result<BTreeMap<&'a str, Choice<'a>>, Refusal> {
        let mut search = Search::new(self);
        // All names first: what is asked for decides which alternatives hold already.
        for name in listed.iter().chain(followed) {
            let unknown = || Refusal::Unknown {
                name: (*name).to_owned(),
                chain: Vec::new(),
                similar: self.similar(name),
            };
            let choice = self.candidate(name).ok_or_else(unknown)?;
            search.add(choice, None)?;
        }
        // The last that is put on the pile is the first that is looked at.
        for name in followed.iter().rev() {
            search.follow(search.by_name[name])?;
        }
        search.run()?;
        Ok(search.members.into_iter().map(|member| (member.choice.record.name(), member.choice)).collect())
    }
}

/// A chosen package.
#[derive(Debug)]
struct Member<'a> {
    choice: Choice<'a>,
    /// Who needed it, by number.
    needed_by: Option<usize>,
    provides: Vec<Relation<'a>>,
    /// Whom it excludes, and whether by Breaks.
    excludes: Vec<(Relation<'a>, bool)>,
}

/// A clause that has to hold.
#[derive(Clone, Debug)]
struct Task<'a> {
    clause: Rc<[Relation<'a>]>,
    /// Who needs it, by number.
    by: usize,
}

/// A point to which the search can return.
#[derive(Debug)]
struct Fork<'a> {
    task: Task<'a>,
    /// Solutions that were not tried, the next one last.
    rest: Vec<Choice<'a>>,
    members: usize,
    pile: Vec<Task<'a>>,
}

#[derive(Debug)]
struct Search<'a> {
    universe: &'a Universe,
    members: Vec<Member<'a>>,
    by_name: HashMap<&'a str, usize>,
    /// Who provides a name, by number, in ascending order.
    providers: HashMap<&'a str, Vec<usize>>,
    /// Who excludes a name, by number, in ascending order.
    excluders: HashMap<&'a str, Vec<usize>>,
    /// What is still to be looked at, the next last.
    pile: Vec<Task<'a>>,
    forks: Vec<Fork<'a>>,
}

impl<'a> Search<'a> {
    fn new(universe: &'a Universe) -> Self {
        Self {
            universe,
            members: Vec::new(),
            by_name: HashMap::new(),
            providers: HashMap::new(),
            excluders: HashMap::new(),
            pile: Vec::new(),
            forks: Vec::new(),
        }
    }

    /// Works the pile off.
    fn run(&mut self) -> Result<(), Refusal> {
        let mut first = None;
        let mut attempts = 0;
        while let Some(task) = self.pile.pop() {
            if self.holds(&task.clause) {
                continue;
            }
            let mut rest = self.universe.solutions(&task.clause);
            rest.retain(|choice| !self.by_name.contains_key(choice.record.name()));
            rest.reverse();
            let mut result = self.try_next(task, rest);
            while let Err(refusal) = result {
                first.get_or_insert(refusal);
                attempts += 1;
                let fork = if attempts < ATTEMPTS { self.forks.pop() } else { None };
                let Some(fork) = fork else {
                    return Err(first.expect("a refusal was put there"));
                };
                self.undo(fork.members);
                self.pile = fork.pile;
                result = self.try_next(fork.task, fork.rest);
            }
        }
        Ok(())
    }

    /// Takes the next solution of `task`, and remembers that there are others.
    fn try_next(&mut self, task: Task<'a>, mut rest: Vec<Choice<'a>>) -> Result<(), Refusal> {
        let Some(choice) = rest.pop() else { return Err(self.unsatisfied(&task)) };
        let by = task.by;
        if !rest.is_empty() {
            self.forks.push(Fork { task, rest, members: self.members.len(), pile: self.pile.clone() });
        }
        let number = self.add(choice, Some(by))?;
        self.follow(number)
    }

    /// Chooses a package, unless it and a chosen one exclude each other.
    fn add(&mut self, choice: Choice<'a>, needed_by: Option<usize>) -> Result<usize, Refusal> {
        let record = choice.record;
        if let Some(number) = self.by_name.get(record.name()) {
            return Ok(*number);
        }
        let one = |clauses: Vec<Vec<Relation<'a>>>| clauses.into_iter().flatten();
        let conflicts = one(parse(record, record.conflicts())?).map(|relation| (relation, false));
        let breaks = one(parse(record, record.breaks())?).map(|relation| (relation, true));
        let excludes: Vec<_> = conflicts.chain(breaks).collect();
        let provides = one(parse(record, record.provides())?).collect();
        let member = Member { choice, needed_by, provides, excludes };
        self.check_conflicts(&member)?;
        let number = self.members.len();
        self.by_name.insert(record.name(), number);
        for provided in &member.provides {
            self.providers.entry(provided.name).or_default().push(number);
        }
        for (excluded, _) in &member.excludes {
            self.excluders.entry(excluded.name).or_default().push(number);
        }
        self.members.push(member);
        Ok(number)
    }

    /// Puts what a chosen package needs on the pile, so that its first need is the next to be looked at.
    fn follow(&mut self, number: usize) -> Result<(), Refusal> {
        let record = self.members[number].choice.record;
        let mut tasks = Vec::new();
        for field in record.depends() {
            let clauses = parse(record, field)?.into_iter();
            tasks.extend(clauses.map(|clause| Task { clause: clause.into(), by: number }));
        }
        self.pile.extend(tasks.into_iter().rev());
        Ok(())
    }

    /// Takes back all choices from number `members` on.
    fn undo(&mut self, members: usize) {
        while self.members.len() > members {
            let Some(member) = self.members.pop() else { break };
            self.by_name.remove(member.choice.record.name());
            let names = member.provides.iter().map(|relation| relation.name);
            for name in names {
                self.providers.entry(name).or_default().pop();
            }
            for (relation, _) in &member.excludes {
                self.excluders.entry(relation.name).or_default().pop();
            }
        }
    }

    /// Whether one of the alternatives holds by what is chosen.
    fn holds(&self, clause: &[Relation<'_>]) -> bool {
        clause.iter().any(|relation| {
            self.universe.unneeded.iter().any(|name| name == relation.name)
                || self.named(relation).is_some()
                || self.providing(relation).next().is_some()
        })
    }

    /// The chosen package that is itself what `relation` names.
    fn named(&self, relation: &Relation<'_>) -> Option<usize> {
        let number = *self.by_name.get(relation.name)?;
        self.universe.is(self.members[number].choice.record, relation).then_some(number)
    }

    /// The chosen packages that provide what `relation` names.
    fn providing(&self, relation: &Relation<'_>) -> impl Iterator<Item = usize> {
        let numbers = self.providers.get(relation.name).into_iter().flatten().copied();
        numbers.filter(|number| {
            let member = &self.members[*number];
            self.universe.qualifies(member.choice.record, relation)
                && member.provides.iter().any(|provided| covers(provided, relation))
        })
    }

    /// Refuses `member` if it excludes a chosen package or the other way round. A package may exclude a name that
    /// it provides itself: then the others must go.
    fn check_conflicts(&self, member: &Member<'a>) -> Result<(), Refusal> {
        let name = member.choice.record.name();
        let names = std::iter::once(name).chain(member.provides.iter().map(|provided| provided.name));
        let numbers = names.filter_map(|name| self.excluders.get(name)).flatten().copied();
        for number in numbers {
            let excluder = &self.members[number];
            let hit = excluder.excludes.iter().find(|(relation, _)| {
                self.universe.is(member.choice.record, relation)
                    || self.universe.provides(member.choice.record, relation)
            });
            if let Some((relation, breaks)) = hit {
                return Err(Refusal::Conflict {
                    one: self.chain(number),
                    other: self.chain_of(member),
                    relation: relation.to_string(),
                    breaks: *breaks,
                });
            }
        }
        for (relation, breaks) in &member.excludes {
            let hit = self.named(relation).filter(|_| relation.name != name);
            if let Some(hit) = hit.or_else(|| self.providing(relation).next()) {
                return Err(Refusal::Conflict {
                    one: self.chain_of(member),
                    other: self.chain(hit),
                    relation: relation.to_string(),
                    breaks: *breaks,
                });
            }
        }
        Ok(())
    }

    fn unsatisfied(&self, task: &Task<'a>) -> Refusal {
        let offers = task.clause.iter().flat_map(|relation| self.universe.offers(relation.name));
        let mut available: Vec<String> = offers.map(|choice| describe(choice.record)).collect();
        available.dedup();
        let chain = self.chain(task.by);
        if let ([relation], true) = (&*task.clause, available.is_empty()) {
            let similar = self.universe.similar(relation.name);
            return Refusal::Unknown { name: relation.name.to_owned(), chain, similar };
        }
        let relation = task.clause.iter().map(ToString::to_string).collect::<Vec<_>>().join(" | ");
        Refusal::Unsatisfied { relation, chain, available }
    }

    /// The package with this number, after those because of which it was chosen.
    fn chain(&self, number: usize) -> Vec<String> {
        self.chain_of(&self.members[number])
    }

    fn chain_of(&self, member: &Member<'a>) -> Vec<String> {
        let mut chain = vec![describe(member.choice.record)];
        let mut next = member.needed_by;
        while let Some(number) = next {
            chain.push(describe(self.members[number].choice.record));
            next = self.members[number].needed_by;
        }
        chain.reverse();
        chain
    }
}

fn parse<'a>(record: Record<'a>, field: &'a str) -> Result<Vec<Vec<Relation<'a>>>, Refusal> {
    relation::parse(field)
        .map_err(|text| Refusal::Malformed { package: describe(record), text: text.to_owned() })
}

fn describe(record: Record<'_>) -> String {
    format!("{} {}", record.name(), record.version())
}

impl Universe {
    /// Of `chosen`, what a system that has `installed` lacks of `names` and of what they need: packages that are not there,
    /// and those that are there in a version that one of these does not accept. What only an installed package needs is
    /// left to whoever made the system.
    ///
    /// # Errors
    /// When a dependency cannot be read.
    pub(in crate::rootfs) fn lacking<'a>(
        &self,
        mut chosen: BTreeMap<&'a str, Choice<'a>>,
        names: &[&'a str],
        installed: &BTreeMap<String, String>,
    ) -> Result<BTreeMap<&'a str, Choice<'a>>, Refusal> {
        let mut wanted: Vec<&str> =
            names.iter().copied().filter(|name| !installed.contains_key(*name)).collect();
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
                                .filter(|choice| self.provides(choice.record, &relation))
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
}
