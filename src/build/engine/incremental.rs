//! Folders that a build tool works on from build to build, such as `.next/cache`.
//!
//! One is moved into the upper before the step runs and out of it when the command has ended, so that it is no part of
//! the result; nor of the step's key. It belongs to one app, one step and one path (`caches/kept-HEX` in the store). Of
//! two builds that run at the same time one has it, and the other starts without. A step that was interrupted leaves
//! none; neither does one that wrote a secret there.

use std::fs;
use std::path::{Path, PathBuf};

use crate::build::Error;
use crate::build::secret::Hidden;
use crate::oci::Digest;
use crate::plan::model::Step;
use crate::store::{self, Store};

/// What the names of their entries begin with, beside those of package managers.
pub const KEPT: &str = "kept-";

/// The folders of one step.
pub(super) struct Incremental<'a> {
    store: &'a Store,
    folders: Vec<Folder>,
    /// What is thrown away of them.
    dropped: Vec<PathBuf>,
}

struct Folder {
    key: String,
    /// Relative to `/`.
    path: PathBuf,
    about: String,
}

impl<'a> Incremental<'a> {
    /// Those of `step` of the app that `app` identifies on this machine, called `name`.
    pub(super) fn of(step: &Step, (app, name): (&str, &str), store: &'a Store) -> Self {
        let (mut folders, mut dropped) = (Vec::new(), Vec::new());
        for text in &step.incremental {
            if let Some(path) = text.strip_prefix('!') {
                dropped.push(PathBuf::from(path.trim_start_matches('/')));
                continue;
            }
            let identity = Digest::of(format!("{:?}", (app, &step.id, text)).as_bytes()).hex();
            folders.push(Folder {
                key: format!("{KEPT}{}", &identity[..32]),
                path: PathBuf::from(text.trim_start_matches('/')),
                about: format!("{text} of {} of {name}", step.id),
            });
        }
        Self { store, folders, dropped }
    }

    /// Puts what earlier builds have left into `upper`, which is empty.
    pub(super) fn restore(&self, upper: &Path) {
        for folder in &self.folders {
            let Some(entry) = self.store.take_entry("caches", &folder.key) else { continue };
            let target = upper.join(&folder.path);
            // Without it the step takes longer, and that is all.
            let _ = target.parent().map(fs::create_dir_all);
            let _ = fs::rename(entry.path().join("entry/fs"), target);
        }
    }

    /// Takes the folders out of `upper` after the command has ended, and keeps them for the next build.
    pub(super) fn keep(&self, upper: &Path, hidden: &Hidden) -> Result<(), Error> {
        for path in &self.dropped {
            if let Some(found) = folder(upper, path) {
                store::remove_all(&found).map_err(store::Error::io("remove", &found))?;
            }
        }
        for one in &self.folders {
            let Some(found) = folder(upper, &one.path) else { continue };
            let temporary = self.store.temporary_folder()?;
            let kept = temporary.path().join("fs");
            fs::rename(&found, &kept).map_err(store::Error::io("move", &found))?;
            remove_empty(upper, &one.path);
            if hidden.find(&kept).map_err(store::Error::io("read", &kept))?.is_none() {
                self.store.keep_entry("caches", &one.key, temporary)?;
                self.store.describe("caches", &one.key, || one.about.clone());
            }
        }
        Ok(())
    }
}

/// The folder at `path` of `upper`, when neither it nor what it is in is a link, which may lead anywhere.
fn folder(upper: &Path, path: &Path) -> Option<PathBuf> {
    let mut found = upper.to_owned();
    for part in path {
        found.push(part);
        if !fs::symlink_metadata(&found).is_ok_and(|metadata| metadata.is_dir()) {
            return None;
        }
    }
    Some(found)
}

