//! `--cache-from` and `--cache-to`: results that go from one machine to another.

use std::sync::Arc;

use clap::Args;

use super::{Failure, boxed};
use crate::cache::transfer::{self, Damaged, Place};
use crate::config::Config;
use crate::oci::registry::Registry;
use crate::pipeline::{self, App, Error, Session};
use crate::plan::Plan;
use crate::ui::{Diagnose as _, size};

/// Where results come from besides the store, and go to.
#[derive(Args, Debug)]
pub(super) struct CacheArguments {
    /// Take results from there where the store lacks them, a folder or registry:NAME:TAG; what is damaged is not used
    #[arg(long, value_name = "PLACE")]
    cache_from: Vec<String>,
    /// Write what this build used there, for another machine, a folder or registry:NAME:TAG, and nothing else
    #[arg(long, value_name = "PLACE")]
    cache_to: Option<String>,
}

/// Where to write to.
#[derive(Debug)]
pub(super) struct Caches {
    to: Option<Place>,
    registry: Arc<Registry>,
    damaged: Damaged,
}

impl CacheArguments {
    /// Lets the store look into the caches, and sees whether one can be written.
    pub(super) fn open(&self, app: &App, session: &Session) -> Result<Caches, Error> {
        let from =
            self.cache_from.iter().map(|text| place("--cache-from", text)).collect::<Result<Vec<_>, _>>()?;
        let to = self.cache_to.as_deref().map(|text| place("--cache-to", text)).transpose()?;
        if let Some(place) = &to {
            transfer::prepare(place).map_err(boxed)?;
        }
        let is_remote = |place: &Place| matches!(place, Place::Registry(_));
        // What is configured about registries stands beside the source, and is needed for them alone.
        let config = if from.iter().chain(&to).any(is_remote) {
            pipeline::config(app, session)?
        } else {
            Config::default()
        };
        let registry = Arc::new(pipeline::registry(session, &config));
        let damaged = transfer::import(&from, &registry, &session.store, &session.reporter);
        Ok(Caches { to, registry, damaged })
    }
}

impl Caches {
    /// Whether this build writes to a cache.
    pub(super) fn is_written(&self) -> bool {
        self.to.is_some()
    }

    /// Writes what the build of `plans` used. The image is there already, so that a failure is a warning.
    pub(super) fn write(&self, plans: &[Plan], session: &Session) {
        let Some(place) = &self.to else { return };
        let task = session.reporter.task(&format!("cache to {place}"));
        match transfer::export(
            place,
            plans,
            &self.damaged,
            &self.registry,
            (&session.store, &session.reporter),
        ) {
            Ok(done) => task.done(&format!("{}, {} of it new", size(done.size), size(done.written))),
            Err(error) => {
                let source =
                    std::error::Error::source(&error).map_or_else(String::new, |cause| format!(": {cause}"));
                let detail =
                    error.detail().map_or_else(String::new, |text| format!("; {}", text.replace('\n', "; ")));
                session.reporter.warn(
                    "cache/export",
                    &format!("the cache in {place} is not written: {error}{source}{detail}"),
                    error.hints().first().map(|x| &**x),
                );
            }
        }
    }
}

fn place(flag: &'static str, text: &str) -> Result<Place, Error> {
    text.parse().map_err(|_| {
        boxed(Failure::Argument {
            flag,
            value: text.to_owned(),
            expected: "it takes a folder, as `DIR` or `dir:DIR`, or a tag, as `registry:registry.example/app:cache`",
        })
    })
}
