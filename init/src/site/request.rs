//! One request head: the bytes that a client sent, in; the few things that count, out.
//!
//! After <https://www.rfc-editor.org/rfc/rfc9112>. Whatever could be read in two ways is refused, and a request with
//! a body is answered without reading it and the connection closed, so nobody can hide a request in another.

/// A request.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Request<'a> {
    pub(crate) method: Method,
    /// From the first slash, without the query.
    pub(crate) path: &'a [u8],
    /// After the question mark.
    pub(crate) query: Option<&'a [u8]>,
    /// Whether another request may follow.
    pub(crate) keep_alive: bool,
    pub(crate) accept: Option<&'a [u8]>,
    pub(crate) accept_encoding: Option<&'a [u8]>,
    pub(crate) if_none_match: Option<&'a [u8]>,
    pub(crate) range: Option<&'a [u8]>,
    pub(crate) if_range: Option<&'a [u8]>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    Head,
    #[default]
    Other,
}

/// What the bytes are so far.
#[derive(Debug)]
pub(crate) enum Parsed<'a> {
    /// The head has not ended.
    Incomplete,
    /// A request and the length of its head.
    Complete(Request<'a>, usize),
    /// No request; the status that says why.
    Refused(u16),
}

/// Reads the head that `bytes` begin with.
pub(crate) fn parse(bytes: &[u8]) -> Parsed<'_> {
    // A client may end the request before with an empty line.
    let skipped = bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    let head = &bytes[skipped..];
    let Some(length) = head_length(head) else { return Parsed::Incomplete };
    match read(&head[..length]) {
        Ok(request) => Parsed::Complete(request, skipped + length),
        Err(status) => Parsed::Refused(status),
    }
}

/// The length of the head with the empty line that ends it.
fn head_length(bytes: &[u8]) -> Option<usize> {
    let mut start = 0;
    loop {
        let end = start + bytes[start..].iter().position(|byte| *byte == b'\n')?;
        let line = &bytes[start..end];
        if line.is_empty() || line == b"\r" {
            return Some(end + 1);
        }
        start = end + 1;
    }
}

fn read(head: &[u8]) -> Result<Request<'_>, u16> {
    let mut lines = head.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let (mut request, is_current) = request_line(lines.next().unwrap_or_default())?;
    let (mut hosts, mut closes, mut body) = (0, !is_current, false);
    for line in lines.take_while(|line| !line.is_empty()) {
        let colon = line.iter().position(|byte| *byte == b':').ok_or(400_u16)?;
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if name.is_empty()
            || !name.iter().all(|byte| is_token(*byte))
            || value.iter().any(|byte| is_control(*byte))
        {
            return Err(400);
        }
        let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
        let first = |slot: &mut Option<_>| {
            slot.get_or_insert(value);
        };
        if is(b"host") {
            hosts += 1;
        } else if is(b"connection") {
            closes |= value
                .split(|byte| *byte == b',')
                .any(|word| word.trim_ascii().eq_ignore_ascii_case(b"close"));
        } else if is(b"content-length") {
            body |= value != b"0";
        } else if is(b"transfer-encoding") || is(b"upgrade") {
            body = true;
        } else if is(b"accept") {
            first(&mut request.accept);
        } else if is(b"accept-encoding") {
            first(&mut request.accept_encoding);
        } else if is(b"if-none-match") {
            first(&mut request.if_none_match);
        } else if is(b"range") {
            first(&mut request.range);
        } else if is(b"if-range") {
            first(&mut request.if_range);
        }
    }
    if hosts > 1 || (is_current && hosts == 0) {
        return Err(400);
    }
    request.keep_alive = !closes && !body;
    Ok(request)
}

/// The first line, and whether it is of HTTP/1.1.
fn request_line(line: &[u8]) -> Result<(Request<'_>, bool), u16> {
    let mut words = line.split(|byte| *byte == b' ');
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(400);
    };
    let is_current = match version {
        b"HTTP/1.1" => true,
        b"HTTP/1.0" => false,
        other if other.starts_with(b"HTTP/") => return Err(505),
        _ => return Err(400),
    };
    if method.is_empty()
        || !method.iter().all(|byte| is_token(*byte))
        || target.iter().any(|byte| is_control(*byte))
    {
        return Err(400);
    }
    let method = match method {
        b"GET" => Method::Get,
        b"HEAD" => Method::Head,
        _ => Method::Other,
    };
    let target = origin_form(target).ok_or(if method == Method::Other { 405_u16 } else { 400 })?;
    let end = target.iter().position(|byte| *byte == b'#').unwrap_or(target.len());
    let target = &target[..end];
    let (path, query) = match target.iter().position(|byte| *byte == b'?') {
        Some(at) => (&target[..at], Some(&target[at + 1..])),
        None => (target, None),
    };
    Ok((Request { method, path, query, ..Request::default() }, is_current))
}

