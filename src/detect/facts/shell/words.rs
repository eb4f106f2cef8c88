//! Words and operators of a shell script.
//!
//! In: text. Out: tokens with their lines, the texts of command substitutions, and what only bash understands. It is
//! read to know what a script calls, so expansions are kept out of words and not evaluated, and what is broken ends
//! where the text ends: the shell reports it.

/// What a script is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A word without its quotes, and whether that is all of it: no expansion, no glob.
    Word(String, bool),
    /// `;`, `&&`, `|`, `(`, …; the end of a line is `;` too.
    Operator(&'static str),
    /// A redirection: the next word is a file.
    Redirection,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    /// From 1.
    pub(super) line: usize,
}

/// A text that was read.
#[derive(Debug, Default)]
pub(super) struct Words {
    pub(super) tokens: Vec<Token>,
    /// Scripts in `$(…)` and backquotes, with the lines where they begin.
    pub(super) nested: Vec<(String, usize)>,
    /// What dash does not understand, with its line.
    pub(super) bashisms: Vec<(&'static str, usize)>,
}

/// Operators, the longest first.
const OPERATORS: [&str; 10] = [";;", "&&", "||", "|&", ";", "&", "|", "(", ")", "\n"];

struct Reader<'a> {
    text: &'a str,
    at: usize,
    line: usize,
    out: Words,
    /// Ends of documents that begin after this line; whether they may be indented by tabs.
    documents: Vec<(String, bool)>,
}

/// Reads `text`, whose first line has the number `line`.
pub(super) fn read(text: &str, line: usize) -> Words {
    let mut reader = Reader { text, at: 0, line, out: Words::default(), documents: Vec::new() };
    while reader.at < text.len() {
        reader.token();
    }
    reader.out
}

