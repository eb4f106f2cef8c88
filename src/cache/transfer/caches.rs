//! Caches that go along: those of package managers that steps of the plans use, and what their tools keep.
//!
//! They make nothing but time, so that one which is too large or cannot be read stays, and a line says so. One that
//! steps with secrets have used stays as well. A cache that this build had no need of is left as it was exported before.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::Packed;
use super::archive::{LARGEST_CACHE, MOST};
use super::export::Work;
use crate::build::{KEPT, PRIVATE};
use crate::plan::Plan;
use crate::ui::{Reporter, size};

/// By which part of its size an archive must differ to be another one.
const CHANGE: u64 = 10;

impl Work<'_> {
    /// Packs the caches that this build has used, and lists them with those that it could have used.
    pub(super) fn caches(
        &mut self,
        used: &[PathBuf],
        plans: &[Plan],
        reporter: &Reporter,
    ) -> BTreeMap<String, Packed> {
        let mut caches = BTreeMap::new();
        for (name, is_used) in self.names(used, plans) {
            let known = self.known.entries.get(&name);
            let known = known.filter(|packed| self.has(&name, &packed.blob, packed.size)).cloned();
            let is_here = self.store.root().join(&name).is_dir();
            let packed = match known {
                Some(known) if !(is_used && is_here) => known,
                known if is_here => match self.pack_cache(&name) {
                    Ok(packed) => match known {
                        Some(known) if is_as_good(&name, &known, &packed) => known,
                        _ => {
                            self.written += packed.size;
                            packed
                        }
                    },
                    Err(reason) => {
                        reporter.info(&format!("{name} of the store does not go along: {reason}"));
                        continue;
                    }
                },
                _ => continue,
            };
            caches.insert(name, packed);
        }
        caches
    }

    /// Names of entries, and whether this build has used them. What tools keep is of an app in a folder: of another
    /// folder it is only left there while there is none of this one.
    fn names(&self, used: &[PathBuf], plans: &[Plan]) -> BTreeMap<String, bool> {
        let used: Vec<&str> = used.iter().filter_map(|path| path.to_str()).collect();
        let steps = plans.iter().flat_map(|plan| &plan.steps);
        let shared = steps.flat_map(|step| step.caches.keys()).map(|id| format!("caches/{id}"));
        let mut names: BTreeMap<String, bool> = shared.map(|name| (name, false)).collect();
        if !used.iter().any(|name| is_kept(name)) {
            names.extend(
                self.known.entries.keys().filter(|name| is_kept(name)).map(|name| (name.clone(), false)),
            );
        }
        names.extend(used.iter().filter(|name| is_kept(name)).map(|name| ((*name).to_owned(), true)));
        for (name, is_used) in &mut names {
            *is_used |= used.contains(&name.as_str());
        }
        names
    }

    fn pack_cache(&self, name: &str) -> Result<Packed, String> {
        check(&self.store.root().join(name))?;
        self.pack(name).map_err(|error| error.to_string())
    }
}

/// Whether a cache need not be written again: managers note each of their runs somewhere, and what a shared cache lacks
/// is fetched.
fn is_as_good(name: &str, known: &Packed, packed: &Packed) -> bool {
    known == packed || !is_kept(name) && known.size.abs_diff(packed.size) < known.size / CHANGE
}

/// Whether an entry is what a tool keeps for one app.
fn is_kept(name: &str) -> bool {
    name.strip_prefix("caches/").is_some_and(|key| key.starts_with(KEPT))
}

/// Why a cache must stay.
fn check(cache: &Path) -> Result<(), String> {
    if cache.join(PRIVATE).exists() {
        return Err("steps that were given secrets have used it".to_owned());
    }
    let (mut entries, mut bytes) = (0_usize, 0_u64);
    for entry in walkdir::WalkDir::new(cache).min_depth(1) {
        let metadata = entry.and_then(|entry| entry.metadata()).map_err(|error| error.to_string())?;
        entries += 1;
        bytes += if metadata.is_file() { metadata.len() } else { 0 };
    }
    if bytes > LARGEST_CACHE || entries > MOST {
        let (found, most) = (size(bytes), size(LARGEST_CACHE));
        return Err(format!("it has {found} in {entries} files, and at most {most} in {MOST} files do"));
    }
    Ok(())
}
