//! OCI layouts, read: a directory with `oci-layout`, `index.json` and `blobs/sha256`, or the same in one tar file
//! (<https://github.com/opencontainers/image-spec/blob/main/image-layout.md>). A tar file may have docker's list instead.
//!
//! In: a path that somebody named. Out: the entries of the index, and blobs as readers. Nothing is trusted: sizes are
//! capped here, digests are checked by whoever brings a blob into the store ([`Place::import`]).

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::Digest;
use super::docker_archive::{self, Blob};
use super::image::{Descriptor, INDEX, Index};
use super::unpack::entries::{Entries, Kind};
use crate::paths::inside;
use crate::store::{self, Store};

pub(crate) const WANTED: &str = "an OCI layout";

/// The largest `index.json` that is read.
const MAX_INDEX: u64 = 16 << 20;

/// The most entries of an archive that are looked at: its blobs and a few documents.
const MAX_MEMBERS: usize = 10_000;

/// How many links lead to a member at most.
const MAX_LINKS: usize = 8;

const WANTED_ARCHIVE: &str = "an image archive";

/// Why a layout or archive cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// A file cannot be read.
    #[error("cannot {action} {path}")]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The directory or file is not what its name promises.
    #[error("{path} is not {wanted}: {reason}")]
    Format {
        /// The directory or file.
        path: PathBuf,
        /// `an OCI layout`, `an image archive`.
        wanted: &'static str,
        /// What was found.
        reason: String,
    },
    /// A blob is not what its descriptor says.
    #[error("blob {digest} cannot be read: {reason}")]
    Blob {
        /// Which.
        digest: Digest,
        /// What is wrong with it.
        reason: String,
    },
}

impl Error {
    fn io(action: &'static str, path: &Path) -> impl Fn(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Io { action, path: path.clone(), source }
    }
}

/// An OCI layout on disk.
#[derive(Clone, Debug)]
pub struct Layout {
    root: PathBuf,
}

/// An image archive: where its members lie in the file.
#[derive(Clone, Debug)]
pub struct Archive {
    path: PathBuf,
    members: BTreeMap<String, (u64, u64)>,
    /// Further names of members: docker writes a layer that several images have once.
    links: BTreeMap<String, String>,
    /// What stands for the index where there is none.
    docker: Option<docker_archive::Read>,
}

/// A place that holds images.
#[derive(Clone, Debug)]
pub enum Place {
    /// A directory.
    Layout(Layout),
    /// A tar file.
    Archive(Archive),
}

impl Layout {
    /// Opens the layout at `root`.
    ///
    /// # Errors
    /// When the directory is not a layout, or of another version.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, Error> {
        let root = root.into();
        let mark = read_capped(&root.join("oci-layout"), 4096).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => format(&root, "it has no file `oci-layout`"),
            _ => Error::io("read", &root.join("oci-layout"))(source),
        })?;
        let version = serde_json::from_slice::<Value>(&mark).ok();
        let version = version.as_ref().and_then(|mark| mark.get("imageLayoutVersion")?.as_str());
        match version {
            Some("1.0.0") => Ok(Self { root }),
            Some(version) => Err(format(&root, &format!("its version is `{version}`, expected `1.0.0`"))),
            None => Err(format(&root, "its file `oci-layout` names no version")),
        }
    }

    /// The directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where the blob with this digest is, or would be.
    pub fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.root.join("blobs/sha256").join(digest.hex())
    }

    /// The entries of the index, in its order.
    pub fn entries(&self) -> Result<Vec<Descriptor>, Error> {
        let path = self.root.join("index.json");
        let index: Index = serde_json::from_value(self.index()?)
            .map_err(|error| format(&self.root, &format!("{}: {error}", path.display())))?;
        Ok(index.manifests)
    }

    /// The index as it is, with whatever other tools wrote into it.
    pub(crate) fn index(&self) -> Result<Value, Error> {
        let path = self.root.join("index.json");
        match read_capped(&path, MAX_INDEX) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map_err(|error| format(&self.root, &format!("{}: {error}", path.display()))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Ok(json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": []}))
            }
            Err(error) => Err(Error::io("read", &path)(error)),
        }
    }
}

impl Archive {
    /// Finds the members of an archive; their content is skipped.
    ///
    /// # Errors
    /// When it is not an archive with an index, or with docker's list in its place.
    pub fn open(path: PathBuf) -> Result<Self, Error> {
        let file = File::open(&path).map_err(Error::io("read", &path))?;
        let mut entries = Entries::new(io::BufReader::new(file));
        let mut archive = Self { path, members: BTreeMap::new(), links: BTreeMap::new(), docker: None };
        let mut count = 0;
        while let Some(found) =
            entries.next().map_err(|error| archive.not(format!("`{}` {}", error.path, error.reason)))?
        {
            count += 1;
            if count > MAX_MEMBERS {
                return Err(archive.not(format!("it has more than {MAX_MEMBERS} files")));
            }
            match found.kind {
                Kind::File => drop(archive.members.insert(found.path, (entries.position(), found.size))),
                Kind::HardLink(target) => drop(archive.links.insert(found.path, target)),
                Kind::Symlink(target) => {
                    let folder = found.path.rsplit_once('/').map_or("", |(folder, _)| folder);
                    let target = inside(folder, &target);
                    archive.links.extend(target.map(|target| (found.path, target)));
                }
                Kind::Directory | Kind::Other => {}
            }
        }
        if !archive.members.contains_key("index.json") {
            if !archive.members.contains_key(docker_archive::NAME) {
                return Err(archive.not("it has no file `index.json` and no `manifest.json`".to_owned()));
            }
            archive.docker = Some(docker_archive::read(&archive)?);
        }
        Ok(archive)
    }

