//! The head of a request, as servers of these tests read it.

use std::io::BufRead;

/// What stands before the body.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) method: String,
    /// The path with its query.
    pub(crate) target: String,
    /// Names in small letters, in the order they came; a name may come several times.
    pub(crate) headers: Vec<(String, String)>,
}

impl Head {
    /// Reads to the empty line. None where the client has gone away, or speaks something else.
    pub(crate) fn read(reader: &mut impl BufRead) -> Option<Self> {
        let mut lines = reader.lines().map_while(Result::ok).take_while(|line| !line.is_empty());
        let first = lines.next()?;
        let (method, target) = first.strip_suffix(" HTTP/1.1")?.split_once(' ')?;
        let headers = lines.filter_map(|line| {
            line.split_once(": ").map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        });
        Some(Self { method: method.to_owned(), target: target.to_owned(), headers: headers.collect() })
    }

    /// The value of the header `name`, which is in small letters.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// The size of the body in bytes.
    pub(crate) fn length(&self) -> usize {
        self.header("content-length").and_then(|text| text.parse().ok()).unwrap_or(0)
    }
}
