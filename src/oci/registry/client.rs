//! The client, and what it reads: manifests and blobs of a repository.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use reqwest::Method;
use reqwest::header::{ACCEPT, AUTHORIZATION, RANGE};
use serde_json::Value;
use tempfile::NamedTempFile;

use super::auth::{Access, Tokens};
use super::certificates;
use super::credentials::Credentials;
use super::error::{Error, words};
use super::host::{Repository, Settings};
use super::known;
use super::push::LANES;
use super::session::Session;
use crate::http::{self, Client, Expected, Reply, Request};
use crate::lanes::in_lanes;
use crate::oci::image::{DOCKER_INDEX, DOCKER_MANIFEST, Descriptor, INDEX, MANIFEST};
use crate::oci::{Digest, Reference};
use crate::store::Store;
use crate::ui::{Reporter, Transfer};

/// The largest manifest or index. The specification asks registries to take 4 MiB.
pub(super) const MAX_MANIFEST: u64 = 8 << 20;

/// The most that is read of a blob when only the answer's status matters.
const MAX_ASKED: u64 = 64 << 10;

/// A manifest or index, with its bytes as the registry keeps them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// What it is.
    pub media_type: String,
    /// The digest of the bytes.
    pub digest: Digest,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// Reads from registries and writes to them. Usable from several threads.
#[derive(Debug)]
pub struct Registry {
    client: Client,
    pub(super) settings: Settings,
    pub(super) credentials: Credentials,
    pub(super) tokens: Tokens,
    /// By host: those with certificates have clients of their own.
    clients: Mutex<BTreeMap<String, Client>>,
}

impl Registry {
    /// A client with the machine's credentials.
    pub fn new(client: Client, settings: Settings, credentials: Credentials) -> Self {
        Self { client, settings, credentials, tokens: Tokens::default(), clients: Mutex::default() }
    }

    /// The repository of `reference`, for `access`.
    pub(super) fn session(&self, reference: &Reference, access: Access) -> Session<'_> {
        let mut repository = match access {
            Access::Pull => Repository::of(reference, &self.settings),
            // A mirror serves what it has fetched itself.
            Access::Push { .. } => Repository::itself(reference, &self.settings),
        };
        if certificates::folder(&repository.host, self.credentials.places()).is_some() {
            repository.protect();
        }
        let client = self.client_for(&repository.host);
        Session { registry: self, repository, access, client }
    }

    fn client_for(&self, host: &str) -> Client {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let make = || {
            let tls = certificates::of(host, self.credentials.places());
            if tls.is_empty() { self.client.clone() } else { self.client.with_tls(tls) }
        };
        clients.entry(host.to_owned()).or_insert_with(make).clone()
    }

    /// The manifest or index that `reference` names; a digest in it decides.
    ///
    /// # Errors
    /// When there is none, when it may not be read, or when it is not what it should be.
    pub fn manifest(&self, reference: &Reference) -> Result<Document, Error> {
        self.named(reference, &name(reference), reference.digest())
    }

    /// The manifest or index with this digest in the repository of `reference`.
    ///
    /// # Errors
    /// As [`Registry::manifest`].
    pub fn manifest_by_digest(&self, reference: &Reference, digest: Digest) -> Result<Document, Error> {
        self.named(reference, &digest.to_string(), Some(digest))
    }

    fn named(&self, reference: &Reference, name: &str, digest: Option<Digest>) -> Result<Document, Error> {
        let session = self.session(reference, Access::Pull);
        let request = accepting(session.request(Method::GET, session.repository.manifest(name)));
        let reply = session.ask(&request, MAX_MANIFEST)?;
        match reply.status {
            200 => document(reference, digest, reply),
            404 => Err(Error::Missing {
                host: session.repository.host,
                repository: session.repository.path,
                name: name.to_owned(),
                code: words(&reply.bytes),
            }),
            _ => Err(session.unexpected(&request, &reply)),
        }
    }

    /// The blob in the store; fetched when it is not there.
    ///
    /// # Errors
    /// When it cannot be fetched or has another digest or size.
    pub fn blob(
        &self,
        reference: &Reference,
        descriptor: &Descriptor,
        store: &Store,
        progress: &Transfer,
    ) -> Result<PathBuf, Error> {
        let (digest, size) = (descriptor.digest, descriptor.size);
        if let Some(path) = store.blob(&digest) {
            progress.advance(size);
            return Ok(path);
        }
        Ok(store.keep_blob(self.fetch(reference, descriptor, store, progress)?, &digest)?)
    }

    /// The blob as a temporary file of the store, whether or not the store has it.
    ///
    /// # Errors
    /// As [`Registry::blob`].
    pub fn fetch(
        &self,
        reference: &Reference,
        descriptor: &Descriptor,
        store: &Store,
        progress: &Transfer,
    ) -> Result<NamedTempFile, Error> {
        let (digest, size) = (descriptor.digest, descriptor.size);
        let session = self.session(reference, Access::Pull);
        let request = session.request(Method::GET, session.repository.blob(&digest.to_string()));
        let expected = Expected::Sha256 { digest, size };
        let fetch = || {
            let header = session.header();
            let request = match &header {
                Some(header) => request.clone().with(AUTHORIZATION, header),
                None => request.clone(),
            };
            session.client.fetch_as(&request, &expected, store, progress)
        };
        let fetched = match fetch() {
            // The token has ended, or the first request was answered without one.
            Err(http::Error::Status { code: 401 | 403, .. }) => {
                let first = request.clone().with(RANGE, "bytes=0-0");
                match session.ask(&first, MAX_ASKED) {
                    // A server that knows no ranges sends the blob, so the header is right now.
                    Ok(_) | Err(Error::Http(http::Error::TooLarge { .. })) => {}
                    Err(error) => return Err(error),
                }
                fetch()?
            }
            other => other?,
        };
        Ok(fetched.file)
    }

    /// Fetches the blobs that the store lacks, several at a time, with one progress display called `label`.
    ///
    /// # Errors
    /// The first failure; what was complete by then stays.
    pub fn blobs(
        &self,
        reference: &Reference,
        blobs: &[Descriptor],
        label: &str,
        (store, reporter): (&Store, &Reporter),
    ) -> Result<(), Error> {
        let is_missing = |blob: &&Descriptor| store.blob(&blob.digest).is_none();
        let mut missing: Vec<&Descriptor> = blobs.iter().filter(is_missing).collect();
        // What takes longest comes first, so that nothing long is left when all else is done.
        missing.sort_by_key(|blob| (std::cmp::Reverse(blob.size), blob.digest));
        missing.dedup_by_key(|blob| blob.digest);
        if missing.is_empty() {
            return Ok(());
        }
        let progress = reporter.transfer(label, missing.iter().map(|blob| blob.size).sum());
        let fetched = in_lanes(LANES, &missing, |blob| self.blob(reference, blob, store, &progress));
        progress.finish();
        fetched?;
        known::remember(
            &self.session(reference, Access::Pull).repository,
            blobs.iter().map(|blob| blob.digest),
            store,
        );
        Ok(())
    }
}

