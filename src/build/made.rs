//! What a step's result was made of: kept beside it, and for each app as the last of each step.
//!
//! From two of them, what changed is named. Values of variables and texts of files are kept as digests alone; secrets'
//! values are nowhere.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::key::Lowers;
use crate::oci::{Digest, to_canonical_json};
use crate::plan::Plan;
use crate::plan::model::{Root, Step};
use crate::source::{Fingerprints, Selection};
use crate::store::history::{self, History, Last};

/// The name of the document in a step's entry.
const NAME: &str = "made";
/// For more files than this only the digest of all is kept.
const FILES: usize = 50_000;
/// How many names a reason lists.
const NAMED: usize = 3;

/// What a step's result was made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Made {
    /// The step's id.
    pub id: String,
    /// What people read: `npm ci`.
    pub title: String,
    /// The app's name.
    pub app: String,
    /// The command.
    pub command: Vec<String>,
    /// Where it ran.
    pub directory: String,
    /// Digests of the values of its variables.
    pub env: BTreeMap<String, Digest>,
    /// Digests of files that the plan brings.
    pub files: BTreeMap<String, Digest>,
    /// The package managers' caches that it used, with where.
    pub caches: BTreeMap<String, String>,
    /// Whether it had the network.
    pub network: bool,
    /// The secrets that it may see.
    pub secrets: Vec<String>,
    /// The digest of its root.
    pub root: Digest,
    /// The packages of that with their versions.
    pub packages: BTreeMap<String, String>,
    /// Its toolchains: version and digest of the definition.
    pub toolchains: BTreeMap<String, (String, Digest)>,
    /// The steps before it that it sees, with their keys.
    pub steps: Vec<(String, Digest)>,
    /// The digest of the source files that it declares.
    pub inputs: Digest,
    /// What stands for each of those; none when they are too many.
    pub sources: Option<BTreeMap<String, String>>,
}

impl Made {
    /// What `step` is made of now; `before` are the ids of the steps that it sees.
    pub(super) fn of(
        step: &Step,
        plan: &Plan,
        before: &[&str],
        lowers: &Lowers<'_>,
        selection: &Selection,
        fingerprints: &Fingerprints,
    ) -> Self {
        let digests = |texts: &BTreeMap<String, String>| {
            texts.iter().map(|(name, text)| (name.clone(), Digest::of(text.as_bytes()))).collect()
        };
        let version = |name: &str| {
            let found = plan.toolchains.iter().find(|tool| tool.name == name);
            found.map(|tool| tool.version.clone()).unwrap_or_default()
        };
        Self {
            id: step.id.clone(),
            title: step.title.clone(),
            app: plan.name.clone(),
            command: step.argv.clone(),
            directory: step.directory.clone(),
            env: digests(&step.env),
            files: digests(&step.files),
            caches: step.caches.clone(),
            network: step.network,
            secrets: step.secrets.iter().map(|secret| secret.id.clone()).collect(),
            root: lowers.root,
            packages: packages(&plan.build_root),
            toolchains: (lowers.toolchains.iter())
                .map(|(name, digest)| (name.clone(), (version(name), *digest)))
                .collect(),
            steps: before.iter().map(|id| (*id).to_owned()).zip(lowers.steps.iter().copied()).collect(),
            inputs: selection.digest,
            sources: (selection.tree.len() <= FILES).then(|| selection.marks(fingerprints)).flatten(),
        }
    }

    /// Reads what is kept beside a result.
    pub fn read(entry: &Path) -> Option<Self> {
        history::unpacked(std::fs::File::open(entry.join(NAME)).ok()?)
    }

    /// Puts it beside an unfinished result.
    pub(super) fn write(&self, entry: &Path) {
        // Advice for people, and nothing that a build needs.
        let _ = history::packed(self).and_then(|bytes| std::fs::write(entry.join(NAME), bytes));
    }

    /// What has changed since `old`, in words; nothing when that is not known.
    pub fn changes_since(&self, old: &Self) -> Vec<String> {
        let mut changes = Vec::new();
        let steps = |made: &Self| made.steps.iter().cloned().collect::<BTreeMap<_, _>>();
        changes.extend(named(&steps(old), &steps(self)).iter().map(|id| format!("step {id} changed")));
        if self.root != old.root {
            changes.push(match listed(&versions(&old.packages, &self.packages)) {
                Some(packages) => format!("build packages changed: {packages}"),
                None => "the build root changed".to_owned(),
            });
        }
        for name in named(&old.toolchains, &self.toolchains) {
            let version = |made: &Self| made.toolchains.get(name).map(|(version, _)| version.clone());
            let versions = (version(old), version(self));
            changes.push(format!("toolchain {}", change(name, versions.0.as_deref(), versions.1.as_deref())));
        }
        let simple = [
            (self.command != old.command, "command changed"),
            (self.directory != old.directory, "working directory changed"),
            (self.network != old.network, "network access changed"),
            (self.secrets != old.secrets, "secrets that it may see changed"),
            (self.caches != old.caches, "caches of package managers changed"),
        ];
        changes.extend(simple.iter().filter(|(changed, _)| *changed).map(|(_, text)| (*text).to_owned()));
        let variables = named(&old.env, &self.env);
        changes.extend(variables.iter().map(|name| format!("environment variable {name} changed")));
        changes
            .extend(named(&old.files, &self.files).iter().map(|name| format!("the plan's {name} changed")));
        if self.inputs != old.inputs {
            changes.push(self.changed_sources(old).unwrap_or_else(|| "source files changed".to_owned()));
        }
        changes
    }

