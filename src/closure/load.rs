//! What the dynamic loader finds for every file of an image, and what it does not find.
//!
//! Every ELF file is taken as if it were started or opened by itself, and again as part of whatever needs it. A
//! library that is only found in company (its folder stands in the `DT_RPATH` of the program that loads it, or
//! something else has loaded it already) counts as found: what is missing is missing in every company.

use std::collections::{BTreeMap, BTreeSet};

use super::elf::{Dlopen, Elf, Priority};
use super::search::{Loader, Target, folders};
use super::view::View;

/// Files and what they ask for, by path.
pub(super) type Elves = BTreeMap<String, Elf>;

/// A file and the library, or program, that it needs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Need {
    /// The file, relative to `/`.
    pub(super) file: String,
    /// `libpq.so.5`, or a path.
    pub(super) name: String,
}

impl std::fmt::Display for Need {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} for /{}", self.name, self.file)
    }
}

/// A need that nothing in the image meets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Missing {
    /// Where the loader looked.
    pub(super) folders: Vec<String>,
    /// The files that led here: the program first, the one that needs it last.
    pub(super) chain: Vec<String>,
    /// Whether the file works without it, in part.
    pub(super) optional: bool,
}

/// What came of loading everything.
#[derive(Clone, Debug, Default)]
pub(super) struct Outcome {
    /// Which file meets a need.
    pub(super) met: BTreeMap<Need, String>,
    /// What nothing meets.
    pub(super) missing: BTreeMap<Need, Missing>,
}

/// Loads every file of `elves` in `view`.
pub(super) fn load(elves: &Elves, view: &View<'_>, library_path: &[String], target: Target<'_>) -> Outcome {
    let mut outcome = Outcome::default();
    for (path, elf) in elves {
        if elf.machine == target.machine && !is_elsewhere(path, elf, view) {
            Run { elves, view, library_path, target, loaded: Vec::new(), names: BTreeMap::new() }.program(
                path,
                elf,
                &mut outcome,
            );
        }
    }
    let Outcome { met, missing } = &mut outcome;
    missing.retain(|need, _| !met.contains_key(need));
    outcome
}

/// Systems whose loaders and libraries are not Debian's, as parts of names of prebuilt files.
const SYSTEMS: [&str; 9] =
    ["alpine", "android", "freebsd", "linuxmusl", "musl", "netbsd", "openbsd", "openharmony", "sunos"];

/// Whether a file is made for another system or C library than the image's: packages for npm bring prebuilt files
/// for all of them and load the one that fits.
fn is_elsewhere(path: &str, elf: &Elf, view: &View<'_>) -> bool {
    let is_musl = |name: &str| name.starts_with("libc.musl-") || name.starts_with("ld-musl-");
    let musl = elf.interpreter.as_deref().filter(|path| path.contains("/ld-musl-"));
    let loader = musl.or_else(|| elf.needed.iter().map(String::as_str).find(|name| is_musl(name)));
    if let Some(loader) = loader {
        let installed = [loader.to_owned(), format!("/lib/{loader}")];
        return !installed.iter().any(|path| view.file(path).is_some());
    }
    // Bionic and musl call their C library so, glibc never does.
    let bionic = elf.needed.iter().any(|name| name == "libc.so");
    bionic || path.split(['/', '-', '_', '.']).any(|part| SYSTEMS.contains(&part))
}

/// One program, or one library as if it were one, with what it loads.
struct Run<'a> {
    elves: &'a Elves,
    view: &'a View<'a>,
    library_path: &'a [String],
    target: Target<'a>,
    loaded: Vec<Loaded<'a>>,
    /// Names under which libraries are loaded already.
    names: BTreeMap<String, String>,
}

struct Loaded<'a> {
    path: String,
    /// The folder under which it was found.
    origin: String,
    elf: &'a Elf,
    /// What loaded it.
    parent: Option<usize>,
}

