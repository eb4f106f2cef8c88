//! What can be wrong with an image for another platform.

use std::io;

use crate::ui::{Diagnose, ExitCode};

/// A package whose native code cannot be had for the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Native {
    /// The package's name in its registry.
    pub name: String,
    /// The version that was installed.
    pub version: String,
    /// Whether it is Python's; else it is npm's.
    pub python: bool,
    /// What shows it.
    pub evidence: String,
}

/// Why an image would not run on its platform.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Packages have native code that must be compiled on the target.
    #[error(
        "{} no native code for {platform}, and it cannot be compiled on {build_platform}",
        subject(.packages)
    )]
    NativeBuild {
        /// The packages, sorted.
        packages: Vec<Native>,
        /// The image's platform.
        platform: String,
        /// Where the steps ran.
        build_platform: String,
    },
    /// Files of the app itself are for another machine.
    #[error("{} of the image cannot run on {platform}", .files.first().map_or("", |file| file))]
    Foreign {
        /// The files.
        files: Vec<String>,
        /// The image's platform.
        platform: String,
        /// Where the steps ran.
        build_platform: String,
    },
    /// A file that ships cannot be read.
    #[error("cannot read `{path}` of the image")]
    Read {
        /// In the image.
        path: String,
        /// The system's answer.
        source: io::Error,
    },
}

/// `` `blake2` 5.0.1 has ``, `` `a` 1, `b` 2 have ``.
fn subject(packages: &[Native]) -> String {
    let names: Vec<String> =
        packages.iter().map(|package| format!("`{}` {}", package.name, package.version)).collect();
    format!("{} {}", names.join(", "), if packages.len() == 1 { "has" } else { "have" })
}

impl Diagnose for Error {
    fn id(&self) -> &'static str {
        match self {
            Self::NativeBuild { .. } => "cross/native-build",
            Self::Foreign { .. } => "cross/foreign-file",
            Self::Read { .. } => "cross/read",
        }
    }

    fn exit(&self) -> ExitCode {
        match self {
            Self::NativeBuild { .. } | Self::Foreign { .. } => ExitCode::BuildStep,
            Self::Read { .. } => ExitCode::Failed,
        }
    }

    fn detail(&self) -> Option<String> {
        match self {
            Self::NativeBuild { packages, .. } => {
                let lines = packages.iter().map(|package| format!("{}: {}", package.name, package.evidence));
                Some(lines.collect::<Vec<_>>().join("\n"))
            }
            Self::Foreign { files, .. } => Some(files.join("\n")),
            Self::Read { .. } => None,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::NativeBuild { packages, platform, build_platform } => {
                let first = packages.first();
                let name = first.map_or("", |package| &package.name);
                let look = if first.is_some_and(|package| package.python) {
                    format!("choose a version with a wheel for {platform}: `pip index versions {name}`")
                } else {
                    format!(
                        "choose a version or package that brings binaries for {platform}: `npm view {name} versions`"
                    )
                };
                vec![look, elsewhere(platform), without(platform, build_platform)]
            }
            Self::Foreign { platform, build_platform, .. } => {
                vec![
                    format!("leave the files out, or let the build make them for {platform}"),
                    elsewhere(platform),
                    without(platform, build_platform),
                ]
            }
            Self::Read { .. } => Vec::new(),
        }
    }
}

fn elsewhere(platform: &str) -> String {
    format!("or build on a machine that is {platform}: `rpack build --platform {platform}`")
}

fn without(platform: &str, build_platform: &str) -> String {
    format!("or leave {platform} out: `rpack build --platform {build_platform}`")
}
