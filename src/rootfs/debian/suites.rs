//! Fetching the metadata of a base: InRelease, its signature, the Packages indexes.
//!
//! Both are kept in the store: InRelease for some minutes, so that a second command asks nothing; indexes under
//! their digest, in the compact form. Offline, what is kept is used whatever its age. A mirror may change between
//! two requests; what no longer fits is asked for once more, beginning with InRelease.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use flate2::read::MultiGzDecoder;

use super::Error;
use super::index::{self, Index};
use super::release::Release;
use super::signed::Signed;
use super::universe::{Suite, Universe};
use crate::http::{self, Answer, Expected, Protection, shown};
use crate::oci::Digest;
use crate::rootfs::base::{self, Base};
use crate::rootfs::cache::{self, Header};
use crate::rootfs::xz::xz_alone;
use crate::rootfs::{Context, error};
use crate::store;
use crate::threads::joined;

/// Changes when the compact form of an index changes.
const FORMAT: u32 = 3;
/// An InRelease file is some 100 kB.
const LARGEST_RELEASE: u64 = 16 << 20;
/// More unpacked bytes of an index than this are refused.
const LARGEST_INDEX: u64 = 1 << 30;

/// The suites of a base for one architecture, with their indexes in the store and not read yet.
#[derive(Debug)]
pub(in crate::rootfs) struct Archive {
    suites: Vec<Ready>,
    /// Over everything that an answer can depend on, as far as suites are concerned.
    pub(in crate::rootfs) digest: Digest,
}

/// A suite whose index is in the store.
#[derive(Debug)]
struct Ready {
    suite: base::Suite,
    date: i64,
    index: Digest,
    kept: PathBuf,
}

/// Brings the metadata of all suites of `base` for `architecture` into the store.
///
/// # Errors
/// When a suite cannot be fetched, is not signed by the base's keys, is too old, or cannot be read.
pub(in crate::rootfs) fn prepare(
    context: &Context,
    base: &Base,
    architecture: &str,
) -> Result<Archive, error::Error> {
    // Suites are independent, and most of the time passes in waiting for servers and in unpacking one index.
    let suites = at_once(&base.suites, |suite| prepare_suite(context, base, suite, architecture))?;
    let parts = suites.iter().map(|ready| format!("{} {} {}\n", ready.suite.name, ready.date, ready.index));
    let digest =
        Digest::of(format!("{architecture} {:?}\n{}", base.digest, parts.collect::<String>()).as_bytes());
    Ok(Archive { suites, digest })
}

/// Reads the indexes of `archive`.
///
/// # Errors
/// When one cannot be read.
pub(in crate::rootfs) fn load(
    archive: &Archive,
    base: &Base,
    architecture: &str,
) -> Result<Universe, error::Error> {
    let suites = at_once(&archive.suites, Ready::load)?;
    Ok(Universe {
        architecture: architecture.to_owned(),
        suites,
        unneeded: base.unneeded.clone(),
        pins: BTreeMap::new(),
    })
}

/// What `work` makes of each item, all at the same time, in the order of the items.
fn at_once<I: Sync, T: Send>(
    items: &[I],
    work: impl Fn(&I) -> Result<T, error::Error> + Sync,
) -> Result<Vec<T>, error::Error> {
    thread::scope(|scope| {
        let tasks: Vec<_> = items.iter().map(|item| scope.spawn(|| work(item))).collect();
        tasks.into_iter().map(joined).collect()
    })
}

impl Ready {
    fn load(&self) -> Result<Arc<Suite>, error::Error> {
        let text = fs::read_to_string(&self.kept).map_err(store::Error::io("read", &self.kept))?;
        Ok(Arc::new(Suite {
            name: self.suite.name.clone(),
            date: self.date,
            archive: self.suite.archive.clone(),
            priority: self.suite.priority,
            only: self.suite.only.clone(),
            index: Index::open(text),
        }))
    }
}