/// The target from its path on; proxies send the whole address.
fn origin_form(target: &[u8]) -> Option<&[u8]> {
    if target.starts_with(b"/") {
        return Some(target);
    }
    let rest = target.strip_prefix(b"http://").or_else(|| target.strip_prefix(b"https://"))?;
    match rest.iter().position(|byte| *byte == b'/') {
        Some(at) => Some(&rest[at..]),
        None => Some(b"/"),
    }
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn is_control(byte: u8) -> bool {
    (byte < b' ' && byte != b'\t') || byte == 0x7f
}

/// Decodes `%41` into `buffer`; nothing when a sequence is broken, there is a null byte, or it does not fit.
pub(crate) fn decode<'a>(path: &[u8], buffer: &'a mut [u8]) -> Option<&'a [u8]> {
    let digit = |byte: Option<&u8>| char::from(*byte?).to_digit(16);
    let (mut at, mut length) = (0, 0);
    while let Some(byte) = path.get(at) {
        let decoded = if *byte == b'%' {
            let value = digit(path.get(at + 1))? * 16 + digit(path.get(at + 2))?;
            at += 2;
            u8::try_from(value).ok()?
        } else {
            *byte
        };
        if decoded == 0 {
            return None;
        }
        *buffer.get_mut(length)? = decoded;
        length += 1;
        at += 1;
    }
    Some(&buffer[..length])
}

/// Whether a list such as `gzip;q=0.8, br` has one of `names` with a quality other than zero. A name that is listed
/// counts before `wildcard`.
pub(crate) fn accepts(list: &[u8], names: &[&[u8]], wildcard: &[u8]) -> bool {
    let mut by_wildcard = false;
    for element in list.split(|byte| *byte == b',') {
        let mut parts = element.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
        let name = parts.next().unwrap_or_default();
        let refused = parts.any(|part| {
            let value = part.strip_prefix(b"q=").or_else(|| part.strip_prefix(b"Q="));
            value.is_some_and(|value| {
                !value.is_empty() && value.iter().all(|byte| matches!(byte, b'0' | b'.'))
            })
        });
        if names.iter().any(|known| name.eq_ignore_ascii_case(known)) {
            return !refused;
        }
        by_wildcard |= name == wildcard && !refused;
    }
    by_wildcard
}

/// What a `Range` header asks of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Range {
    /// It is no single range of bytes, and is ignored.
    Whole,
    /// From the first to the last byte, both included.
    Part(u64, u64),
    /// Nothing of the file.
    Outside,
}

/// Reads `bytes=1-2`, `bytes=1-` and `bytes=-2`.
pub(crate) fn range(value: &[u8], size: u64) -> Range {
    let Some(spec) = value.strip_prefix(b"bytes=").map(<[u8]>::trim_ascii) else { return Range::Whole };
    let Some(dash) = spec.iter().position(|byte| *byte == b'-') else { return Range::Whole };
    match (&spec[..dash], &spec[dash + 1..]) {
        (b"", suffix) => match number(suffix) {
            None => Range::Whole,
            Some(0) => Range::Outside,
            Some(_) if size == 0 => Range::Outside,
            Some(length) => Range::Part(size.saturating_sub(length), size - 1),
        },
        (first, last) => {
            let last = if last.is_empty() { Some(u64::MAX) } else { number(last) };
            match (number(first), last) {
                (Some(first), Some(last)) if first > last => Range::Whole,
                (Some(first), Some(_)) if first >= size => Range::Outside,
                (Some(first), Some(last)) => Range::Part(first, last.min(size - 1)),
                _ => Range::Whole,
            }
        }
    }
}

/// Digits alone; what is too large is as large as possible.
fn number(digits: &[u8]) -> Option<u64> {
    let valid = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    let add = |sum: u64, digit: &u8| sum.saturating_mul(10).saturating_add(u64::from(digit - b'0'));
    valid.then(|| digits.iter().fold(0, add))
}
