//! Engines of this machine: images go into them and come out of them through their own programs, which know where the
//! engine is and who may use it (contexts, `DOCKER_HOST`, ssh, user namespaces).
//!
//! In: an image whose blobs are in the store, as an archive on the program's stdin; docker gets only the layers that it
//! lacks. Out: an archive in a temporary file of the store, which is then read as any other.

mod containers;
mod docker;
mod error;
mod program;

use tempfile::TempPath;

pub use error::{Error, Way};

use super::Tools;
use crate::oci::{Content, Reference};

/// Whose images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// Docker's daemon, through `docker`.
    Docker,
    /// The storage of podman, buildah, skopeo and CRI-O, through `podman` or `skopeo`.
    Containers,
}

impl Engine {
    /// The engine of a kind of destination.
    pub(super) fn named(kind: &str) -> Option<Self> {
        [Self::Docker, Self::Containers].into_iter().find(|engine| engine.kind() == kind)
    }

    /// What stands before the colon of a destination.
    pub(super) fn kind(self) -> &'static str {
        match self {
            Self::Docker => "docker-daemon",
            Self::Containers => "containers-storage",
        }
    }

    /// For messages.
    pub(super) fn place(self) -> &'static str {
        match self {
            Self::Docker => "the docker engine",
            Self::Containers => "the containers storage",
        }
    }
}

/// Puts an image into `engine` under all of `references`, and says what was sent.
///
/// # Errors
/// When there is no such program, when the engine does not answer or refuses, when a blob is damaged.
pub(super) fn put(
    engine: Engine,
    content: &Content,
    references: &[Reference],
    tools: &Tools<'_>,
) -> Result<String, super::Error> {
    match engine {
        Engine::Docker => docker::put(content, references, tools),
        Engine::Containers => containers::put(content, references, tools),
    }
}

/// The image that `reference` names in `engine`, as an archive in a file that is removed when it is dropped.
///
/// # Errors
/// When there is no such program or image, or when the engine does not answer or fails.
pub(super) fn save(
    engine: Engine,
    reference: &Reference,
    tools: &Tools<'_>,
) -> Result<TempPath, super::Error> {
    match engine {
        Engine::Docker => docker::save(&name(reference), tools),
        Engine::Containers => containers::save(reference, tools),
    }
}

/// With the tag that is meant when none is written; a digest decides alone.
fn name(reference: &Reference) -> String {
    if reference.digest().is_some() { reference.to_string() } else { reference.familiar() }
}

/// The names of images, one a line, without those of images that have none.
fn listed(stdout: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(stdout);
    let lines = text.lines().map(str::trim);
    lines.filter(|line| !line.is_empty() && !line.contains("<none>")).map(str::to_owned).collect()
}
