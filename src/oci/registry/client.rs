//! The requests: manifests and blobs of a repository.

use std::path::PathBuf;

use reqwest::header::{ACCEPT, AUTHORIZATION, RANGE};
use serde_json::Value;

use super::auth::Tokens;
use super::challenge::{self, Challenge};
use super::credentials::{Credentials, Search};
use super::error::{Error, words};
use super::host::{Repository, Settings};
use crate::http::{self, Client, Expected, Reply, Request};
use crate::oci::image::{DOCKER_INDEX, DOCKER_MANIFEST, Descriptor, INDEX, MANIFEST};
use crate::oci::{Digest, Reference};
use crate::store::Store;
use crate::ui::Transfer;

/// The largest manifest or index. The specification asks registries to take 4 MiB.
const MAX_MANIFEST: u64 = 8 << 20;

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

/// Reads from registries. Usable from several threads.
#[derive(Debug)]
pub struct Registry {
    client: Client,
    settings: Settings,
    credentials: Credentials,
    tokens: Tokens,
}

impl Registry {
    /// A client with the machine's credentials.
    pub fn new(client: Client, settings: Settings, credentials: Credentials) -> Self {
        Self { client, settings, credentials, tokens: Tokens::default() }
    }

    /// The manifest or index that `reference` names; a digest in it decides.
    ///
    /// # Errors
    /// When there is none, when it may not be read, or when it is not what it should be.
    pub fn manifest(&self, reference: &Reference) -> Result<Document, Error> {
        let name = reference
            .digest()
            .map_or_else(|| reference.tag().unwrap_or("latest").to_owned(), |digest| digest.to_string());
        self.named(reference, &name, reference.digest())
    }

    /// The manifest or index with this digest in the repository of `reference`.
    ///
    /// # Errors
    /// As [`Registry::manifest`].
    pub fn manifest_by_digest(&self, reference: &Reference, digest: Digest) -> Result<Document, Error> {
        self.named(reference, &digest.to_string(), Some(digest))
    }

    fn named(&self, reference: &Reference, name: &str, digest: Option<Digest>) -> Result<Document, Error> {
        let repository = Repository::of(reference, &self.settings);
        let mut request = Request::get(repository.manifest(name), repository.protection);
        for media_type in [INDEX, MANIFEST, DOCKER_INDEX, DOCKER_MANIFEST] {
            request = request.with(ACCEPT, media_type);
        }
        let reply = self.ask(&repository, &request, MAX_MANIFEST)?;
        match reply.status {
            200 => document(reference, digest, reply),
            404 => Err(Error::Missing {
                host: repository.host,
                repository: repository.path,
                name: name.to_owned(),
                code: words(&reply.bytes),
            }),
            status => Err(Error::Status {
                host: repository.host,
                request: format!("`GET /v2/{}/manifests/{name}`", repository.path),
                status,
                code: words(&reply.bytes),
            }),
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
        let repository = Repository::of(reference, &self.settings);
        let request = Request::get(repository.blob(&digest.to_string()), repository.protection);
        let expected = Expected::Sha256 { digest, size };
        let fetch = || {
            let request = self
                .tokens
                .get(&repository)
                .map_or_else(|| request.clone(), |header| request.clone().with(AUTHORIZATION, &header));
            self.client.fetch_as(&request, &expected, store, progress)
        };
        let fetched = match fetch() {
            // The token has ended, or the first request was answered without one.
            Err(http::Error::Status { code: 401 | 403, .. }) => {
                let first = request.clone().with(RANGE, "bytes=0-0");
                match self.ask(&repository, &first, MAX_ASKED) {
                    // A server that knows no ranges sends the blob, so the header is right now.
                    Ok(_) | Err(Error::Http(http::Error::TooLarge { .. })) => {}
                    Err(error) => return Err(error),
                }
                fetch()?
            }
            other => other?,
        };
        Ok(store.keep_blob(fetched.file, &digest)?)
    }

    /// Sends the request, and once more with what the registry asks for.
    fn ask(&self, repository: &Repository, request: &Request, limit: u64) -> Result<Reply, Error> {
        let known = self.tokens.get(repository);
        let first = match &known {
            Some(header) => request.clone().with(AUTHORIZATION, header),
            None => request.clone(),
        };
        let reply = self.client.ask(&first, limit)?;
        if reply.status != 401 {
            return self.accepted(repository, &request.url, reply);
        }
        let search = self.credentials.find(&repository.host, &repository.path)?;
        let Some(challenge) = challenge::read(&reply.headers) else {
            return Err(refusal(repository, &request.url, &reply, &search));
        };
        let Some(header) = self.answer(&challenge, repository, &search)? else {
            return Err(refusal(repository, &request.url, &reply, &search));
        };
        let reply = self.client.ask(&request.clone().with(AUTHORIZATION, &header), limit)?;
        if matches!(reply.status, 401 | 403) {
            return Err(refusal(repository, &request.url, &reply, &search));
        }
        Ok(reply)
    }

    fn answer(
        &self,
        challenge: &Challenge,
        repository: &Repository,
        search: &Search,
    ) -> Result<Option<String>, Error> {
        self.tokens.answer(challenge, repository, search, &self.client)
    }

    fn accepted(&self, repository: &Repository, url: &str, reply: Reply) -> Result<Reply, Error> {
        if reply.status == 403 {
            let search = self.credentials.find(&repository.host, &repository.path)?;
            return Err(refusal(repository, url, &reply, &search));
        }
        Ok(reply)
    }
}

fn refusal(repository: &Repository, url: &str, reply: &Reply, search: &Search) -> Error {
    let path = url.strip_prefix(repository.origin.as_str()).unwrap_or(url);
    Error::refused(repository, &format!("`GET {path}`"), reply, search)
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
