//! Images on their way to a repository: blobs first, several at a time, then what names them, tags last.
//!
//! Invariants: a tag never names what is not there as a whole; nothing is sent that the repository has, or that can be
//! mounted from another one of the registry; of several processes that push the same, one sends a blob and the others
//! wait for it.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use reqwest::Method;
use reqwest::header::CONTENT_TYPE;

use super::auth::Access;
use super::client::{MAX_MANIFEST, Registry, accepting};
use super::error::Error;
use super::host::Repository;
use super::known::{self, Known};
use super::session::Session;
use super::upload::{Sent, Upload, is_present};
use crate::http::{Body, Reply, Request};
use crate::lanes::in_lanes;
use crate::oci::image::Descriptor;
use crate::oci::layout::read_capped;
use crate::oci::{Content, Digest, Reference};
use crate::store::{self, Store};
use crate::ui::{Reporter, Transfer};

/// The most that is read of an answer to a manifest.
const LIMIT: u64 = 64 << 10;
/// Blobs at a time. While a registry puts away what it has of some, others come; more does not help a link that is full,
/// and registries count requests.
pub(super) const LANES: NonZeroUsize = NonZeroUsize::new(6).unwrap();

/// How a push goes about it.
pub struct Way<'a> {
    /// Leads to a file with the bytes; asked only for what is sent.
    pub open: &'a (dyn Fn(&Descriptor) -> Result<PathBuf, Error> + Sync),
    /// Repositories that have some of the blobs, if they are of the same registry.
    pub mounts: &'a [Reference],
    /// Keeps notes on uploads that are under way, and where blobs are.
    pub store: &'a Store,
    /// Is told about it.
    pub reporter: &'a Reporter,
}

/// What a push did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pushed {
    /// Whether all tags named this image already.
    pub is_unchanged: bool,
    /// Blobs that were there.
    pub present: usize,
    /// Blobs that were mounted.
    pub mounted: usize,
    /// Blobs that were uploaded.
    pub uploaded: usize,
    /// Bytes of blobs that were sent.
    pub bytes: u64,
}

impl Registry {
    /// Puts `content` to the repository of `references`, which all name the same one, under their tags; one without tag
    /// and with a digest gets none.
    ///
    /// # Errors
    /// When the registry refuses, or when faults do not pass. What has arrived by then is not sent again by the next push.
    pub fn push(&self, content: &Content, references: &[&Reference], way: &Way<'_>) -> Result<Pushed, Error> {
        let Some(&first) = references.first() else { return Ok(Pushed::default()) };
        let names: BTreeSet<String> = references.iter().map(|reference| tag(reference, content)).collect();
        let repository = Repository::itself(first, &self.settings);
        let known = Known::of(&repository, way.store);
        let stated = way.mounts.iter().map(|other| Repository::of(other, &self.settings));
        let stated = stated
            .filter(|other| other.origin == repository.origin && other.path != repository.path)
            .map(|other| other.path)
            .next();
        let mount = |digest: &Digest| known.elsewhere(digest, &repository).or_else(|| stated.clone());
        let from = content.blobs.iter().filter_map(|blob| mount(&blob.digest)).collect();
        let session = self.session(first, Access::Push { from });
        let missing = missing_names(&session, &names, content.root.digest)?;
        if missing.is_empty() {
            return Ok(Pushed { is_unchanged: true, present: content.blobs.len(), ..Pushed::default() });
        }
        let mut pushed = Pushed { present: content.blobs.len(), ..Pushed::default() };
        if missing.len() == names.len() {
            pushed = blobs(&session, content, &mount, way)?;
            for manifest in &content.manifests {
                if !has_manifest(&session, &manifest.digest.to_string(), manifest.digest)? {
                    put(&session, manifest, &manifest.digest.to_string(), way)?;
                }
            }
        }
        for name in missing {
            put(&session, &content.root, &name, way)?;
        }
        let all = content.blobs.iter().map(|blob| blob.digest);
        known::remember(&session.repository, all, way.store);
        Ok(pushed)
    }
}

/// What `content` is put under for `reference`.
fn tag(reference: &Reference, content: &Content) -> String {
    match (reference.tag(), reference.digest()) {
        (Some(tag), _) => tag.to_owned(),
        (None, Some(_)) => content.root.digest.to_string(),
        (None, None) => "latest".to_owned(),
    }
}

/// Those of `names` under which the repository has something else, or nothing.
fn missing_names(
    session: &Session<'_>,
    names: &BTreeSet<String>,
    digest: Digest,
) -> Result<Vec<String>, Error> {
    let mut missing = Vec::new();
    for name in names {
        if !has_manifest(session, name, digest)? {
            missing.push(name.clone());
        }
    }
    Ok(missing)
}

