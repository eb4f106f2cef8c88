//! The sandbox's own network: one loopback interface, and connections into it from outside.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType};

use super::kernel;

/// How long a connection may take: the peer is on the same machine.
const PATIENCE: Timespec = Timespec { tv_sec: 2, tv_nsec: 0 };

/// Brings `lo` up.
pub(super) fn raise_loopback() -> io::Result<()> {
    kernel::interface_up("lo")
}

/// A socket connected to `port` on the loopback of the present network namespace; IPv4 first, then IPv6.
pub(super) fn connect(port: u16) -> rustix::io::Result<OwnedFd> {
    let v4 = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let v6 = SocketAddr::from((Ipv6Addr::LOCALHOST, port));
    connect_to(AddressFamily::INET, v4)
        .or_else(|first| connect_to(AddressFamily::INET6, v6).map_err(|_| first))
}

fn connect_to(family: AddressFamily, address: SocketAddr) -> rustix::io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
    match rustix::net::connect(&socket, &address) {
        Ok(()) => {}
        Err(Errno::INPROGRESS) => {
            let mut waiting = [PollFd::new(&socket, PollFlags::OUT)];
            if rustix::io::retry_on_intr(|| poll(&mut waiting, Some(&PATIENCE)))? == 0 {
                return Err(Errno::TIMEDOUT);
            }
            rustix::net::sockopt::socket_error(&socket)??;
        }
        Err(errno) => return Err(errno),
    }
    rustix::io::ioctl_fionbio(&socket, false)?;
    Ok(socket)
}
