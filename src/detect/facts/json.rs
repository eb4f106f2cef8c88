//! Where things stand in a JSON text: the text in, the offset of every member out.
//!
//! `serde_json` gives values without places; messages need places. The scanner accepts exactly the texts that
//! `serde_json` accepts (a property test holds the two together), so it can be asked after a successful parse.

use std::collections::BTreeMap;

/// How deep members are recorded; manifests are shallow where it matters.
const RECORDED: usize = 3;
/// `serde_json`'s limit for nesting.
const NESTING: usize = 127;

/// Offsets of members by their path; a later duplicate replaces an earlier one, as its value does.
pub(super) type Offsets = BTreeMap<Vec<String>, usize>;

/// Scans `text`; nothing when it is not JSON.
pub(super) fn offsets(text: &str) -> Option<Offsets> {
    let mut scanner =
        Scanner { bytes: text.as_bytes(), text, at: 0, path: Vec::new(), offsets: Offsets::new() };
    scanner.value(0)?;
    scanner.blank();
    (scanner.at == scanner.bytes.len()).then_some(scanner.offsets)
}

struct Scanner<'a> {
    bytes: &'a [u8],
    text: &'a str,
    at: usize,
    path: Vec<String>,
    offsets: Offsets,
}

impl Scanner<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn blank(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn literal(&mut self, word: &str) -> Option<()> {
        self.bytes[self.at..].starts_with(word.as_bytes()).then(|| self.at += word.len())
    }

    fn value(&mut self, depth: usize) -> Option<()> {
        self.blank();
        match self.peek()? {
            b'{' if depth < NESTING => self.object(depth + 1),
            b'[' if depth < NESTING => self.array(depth + 1),
            b'"' => self.string().map(|_| ()),
            b't' => self.literal("true"),
            b'f' => self.literal("false"),
            b'n' => self.literal("null"),
            b'-' | b'0'..=b'9' => self.number(),
            _ => None,
        }
    }

    fn object(&mut self, depth: usize) -> Option<()> {
        self.at += 1;
        self.blank();
        if self.eat(b'}') {
            return Some(());
        }
        loop {
            self.blank();
            let start = self.at;
            let key = self.string()?;
            let recorded = depth <= RECORDED && self.path.len() + 1 == depth;
            if recorded {
                self.path.push(key);
                self.offsets.insert(self.path.clone(), start);
            }
            self.blank();
            if !self.eat(b':') {
                return None;
            }
            self.value(depth)?;
            if recorded {
                self.path.pop();
            }
            self.blank();
            if self.eat(b'}') {
                return Some(());
            }
            if !self.eat(b',') {
                return None;
            }
        }
    }

    fn array(&mut self, depth: usize) -> Option<()> {
        self.at += 1;
        self.blank();
        if self.eat(b']') {
            return Some(());
        }
        loop {
            self.value(depth)?;
            self.blank();
            if self.eat(b']') {
                return Some(());
            }
            if !self.eat(b',') {
                return None;
            }
        }
    }

    /// Reads a string and gives its value.
    fn string(&mut self) -> Option<String> {
        if !self.eat(b'"') {
            return None;
        }
        let mut value = String::new();
        loop {
            let rest = self.text.get(self.at..)?;
            let plain = rest.find(|c: char| c == '"' || c == '\\' || c < ' ')?;
            value.push_str(&rest[..plain]);
            self.at += plain;
            match self.peek()? {
                b'"' => {
                    self.at += 1;
                    return Some(value);
                }
                b'\\' => {
                    self.at += 1;
                    value.push(self.escape()?);
                }
                _ => return None,
            }
        }
    }

    fn escape(&mut self) -> Option<char> {
        let byte = self.peek()?;
        self.at += 1;
        Some(match byte {
            b'"' | b'\\' | b'/' => char::from(byte),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let first = self.hex()?;
                if !(0xd800..0xdc00).contains(&first) {
                    return char::from_u32(first);
                }
                self.literal("\\u")?;
                let second = self.hex()?.checked_sub(0xdc00).filter(|low| *low < 0x400)?;
                char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + second)?
            }
            _ => return None,
        })
    }

    fn hex(&mut self) -> Option<u32> {
        let digits = self.text.get(self.at..self.at + 4)?;
        self.at += 4;
        digits.bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| u32::from_str_radix(digits, 16).ok())?
    }

    fn digits(&mut self) -> Option<()> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        (self.at > start).then_some(())
    }

    fn number(&mut self) -> Option<()> {
        let start = self.at;
        self.eat(b'-');
        if !self.eat(b'0') {
            self.digits()?;
        }
        if self.eat(b'.') {
            self.digits()?;
        }
        if self.eat(b'e') || self.eat(b'E') {
            if !self.eat(b'+') {
                self.eat(b'-');
            }
            self.digits()?;
        }
        // A number beyond the range of a double is refused.
        self.text[start..self.at].parse::<f64>().ok().filter(|number| number.is_finite()).map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::offsets;

    #[test]
    fn members_are_found_by_path() {
        let text = "{\r\n  \"engines\": { \"node\": \">=20\" },\n  \"a\\u0062\": [{\"x\": 1}]\n}";
        let found = offsets(text).unwrap();
        let at =
            |path: &[&str]| found.get(&path.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>()).copied();
        assert_eq!(at(&["engines"]), text.find("\"engines\""));
        assert_eq!(at(&["engines", "node"]), text.find("\"node\""));
        assert_eq!(at(&["ab"]), text.find("\"a\\u0062\""));
        assert_eq!(found.len(), 3);
    }

    fn agrees(text: &str) {
        let theirs = serde_json::from_str::<serde_json::Value>(text);
        assert_eq!(offsets(text).is_some(), theirs.is_ok(), "{text:?}: {theirs:?}");
    }

    #[test]
    fn the_corners_are_those_of_serde_json() {
        for text in [
            "",
            " ",
            "1e400",
            "-0",
            "01",
            "1.",
            ".5",
            "-",
            "1e",
            "[1,]",
            "{\"a\":1,}",
            "\"\\ud800\"",
            "\"\\udc00\"",
            "\"\\ud83d\\ude00\"",
            "\"\\ud83d\\u0041\"",
            "\"\u{1}\"",
            "\"\u{7f}\"",
            "nul",
            "null x",
            "\u{feff}{}",
            "\"\\x\"",
            "\"\\u+123\"",
        ] {
            agrees(text);
        }
        for depth in [126, 127, 128, 129] {
            agrees(&format!("{}{}", "[".repeat(depth), "]".repeat(depth)));
        }
    }

    proptest! {
        #[test]
        fn any_text_is_judged_as_serde_json_does(text in r#"[\[\]{}",:0-9eE+.\\nutrfals \n\u{1}ä-]{0,24}"#) {
            agrees(&text);
        }

        #[test]
        fn any_value_is_accepted(text in json_value()) {
            agrees(&text);
            prop_assert!(offsets(&text).is_some());
        }
    }

    fn json_value() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            Just("null".to_owned()),
            any::<bool>().prop_map(|b| b.to_string()),
            any::<f64>()
                .prop_filter("finite", |f| f.is_finite())
                .prop_map(|f| serde_json::json!(f).to_string()),
            any::<String>().prop_map(|s| serde_json::json!(s).to_string()),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(|v| format!("[{}]", v.join(" ,"))),
                prop::collection::vec((any::<String>(), inner), 0..4).prop_map(|v| {
                    let members: Vec<String> =
                        v.iter().map(|(k, v)| format!("{}: {v}", serde_json::json!(k))).collect();
                    format!("{{{}}}", members.join(",\n"))
                }),
            ]
        })
    }
}
