//! A registry in memory that follows the specification to the letter, where no real one does: it keeps every byte that has
//! arrived before a connection broke.

use std::collections::BTreeMap;
use std::io::{BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;

use serde_json::{Value, json};

use super::{Answer, answer};
use crate::http_head::Head;
use crate::oci::Digest;
use crate::oci::image::INDEX;

/// What it does beside its work.
#[derive(Debug, Default)]
pub(super) struct Manners {
    /// An upload breaks after so many bytes of a body, as long as there are counts left: the first is taken each time.
    pub(super) cuts: Vec<usize>,
    /// All of them break after so many.
    pub(super) always_cut: Option<usize>,
    /// Uploads break when they would grow beyond so many bytes.
    pub(super) fills_at: Option<usize>,
    /// It says that pieces must not be smaller.
    pub(super) least: Option<u64>,
    /// It keeps lists of referrers, in pages of one.
    pub(super) lists_referrers: bool,
    /// It never mounts.
    pub(super) refuses_mounts: bool,
    /// It wants one of these tokens; each ends after so many requests.
    pub(super) token_lasts: Option<usize>,
    /// What it answers to a method instead of doing its work.
    pub(super) refuses: BTreeMap<&'static str, (u16, &'static str)>,
    /// Where uploads go on.
    pub(super) uploads_at: Option<String>,
    /// It says that it has stored this.
    pub(super) states: Option<Digest>,
}

/// A request as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) line: String,
    pub(super) authorization: Option<String>,
    pub(super) range: Option<String>,
    /// Bytes of its body that arrived.
    pub(super) body: usize,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) manners: Manners,
    pub(super) asked: Vec<Asked>,
    /// Blobs by repository and digest.
    pub(super) blobs: BTreeMap<(String, String), Vec<u8>>,
    /// Manifests by repository and tag or digest, with their media types.
    pub(super) manifests: BTreeMap<(String, String), (String, Vec<u8>)>,
    uploads: BTreeMap<String, Vec<u8>>,
    tokens: usize,
    uses: usize,
    host: String,
}

/// A running registry; it ends with the process.
#[derive(Clone, Debug)]
pub(super) struct Memory {
    pub(super) host: String,
    state: Arc<Mutex<State>>,
}

struct Asking<'a> {
    method: &'a str,
    repository: String,
    kind: String,
    name: String,
    query: BTreeMap<String, String>,
    head: &'a Head,
    body: Vec<u8>,
}

impl Memory {
    pub(super) fn start(manners: Manners) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let state = State { manners, host: host.clone(), ..State::default() };
        let memory = Self { host, state: Arc::new(Mutex::new(state)) };
        let state = memory.state.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = state.clone();
                thread::spawn(move || serve(stream, &state));
            }
        });
        memory
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(super) fn take(&self) -> Vec<Asked> {
        std::mem::take(&mut self.state().asked)
    }
}

fn serve(mut stream: TcpStream, state: &Mutex<State>) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let head = Head::read(&mut reader)?;
    let (method, target, length) = (head.method.as_str(), head.target.as_str(), head.length());
    let is_upload = length > 0 && target.contains("/blobs/uploads/");
    let cut = is_upload.then(|| next_cut(state, target, length)).flatten();
    let mut body = vec![0; cut.unwrap_or(length)];
    reader.read_exact(&mut body).ok()?;
    state.lock().unwrap().asked.push(Asked {
        line: format!("{method} {target}"),
        authorization: head.header("authorization").map(str::to_owned),
        range: head.header("content-range").map(str::to_owned),
        body: body.len(),
    });
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let query = reqwest::Url::parse(&format!("http://x/?{query}")).ok()?.query_pairs().into_owned().collect();
    let mut parts: Vec<&str> = path.strip_prefix("/v2/").unwrap_or("token/x").split('/').collect();
    let (mut kind, mut name) = (String::new(), parts.pop()?.to_owned());
    if let Some(at) =
        parts.iter().rposition(|part| ["blobs", "manifests", "referrers", "token"].contains(part))
    {
        kind = parts[at..].join("/");
        parts.truncate(at);
    }
    if kind == "blobs/uploads" {
        name = if name.is_empty() { "new".to_owned() } else { name };
    }
    // What breaks is no more than a piece, whatever it was to be.
    let method = if cut.is_some() { "PATCH" } else { method };
    let asking = Asking { method, repository: parts.join("/"), kind, name, query, head: &head, body };
    let mut reply = respond(&asking, &mut state.lock().unwrap());
    if cut.is_some() {
        return stream.shutdown(Shutdown::Both).ok();
    }
    let length = reply.body.len();
    if method == "HEAD" {
        reply.body.clear();
    }
    let headers: Vec<String> =
        reply.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let headers = headers.concat();
    let head = format!(
        "HTTP/1.1 {} Answer\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n",
        reply.status
    );
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(&reply.body).ok()
}