impl Reader<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        self.line += usize::from(c == '\n');
        Some(c)
    }

    /// Takes `what` if it comes next.
    fn take(&mut self, what: &str) -> bool {
        let found = self.rest().starts_with(what);
        if found {
            self.at += what.len();
            self.line += what.matches('\n').count();
        }
        found
    }

    fn push(&mut self, kind: Kind, line: usize) {
        self.out.tokens.push(Token { kind, line });
    }

    fn bashism(&mut self, what: &'static str) {
        self.out.bashisms.push((what, self.line));
    }

    fn token(&mut self) {
        let line = self.line;
        if self.take(" ") || self.take("\t") || self.take("\r") || self.take("\\\n") {
            return;
        }
        if self.peek() == Some('#') {
            while self.peek().is_some_and(|c| c != '\n') {
                self.bump();
            }
            return;
        }
        if self.redirection(line) {
            return;
        }
        for operator in OPERATORS {
            if self.take(operator) {
                let shown = if operator == "\n" { ";" } else { operator };
                self.push(Kind::Operator(shown), line);
                if operator == "\n" {
                    self.skip_documents();
                }
                return;
            }
        }
        self.word(line);
    }

    /// `<`, `>>`, `2>&1`, `<<END`.
    fn redirection(&mut self, line: usize) -> bool {
        let digits = self.rest().len() - self.rest().trim_start_matches(|c: char| c.is_ascii_digit()).len();
        if self.rest()[digits..].starts_with(['<', '>']) {
            self.at += digits;
        }
        if self.take("<(") || self.take(">(") {
            self.bashism("<(…)");
            let inner = self.until(')');
            self.out.nested.push((inner, line));
            return true;
        }
        if self.take("<<<") {
            self.bashism("<<<");
        } else if self.take("<<") {
            let indented = self.take("-");
            while self.take(" ") || self.take("\t") {}
            let end: String =
                self.rest().chars().take_while(|c| !c.is_whitespace() && !";&|<>()".contains(*c)).collect();
            self.at += end.len();
            self.documents.push((end.replace(['\'', '"', '\\'], ""), indented));
            return true;
        } else if self.take("&>") {
            self.bashism("&>");
        } else if ![">>", ">&", "<&", ">|", "<>", "<", ">"].iter().any(|operator| self.take(operator)) {
            return false;
        }
        self.push(Kind::Redirection, line);
        true
    }

    fn skip_documents(&mut self) {
        for (end, indented) in std::mem::take(&mut self.documents) {
            while self.at < self.text.len() {
                let line = self.rest().split('\n').next().unwrap_or_default().to_owned();
                self.take(&line);
                self.take("\n");
                let line = if indented { line.trim_start_matches('\t') } else { &line };
                if line.trim_end_matches('\r') == end {
                    break;
                }
            }
        }
    }

    fn word(&mut self, line: usize) {
        let (mut word, mut plain) = (String::new(), true);
        while let Some(c) = self.peek() {
            match c {
                ' ' | '\t' | '\r' | '\n' | ';' | '&' | '|' | '(' | ')' | '<' | '>' => break,
                '\'' => {
                    self.bump();
                    word.push_str(&self.until('\''));
                }
                '"' => {
                    self.bump();
                    plain &= self.double_quoted(&mut word);
                }
                '\\' => {
                    self.bump();
                    word.extend(self.bump().filter(|c| *c != '\n'));
                }
                '$' | '`' => plain &= !self.expansion(&mut word),
                '*' | '?' => {
                    plain = false;
                    word.extend(self.bump());
                }
                _ => word.extend(self.bump()),
            }
        }
        self.push(Kind::Word(word, plain), line);
    }

    /// The rest of a text in double quotes; whether nothing of it is expanded.
    fn double_quoted(&mut self, word: &mut String) -> bool {
        let mut plain = true;
        while let Some(c) = self.peek() {
            match c {
                '"' => {
                    self.bump();
                    break;
                }
                '\\' => {
                    self.bump();
                    word.extend(self.bump());
                }
                '$' | '`' => plain &= !self.expansion(word),
                _ => word.extend(self.bump()),
            }
        }
        plain
    }

    /// What begins with `$` or a backquote; whether it is an expansion.
    fn expansion(&mut self, word: &mut String) -> bool {
        let line = self.line;
        if self.take("$((") {
            self.until(')');
            self.take(")");
        } else if self.take("$(") {
            let inner = self.until(')');
            self.out.nested.push((inner, line));
        } else if self.take("`") {
            let inner = self.until('`');
            self.out.nested.push((inner, line));
        } else if self.take("${") {
            let inner = self.until('}');
            self.parameter(&inner);
        } else if self.take("$'") {
            self.bashism("$'…'");
            self.until('\'');
        } else {
            self.bump();
            if !self.peek().is_some_and(|c| c.is_ascii_alphanumeric() || "_@*#?$!-".contains(c)) {
                word.push('$');
                return false;
            }
            self.bump();
            while self.peek().is_some_and(|c| c.is_ascii_alphanumeric() || c == '_') {
                self.bump();
            }
        }
        true
    }

    /// `${…}` that only bash knows.
    fn parameter(&mut self, inner: &str) {
        let after =
            inner.trim_start_matches('#').trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '_');
        let is_part = after.strip_prefix(':').is_some_and(|rest| !rest.starts_with(['-', '=', '+', '?']));
        if after.starts_with('[') {
            self.bashism("an array");
        } else if after.starts_with(['/', '^', ',']) || inner.starts_with('!') || is_part {
            self.bashism("${…} with `/`, `^`, `,`, `!` or a part");
        }
    }

    /// The text before the `close` that belongs to what was opened, which is taken too.
    fn until(&mut self, close: char) -> String {
        let open = match close {
            ')' => '(',
            '}' => '{',
            other => other,
        };
        let (start, mut depth, mut quote) = (self.at, 0_usize, None);
        while let Some(c) = self.bump() {
            match (c, quote) {
                ('\\', None | Some('"')) if close != '\'' => {
                    self.bump();
                }
                (c, Some(other)) => quote = quote.filter(|_| c != other),
                (c, None) if c == close && depth == 0 => return self.text[start..self.at - 1].to_owned(),
                (c, None) if c == close => depth -= 1,
                (c, None) if c == open => depth += 1,
                ('\'' | '"', None) if open != close => quote = Some(c),
                _ => {}
            }
        }
        self.text[start..].to_owned()
    }
}
