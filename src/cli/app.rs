//! The arguments that describe an app, shared by the commands that read one.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::thread;

use clap::Args;

use super::{Failure, boxed};
use crate::config::Flag;
use crate::oci::Reference;
use crate::pipeline::{App, Error, machine};
use crate::plan::Plan;

/// An app and what the command line says about it; each flag stands above the environment and `rpack.toml`.
#[derive(Args, Debug)]
pub(super) struct AppArguments {
    /// The folder of the app
    #[arg(default_value = ".", value_name = "PATH")]
    pub(super) path: PathBuf,
    #[command(flatten)]
    pub(super) settings: Settings,
    #[command(flatten)]
    platforms: Platforms,
}

/// What images are made for.
#[derive(Args, Debug)]
struct Platforms {
    /// Make the image for another platform, or an index for several: linux/amd64,linux/arm64 [default: this machine's]
    #[arg(long = "platform", value_name = "PLATFORM", value_delimiter = ',')]
    platforms: Vec<String>,
}

/// How much is done at once.
#[derive(Args, Debug)]
pub(super) struct JobsArguments {
    /// Run at most N steps at the same time; the image is the same for any N [default: number of processors]
    #[arg(long, short, value_name = "N")]
    jobs: Option<NonZeroUsize>,
}

impl JobsArguments {
    /// The number of steps at the same time.
    pub(super) fn count(&self) -> NonZeroUsize {
        self.jobs.unwrap_or_else(|| thread::available_parallelism().unwrap_or(NonZeroUsize::MIN))
    }
}

/// Configuration by flag.
#[derive(Args, Debug)]
pub(super) struct Settings {
    /// The app's folder below PATH, such as `apps/web` of a workspace
    #[arg(long, value_name = "DIR")]
    app: Option<String>,
    /// The app's name; the default tag is NAME:latest [default: the folder's name]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Build as this language instead of detecting one
    #[arg(long, value_name = "ID")]
    language: Option<String>,
    /// The command that starts the app
    #[arg(long, value_name = "COMMAND")]
    start: Option<String>,
    /// The process that the image starts, such as `worker` of the Procfile
    #[arg(long, value_name = "NAME")]
    process: Option<String>,
    /// The command that builds the app, instead of the ecosystem's own
    #[arg(long, value_name = "COMMAND")]
    build_command: Option<String>,
    /// The Go program to build, when there are several: its folder or the last part of it
    #[arg(long = "target", value_name = "NAME")]
    go_target: Option<String>,
    /// How layers are compressed: gzip, zstd or zstd:LEVEL [default: gzip]
    #[arg(long, value_name = "FORMAT")]
    compression: Option<String>,
    /// Whose media types the image has: oci, or docker for what reads nothing newer [default: oci]
    #[arg(long, value_name = "FORMAT")]
    media_types: Option<String>,
    /// Add a label, which is an annotation as well; without a value it is left out
    #[arg(long = "label", value_name = "KEY=VALUE")]
    labels: Vec<String>,
    /// Add an annotation to manifest and index that is no label; without a value it is left out
    #[arg(long = "annotation", value_name = "KEY=VALUE")]
    annotations: Vec<String>,
    /// Set any key of rpack.toml, such as `runtime.node.version=22`
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Make every guess an error
    #[arg(long)]
    strict: bool,
    /// Refuse to build when `rpack.lock` does not fit the app [env: `RPACK_LOCKED`]
    #[arg(long)]
    locked: bool,
}

impl AppArguments {
    /// Whether the command line says which platforms.
    pub(super) fn names_platforms(&self) -> bool {
        !self.platforms.platforms.is_empty()
    }

    /// The app as the pipeline wants it.
    pub(super) fn app(&self) -> Result<App, Error> {
        let mut app = self.settings.app(self.path.clone())?;
        for platform in &self.platforms.platforms {
            if self.platforms.platforms.iter().filter(|other| *other == platform).count() > 1 {
                return Err(boxed(Failure::Argument {
                    flag: "--platform",
                    value: self.platforms.platforms.join(","),
                    expected: "each platform is named once, such as `--platform linux/amd64,linux/arm64`",
                }));
            }
        }
        if !self.platforms.platforms.is_empty() {
            app.platforms.clone_from(&self.platforms.platforms);
        }
        Ok(app)
    }
}

impl Settings {
    /// The process that is asked for.
    pub(super) fn process(&self) -> Option<&str> {
        self.process.as_deref()
    }

    /// The app at `path` with these settings.
    pub(super) fn app(&self, path: PathBuf) -> Result<App, Error> {
        let mut flags = Vec::new();
        let named = [
            ("name", "--name", &self.name),
            ("language", "--language", &self.language),
            ("start.command", "--start", &self.start),
            ("start.process", "--process", &self.process),
            ("build.command", "--build-command", &self.build_command),
            ("go.target", "--target", &self.go_target),
            ("image.compression", "--compression", &self.compression),
            ("image.media-types", "--media-types", &self.media_types),
        ];
        for (key, flag, value) in named {
            if let Some(value) = value {
                flags.push(set(key, flag, value));
            }
        }
        for text in &self.labels {
            let example = "it takes KEY=VALUE, such as `--label org.opencontainers.image.vendor=Acme`";
            flags.push(pair("image.labels", "--label", text, example)?);
        }
        for text in &self.annotations {
            let example = "it takes KEY=VALUE, such as `--annotation org.opencontainers.image.vendor=Acme`";
            flags.push(pair("image.annotations", "--annotation", text, example)?);
        }
        if self.strict {
            flags.push(set("strict", "--strict", "true"));
        }
        if self.locked {
            flags.push(set("locked", "--locked", "true"));
        }
        for setting in &self.set {
            let (key, value) = setting.split_once('=').ok_or_else(|| {
                boxed(Failure::Argument {
                    flag: "--set",
                    value: setting.clone(),
                    expected: "it takes KEY=VALUE, such as `--set image.user=1000:1000`",
                })
            })?;
            flags.push(set(key, &format!("--set {key}"), value));
        }
        Ok(App { path, app: self.app.clone(), flags, platforms: vec![machine().to_owned()] })
    }
}

/// The tag of an image when none is given.
pub(super) fn tag(plan: &Plan) -> Reference {
    format!("{}:latest", plan.name).parse().expect("a plan's name is a repository component")
}

/// An entry of an open table, whose key may contain dots.
fn pair(table: &str, flag: &'static str, text: &str, expected: &'static str) -> Result<Flag, Error> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok(set(&format!("{table}.{key}"), flag, value)),
        _ => Err(boxed(Failure::Argument { flag, value: text.to_owned(), expected })),
    }
}

fn set(key: &str, name: &str, value: &str) -> Flag {
    Flag { key: key.to_owned(), name: name.to_owned(), value: value.to_owned() }
}