/// Removes what a folder was in, as far as nothing else is there.
fn remove_empty(upper: &Path, path: &Path) {
    for parent in path.ancestors().skip(1).filter(|parent| !parent.as_os_str().is_empty()) {
        if fs::remove_dir(upper.join(parent)).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use super::Incremental;
    use crate::build::secret::{Hidden, Secret, Secrets};
    use crate::plan::model::Step;
    use crate::store::Store;

    fn step(incremental: &[&str]) -> Step {
        Step {
            id: "node/build".into(),
            title: "npm run build".into(),
            argv: Vec::new(),
            directory: "/app".into(),
            env: BTreeMap::new(),
            inputs: Vec::new(),
            needs: None,
            caches: BTreeMap::new(),
            incremental: incremental.iter().map(|path| (*path).to_owned()).collect(),
            network: false,
            files: BTreeMap::new(),
            secrets: Vec::new(),
        }
    }

    /// What is in a folder that a step could have written, with what is kept of it by the next one.
    fn kept(store: &Store, app: &str, incremental: &[&str], hidden: &Hidden, write: impl Fn(&Path)) -> bool {
        let step = step(incremental);
        let upper = store.temporary_folder().unwrap();
        write(upper.path());
        Incremental::of(&step, (app, "shop"), store).keep(upper.path(), hidden).unwrap();
        let next = store.temporary_folder().unwrap();
        Incremental::of(&step, (app, "shop"), store).restore(next.path());
        next.path().join("app/.next/cache/file").exists()
    }

    #[test]
    fn it_is_of_one_app_and_for_one_build_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let hidden = Hidden::new(&Secrets::new());
        let write = |upper: &Path| {
            fs::create_dir_all(upper.join("app/.next/cache/fetch")).unwrap();
            fs::write(upper.join("app/.next/cache/file"), "").unwrap();
        };
        assert!(kept(&store, "a", &["/app/.next/cache"], &hidden, write));
        // It was taken.
        assert!(!kept(&store, "a", &["/app/.next/cache"], &hidden, |_| ()));
        assert!(kept(&store, "a", &["/app/.next/cache", "!/app/.next/cache/fetch"], &hidden, write));
        write(folder.path());
        let upper = folder.path();
        let step = step(&["/app/.next/cache", "!/app/.next/cache/fetch"]);
        Incremental::of(&step, ("a", "shop"), &store).keep(upper, &hidden).unwrap();
        assert!(!upper.join("app").exists(), "empty folders are left");
        let next = store.temporary_folder().unwrap();
        Incremental::of(&step, ("b", "shop"), &store).restore(next.path());
        assert!(!next.path().join("app").exists(), "another app has it");
        Incremental::of(&step, ("a", "shop"), &store).restore(next.path());
        assert!(next.path().join("app/.next/cache/file").exists());
        assert!(!next.path().join("app/.next/cache/fetch").exists());
    }

    #[test]
    fn links_are_not_followed_and_secrets_not_kept() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path().join("store")).unwrap();
        let outside = folder.path().join("outside");
        fs::create_dir_all(outside.join("cache")).unwrap();
        fs::write(outside.join("cache/file"), "").unwrap();
        let none = Hidden::new(&Secrets::new());
        let link = |upper: &Path| {
            fs::create_dir(upper.join("app")).unwrap();
            symlink(&outside, upper.join("app/.next")).unwrap();
        };
        assert!(!kept(&store, "a", &["/app/.next/cache", "!/app/.next/cache"], &none, link));
        assert!(outside.join("cache/file").exists());
        let secrets = Secrets::from([("token".to_owned(), Secret::new(b"s3cr3t-T0ken".to_vec()))]);
        let write = |upper: &Path| {
            fs::create_dir_all(upper.join("app/.next/cache")).unwrap();
            fs::write(upper.join("app/.next/cache/file"), "token=s3cr3t-T0ken").unwrap();
        };
        assert!(!kept(&store, "a", &["/app/.next/cache"], &Hidden::new(&secrets), write));
        assert!(kept(&store, "a", &["/app/.next/cache"], &none, write));
    }
}
