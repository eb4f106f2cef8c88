//! What a lock asks: roots of exactly stated packages, roots that keep what is locked, and why a package is there.
//!
//! A locked package that its suite no longer offers is kept by a record made from the lock: with the needs that the
//! lock states, and what the suite's present version provides and conflicts with.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Context;
use super::base::Base;
use super::catalogue::{drawn_in, layers, refused, resolve_in, root};
use super::debian::{Index, Record, Refusal, Suite, Universe, compact, relations};
use crate::plan::catalogue::{CatalogueError, RootRequest};
use crate::plan::lock::{Detail, Package as Kept, Resolver};
use crate::plan::model::{Package, Root};

impl Resolver for Context {
    fn names(&self, request: &RootRequest) -> Result<BTreeMap<String, String>, CatalogueError> {
        let base = Base::load(&self.definitions, &request.base)?;
        let layers = layers(&base, &request.packages)?;
        Ok(layers.into_iter().map(|(name, layer)| (name.to_owned(), layer.to_owned())).collect())
    }

    fn assemble(&self, request: &RootRequest, packages: &[&Kept]) -> Result<Root, CatalogueError> {
        let base = Base::load(&self.definitions, &request.base)?;
        let layers = layers(&base, &request.packages)?;
        let package = |kept: &&Kept| Package {
            name: kept.name.clone(),
            version: kept.version.clone(),
            architecture: kept.architecture.clone(),
            archive: kept.archive.clone(),
            path: kept.path.clone(),
            size: kept.size,
            sha256: kept.sha256,
            layer: layers.get(kept.name.as_str()).copied().unwrap_or(drawn_in(request)).to_owned(),
        };
        let mut packages: Vec<Package> = packages.iter().map(package).collect();
        packages.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(root(&base, request, packages))
    }

    fn root_keeping(&self, request: &RootRequest, kept: &[&Kept]) -> Result<Root, CatalogueError> {
        let base = Base::load(&self.definitions, &request.base)?;
        let universe = self.universe(&base, &request.architecture)?;
        let mut universe = pinned(&universe, kept);
        loop {
            match resolve_in(self, &universe, &base, request)? {
                Ok(root) => return Ok(root),
                Err(refusal) if universe.pins.is_empty() => return Err(refused(&base.id, refusal).into()),
                Err(refusal) => release(&mut universe.pins, &refusal),
            }
        }
    }

    fn details(&self, root: &Root) -> Result<BTreeMap<String, Detail>, CatalogueError> {
        let base = Base::load(&self.definitions, &root.base)?;
        let universe = self.universe(&base, &root.architecture)?;
        let found: Vec<(&Suite, Record<'_>)> =
            root.packages.iter().filter_map(|package| record(&universe, package)).collect();
        // Who is meant by a name: the package called so, and all that provide it.
        let mut meant: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (_, record) in &found {
            let provided = relations(record.provides()).unwrap_or_default();
            for name in provided.iter().flatten().map(|relation| relation.name).chain([record.name()]) {
                meant.entry(name).or_default().insert(record.name());
            }
        }
        let detail = |(suite, record): &(&Suite, Record<'_>)| {
            let clauses = record.depends().into_iter().filter_map(|field| relations(field).ok()).flatten();
            let needs = clauses.flatten().filter_map(|relation| meant.get(relation.name)).flatten();
            let needs = needs.filter(|name| **name != record.name()).map(|name| (*name).to_owned()).collect();
            (record.name().to_owned(), Detail { suite: suite.name.clone(), date: suite.date, needs })
        };
        Ok(found.iter().map(detail).collect())
    }
}

/// The suite and the record that `package` was chosen from.
fn record<'a>(universe: &'a Universe, package: &'a Package) -> Option<(&'a Suite, Record<'a>)> {
    let digest = package.sha256.hex();
    universe.suites.iter().find_map(|suite| {
        let mut records = suite.index.named(&package.name);
        Some((&**suite, records.find(|record| record.sha256() == digest)?))
    })
}

/// `universe` with each kept package pinned to what is locked.
fn pinned(universe: &Universe, kept: &[&Kept]) -> Universe {
    let mut suites = universe.suites.clone();
    let mut pins = BTreeMap::new();
    let mut gone: BTreeMap<&str, String> = BTreeMap::new();
    for kept in kept {
        let digest = kept.sha256.hex();
        let mut offered = universe.suites.iter().flat_map(|suite| suite.index.named(&kept.name));
        if !offered.any(|record| record.sha256() == digest) {
            gone.entry(&kept.archive).or_default().push_str(&stanza(universe, kept));
        }
        pins.insert(kept.name.clone(), digest);
    }
    for (archive, stanzas) in gone {
        let mut table = Vec::new();
        // Both ends are memory, and a stanza that lacks a field is a package that is not offered.
        let _ = compact(stanzas.as_bytes(), &mut table);
        suites.push(Arc::new(Suite {
            name: String::new(),
            date: 0,
            archive: archive.to_owned(),
            priority: None,
            only: Vec::new(),
            index: Index::open(String::from_utf8_lossy(&table).into_owned()),
        }));
    }
    let (architecture, unneeded) = (universe.architecture.clone(), universe.unneeded.clone());
    Universe { architecture, suites, unneeded, pins }
}

/// A locked package as an entry of an index.
fn stanza(universe: &Universe, kept: &Kept) -> String {
    let present = universe.suites.iter().flat_map(|suite| suite.index.named(&kept.name)).next();
    let provides = present.map_or("", |record| record.provides());
    let conflicts = present.map_or("", |record| record.conflicts());
    format!(
        "Package: {}\nVersion: {}\nArchitecture: {}\nDepends: {}\nProvides: {provides}\nConflicts: {conflicts}\n\
         Filename: {}\nSize: {}\nSHA256: {}\n\n",
        kept.name,
        kept.version,
        kept.architecture,
        kept.needs.join(", "),
        kept.path,
        kept.size,
        kept.sha256.hex()
    )
}

/// Lets go of the packages that stand in the way, or of all when none of them is held.
fn release(pins: &mut BTreeMap<String, String>, refusal: &Refusal) {
    let texts: Vec<&str> = match refusal {
        Refusal::Unknown { name, chain, .. } => {
            std::iter::once(name.as_str()).chain(chain.iter().map(String::as_str)).collect()
        }
        Refusal::Unsatisfied { relation, chain, .. } => {
            relation.split('|').chain(chain.iter().map(String::as_str)).collect()
        }
        Refusal::Conflict { one, other, .. } => one.iter().chain(other).map(String::as_str).collect(),
        Refusal::Malformed { package, .. } => vec![package],
    };
    let names = texts.iter().filter_map(|text| text.split_whitespace().next());
    let released = names.filter(|name| pins.remove(*name).is_some()).count();
    if released == 0 {
        pins.clear();
    }
}
