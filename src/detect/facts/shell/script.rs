//! What a shell script calls.
//!
//! In: text. Out: the first words of its commands with their lines, without keywords, the shell's own commands and the
//! script's functions; and what only bash understands.

use std::collections::BTreeSet;

use super::words::{self, Kind, Token};

/// How deep command substitutions nest at most; deeper ones are left out.
const DEPTH: usize = 8;
/// Commands that a shell has itself; those of bash count for dash as well, where they are told as bashisms.
const OWN: &str = ". : [ alias bg break builtin caller cd command compgen complete continue declare dirs disown echo enable \
    eval exec exit export false fc fg getopts hash help history jobs kill let local logout mapfile popd printf pushd pwd \
    read readarray readonly return set shift shopt source suspend test times trap true type typeset ulimit umask unalias \
    unset wait";
/// Of these, what dash does not have.
const OF_BASH: [&str; 10] =
    ["declare", "let", "mapfile", "popd", "pushd", "readarray", "shopt", "source", "typeset", "select"];
/// Words that stand before a command.
const BEFORE: [&str; 10] = ["!", "do", "elif", "else", "if", "then", "time", "until", "while", "{"];
/// Programs that run the command behind them.
const LAUNCHERS: [&str; 6] = ["builtin", "command", "env", "exec", "nohup", "setsid"];
/// Programs that run the script behind them.
const READERS: [&str; 5] = [".", "bash", "dash", "sh", "source"];

/// A command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Call {
    /// Its first word.
    pub(super) word: String,
    /// From 1.
    pub(super) line: usize,
    /// The script that it reads: `sh SCRIPT`, `. SCRIPT`.
    pub(super) script: Option<String>,
}

/// What is known about a script.
#[derive(Debug, Default)]
pub(super) struct Script {
    pub(super) calls: Vec<Call>,
    pub(super) functions: BTreeSet<String>,
    /// What dash does not understand, with its line.
    pub(super) bashism: Option<(String, usize)>,
    /// The program that the script ends with, when the shell stays and waits for it.
    pub(super) last: Option<Call>,
}

/// Reads a script.
pub(super) fn read(text: &str) -> Script {
    let mut script = Script::default();
    nested(text, 1, 0, &mut script);
    let Script { calls, functions, last, .. } = &mut script;
    let is_program = |call: &Call| !is_own(&call.word) && !functions.contains(&call.word);
    calls.retain(|call| is_program(call) || call.script.is_some());
    *last = last.take().filter(is_program);
    script
}

/// Whether a shell has the command itself.
pub(super) fn is_own(word: &str) -> bool {
    OWN.split_whitespace().any(|own| own == word)
}

fn nested(text: &str, line: usize, depth: usize, script: &mut Script) {
    let words = words::read(text, line);
    let mut parser = Parser { tokens: &words.tokens, at: 0, cases: 0, blocks: 0, script };
    let last = parser.commands();
    script.last = last.filter(|_| depth == 0);
    for (what, line) in words.bashisms {
        bashism(script, what, line);
    }
    if depth < DEPTH {
        let last = script.last.take();
        for (text, line) in words.nested {
            nested(&text, line, depth + 1, script);
        }
        script.last = last;
    }
}

/// Keeps the first.
fn bashism(script: &mut Script, what: &str, line: usize) {
    if script.bashism.as_ref().is_none_or(|(_, known)| line < *known) {
        script.bashism = Some((what.to_owned(), line));
    }
}

struct Parser<'a> {
    tokens: &'a [Token],
    at: usize,
    /// How many `case` are open.
    cases: usize,
    /// How many of `if`, `do`, `{`, `(` are open.
    blocks: usize,
    script: &'a mut Script,
}

