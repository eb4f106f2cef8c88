//! The text of a program for Node.js: what it imports, as far as words show it.
//!
//! Comments and texts are told apart from the program; what is inside templates and regular expressions is not.

/// What other runtimes have.
const FOREIGN: [&str; 2] = ["Bun", "Deno"];

/// The modules of Node.js that go without `node:`, as `require("module").builtinModules` lists them.
const BUILT_IN: [&str; 41] = [
    "assert",
    "async_hooks",
    "buffer",
    "child_process",
    "cluster",
    "console",
    "constants",
    "crypto",
    "dgram",
    "diagnostics_channel",
    "dns",
    "domain",
    "events",
    "fs",
    "http",
    "http2",
    "https",
    "inspector",
    "module",
    "net",
    "os",
    "path",
    "perf_hooks",
    "process",
    "punycode",
    "querystring",
    "readline",
    "repl",
    "stream",
    "string_decoder",
    "sys",
    "timers",
    "tls",
    "trace_events",
    "tty",
    "url",
    "util",
    "v8",
    "vm",
    "worker_threads",
    "zlib",
];

#[derive(Debug, PartialEq, Eq)]
enum Token<'a> {
    Word(&'a str),
    Text(&'a str),
    Other(char),
}

/// Whether the program runs on Node.js alone: it imports nothing but built-in modules and its own files, and names no
/// other runtime.
pub(super) fn is_plain(text: &str) -> bool {
    let tokens = tokens(text);
    let names_other = tokens
        .windows(2)
        .any(|pair| matches!(pair, [Token::Word(word), Token::Other('.')] if FOREIGN.contains(word)));
    !names_other && imports(&tokens).all(is_there)
}

/// Whether the module needs no package.
fn is_there(module: &str) -> bool {
    module.starts_with("node:")
        || module.starts_with("./")
        || module.starts_with("../")
        || BUILT_IN.contains(&module.split('/').next().unwrap_or(module))
}

/// `from "a"`, `import "a"`, `import("a")`, `require("a")`.
fn imports<'a>(tokens: &[Token<'a>]) -> impl Iterator<Item = &'a str> {
    tokens.windows(3).filter_map(|three| match three {
        [Token::Word("from" | "import"), Token::Text(module), _]
        | [Token::Word("import" | "require"), Token::Other('('), Token::Text(module)] => Some(*module),
        _ => None,
    })
}

fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if let Some(comment) = rest.strip_prefix("/*") {
            comment.find("*/").map_or(rest.len(), |end| end + 4)
        } else if matches!(first, '"' | '\'' | '`') {
            let length = closing(rest, first);
            tokens.push(Token::Text(rest[1..length].trim_end_matches(first)));
            length
        } else if is_word(first) {
            let length = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
            tokens.push(Token::Word(&rest[..length]));
            length
        } else {
            if !first.is_whitespace() {
                tokens.push(Token::Other(first));
            }
            first.len_utf8()
        };
        rest = &rest[length..];
    }
    // What comes last is looked at as well.
    tokens.extend([Token::Other(';'), Token::Other(';')]);
    tokens
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || matches!(character, '_' | '$')
}

/// The length of the text that begins with `quote`, both quotes included; only templates go over lines.
fn closing(text: &str, quote: char) -> usize {
    let mut characters = text.char_indices().skip(1);
    while let Some((at, character)) = characters.next() {
        if character == quote {
            return at + 1;
        }
        if character == '\n' && quote != '`' {
            return at;
        }
        if character == '\\' {
            characters.next();
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::is_plain;

    #[test]
    fn programs_of_built_in_modules_and_own_files_are_plain() {
        for text in [
            "import { createServer } from 'node:http';\nimport x from \"./x.ts\";\n",
            "const fs = require('fs/promises'); await import(\"../y.ts\")",
            "// import a from 'express'\n/* require('koa') */ const a = `import b from 'hono'`; // it's",
            "const from = 'express'",
            "",
        ] {
            assert!(is_plain(text), "{text}");
        }
    }

    #[test]
    fn packages_addresses_and_other_runtimes_are_not() {
        for text in [
            "import express from 'express'",
            "import 'dotenv/config'",
            "import { serve } from \"https://deno.land/std/http/server.ts\"",
            "import x from 'npm:chalk'",
            "const koa = require('koa')",
            "Deno.serve(() => new Response('hello'))",
            "export default Bun.serve({})",
        ] {
            assert!(!is_plain(text), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in ".*") {
            let _ = is_plain(&text);
        }

        #[test]
        fn any_program_is_read(text in "(import|from|require|[('\"`/*\\\\ \n.;a])*") {
            let _ = is_plain(&text);
        }
    }
}
