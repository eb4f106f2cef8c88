//! A started program and plain HTTP requests to it.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// How long an app may take until it answers; generous, because tests run beside each other.
const START: Duration = Duration::from_secs(60);
/// How long it may take to end after SIGTERM.
const STOP: Duration = Duration::from_secs(10);

/// A running program, killed when dropped.
pub(crate) struct Server(Option<Child>);

/// A port that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

impl Server {
    /// Starts the command with its output kept.
    pub(crate) fn start(mut command: Command) -> Self {
        Self(Some(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()))
    }

    /// The status and body of `GET path`, asked until the program answers.
    #[track_caller]
    pub(crate) fn get(&mut self, port: u16, path: &str) -> (u16, String) {
        let start = Instant::now();
        loop {
            if let Some(answer) = get(port, path) {
                return answer;
            }
            let child = self.0.as_mut().unwrap();
            if let Some(status) = child.try_wait().unwrap() {
                let output = self.0.take().unwrap().wait_with_output().unwrap();
                panic!(
                    "ended with {status} before it answered:\n{}",
                    String::from_utf8_lossy(&output.stderr)
                );
            }
            assert!(start.elapsed() < START, "no answer on port {port} within {START:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Sends SIGTERM and waits for the end.
    #[track_caller]
    pub(crate) fn terminate(mut self) -> Output {
        let child = self.0.take().unwrap();
        let pid = child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        let start = Instant::now();
        let mut child = child;
        while child.try_wait().unwrap().is_none() {
            if start.elapsed() > STOP {
                child.kill().unwrap();
                let output = child.wait_with_output().unwrap();
                panic!("still running {STOP:?} after SIGTERM:\n{}", String::from_utf8_lossy(&output.stderr));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        child.wait_with_output().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn get(port: u16, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let status = answer.split(' ').nth(1)?.parse().ok()?;
    Some((status, answer.split_once("\r\n\r\n")?.1.to_owned()))
}
