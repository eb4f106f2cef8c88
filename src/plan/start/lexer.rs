//! The words of a command line, as a Procfile and a script of `package.json` have them.
//!
//! Quotes, backslashes and leading assignments mean what they mean to a POSIX shell
//! (<https://pubs.opengroup.org/onlinepubs/9799919799/utilities/V3_chap02.html>); `$NAME`, `${NAME}` and
//! `${NAME:-default}` stay in the words and are replaced when the image starts, where one word stays one word.
//! Whatever else only a shell can do is an error that names it. In words that are returned, a literal dollar sign
//! is written `$$`, as `rpack-init` reads it.

/// A command that needs no shell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Line {
    /// Assignments in front of the command, in order.
    pub(super) env: Vec<(String, String)>,
    /// `D` of a leading `cd D &&`.
    pub(super) directory: Option<String>,
    /// The command's words.
    pub(super) argv: Vec<String>,
}

/// Why a line cannot be split.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Something that only a shell can do, with what follows it when that is a command on its own.
    Shell { what: String, rest: Option<String> },
    /// A quote that is never closed, or nothing to run.
    Syntax(String),
}

#[derive(Debug, PartialEq, Eq)]
enum Token {
    Word {
        text: String,
        quoted: bool,
    },
    /// `&&`, with the offset behind it.
    And(usize),
}

/// Splits `text`.
pub(super) fn split(text: &str) -> Result<Line, Refusal> {
    let mut line = Line::default();
    let mut words: Vec<(String, bool)> = Vec::new();
    let mut lexer = Lexer { text, at: 0 };
    while let Some(token) = lexer.next()? {
        match token {
            Token::Word { text, quoted } => words.push((text, quoted)),
            Token::And(rest) => {
                let is_cd = words.len() == 2 && words[0].0 == "cd" && line.directory.is_none();
                if !is_cd {
                    let rest = text[rest..].trim();
                    return Err(Refusal::Shell { what: "&&".to_owned(), rest: Some(rest.to_owned()) });
                }
                line.directory = words.pop().map(|(folder, _)| folder);
                words.clear();
            }
        }
    }
    let mut words = words.into_iter().peekable();
    while let Some((name, value)) = words.peek().and_then(|(word, quoted)| assignment(word, *quoted)) {
        line.env.push((name, value));
        words.next();
    }
    line.argv = words.map(|(word, _)| word).collect();
    if line.argv.first().is_some_and(|word| word == "exec") {
        line.argv.remove(0);
    }
    if line.argv.is_empty() {
        return Err(Refusal::Syntax("it names no program".to_owned()));
    }
    Ok(line)
}

/// The commands of a list, each with the operator in front of it; nothing when there is but one, or an empty one. What
/// the commands are is not looked at.
pub(super) fn sequence(text: &str) -> Option<Vec<(&'static str, &str)>> {
    let mut found = Vec::new();
    let (mut start, mut before, mut quote) = (0, "", None);
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match (quote, character) {
            (Some('\''), '\'') | (Some('"'), '"') => quote = None,
            (None, '\'' | '"') => quote = Some(character),
            (None | Some('"'), '\\') => drop(characters.next()),
            (None, _) => {
                let operator = ["&&", "||", ";"].into_iter().find(|one| text[at..].starts_with(one));
                if let Some(operator) = operator {
                    found.push((before, text[start..at].trim()));
                    (start, before) = (at + operator.len(), operator);
                    characters.by_ref().take(operator.len() - 1).for_each(drop);
                }
            }
            _ => {}
        }
    }
    found.push((before, text[start..].trim()));
    (found.len() > 1 && found.iter().all(|(_, command)| !command.is_empty())).then_some(found)
}

/// A word as a shell reads it, with references for the shell to replace.
pub(super) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_@%+=:,./-".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    let mut text = String::from("\"");
    let mut rest = word;
    while let Some(next) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("$$") {
            text.push_str("\\$");
            rest = after;
            continue;
        }
        if matches!(next, '"' | '\\' | '`') {
            text.push('\\');
        }
        text.push(next);
        rest = &rest[next.len_utf8()..];
    }
    text.push('"');
    text
}

