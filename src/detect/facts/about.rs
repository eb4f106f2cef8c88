//! What a manifest says of the app for people: the texts that become labels of the image.
//!
//! Invariants: every text is one line without control characters; an address is one of the web; what is longer than a
//! label should be, or is in another form than labels have, is left out rather than cut.

use serde::Serialize;

/// The longest text, in characters.
const LONGEST: usize = 1000;

/// What the app is; empty texts where nothing is said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct About {
    /// One or two sentences.
    pub description: String,
    /// An SPDX expression.
    pub licenses: String,
    /// `Ada <ada@acme.example>, Bob`.
    pub authors: String,
    /// Its home page.
    pub url: String,
    /// Where its documentation is.
    pub documentation: String,
}

/// A text on one line.
pub(super) fn text(found: Option<&str>) -> String {
    let words: Vec<&str> = found.unwrap_or_default().split_whitespace().collect();
    let line = words.join(" ");
    if line.chars().count() > LONGEST || line.chars().any(char::is_control) { String::new() } else { line }
}

/// An address of the web.
pub(super) fn url(found: Option<&str>) -> String {
    let text = text(found);
    let is_url = text.starts_with("https://") || text.starts_with("http://");
    if is_url && !text.contains(' ') { text } else { String::new() }
}

/// A license, as far as it has the form of an SPDX expression (<https://spdx.github.io/spdx-spec/v2.3/SPDX-license-expressions/>).
/// npm's words for "none" and "in a file" are none.
pub(super) fn licenses(found: Option<&str>) -> String {
    let text = text(found);
    let is_known = |c: char| c.is_ascii_alphanumeric() || " .-+()".contains(c);
    let is_word = text == "UNLICENSED" || text.starts_with("SEE LICEN");
    if is_word || !text.chars().all(is_known) { String::new() } else { text }
}

/// `NAME <MAIL>`, or the part that is there.
pub(super) fn person(name: Option<&str>, mail: Option<&str>) -> String {
    match (text(name), text(mail)) {
        (name, mail) if mail.is_empty() => name,
        (name, mail) if name.is_empty() => mail,
        (name, mail) => format!("{name} <{mail}>"),
    }
}

#[cfg(test)]
mod tests {
    use super::{licenses, person, text, url};

    #[test]
    fn texts_are_one_line_of_the_right_form() {
        assert_eq!(text(Some(" a\n  shop ")), "a shop");
        assert_eq!(text(Some("a\u{7}shop")), "");
        assert_eq!(text(Some(&"a".repeat(1001))), "");
        assert_eq!(url(Some("https://shop.acme.example")), "https://shop.acme.example");
        assert_eq!(url(Some("shop.acme.example")), "");
        for (found, expected) in [
            ("MIT", "MIT"),
            ("(MIT OR Apache-2.0)", "(MIT OR Apache-2.0)"),
            ("UNLICENSED", ""),
            ("SEE LICENSE IN LICENSE.md", ""),
            ("Copyright © Acme", ""),
        ] {
            assert_eq!(licenses(Some(found)), expected);
        }
        assert_eq!(person(Some("Ada"), Some("ada@acme.example")), "Ada <ada@acme.example>");
        assert_eq!(person(None, Some("ada@acme.example")), "ada@acme.example");
    }
}
