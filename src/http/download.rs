//! Many files at once.

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::{Client, Error, Protection};
use crate::oci::Digest;
use crate::store::Store;
use crate::ui::Reporter;

/// A file to fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Where it is.
    pub url: String,
    /// What protects it.
    pub protection: Protection,
    /// Digest of its bytes.
    pub digest: Digest,
    /// Number of its bytes.
    pub size: u64,
}

impl Client {
    /// Fetches all files that the store lacks, several at once, with one progress display called `label`.
    /// Returns their paths in the order of `jobs`.
    ///
    /// # Errors
    /// The first failure in the order of `jobs`, with its index; files that were already complete stay.
    pub fn download_all(
        &self,
        label: &str,
        jobs: &[Job],
        store: &Store,
        reporter: &Reporter,
    ) -> Result<Vec<PathBuf>, (usize, Error)> {
        self.download_each(label, jobs, store, reporter, &|_| {})?;
        Ok(jobs.iter().map(|job| store.blob_path(&job.digest)).collect())
    }

    /// As [`Client::download_all`], and calls `arrived` with the index of each file as soon as the store has it:
    /// first for those that it had before. Of both kinds, the largest come first.
    ///
    /// # Errors
    /// As [`Client::download_all`].
    pub fn download_each(
        &self,
        label: &str,
        jobs: &[Job],
        store: &Store,
        reporter: &Reporter,
        arrived: &(dyn Fn(usize) + Sync),
    ) -> Result<(), (usize, Error)> {
        // What takes longest comes first, so that nothing long is left when all else is done.
        let mut order: Vec<usize> = (0..jobs.len()).collect();
        order.sort_by_key(|i| std::cmp::Reverse(jobs[*i].size));
        let (present, missing): (Vec<usize>, Vec<usize>) =
            order.into_iter().partition(|i| store.blob(&jobs[*i].digest).is_some());
        if !present.is_empty() {
            reporter.found(label, present.iter().map(|i| jobs[*i].size).sum());
        }
        present.into_iter().for_each(arrived);
        if missing.is_empty() {
            return Ok(());
        }
        self.download(label, jobs, &missing, (store, reporter), arrived)
    }

    fn download(
        &self,
        label: &str,
        jobs: &[Job],
        missing: &[usize],
        (store, reporter): (&Store, &Reporter),
        arrived: &(dyn Fn(usize) + Sync),
    ) -> Result<(), (usize, Error)> {
        let progress = reporter.transfer(label, missing.iter().map(|i| jobs[*i].size).sum());
        let next = AtomicUsize::new(0);
        let failure: Mutex<Option<(usize, Error)>> = Mutex::new(None);
        let work = || {
            while let Some(&index) = missing.get(next.fetch_add(1, Ordering::Relaxed)) {
                let job = &jobs[index];
                let expected = (&job.digest, job.size);
                let result = self.fetch_to_blob(&job.url, job.protection, expected, store, &progress);
                let Err(error) = result else {
                    arrived(index);
                    continue;
                };
                // No new transfer starts; those that run are let finish, the next attempt finds them.
                next.store(missing.len(), Ordering::Relaxed);
                let mut failure = failure.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                if failure.as_ref().is_none_or(|(earlier, _)| index < *earlier) {
                    *failure = Some((index, error));
                }
            }
        };
        thread::scope(|scope| {
            for _ in 0..self.options.parallel.clamp(1, missing.len()) {
                scope.spawn(work);
            }
        });
        progress.finish();
        failure.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner).map_or(Ok(()), Err)
    }
}