fn prepare_suite(
    context: &Context,
    base: &Base,
    suite: &base::Suite,
    architecture: &str,
) -> Result<Ready, error::Error> {
    let root = context.archive(base, &suite.archive)?;
    let mut release = release(context, base, suite, &root, Age::Minutes)?;
    let (index, kept) = match index(context, suite, &root, &release, architecture) {
        Err(error) if has_moved_on(&error) && !context.client.is_offline() => {
            let current = self::release(context, base, suite, &root, Age::None)?;
            if current == release {
                return Err(error);
            }
            release = current;
            self::index(context, suite, &root, &release, architecture)?
        }
        found => found?,
    };
    Ok(Ready { suite: suite.clone(), date: release.date, index, kept })
}

/// How old a kept InRelease may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Age {
    /// As long as answers count as fresh.
    Minutes,
    /// The mirror is asked.
    None,
}

/// Whether the index may be missing or different because the mirror was updated after its InRelease was fetched.
fn has_moved_on(error: &error::Error) -> bool {
    match error {
        error::Error::Http(error) => error.is_missing(),
        error::Error::Debian(error) => matches!(error, Error::Tampered { .. }),
        _ => false,
    }
}

/// Asks for InRelease of the suites of `archive` again, after a package was missing. Whether one is newer than the
/// one kept; the newer one is kept, so that the next command chooses from it.
pub(in crate::rootfs) fn has_newer(
    context: &Context,
    base: &Base,
    archive: &str,
) -> Result<bool, error::Error> {
    let mut newer = false;
    for suite in base.suites.iter().filter(|suite| suite.archive == archive) {
        let root = context.archive(base, archive)?;
        let kept = cache::read(&context.store, &in_release(&root, suite)).map(|(_, bytes)| bytes);
        release(context, base, suite, &root, Age::None)?;
        let current = cache::read(&context.store, &in_release(&root, suite)).map(|(_, bytes)| bytes);
        newer |= kept != current;
    }
    Ok(newer)
}

fn in_release(root: &str, suite: &base::Suite) -> String {
    format!("{root}/dists/{}/InRelease", suite.name)
}

fn release(
    context: &Context,
    base: &Base,
    suite: &base::Suite,
    root: &str,
    age: Age,
) -> Result<Release, error::Error> {
    let url = in_release(root, suite);
    let signed = Signed { context, base, suite, url: &url };
    let kept = cache::read(&context.store, &url);
    let offline = context.client.is_offline();
    if let Some((header, bytes)) = &kept
        && (offline || (age == Age::Minutes && header.is_fresh(context.now)))
    {
        // Offline, the time that counts is the one at which the file was fetched: it was current then.
        let now = if offline { header.fetched } else { context.now };
        context.used(header.fetched);
        return signed.verified(bytes, now);
    }
    let etag = kept.as_ref().and_then(|(header, _)| header.etag.as_deref());
    context.used(context.now);
    let answer = context.client.get_if_changed(&url, Protection::Signature, LARGEST_RELEASE, None, etag);
    let (bytes, etag) = match (answer, kept) {
        (Ok(Answer::Changed { bytes, etag }), _) => (bytes, etag),
        (Ok(Answer::Unchanged), Some((header, bytes))) => (bytes, header.etag),
        (Ok(Answer::Unchanged), None) => {
            let reason = "the server says that nothing changed, but was asked for the first time".to_owned();
            return Err(Error::Malformed { url: shown(&url), reason }.into());
        }
        (
            Err(error @ (http::Error::Unreachable { .. } | http::Error::Transient { .. })),
            Some((header, bytes)),
        ) => {
            let release = signed.verify(&bytes, context.now)?;
            // The next build asks again.
            context.used(0);
            let text = format!("{error}; the copy of {} is used", super::time(header.fetched));
            context.reporter.warn("debian/stale", &text, None);
            return Ok(release);
        }
        (Err(error), _) => return Err(error.into()),
    };
    let release = signed.verify(&bytes, context.now)?;
    cache::write(&context.store, &Header { url, fetched: context.now, etag }, &bytes)?;
    Ok(release)
}

