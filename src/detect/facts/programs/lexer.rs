//! Tokens of the languages whose programs are looked at, all of one kind.
//!
//! JavaScript (also TypeScript, JSON and Prisma's schemas, whose lexemes are the same for this purpose) after
//! <https://tc39.es/ecma262/#sec-ecmascript-language-lexical-grammar>, Go after
//! <https://go.dev/ref/spec#Lexical_elements>, Python by its own scanner. Nothing is judged: an open string ends with
//! its line, so a file that a compiler refuses gives odd tokens and never an error.

use super::super::python::token::{self, Token};

/// The most tokens of one file that are kept; longer programs are generated.
const TOKEN_LIMIT: usize = 200_000;

/// Words after which a slash begins a regular expression.
const BEFORE_EXPRESSION: [&str; 8] = ["return", "typeof", "case", "in", "of", "do", "else", "await"];

/// A language, as far as its lexemes differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Language {
    Go,
    JavaScript,
    Python,
}

impl Language {
    /// The language that the ending of the name says.
    pub(super) fn of(path: &str) -> Option<Self> {
        let (_, ending) = path.rsplit_once('.')?;
        match ending {
            "go" => Some(Self::Go),
            "py" => Some(Self::Python),
            "js" | "mjs" | "cjs" | "ts" | "mts" | "cts" | "jsx" | "tsx" | "prisma" => Some(Self::JavaScript),
            _ => None,
        }
    }
}

/// The tokens of `text` with the number of their line, from 1; in Python that of the logical line.
pub(super) fn tokens(text: &str, language: Language) -> Vec<(Token<'_>, usize)> {
    if language == Language::Python {
        let lines = token::lines(text).into_iter();
        return lines
            .flat_map(|line| line.tokens.into_iter().map(move |token| (token, line.number)))
            .take(TOKEN_LIMIT)
            .collect();
    }
    let mut scanner = Scanner { rest: text, number: 1, language, is_operand: false };
    std::iter::from_fn(|| scanner.next()).take(TOKEN_LIMIT).collect()
}

struct Scanner<'a> {
    rest: &'a str,
    number: usize,
    language: Language,
    /// Whether the last token ends an operand, so that a slash divides.
    is_operand: bool,
}

impl<'a> Scanner<'a> {
    fn next(&mut self) -> Option<(Token<'a>, usize)> {
        loop {
            let first = self.rest.chars().next()?;
            if first.is_whitespace() {
                self.take(first.len_utf8());
            } else if self.rest.starts_with("//") || (self.number == 1 && self.rest.starts_with("#!")) {
                self.take(self.rest.find('\n').unwrap_or(self.rest.len()));
            } else if self.rest.starts_with("/*") {
                let length = self.rest[2..].find("*/").map_or(self.rest.len(), |at| at + 4);
                self.take(length);
            } else {
                let number = self.number;
                let token = self.token(first);
                self.is_operand = match token {
                    Token::Word(word) => !BEFORE_EXPRESSION.contains(&word),
                    Token::Text(_) => true,
                    Token::Op(operator) => matches!(operator, ")" | "]" | "}"),
                };
                return Some((token, number));
            }
        }
    }

    fn token(&mut self, first: char) -> Token<'a> {
        match first {
            '"' | '\'' | '`' => {
                let literal = self.take(quoted(self.rest, first, self.language));
                Token::Text(literal[1..].strip_suffix(first).unwrap_or(&literal[1..]))
            }
            '/' if self.language == Language::JavaScript && !self.is_operand => match expression(self.rest) {
                Some(length) => {
                    self.take(length);
                    Token::Op("/")
                }
                None => Token::Op(self.take(1)),
            },
            c if is_word(c) => {
                let length = self.rest.find(|c| !is_word(c)).unwrap_or(self.rest.len());
                Token::Word(self.take(length))
            }
            c => {
                let two =
                    self.rest.get(..2).filter(|two| matches!(*two, ":=" | "==" | "!=" | "=>" | "<=" | ">="));
                Token::Op(self.take(two.map_or(c.len_utf8(), str::len)))
            }
        }
    }

    /// Takes `length` bytes and counts their line breaks.
    fn take(&mut self, length: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(length);
        self.number += taken.matches('\n').count();
        self.rest = rest;
        taken
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$'
}

/// The length of the literal that `rest` starts with; one that stays open ends with its line, one in back quotes with
/// the text.
fn quoted(rest: &str, quote: char, language: Language) -> usize {
    let knows_escapes = quote != '`' || language == Language::JavaScript;
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' if knows_escapes => escaped = true,
            '\n' if quote != '`' => return at,
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// The length of the regular expression that `rest` starts with; nothing when it does not end on its line.
fn expression(rest: &str) -> Option<usize> {
    let mut escaped = false;
    let mut in_class = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            '\n' => return None,
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '[' => in_class = true,
            ']' => in_class = false,
            '/' if !in_class => return Some(at + 1),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Token::{Op, Text, Word};
    use super::{Language, tokens};

    #[test]
    fn comments_and_expressions_hide_what_looks_like_code() {
        let text = "#!/usr/bin/env node\n// fs.mkdir('a')\nconst a = /[/'\"]x\\//g; /* `\n */ b = c / d / 2\nf(`x\n`)";
        assert_eq!(
            tokens(text, Language::JavaScript),
            [
                (Word("const"), 3),
                (Word("a"), 3),
                (Op("="), 3),
                (Op("/"), 3),
                (Word("g"), 3),
                (Op(";"), 3),
                (Word("b"), 4),
                (Op("="), 4),
                (Word("c"), 4),
                (Op("/"), 4),
                (Word("d"), 4),
                (Op("/"), 4),
                (Word("2"), 4),
                (Word("f"), 5),
                (Op("("), 5),
                (Text("x\n"), 5),
                (Op(")"), 6),
            ]
        );
    }

    #[test]
    fn raw_strings_of_go_know_no_escapes() {
        let text = "a := `\\` + \"\\\"\"";
        let expected = [(Word("a"), 1), (Op(":="), 1), (Text("\\"), 1), (Op("+"), 1), (Text("\\\""), 1)];
        assert_eq!(tokens(text, Language::Go), expected);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in any::<String>(), dense in r#"[a-zä'"`\\()\[\]/*#!\n =]{0,60}"#) {
            for language in [Language::Go, Language::JavaScript, Language::Python] {
                tokens(&text, language);
                tokens(&dense, language);
            }
        }
    }
}
