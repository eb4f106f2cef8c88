//! What rpack selects beside what apt selects, over the real archives. The package sets and each difference with its
//! explanation stand in `apt.toml`: a difference that is not listed fails, and so does one that is gone.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use serde::Deserialize;

use super::context;
use crate::rootfs::Context;
use crate::rootfs::base::Base;
use crate::rootfs::debian::{self, Universe};
use crate::ui::{Progress, Reporter};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Comparison {
    /// By base: each a list of names.
    sets: std::collections::BTreeMap<String, Vec<String>>,
    #[serde(default, rename = "difference")]
    differences: Vec<Difference>,
}

/// A known difference.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Difference {
    base: String,
    set: String,
    /// `+NAME` is what only rpack selects, `-NAME` what only apt selects.
    found: String,
    /// Why it is right, or does no harm.
    #[serde(default, skip_serializing)]
    why: String,
}

/// An apt that knows nothing but the suites of a base, as rpack weighs them, and of no installed package.
struct Apt {
    folder: tempfile::TempDir,
}

impl Apt {
    fn new(context: &Context, base: &Base) -> Self {
        let apt = Self { folder: tempfile::tempdir().unwrap() };
        let root = apt.folder.path();
        for folder in ["etc/trusted.gpg.d", "etc/preferences.d", "lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        fs::write(root.join("status"), "").unwrap();
        for key in context.definitions.below("bases/keys", ".asc") {
            let name = Path::new(&key.path).file_name().unwrap();
            fs::write(root.join("etc/trusted.gpg.d").join(name), &key.bytes).unwrap();
        }
        let (mut sources, mut preferences) = (String::new(), String::new());
        for suite in &base.suites {
            let archive = context.archive(base, &suite.archive).unwrap();
            let _ = writeln!(sources, "deb {archive} {} {}", suite.name, suite.component);
            let mut pin = |packages: &str, priority: u32| {
                let name = &suite.name;
                let _ = write!(
                    preferences,
                    "Package: {packages}\nPin: release n={name}\nPin-Priority: {priority}\n\n"
                );
            };
            if let Some(priority) = suite.priority {
                pin("*", priority);
            }
            if !suite.only.is_empty() {
                pin(&suite.only.join(" "), 500);
            }
        }
        fs::write(root.join("etc/sources.list"), sources).unwrap();
        fs::write(root.join("etc/preferences"), preferences).unwrap();
        let root = root.display();
        let configuration = format!(
            "Dir::Etc \"{root}/etc\";\nDir::Etc::sourcelist \"{root}/etc/sources.list\";\n\
             Dir::Etc::sourceparts \"/nowhere\";\nDir::Etc::preferences \"{root}/etc/preferences\";\n\
             Dir::Etc::preferencesparts \"{root}/etc/preferences.d\";\nDir::Etc::parts \"/nowhere\";\n\
             Dir::Etc::trusted \"/nowhere\";\nDir::Etc::trustedparts \"{root}/etc/trusted.gpg.d\";\n\
             Dir::State \"{root}\";\nDir::State::lists \"{root}/lists\";\nDir::State::status \"{root}/status\";\n\
             Dir::Cache \"{root}/cache\";\nAPT::Architecture \"amd64\";\nAPT::Architectures {{ \"amd64\"; }};\n\
             APT::Solver \"internal\";\nAPT::Sandbox::User \"root\";\nDebug::NoLocking \"1\";\n\
             Acquire::Languages \"none\";\nAPT::Default-Release \"\";\n",
        );
        fs::write(apt.configuration(), configuration).unwrap();
        let update = apt.command(&["update"]).output().unwrap();
        assert!(update.status.success(), "{}", String::from_utf8_lossy(&update.stderr));
        apt
    }

    fn configuration(&self) -> PathBuf {
        self.folder.path().join("apt.conf")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("apt-get");
        command.env("APT_CONFIG", self.configuration()).env("LC_ALL", "C").args(arguments);
        command
    }

    /// `NAME VERSION` of all packages that apt would install, or nothing when it refuses. That it lists what it
    /// would fetch, and does not order what it would install, takes a third of the time.
    fn select(&self, set: &str) -> Option<BTreeSet<String>> {
        let names: Vec<&str> = set.split(' ').collect();
        let arguments = [&["-qq", "--yes", "--print-uris", "install", "--no-install-recommends"], &names[..]];
        let output = self.command(&arguments.concat()).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        // 'ADDRESS' NAME_VERSION_ARCHITECTURE.deb SIZE DIGEST
        let package = |line: &str| {
            let mut parts = line.split(' ').nth(1).unwrap_or_default().split('_');
            let (Some(name), Some(version)) = (parts.next(), parts.next()) else { panic!("{line}") };
            format!("{name} {}", version.replace("%3a", ":"))
        };
        output.status.success().then(|| text.lines().map(package).collect())
    }

    /// As [`Apt::select`] for each of `sets`: a second's work for one processor each.
    fn select_each(&self, sets: &[String]) -> Vec<Option<BTreeSet<String>>> {
        let slots: Vec<OnceLock<_>> = sets.iter().map(|_| OnceLock::new()).collect();
        let next = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..thread::available_parallelism().map_or(1, NonZero::get) {
                scope.spawn(|| {
                    while let Some(number) = Some(next.fetch_add(1, Relaxed)).filter(|n| *n < sets.len()) {
                        slots[number].get_or_init(|| self.select(&sets[number]));
                    }
                });
            }
        });
        slots.into_iter().map(|slot| slot.into_inner().unwrap()).collect()
    }
}

