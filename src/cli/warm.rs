//! `--cache-from` and `--cache-to`: results that go from one machine to another.

use clap::Args;

use super::{Failure, boxed};
use crate::cache::transfer::{self, Place};
use crate::pipeline::{Error, Session};
use crate::plan::Plan;
use crate::ui::{Diagnose as _, size};

/// Where results come from besides the store, and go to.
#[derive(Args, Debug)]
pub(super) struct CacheArguments {
    /// Take results from this folder where the store lacks them; what is damaged is not used
    #[arg(long, value_name = "DIR")]
    cache_from: Vec<String>,
    /// Write what this build used to this folder, for another machine; what it did not use is removed from there
    #[arg(long, value_name = "DIR")]
    cache_to: Option<String>,
}

/// Where to write to.
#[derive(Debug)]
pub(super) struct Caches {
    to: Option<Place>,
}

impl CacheArguments {
    /// Lets the store look into the caches, and sees whether one can be written.
    pub(super) fn open(&self, session: &Session) -> Result<Caches, Error> {
        let from =
            self.cache_from.iter().map(|text| place("--cache-from", text)).collect::<Result<Vec<_>, _>>()?;
        let to = self.cache_to.as_deref().map(|text| place("--cache-to", text)).transpose()?;
        if let Some(place) = &to {
            transfer::prepare(place).map_err(boxed)?;
        }
        transfer::import(&from, &session.store, &session.reporter);
        Ok(Caches { to })
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
        let task = session.reporter.task(&format!("cache to {}", place.path().display()));
        match transfer::export(place, plans, &session.store) {
            Ok(done) => task.done(&format!("{}, {} of it new", size(done.size), size(done.written))),
            Err(error) => {
                let source =
                    std::error::Error::source(&error).map_or_else(String::new, |cause| format!(": {cause}"));
                session.reporter.warn(
                    "cache/export",
                    &format!("{error}{source}"),
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
            expected: "it takes a folder, as `DIR` or `dir:DIR`",
        })
    })
}
