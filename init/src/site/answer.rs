//! The answer to a request: the index and a request in, a response head and the name of a file out.
//!
//! The path of a request is looked up and never joined to anything, so no request can name a file that the index
//! does not list. Order: rules that win over files, the address itself, other rules, the fallback, the 404 page.

use super::index::{Encoding, Index, Route, Rule, Variant, Variants};
use super::request::{Method, Range, Request, accepts, decode, range};
use super::rules::{Captures, fill, matches};
use super::write::Buffer;

/// The longest path that can name anything.
const PATH_LIMIT: usize = 4096;

/// What follows the head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answer<'a> {
    pub(crate) status: u16,
    pub(crate) body: Option<Body<'a>>,
    /// Whether another request may follow on the connection.
    pub(crate) keep_alive: bool,
}

/// A part of a file below the root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Body<'a> {
    /// With the null byte that ends it.
    pub(crate) name: &'a [u8],
    pub(crate) offset: u64,
    pub(crate) length: u64,
}

/// What was decided of an address.
enum Found<'a> {
    /// A page with its status.
    Page(Variants<'a>, u16),
    /// The address with a slash.
    Slash(&'a [u8]),
    /// A rule that leads elsewhere.
    Rule(Rule<'a>),
    Nothing,
}

/// Writes the head of the answer to `out`. `now` is in seconds since 1970.
pub(crate) fn answer<'a>(
    request: &Request<'_>,
    index: Index<'a>,
    now: u64,
    out: &mut Buffer<'_>,
) -> Answer<'a> {
    let head = Head { now, keep_alive: request.keep_alive, with_body: request.method != Method::Head };
    if request.method == Method::Other {
        return head.plain(405, b"Allow: GET, HEAD\r\n", out);
    }
    let mut buffer = [0; PATH_LIMIT];
    let Some(path) = decode(request.path, &mut buffer) else { return head.plain(400, b"", out) };
    match find(path, request, index) {
        Found::Page(variants, 200) => head.page(variants, request, out),
        Found::Page(variants, status) => match choose(variants, request) {
            Some(variant) => head.whole(status, &variant, out),
            None => head.plain(500, b"", out),
        },
        Found::Slash(location) => {
            let mut query = Query::new(request, location);
            head.redirect(301, |out| query.after(out, |out| out.put(location)), out)
        }
        Found::Rule(rule) => {
            let mut query = Query::new(request, rule.target);
            let status = u16::try_from(rule.status).unwrap_or(301);
            let captures = matches(rule.pattern, path).unwrap_or_default();
            head.redirect(status, |out| query.after(out, |out| target(&rule, &captures, out)), out)
        }
        Found::Nothing => head.plain(404, b"", out),
    }
}