fn select(universe: &Universe, names: &[&str]) -> Option<BTreeSet<String>> {
    let chosen = universe.select(&[], names).ok()?;
    let shown = |choice: debian::Choice<'_>| format!("{} {}", choice.record.name(), choice.record.version());
    Some(chosen.into_values().map(shown).collect())
}

/// What differs, as the data file has it.
fn compare(apt: Option<BTreeSet<String>>, rpack: Option<BTreeSet<String>>) -> String {
    match (apt, rpack) {
        (Some(apt), Some(rpack)) => {
            let more = rpack.difference(&apt).map(|package| format!("+{package}"));
            let less = apt.difference(&rpack).map(|package| format!("-{package}"));
            // Versions move on; who is chosen stays.
            let mut names: Vec<String> =
                more.chain(less).map(|text| text.split(' ').next().unwrap_or_default().to_owned()).collect();
            names.dedup();
            names.join(" ")
        }
        (None, Some(_)) => "only apt refuses".to_owned(),
        (Some(_), None) => "only rpack refuses".to_owned(),
        (None, None) => "both refuse".to_owned(),
    }
}

#[test]
#[ignore = "network: needs apt-get, run by .ci/run"]
fn network_selection_agrees_with_apt() {
    let data: Comparison = toml::from_str(include_str!("apt.toml")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let context = context(folder.path());
    let reporter = Reporter::new(Progress::Plain);
    let mut found = Vec::new();
    let (mut count, mut slowest) = (0, (Duration::ZERO, String::new()));
    for (id, sets) in &data.sets {
        let base = Base::load(&context.definitions, id).unwrap();
        let apt = Apt::new(&context, &base);
        let mut universe =
            debian::load(&debian::prepare(&context, &base, "amd64").unwrap(), &base, "amd64").unwrap();
        // apt knows no dependency that can be left out.
        universe.unneeded.clear();
        // The table of provided names is made once.
        select(&universe, &["libc6"]);
        for (set, apt) in sets.iter().zip(apt.select_each(sets)) {
            let names: Vec<&str> = set.split(' ').collect();
            // The machine may be busy: the fastest of some runs is what the work takes.
            let timed = |_| {
                let start = Instant::now();
                select(&universe, &names).map(|rpack| (start.elapsed(), rpack))
            };
            let rpack = (0..3).filter_map(timed).min();
            let took = rpack.as_ref().map_or(Duration::ZERO, |(took, _)| *took);
            if took > slowest.0 {
                slowest = (took, format!("{id}: {set}"));
            }
            let rpack = rpack.map(|(_, rpack)| rpack);
            count += 1;
            let difference = compare(apt, rpack);
            if !difference.is_empty() {
                let why = String::new();
                found.push(Difference { base: id.clone(), set: set.clone(), found: difference, why });
            }
        }
    }
    reporter.info(&format!(
        "{count} sets, {} differ, slowest selection {:.1} ms ({})",
        found.len(),
        slowest.0.as_secs_f64() * 1e3,
        slowest.1
    ));
    let mut known: Vec<Difference> = data.differences;
    assert!(known.iter().all(|difference| !difference.why.is_empty()), "each difference has an explanation");
    for difference in &mut known {
        difference.why.clear();
    }
    known.sort();
    found.sort();
    assert_eq!(found, known, "left: found now, right: listed in apt.toml");
    assert!(count >= 40, "{count}");
}
