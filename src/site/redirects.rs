//! `_redirects`: `FROM TO STATUS`, one to a line.
//!
//! `/a/*` matches what begins so, and `:splat` in the target is the rest; `:name` matches one part. The status is 301
//! when there is none; 200 answers with another page of the site, 404 with it and that status. Files of the site win,
//! unless the status ends in `!`. `/* PAGE 200` names the page for views of a single-page app.

use super::Error;

/// The most rules: the server looks at each.
const RULES: usize = 2000;
/// How many parts of an address a pattern can name; the server has room for as many.
const NAMES: usize = 7;
const STATUSES: [u32; 7] = [200, 301, 302, 303, 307, 308, 404];

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Redirect {
    /// Decoded.
    pub(super) pattern: String,
    pub(super) target: String,
    pub(super) status: u32,
    /// Whether it wins over files.
    pub(super) forced: bool,
}

/// What the file says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Redirects {
    pub(super) rules: Vec<Redirect>,
    /// The page of `/* PAGE 200`, relative to the root.
    pub(super) fallback: Option<String>,
}

/// Reads a file, called `file` in messages.
pub(super) fn parse(file: &str, text: &str) -> Result<Redirects, Error> {
    let mut found = Redirects::default();
    for (index, line) in text.lines().enumerate() {
        let fail = |problem: String| Error::Redirects { file: file.to_owned(), line: index + 1, problem };
        // Within a word, the same character begins a fragment.
        let words: Vec<&str> = line.split_whitespace().take_while(|word| !word.starts_with('#')).collect();
        if words.is_empty() {
            continue;
        }
        let rule = rule(&words).map_err(&fail)?;
        if rule.pattern == "/*" && rule.status == 200 && !rule.forced {
            found.fallback.get_or_insert(rule.target.trim_start_matches('/').to_owned());
            continue;
        }
        if found.rules.len() == RULES {
            return Err(fail(format!("there are more than {RULES} rules")));
        }
        found.rules.push(rule);
    }
    Ok(found)
}

fn rule(words: &[&str]) -> Result<Redirect, String> {
    let line = words.join(" ");
    let (from, to, status) = match words {
        [from, to] => (*from, *to, "301"),
        [from, to, status] => (*from, *to, *status),
        [_] => return Err(format!("`{line}` has no target")),
        _ => {
            return Err(format!(
                "`{line}` has more than three words: conditions on queries, countries and languages are not supported"
            ));
        }
    };
    let pattern = decoded(from)?;
    if let Some(problem) = pattern_problem(&pattern) {
        return Err(problem);
    }
    let (number, forced) = status.strip_suffix('!').map_or((status, false), |number| (number, true));
    let status = number.parse().ok().filter(|status| STATUSES.contains(status)).ok_or_else(|| {
        format!("`{status}` is no status of a rule: 301, 302, 303, 307, 308, 200 and 404 are")
    })?;
    let elsewhere = to.starts_with("https://") || to.starts_with("http://");
    let page = matches!(status, 200 | 404);
    if !elsewhere && !to.starts_with('/') {
        return Err(format!("the target `{to}` begins with neither `/` nor `https://`"));
    }
    if elsewhere && page {
        return Err(format!("`{to}` would be fetched from another server, and this one serves files alone"));
    }
    let target = if page { decoded(to.split(['?', '#']).next().unwrap_or(to))? } else { encoded(to) };
    Ok(Redirect { pattern, target, status, forced })
}

/// What is wrong with a pattern, if anything.
pub(super) fn pattern_problem(pattern: &str) -> Option<String> {
    let Some(rest) = pattern.strip_prefix('/') else {
        return Some(format!("the path `{pattern}` does not begin with `/`"));
    };
    let parts: Vec<&str> = rest.split('/').collect();
    let (last, before) = parts.split_last()?;
    if before.iter().any(|part| part.contains('*')) || (last.contains('*') && *last != "*") {
        return Some(format!("`*` in `{pattern}` must stand alone at the end, after a slash"));
    }
    let names: Vec<&str> = parts.iter().filter_map(|part| part.strip_prefix(':')).collect();
    if names
        .iter()
        .any(|name| name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'))
    {
        return Some(format!("a name in `{pattern}` has other characters than letters, digits and `_`"));
    }
    (names.len() + 1 > NAMES).then(|| format!("`{pattern}` names more than {} parts", NAMES - 1))
}

fn decoded(text: &str) -> Result<String, String> {
    let mut buffer = vec![0; text.len()];
    let bytes = super::server::request::decode(text.as_bytes(), &mut buffer);
    let text_of = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
    bytes.and_then(text_of).ok_or_else(|| format!("`{text}` is not percent-encoded UTF-8"))
}

/// Percent-encodes what an address cannot hold.
fn encoded(text: &str) -> String {
    let written = |byte: u8| {
        if byte.is_ascii_graphic() { char::from(byte).to_string() } else { format!("%{byte:02X}") }
    };
    text.bytes().map(written).collect::<Vec<_>>().concat()
}
