//! What can go wrong between rpack and an engine.

use std::io;
use std::time::Duration;

use super::Engine;
use crate::ui::{Diagnose, ExitCode};

/// Which way the image was to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Into the engine.
    In,
    /// Out of it.
    Out,
}

/// Why an image did not get into an engine, or out of it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no program to ask.
    #[error("`{}:` needs {} on PATH", .engine.kind(), programs(*.engine))]
    Missing {
        /// The engine that was asked for.
        engine: Engine,
        /// What was to be done.
        way: Way,
    },
    /// The program cannot be started.
    #[error("`{program}` cannot be started")]
    Start {
        /// Its name.
        program: &'static str,
        /// The system's answer.
        source: io::Error,
    },
    /// The program is there, and the engine is not.
    #[error("{} does not answer `{command}`: {reason}", .engine.place())]
    Silent {
        /// The engine that was asked.
        engine: Engine,
        /// What was asked.
        command: String,
        /// What was to be done.
        way: Way,
        /// What the program said.
        reason: String,
    },
    /// The engine refused.
    #[error("`{command}` failed: {reason}")]
    Refused {
        /// The engine that was asked.
        engine: Engine,
        /// What was to be done.
        way: Way,
        /// What was tried.
        command: String,
        /// What the program said last.
        reason: String,
        /// All that it said, when that is more.
        output: Option<String>,
    },
    /// The program ended before it had read all.
    #[error("the image cannot be written to the engine's program")]
    Pipe {
        /// The system's answer.
        source: io::Error,
    },
    /// The program did not end.
    #[error("`{command}` did not end within {} seconds", .patience.as_secs())]
    Late {
        /// What was asked.
        command: String,
        /// How long was waited.
        patience: Duration,
    },
    /// What the engine gives out does not end.
    #[error("`{command}` gives more than {limit} bytes")]
    Large {
        /// What was asked.
        command: String,
        /// The most that is taken.
        limit: u64,
    },
    /// An old engine does not know the compression.
    #[error("docker {version} reads no layers that are compressed with zstd, and this image has some")]
    Compression {
        /// The engine's version.
        version: String,
    },
    /// Docker's engine is given one image.
    #[error("`docker-daemon:` takes one platform, and this image has {}: {}", .platforms.len(), .platforms.join(", "))]
    OnePlatform {
        /// The image's platforms.
        platforms: Vec<String>,
    },
}

fn programs(engine: Engine) -> &'static str {
    match engine {
        Engine::Docker => "the program `docker`",
        Engine::Containers => "the program `podman` or `skopeo`",
    }
}

/// The way without the engine, beside another: by a file.
fn or_by_file(engine: Engine, way: Way) -> String {
    format!("or {}", by_file(engine, way))
}

/// The way without the engine: by a file.
fn by_file(engine: Engine, way: Way) -> String {
    match (engine, way) {
        (Engine::Docker, Way::In) => {
            "write a file, and load it where docker is: `-o docker-archive:image.tar`, then \
             `docker load -i image.tar`"
        }
        (Engine::Docker, Way::Out) => {
            "save it to a file where docker is, `docker save -o image.tar NAME`, and read \
             `docker-archive:image.tar`"
        }
        (Engine::Containers, Way::In) => {
            "write a file, and load it where podman is: `-o oci-archive:image.tar`, then \
             `podman load -i image.tar`"
        }
        (Engine::Containers, Way::Out) => {
            "save it to a file where podman is, `podman save --format oci-archive -o image.tar NAME`, and \
             read `oci-archive:image.tar`"
        }
    }
    .to_owned()
}

impl Diagnose for Error {
    fn id(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "publish/no-engine",
            Self::Silent { .. } | Self::Late { .. } => "publish/engine-silent",
            Self::Start { .. } | Self::Refused { .. } | Self::Pipe { .. } | Self::Large { .. } => {
                "publish/engine"
            }
            Self::Compression { .. } => "publish/compression",
            Self::OnePlatform { .. } => "publish/one-platform",
        }
    }

    fn exit(&self) -> ExitCode {
        match self {
            Self::Missing { .. } | Self::Compression { .. } | Self::OnePlatform { .. } => ExitCode::Usage,
            _ => ExitCode::Failed,
        }
    }

    fn detail(&self) -> Option<String> {
        match self {
            Self::Refused { output, .. } => output.clone(),
            _ => None,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Missing { engine: Engine::Docker, way } => {
                vec!["install docker's client: `apt-get install docker-cli`".to_owned(), or_by_file(Engine::Docker, *way)]
            }
            Self::Missing { engine, way } => {
                vec!["install podman: `apt-get install podman`".to_owned(), or_by_file(*engine, *way)]
            }
            Self::Silent { engine: Engine::Docker, way, .. } => vec![
                "start it, or name the one that is meant: `docker context use NAME` or `DOCKER_HOST=unix:///run/docker.sock`"
                    .to_owned(),
                or_by_file(Engine::Docker, *way),
            ],
            Self::Silent { engine, way, .. } => vec![or_by_file(*engine, *way)],
            Self::Refused { engine, way, .. } => {
                vec![format!("try it by hand: {}", by_file(*engine, *way))]
            }
            Self::Compression { .. } => vec![
                "docker reads them since version 23".to_owned(),
                "or compress with gzip, unless the layers are the base image's: `--compression gzip`".to_owned(),
            ],
            Self::OnePlatform { platforms } => vec![
                "build the engine's own: `--platform linux/amd64`"
                    .replace("linux/amd64", platforms.first().map_or("linux/amd64", String::as_str)),
                "or push all of them to a registry, from where docker pulls its own: `-o docker://REFERENCE`"
                    .to_owned(),
            ],
            _ => Vec::new(),
        }
    }
}