    /// A member and its size.
    pub(super) fn member(&self, name: &str) -> Result<(io::Take<File>, u64), Error> {
        let (position, size) = self.find(name).ok_or_else(|| self.not(format!("it has no file `{name}`")))?;
        let mut file = File::open(&self.path).map_err(self.failed())?;
        file.seek(SeekFrom::Start(position)).map_err(self.failed())?;
        Ok((file.take(size), size))
    }

    fn find(&self, name: &str) -> Option<(u64, u64)> {
        let mut name = inside("", name)?;
        for _ in 0..MAX_LINKS {
            if let Some(found) = self.members.get(&name) {
                return Some(*found);
            }
            name.clone_from(self.links.get(&name)?);
        }
        None
    }

    /// The entries of the index, in its order.
    pub fn entries(&self) -> Result<Vec<Descriptor>, Error> {
        if let Some(docker) = &self.docker {
            return Ok(docker.entries.clone());
        }
        let mut bytes = Vec::new();
        let mut member = self.member("index.json")?.0.take(MAX_INDEX);
        member.read_to_end(&mut bytes).map_err(self.failed())?;
        let index: Index =
            serde_json::from_slice(&bytes).map_err(|error| self.not(format!("index.json: {error}")))?;
        Ok(index.manifests)
    }

    fn blob(&self, digest: &Digest) -> Result<Box<dyn Read>, Error> {
        let known = self.docker.as_ref().and_then(|docker| docker.blobs.get(digest));
        Ok(match known {
            Some(Blob::Document(bytes)) => Box::new(io::Cursor::new(bytes.clone())),
            Some(Blob::Member(name)) => Box::new(self.member(name)?.0),
            None => Box::new(self.member(&format!("blobs/sha256/{}", digest.hex()))?.0),
        })
    }

    /// What makes it no archive of images.
    pub(super) fn not(&self, reason: String) -> Error {
        Error::Format { path: self.path.clone(), wanted: WANTED_ARCHIVE, reason }
    }

    /// For `map_err` when it is read.
    pub(super) fn failed(&self) -> impl Fn(io::Error) -> Error + use<> {
        Error::io("read", &self.path)
    }
}

impl Place {
    /// The directory or file.
    pub fn path(&self) -> &Path {
        match self {
            Self::Layout(layout) => layout.root(),
            Self::Archive(archive) => &archive.path,
        }
    }

    /// The entries of the index, in its order.
    pub fn entries(&self) -> Result<Vec<Descriptor>, Error> {
        match self {
            Self::Layout(layout) => layout.entries(),
            Self::Archive(archive) => archive.entries(),
        }
    }

    fn open(&self, digest: &Digest) -> Result<(Box<dyn Read>, PathBuf), Error> {
        match self {
            Self::Layout(layout) => {
                let path = layout.blob_path(digest);
                let file = File::open(&path).map_err(Error::io("read", &path))?;
                Ok((Box::new(file), path))
            }
            Self::Archive(archive) => Ok((archive.blob(digest)?, archive.path.clone())),
        }
    }

    /// The blob in the store; copied there, checked, when it is missing.
    pub fn import(&self, descriptor: &Descriptor, store: &Store) -> Result<PathBuf, Error> {
        let (digest, size) = (descriptor.digest, descriptor.size);
        if let Some(path) = store.blob(&digest)
            && fs::metadata(&path).is_ok_and(|found| found.len() == size)
        {
            return Ok(path);
        }
        let (reader, place) = self.open(&digest)?;
        let (found, length) = store.put_blob(reader.take(size.saturating_add(1)))?;
        if length != size {
            let reason = format!("it has not the {size} bytes that are stated for it");
            return Err(Error::Blob { digest, reason });
        }
        if found != digest {
            let what = place.display().to_string();
            return Err(store::Error::Mismatch { what, expected: digest, found }.into());
        }
        Ok(store.blob_path(&digest))
    }
}

fn format(root: &Path, reason: &str) -> Error {
    Error::Format { path: root.to_owned(), wanted: WANTED, reason: reason.to_owned() }
}

/// Reads a file of at most `limit` bytes.
pub(crate) fn read_capped(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(io::Error::other(format!("it is larger than {limit} bytes")));
    }
    Ok(bytes)
}
