//! The packages of a root as unpacked trees: fetched and, meanwhile, unpacked, several at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, OnceLock, PoisonError, mpsc};
use std::thread;

use super::base::Base;
use super::debian::deb::{self, Deb};
use super::unpack::Failure;
use super::{Context, Error, Purpose, debian, snapshot};
use crate::http::{self, Job, Protection};
use crate::plan::model::{Package, Root};
use crate::store;

/// Fetches what the store lacks and unpacks it; in the order of the root's packages.
pub(super) fn open(context: &Context, base: &Base, root: &Root, purpose: Purpose) -> Result<Vec<Deb>, Error> {
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
    let slots: Vec<OnceLock<Result<Deb, Failure>>> = jobs.iter().map(|_| OnceLock::new()).collect();
    let (sender, arrived) = mpsc::channel();
    let arrived = Mutex::new(arrived);
    // Unpacking takes processors, fetching takes the network: each package is unpacked as soon as it is here.
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(2, |n| n.get().min(8)) {
            scope.spawn(|| {
                while let Some(index) = next(&arrived) {
                    let digest = &root.packages[index].sha256;
                    let path = context.store.blob_path(digest);
                    let _ = slots[index].set(deb::open(&path, digest, &context.store));
                }
            });
        }
        let sender = sender;
        let label = match purpose {
            Purpose::Build => format!("{} packages for the steps", base.id),
            Purpose::Runtime => format!("{} packages for the image", base.id),
        };
        fetch(context, base, root, (&label, &mut jobs), &|index| {
            // Fails only when every receiver is gone, and they stay until this sender is.
            let _ = sender.send(index);
        })
    })?;
    let mut opened = Vec::with_capacity(slots.len());
    for (slot, package) in slots.into_iter().zip(&root.packages) {
        match slot.into_inner().expect("every slot was filled by a thread") {
            Ok(deb) => opened.push(deb),
            Err(Failure::Store(error)) => return Err(error.into()),
            Err(Failure::Archive(reason)) => {
                return Err(debian::Error::Deb { package: describe(package), reason }.into());
            }
        }
    }
    Ok(opened)
}

/// Fetches the jobs, which are those of the root's packages, and calls `arrived` once with the index of each as soon
/// as it is in the store. A locked package that its archive has dropped comes from a snapshot.
fn fetch(
    context: &Context,
    base: &Base,
    root: &Root,
    (label, jobs): (&str, &mut [Job]),
    arrived: &(dyn Fn(usize) + Sync),
) -> Result<(), Error> {
    let mut client = context.client.clone();
    let mut further: BTreeMap<usize, std::vec::IntoIter<String>> = BTreeMap::new();
    let told = Mutex::new(BTreeSet::new());
    // Each attempt names again what the store had before it.
    let once = |index| {
        if told.lock().unwrap_or_else(PoisonError::into_inner).insert(index) {
            arrived(index);
        }
    };
    loop {
        let (index, error) = match client.download_each(label, jobs, &context.store, &context.reporter, &once)
        {
            Ok(()) => return Ok(()),
            Err(failure) => failure,
        };
        let package = &root.packages[index];
        let is_locked = context.date(&package.sha256).is_some();
        if !(is_locked && error.is_missing()) {
            return Err(failed(context, base, package, error));
        }
        let addresses =
            further.entry(index).or_insert_with(|| snapshot::addresses(context, base, package).into_iter());
        jobs[index].url = addresses.next().ok_or_else(|| snapshot::vanished(context, base, package))?;
        // Snapshots are slow to answer, and are asked for little.
        client = context.client.patient();
    }
}

/// The next package to unpack; none when all have been given out.
fn next(arrived: &Mutex<mpsc::Receiver<usize>>) -> Option<usize> {
    arrived.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
}

/// What a failed download of `package` means.
fn failed(context: &Context, base: &Base, package: &Package, error: http::Error) -> Error {
    match error {
        http::Error::Status { ref url, .. } if error.is_missing() => {
            // That the mirror does not answer now says nothing more about the package.
            let newer = debian::has_newer(context, base, &package.archive).unwrap_or(false);
            debian::Error::Vanished { package: describe(package), url: url.clone(), newer }.into()
        }
        error => debian::tampered(error, || format!("package `{}`", describe(package))),
    }
}

fn describe(package: &Package) -> String {
    format!("{} {}", package.name, package.version)
}
