//! Messages between the processes of a sandbox: JSON over a socket pair that keeps message boundaries.
//!
//! In and out: one value per message, with descriptors attached to it. A peer that has gone reads as the end.
//! Both ends are rpack itself; a message that does not parse is an error, never a panic.

use std::io::{self, IoSlice, IoSliceMut, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::probe::Check;
use super::spec::Spec;

/// Longest message; jobs, which may be longer, travel in a memory file.
const LONGEST: usize = 64 * 1024;

/// What the re-executed process is asked to do; comes first, in an attached memory file.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Job {
    /// Run a command.
    Run(Box<Spec>),
    /// Try what this machine allows.
    Probe(Check, PathBuf),
}

/// What the caller asks of a running sandbox later. The answer goes to the attached socket.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Request {
    /// A descriptor connected to this port of the sandbox's own loopback.
    Connect(u16),
}

/// What happened, sent towards the caller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Report {
    /// Paths, relative to the root, that were made in `upper` to mount on; parents first.
    MountPoints(Vec<PathBuf>),
    /// The command was executed; the process id is that of the sandbox's first process.
    Started(i32),
    /// The command ended with an exit status or by a signal.
    Exited(Ending),
    /// It could not be started.
    Failed(Failure),
    /// A probe's answer: passed, and what was seen.
    Probed(bool, String),
    /// A connection that was asked for: 0 with the descriptor attached, or the error number.
    Connected(i32),
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Ending {
    /// Exit status.
    Status(i32),
    /// Signal number.
    Signal(i32),
}

/// A step of the set-up that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Failure {
    /// What was being done, as it continues `cannot`: ``mount `/proc` ``.
    pub(super) operation: String,
    /// The kernel's error number.
    pub(super) errno: i32,
    /// What the kernel said beyond it.
    pub(super) detail: String,
    /// The part of the set-up.
    pub(super) stage: Stage,
}

/// The part of the set-up in which something failed; decides how the caller goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Stage {
    /// Entering namespaces.
    Namespaces,
    /// A fresh `/proc`.
    Proc,
    /// The root file system out of lowers and upper.
    Root,
    /// Anything else before the command is executed.
    Other,
    /// Executing the command.
    Exec,
}

/// Names the operation that a system call was part of.
pub(super) trait During<T> {
    /// Turns an error number into a [`Failure`].
    fn during(self, stage: Stage, operation: impl FnOnce() -> String) -> Result<T, Failure>;
}

impl<T> During<T> for rustix::io::Result<T> {
    fn during(self, stage: Stage, operation: impl FnOnce() -> String) -> Result<T, Failure> {
        self.map_err(|errno| Failure {
            operation: operation(),
            errno: errno.raw_os_error(),
            detail: String::new(),
            stage,
        })
    }
}

impl<T> During<T> for io::Result<T> {
    fn during(self, stage: Stage, operation: impl FnOnce() -> String) -> Result<T, Failure> {
        self.map_err(|error| Failure {
            operation: operation(),
            errno: error.raw_os_error().unwrap_or_default(),
            detail: if error.raw_os_error().is_some() { String::new() } else { error.to_string() },
            stage,
        })
    }
}

/// One end of the socket pair.
#[derive(Debug)]
pub(super) struct Channel(OwnedFd);

impl Channel {
    /// Two connected ends, both closed on exec.
    pub(super) fn pair() -> io::Result<(Self, Self)> {
        let (one, other) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        Ok((Self(one), Self(other)))
    }

    /// Takes over an inherited end.
    pub(super) fn from_descriptor(descriptor: OwnedFd) -> Self {
        Self(descriptor)
    }

    /// Gives the descriptor away, to be inherited by a child.
    pub(super) fn into_descriptor(self) -> OwnedFd {
        self.0
    }