/// `NAME=value` whose name is not quoted.
pub(super) fn assignment(word: &str, quoted: bool) -> Option<(String, String)> {
    let (name, value) = word.split_once('=')?;
    (!quoted && is_name(name)).then(|| (name.to_owned(), value.to_owned()))
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl Lexer<'_> {
    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        Some(next)
    }

    fn next(&mut self) -> Result<Option<Token>, Refusal> {
        while self.peek().is_some_and(char::is_whitespace) {
            self.bump();
        }
        if self.peek().is_none() {
            return Ok(None);
        }
        if self.text[self.at..].starts_with("&&") {
            self.at += 2;
            return Ok(Some(Token::And(self.at)));
        }
        self.word().map(Some)
    }

    fn word(&mut self) -> Result<Token, Refusal> {
        let start = self.at;
        let mut text = String::new();
        // Whether a quote stands before any `=`: `"A"=b` is a word, `A="b"` an assignment.
        let mut quoted = false;
        while let Some(next) = self.peek() {
            match next {
                _ if next.is_whitespace() => break,
                '&' if self.text[self.at..].starts_with("&&") => break,
                '\'' | '"' | '\\' => {
                    quoted |= !text.contains('=');
                    self.quote(next, &mut text)?;
                }
                '$' => self.dollar(&mut text)?,
                '|' | '&' | ';' | '<' | '>' | '(' | ')' | '`' | '*' | '?' | '[' => {
                    return Err(self.shell(next));
                }
                '~' | '#' if self.at == start => return Err(self.shell(next)),
                _ => {
                    text.push(next);
                    self.bump();
                }
            }
        }
        Ok(Token::Word { text, quoted })
    }

    fn shell(&self, found: char) -> Refusal {
        let rest = &self.text[self.at..];
        let what = ["||", ">>", "<<", ">&"].into_iter().find(|operator| rest.starts_with(operator));
        let what = what.map_or_else(|| found.to_string(), str::to_owned);
        let after = (what == ";").then(|| rest[1..].trim().to_owned()).filter(|rest| !rest.is_empty());
        Refusal::Shell { what, rest: after }
    }

    fn quote(&mut self, quote: char, text: &mut String) -> Result<(), Refusal> {
        self.bump();
        if quote == '\\' {
            let next = self.bump().ok_or_else(|| Refusal::Syntax("it ends in a backslash".to_owned()))?;
            push_literal(text, next);
            return Ok(());
        }
        loop {
            let Some(next) = self.peek() else {
                return Err(Refusal::Syntax(format!("the quote {quote} is never closed")));
            };
            match next {
                _ if next == quote => {
                    self.bump();
                    return Ok(());
                }
                '$' if quote == '"' => self.dollar(text)?,
                '`' if quote == '"' => return Err(self.shell(next)),
                '\\' if quote == '"' => {
                    self.bump();
                    match self.bump() {
                        Some(escaped @ ('$' | '`' | '"' | '\\')) => push_literal(text, escaped),
                        Some(other) => {
                            text.push('\\');
                            push_literal(text, other);
                        }
                        None => return Err(Refusal::Syntax(format!("the quote {quote} is never closed"))),
                    }
                }
                _ => {
                    self.bump();
                    push_literal(text, next);
                }
            }
        }
    }

    /// A reference stays; a dollar sign that begins none is itself.
    fn dollar(&mut self, text: &mut String) -> Result<(), Refusal> {
        let rest = &self.text[self.at + 1..];
        let plain =
            rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '_').len();
        if plain > 0 && is_name(&rest[..plain]) {
            text.push_str("${");
            text.push_str(&rest[..plain]);
            text.push('}');
            self.at += 1 + plain;
            return Ok(());
        }
        if let Some(inner) = rest.strip_prefix('{') {
            let body = inner.find('}').map(|end| &inner[..end]);
            let reference = body.filter(|body| {
                let (name, default) = body.split_once(":-").unwrap_or((body, ""));
                is_name(name) && !default.contains(['$', '`', '"', '\'', '\\'])
            });
            let Some(reference) = reference else {
                return Err(Refusal::Shell { what: "${…}".to_owned(), rest: None });
            };
            text.push_str("${");
            text.push_str(reference);
            text.push('}');
            self.at += reference.len() + 3;
            return Ok(());
        }
        if rest.starts_with('(') || rest.starts_with(|c: char| c.is_ascii_digit() || "@*#?!$-".contains(c)) {
            let what: String = self.text[self.at..].chars().take(2).collect();
            return Err(Refusal::Shell { what, rest: None });
        }
        push_literal(text, '$');
        self.bump();
        Ok(())
    }
}

