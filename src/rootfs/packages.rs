//! The packages of a root as unpacked trees: fetched and unpacked in parallel.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::base::Base;
use super::debian::deb::{self, Deb};
use super::unpack::Failure;
use super::{Context, Error, debian, snapshot};
use crate::http::{Job, Protection};
use crate::plan::model::{Package, Root};
use crate::store;

/// Fetches what the store lacks and unpacks it; in the order of the root's packages.
pub(super) fn open(context: &Context, base: &Base, root: &Root) -> Result<Vec<Deb>, Error> {
    let mut jobs = Vec::new();
    for package in &root.packages {
        let archive = context.archive(base, &package.archive)?;
        if !store::tree::is_clean(&package.path) {
            let reason = format!("its path `{}` leads out of the archive", package.path);
            return Err(debian::Error::Deb { package: describe(package), reason }.into());
        }
        jobs.push(Job {
            url: format!("{archive}/{}", package.path),
            // The digest leads to the archive's signature.
            protection: Protection::Signature,
            digest: package.sha256,
            size: package.size,
        });
    }
    let paths = fetch(context, base, root, &mut jobs)?;
    let next = AtomicUsize::new(0);
    let slots: Vec<Mutex<Option<Result<Deb, Failure>>>> = paths.iter().map(|_| Mutex::new(None)).collect();
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(2, |n| n.get().min(8)) {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(package) = root.packages.get(index) else { break };
                    let result = deb::open(&paths[index], &package.sha256, &context.store);
                    *slots[index].lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(result);
                }
            });
        }
    });
    let mut opened = Vec::with_capacity(slots.len());
    for (slot, package) in slots.into_iter().zip(&root.packages) {
        let result = slot.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        match result.expect("every slot was filled by a thread") {
            Ok(deb) => opened.push(deb),
            Err(Failure::Store(error)) => return Err(error.into()),
            Err(Failure::Archive(reason)) => {
                return Err(debian::Error::Deb { package: describe(package), reason }.into());
            }
        }
    }
    Ok(opened)
}

/// Fetches the jobs, which are those of the root's packages; what an archive has dropped comes from a snapshot.
fn fetch(context: &Context, base: &Base, root: &Root, jobs: &mut [Job]) -> Result<Vec<PathBuf>, Error> {
    let label = format!("{} packages", base.id);
    let mut client = context.client.clone();
    let mut further: BTreeMap<usize, std::vec::IntoIter<String>> = BTreeMap::new();
    loop {
        let result = client.download_all(&label, jobs, &context.store, &context.reporter);
        let (index, error) = match result {
            Ok(paths) => return Ok(paths),
            Err(failure) => failure,
        };
        let package = &root.packages[index];
        let is_dropped = error.is_missing() && context.date(&package.sha256).is_some();
        if !is_dropped {
            return Err(debian::tampered(error, || format!("package `{}`", describe(package))));
        }
        let addresses =
            further.entry(index).or_insert_with(|| snapshot::addresses(context, base, package).into_iter());
        jobs[index].url = addresses.next().ok_or_else(|| snapshot::vanished(context, base, package))?;
        // Snapshots are slow to answer, and are asked for little.
        client = context.client.patient();
    }
}

fn describe(package: &Package) -> String {
    format!("{} {}", package.name, package.version)
}