/// After how many of `length` bytes the connection breaks.
fn next_cut(state: &Mutex<State>, target: &str, length: usize) -> Option<usize> {
    let state = &mut state.lock().unwrap();
    if let Some(most) = state.manners.fills_at {
        let id = target.split(['/', '?']).find(|part| state.uploads.contains_key(*part))?;
        return Some(most.saturating_sub(state.uploads[id].len())).filter(|cut| *cut < length);
    }
    let manners = &mut state.manners;
    match manners.cuts.first() {
        Some(cut) if *cut < length => Some(manners.cuts.remove(0)),
        _ => manners.always_cut.filter(|cut| *cut < length),
    }
}

fn error(status: u16, code: &str) -> Answer {
    answer(status, &[], json!({"errors": [{"code": code, "message": "no"}]}).to_string())
}

fn respond(asking: &Asking<'_>, state: &mut State) -> Answer {
    if asking.kind == "token" {
        state.tokens += 1;
        state.uses = 0;
        return answer(200, &[], json!({"token": state.tokens.to_string()}).to_string());
    }
    if let Some(lasts) = state.manners.token_lasts {
        let good = format!("Bearer {}", state.tokens);
        let is_good = asking.head.header("authorization") == Some(good.as_str());
        state.uses += 1;
        if !is_good || state.uses > lasts {
            let realm = format!("Bearer realm=\"http://{}/token\",service=\"memory\"", state.host);
            return answer(401, &[("WWW-Authenticate", &realm)], "");
        }
    }
    if let Some((status, code)) = state.manners.refuses.get(asking.method) {
        return error(*status, code);
    }
    match asking.kind.as_str() {
        "blobs" => blob(asking, state),
        "blobs/uploads" => upload(asking, state),
        "manifests" => manifest(asking, state),
        "referrers" if state.manners.lists_referrers => referrers(asking, state),
        _ => error(404, "UNSUPPORTED"),
    }
}

fn blob(asking: &Asking<'_>, state: &State) -> Answer {
    match state.blobs.get(&(asking.repository.clone(), asking.name.clone())) {
        Some(bytes) => answer(200, &[], bytes.clone()),
        None => error(404, "BLOB_UNKNOWN"),
    }
}

