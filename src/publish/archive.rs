//! Image archives: an OCI layout in one tar file, which `docker load` reads as well.
//!
//! `manifest.json` names the config and layers inside `blobs/sha256`, so that both kinds of reader find theirs.
//! Equal images under equal names give equal bytes. A file is replaced when the new one is complete, or not.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use serde_json::json;

use super::Error;
use super::destination::Names;
use super::layout::{self, check, index_entry, persist, temporary_beside};
use crate::oci::image::Index;
use crate::oci::{Content, Digest, DigestReader, to_canonical_json};
use crate::package::FIXED_TIME;
use crate::package::tar::{Failure, Header, Kind, Writer};
use crate::store::{self, Store};

/// Writes `content` to `file`.
pub(super) fn write(content: &Content, names: &Names, file: &Path, store: &Store) -> Result<(), Error> {
    if file.is_dir() {
        return Err(Error::Format {
            path: file.to_owned(),
            wanted: "a file",
            reason: "a directory is there".to_owned(),
        });
    }
    let temporary = temporary_beside(file)?;
    let mut archive = Writer::new(BufWriter::with_capacity(128 * 1024, temporary));
    let failed = |failure: Failure| match failure {
        Failure::Write(error) | Failure::Read(error) => Error::io("write", file)(error),
        Failure::Short => Error::io("write", file)(io::ErrorKind::UnexpectedEof.into()),
    };
    for directory in ["blobs", "blobs/sha256"] {
        let header = Header { mode: 0o755, ..header(directory, Kind::Directory) };
        archive.entry(&header, &mut io::empty()).map_err(failed)?;
    }
    let mut blobs: Vec<_> = content.all().map(|blob| (blob.digest, blob.size)).collect();
    blobs.sort_unstable();
    blobs.dedup();
    for (digest, size) in blobs {
        write_blob(&mut archive, digest, size, file, store)?;
    }
    let mut documents = vec![("index.json", index(content, names)?)];
    documents.extend(manifest(content, names)?.map(|bytes| ("manifest.json", bytes)));
    documents.push(("oci-layout", layout::MARK.as_bytes().to_vec()));
    for (name, bytes) in documents {
        let header = header(name, Kind::File(bytes.len() as u64));
        archive.entry(&header, &mut &bytes[..]).map_err(failed)?;
    }
    let buffered = archive.finish().map_err(Error::io("write", file))?;
    let temporary = buffered.into_inner().map_err(|error| Error::io("write", file)(error.into_error()))?;
    persist(temporary, file)
}

fn header<'a>(path: &'a str, kind: Kind<'a>) -> Header<'a> {
    Header { path, kind, mode: 0o644, uid: 0, gid: 0, mtime: FIXED_TIME }
}

fn write_blob<W: Write>(
    archive: &mut Writer<W>,
    digest: Digest,
    size: u64,
    file: &Path,
    store: &Store,
) -> Result<(), Error> {
    let source = store.blob_path(&digest);
    let blob = File::open(&source).map_err(store::Error::io("read", &source))?;
    let mut reader = DigestReader::new(blob);
    archive.entry(&header(&path_of(&digest), Kind::File(size)), &mut reader).map_err(
        |failure| match failure {
            Failure::Write(error) => Error::io("write", file)(error),
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

fn index(content: &Content, names: &Names) -> Result<Vec<u8>, Error> {
    let index = Index { manifests: vec![index_entry(content, names)], ..Index::default() };
    to_canonical_json(&index).map_err(|error| unwritable(content, &error))
}

/// What `docker load` reads, for one image: it knows no platforms
/// (<https://github.com/moby/docker-image-spec/blob/main/spec.md#combined-image-json--filesystem-changeset-format>).
fn manifest(content: &Content, names: &Names) -> Result<Option<Vec<u8>>, Error> {
    let [config, layers @ ..] = &content.blobs[..] else { return Ok(None) };
    if content.is_index() {
        return Ok(None);
    }
    let layers: Vec<_> = layers.iter().map(|layer| path_of(&layer.digest)).collect();
    let tags: Vec<_> = names.familiar.iter().collect();
    let document = json!([{"Config": path_of(&config.digest), "RepoTags": tags, "Layers": layers}]);
    to_canonical_json(&document).map(Some).map_err(|error| unwritable(content, &error))
}

fn unwritable(content: &Content, error: &serde_json::Error) -> Error {
    Error::Unreadable { what: "manifest", digest: content.root.digest, reason: error.to_string() }
}
