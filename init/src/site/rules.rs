//! Patterns of `_redirects`: `/old/*`, `/posts/:id`, and targets that name what they matched.

use super::write::Buffer;

/// How many parts of an address a pattern can name.
const CAPTURES: usize = 7;

/// What the parts of a pattern stand for in one address.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Captures<'p, 'a> {
    named: [(&'p [u8], &'a [u8]); CAPTURES],
    count: usize,
}

impl<'p, 'a> Captures<'p, 'a> {
    fn add(&mut self, name: &'p [u8], value: &'a [u8]) -> Option<()> {
        *self.named.get_mut(self.count)? = (name, value);
        self.count += 1;
        Some(())
    }

    fn get(&self, name: &[u8]) -> Option<&'a [u8]> {
        self.named[..self.count].iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }
}

/// Compares the parts of a path with those of a pattern. A slash at the end of either does not count.
pub(crate) fn matches<'p, 'a>(pattern: &'p [u8], path: &'a [u8]) -> Option<Captures<'p, 'a>> {
    let mut captures = Captures::default();
    let mut rest = path.strip_prefix(b"/")?;
    let mut wanted = pattern.strip_prefix(b"/")?;
    loop {
        // `/a/*` also stands for `/a`.
        if wanted == b"*" {
            captures.add(b"splat", rest)?;
            return Some(captures);
        }
        if wanted.is_empty() || rest.is_empty() {
            return (wanted.is_empty() && rest.is_empty()).then_some(captures);
        }
        let (part, more) = split(wanted);
        let (found, after) = split(rest);
        match part.strip_prefix(b":") {
            Some(name) => captures.add(name, found)?,
            None if part == found => {}
            None => return None,
        }
        wanted = more;
        rest = after;
    }
}

/// The first part, and what follows its slash.
fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().position(|byte| *byte == b'/') {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (path, b""),
    }
}

/// Writes a target with what its names stand for, each through `write`.
pub(crate) fn fill<'b>(
    target: &[u8],
    captures: &Captures<'_, '_>,
    out: &mut Buffer<'b>,
    write: impl Fn(&mut Buffer<'b>, &[u8]),
) {
    let mut rest = target;
    while let Some((first, after)) = rest.split_first() {
        let length = after.iter().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_').count();
        let value = captures.get(&after[..length]).filter(|_| *first == b':' && length > 0);
        if let Some(value) = value {
            write(out, value);
            rest = &after[length..];
        } else {
            out.put(&[*first]);
            rest = after;
        }
    }
}
