//! What differs between two locks.
//!
//! In: what is locked and what is wanted, each as a [`Lock`]. Out: a row for each package, tool, base, image and
//! platform that is not the same, with the reason as far as it is known. Who asked for a tool, and in which words,
//! is no difference as long as the answer is the same.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde::Serialize;

use super::{Image, Lock, Package, Root, Tool};
use crate::plan::model::Plan;

/// The reason for packages that no configuration names.
const BUILDPACK: &str = "asked for by the buildpack";
/// The reason for packages that were brought along by others.
const NEEDED_BY: &str = "needed by ";
/// The reason for packages that only others brought.
const UNUSED: &str = "nothing needs it";

/// Who asks for what, with file and line: `rpack.toml:7`, `package.json:9 engines.node`.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// Debian packages, by name.
    pub packages: BTreeMap<String, String>,
    /// Tools, by name.
    pub tools: BTreeMap<String, String>,
}

impl Places {
    /// Adds who asks for the tools of `plan`.
    pub fn add(&mut self, plan: &Plan) {
        self.tools.extend(plan.versions.iter().map(|version| (version.tool.clone(), version.origin.clone())));
    }
}

/// What a difference is about, in the order of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    /// A platform that is covered or not.
    Platform,
    /// The base of a root.
    Base,
    /// The digest of an image.
    Image,
    /// The version or the source of a tool.
    Tool,
    /// A Debian package.
    Package,
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Difference {
    /// What kind of thing it is about.
    pub subject: Subject,
    /// Its name.
    pub name: String,
    /// The version that is locked.
    pub locked: Option<String>,
    /// The version that is wanted instead; nothing when it is no longer needed, or not known yet.
    pub wanted: Option<String>,
    /// The reason: who asks for it, where, or which suite brought it.
    pub why: String,
}

impl Difference {
    /// A package that is asked for and not locked.
    pub(super) fn not_locked(name: &str) -> Self {
        let why = BUILDPACK.to_owned();
        Self { subject: Subject::Package, name: name.to_owned(), locked: None, wanted: None, why }
    }

    /// Whether it only follows from another difference: what a package brought along or takes with it.
    fn follows(&self) -> bool {
        self.subject == Subject::Package && (self.why == UNUSED || self.why.contains(NEEDED_BY))
    }

    /// A root that the lock does not hold in this form.
    pub(super) fn of_root(lock: &Lock, wanted: &Root) -> Self {
        let known = lock.roots.iter().find(|root| root.id() == wanted.id());
        match known {
            Some(known) => Self {
                subject: Subject::Base,
                name: wanted.id(),
                locked: Some(format!("{} {}", known.base, known.architecture)),
                wanted: Some(format!("{} {}", wanted.base, wanted.architecture)),
                why: "made on another base".to_owned(),
            },
            None => Self {
                subject: Subject::Platform,
                name: wanted.platform.clone(),
                locked: None,
                wanted: Some(wanted.base.clone()),
                why: "the lock does not cover it".to_owned(),
            },
        }
    }
}

/// All differences, sorted.
pub fn compare(locked: &Lock, wanted: &Lock, places: &Places) -> Vec<Difference> {
    let mut rows = BTreeSet::new();
    let (before, after) = (locked.platforms(), wanted.platforms());
    for root in &wanted.roots {
        let known = locked.roots.iter().find(|known| known.id() == root.id());
        let is_other =
            known.is_none_or(|known| (&known.base, &known.architecture) != (&root.base, &root.architecture));
        if is_other {
            rows.insert(Difference::of_root(locked, root));
        }
    }
    for platform in before.iter().filter(|platform| !after.contains(platform)) {
        rows.insert(Difference {
            subject: Subject::Platform,
            name: platform.clone(),
            locked: Some("covered".to_owned()),
            wanted: None,
            why: "no longer asked for".to_owned(),
        });
    }
    // What a platform that is new or gone brings or takes along is told by its one row.
    let shared = |platform: &str| {
        before.iter().any(|known| known == platform) && after.iter().any(|known| known == platform)
    };
    images(locked, wanted, &mut rows);
    tools(locked, wanted, &shared, places, &mut rows);
    packages(locked, wanted, &shared, places, &mut rows);
    // Two platforms may have the same difference for different reasons.
    let mut rows: Vec<Difference> = rows.into_iter().collect();
    rows.dedup_by(|next, first| {
        let key = |row: &Difference| (row.subject, row.name.clone(), row.locked.clone(), row.wanted.clone());
        key(next) == key(first)
    });
    rows
}

fn images(locked: &Lock, wanted: &Lock, rows: &mut BTreeSet<Difference>) {
    let digests = |lock: &Lock| -> BTreeMap<String, String> {
        let name = |image: &Image| format!("{} for {}", image.reference, image.platform);
        lock.images.iter().map(|image| (name(image), image.digest.to_string())).collect()
    };
    let why = |_: &str| String::new();
    both(Subject::Image, &digests(locked), &digests(wanted), why, rows);
}