fn push_literal(text: &mut String, character: char) {
    if character == '$' {
        text.push('$');
    }
    text.push(character);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn words(text: &str) -> Vec<String> {
        split(text).unwrap().argv
    }

    #[test]
    fn words_are_those_of_a_shell() {
        let table: [(&str, &[&str]); 12] = [
            ("node server.js", &["node", "server.js"]),
            ("  node\tserver.js  ", &["node", "server.js"]),
            ("node 'a b' \"c d\" e\\ f", &["node", "a b", "c d", "e f"]),
            ("x --a='b'\"c\"d", &["x", "--a=bcd"]),
            ("x ''", &["x", ""]),
            ("x $PORT ${PORT} ${PORT:-8000}", &["x", "${PORT}", "${PORT}", "${PORT:-8000}"]),
            ("x \"0.0.0.0:$PORT\"", &["x", "0.0.0.0:${PORT}"]),
            ("x '$PORT' \\$PORT a$", &["x", "$$PORT", "$$PORT", "a$$"]),
            ("exec node server.js", &["node", "server.js"]),
            ("x a=b", &["x", "a=b"]),
            ("x \"a\\n\\\"\"", &["x", "a\\n\""]),
            ("x a#b a~b", &["x", "a#b", "a~b"]),
        ];
        for (text, expected) in table {
            assert_eq!(words(text), expected, "{text}");
        }
    }

    #[test]
    fn assignments_and_a_folder_stand_in_front() {
        assert_eq!(
            split("cd web && NODE_ENV=production A='b c' node server.js").unwrap(),
            Line {
                env: vec![("NODE_ENV".into(), "production".into()), ("A".into(), "b c".into())],
                directory: Some("web".into()),
                argv: vec!["node".into(), "server.js".into()],
            }
        );
    }

    #[test]
    fn a_list_is_split_outside_of_quotes() {
        assert_eq!(
            sequence("a 'b && c' && d \\; || e; f").unwrap(),
            [("", "a 'b && c'"), ("&&", "d \\;"), ("||", "e"), (";", "f")]
        );
        assert_eq!(sequence("a b"), None);
        assert_eq!(sequence("a && "), None);
    }

    #[test]
    fn quoted_words_are_read_back() {
        assert_eq!(quoted("a/b-c=1"), "a/b-c=1");
        assert_eq!(quoted("${PORT:-80} $$x \"q\" `b` \\"), r#""${PORT:-80} \$x \"q\" \`b\` \\""#);
        assert_eq!(quoted(""), "\"\"");
    }

    #[test]
    fn what_only_a_shell_can_do_is_named() {
        let table = [
            ("a && b c", "&&", Some("b c")),
            ("a; b", ";", Some("b")),
            ("a || b", "||", None),
            ("a | b", "|", None),
            ("a &", "&", None),
            ("a > b", ">", None),
            ("a $(b)", "$(", None),
            ("a `b`", "`", None),
            ("a *.js", "*", None),
            ("a ~/b", "~", None),
            ("a ${B%x}", "${…}", None),
            ("a $1", "$1", None),
        ];
        for (text, what, rest) in table {
            let expected = Refusal::Shell { what: what.into(), rest: rest.map(str::to_owned) };
            assert_eq!(split(text), Err(expected), "{text}");
        }
    }

    #[test]
    fn broken_lines_say_what_is_broken() {
        for (text, reason) in [
            ("a 'b", "the quote ' is never closed"),
            ("a \"b", "the quote \" is never closed"),
            ("a \\", "it ends in a backslash"),
            ("", "it names no program"),
            ("A=b", "it names no program"),
        ] {
            assert_eq!(split(text), Err(Refusal::Syntax(reason.into())), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_split_or_refused(text in ".*") {
            let _ = split(&text);
        }

        #[test]
        fn quoted_words_come_back(parts in proptest::collection::vec("[^'$]{1,8}", 1..5)) {
            let text = parts.iter().map(|part| format!("'{part}'")).collect::<Vec<_>>().join(" ");
            let line = format!("x {text}");
            let argv = words(&line);
            prop_assert_eq!(&argv[1..], &parts[..]);
        }
    }
}