/// Whether the repository has this manifest under `name`. Some registries answer 403 for what is not there yet.
fn has_manifest(session: &Session<'_>, name: &str, digest: Digest) -> Result<bool, Error> {
    let request = accepting(session.request(Method::HEAD, session.repository.manifest(name)));
    match session.ask(&request, LIMIT) {
        Ok(reply) if reply.status == 200 => {
            if let Some(found) = stated(&reply) {
                return Ok(found == digest);
            }
            // The specification lets a registry leave the digest out.
            let reply = session.ask(&Request { method: Method::GET, ..request }, MAX_MANIFEST)?;
            Ok(reply.status == 200 && Digest::of(&reply.bytes) == digest)
        }
        Ok(_) => Ok(false),
        Err(Error::Refused(refusal)) if refusal.status == 403 => Ok(false),
        Err(error) => Err(error),
    }
}

/// The digest that an answer states.
pub(super) fn stated(reply: &Reply) -> Option<Digest> {
    reply.header("docker-content-digest")?.parse().ok()
}

/// Brings all blobs there.
fn blobs(
    session: &Session<'_>,
    content: &Content,
    mount: &(dyn Fn(&Digest) -> Option<String> + Sync),
    way: &Way<'_>,
) -> Result<Pushed, Error> {
    let mut distinct: Vec<&Descriptor> = content.blobs.iter().collect();
    // What takes longest comes first, so that nothing long is left when all else is done.
    distinct.sort_by_key(|blob| (std::cmp::Reverse(blob.size), blob.digest));
    distinct.dedup_by_key(|blob| blob.digest);
    let journey = Journey { session, way, mount, amount: Amount::new(&distinct, session, way.reporter) };
    let sent = in_lanes(LANES, &distinct, |blob| journey.bring(blob));
    journey.amount.finish();
    let mut pushed = Pushed::default();
    for one in sent? {
        match one {
            Sent::Present => pushed.present += 1,
            Sent::Mounted => pushed.mounted += 1,
            Sent::Uploaded(bytes) => {
                pushed.uploaded += 1;
                pushed.bytes += bytes;
            }
        }
    }
    Ok(pushed)
}

/// Blobs on their way.
struct Journey<'a> {
    session: &'a Session<'a>,
    way: &'a Way<'a>,
    /// Another repository of the registry that may have a blob.
    mount: &'a (dyn Fn(&Digest) -> Option<String> + Sync),
    amount: Amount<'a>,
}

impl Journey<'_> {
    fn bring(&self, blob: &Descriptor) -> Result<Sent, Error> {
        let (session, store, digest, size) = (self.session, self.way.store, blob.digest, blob.size);
        // Who asks under the lock learns of what another process has sent.
        let _lock = store.lock(&format!("upload-{}", session.repository.key(&digest)))?;
        if is_present(session, &digest)? {
            self.amount.lessen(size);
            return Ok(Sent::Present);
        }
        let (from, progress) = ((self.mount)(&digest), self.amount.progress());
        let open = || (self.way.open)(blob);
        Upload { session, digest, size, open: &open, from, store, progress: &progress }.run()
    }
}

/// How much there is to send. The first blob that is missing shows it; those that are found afterwards lessen it.
struct Amount<'a> {
    label: String,
    reporter: &'a Reporter,
    state: Mutex<(u64, Option<Transfer>)>,
}

impl<'a> Amount<'a> {
    fn new(blobs: &[&Descriptor], session: &Session<'_>, reporter: &'a Reporter) -> Self {
        let label = format!("push to {}/{}", session.repository.host, session.repository.path);
        let all = blobs.iter().map(|blob| blob.size).sum();
        Self { label, reporter, state: Mutex::new((all, None)) }
    }

    fn state(&self) -> MutexGuard<'_, (u64, Option<Transfer>)> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lessen(&self, bytes: u64) {
        let (left, progress) = &mut *self.state();
        *left -= bytes;
        if let Some(progress) = progress {
            progress.expect(*left);
        }
    }

    fn progress(&self) -> Transfer {
        let (left, progress) = &mut *self.state();
        progress.get_or_insert_with(|| self.reporter.transfer(&self.label, *left)).clone()
    }

    fn finish(&self) {
        if let Some(progress) = self.state().1.take() {
            progress.finish();
        }
    }
}

/// Puts a manifest or index under `name`.
fn put(session: &Session<'_>, document: &Descriptor, name: &str, way: &Way<'_>) -> Result<(), Error> {
    let path = (way.open)(document)?;
    let bytes = read_capped(&path, document.size).map_err(store::Error::io("read", &path))?;
    put_document(session, &document.media_type, bytes, name).map(drop)
}

/// Puts a document under `name` and returns what the registry said.
pub(super) fn put_document(
    session: &Session<'_>,
    media_type: &str,
    bytes: Vec<u8>,
    name: &str,
) -> Result<Reply, Error> {
    let expected = Digest::of(&bytes);
    let request = session
        .request(Method::PUT, session.repository.manifest(name))
        .with(CONTENT_TYPE, media_type)
        .sending(Body::Bytes(bytes));
    let reply = session.ask(&request, LIMIT)?;
    if !matches!(reply.status, 200..300) {
        return Err(session.unexpected(&request, &reply));
    }
    match stated(&reply) {
        Some(found) if found != expected => {
            Err(Error::Stored { host: session.repository.host.clone(), expected, found })
        }
        _ => Ok(reply),
    }
}