fn tools(
    locked: &Lock,
    wanted: &Lock,
    shared: &dyn Fn(&str) -> bool,
    places: &Places,
    rows: &mut BTreeSet<Difference>,
) {
    let of = |lock: &'_ Lock, platform: &str| -> BTreeMap<String, Tool> {
        let mine = lock.tools.iter().filter(|tool| tool.platforms.iter().any(|known| known == platform));
        mine.map(|tool| (tool.name.clone(), tool.clone())).collect()
    };
    for platform in wanted.platforms().iter().filter(|platform| shared(platform)) {
        let (before, after) = (of(locked, platform), of(wanted, platform));
        let same = |name: &String| match (before.get(name), after.get(name)) {
            (Some(one), Some(other)) => {
                (&one.version, &one.source, &one.path, &one.integrity)
                    == (&other.version, &other.source, &other.path, &other.integrity)
            }
            _ => false,
        };
        for name in before.keys().chain(after.keys()).filter(|name| !same(name)) {
            let (one, other) = (before.get(name), after.get(name));
            let moved = one.zip(other).is_some_and(|(one, other)| one.source != other.source);
            let shown = |tool: &Tool| {
                if moved { format!("{} ({})", tool.version, tool.source) } else { tool.version.clone() }
            };
            let why = other.map_or_else(
                || "no longer used".to_owned(),
                |tool| {
                    let place = places.tools.get(name).unwrap_or(&tool.origin);
                    format!("{place} asks for {}", tool.requested)
                },
            );
            let (locked, wanted) = (one.map(shown), other.map(shown));
            rows.insert(Difference { subject: Subject::Tool, name: name.clone(), locked, wanted, why });
        }
    }
}

fn packages(
    locked: &Lock,
    wanted: &Lock,
    shared: &dyn Fn(&str) -> bool,
    places: &Places,
    rows: &mut BTreeSet<Difference>,
) {
    let ids: BTreeSet<String> =
        wanted.roots.iter().filter(|root| shared(&root.platform)).map(Root::id).collect();
    for id in &ids {
        let versions = |lock: &Lock| -> BTreeMap<String, String> {
            let shown = |package: &Package| (package.name.clone(), package.version.clone());
            lock.of_root(id).map(shown).collect()
        };
        let why = |name: &str| why(name, locked, wanted, id, places);
        both(Subject::Package, &versions(locked), &versions(wanted), why, rows);
    }
}

/// A row for each name whose value is not the same.
fn both(
    subject: Subject,
    before: &BTreeMap<String, String>,
    after: &BTreeMap<String, String>,
    why: impl Fn(&str) -> String,
    rows: &mut BTreeSet<Difference>,
) {
    for name in before.keys().chain(after.keys()) {
        let (locked, wanted) = (before.get(name).cloned(), after.get(name).cloned());
        if locked != wanted {
            rows.insert(Difference { subject, name: name.clone(), locked, wanted, why: why(name) });
        }
    }
}

/// Why a package of the root `id` is in `wanted`, or is not.
fn why(name: &str, locked: &Lock, wanted: &Lock, id: &str, places: &Places) -> String {
    let asked = |lock: &Lock| {
        let root = lock.roots.iter().find(|root| root.id() == id);
        root.is_some_and(|root| root.packages.iter().chain(&root.added).any(|asked| asked == name))
    };
    let Some(package) = wanted.of_root(id).find(|package| package.name == name) else {
        return if asked(locked) { "no longer asked for" } else { UNUSED }.to_owned();
    };
    let reason = if asked(wanted) {
        places.packages.get(name).cloned().unwrap_or_else(|| BUILDPACK.to_owned())
    } else {
        let needed_by = wanted.of_root(id).find(|other| other.needs.iter().any(|need| need == name));
        needed_by.map_or_else(String::new, |other| format!("{NEEDED_BY}`{}`", other.name))
    };
    match (package.suite.ends_with("-security"), reason.is_empty()) {
        (true, true) => package.suite.clone(),
        (true, false) => format!("{}; {reason}", package.suite),
        (false, _) => reason,
    }
}

/// As [`table`], without what follows from other differences; of that the number.
pub(super) fn summary(differences: &[Difference]) -> String {
    let (follow, lead): (Vec<_>, Vec<_>) = differences.iter().cloned().partition(Difference::follows);
    if lead.is_empty() || follow.is_empty() {
        return table(differences);
    }
    let packages = if follow.len() == 1 { "package" } else { "packages" };
    format!("{}and {} {packages} that these bring or take along\n", table(&lead), follow.len())
}

/// The differences as lines: what, name, locked → wanted, why.
pub fn table(differences: &[Difference]) -> String {
    let rows: Vec<[String; 4]> = differences.iter().map(row).collect();
    let mut widths = [0; 3];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for [subject, name, change, why] in rows {
        let [first, second, third] = widths;
        let line = format!("{subject:<first$}  {name:<second$}  {change:<third$}  {why}");
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

fn row(difference: &Difference) -> [String; 4] {
    let subject = match difference.subject {
        Subject::Platform => "platform",
        Subject::Base => "base",
        Subject::Image => "image",
        Subject::Tool => "tool",
        Subject::Package => "package",
    };
    let change = match (&difference.locked, &difference.wanted) {
        (Some(locked), Some(wanted)) => format!("{locked} → {wanted}"),
        (Some(locked), None) => format!("{locked} → removed"),
        (None, Some(wanted)) => format!("not locked → {wanted}"),
        (None, None) => "not locked".to_owned(),
    };
    [subject.to_owned(), difference.name.clone(), change, difference.why.clone()]
}
