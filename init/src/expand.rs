//! References to variables in one argument: `$NAME`, `${NAME}`, `${NAME:-default}`, and `$$` for a dollar sign.
//!
//! In: an argument and a way to look names up. Out: the parts of the result, in order. Nothing is allocated and
//! nothing is split, so a value with blanks stays one argument. The work is linear in the argument's length plus
//! that of the values.
//!
//! - A name is `[A-Za-z_][A-Za-z0-9_]*`. A variable that is not set is empty.
//! - The default stands in for a variable that is unset or empty; it may hold references itself.
//! - Values are taken as they are: a dollar sign in a value means nothing.
//! - What is no reference stays as it is: `$5`, a last `$`, `${}`, `${NAME%x}`; and when a `${` has no closing
//!   brace, so does all that follows it.

/// Hands the parts of `argument`, with its references replaced, to `emit`.
pub(crate) fn expand<'a>(
    argument: &[u8],
    value: &dyn Fn(&[u8]) -> Option<&'a [u8]>,
    emit: &mut dyn FnMut(&[u8]),
) {
    let mut rest = argument;
    // Defaults that are being expanded; each has a closing brace ahead, which is not part of the result.
    let mut open = 0_usize;
    while let Some(at) = rest.iter().position(|byte| *byte == b'$' || (*byte == b'}' && open > 0)) {
        emit(&rest[..at]);
        rest = &rest[at..];
        if rest[0] == b'}' {
            open -= 1;
            rest = &rest[1..];
            continue;
        }
        rest = match rest.get(1) {
            Some(b'$') => {
                emit(b"$");
                &rest[2..]
            }
            Some(b'{') => {
                let name = name(&rest[2..]);
                let after = &rest[2 + name.len()..];
                let set = value(name).filter(|value| !value.is_empty());
                let starts = |default: &&[u8]| {
                    !name.is_empty() && set.is_none() && (open > 0 || closing(default).is_some())
                };
                if let (false, Some(after)) = (name.is_empty(), after.strip_prefix(b"}")) {
                    emit(set.unwrap_or_default());
                    after
                } else if let Some(default) = after.strip_prefix(b":-").filter(starts) {
                    open += 1;
                    default
                } else {
                    let Some(end) = closing(&rest[2..]) else { break };
                    let (reference, after_reference) = rest.split_at(2 + end + 1);
                    let has_default = !name.is_empty() && after.starts_with(b":-");
                    emit(set.filter(|_| has_default).unwrap_or(reference));
                    after_reference
                }
            }
            _ => {
                let name = name(&rest[1..]);
                emit(if name.is_empty() { b"$" } else { value(name).unwrap_or_default() });
                &rest[1 + name.len()..]
            }
        };
    }
    emit(rest);
}

/// The name that `text` begins with; empty when it begins with none.
fn name(text: &[u8]) -> &[u8] {
    if text.first().is_none_or(u8::is_ascii_digit) {
        return &[];
    }
    let end = text.iter().position(|byte| !byte.is_ascii_alphanumeric() && *byte != b'_');
    &text[..end.unwrap_or(text.len())]
}

/// Where the brace is that closes a `${` just before `text`.
fn closing(text: &[u8]) -> Option<usize> {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < text.len() {
        match (text[at], text.get(at + 1)) {
            (b'$', Some(b'$')) => at += 1,
            (b'$', Some(b'{')) => {
                depth += 1;
                at += 1;
            }
            (b'}', _) if depth == 0 => return Some(at),
            (b'}', _) => depth -= 1,
            _ => {}
        }
        at += 1;
    }
    None
}
