//! Root filesystems without a registry: composed from signed Debian packages, with toolchains from language
//! registries; and images from elsewhere as bases.
//!
//! In: a [`RootRequest`](crate::plan::catalogue::RootRequest) or a [`Root`](crate::plan::model::Root) of the plan, the
//! data of `bases/`, the machine's own mirrors. Out: exact packages ([`Catalogue`](crate::plan::catalogue::Catalogue)),
//! a [`Tree`](crate::store::Tree) ([`compose()`], [`toolchain()`]), or a directory for the sandbox ([`directory`]).
//!
//! Invariants: nothing is executed to compose; everything is verified by a digest that leads to a signature
//! (Debian) or that the plan holds (toolchains); equal roots give equal trees on any machine.

mod answers;
pub mod base;
mod cache;
mod catalogue;
mod compose;
pub mod debian;
pub mod endpoints;
mod error;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
pub mod image;
mod locked;
mod merge;
mod overlay;
mod packages;
mod registry;
mod snapshot;
#[cfg(test)]
pub(crate) mod tests;
mod toolchain;
mod trust_store;
mod unpack;
mod unzip;
mod xz;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

pub use base::multiarch;
pub use catalogue::extended;
pub use compose::{Purpose, compose, directory, key};
pub use endpoints::{Endpoint, Endpoints, Machine};
pub use error::Error;
pub use registry::Ecosystem;
pub use toolchain::toolchain;

use crate::definitions::Definitions;
use crate::http::Client;
use crate::observe::Observer;
use crate::oci::Digest;
use crate::oci::registry::{Credentials, Registry, Settings};
use crate::store::Store;
use crate::ui::Reporter;
use base::Base;
use debian::{Archive, Universe};

/// What this stage works with.
#[derive(Debug)]
pub struct Context {
    /// Where downloads, unpacked packages and answers are kept.
    pub store: Store,
    /// The way to the network.
    pub client: Client,
    /// Where progress is shown.
    pub reporter: Reporter,
    /// The data of bases.
    pub definitions: Definitions,
    /// Where registries are.
    pub endpoints: Endpoints,
    /// The clock, in seconds since 1970: signatures and metadata have an end.
    pub now: i64,
    /// The way to registries of images.
    pub registry: Registry,
    /// What paths of layouts and archives are relative to: the source tree.
    pub folder: PathBuf,
    observer: Observer,
    archives: Mutex<BTreeMap<(String, String), Arc<Archive>>>,
    universes: Mutex<BTreeMap<(String, String), Arc<Universe>>>,
    dates: Mutex<BTreeMap<Digest, i64>>,
}

impl Context {
    /// Puts the parts together.
    pub fn new(
        store: Store,
        client: Client,
        reporter: Reporter,
        definitions: Definitions,
        endpoints: Endpoints,
        now: i64,
    ) -> Self {
        let registry = Registry::new(client.clone(), Settings::default(), Credentials::default());
        Self {
            store,
            client,
            reporter,
            definitions,
            endpoints,
            now,
            registry,
            folder: PathBuf::new(),
            observer: Observer::default(),
            archives: Mutex::default(),
            universes: Mutex::default(),
            dates: Mutex::default(),
        }
    }

    /// The same with images as bases: the source tree, what is configured about registries, who this machine is to
    /// them.
    #[must_use]
    pub fn with_images(mut self, folder: PathBuf, settings: Settings, credentials: Credentials) -> Self {
        self.folder = folder;
        self.registry = Registry::new(self.client.clone(), settings, credentials);
        self
    }

    /// The same with somebody who takes note of what is asked and read.
    #[must_use]
    pub fn observed_by(mut self, observer: Observer) -> Self {
        self.observer = observer;
        self
    }

    /// Takes note of a file that is about to be read, wherever a later build is started.
    fn observed(&self, path: &std::path::Path) {
        self.observer.file(&std::path::absolute(path).unwrap_or_else(|_| path.to_owned()));
    }

    /// Takes note that an answer of a registry was used that was fetched at `time`. Without a network none is asked
    /// again, however old it is.
    fn used(&self, time: i64) {
        if !self.client.is_offline() {
            self.observer.until(time.saturating_add(cache::FRESH));
        }
    }

    /// Takes note of when archives held packages (seconds since 1970, by digest), so that packages that are gone
    /// can be asked of a snapshot.
    pub fn remember_dates(&self, dates: BTreeMap<Digest, i64>) {
        self.dates.lock().unwrap_or_else(std::sync::PoisonError::into_inner).extend(dates);
    }

    fn date(&self, digest: &Digest) -> Option<i64> {
        self.dates.lock().unwrap_or_else(std::sync::PoisonError::into_inner).get(digest).copied()
    }

    /// The address of an archive of `base`, without a slash at the end.
    fn archive(&self, base: &Base, name: &str) -> Result<String, Error> {
        let archive = base.archives.get(name).ok_or_else(|| Error::Definition {
            file: format!("bases/{}.toml", base.id),
            reason: format!("there is no archive `{name}`"),
        })?;
        let url = match (&archive.url, &archive.ecosystem) {
            (Some(url), _) => url.clone(),
            (None, Some(ecosystem)) => self.endpoints.find(ecosystem)?.url,
            (None, None) => return Err(Error::Endpoint { ecosystem: name.to_owned() }),
        };
        Ok(url.trim_end_matches('/').to_owned())
    }

    /// The metadata of a base's suites, looked for once.
    fn suites(&self, base: &Base, architecture: &str) -> Result<Arc<Archive>, Error> {
        if !base.architectures.iter().any(|offered| offered == architecture) {
            return Err(Error::Architecture {
                base: base.id.clone(),
                architecture: architecture.to_owned(),
                available: base.architectures.clone(),
            });
        }
        let mut archives = self.archives.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let key = (base.id.clone(), architecture.to_owned());
        if let Some(archive) = archives.get(&key) {
            return Ok(archive.clone());
        }
        let archive = Arc::new(debian::prepare(self, base, architecture)?);
        archives.insert(key, archive.clone());
        Ok(archive)
    }

    /// The packages of a base, read once.
    fn universe(&self, base: &Base, architecture: &str) -> Result<Arc<Universe>, Error> {
        let archive = self.suites(base, architecture)?;
        let mut universes = self.universes.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let key = (base.id.clone(), architecture.to_owned());
        if let Some(universe) = universes.get(&key) {
            return Ok(universe.clone());
        }
        let universe = Arc::new(debian::load(&archive, base, architecture)?);
        universes.insert(key, universe.clone());
        Ok(universe)
    }
}