fn upload(asking: &Asking<'_>, state: &mut State) -> Answer {
    let at = |id: &str, state: &State| {
        let base = state.manners.uploads_at.clone().unwrap_or_default();
        format!("{base}/v2/{}/blobs/uploads/{id}?state=x", asking.repository)
    };
    if asking.method == "POST" {
        if let (Some(digest), Some(from)) = (asking.query.get("mount"), asking.query.get("from"))
            && !state.manners.refuses_mounts
            && let Some(bytes) = state.blobs.get(&(from.clone(), digest.clone())).cloned()
        {
            state.blobs.insert((asking.repository.clone(), digest.clone()), bytes);
            return answer(201, &[], "");
        }
        let id = format!("upload{}", state.uploads.len());
        state.uploads.insert(id.clone(), Vec::new());
        let least = state.manners.least.map(|least| least.to_string());
        let location = at(&id, state);
        let mut headers = vec![("Location", location.as_str())];
        headers.extend(least.iter().map(|least| ("OCI-Chunk-Min-Length", least.as_str())));
        return answer(202, &headers, "");
    }
    let location = at(&asking.name, state);
    let Some(upload) = state.uploads.get_mut(&asking.name) else { return error(404, "BLOB_UPLOAD_UNKNOWN") };
    let start = asking.head.header("content-range").and_then(|range| range.split('-').next()?.parse().ok());
    if start.is_some_and(|start: usize| start != upload.len()) {
        return error(416, "BLOB_UPLOAD_INVALID");
    }
    upload.extend(&asking.body);
    let range = format!("0-{}", upload.len().saturating_sub(1));
    match asking.method {
        "GET" => answer(204, &[("Location", &location), ("Range", &range)], ""),
        "PATCH" => answer(202, &[("Location", &location), ("Range", &range)], ""),
        _ => {
            let digest = asking.query.get("digest").cloned().unwrap_or_default();
            let bytes = upload.clone();
            if Digest::of(&bytes).to_string() != digest {
                return error(400, "DIGEST_INVALID");
            }
            state.uploads.remove(&asking.name);
            state.blobs.insert((asking.repository.clone(), digest.clone()), bytes);
            let stated = state.manners.states.map_or(digest, |digest| digest.to_string());
            answer(201, &[("Docker-Content-Digest", &stated)], "")
        }
    }
}

fn manifest(asking: &Asking<'_>, state: &mut State) -> Answer {
    let key = (asking.repository.clone(), asking.name.clone());
    if asking.method != "PUT" {
        let Some((media_type, bytes)) = state.manifests.get(&key) else {
            return error(404, "MANIFEST_UNKNOWN");
        };
        let digest = Digest::of(bytes).to_string();
        return answer(
            200,
            &[("Content-Type", media_type), ("Docker-Content-Digest", &digest)],
            bytes.clone(),
        );
    }
    let document: Value = serde_json::from_slice(&asking.body).unwrap();
    let blobs = document["layers"].as_array().into_iter().flatten().chain(document.get("config"));
    for blob in blobs {
        let digest = blob["digest"].as_str().unwrap().to_owned();
        if !state.blobs.contains_key(&(asking.repository.clone(), digest)) {
            return error(404, "MANIFEST_BLOB_UNKNOWN");
        }
    }
    let digest = Digest::of(&asking.body).to_string();
    let media_type = asking.head.header("content-type").map(str::to_owned).unwrap_or_default();
    for name in [asking.name.clone(), digest.clone()] {
        state.manifests.insert((asking.repository.clone(), name), (media_type.clone(), asking.body.clone()));
    }
    let mut headers = vec![("Docker-Content-Digest", digest.as_str())];
    let subject = document["subject"]["digest"].as_str().filter(|_| state.manners.lists_referrers);
    headers.extend(subject.map(|subject| ("OCI-Subject", subject)));
    answer(201, &headers, "")
}

/// One entry a page, as small as a page may be.
fn referrers(asking: &Asking<'_>, state: &State) -> Answer {
    let entries: Vec<Value> = state
        .manifests
        .iter()
        .filter(|((repository, name), _)| *repository == asking.repository && name.starts_with("sha256:"))
        .filter_map(|(_, (media_type, bytes))| {
            let document: Value = serde_json::from_slice(bytes).unwrap();
            (document["subject"]["digest"] == *asking.name).then(|| {
                json!({
                    "mediaType": media_type, "digest": Digest::of(bytes), "size": bytes.len(),
                    "artifactType": document["artifactType"],
                })
            })
        })
        .collect();
    let page: usize = asking.query.get("page").and_then(|text| text.parse().ok()).unwrap_or(0);
    let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries.get(page).into_iter().collect::<Vec<_>>()});
    let next =
        format!("</v2/{}/referrers/{}?page={}>; rel=\"next\"", asking.repository, asking.name, page + 1);
    let mut headers = vec![("Content-Type", INDEX)];
    if page + 1 < entries.len() {
        headers.push(("Link", &next));
    }
    answer(200, &headers, index.to_string())
}
