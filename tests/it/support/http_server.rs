//! A web server in this process: files by path, with faults on demand.

use std::collections::BTreeMap;
use std::io::{BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use super::http_head::Head;

/// What a request meets instead of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// This status; 429 and 503 ask to come back at once.
    Status(u16),
    /// The connection breaks after so many bytes of the body.
    BreakAfter(usize),
    /// A server that knows no ranges answers with the whole file.
    IgnoreRange,
    /// The connection is reset, not closed, after so many bytes of the body.
    ResetAfter(usize),
    /// The body comes byte by byte with this pause.
    Drip(Duration),
    /// The answer states this length instead of the body's.
    Length(usize),
    /// The file is elsewhere: at this path or address.
    Redirect(String),
    /// The body is packed for the journey, whether the client asked for it or not.
    Gzip,
}

#[derive(Debug, Default)]
struct State {
    files: BTreeMap<String, Vec<u8>>,
    faults: BTreeMap<String, Vec<Fault>>,
    requests: Vec<String>,
    /// The header `Authorization` that paths below a prefix ask for.
    guards: BTreeMap<String, String>,
}

/// A running server; it ends with the process.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl Server {
    /// Starts a server without files on a free port of the loopback interface.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("the loopback interface has free ports");
        let server = Self {
            address: listener.local_addr().expect("a bound socket has an address"),
            state: Arc::default(),
        };
        let state = server.state.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = state.clone();
                thread::spawn(move || answer(stream, &state));
            }
        });
        server
    }

    /// The address without a slash at the end.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Serves `bytes` at `path`, which begins with a slash.
    pub(crate) fn put(&self, path: &str, bytes: impl Into<Vec<u8>>) {
        self.lock().files.insert(path.to_owned(), bytes.into());
    }

    /// Serves nothing at `path` any more.
    pub(crate) fn remove(&self, path: &str) {
        self.lock().files.remove(path);
    }

    /// The bytes served at `path`.
    pub(crate) fn get(&self, path: &str) -> Vec<u8> {
        self.lock().files[path].clone()
    }

    /// The next requests for `path` meet these faults, one each.
    pub(crate) fn fail(&self, path: &str, faults: &[Fault]) {
        self.lock().faults.insert(path.to_owned(), faults.iter().rev().cloned().collect());
    }

    /// Answers requests for paths that begin with `prefix` only when they have this header `Authorization`.
    pub(crate) fn guard(&self, prefix: &str, authorization: &str) {
        self.lock().guards.insert(prefix.to_owned(), authorization.to_owned());
    }

    /// The requests so far: path, and the range where one was asked for. Forgets them.
    pub(crate) fn take_requests(&self) -> Vec<String> {
        std::mem::take(&mut self.lock().requests)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn answer(stream: TcpStream, state: &Mutex<State>) {
    let Ok(copy) = stream.try_clone() else { return };
    let Some(head) = Head::read(&mut BufReader::new(copy)) else { return };
    let path = head.target.clone();
    let range =
        head.header("range").and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
    let (file, fault) = {
        let mut state = state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let guard = state.guards.iter().find(|(prefix, _)| path.starts_with(prefix.as_str()));
        if guard.is_some_and(|(_, wanted)| head.header("authorization") != Some(wanted.as_str())) {
            state.requests.push(format!("{path} without credential"));
            drop(state);
            let _ = refuse(stream);
            return;
        }
        state
            .requests
            .push(range.map_or_else(|| path.clone(), |start: usize| format!("{path} from {start}")));
        let fault = state.faults.get_mut(&path).and_then(Vec::pop);
        (state.files.get(&path).cloned(), fault)
    };
    // A client that goes away early is part of the tests.
    let _ = respond(stream, file, fault.as_ref(), range, head.header("if-none-match"));
}

fn refuse(mut stream: TcpStream) -> std::io::Result<()> {
    write!(
        stream,
        "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"packages\"\r\nContent-Length: 0\r\nConnection: \
         close\r\n\r\n"
    )
}

fn respond(
    mut stream: TcpStream,
    file: Option<Vec<u8>>,
    fault: Option<&Fault>,
    range: Option<usize>,
    known: Option<&str>,
) -> std::io::Result<()> {
    if let Some(Fault::Status(code)) = fault {
        return write!(
            stream,
            "HTTP/1.1 {code} Fault\r\nRetry-After: 0\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
    }
    if let Some(Fault::Redirect(target)) = fault {
        return write!(
            stream,
            "HTTP/1.1 302 Found\r\nLocation: {target}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
    }
    let Some(file) = file else {
        return write!(stream, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    };
    let etag = format!(
        "\"{}-{}\"",
        file.len(),
        file.iter().fold(0_u64, |sum, byte| sum.wrapping_mul(31) + u64::from(*byte))
    );
    if known == Some(etag.as_str()) {
        return write!(stream, "HTTP/1.1 304 Not Modified\r\nConnection: close\r\n\r\n");
    }
    let start = range.filter(|start| fault != Some(&Fault::IgnoreRange) && *start < file.len());
    // Installers of Python want to know what a page is.
    let page = if file.starts_with(b"<!DOCTYPE html>") { "Content-Type: text/html\r\n" } else { "" };
    let packed = (fault == Some(&Fault::Gzip)).then(|| gzip(&file));
    let encoding = if packed.is_some() { "Content-Encoding: gzip\r\n" } else { "" };
    let body = packed.as_deref().unwrap_or(&file[start.unwrap_or(0)..]);
    let status = match start {
        Some(start) => {
            format!("206 Partial Content\r\nContent-Range: bytes {start}-{}/{}", file.len() - 1, file.len())
        }
        None => "200 OK".to_owned(),
    };
    write!(
        stream,
        "HTTP/1.1 {status}\r\nETag: {etag}\r\n{page}{encoding}Content-Length: {}\r\nConnection: close\r\n\r\n",
        if let Some(Fault::Length(length)) = fault { *length } else { body.len() }
    )?;
    match fault {
        Some(Fault::BreakAfter(count)) => stream.write_all(&body[..(*count).min(body.len())]),
        Some(Fault::ResetAfter(count)) => {
            stream.write_all(&body[..(*count).min(body.len())])?;
            // What was sent must arrive before the reset throws the rest away.
            thread::sleep(Duration::from_millis(50));
            rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO))?;
            Ok(())
        }
        Some(Fault::Drip(pause)) => body.iter().try_for_each(|byte| {
            thread::sleep(*pause);
            stream.write_all(&[*byte])
        }),
        _ => stream.write_all(body),
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("writing to memory")
}