    /// Sends one message. A peer that has gone is an error, not a signal.
    pub(super) fn send<T: Serialize>(&self, message: &T, attached: &[BorrowedFd<'_>]) -> io::Result<()> {
        let bytes = serde_json::to_vec(message)?;
        if bytes.len() > LONGEST {
            return Err(io::Error::other("a message between sandbox processes is too long"));
        }
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if !attached.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(attached)) {
            return Err(io::Error::other("too many descriptors in one message"));
        }
        sendmsg(&self.0, &[IoSlice::new(&bytes)], &mut ancillary, SendFlags::NOSIGNAL)?;
        Ok(())
    }

    /// The next message; none when the peer has gone.
    pub(super) fn receive<T: DeserializeOwned>(&self) -> io::Result<Option<(T, Vec<OwnedFd>)>> {
        let mut bytes = vec![0; LONGEST];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let received = rustix::io::retry_on_intr(|| {
            recvmsg(&self.0, &mut [IoSliceMut::new(&mut bytes)], &mut ancillary, RecvFlags::CMSG_CLOEXEC)
        });
        let length = match received {
            Ok(received) => received.bytes,
            Err(rustix::io::Errno::CONNRESET) => 0,
            Err(errno) => return Err(errno.into()),
        };
        if length == 0 {
            return Ok(None);
        }
        let mut attached = Vec::new();
        for message in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(descriptors) = message {
                attached.extend(descriptors);
            }
        }
        let value = serde_json::from_slice(bytes.get(..length).unwrap_or_default())?;
        Ok(Some((value, attached)))
    }

    /// Sends the job in a memory file, with the standard input it shall have.
    pub(super) fn send_job(&self, job: &Job, stdin: Option<BorrowedFd<'_>>) -> io::Result<()> {
        let memory = rustix::fs::memfd_create("sandbox", rustix::fs::MemfdFlags::CLOEXEC)?;
        let mut file = std::fs::File::from(memory);
        file.write_all(&serde_json::to_vec(job)?)?;
        let mut attached = vec![file.as_fd()];
        attached.extend(stdin);
        self.send(&(), &attached)
    }

    /// Receives the job and the standard input.
    pub(super) fn receive_job(&self) -> io::Result<(Job, Option<OwnedFd>)> {
        let Some(((), attached)) = self.receive()? else {
            return Err(io::ErrorKind::UnexpectedEof.into());
        };
        let mut attached = attached.into_iter();
        let Some(memory) = attached.next() else {
            return Err(io::Error::other("the job is missing"));
        };
        let mut file = std::fs::File::from(memory);
        io::Seek::rewind(&mut file)?;
        Ok((serde_json::from_reader(io::BufReader::new(file))?, attached.next()))
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_keep_their_boundaries_and_descriptors() {
        let (one, other) = Channel::pair().unwrap();
        let file = std::fs::File::open("/dev/null").unwrap();
        one.send(&Report::Started(7), &[file.as_fd()]).unwrap();
        one.send(&Report::Exited(Ending::Signal(9)), &[]).unwrap();
        let (first, attached) = other.receive::<Report>().unwrap().unwrap();
        assert_eq!((first, attached.len()), (Report::Started(7), 1));
        let (second, attached) = other.receive::<Report>().unwrap().unwrap();
        assert_eq!((second, attached.len()), (Report::Exited(Ending::Signal(9)), 0));
        drop(one);
        assert!(other.receive::<Report>().unwrap().is_none());
    }

    #[test]
    fn a_job_longer_than_a_message_arrives_whole() {
        let (one, other) = Channel::pair().unwrap();
        let mut spec = Spec::new(vec!["/".into()], vec!["true".to_owned()]);
        spec.env.insert("LONG".to_owned(), "x".repeat(3 * LONGEST));
        one.send_job(&Job::Run(Box::new(spec.clone())), None).unwrap();
        let (Job::Run(received), None) = other.receive_job().unwrap() else { panic!("another job") };
        assert_eq!(*received, spec);
    }
}
