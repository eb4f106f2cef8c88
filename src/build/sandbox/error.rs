//! Why a sandbox could not run a command, with what to do about it.

use std::io;
use std::path::PathBuf;

use super::channel::{Failure, Stage};
use super::probe::Tier;
use super::remedy::Settings;
use super::spec::Spec;
use crate::ui::{Diagnose, ExitCode};

/// What prevented a command from running. The status of a command that ran is an [`Outcome`](super::Outcome).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The spec contradicts itself.
    #[error("the sandbox cannot run this step: {what}")]
    Invalid {
        /// What is wrong.
        what: String,
    },
    /// This machine does not let the process isolate another one.
    #[error("this machine refuses a sandbox: cannot {operation}: {source}")]
    Refused {
        /// What was tried.
        operation: String,
        /// The kernel's answer.
        source: io::Error,
        /// What is possible here: a weak chroot, which is not used unasked, or nothing.
        tier: Tier,
        /// What to change, most likely cause first.
        remedies: Vec<String>,
    },
    /// The folder that collects results lies where an overlay cannot write.
    #[error("`{}` cannot collect the results of a step: it lies on an overlay file system", path.display())]
    Upper {
        /// The folder.
        path: PathBuf,
    },
    /// A part of the set-up failed.
    #[error("the sandbox cannot {operation}: {source}{detail}")]
    Setup {
        /// What was being done.
        operation: String,
        /// The kernel's answer.
        source: io::Error,
        /// What the kernel said beyond it; begins with a separator unless empty.
        detail: String,
    },
    /// The command does not exist inside.
    #[error("`{command}` was not found in the sandbox{detail}")]
    NotFound {
        /// The command as it was given.
        command: String,
        /// Why, where it is not simply missing; begins with a separator unless empty.
        detail: String,
    },
    /// The command exists and cannot be executed.
    #[error("`{command}` cannot be executed in the sandbox: {source}")]
    NotExecutable {
        /// The file that was tried.
        command: String,
        /// The kernel's answer.
        source: io::Error,
    },
    /// rpack could not start itself again as the sandbox.
    #[error("cannot start `{}` as the sandbox: {source}", executable.display())]
    Start {
        /// The program.
        executable: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The supervising process ended without a word.
    #[error("the process that supervises the sandbox has gone")]
    Lost,
}

impl Error {
    /// The exit status by which shells and container engines report this: 125, 126 or 127.
    pub fn status(&self) -> u8 {
        match self {
            Self::NotFound { .. } => super::NOT_FOUND,
            Self::NotExecutable { .. } => super::NOT_EXECUTABLE,
            _ => super::SETUP_FAILED,
        }
    }

    /// Reads a failure that the sandbox reported.
    pub(super) fn from_failure(failure: Failure, spec: &Spec) -> Self {
        let Failure { operation, errno, detail, stage } = failure;
        let source =
            if errno == 0 { io::Error::other(detail.clone()) } else { io::Error::from_raw_os_error(errno) };
        let detail = if detail.is_empty() || errno == 0 { String::new() } else { format!(" ({detail})") };
        match stage {
            Stage::Exec if matches!(errno, libc::ENOENT | libc::ENOTDIR) => {
                Self::NotFound { command: operation, detail }
            }
            Stage::Exec => Self::NotExecutable { command: operation, source },
            Stage::Namespaces | Stage::Proc if is_refusal(errno) => {
                let settings = Settings::read();
                let remedies = settings.remedies(stage == Stage::Proc);
                Self::Refused { operation, source, tier: settings.weakest(), remedies }
            }
            Stage::Root if errno == libc::EINVAL => match &spec.upper {
                Some(upper) if lies_on_overlay(upper) => Self::Upper { path: upper.clone() },
                _ => Self::Setup { operation, source, detail },
            },
            _ => Self::Setup { operation, source, detail },
        }
    }
}

fn is_refusal(errno: i32) -> bool {
    matches!(errno, libc::EPERM | libc::EACCES | libc::ENOSPC | libc::ENOSYS | libc::EINVAL | libc::EUSERS)
}

fn lies_on_overlay(path: &std::path::Path) -> bool {
    rustix::fs::statfs(path).is_ok_and(|found| found.f_type == libc::OVERLAYFS_SUPER_MAGIC)
}

impl Diagnose for Error {
    fn id(&self) -> &'static str {
        match self {
            Self::Invalid { .. } => "sandbox/invalid",
            Self::Refused { .. } => "sandbox/refused",
            Self::Upper { .. } => "sandbox/upper",
            Self::Setup { .. } => "sandbox/setup",
            Self::NotFound { .. } => "sandbox/not-found",
            Self::NotExecutable { .. } => "sandbox/not-executable",
            Self::Start { .. } => "sandbox/start",
            Self::Lost => "sandbox/lost",
        }
    }

    fn exit(&self) -> ExitCode {
        match self {
            Self::NotFound { .. } | Self::NotExecutable { .. } => ExitCode::BuildStep,
            _ => ExitCode::Failed,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Refused { tier, remedies, .. } => {
                let mut hints = remedies.clone();
                if *tier == Tier::C {
                    hints.push(
                        "only a weak `chroot` would be possible here, in which a step sees the processes and the \
                         network of this machine; rpack does not fall back to it"
                            .to_owned(),
                    );
                }
                hints
            }
            Self::Upper { .. } => vec![super::remedy::UPPER.to_owned()],
            Self::NotFound { detail, .. } if detail.is_empty() => {
                vec![
                    "add the package that contains it to the build packages, or correct the command"
                        .to_owned(),
                ]
            }
            Self::Lost => vec!["see `dmesg` for a process that was killed for lack of memory".to_owned()],
            _ => Vec::new(),
        }
    }
}
