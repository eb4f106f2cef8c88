//! Logical lines of a Python program as tokens.
//!
//! After <https://docs.python.org/3/reference/lexical_analysis.html>: comments are dropped, brackets and
//! backslashes join lines, strings are one token each. The scanner judges nothing: an unclosed string or bracket
//! ends with the text, so a file that Python refuses gives fewer lines and never an error.

/// The most tokens of one logical line that are kept; longer lines are tables of data.
const LINE_LIMIT: usize = 2_000;

/// One token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::detect::facts) enum Token<'a> {
    /// A name, a keyword or a number.
    Word(&'a str),
    /// The inside of a string literal, escapes unresolved.
    Text(&'a str),
    /// An operator or a bracket.
    Op(&'a str),
}

/// A logical line.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::detect::facts) struct Line<'a> {
    /// Columns before the first token; a tab goes to the next multiple of 8.
    pub(in crate::detect::facts) indent: usize,
    /// The number of its first physical line, from 1.
    pub(in crate::detect::facts) number: usize,
    pub(in crate::detect::facts) tokens: Vec<Token<'a>>,
}

/// Splits `text` into logical lines; blank ones are left out.
pub(in crate::detect::facts) fn lines(text: &str) -> Vec<Line<'_>> {
    let mut scanner = Scanner { rest: text, number: 1 };
    let mut lines = Vec::new();
    while !scanner.rest.is_empty() {
        let line = scanner.line();
        if !line.tokens.is_empty() {
            lines.push(line);
        }
    }
    lines
}

struct Scanner<'a> {
    rest: &'a str,
    number: usize,
}

impl<'a> Scanner<'a> {
    fn line(&mut self) -> Line<'a> {
        let mut line = Line { indent: self.indent(), number: self.number, tokens: Vec::new() };
        let mut depth = 0_usize;
        while let Some(first) = self.rest.chars().next() {
            let token = match first {
                '\n' => {
                    self.take(1);
                    if depth == 0 {
                        break;
                    }
                    continue;
                }
                '#' => {
                    self.take(self.rest.find('\n').unwrap_or(self.rest.len()));
                    continue;
                }
                // A backslash joins the next line.
                '\\' => {
                    let newline = if self.rest.starts_with("\\\r\n") { 3 } else { 2 };
                    let end = self.rest.char_indices().nth(newline).map_or(self.rest.len(), |(at, _)| at);
                    self.take(end);
                    continue;
                }
                c if c.is_whitespace() => {
                    self.take(c.len_utf8());
                    continue;
                }
                '"' | '\'' => self.string(),
                c if is_word(c) => self.word(),
                c => {
                    match c {
                        '(' | '[' | '{' => depth += 1,
                        ')' | ']' | '}' => depth = depth.saturating_sub(1),
                        _ => {}
                    }
                    self.operator(c)
                }
            };
            if line.tokens.len() < LINE_LIMIT {
                line.tokens.push(token);
            }
        }
        line
    }

    fn indent(&mut self) -> usize {
        let mut indent = 0;
        while let Some(first) = self.rest.chars().next() {
            match first {
                ' ' => indent += 1,
                '\t' => indent = (indent / 8 + 1) * 8,
                '\u{c}' => indent = 0,
                _ => break,
            }
            self.take(1);
        }
        indent
    }

    /// Takes `length` bytes and counts their line breaks.
    fn take(&mut self, length: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(length);
        self.number += taken.matches('\n').count();
        self.rest = rest;
        taken
    }

    /// A word, or a string when the word is its prefix.
    fn word(&mut self) -> Token<'a> {
        let length = self.rest.find(|c| !is_word(c)).unwrap_or(self.rest.len());
        let prefix = self.rest[..length].chars().all(|c| "rRbBuUfFtT".contains(c)) && length <= 2;
        if prefix && self.rest[length..].starts_with(['"', '\'']) {
            self.take(length);
            return self.string();
        }
        Token::Word(self.take(length))
    }

    fn string(&mut self) -> Token<'a> {
        let quote = &self.rest[..1];
        let triple = quote.repeat(3);
        let (open, long) =
            if self.rest.starts_with(&triple) { (triple.as_str(), true) } else { (quote, false) };
        let width = open.len();
        let mut at = width;
        let mut escaped = false;
        let mut end = None;
        for (offset, c) in self.rest[width..].char_indices() {
            at = width + offset;
            match c {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '\n' if !long => {
                    end = Some(at);
                    break;
                }
                _ if self.rest[at..].starts_with(open) => {
                    end = Some(at + width);
                    break;
                }
                _ => {}
            }
            at += c.len_utf8();
        }
        let length = end.unwrap_or(at.max(width)).min(self.rest.len());
        let literal = self.take(length);
        let inner = literal.get(width..).unwrap_or_default();
        Token::Text(inner.strip_suffix(open).unwrap_or(inner))
    }

    fn operator(&mut self, first: char) -> Token<'a> {
        let two = self.rest.get(..2).filter(|two| {
            matches!(*two, "==" | "!=" | "<=" | ">=" | ":=" | "->" | "+=" | "-=" | "*=" | "/=" | "|=" | "&=")
        });
        Token::Op(self.take(two.map_or(first.len_utf8(), str::len)))
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Token::{Op, Text, Word};
    use super::{Line, lines};

    #[test]
    fn brackets_and_backslashes_join_lines_and_comments_vanish() {
        let text = "# c\napp = Flask(  # x = Flask(\n    __name__,\n)\n\nif a \\\n  == 'b#c':\n\tx = r\"\\\"\" ; y\n";
        let expected = [
            Line {
                indent: 0,
                number: 2,
                tokens: vec![
                    Word("app"),
                    Op("="),
                    Word("Flask"),
                    Op("("),
                    Word("__name__"),
                    Op(","),
                    Op(")"),
                ],
            },
            Line {
                indent: 0,
                number: 6,
                tokens: vec![Word("if"), Word("a"), Op("=="), Text("b#c"), Op(":")],
            },
            Line { indent: 8, number: 8, tokens: vec![Word("x"), Op("="), Text("\\\""), Op(";"), Word("y")] },
        ];
        assert_eq!(lines(text), expected);
    }

    #[test]
    fn a_long_string_hides_what_looks_like_code() {
        let text = "\"\"\"doc\napp = Flask()\n\"\"\"\nx = f'''a\n'b' '''\ny = 'open\nz";
        let found = lines(text);
        let texts: Vec<_> = found.iter().map(|line| (line.number, line.tokens.clone())).collect();
        assert_eq!(
            texts,
            [
                (1, vec![Text("doc\napp = Flask()\n")]),
                (4, vec![Word("x"), Op("="), Text("a\n'b' ")]),
                (6, vec![Word("y"), Op("="), Text("open")]),
                (7, vec![Word("z")]),
            ]
        );
    }

    proptest! {
        #[test]
        fn no_text_panics(text in any::<String>(), dense in r#"[a-zäf'"\\()\[\]#\n\t\r :=]{0,60}"#) {
            lines(&text);
            lines(&dense);
        }
    }
}