    fn changed_sources(&self, old: &Self) -> Option<String> {
        let (before, after) = (old.sources.as_ref()?, self.sources.as_ref()?);
        let words = |name: &&String| match (before.contains_key(*name), after.contains_key(*name)) {
            (true, true) => format!("{name} changed"),
            (true, false) => format!("{name} removed"),
            _ => format!("{name} added"),
        };
        listed(&named(before, after).iter().map(words).collect::<Vec<_>>())
    }
}

/// Why the result with `key` is not there, in words.
pub(super) fn reason(history: &History, made: &Made, key: &Digest) -> String {
    match history.last::<Made>("step", &made.id, key) {
        Last::Never => "never built here".to_owned(),
        Last::Same => "its result was removed".to_owned(),
        Last::Unknown => "what it was made of before is unknown".to_owned(),
        Last::Other(old) => {
            let changes = made.changes_since(&old);
            if changes.is_empty() { "rules of rpack changed".to_owned() } else { changes.join(", ") }
        }
    }
}

/// Makes a result that was found the last of its step.
pub(super) fn remember_found(history: &History, id: &str, key: &Digest, entry: &Path) {
    if !history.is_last("step", id, key)
        && let Some(made) = Made::read(entry)
    {
        history.remember("step", id, key, &made);
    }
}

fn packages(root: &Root) -> BTreeMap<String, String> {
    root.packages.iter().map(|package| (package.name.clone(), package.version.clone())).collect()
}

/// Names whose values are not the same in both.
pub(crate) fn named<'a, V: PartialEq>(
    old: &'a BTreeMap<String, V>,
    new: &'a BTreeMap<String, V>,
) -> Vec<&'a String> {
    let gone = old.keys().filter(|name| !new.contains_key(*name));
    let mut names: Vec<_> =
        new.iter().filter(|(name, value)| old.get(*name) != Some(value)).map(|(name, _)| name).collect();
    names.extend(gone);
    names.sort();
    names
}

/// The first few texts and the number of the others; none when there are none.
pub(crate) fn listed<T: AsRef<str>>(texts: &[T]) -> Option<String> {
    let first: Vec<&str> = texts.iter().take(NAMED).map(AsRef::as_ref).collect();
    match texts.len().saturating_sub(NAMED) {
        _ if first.is_empty() => None,
        0 => Some(first.join(", ")),
        more => Some(format!("{} and {more} more", first.join(", "))),
    }
}

fn versions(old: &BTreeMap<String, String>, new: &BTreeMap<String, String>) -> Vec<String> {
    let version = |list: &BTreeMap<String, String>, name: &str| list.get(name).cloned();
    let words = |name: &&String| change(name, version(old, name).as_deref(), version(new, name).as_deref());
    named(old, new).iter().map(words).collect()
}

fn change(name: &str, old: Option<&str>, new: Option<&str>) -> String {
    match (old, new) {
        (Some(old), Some(new)) if old == new => format!("{name} changed"),
        (Some(old), Some(new)) => format!("{name} changed ({old} → {new})"),
        (None, Some(new)) => format!("{name} {new} added"),
        (_, None) => format!("{name} removed"),
    }
}

/// The identity of an app on this machine, for its history.
pub fn app_identity(root: &Path, folder: &str, platform: &str) -> String {
    let value = (root.as_os_str().as_encoded_bytes(), folder, platform);
    let bytes = to_canonical_json(&value).expect("bytes and texts always serialise");
    Digest::of(&bytes).to_string()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::Made;
    use crate::oci::Digest;

    fn made() -> Made {
        let digest = Digest::of(b"a");
        let texts = |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), digest)).collect();
        Made {
            id: "node/install".into(),
            title: "npm ci".into(),
            app: "shop".into(),
            command: vec!["npm".into(), "ci".into()],
            directory: "/app".into(),
            env: texts(&["CI", "HOME"]),
            files: BTreeMap::new(),
            caches: BTreeMap::new(),
            network: true,
            secrets: Vec::new(),
            root: digest,
            packages: BTreeMap::from([("gcc".into(), "14".into()), ("make".into(), "4".into())]),
            toolchains: BTreeMap::from([("node".into(), ("24.1.0".into(), digest))]),
            steps: vec![("node/prepare".into(), digest)],
            inputs: digest,
            sources: Some(BTreeMap::from([("package.json".into(), "1".into())])),
        }
    }

    #[test]
    fn what_changed_is_named() {
        let old = made();
        let other = Digest::of(b"b");
        let mut new = made();
        assert_eq!(new.changes_since(&old), Vec::<String>::new());
        new.steps[0].1 = other;
        new.root = other;
        new.packages = BTreeMap::from([("gcc".into(), "15".into()), ("g++".into(), "15".into())]);
        new.toolchains = BTreeMap::from([("node".into(), ("24.2.0".into(), other))]);
        new.command.push("--verbose".into());
        new.network = false;
        new.env.insert("CI".into(), other);
        new.env.remove("HOME");
        new.inputs = other;
        let sources = ["a", "b", "c", "d"].map(|name| (name.to_owned(), "2".to_owned()));
        new.sources = Some(sources.into_iter().collect());
        assert_eq!(
            new.changes_since(&old),
            [
                "step node/prepare changed",
                "build packages changed: g++ 15 added, gcc changed (14 → 15), make removed",
                "toolchain node changed (24.1.0 → 24.2.0)",
                "command changed",
                "network access changed",
                "environment variable CI changed",
                "environment variable HOME changed",
                "a added, b added, c added and 2 more",
            ]
        );
        new.sources = None;
        assert_eq!(new.changes_since(&old).last().unwrap(), "source files changed");
    }
}
