//! The packages of a lock as a graph: from what the app asks for to the packages that it needs, each with the
//! condition under which it does.
//!
//! Readers of the formats make a [`Graph`]; flat locks, which state the condition of each package, have no edges.

use std::collections::{BTreeMap, VecDeque};

use super::super::marker::Marker;

/// How often the condition of one package may grow before it counts as always needed.
const GROWTHS: usize = 40;

/// Where a package comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Source {
    /// An index.
    #[default]
    Index,
    /// An address as pip writes it: `git+https://…@COMMIT`, `https://….whl`.
    Url(String),
    /// An archive of the source tree.
    File(String),
    /// A folder of the source tree that is a project; the root is `.`.
    Folder(String),
    /// A folder of the source tree that is not installed itself.
    Virtual(String),
}

/// One package.
#[derive(Clone, Debug, Default)]
pub(super) struct Package {
    /// Normalised.
    pub(super) name: String,
    /// Empty for some folders.
    pub(super) version: String,
    /// `sha256:…`
    pub(super) hashes: Vec<String>,
    pub(super) source: Source,
    pub(super) dependencies: Vec<Dependency>,
    /// What each of its extras needs besides.
    pub(super) extras: BTreeMap<String, Vec<Dependency>>,
}

/// What a package, or the app, asks for.
#[derive(Clone, Debug)]
pub(super) struct Dependency {
    /// Normalised.
    pub(super) name: String,
    /// The exact version, where the lock holds several of that name.
    pub(super) version: Option<String>,
    pub(super) extras: Vec<String>,
    pub(super) marker: Marker,
}

/// A package that is needed.
#[derive(Clone, Debug)]
pub(super) struct Needed {
    pub(super) package: Package,
    pub(super) extras: Vec<String>,
    pub(super) marker: Marker,
}

/// All packages of a lock.
#[derive(Clone, Debug, Default)]
pub(super) struct Graph {
    packages: Vec<Package>,
    by_name: BTreeMap<String, Vec<usize>>,
}

impl Graph {
    pub(super) fn new(packages: Vec<Package>) -> Self {
        let mut by_name: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (index, package) in packages.iter().enumerate() {
            by_name.entry(package.name.clone()).or_default().push(index);
        }
        Self { packages, by_name }
    }

    fn find(&self, wanted: &Dependency) -> impl Iterator<Item = usize> {
        let all = self.by_name.get(&wanted.name).map_or(&[][..], Vec::as_slice);
        all.iter()
            .copied()
            .filter(|index| wanted.version.as_ref().is_none_or(|one| *one == self.packages[*index].version))
    }

    /// What `roots` need, directly and indirectly, in the order of the lock.
    pub(super) fn needed(&self, roots: &[Dependency]) -> Vec<Needed> {
        let mut walk = Walk { graph: self, found: BTreeMap::new(), queue: VecDeque::new() };
        for root in roots {
            walk.reach(root, &Marker::TRUE);
        }
        walk.follow();
        let mut needed: Vec<Needed> = Vec::new();
        let mut last = None;
        for ((index, extra), (marker, _)) in walk.found {
            if last != Some(index) {
                let package = self.packages[index].clone();
                needed.push(Needed { package, extras: Vec::new(), marker });
            }
            if !extra.is_empty()
                && let Some(one) = needed.last_mut()
            {
                one.extras.push(extra.to_owned());
            }
            last = Some(index);
        }
        needed
    }
}

/// Where the walk from the roots has come.
struct Walk<'a> {
    graph: &'a Graph,
    /// The condition of each package and of each of its extras, and how often it grew. A package itself is the extra
    /// without a name, which sorts before its extras.
    found: BTreeMap<(usize, &'a str), (Marker, usize)>,
    queue: VecDeque<(usize, &'a str)>,
}

impl Walk<'_> {
    fn reach(&mut self, wanted: &Dependency, condition: &Marker) {
        let marker = condition.and(&wanted.marker);
        if !marker.is_possible() {
            return;
        }
        let graph = self.graph;
        for index in graph.find(wanted) {
            let known = &graph.packages[index].extras;
            let extras = wanted.extras.iter().filter_map(|extra| known.get_key_value(extra));
            for extra in std::iter::once("").chain(extras.map(|(name, _)| name.as_str())) {
                let (so_far, growths) = self.found.entry((index, extra)).or_insert((Marker::FALSE, 0));
                let joined = if *growths > GROWTHS { Marker::TRUE } else { so_far.or(&marker) };
                if joined != *so_far {
                    *so_far = joined;
                    *growths += 1;
                    self.queue.push_back((index, extra));
                }
            }
        }
    }

    fn follow(&mut self) {
        while let Some((index, extra)) = self.queue.pop_front() {
            let Some((condition, _)) = self.found.get(&(index, extra)) else { continue };
            let condition = condition.clone();
            let package = &self.graph.packages[index];
            let wanted = match extra {
                "" => &package.dependencies,
                extra => package.extras.get(extra).unwrap_or(&package.dependencies),
            };
            for dependency in wanted {
                self.reach(dependency, &condition);
            }
        }
    }
}