/// Answers what is no request.
pub(crate) fn refuse(status: u16, now: u64, out: &mut Buffer<'_>) -> Answer<'static> {
    Head { now, keep_alive: false, with_body: true }.plain(status, b"", out)
}

fn find<'a>(path: &[u8], request: &Request<'_>, index: Index<'a>) -> Found<'a> {
    let ruled = |forced: bool| {
        let mut rules = index.rules().filter(|rule| rule.forced == forced);
        rules.find(|rule| matches(rule.pattern, path).is_some())
    };
    if let Some(found) = ruled(true).and_then(|rule| follow(rule, path, index)) {
        return found;
    }
    match index.find(path) {
        Some(Route::File(variants)) => return Found::Page(variants, 200),
        Some(Route::Redirect(location)) => return Found::Slash(location),
        None => {}
    }
    if let Some(found) = ruled(false).and_then(|rule| follow(rule, path, index)) {
        return found;
    }
    match (index.fallback(), index.not_found()) {
        (Some(page), _) if is_view(path, request) => Found::Page(page, 200),
        (_, Some(page)) => Found::Page(page, 404),
        _ => Found::Nothing,
    }
}

/// What a rule leads to; nothing when it names a page that is not there.
fn follow<'a>(rule: Rule<'a>, path: &[u8], index: Index<'a>) -> Option<Found<'a>> {
    if !matches!(rule.status, 200 | 404) {
        return Some(Found::Rule(rule));
    }
    let mut buffer = [0; PATH_LIMIT];
    let mut name = Buffer::new(&mut buffer);
    fill(rule.target, &matches(rule.pattern, path)?, &mut name, Buffer::put);
    match index.find(name.written()?)? {
        Route::File(variants) => Some(Found::Page(variants, if rule.status == 404 { 404 } else { 200 })),
        Route::Redirect(_) => None,
    }
}

/// Whether a browser asks for a view of an app, and not for a file that is missing. No browser sends `..`.
fn is_view(path: &[u8], request: &Request<'_>) -> bool {
    let mut parts = path.split(|byte| *byte == b'/');
    let last = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    if parts.any(|part| part == b"..") {
        return false;
    }
    let html: [&[u8]; 2] = [b"text/html", b"text/*"];
    !last.contains(&b'.') && request.accept.is_none_or(|accept| accepts(accept, &html, b"*/*"))
}

/// The smallest form that the client takes.
fn choose<'a>(variants: Variants<'a>, request: &Request<'_>) -> Option<Variant<'a>> {
    let identity = variants.get(0)?;
    let Some(list) = request.accept_encoding else { return Some(identity) };
    let fits = |variant: &Variant<'_>| {
        variant.encoding != Encoding::Identity && accepts(list, &[variant.encoding.name()], b"*")
    };
    Some(variants.iter().find(fits).unwrap_or(identity))
}

/// Writes where a rule leads. What a client sent must not turn a path into another host.
fn target(rule: &Rule<'_>, captures: &Captures<'_, '_>, out: &mut Buffer<'_>) {
    if !rule.target.starts_with(b"/") {
        return fill(rule.target, captures, out, Buffer::encoded);
    }
    let mut buffer = [0; PATH_LIMIT];
    let mut path = Buffer::new(&mut buffer);
    fill(rule.target, captures, &mut path, Buffer::encoded);
    let path = path.written().unwrap_or(b"/");
    let slashes = path.iter().take_while(|byte| **byte == b'/').count();
    out.all(&[b"/", &path[slashes..]]);
}

/// The query of a request, which a redirect keeps unless its target has one.
struct Query<'q> {
    query: Option<&'q [u8]>,
}

impl<'q> Query<'q> {
    fn new(request: &Request<'q>, target: &[u8]) -> Self {
        Self { query: request.query.filter(|_| !target.contains(&b'?')) }
    }

    fn after(&mut self, out: &mut Buffer<'_>, target: impl FnOnce(&mut Buffer<'_>)) {
        target(out);
        if let Some(query) = self.query {
            out.put(b"?");
            for byte in query {
                if byte.is_ascii_graphic() { out.put(&[*byte]) } else { out.encoded(&[*byte]) }
            }
        }
    }
}

/// What all heads share.
#[derive(Clone, Copy)]
struct Head {
    now: u64,
    keep_alive: bool,
    with_body: bool,
}

impl Head {
    fn begin(self, status: u16, out: &mut Buffer<'_>) {
        out.clear();
        out.put(b"HTTP/1.1 ");
        out.number(u64::from(status));
        out.all(&[b" ", reason(status), b"\r\nDate: "]);
        out.date(self.now);
        out.put(b"\r\n");
    }

    fn end<'a>(self, status: u16, body: Option<Body<'a>>, out: &mut Buffer<'_>) -> Answer<'a> {
        if !self.keep_alive {
            out.put(b"Connection: close\r\n");
        }
        out.put(b"\r\n");
        Answer {
            status,
            body: body.filter(|body| self.with_body && body.length > 0),
            keep_alive: self.keep_alive,
        }
    }

