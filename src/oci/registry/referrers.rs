//! What refers to an image: signatures, bills of materials, provenance
//! (<https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-referrers>).
//!
//! A registry that knows the referrers API keeps the list itself. For any other the list is an index under the tag
//! `sha256-HEX`, which the clients keep: it is read, changed and written, so that of two clients that do so at once the
//! later one wins.

use reqwest::Method;
use reqwest::header::ACCEPT;

use super::auth::{Access, encode};
use super::client::{Document, MAX_MANIFEST, Registry};
use super::error::Error;
use super::push::put_document;
use super::session::Session;
use crate::oci::image::{Descriptor, INDEX, Index};
use crate::oci::{Digest, Reference, to_canonical_json};

/// The pages of a list that are read.
const PAGES: usize = 100;

impl Registry {
    /// What refers to the manifest `digest` in the repository of `reference`; with `kind`, of this artifact type only.
    ///
    /// # Errors
    /// When the registry refuses or its answer is no list.
    pub fn referrers(
        &self,
        reference: &Reference,
        digest: Digest,
        kind: Option<&str>,
    ) -> Result<Vec<Descriptor>, Error> {
        let session = self.session(reference, Access::Pull);
        let found = match from_api(&session, digest, kind)? {
            Some(found) => found,
            None => self.tagged_list(reference, digest)?.manifests,
        };
        let fits = |entry: &Descriptor| kind.is_none_or(|kind| entry.artifact_type.as_deref() == Some(kind));
        Ok(found.into_iter().filter(fits).collect())
    }

    /// Puts a manifest that refers to `subject`, whose blobs are there, and sees to it that it is found.
    ///
    /// # Errors
    /// When the registry refuses it.
    pub fn attach(
        &self,
        reference: &Reference,
        subject: Digest,
        entry: &Descriptor,
        bytes: Vec<u8>,
    ) -> Result<(), Error> {
        let session = self.session(reference, Access::Push { from: std::collections::BTreeSet::new() });
        let name = Digest::of(&bytes).to_string();
        let reply = put_document(&session, &entry.media_type, bytes, &name)?;
        if reply.header("oci-subject").is_some() {
            return Ok(());
        }
        let mut index = self.tagged_list(reference, subject)?;
        if index.manifests.iter().any(|other| other.digest == entry.digest) {
            return Ok(());
        }
        index.manifests.push(entry.clone());
        index.manifests.sort_by_key(|entry| entry.digest);
        let bytes = to_canonical_json(&index).map_err(|error| unreadable(reference, &error.to_string()))?;
        put_document(&session, INDEX, bytes, &fallback_tag(subject)).map(drop)
    }

    /// The list that clients keep.
    fn tagged_list(&self, reference: &Reference, digest: Digest) -> Result<Index, Error> {
        let tagged = reference.with_tag(&fallback_tag(digest));
        let tagged = tagged.map_err(|error| unreadable(reference, &error.to_string()))?;
        match self.manifest(&tagged) {
            Ok(Document { bytes, .. }) => list(reference, &bytes),
            Err(Error::Missing { .. }) => Ok(Index::default()),
            Err(error) => Err(error),
        }
    }
}

/// The list that the registry keeps; none when it keeps none.
fn from_api(
    session: &Session<'_>,
    digest: Digest,
    kind: Option<&str>,
) -> Result<Option<Vec<Descriptor>>, Error> {
    let mut address = session.repository.referrers(&digest.to_string());
    if let Some(kind) = kind {
        address = format!("{address}?{}", encode(&[("artifactType", kind)]));
    }
    let mut found = Vec::new();
    for _ in 0..PAGES {
        let request = session.request(Method::GET, &address).with(ACCEPT, INDEX);
        let reply = session.ask(&request, MAX_MANIFEST)?;
        let is_list = reply.header("content-type").is_some_and(|text| text.starts_with(INDEX));
        match reply.status {
            200 if is_list => {}
            // What registries without the API answer.
            200 | 400 | 404 | 405 | 406 => return Ok(None),
            _ => return Err(session.unexpected(&request, &reply)),
        }
        let index: Index =
            serde_json::from_slice(&reply.bytes).map_err(|_| session.unexpected(&request, &reply))?;
        found.extend(index.manifests);
        match reply.header("link").and_then(next) {
            Some(link) => address = session.repository.follow(&address, link)?,
            None => break,
        }
    }
    Ok(Some(found))
}

/// The address in `<…>; rel="next"`.
fn next(link: &str) -> Option<&str> {
    let (address, rest) = link.strip_prefix('<')?.split_once('>')?;
    rest.replace('"', "").contains("rel=next").then_some(address)
}

fn list(reference: &Reference, bytes: &[u8]) -> Result<Index, Error> {
    serde_json::from_slice(bytes).map_err(|error| unreadable(reference, &error.to_string()))
}

fn unreadable(reference: &Reference, reason: &str) -> Error {
    Error::Manifest { reference: reference.to_string(), reason: format!("its list of referrers: {reason}") }
}

/// <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#referrers-tag-schema>
fn fallback_tag(digest: Digest) -> String {
    format!("sha256-{}", digest.hex())
}

#[cfg(test)]
mod tests {
    use super::next;

    #[test]
    fn the_next_page() {
        assert_eq!(next("</v2/a/referrers/x?n=2>; rel=\"next\""), Some("/v2/a/referrers/x?n=2"));
        assert_eq!(next("</v2/a>; rel=prev"), None);
    }
}
