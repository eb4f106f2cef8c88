//! The packages of a root as unpacked trees: fetched and, meanwhile, unpacked, several at once.

use std::sync::{Mutex, OnceLock, mpsc};
use std::thread;

use super::base::Base;
use super::debian::deb::{self, Deb};
use super::unpack::Failure;
use super::{Context, Error, debian};
use crate::http::{self, Job, Protection};
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
        let label = format!("{} packages", base.id);
        context.client.download_each(&label, &jobs, &context.store, &context.reporter, &|index| {
            // Fails only when every receiver is gone, and they stay until this sender is.
            let _ = sender.send(index);
        })
    })
    .map_err(|(index, error)| failed(context, base, &root.packages[index], error))?;
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

/// The next package to unpack; none when all have been given out.
fn next(arrived: &Mutex<mpsc::Receiver<usize>>) -> Option<usize> {
    arrived.lock().unwrap_or_else(std::sync::PoisonError::into_inner).recv().ok()
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
