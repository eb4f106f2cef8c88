//! The source tree: walked once, ignore rules applied, contents digested.
//!
//! In: a folder. Out: a [`Source`]: what may take part in the build, as a [`Tree`] whose files are normalised
//! (0644 or 0755 by the exec bit, root-owned), and what git says of the commit. Contents stay in the user's
//! folder until a step needs them: [`Source::select`] digests a part, [`snapshot`] copies it into the store.

mod commit;
mod content;
mod dockerignore;
mod error;
mod fingerprint;
mod rules;
mod select;
mod tag;
#[cfg(test)]
mod tests;
mod walk;

use std::path::{Path, PathBuf};

pub use error::Error;
pub use fingerprint::Fingerprints;
pub use select::{snapshot, snapshot_key};

use crate::observe::Sight;
use crate::oci::Digest;
use crate::store::{self, Tree};

/// The files of an app.
#[derive(Clone, Debug)]
pub struct Source {
    /// The folder that was read.
    pub root: PathBuf,
    /// The files that take part, relative to the root.
    pub tree: Tree,
    /// Files with an app's settings (`.env`) that do not take part, relative to the root, sorted.
    pub settings: Vec<String>,
    /// What git says, when the folder is in a work tree.
    pub commit: Option<Commit>,
    /// What was looked at to find this out.
    pub seen: Seen,
}

/// What a walk looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// When it began, in seconds since 1970.
    pub time: i64,
    /// The folders that were listed, the files and links that take part, and the files with rules that do not; relative
    /// to the root, which is the empty path. Contents of files are not known yet.
    pub inside: Vec<(String, Sight)>,
    /// Elsewhere: ignore files above the root, and git's own.
    pub outside: Vec<(PathBuf, Sight)>,
}

/// The commit that is checked out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Full hash.
    pub revision: String,
    /// Committer time in seconds since 1970.
    pub time: i64,
    /// URL of the remote `origin`, without credentials.
    pub url: Option<String>,
    /// The version that a tag of this very commit states (`v1.2.3` → `1.2.3`); the highest, if several do.
    pub version: Option<String>,
}

/// A pattern-selected part of the source with a digest over paths, modes and contents.
#[derive(Clone, Debug)]
pub struct Selection {
    /// The files.
    pub tree: Tree,
    /// Digest over sorted (path, kind, mode, content digest).
    pub digest: Digest,
}

/// What configuration says about the files that take part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Patterns of `.gitignore` that leave files out.
    pub exclude: Vec<String>,
    /// Patterns of `.gitignore` that bring files in, whatever leaves them out.
    pub include: Vec<String>,
}

/// The folder of an app below `path`, without `.` components: a typed `./apps/web/` is `apps/web`.
///
/// # Errors
/// When there is no such folder below `path`.
pub fn folder(path: &Path, typed: &str) -> Result<String, Error> {
    let parts: Vec<&str> = typed.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    let outside = typed.starts_with('/') || parts.contains(&"..");
    if outside || !path.join(parts.join("/")).is_dir() {
        return Err(Error::NoSuchApp { path: path.to_owned(), typed: typed.to_owned() });
    }
    Ok(parts.join("/"))
}

/// Reads the source tree at `path`.
pub fn read(path: &Path, options: &Options) -> Result<Source, Error> {
    let root = path.canonicalize().map_err(Error::io("read", path))?;
    if !root.is_dir() {
        return Err(Error::NotAFolder { path: path.to_owned() });
    }
    let time = store::now();
    let outside = rules::files_above(&root).into_iter().chain(commit::files(&root));
    let outside = outside.map(|path| (path.clone(), Sight::of_machine(&path))).collect();
    let walk::Walked { tree, settings, seen: inside } = walk::walk(&root, options)?;
    let commit = commit::commit(&root);
    Ok(Source { root, tree, settings, commit, seen: Seen { time, inside, outside } })
}
