//! The last moments of the process that becomes the command.
//!
//! In: the spec, prepared as C strings and filters while everything is still allowed. Out: the command, or the
//! [`Failure`] that prevented it.

use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::process::Signal;
use seccompiler::BpfProgram;

use super::channel::{During as _, Failure, Stage};
use super::spec::Spec;
use super::{identity, kernel, seccomp};

/// A command ready to be executed.
#[derive(Debug)]
pub(super) struct Step<'a> {
    spec: &'a Spec,
    filters: Vec<BpfProgram>,
    arguments: Vec<CString>,
    environment: Vec<CString>,
}

impl<'a> Step<'a> {
    /// Prepares the command; `pretend_ids` answers changes of owner and user with success.
    pub(super) fn prepare(spec: &'a Spec, pretend_ids: bool) -> Result<Self, Failure> {
        let text = |text: String| {
            CString::new(text).map_err(io::Error::from).during(Stage::Exec, || "pass a NUL byte".to_owned())
        };
        Ok(Self {
            spec,
            filters: seccomp::filters(pretend_ids)?,
            arguments: spec.argv.iter().cloned().map(text).collect::<Result<_, _>>()?,
            environment: spec
                .env
                .iter()
                .map(|(name, value)| text(format!("{name}={value}")))
                .collect::<Result<_, _>>()?,
        })
    }

    /// Becomes the command; returns only if that failed.
    pub(super) fn become_it(&self) -> Failure {
        match self.try_become() {
            Ok(never) => match never {},
            Err(failure) => failure,
        }
    }

    fn try_become(&self) -> Result<std::convert::Infallible, Failure> {
        // Already a session leader where the command is process 1.
        let _ = rustix::process::setsid();
        kernel::reset_signals();
        identity::assume(self.spec.uid, self.spec.gid)?;
        // Changing the user clears it.
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
            .during(Stage::Other, || "set the parent death signal".to_owned())?;
        rustix::process::chdir(self.spec.directory.as_str())
            .during(Stage::Other, || format!("change to `{}`", self.spec.directory))?;
        // rpack opens its own descriptors that way; these are the ones that it inherited itself.
        kernel::close_on_exec().during(Stage::Other, || "close inherited descriptors".to_owned())?;
        rustix::thread::set_no_new_privs(true).during(Stage::Other, || "set `no_new_privs`".to_owned())?;
        seccomp::install(&self.filters)?;
        Err(self.execute())
    }

    /// Tries the places where the command may be, as `execvp` does.
    fn execute(&self) -> Failure {
        let name = self.spec.argv.first().map_or("", String::as_str);
        let mut refused = None;
        for program in self.candidates(name) {
            let Ok(path) = CString::new(program.as_os_str().as_bytes()) else { continue };
            let error = kernel::execute(&path, &self.arguments, &self.environment);
            match error.raw_os_error().map(Errno::from_raw_os_error) {
                // The file is there, so it is its interpreter that is not.
                Some(Errno::NOENT) if program.exists() => {
                    return exec_failure(&program, &error, "its interpreter or loader does not exist");
                }
                Some(Errno::NOENT | Errno::NOTDIR) => {}
                Some(Errno::ACCESS) => refused = Some((program, error)),
                _ => return exec_failure(&program, &error, ""),
            }
        }
        match refused {
            Some((program, error)) => exec_failure(&program, &error, ""),
            None => exec_failure(Path::new(name), &Errno::NOENT.into(), ""),
        }
    }

    fn candidates(&self, name: &str) -> Vec<PathBuf> {
        if name.contains('/') {
            return vec![PathBuf::from(name)];
        }
        let search = self.spec.env.get("PATH").map_or("", String::as_str);
        search
            .split(':')
            .filter(|folder| !folder.is_empty())
            .map(|folder| Path::new(folder).join(name))
            .collect()
    }
}

fn exec_failure(program: &Path, error: &io::Error, detail: &str) -> Failure {
    Failure {
        operation: program.display().to_string(),
        errno: error.raw_os_error().unwrap_or_default(),
        detail: detail.to_owned(),
        stage: Stage::Exec,
    }
}
