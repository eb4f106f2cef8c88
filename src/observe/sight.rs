//! What was at a path.

use std::ffi::OsString;
use std::fs::{self, File, FileType, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::State;
use crate::oci::{Digest, DigestWriter};

/// A file of the machine that is longer than this many bytes is known by its state alone.
const LARGEST_SETTING: u64 = 1 << 20;

/// What was at a path when somebody looked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Sight {
    /// Nothing.
    #[serde(rename = "-")]
    Absent,
    /// A file: whether its owner may execute it, and its content where that is known.
    #[serde(rename = "f")]
    File(State, bool, Option<Digest>),
    /// A symbolic link with its text, as bytes.
    #[serde(rename = "l")]
    Link(State, Vec<u8>),
    /// A folder, with the digest of [`listing`].
    #[serde(rename = "d")]
    Folder(State, Digest),
    /// Something that no build reads: a pipe, a device, a file that may not be read.
    #[serde(rename = "?")]
    Other,
}

/// What a second look says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// It is as it was.
    Same,
    /// It holds what it held, and looks different from outside: it was touched, copied, or written again.
    Touched(Sight),
    /// It is not the same, or that cannot be told.
    Changed,
}

impl Sight {
    /// What is at `path`, with its content when it is small. Links are followed.
    pub fn of_machine(path: &Path) -> Self {
        let Ok(metadata) = fs::metadata(path) else { return Self::Absent };
        let state = State::of(&metadata);
        if metadata.is_dir() {
            return read_listing(path).map_or(Self::Other, |digest| Self::Folder(state, digest));
        }
        if !metadata.is_file() {
            return Self::Other;
        }
        let digest = (metadata.len() <= LARGEST_SETTING).then(|| content(path).ok()).flatten();
        Self::File(state, is_executable(&metadata), digest)
    }

    /// The sight of a file of which `metadata` tells; its content is not known.
    pub fn of_file(metadata: &Metadata) -> Self {
        Self::File(State::of(metadata), is_executable(metadata), None)
    }

    /// The same with the content of the file at `path`; none when the file is not what was seen any more.
    #[must_use]
    pub fn with_content(&self, path: &Path) -> Option<Self> {
        let Self::File(state, executable, None) = self else { return Some(self.clone()) };
        let digest = content(path).ok()?;
        let after = fs::symlink_metadata(path).ok()?;
        (after.is_file() && State::of(&after) == *state)
            .then(|| Self::File(state.clone(), *executable, Some(digest)))
    }

    /// Whether a later look at the state alone is enough, when this sight was taken at `time`.
    pub fn is_settled(&self, time: i64) -> bool {
        match self {
            Self::File(state, ..) | Self::Link(state, _) | Self::Folder(state, _) => state.is_settled(time),
            Self::Absent | Self::Other => true,
        }
    }

    /// Looks at `path` again. `time` is when this sight was taken, in seconds since 1970. `follows` says whether links
    /// are followed, as [`Sight::of_machine`] does.
    pub fn compare(&self, path: &Path, follows: bool, time: i64) -> Comparison {
        let found = if follows { fs::metadata(path) } else { fs::symlink_metadata(path) };
        let metadata = match found {
            Ok(metadata) => metadata,
            Err(_) if *self == Self::Absent => return Comparison::Same,
            Err(_) => return Comparison::Changed,
        };
        let now = State::of(&metadata);
        let touched = match self {
            Self::Absent | Self::Other => return Comparison::Changed,
            Self::File(state, ..) | Self::Link(state, _) | Self::Folder(state, _)
                if *state == now && state.is_settled(time) && self.is_kind(&metadata) =>
            {
                return Comparison::Same;
            }
            _ if !self.is_kind(&metadata) => return Comparison::Changed,
            Self::File(state, executable, Some(digest)) => {
                let is_same = state.size() == now.size()
                    && *executable == is_executable(&metadata)
                    && content(path).is_ok_and(|found| found == *digest);
                is_same.then(|| Self::File(now.clone(), *executable, Some(*digest)))
            }
            Self::File(_, _, None) => None,
            Self::Link(_, text) => {
                let is_same = fs::read_link(path).is_ok_and(|found| found.as_os_str().as_bytes() == text);
                is_same.then(|| Self::Link(now.clone(), text.clone()))
            }
            Self::Folder(_, digest) => {
                let is_same = read_listing(path).is_ok_and(|found| found == *digest);
                is_same.then(|| Self::Folder(now.clone(), *digest))
            }
        };
        // A look at the content counts only if nobody wrote meanwhile.
        let after = if follows { fs::metadata(path) } else { fs::symlink_metadata(path) };
        match touched {
            Some(sight) if after.is_ok_and(|after| State::of(&after) == now) => Comparison::Touched(sight),
            _ => Comparison::Changed,
        }
    }

    fn is_kind(&self, metadata: &Metadata) -> bool {
        match self {
            Self::File(..) => metadata.is_file(),
            Self::Link(..) => metadata.is_symlink(),
            Self::Folder(..) => metadata.is_dir(),
            Self::Absent | Self::Other => false,
        }
    }
}

/// The digest of what a folder lists: its names, sorted, each with whether it is a folder, a link or neither.
pub fn listing(entries: &[(OsString, FileType)]) -> Digest {
    let mut entries: Vec<_> = entries.iter().collect();
    entries.sort_by(|(a, _), (b, _)| a.cmp(b));
    let mut text = Vec::new();
    for (name, kind) in entries {
        text.extend_from_slice(name.as_bytes());
        let kind = match () {
            () if kind.is_dir() => b'd',
            () if kind.is_symlink() => b'l',
            () => b'f',
        };
        // No name holds these two.
        text.extend_from_slice(&[b'/', kind, 0]);
    }
    Digest::of(&text)
}

fn read_listing(path: &Path) -> io::Result<Digest> {
    let entries = fs::read_dir(path)?.map(|entry| {
        let entry = entry?;
        Ok((entry.file_name(), entry.file_type()?))
    });
    entries.collect::<io::Result<Vec<_>>>().map(|entries| listing(&entries))
}

fn is_executable(metadata: &Metadata) -> bool {
    metadata.mode() & 0o100 != 0
}

/// The digest of a regular file. Nothing waits for a pipe that took its place.
fn content(path: &Path) -> io::Result<Digest> {
    let file = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut hash = DigestWriter::new(io::sink());
    io::copy(&mut io::BufReader::with_capacity(64 * 1024, file), &mut hash)?;
    Ok(hash.finish().1)
}
