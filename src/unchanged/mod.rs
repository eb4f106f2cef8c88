//! Answers a build of which nothing changed, without doing any of it.
//!
//! In: what is asked ([`Question`]), and the record of the last time it was asked. Out: the same [`Answer`], or the
//! reason why it may differ ([`Miss`]).
//!
//! The record holds everything that a build looks at: each folder that was listed, each file of the source, ignore
//! files, configuration, locks, git's own files, the machine's settings of registries, the variables that matter, the
//! program itself, and until when the answers of registries hold. To check it, the state of each is asked of the file
//! system, as git does; a content is read only where the state is new or cannot be trusted yet. No process is
//! started, no socket used, no layer opened.

mod record;
mod variables;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rustix::rand::GetRandomFlags;
use serde::{Deserialize, Serialize};

use crate::config::{Environment, Flag};
use crate::observe::{self, Comparison, Observer, Sight, State};
use crate::oci::image::Descriptor;
use crate::oci::layout::Layout;
use crate::oci::{Content, Digest, Reference, origin, to_canonical_json};
use crate::package::Product;
use crate::source::{Fingerprints, Seen, Source};
use crate::store::{self, Store};
use crate::ui::Warning;
use record::Record;

/// What is asked for; equal questions have one record.
#[derive(Debug, Serialize)]
pub struct Question<'a> {
    /// The folder, in its canonical form.
    pub path: PathBuf,
    /// The app's folder below it, as typed.
    pub app: Option<&'a str>,
    /// Configuration by flag.
    pub flags: &'a [Flag],
    /// What images are made for.
    pub platforms: &'a [String],
    /// The names of the secrets that are given.
    pub secrets: Vec<&'a str>,
    /// The folder with further definitions.
    pub definitions: Option<&'a Path>,
    /// Whether the network is off.
    pub offline: bool,
}

/// What a build said.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Answer {
    /// What was made.
    pub product: Product,
    /// Its tag when none is given.
    pub tag: Reference,
    /// To be shown again: what was wrong is wrong still.
    pub warnings: Vec<Warning>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Miss(pub String);

impl Question<'_> {
    fn key(&self) -> Digest {
        Digest::of(&to_canonical_json(self).expect("texts and lists always serialise"))
    }
}

/// The answer of the last time, if nothing that it came from has changed since.
///
/// # Errors
/// The first difference, for the user.
pub fn find(question: &Question<'_>, environment: &Environment, store: &Store) -> Result<Answer, Miss> {
    let miss = |reason: &str| Err(Miss(reason.to_owned()));
    let key = question.key();
    let Some(mut record) = Record::read(store, &key) else { return miss("it was not built here before") };
    let time = store::now();
    if record.program != observe::program() {
        return miss("rpack itself is another");
    }
    let variables = variables::digests(environment, &record.salt);
    if let Some(name) = variables::difference(&record.variables, &variables) {
        return Err(Miss(format!("the variable {name} changed")));
    }
    if record.until.is_some_and(|until| until <= time) {
        return miss("registries are asked again");
    }
    let mut touched = false;
    for tree in &mut record.trees {
        touched |= tree.look_again()?;
    }
    for (path, sight) in &mut record.machine.sights {
        match sight.compare(path, true, record.machine.time) {
            Comparison::Same => {}
            Comparison::Touched(new) => {
                *sight = new;
                touched = true;
            }
            Comparison::Changed => return Err(Miss(reason(sight, path, &path.to_string_lossy()))),
        }
    }
    if let Some(digest) = missing(&record.answer.product, store) {
        return Err(Miss(format!("{digest} is not in the store any more")));
    }
    if touched {
        // Now these are known in their new state. What stays true of older ones stays true at this time.
        for tree in &mut record.trees {
            tree.time = time;
        }
        record.machine.time = time;
        // Without it the next build looks at contents again, and that is all.
        let _ = record.write(store, &key);
    }
    Ok(record.answer)
}

impl record::Tree {
    /// Compares all of it and takes note of what only has a new state. Whether anything has.
    fn look_again(&mut self) -> Result<bool, Miss> {
        let mut touched = Vec::new();
        for (index, (relative, sight)) in self.sights.iter().enumerate() {
            let path = self.path(relative);
            match sight.compare(&path, false, self.time) {
                Comparison::Same => {}
                Comparison::Touched(new) => touched.push((index, new)),
                Comparison::Changed => {
                    // A folder that lists something else may have lost a file that can be named.
                    let reason = if matches!(sight, Sight::Folder(..)) { self.lost(relative) } else { None };
                    return Err(Miss(reason.unwrap_or_else(|| self::reason(sight, &path, relative))));
                }
            }
        }
        let any = !touched.is_empty();
        for (index, new) in touched {
            self.sights[index].1 = new;
        }
        Ok(any)
    }

    fn path(&self, relative: &str) -> PathBuf {
        if relative.is_empty() { self.root.clone() } else { self.root.join(relative) }
    }