impl Parser<'_> {
    fn next(&mut self) -> Option<&Token> {
        let token = self.tokens.get(self.at)?;
        self.at += 1;
        Some(token)
    }

    fn is_operator(&self, what: &str) -> bool {
        self.tokens
            .get(self.at)
            .is_some_and(|token| matches!(token.kind, Kind::Operator(known) if known == what))
    }

    /// Reads all commands; the last one, when nothing comes after it and nothing is around it.
    fn commands(&mut self) -> Option<Call> {
        let (mut last, mut piped) = (None, false);
        while let Some(Token { kind, line }) = self.next().cloned() {
            match kind {
                Kind::Operator("(") if self.is_operator("(") => self.arithmetic(line),
                Kind::Operator("(") => self.blocks += 1,
                Kind::Operator(")") => self.blocks = self.blocks.saturating_sub(1),
                Kind::Operator(";;") => self.pattern(),
                Kind::Operator("&") => last = None,
                Kind::Operator(operator) => piped = operator.starts_with('|'),
                Kind::Redirection => {
                    self.next();
                }
                Kind::Word(word, plain) => {
                    last = self
                        .command(&word, plain, line)
                        .filter(|_| self.blocks == 0 && self.cases == 0 && !piped);
                }
            }
        }
        last
    }

    fn arithmetic(&mut self, line: usize) {
        bashism(self.script, "((", line);
        while self.next().is_some_and(|token| token.kind != Kind::Operator(")")) {}
    }

    /// Goes past the pattern of a case.
    fn pattern(&mut self) {
        while let Some(token) = self.next() {
            match &token.kind {
                Kind::Operator(")") => return,
                Kind::Word(word, _) if word == "esac" => {
                    self.cases = self.cases.saturating_sub(1);
                    return;
                }
                _ => {}
            }
        }
    }

    /// A word where a command begins. The call when the shell waits for a program there.
    fn command(&mut self, word: &str, plain: bool, line: usize) -> Option<Call> {
        if BEFORE.contains(&word) {
            self.blocks += usize::from(["do", "if", "{"].contains(&word));
            return None;
        }
        match word {
            "fi" | "done" | "}" => self.blocks = self.blocks.saturating_sub(1),
            "esac" => self.cases = self.cases.saturating_sub(1),
            "case" => {
                self.cases += 1;
                while self.next().is_some_and(|token| token.kind != Kind::Word("in".to_owned(), true)) {}
                self.pattern();
                return None;
            }
            "for" | "select" => {}
            "function" => {
                bashism(self.script, "function", line);
                if let Some(Token { kind: Kind::Word(name, _), .. }) = self.next().cloned() {
                    self.script.functions.insert(name);
                }
                return None;
            }
            "[[" => {
                bashism(self.script, "[[", line);
                while self
                    .next()
                    .is_some_and(|token| !matches!(&token.kind, Kind::Word(word, _) if word == "]]"))
                {
                }
            }
            _ if is_assignment(word) => {
                if self.is_operator("(") {
                    bashism(self.script, "an array", line);
                    while self.next().is_some_and(|token| token.kind != Kind::Operator(")")) {}
                }
                return None;
            }
            _ if self.is_operator("(") => {
                self.script.functions.insert(word.to_owned());
                self.at += 2;
                return None;
            }
            _ => return self.call(word, plain, line),
        }
        if OF_BASH.contains(&word) {
            bashism(self.script, word, line);
        }
        self.words();
        None
    }

    fn call(&mut self, word: &str, plain: bool, line: usize) -> Option<Call> {
        if OF_BASH.contains(&word) {
            bashism(self.script, word, line);
        }
        if plain && LAUNCHERS.contains(&word) {
            return self.launched(word, line);
        }
        let words = self.words();
        if word == "set" && words.iter().any(|(word, _)| word == "pipefail") {
            bashism(self.script, "pipefail", line);
        }
        let script = words.into_iter().find(|(word, _)| !word.starts_with('-')).filter(|(_, plain)| *plain);
        let script = script.map(|(word, _)| word).filter(|_| READERS.contains(&word));
        let call = Call { word: word.to_owned(), line, script };
        if plain {
            self.script.calls.push(call.clone());
        }
        Some(call).filter(|_| plain && !self.is_operator("&"))
    }

    /// `exec PROGRAM`, `env A=b PROGRAM`; not `command -v PROGRAM`, which only asks.
    fn launched(&mut self, launcher: &str, line: usize) -> Option<Call> {
        if launcher == "env" || launcher == "nohup" || launcher == "setsid" {
            self.script.calls.push(Call { word: launcher.to_owned(), line, script: None });
        }
        while let Some(Token { kind: Kind::Word(word, plain), line }) = self.tokens.get(self.at).cloned() {
            self.at += 1;
            if word.starts_with('-') && launcher == "command" {
                self.words();
                return None;
            }
            if !word.starts_with('-') && !is_assignment(&word) {
                return self.call(&word, plain, line).filter(|_| launcher != "exec");
            }
        }
        None
    }

    /// The words up to the next operator.
    fn words(&mut self) -> Vec<(String, bool)> {
        let mut words = Vec::new();
        while let Some(token) = self.tokens.get(self.at) {
            match &token.kind {
                Kind::Operator(_) => break,
                Kind::Redirection => self.at += 1,
                Kind::Word(word, plain) => words.push((word.clone(), *plain)),
            }
            self.at += 1;
        }
        words
    }
}

fn is_assignment(word: &str) -> bool {
    let name = word.split('=').next().unwrap_or_default().trim_end_matches('+');
    let name = name.split('[').next().unwrap_or_default();
    word.contains('=')
        && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}
