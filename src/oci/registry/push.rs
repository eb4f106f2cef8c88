//! Images on their way to a repository: blobs first, several at a time, then what names them, tags last.
//!
//! Invariants: a tag never names what is not there as a whole; nothing is sent that the repository has, or that can be
//! mounted from another one of the registry; of several processes that push the same, one sends a blob and the others
//! wait for it.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

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
use crate::oci::image::Descriptor;
use crate::oci::layout::read_capped;
use crate::oci::{Content, Digest, Reference};
use crate::store::{self, Store};
use crate::ui::Reporter;

/// The most that is read of an answer to a manifest.
const LIMIT: u64 = 64 << 10;
/// Requests at a time. More does not help a link that is full, and registries count them.
const LANES: usize = 4;

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
        let stated: Vec<String> = stated
            .filter(|other| other.origin == repository.origin && other.path != repository.path)
            .map(|other| other.path)
            .collect();
        let mounts = |digest: &Digest| {
            let mut from = known.elsewhere(digest, &repository);
            from.extend(stated.iter().filter(|path| !from.contains(path)).cloned().collect::<Vec<_>>());
            from
        };
        let from = content.blobs.iter().filter_map(|blob| mounts(&blob.digest).into_iter().next()).collect();
        let session = self.session(first, Access::Push { from });
        let missing = missing_names(&session, &names, content.root.digest)?;
        if missing.is_empty() {
            return Ok(Pushed { is_unchanged: true, present: content.blobs.len(), ..Pushed::default() });
        }
        let mut pushed = Pushed { present: content.blobs.len(), ..Pushed::default() };
        if missing.len() == names.len() {
            pushed = blobs(&session, content, &mounts, way)?;
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
    mounts: &(dyn Fn(&Digest) -> Vec<String> + Sync),
    way: &Way<'_>,
) -> Result<Pushed, Error> {
    let mut distinct: Vec<&Descriptor> = Vec::new();
    for blob in &content.blobs {
        if !distinct.iter().any(|other| other.digest == blob.digest) {
            distinct.push(blob);
        }
    }
    let present = in_lanes(&distinct, |blob| is_present(session, &blob.digest))?;
    let mut missing: Vec<&Descriptor> =
        distinct.iter().zip(&present).filter(|(_, present)| !**present).map(|(blob, _)| *blob).collect();
    let mut pushed = Pushed { present: distinct.len() - missing.len(), ..Pushed::default() };
    if missing.is_empty() {
        return Ok(pushed);
    }
    // What takes longest comes first, so that nothing long is left when all else is done.
    missing.sort_by_key(|blob| std::cmp::Reverse(blob.size));
    let label = format!("push to {}/{}", session.repository.host, session.repository.path);
    let progress = way.reporter.transfer(&label, missing.iter().map(|blob| blob.size).sum());
    let bring = |blob: &&Descriptor| {
        let repository = &session.repository;
        let key = format!("{}/{}@{}", repository.origin, repository.path, blob.digest);
        let (_lock, waited) =
            way.store.lock_noting(&format!("upload-{}", Digest::of(key.as_bytes()).hex()))?;
        // Another process may have sent it since it was asked for.
        let may_be_there = || Known::of(repository, way.store).here(&blob.digest, repository);
        if (waited || may_be_there()) && is_present(session, &blob.digest)? {
            return Ok(Sent::Present);
        }
        let from = mounts(&blob.digest);
        let open = || (way.open)(blob);
        let (digest, size, store) = (blob.digest, blob.size, way.store);
        let upload = Upload { session, digest, size, open: &open, from: &from, store, progress: &progress };
        let sent = upload.run()?;
        known::remember(repository, [digest], store);
        Ok(sent)
    };
    let sent = in_lanes(&missing, bring);
    progress.finish();
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

/// The results of `work` for all items, in their order. After the first failure nothing new begins; that one is returned.
pub(super) fn in_lanes<I: Sync, R: Send>(
    items: &[I],
    work: impl Fn(&I) -> Result<R, Error> + Sync,
) -> Result<Vec<R>, Error> {
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<(usize, R)>> = Mutex::default();
    let failure: Mutex<Option<Error>> = Mutex::default();
    let lane = || {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(at) else { return };
            match work(item) {
                Ok(result) => done.lock().unwrap_or_else(PoisonError::into_inner).push((at, result)),
                Err(error) => {
                    next.store(items.len(), Ordering::Relaxed);
                    failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                }
            }
        }
    };
    thread::scope(|scope| {
        for _ in 1..LANES.min(items.len()) {
            scope.spawn(lane);
        }
        lane();
    });
    if let Some(error) = failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(error);
    }
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(at, _)| *at);
    Ok(done.into_iter().map(|(_, result)| result).collect())
}