/// The digest of a suite's index, and where its compact form is.
fn index(
    context: &Context,
    suite: &base::Suite,
    root: &str,
    release: &Release,
    architecture: &str,
) -> Result<(Digest, PathBuf), error::Error> {
    let folder = format!("{}/binary-{architecture}", suite.component);
    let found = ["Packages.xz", "Packages.gz", "Packages"].iter().find_map(|name| {
        let path = format!("{folder}/{name}");
        release.files.get(&path).map(|(digest, size)| (path, *digest, *size))
    });
    let Some((path, digest, size)) = found else {
        let url = shown(&in_release(root, suite));
        let reason = format!("it lists no index `{folder}/Packages`");
        return Err(Error::Malformed { url, reason }.into());
    };
    let url = format!("{root}/dists/{}/{path}", suite.name);
    let kept = context.store.root().join("metadata").join(format!("packages-{}-{FORMAT}", digest.hex()));
    if !context.store.claim(&kept) {
        let by_hash = release
            .by_hash
            .then(|| format!("{root}/dists/{}/{folder}/by-hash/SHA256/{}", suite.name, digest.hex()));
        let fetched = fetch_index(context, &suite.name, &url, by_hash.as_deref(), (&digest, size))?;
        compact(context, fetched.file.as_file(), &path, &kept, &url)?;
    }
    Ok((digest, kept))
}

/// Fetches an index by the name of its digest, which is right even while a mirror is being updated, or else by
/// its path.
fn fetch_index(
    context: &Context,
    suite: &str,
    url: &str,
    by_hash: Option<&str>,
    (digest, size): (&Digest, u64),
) -> Result<http::Fetched, error::Error> {
    let progress = context.reporter.transfer(&format!("index {suite}"), size);
    let expected = Expected::Sha256 { digest: *digest, size };
    let fetch = |url: &str| {
        context
            .client
            .fetch(url, Protection::Signature, &expected, &context.store, &progress)
            .map_err(|error| tampered(error, || format!("the index of `{suite}`")))
    };
    let fetched = match by_hash.map(fetch) {
        Some(Err(error::Error::Http(error))) if error.is_missing() => fetch(url),
        Some(result) => result,
        None => fetch(url),
    };
    progress.finish();
    fetched
}

/// Says of a file with a wrong digest what it was meant to be.
pub(in crate::rootfs) fn tampered(error: http::Error, what: impl FnOnce() -> String) -> error::Error {
    match error {
        http::Error::Digest { url, expected, found, .. } => {
            let found = format!("digest {found}");
            Error::Tampered { what: what(), url, expected, found }.into()
        }
        http::Error::Size { url, expected, found } => {
            let (expected, found) = (format!("{expected} bytes"), format!("{found} bytes"));
            Error::Tampered { what: what(), url, expected, found }.into()
        }
        http::Error::TooLarge { url, limit } => {
            let (expected, found) = (format!("{limit} bytes"), "more bytes".to_owned());
            Error::Tampered { what: what(), url, expected, found }.into()
        }
        other => other.into(),
    }
}

fn compact(context: &Context, file: &File, path: &str, kept: &Path, url: &str) -> Result<(), error::Error> {
    let output = context.store.temporary_file()?;
    let mut writer = BufWriter::new(&output);
    decompress(file, path)
        .map(|plain| BufReader::with_capacity(256 * 1024, plain.take(LARGEST_INDEX)))
        .and_then(|plain| index::compact(plain, &mut writer))
        .and_then(|()| writer.flush())
        .map_err(|error| match error.kind() {
            io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::UnexpectedEof => {
                error::Error::from(Error::Malformed { url: shown(url), reason: error.to_string() })
            }
            _ => store::Error::io("write", output.path())(error).into(),
        })?;
    drop(writer);
    output.persist(kept).map_err(|error| store::Error::io("create", kept)(error.error))?;
    Ok(())
}

/// What `file` holds, compressed as the end of `path` says.
fn decompress<'a>(file: &'a File, path: &str) -> io::Result<Box<dyn Read + 'a>> {
    let input = BufReader::with_capacity(256 * 1024, file);
    Ok(match path.rsplit_once('.') {
        Some((_, "xz")) => Box::new(xz_alone(input)?),
        Some((_, "gz")) => Box::new(MultiGzDecoder::new(input)),
        _ => Box::new(input),
    })
}