/// The tag or digest by which `reference` is asked for.
fn name(reference: &Reference) -> String {
    let tag = || reference.tag().unwrap_or("latest").to_owned();
    reference.digest().map_or_else(tag, |digest| digest.to_string())
}

/// A request for any kind of manifest.
pub(super) fn accepting(request: Request) -> Request {
    let kinds = [INDEX, MANIFEST, DOCKER_INDEX, DOCKER_MANIFEST];
    kinds.into_iter().fold(request, |request, media_type| request.with(ACCEPT, media_type))
}

/// Checks an answer: its digest, and that it is one kind of document only.
fn document(reference: &Reference, expected: Option<Digest>, reply: Reply) -> Result<Document, Error> {
    let wrong = |reason: String| Error::Manifest { reference: reference.to_string(), reason };
    let digest = Digest::of(&reply.bytes);
    let stated = reply.header("docker-content-digest").and_then(|text| text.parse::<Digest>().ok());
    for wanted in [expected, stated].into_iter().flatten() {
        if wanted != digest {
            return Err(wrong(format!("the answer has digest {digest}, expected {wanted}")));
        }
    }
    let content_type = reply.header("content-type").unwrap_or_default();
    let content_type = content_type.split(';').next().unwrap_or_default().trim().to_owned();
    let media_type = media_type(&reply.bytes, Some(&content_type)).map_err(wrong)?;
    Ok(Document { media_type, digest, bytes: reply.bytes })
}

/// What a manifest or index is: what it says itself, else how it was delivered, else by its content. A document that
/// could be read in two ways is refused (CVE-2021-41190).
pub(crate) fn media_type(bytes: &[u8], delivered_as: Option<&str>) -> Result<String, String> {
    let document: Value =
        serde_json::from_slice(bytes).map_err(|error| format!("it is not JSON: {error}"))?;
    if document.get("schemaVersion").and_then(Value::as_u64) != Some(2) {
        return Err(
            "it is not a manifest of version 2; older ones hold no digest of the image's config".to_owned()
        );
    }
    let has = |name: &str| document.get(name).is_some_and(|value| !value.is_null());
    let (is_index, is_manifest) = (has("manifests"), has("layers") || has("config"));
    let natural = match (is_index, is_manifest) {
        (true, true) => return Err("it is a manifest and an index at once".to_owned()),
        (true, false) => INDEX,
        (false, true) => MANIFEST,
        (false, false) => return Err("it is neither a manifest nor an index".to_owned()),
    };
    let known = |text: &&str| [INDEX, MANIFEST, DOCKER_INDEX, DOCKER_MANIFEST].contains(text);
    let stated = document.get("mediaType").and_then(Value::as_str).filter(|text| !text.is_empty());
    if let Some(text) = stated.filter(|text| !known(text)) {
        return Err(format!("its media type is `{text}`"));
    }
    let found = stated.or(delivered_as.filter(known)).unwrap_or(natural);
    if [INDEX, DOCKER_INDEX].contains(&found) != is_index {
        return Err(format!("its media type is `{found}`, but it has another form"));
    }
    Ok(found.to_owned())
}