impl<'a> Run<'a> {
    fn program(&mut self, path: &str, elf: &'a Elf, outcome: &mut Outcome) {
        self.loaded.push(Loaded {
            path: path.to_owned(),
            origin: folder(path).to_owned(),
            elf,
            parent: None,
        });
        if let Some(interpreter) = &elf.interpreter {
            self.interpreter(path, interpreter, outcome);
        }
        let mut next = 0;
        while next < self.loaded.len() {
            let elf = self.loaded[next].elf;
            for name in &elf.needed {
                self.library(next, name, false, outcome);
            }
            for wish in &elf.dlopen {
                self.dlopen(next, wish, outcome);
            }
            next += 1;
        }
    }

    fn interpreter(&self, path: &str, interpreter: &str, outcome: &mut Outcome) {
        let need = Need { file: path.to_owned(), name: interpreter.to_owned() };
        if let Some(found) = self.view.file(interpreter) {
            outcome.met.insert(need, found);
        } else {
            let chain = vec![path.to_owned()];
            outcome.missing.insert(need, Missing { folders: Vec::new(), chain, optional: false });
        }
    }

    /// What a file opens while it runs: the first of the names that is there.
    fn dlopen(&mut self, by: usize, wish: &Dlopen, outcome: &mut Outcome) {
        if wish.priority == Priority::Suggested {
            return;
        }
        let there = wish.soname.iter().find(|name| self.find(by, name).is_ok());
        if let Some(name) = there.or(wish.soname.first()) {
            self.library(by, name, wish.priority != Priority::Required, outcome);
        }
    }

    fn library(&mut self, by: usize, name: &str, optional: bool, outcome: &mut Outcome) {
        let need = Need { file: self.loaded[by].path.clone(), name: name.to_owned() };
        if let Some(path) = self.names.get(name) {
            outcome.met.insert(need, path.clone());
            return;
        }
        match self.find(by, name) {
            Ok((path, origin, elf)) => {
                self.names.insert(name.to_owned(), path.clone());
                if let Some(soname) = &elf.soname {
                    self.names.entry(soname.clone()).or_insert_with(|| path.clone());
                }
                if !self.loaded.iter().any(|loaded| loaded.path == path) {
                    self.loaded.push(Loaded { path: path.clone(), origin, elf, parent: Some(by) });
                }
                outcome.met.insert(need, path);
            }
            Err(folders) => {
                let mut chain: Vec<String> =
                    self.chain(by).iter().map(|index| self.loaded[*index].path.clone()).collect();
                chain.reverse();
                let missing = Missing { folders, chain, optional };
                let known = outcome.missing.entry(need).or_insert_with(|| missing.clone());
                let optional = known.optional && optional;
                // The longest way says most.
                if missing.chain.len() > known.chain.len() {
                    *known = missing;
                }
                known.optional = optional;
            }
        }
    }

    /// The file that `name` stands for when `by` asks, the folder where it was found, and what it asks for.
    fn find(&self, by: usize, name: &str) -> Result<(String, String, &'a Elf), Vec<String>> {
        let fits = |candidate: &str| {
            let path = self.view.file(candidate)?;
            let elf = self.elves.get(&path).filter(|elf| elf.machine == self.target.machine)?;
            Some((path, folder(candidate.trim_start_matches('/')).to_owned(), elf))
        };
        if name.contains('/') {
            return fits(name).ok_or_else(Vec::new);
        }
        let chain: Vec<Loader<'_>> = self
            .chain(by)
            .iter()
            .map(|index| Loader { elf: self.loaded[*index].elf, origin: &self.loaded[*index].origin })
            .collect();
        let folders = folders(&chain, self.library_path, self.target);
        let found = folders.iter().find_map(|folder| fits(&format!("{folder}/{name}")));
        found.ok_or(folders)
    }

    /// The index of a file and of those that loaded it, the program last.
    fn chain(&self, index: usize) -> Vec<usize> {
        let mut chain = vec![index];
        let mut next = self.loaded[index].parent;
        while let Some(index) = next {
            chain.push(index);
            next = self.loaded[index].parent;
        }
        chain
    }
}

/// The last part of a path.
pub(super) fn base_name(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

/// The path of what holds a file.
pub(super) fn folder(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// The files that meet a need of another file, each with those that need it.
pub(super) fn users(met: &BTreeMap<Need, String>) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut users: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (need, path) in met {
        if need.file != *path {
            users.entry(path).or_default().insert(&need.file);
        }
    }
    users
}
