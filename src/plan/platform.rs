//! Platforms: where steps run, where the image runs, and what ecosystems call their architectures.

use serde_json::json;

use super::Error;

/// An architecture under the names that ecosystems have for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Architecture {
    pub(super) platform: &'static str,
    pub(super) debian: &'static str,
    pub(super) npm: &'static str,
    gnu: &'static str,
    go: &'static str,
}

const ARCHITECTURES: [Architecture; 2] = [
    Architecture { platform: "linux/amd64", debian: "amd64", npm: "x64", gnu: "x86_64", go: "amd64" },
    Architecture { platform: "linux/arm64", debian: "arm64", npm: "arm64", gnu: "aarch64", go: "arm64" },
];

/// Where a plan's parts run. Steps never run on an emulator: they run on `build` and make files for `target`.
#[derive(Clone, Debug)]
pub(super) struct Platforms {
    pub(super) target: Architecture,
    pub(super) build: Architecture,
    /// Both, and those of the other images of the same index: a version counts when all of them have it.
    pub(super) all: Vec<Architecture>,
}

impl Platforms {
    /// Looks the names up. `others` may repeat the first two.
    pub(super) fn new(target: &str, build: &str, others: &[String]) -> Result<Self, Error> {
        let (target, build) = (find(target)?, find(build)?);
        let mut all = vec![target];
        for other in std::iter::once(Ok(build)).chain(others.iter().map(|name| find(name))) {
            let other = other?;
            if !all.contains(&other) {
                all.push(other);
            }
        }
        Ok(Self { target, build, all })
    }

    /// Whether steps run on another architecture than the image.
    pub(super) fn is_cross(&self) -> bool {
        self.target != self.build
    }

    /// What buildpacks see as `arch`, for the target `architecture`.
    pub(super) fn scope(&self, architecture: Architecture) -> serde_json::Value {
        let names = |architecture: Architecture| {
            json!({
                "debian": architecture.debian,
                "npm": architecture.npm,
                "gnu": architecture.gnu,
                "go": architecture.go,
            })
        };
        let mut scope = names(architecture);
        scope["platform"] = json!(architecture.platform);
        scope["build"] = names(self.build);
        scope["cross"] = json!(self.is_cross());
        scope
    }

    /// `linux/arm64 and linux/amd64`, for messages.
    pub(super) fn names(&self) -> String {
        self.all.iter().map(|architecture| architecture.platform).collect::<Vec<_>>().join(" and ")
    }
}

fn find(platform: &str) -> Result<Architecture, Error> {
    ARCHITECTURES
        .into_iter()
        .find(|architecture| architecture.platform == platform)
        .ok_or_else(|| Error::Platform { platform: platform.to_owned() })
}