    /// Says which entry of the folder `relative` is gone, if one is.
    fn lost(&self, relative: &str) -> Option<String> {
        let is_child = |path: &&str| path.rsplit_once('/').map_or("", |(folder, _)| folder) == relative;
        let paths = self.sights.iter().map(|(path, _)| path.as_str()).filter(|path| !path.is_empty());
        let mut children = paths.filter(is_child);
        let lost = children.find(|path| self.path(path).symlink_metadata().is_err())?;
        Some(format!("{lost} was removed"))
    }
}

/// Why `sight` is not what is at `path` now, for the user.
fn reason(sight: &Sight, path: &Path, shown: &str) -> String {
    match (sight, path.symlink_metadata()) {
        (Sight::Absent, _) => format!("{shown} is new"),
        (_, Err(_)) => format!("{shown} was removed"),
        (Sight::Folder(..), _) if shown.is_empty() => "files were added".to_owned(),
        (Sight::Folder(..), _) => format!("files were added to {shown}"),
        _ => format!("{shown} changed"),
    }
}

/// A blob of the product that is not there in its size, here and in the layout of images; layers of base images need not
/// be.
fn missing(product: &Product, store: &Store) -> Option<Digest> {
    let images = Layout::open(store.images()).ok();
    let is_there = |path: &Path, size: u64| path.metadata().is_ok_and(|found| found.len() == size);
    let is_lost = |blob: &&Descriptor| {
        let tagged =
            images.as_ref().is_some_and(|layout| is_there(&layout.blob_path(&blob.digest), blob.size));
        let complete = tagged && is_there(&store.blob_path(&blob.digest), blob.size);
        if !complete && origin::of(&blob.digest, store).is_some() {
            return false;
        }
        let kept = store.blob(&blob.digest).is_some_and(|path| is_there(&path, blob.size));
        !(tagged && kept)
    };
    Content::from(product).all().find(is_lost).map(|blob| blob.digest)
}

/// A record in the making, begun before anything but the walk has read the source.
#[derive(Debug)]
pub struct Pending {
    key: Digest,
    trees: Vec<record::Tree>,
}

impl Pending {
    /// Takes over what the walks saw, the last of them that of the source itself, and reads the files whose state
    /// cannot be trusted yet. None when one of them changes meanwhile.
    pub fn new(question: &Question<'_>, walks: &[(PathBuf, Seen)]) -> Option<Self> {
        let tree = |(root, seen): &(PathBuf, Seen)| {
            let sight = |(relative, sight): &(String, Sight)| {
                let path = root.join(relative);
                let sight =
                    if sight.is_settled(seen.time) { sight.clone() } else { sight.with_content(&path)? };
                Some((relative.clone(), sight))
            };
            let sights = seen.inside.iter().map(sight).collect::<Option<_>>()?;
            Some(record::Tree { root: root.clone(), time: seen.time, sights })
        };
        Some(Self { key: question.key(), trees: walks.iter().map(tree).collect::<Option<_>>()? })
    }

    /// Keeps `answer` with everything that it came from. Nothing is kept when the source changed since it was walked.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn keep(
        mut self,
        answer: Answer,
        source: &Source,
        observer: &Observer,
        environment: &Environment,
        store: &Store,
    ) -> Result<(), store::Error> {
        if self.read_contents(source, store).is_none() {
            return Ok(());
        }
        let mut salt = [0; 16];
        if rustix::rand::getrandom(&mut salt, GetRandomFlags::NONBLOCK).is_err() {
            return Ok(());
        }
        let mut record = Record::new(answer);
        record.until = observer.end();
        record.salt = Digest::of(&salt).hex();
        record.variables = variables::digests(environment, &record.salt);
        record.trees = self.trees;
        let time = source.seen.time;
        let sights: BTreeMap<PathBuf, Sight> =
            observer.files().into_iter().chain(source.seen.outside.iter().cloned()).collect();
        record.machine = record::Machine { time, sights: sights.into_iter().collect() };
        record.write(store, &self.key)
    }

    /// Adds the contents of the source's files, of which the build has read most.
    fn read_contents(&mut self, source: &Source, store: &Store) -> Option<()> {
        let tree = self.trees.iter_mut().rfind(|tree| tree.root == source.root)?;
        let fingerprints = Fingerprints::open(store, source);
        for (relative, sight) in &mut tree.sights {
            if let Sight::File(state, _, digest @ None) = sight {
                let path = source.root.join(&*relative);
                let found = fingerprints.digest(&path, relative, state.size()).ok()?;
                // It may be another file than the one that the build has read.
                let is_same = path.symlink_metadata().is_ok_and(|after| State::of(&after) == *state);
                *digest = Some(is_same.then_some(found)?);
            }
        }
        // Without it the next build reads again, and that is all.
        let _ = fingerprints.save();
        Some(())
    }
}
