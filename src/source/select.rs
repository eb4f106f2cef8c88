//! Parts of the source by pattern, and their copies that steps read.
//!
//! The digest of a selection covers paths, kinds, modes and contents and nothing else, so it is the same in
//! every clone. A copy is made once per digest and is verified while it is made.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::fingerprint::{Fingerprints, copy};
use super::rules::matcher;
use super::{Error, Selection, Source};
use crate::oci::{Digest, DigestWriter};
use crate::store::{Content, Entry, Kind, Store, Tree};

impl Source {
    /// The files that `globs` name: patterns as in `.gitignore`, but always relative to the root, so that
    /// `package.json` is the one at the root, `**/package.json` each, and `**` everything. A folder brings what
    /// is below it; `!` takes out again.
    pub fn select(&self, globs: &[String], fingerprints: &Fingerprints) -> Result<Selection, Error> {
        let anchored: Vec<String> = globs
            .iter()
            .map(|glob| match glob.strip_prefix('!') {
                Some(glob) => format!("!/{}", glob.trim_start_matches('/')),
                None => format!("/{}", glob.trim_start_matches('/')),
            })
            .collect();
        let matcher = matcher("inputs", &anchored)?;
        let named = |path: &str| matcher.matched_path_or_any_parents(path, false).is_ignore();
        let mut tree: Tree = self
            .tree
            .iter()
            .filter(|(path, entry)| !matches!(entry.kind, Kind::Directory { .. }) && named(path))
            .map(|(path, entry)| (path.to_owned(), entry.clone()))
            .collect();
        tree.add_parents();
        let digest = digest(&tree, |path, content, size| match content {
            Content::Path(file) => fingerprints.digest(file, path, size),
            Content::Bytes(bytes) => Ok(Digest::of(bytes)),
        })?;
        Ok(Selection { tree, digest })
    }
}

impl Selection {
    /// What stands for each file: its mode and the start of the digest of what it holds. None when a file has changed
    /// meanwhile. Contents are known from selecting, so that hardly one is read again.
    pub fn marks(&self, fingerprints: &Fingerprints) -> Option<BTreeMap<String, String>> {
        let mut marks = BTreeMap::new();
        for (path, entry) in self.tree.iter() {
            let digest = match &entry.kind {
                Kind::Directory { .. } | Kind::Whiteout => continue,
                Kind::Symlink { target } => Digest::of(target.as_bytes()),
                Kind::File { content: Content::Bytes(bytes), .. } => Digest::of(bytes),
                Kind::File { content: Content::Path(file), size } => {
                    fingerprints.digest(file, path, *size).ok()?
                }
            };
            marks.insert(path.to_owned(), format!("{:o} {}", entry.mode, &digest.hex()[..16]));
        }
        Some(marks)
    }
}

/// The digest of a tree whose files' digests are `content`'s answers, which is asked in the order of paths.
fn digest(
    tree: &Tree,
    mut content: impl FnMut(&str, &Content, u64) -> Result<Digest, Error>,
) -> Result<Digest, Error> {
    let mut hasher = DigestWriter::new(io::sink());
    for (path, entry) in tree.iter() {
        let (kind, what) = match &entry.kind {
            Kind::Directory { .. } | Kind::Whiteout => ("directory", String::new()),
            Kind::File { size, content: from } => ("file", content(path, from, *size)?.to_string()),
            Kind::Symlink { target } => ("symlink", target.clone()),
        };
        // Writing to a sink cannot fail. No part can contain NUL, so no two trees give the same text.
        let _ = write!(hasher, "{path}\0{kind}\0{:o}\0{what}\0", entry.mode);
    }
    Ok(hasher.finish().1)
}

/// The store's name for the copy of a selection with this digest below `prefix`.
pub fn snapshot_key(selection: &Digest, prefix: &str) -> String {
    format!("source-{}", Digest::of(format!("{prefix}\0{selection}").as_bytes()).hex())
}

/// A read-only folder that holds `selection` below `prefix` (`app`), to be a lower of a step's view.
///
/// Contents are copied, because the user may edit the originals meanwhile; a copy that is not what was selected
/// is an error. Times are derived from contents: equal in every build, and different for a file that changed
/// without changing its size, which tools that compare times rely on.
pub fn snapshot(selection: &Selection, store: &Store, prefix: &str) -> Result<PathBuf, Error> {
    let key = snapshot_key(&selection.digest, prefix);
    let _lock = store.lock(&key)?;
    if let Some(entry) = store.entry("trees", &key) {
        return Ok(entry.join("fs"));
    }
    let temporary = store.temporary_folder()?;
    let root = temporary.path().join("fs");
    let app = root.join(prefix);
    fs::create_dir_all(&app).map_err(Error::io("create", &app))?;
    for folder in app.ancestors().take_while(|folder| folder.starts_with(&root)) {
        set_mode(folder, 0o755)?;
    }
    for (path, entry) in selection.tree.iter() {
        let target = app.join(path);
        match &entry.kind {
            Kind::Directory { .. } => {
                fs::create_dir(&target).map_err(Error::io("create", &target))?;
                set_mode(&target, entry.mode)?;
            }
            Kind::Symlink { target: text } => symlink(text, &target).map_err(Error::io("create", &target))?,
            Kind::File { .. } | Kind::Whiteout => {}
        }
    }
    let found = digest(&selection.tree, |path, content, _| {
        let mode = selection.tree.get(path).map_or(0o644, |entry: &Entry| entry.mode);
        write_file(&app.join(path), content, mode)
    })?;
    if found != selection.digest {
        return Err(Error::Changed { path: origin(&selection.tree).unwrap_or(app) });
    }
    let folder = store.keep_entry("trees", &key, temporary)?.join("fs");
    store.describe("trees", &key, || match origin(&selection.tree) {
        Some(folder) => format!("source files of {}", folder.display()),
        None => "source files".to_owned(),
    });
    Ok(folder)
}

fn write_file(target: &Path, content: &Content, mode: u32) -> Result<Digest, Error> {
    let file = File::create_new(target).map_err(Error::io("create", target))?;
    let (digest, mut file) = match content {
        Content::Path(path) => copy(path, file)?,
        Content::Bytes(bytes) => (Digest::of(bytes), file),
    };
    if let Content::Bytes(bytes) = content {
        file.write_all(bytes).map_err(Error::io("write", target))?;
    }
    set_mode(target, mode)?;
    file.set_modified(time(&digest)).map_err(Error::io("set the time of", target))?;
    Ok(digest)
}

fn set_mode(path: &Path, mode: u32) -> Result<(), Error> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(Error::io("set the mode of", path))
}

/// A time between 2001 and 2017 that only depends on the content.
fn time(content: &Digest) -> SystemTime {
    let [a, b, c, d, ..] = *content.bytes();
    let offset = u32::from_be_bytes([a, b, c, d]) % 500_000_000;
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000 + u64::from(offset))
}

/// The folder that the contents of `tree` are in.
fn origin(tree: &Tree) -> Option<PathBuf> {
    tree.iter().find_map(|(relative, entry)| match &entry.kind {
        Kind::File { content: Content::Path(path), .. } => {
            path.ancestors().nth(relative.split('/').count()).map(Path::to_owned)
        }
        _ => None,
    })
}
