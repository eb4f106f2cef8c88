//! The sockets on which a process and its descendants listen, from `/proc`
//! (<https://man7.org/linux/man-pages/man5/proc_pid_net.5.html>).

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::net::SocketAddr;

use procfs::net::TcpState;
use procfs::process::{self, FDTarget};

/// Addresses of sockets that listen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listening {
    addresses: BTreeSet<SocketAddr>,
}

impl Listening {
    /// Whether anything listens.
    pub fn is_empty(&self) -> bool {
        self.addresses.is_empty()
    }

    /// Whether programs outside of the container reach something on `port`.
    pub fn has(&self, port: u16) -> bool {
        self.outside().any(|open| open == port)
    }

    /// The lowest port that programs outside of the container reach.
    pub fn first(&self) -> Option<u16> {
        self.outside().min()
    }

    fn outside(&self) -> impl Iterator<Item = u16> {
        self.addresses.iter().filter(|address| !address.ip().is_loopback()).map(SocketAddr::port)
    }
}

impl std::fmt::Display for Listening {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let texts: Vec<String> = self.addresses.iter().map(SocketAddr::to_string).collect();
        formatter.write_str(&texts.join(", "))
    }
}

/// Where the descendants of the process `root` listen. What may not be looked at is left out.
pub fn listening(root: i32) -> Listening {
    let Ok(all) = process::all_processes() else { return Listening::default() };
    let mut children: BTreeMap<i32, Vec<process::Process>> = BTreeMap::new();
    for process in all.flatten() {
        if let Ok(stat) = process.stat() {
            children.entry(stat.ppid).or_default().push(process);
        }
    }
    let mut inodes = HashSet::new();
    let mut waiting = vec![root];
    let mut found = Listening::default();
    while let Some(parent) = waiting.pop() {
        for process in children.remove(&parent).unwrap_or_default() {
            waiting.push(process.pid);
            for descriptor in process.fd().into_iter().flatten().flatten() {
                if let FDTarget::Socket(inode) = descriptor.target {
                    inodes.insert(inode);
                }
            }
            // It may have a network of its own.
            let tables = [process.tcp(), process.tcp6()];
            let sockets = tables.into_iter().flatten().flatten();
            let open =
                sockets.filter(|socket| socket.state == TcpState::Listen && inodes.contains(&socket.inode));
            found.addresses.extend(open.map(|socket| socket.local_address));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use super::*;

    #[test]
    fn only_what_is_reached_from_outside_counts() {
        let addresses = ["127.0.0.1:5000", "[::1]:5001", "0.0.0.0:9001", "[::]:9000"];
        let found =
            Listening { addresses: addresses.iter().map(|address| address.parse().unwrap()).collect() };
        assert_eq!((found.has(5000), found.has(5001), found.has(9000)), (false, false, true));
        assert_eq!(found.first(), Some(9000));
        assert_eq!(found.to_string(), "0.0.0.0:9001, 127.0.0.1:5000, [::]:9000, [::1]:5001");
    }

    #[test]
    fn sockets_of_descendants_are_found_and_no_others() {
        let ours = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let program = "import socket, sys; s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen(); \
                       print(s.getsockname()[1], flush=True); sys.stdin.read()";
        let mut child = std::process::Command::new("python3")
            .args(["-c", program])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let output = child.stdout.take().unwrap();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(output), &mut line).unwrap();
        let found = listening(i32::try_from(std::process::id()).unwrap()).to_string();
        child.kill().unwrap();
        child.wait().unwrap();
        let addresses: Vec<&str> = found.split(", ").collect();
        assert!(addresses.contains(&&*format!("127.0.0.1:{}", line.trim())), "{found}");
        assert!(!addresses.contains(&&*ours.local_addr().unwrap().to_string()), "{found}");
    }
}
