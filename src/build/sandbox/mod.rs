//! Running one command in isolation, without a daemon, without root, without another program.
//!
//! In: a [`Spec`]. Out: a [`Running`] command, then an [`Outcome`]; in `upper` what it wrote.
//!
//! Four processes take part, the last three being this program executed anew so that it has one thread:
//! 1. the caller, which may have threads ([`Sandbox::spawn`]);
//! 2. the supervisor, in the new user, mount, ipc, uts and network namespaces, outside of the new process ids;
//! 3. the first process inside, which makes the view (`/`, `/proc`, `/dev`, `/tmp`, binds) and reaps;
//! 4. the command, without capabilities beyond the usual ones of a container's root and behind a system call
//!    filter. With [`Spec::pid_one`] it takes the place of 3.
//!
//! Each end leads to the end of all: the supervisor sees its channel to the caller close, the first process is
//! killed with the supervisor, and the kernel kills all others with the first process.
//!
//! Where only a single user id exists (an ordinary user without a range of subordinate ids) changes of owner and
//! user are answered with success and not done, so package managers work; owners in an image come from elsewhere.
//! Linux 5.12 or later is needed.

mod channel;
mod devices;
mod error;
mod identity;
mod init;
mod kernel;
mod network;
mod parent;
mod probe;
mod remedy;
mod resolve;
mod restore;
mod root;
mod seccomp;
mod signals;
mod spec;
mod step;
mod supervisor;
mod view;

use std::io::Write as _;
use std::os::fd::OwnedFd;

pub use error::Error;
pub use parent::{Handle, Outcome, Running, Sandbox};
pub use probe::{Check, Probe, Tier, tier};
pub use resolve::resolve_in_root;
pub use rustix::process::Signal;
pub use spec::{Bind, Isolation, Output, Overlay, SecretFiles, Spec, Stdin, Tmpfs};

use channel::{Channel, Job};

/// The name under which the program is executed anew.
const PROGRAM: &str = "rpack-sandbox";

/// Exit status of a sandbox that could not be set up.
pub const SETUP_FAILED: u8 = 125;
/// Exit status for a command that cannot be executed.
pub const NOT_EXECUTABLE: u8 = 126;
/// Exit status for a command that does not exist.
pub const NOT_FOUND: u8 = 127;

/// Must be called first in `main`, before any thread: does not return if this process is to be a sandbox.
pub fn reenter() {
    if std::env::args_os().next().is_some_and(|name| name == PROGRAM) {
        kernel::leave(serve())
    }
}

fn serve() -> i32 {
    let taken = take_control();
    let received = taken.and_then(|control| {
        let (job, stdin) = control.receive_job()?;
        if let Some(stdin) = stdin {
            rustix::stdio::dup2_stdin(&stdin)?;
        }
        Ok((control, job))
    });
    match received {
        Ok((control, Job::Run(spec))) => supervisor::run(&control, &spec),
        Ok((control, Job::Probe(check, folder))) => probe::perform(&control, check, &folder),
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "`{PROGRAM}` is started by rpack itself: {error}");
            i32::from(SETUP_FAILED)
        }
    }
}

/// The channel arrives as standard input, which then becomes `/dev/null`.
fn take_control() -> std::io::Result<Channel> {
    let control: OwnedFd = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)?;
    rustix::stdio::dup2_stdin(std::fs::File::open("/dev/null")?)?;
    Ok(Channel::from_descriptor(control))
}
