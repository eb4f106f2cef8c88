//! Image archives: an OCI layout in one tar file, which `docker load` reads as well.
//!
//! `manifest.json` names the config and layers inside `blobs/sha256`, so that both kinds of reader find theirs.
//! Equal images under equal names give equal bytes. A file is replaced when the new one is complete, or not.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use serde_json::json;

use super::Error;
use super::destination::Names;
use super::layout::{self, check, index_entry, persist, temporary_beside};
use crate::oci::image::{Descriptor, Index};
use crate::oci::{Content, Digest, DigestReader, to_canonical_json};
use crate::package::FIXED_TIME;
use crate::package::tar::{Failure, Header, Kind, Writer};
use crate::store::{self, Store};

/// What an archive holds.
pub(super) struct Archived<'a> {
    /// The image, or an index.
    pub content: &'a Content,
    /// Its names. Readers of the OCI form take each as an image of its own, those of docker's as tags of one.
    pub names: &'a [Names],
    /// The blobs that are named and not there, because who reads it has them.
    pub left_out: &'a BTreeSet<Digest>,
}

impl<'a> Archived<'a> {
    /// All of `content`.
    pub(super) fn whole(content: &'a Content, names: &'a [Names]) -> Self {
        static NONE: BTreeSet<Digest> = BTreeSet::new();
        Self { content, names, left_out: &NONE }
    }
}

/// Writes `content` to `file`.
pub(super) fn write(content: &Content, names: &Names, file: &Path, store: &Store) -> Result<(), Error> {
    if file.is_dir() {
        return Err(Error::Format {
            path: file.to_owned(),
            wanted: "a file",
            reason: "a directory is there".to_owned(),
        });
    }
    let mut temporary = temporary_beside(file)?;
    let archived = Archived::whole(content, std::slice::from_ref(names));
    stream(&archived, temporary.as_file_mut(), &Error::io("write", file), store)?;
    persist(temporary, file)
}

/// Writes an archive; `failed` says what it means when `sink` takes no more.
pub(super) fn stream(
    archived: &Archived<'_>,
    sink: impl Write,
    failed: &dyn Fn(io::Error) -> Error,
    store: &Store,
) -> Result<(), Error> {
    let mut archive = Writer::new(BufWriter::with_capacity(128 * 1024, sink));
    let refused = |failure: Failure| match failure {
        Failure::Write(error) | Failure::Read(error) => failed(error),
        Failure::Short => failed(io::ErrorKind::UnexpectedEof.into()),
    };
    for directory in ["blobs", "blobs/sha256"] {
        let header = Header { mode: 0o755, ..header(directory, Kind::Directory) };
        archive.entry(&header, &mut io::empty()).map_err(refused)?;
    }
    let present = |blob: &&Descriptor| !archived.left_out.contains(&blob.digest);
    let mut blobs: Vec<_> =
        archived.content.all().filter(present).map(|blob| (blob.digest, blob.size)).collect();
    blobs.sort_unstable();
    blobs.dedup();
    for (digest, size) in blobs {
        write_blob(&mut archive, digest, size, failed, store)?;
    }
    let mut documents = vec![("index.json", index(archived)?)];
    documents.extend(manifest(archived)?.map(|bytes| ("manifest.json", bytes)));
    documents.push(("oci-layout", layout::MARK.as_bytes().to_vec()));
    for (name, bytes) in documents {
        let header = header(name, Kind::File(bytes.len() as u64));
        archive.entry(&header, &mut &bytes[..]).map_err(refused)?;
    }
    archive.finish().and_then(|mut sink| sink.flush()).map_err(failed)
}

fn header<'a>(path: &'a str, kind: Kind<'a>) -> Header<'a> {
    Header { path, kind, mode: 0o644, uid: 0, gid: 0, mtime: FIXED_TIME }
}

fn write_blob<W: Write>(
    archive: &mut Writer<W>,
    digest: Digest,
    size: u64,
    failed: &dyn Fn(io::Error) -> Error,
    store: &Store,
) -> Result<(), Error> {
    let source = store.blob_path(&digest);
    let blob = File::open(&source).map_err(store::Error::io("read", &source))?;
    let mut reader = DigestReader::new(blob);
    archive.entry(&header(&path_of(&digest), Kind::File(size)), &mut reader).map_err(
        |failure| match failure {
            Failure::Write(error) => failed(error),
            Failure::Read(error) => store::Error::io("read", &source)(error).into(),
            Failure::Short => store::Error::Damaged {
                path: source.clone(),
                reason: format!("it is shorter than {size} bytes"),
            }
            .into(),
        },
    )?;
    check(&source, digest, reader.finish().0)
}

fn path_of(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

fn index(archived: &Archived<'_>) -> Result<Vec<u8>, Error> {
    let Archived { content, names, .. } = archived;
    let manifests = names.iter().map(|names| index_entry(content, names)).collect();
    let index = Index { manifests, ..Index::default() };
    to_canonical_json(&index).map_err(|error| unwritable(content, &error))
}

/// What `docker load` reads, for one image: it knows no platforms
/// (<https://github.com/moby/docker-image-spec/blob/main/spec.md#combined-image-json--filesystem-changeset-format>).
fn manifest(archived: &Archived<'_>) -> Result<Option<Vec<u8>>, Error> {
    let Archived { content, names, .. } = archived;
    let [config, layers @ ..] = &content.blobs[..] else { return Ok(None) };
    if content.is_index() {
        return Ok(None);
    }
    let layers: Vec<_> = layers.iter().map(|layer| path_of(&layer.digest)).collect();
    let tags: Vec<_> = names.iter().filter_map(|names| names.familiar.as_ref()).collect();
    let document = json!([{"Config": path_of(&config.digest), "RepoTags": tags, "Layers": layers}]);
    to_canonical_json(&document).map(Some).map_err(|error| unwritable(content, &error))
}

fn unwritable(content: &Content, error: &serde_json::Error) -> Error {
    Error::Unreadable { what: "manifest", digest: content.root.digest, reason: error.to_string() }
}
