//! A proxy that stands between rpack and a real registry, writes down what is asked, and does harm on demand.

use std::io::{BufReader, Read, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use super::http_head::Head;

/// A request that the proxy has seen.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: String,
    /// With its query.
    pub(crate) path: String,
    /// How many requests with this method came before.
    pub(crate) before: usize,
    /// Bytes of its body, as it says.
    pub(crate) length: u64,
    /// Bytes of its body that went on to the registry.
    pub(crate) body: u64,
}

impl Asked {
    /// Whether it brings bytes of a blob.
    pub(crate) fn is_upload(&self) -> bool {
        self.length > 0 && self.path.contains("/blobs/uploads/")
    }
}

/// What happens to a request.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// Nothing: it goes on to the registry.
    None,
    /// The connection breaks after so many bytes of its body.
    CutBody(u64),
    /// The registry gets it, and its answer breaks after so many bytes.
    CutAnswer(usize),
    /// The proxy answers itself, at once.
    Answer(u16, Vec<(&'static str, String)>, Vec<u8>),
    /// The answer comes in pieces of so many bytes, with this pause before each.
    Drip(usize, Duration),
}

/// A running proxy; it ends with the process.
#[derive(Clone, Debug)]
pub(crate) struct Proxy {
    pub(crate) host: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Proxy {
    /// Stands before the registry at `upstream` (`HOST:PORT`).
    pub(crate) fn start(upstream: &str, fault: impl Fn(&Asked) -> Fault + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let proxy = Self { host, asked: Arc::default() };
        let (asked, fault, upstream) = (proxy.asked.clone(), Arc::new(fault), upstream.to_owned());
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (asked, fault, upstream) = (asked.clone(), fault.clone(), upstream.clone());
                thread::spawn(move || serve(stream, &upstream, &asked, &*fault));
            }
        });
        proxy
    }

    /// What was asked since the last call.
    pub(crate) fn take(&self) -> Vec<Asked> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }

    /// The same as `METHOD PATH`, with what differs from run to run left out, sorted: blobs go side by side.
    pub(crate) fn take_lines(&self) -> Vec<String> {
        let mut lines: Vec<String> =
            self.take().iter().map(|asked| format!("{} {}", asked.method, shown(&asked.path))).collect();
        lines.sort();
        lines
    }
}

/// The path without the name and state of an upload.
pub(crate) fn shown(path: &str) -> String {
    let plain = path.split('?').next().unwrap();
    match plain.split_once("/blobs/uploads/") {
        Some((repository, rest)) if !rest.is_empty() => format!("{repository}/blobs/uploads/ID"),
        _ => path.to_owned(),
    }
}

fn serve(
    mut client: TcpStream,
    upstream: &str,
    known: &Mutex<Vec<Asked>>,
    fault: &dyn Fn(&Asked) -> Fault,
) -> Option<()> {
    let mut reader = BufReader::new(client.try_clone().ok()?);
    let head = Head::read(&mut reader)?;
    let (method, path, length) = (head.method.clone(), head.target.clone(), head.length() as u64);
    let mut asked = known.lock().unwrap();
    let before = asked.iter().filter(|other| other.method == method).count();
    let (request, at) = (Asked { method, path, before, length, body: 0 }, asked.len());
    asked.push(request.clone());
    drop(asked);
    let fault = fault(&request);
    if let Fault::Answer(status, headers, body) = fault {
        let headers: Vec<String> =
            headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let headers = headers.concat();
        let head = format!(
            "HTTP/1.1 {status} Fault\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        // The body is read first: a client that still sends would not see the answer.
        std::io::copy(&mut reader.take(length), &mut std::io::sink()).ok()?;
        client.write_all(head.as_bytes()).ok()?;
        return if request.method == "HEAD" { Some(()) } else { client.write_all(&body).ok() };
    }
    let mut server = TcpStream::connect(upstream).ok()?;
    let headers = head.headers.iter().filter(|(name, _)| name != "connection");
    let headers: Vec<String> = headers.map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let head = format!("{} {} HTTP/1.1\r\n{}", head.method, head.target, headers.concat());
    server.write_all(format!("{head}Connection: close\r\n\r\n").as_bytes()).ok()?;
    let allowed = if let Fault::CutBody(limit) = fault { limit.min(length) } else { length };
    let sent = std::io::copy(&mut reader.take(allowed), &mut server).ok()?;
    known.lock().unwrap().get_mut(at)?.body = sent;
    if matches!(fault, Fault::CutBody(limit) if limit < length) {
        server.shutdown(Shutdown::Both).ok()?;
        return client.shutdown(Shutdown::Both).ok();
    }
    let mut answer = Vec::new();
    server.read_to_end(&mut answer).ok()?;
    match fault {
        Fault::CutAnswer(limit) => {
            client.write_all(&answer[..limit.min(answer.len())]).ok()?;
            client.shutdown(Shutdown::Both).ok()
        }
        Fault::Drip(piece, pause) => answer.chunks(piece).try_for_each(|piece| {
            thread::sleep(pause);
            client.write_all(piece).ok()
        }),
        _ => client.write_all(&answer).ok(),
    }
}
