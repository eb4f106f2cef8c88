//! One `.go` file: its package, its constraints, what it imports and embeds, which texts it holds.
//!
//! A scanner over comments, strings and words, after <https://go.dev/ref/spec#Lexical_elements>. It reads the
//! package clause and the imports, and past them looks for texts, and for `//go:embed` when `embed` is imported.

use super::constraint;

/// The length of a text, in bytes, up to which it may be a path.
const PATH_LIMIT: usize = 200;

/// What a file says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Program {
    pub(super) package: String,
    pub(super) imports_c: bool,
    /// Whether everything that it imports is in Go's standard library, whose paths begin with no host.
    pub(super) standard: bool,
    /// String literals past the imports that may be paths: short, and without what paths of a source rarely have.
    pub(super) texts: Vec<String>,
    /// Patterns as written, without `all:`.
    pub(super) embeds: Vec<String>,
    /// The expression of `//go:build`.
    build: Option<String>,
    /// The `// +build` lines, which count without a `//go:build` only.
    plus_build: Vec<String>,
}

impl Program {
    /// Whether the file takes part in a build for Linux on `arch`.
    pub(super) fn fits(&self, name: &str, arch: &str, cgo: bool) -> bool {
        constraint::name_fits(name, arch)
            && match &self.build {
                Some(expression) => constraint::expression_holds(expression, arch, cgo),
                None => self.plus_build.iter().all(|line| constraint::line_holds(line, arch, cgo)),
            }
    }
}

/// Reads a file; nothing when it has no package clause.
pub(super) fn read(text: &str) -> Option<Program> {
    let mut scanner = Scanner { rest: text, line_start: true };
    let mut program = Program { standard: true, ..Program::default() };
    loop {
        match scanner.next()? {
            Token::Comment { text, .. } => program.take_constraint(text),
            Token::Word("package") => break,
            Token::Break => {}
            _ => return None,
        }
    }
    program.package = scanner.significant()?.word()?.to_owned();
    let embeds = read_imports(&mut scanner, &mut program);
    while let Some(token) = scanner.next() {
        match token {
            Token::Comment { text, line_start: true } if embeds => {
                if let Some(patterns) =
                    text.strip_prefix("go:embed").filter(|rest| rest.starts_with([' ', '\t']))
                {
                    program.embeds.extend(embed_patterns(patterns));
                }
            }
            Token::Text(text) if may_be_path(text) => program.texts.push(text.to_owned()),
            _ => {}
        }
    }
    Some(program)
}

fn may_be_path(text: &str) -> bool {
    !text.is_empty() && text.len() <= PATH_LIMIT && !text.contains([' ', '\n', '\\', ':', '%', '<', '{'])
}

/// Reads the import declarations up to the first other one; tells whether `embed` is among them.
fn read_imports(scanner: &mut Scanner<'_>, program: &mut Program) -> bool {
    let mut embeds = false;
    let mut take = |path: &str| {
        program.imports_c |= path == "C";
        program.standard &= !path.split('/').next().unwrap_or_default().contains('.');
        embeds |= path == "embed";
    };
    let mut before = scanner.clone();
    while let Some(token) = scanner.significant() {
        if token != Token::Word("import") {
            // Directives may stand right before this declaration.
            *scanner = before;
            break;
        }
        let mut open = false;
        while let Some(token) = scanner.significant() {
            match token {
                Token::Open => open = true,
                Token::Text(path) => {
                    take(path);
                    if !open {
                        break;
                    }
                }
                Token::Close => break,
                _ => {}
            }
        }
        before = scanner.clone();
    }
    embeds
}

/// The patterns of a `//go:embed` line: words or quoted texts.
fn embed_patterns(line: &str) -> Vec<String> {
    let mut patterns = Vec::new();
    let mut rest = line.trim();
    while let Some(first) = rest.chars().next() {
        let (pattern, after) = match first {
            '"' | '`' => rest[1..].split_once(first).unwrap_or((&rest[1..], "")),
            _ => rest.split_once(char::is_whitespace).unwrap_or((rest, "")),
        };
        patterns.push(pattern.strip_prefix("all:").unwrap_or(pattern).to_owned());
        rest = after.trim_start();
    }
    patterns
}

impl Program {
    fn take_constraint(&mut self, comment: &str) {
        if let Some(expression) =
            comment.strip_prefix("go:build").filter(|rest| rest.starts_with([' ', '\t']))
        {
            self.build.get_or_insert_with(|| expression.trim().to_owned());
        } else if let Some(line) = comment.trim_start().strip_prefix("+build ") {
            self.plus_build.push(line.to_owned());
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'a> {
    /// A line comment without its slashes.
    Comment {
        text: &'a str,
        /// Whether it starts its line.
        line_start: bool,
    },
    Word(&'a str),
    /// The inside of a string.
    Text(&'a str),
    Open,
    Close,
    /// A line break.
    Break,
    Other,
}

impl<'a> Token<'a> {
    fn word(self) -> Option<&'a str> {
        if let Token::Word(word) = self { Some(word) } else { None }
    }
}

#[derive(Clone)]
struct Scanner<'a> {
    rest: &'a str,
    line_start: bool,
}

impl<'a> Scanner<'a> {
    /// The next token that is neither a comment nor a line break.
    fn significant(&mut self) -> Option<Token<'a>> {
        loop {
            match self.next()? {
                Token::Comment { .. } | Token::Break => {}
                token => return Some(token),
            }
        }
    }

    fn next(&mut self) -> Option<Token<'a>> {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\r']);
        let line_start = self.line_start;
        self.line_start = false;
        let first = self.rest.chars().next()?;
        if let Some(comment) = self.rest.strip_prefix("//") {
            let length = comment.find('\n').unwrap_or(comment.len());
            self.rest = &comment[length..];
            return Some(Token::Comment { text: comment[..length].trim_end_matches('\r'), line_start });
        }
        if let Some(comment) = self.rest.strip_prefix("/*") {
            self.rest = comment.split_once("*/").map_or("", |(_, rest)| rest);
            return Some(Token::Break);
        }
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        let length = match first {
            c if is_word(c) => self.rest.find(|c| !is_word(c)).unwrap_or(self.rest.len()),
            '"' | '\'' | '`' => quoted(self.rest, first),
            c => c.len_utf8(),
        };
        let (token, rest) = self.rest.split_at(length);
        self.rest = rest;
        Some(match first {
            '\n' => {
                self.line_start = true;
                Token::Break
            }
            '(' => Token::Open,
            ')' => Token::Close,
            '"' | '`' => Token::Text(token[1..].strip_suffix(first).unwrap_or(&token[1..])),
            c if is_word(c) => Token::Word(token),
            _ => Token::Other,
        })
    }
}

/// The length of the literal that `rest` starts with; one that stays open ends with its line, a raw one with the
/// text.
fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' if quote != '`' => escaped = true,
            '\n' if quote != '`' => return at,
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}