    /// A page in the form that suits, with the conditions of the request.
    fn page<'a>(self, variants: Variants<'a>, request: &Request<'_>, out: &mut Buffer<'_>) -> Answer<'a> {
        let (Some(chosen), Some(identity)) = (choose(variants, request), variants.get(0)) else {
            return self.plain(500, b"", out);
        };
        if request.if_none_match.is_some_and(|list| is_listed(list, chosen.etag)) {
            self.begin(304, out);
            out.put(chosen.head);
            return self.end(304, None, out);
        }
        let is_same = request.if_range.is_none_or(|etag| etag == identity.etag);
        match request.range.filter(|_| is_same).map_or(Range::Whole, |value| range(value, identity.size)) {
            Range::Whole => self.whole(200, &chosen, out),
            Range::Part(first, last) => {
                self.begin(206, out);
                out.all(&[identity.head, b"Content-Range: bytes "]);
                out.number(first);
                out.put(b"-");
                out.number(last);
                out.put(b"/");
                out.number(identity.size);
                let length = last - first + 1;
                Self::length(length, out);
                self.end(206, Some(Body { name: identity.name, offset: first, length }), out)
            }
            Range::Outside => {
                self.begin(416, out);
                out.put(b"Content-Range: bytes */");
                out.number(identity.size);
                Self::length(0, out);
                self.end(416, None, out)
            }
        }
    }

    fn whole<'a>(self, status: u16, variant: &Variant<'a>, out: &mut Buffer<'_>) -> Answer<'a> {
        self.begin(status, out);
        out.put(variant.head);
        out.put(b"Content-Length: ");
        out.number(variant.size);
        out.put(b"\r\n");
        self.end(status, Some(Body { name: variant.name, offset: 0, length: variant.size }), out)
    }

    /// Ends the line before.
    fn length(length: u64, out: &mut Buffer<'_>) {
        out.put(b"\r\nContent-Length: ");
        out.number(length);
        out.put(b"\r\n");
    }

    fn redirect<'a>(
        self,
        status: u16,
        location: impl FnOnce(&mut Buffer<'_>),
        out: &mut Buffer<'_>,
    ) -> Answer<'a> {
        self.begin(status, out);
        out.put(b"Location: ");
        location(out);
        Self::length(0, out);
        self.end(status, None, out)
    }

    /// An answer of one line.
    fn plain<'a>(self, status: u16, lines: &[u8], out: &mut Buffer<'_>) -> Answer<'a> {
        self.begin(status, out);
        out.all(&[
            lines,
            b"Content-Type: text/plain; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\nContent-Length: ",
        ]);
        out.number(reason(status).len() as u64 + 1);
        out.put(b"\r\n");
        let answer = self.end(status, None, out);
        if self.with_body {
            out.all(&[reason(status), b"\n"]);
        }
        answer
    }
}

/// Whether a list of `If-None-Match` names this form. Weak tags count as the strong ones that they were made of.
fn is_listed(list: &[u8], etag: &[u8]) -> bool {
    let mut tags = list.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    tags.any(|tag| tag == b"*" || tag.strip_prefix(b"W/").unwrap_or(tag) == etag)
}

fn reason(status: u16) -> &'static [u8] {
    match status {
        200 => b"OK",
        206 => b"Partial Content",
        301 => b"Moved Permanently",
        302 => b"Found",
        303 => b"See Other",
        304 => b"Not Modified",
        307 => b"Temporary Redirect",
        308 => b"Permanent Redirect",
        400 => b"Bad Request",
        404 => b"Not Found",
        405 => b"Method Not Allowed",
        408 => b"Request Timeout",
        414 => b"URI Too Long",
        416 => b"Range Not Satisfiable",
        431 => b"Request Header Fields Too Large",
        500 => b"Internal Server Error",
        505 => b"HTTP Version Not Supported",
        _ => b"Unknown",
    }
}
