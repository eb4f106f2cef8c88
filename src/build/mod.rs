//! Building: a plan, a source and the trees it names in; the finished work tree out.
//!
//! Every step runs in its own sandbox over read-only lowers: the results of the steps before it, the source
//! files it declares, the toolchains, the build root. What it writes is its result, kept under a key over all
//! that it could have read, so a step whose inputs did not change is not run again.

mod engine;
mod halt;
mod host;
mod key;
pub mod made;
mod pip_settings;
pub mod sandbox;
mod secret;

use std::path::Path;
use std::sync::Arc;

pub use engine::{Engine, Ground, KEPT, PRIVATE, laid};
pub use halt::Halt;
pub use host::Host;
pub use secret::{Secret, Secrets};

use crate::oci::Digest;
use crate::plan::{Advised, Failed, Plan};
use crate::source::Source;
use crate::store::{self, Tree};
use crate::ui::{Diagnose, ExitCode};

/// What the steps made.
#[derive(Clone, Debug)]
pub struct Work {
    /// The source below `app/` with the results of all steps over it, in order.
    pub tree: Tree,
    /// One per step.
    pub steps: Vec<StepResult>,
}

/// How a step ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepResult {
    /// The step's id.
    pub id: String,
    /// The key its result is kept under.
    pub key: Digest,
    /// Whether the result was there already.
    pub cached: bool,
}

/// A step that has ended while others have not.
#[derive(Clone, Debug)]
pub struct Ended {
    /// The step's id.
    pub id: String,
    /// Whether its result was there already.
    pub cached: bool,
    /// Its result.
    pub tree: Arc<Tree>,
}

/// Hears of steps that have ended.
pub type Listener<'a> = dyn Fn(&[Ended]) + Sync + 'a;

/// Why a build failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A step's command ended with an error.
    #[error("step `{}` failed: `{command}` {ended}", .failed.step)]
    Step {
        /// Its command, as one would type it.
        command: String,
        /// `exited with status 1`, `was ended by signal 9`.
        ended: String,
        /// The step, with its last lines of output.
        failed: Box<Failed>,
        /// The folder that was built.
        source_root: Box<Path>,
        /// What its output points at.
        advised: Box<Advised>,
    },
    /// The user interrupted the build, or something else has failed meanwhile.
    #[error("interrupted while `{step}` was running; finished steps are kept")]
    Interrupted {
        /// The step's id.
        step: String,
    },
    /// The sandbox could not be set up.
    #[error(transparent)]
    Sandbox(#[from] sandbox::Error),
    /// The store could not be read or written.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The source could not be read.
    #[error(transparent)]
    Source(#[from] crate::source::Error),
    /// The build root could not be made.
    #[error(transparent)]
    Root(#[from] crate::rootfs::Error),
    /// A secret is wanted as a variable and is no text.
    #[error("the secret `{id}` is wanted as a variable, and its value is no text")]
    SecretNotText {
        /// Its id.
        id: String,
    },
    /// A step wrote a secret into its result.
    #[error("step `{step}` wrote the secret `{id}` into `{path}`")]
    SecretKept {
        /// The step's id.
        step: String,
        /// The secret's id.
        id: String,
        /// The file.
        path: String,
    },
    /// The plan's steps run on another kind of machine.
    #[error("the steps of this plan run on {wanted}, and this machine is {machine}")]
    OtherMachine {
        /// The plan's build platform.
        wanted: String,
        /// What this machine is.
        machine: &'static str,
    },
    /// The plan names a toolchain that it does not define.
    #[error("the plan ships `{name}` but has no toolchain of that name")]
    UnknownToolchain {
        /// The name.
        name: String,
    },
}

impl Diagnose for Error {
    fn id(&self) -> &'static str {
        match self {
            Self::Step { advised, .. } => advised.id.unwrap_or("build/step"),
            Self::Interrupted { .. } => "build/interrupted",
            Self::Sandbox(error) => error.id(),
            Self::Store(error) => error.id(),
            Self::Source(error) => error.id(),
            Self::Root(error) => error.id(),
            Self::SecretNotText { .. } => "secret/not-text",
            Self::SecretKept { .. } => "secret/kept",
            Self::OtherMachine { .. } => "build/other-machine",
            Self::UnknownToolchain { .. } => "plan/toolchain",
        }
    }

    fn exit(&self) -> ExitCode {
        match self {
            Self::Step { .. } | Self::SecretKept { .. } => ExitCode::BuildStep,
            Self::Interrupted { .. } => ExitCode::Interrupted,
            Self::Sandbox(error) => error.exit(),
            Self::Store(error) => error.exit(),
            Self::Source(error) => error.exit(),
            Self::Root(error) => error.exit(),
            Self::OtherMachine { .. } | Self::UnknownToolchain { .. } | Self::SecretNotText { .. } => {
                ExitCode::Usage
            }
        }
    }

    fn detail(&self) -> Option<String> {
        match self {
            Self::Step { failed, .. } if !failed.output.is_empty() => Some(failed.output.join("\n")),
            Self::Sandbox(error) => error.detail(),
            Self::Root(error) => error.detail(),
            _ => None,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Step { failed, source_root, advised, .. } => {
                let mut hints = advised.hints.clone();
                if hints.is_empty() {
                    let text = "the lines above are the command's own last output: mend what they name";
                    hints.push(text.to_owned());
                }
                hints.push(format!(
                    "run it again, from this step on: `rpack build {}` (the steps before `{}` are kept)",
                    source_root.display(),
                    failed.step
                ));
                hints
            }
            Self::Interrupted { .. } | Self::SecretNotText { .. } => Vec::new(),
            Self::SecretKept { .. } => vec![
                "the result was thrown away; find out which program writes it, and keep it from that"
                    .to_owned(),
            ],
            Self::Sandbox(error) => error.hints(),
            Self::Store(error) => error.hints(),
            Self::Source(error) => error.hints(),
            Self::Root(error) => error.hints(),
            Self::OtherMachine { .. } => {
                vec![
                    "make the plan anew on this machine, with the same `--platform`: `rpack plan --json`"
                        .to_owned(),
                ]
            }
            Self::UnknownToolchain { .. } => vec!["make the plan anew: `rpack plan --json`".to_owned()],
        }
    }
}

impl Error {
    /// Adds what `read` makes of the step that failed.
    #[must_use]
    pub fn with_advice(mut self, read: impl FnOnce(&Failed) -> Advised) -> Self {
        if let Self::Step { failed, advised, .. } = &mut self {
            **advised = read(failed);
        }
        self
    }
}

/// Refuses a plan whose steps need another machine than this one, `machine`: nothing is emulated.
pub fn check_machine(plan: &Plan, machine: &'static str) -> Result<(), Error> {
    if plan.steps.is_empty() || plan.build_platform == machine {
        return Ok(());
    }
    Err(Error::OtherMachine { wanted: plan.build_platform.clone(), machine })
}

/// Runs the steps of `plan`, several at once where they do not need each other.
pub fn build(plan: &Plan, source: &Source, engine: &Engine<'_>) -> Result<Work, Error> {
    engine.run(plan, source)
}
