//! App objects in one Python file: what the imports and assignments at module level say.
//!
//! `from flask import Flask as F` and `app = F(__name__)` make an app; the same text in a comment, a string or a
//! function does not. A function such as `create_app` that returns an app and needs no argument is a factory.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::token::{Line, Token, lines};

/// The interface of objects that run tasks and serve nothing.
pub(super) const WORKER: &str = "worker";

/// Full names of what makes an app, with the framework and the interface of its object.
const MAKERS: [(&str, &str, &str); 32] = [
    ("apiflask.APIFlask", "flask", "wsgi"),
    ("bottle.Bottle", "bottle", "wsgi"),
    ("bottle.default_app", "bottle", "wsgi"),
    ("celery.Celery", "celery", WORKER),
    ("celery.app.Celery", "celery", WORKER),
    ("connexion.AsyncApp", "connexion", "asgi"),
    ("connexion.FlaskApp", "connexion", "asgi"),
    ("dash.Dash", "dash", "wsgi"),
    ("django.core.asgi.get_asgi_application", "django", "asgi"),
    ("django.core.wsgi.get_wsgi_application", "django", "wsgi"),
    ("falcon.API", "falcon", "wsgi"),
    ("falcon.App", "falcon", "wsgi"),
    ("falcon.asgi.App", "falcon", "asgi"),
    ("fastapi.FastAPI", "fastapi", "asgi"),
    ("fastapi.applications.FastAPI", "fastapi", "asgi"),
    ("fasthtml.FastHTML", "fasthtml", "asgi"),
    ("fasthtml.common.FastHTML", "fasthtml", "asgi"),
    ("fasthtml.common.fast_app", "fasthtml", "asgi"),
    ("flask.Flask", "flask", "wsgi"),
    ("flask.app.Flask", "flask", "wsgi"),
    ("flask_openapi3.OpenAPI", "flask", "wsgi"),
    ("huey.FileHuey", "huey", WORKER),
    ("huey.MemoryHuey", "huey", WORKER),
    ("huey.PriorityRedisHuey", "huey", WORKER),
    ("huey.RedisHuey", "huey", WORKER),
    ("huey.SqliteHuey", "huey", WORKER),
    ("litestar.Litestar", "litestar", "asgi"),
    ("litestar.app.Litestar", "litestar", "asgi"),
    ("quart.Quart", "quart", "asgi"),
    ("sanic.Sanic", "sanic", "asgi"),
    ("shiny.App", "shiny", "asgi"),
    ("starlette.applications.Starlette", "starlette", "asgi"),
];

/// Names that say a function makes the app.
const FACTORIES: [&str; 7] = [
    "create_app",
    "make_app",
    "build_app",
    "get_app",
    "app_factory",
    "create_application",
    "make_application",
];

/// What marks a function that the functions framework calls.
const FUNCTION_DECORATORS: [&str; 3] =
    ["functions_framework.cloud_event", "functions_framework.http", "functions_framework.typed"];

/// The most apps that are kept of one file, and the most `*` imports: no honest file comes near.
const APP_LIMIT: usize = 100;
const STAR_LIMIT: usize = 20;

/// An object that a web server can serve.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct App {
    /// Relative to the source.
    pub file: String,
    /// Where it is made, from 1.
    pub line: usize,
    /// The module to import: `app.main`.
    pub module: String,
    /// The folder that must be on the import path, relative to the source: empty, or `src`.
    pub directory: String,
    /// The name in the module.
    pub variable: String,
    /// Whether the variable is a function that makes the app and needs no argument.
    pub factory: bool,
    /// `flask`, `fastapi`, `starlette`, `django`, …
    pub framework: String,
    /// `wsgi` or `asgi`.
    pub interface: String,
}

/// What one file says.
#[derive(Debug, Default)]
pub(super) struct Module {
    /// Apps without their file and module, in the order of their lines.
    pub(super) apps: Vec<App>,
    /// Whether there is an `if __name__ == "__main__"` at module level.
    pub(super) guard: bool,
    /// Packages that are imported, by the line where they are first.
    pub(super) imports: BTreeMap<String, usize>,
    /// Those of them that nothing guards: the module needs them.
    pub(super) needs: BTreeSet<String>,
    /// Functions that the functions framework may call, by its decorators.
    pub(super) functions: Vec<String>,
    /// Methods that are called on something: `launch`, `run`.
    pub(super) calls: BTreeSet<String>,
}

/// Reads one file.
pub(super) fn read(text: &str) -> Module {
    let mut reader = Reader::default();
    for line in &lines(text) {
        reader.line(line);
    }
    reader.module
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Block {
    /// The body of a function or class.
    Scope,
    /// The body of `if __name__ == "__main__"`.
    Guard,
    /// Any other body; what it assigns belongs to the module.
    Plain,
}

/// A function at module level that may be a factory.
struct Function<'a> {
    indent: usize,
    name: &'a str,
    number: usize,
    /// Variables that hold an app.
    apps: BTreeMap<&'a str, usize>,
}

#[derive(Default)]
struct Reader<'a> {
    module: Module,
    /// Full names by the name in the file.
    imports: BTreeMap<&'a str, String>,
    /// Modules that are imported with `*`.
    stars: Vec<String>,
    blocks: Vec<(usize, Block)>,
    function: Option<Function<'a>>,
    /// Variables that hold a Dash object, whose `server` is the app.
    dashes: BTreeSet<&'a str>,
    /// Whether a decorator of the functions framework stands above.
    is_decorated: bool,
}

impl<'a> Reader<'a> {
    fn line(&mut self, line: &Line<'a>) {
        while self.blocks.last().is_some_and(|(indent, _)| *indent >= line.indent) {
            self.blocks.pop();
        }
        if self.function.as_ref().is_some_and(|function| function.indent >= line.indent) {
            self.function = None;
        }
        let at_module = self.blocks.iter().all(|(_, block)| *block == Block::Plain);
        let guard = at_module && is_guard(&line.tokens);
        self.module.guard |= guard;
        if at_module && let Some(name) = factory(&line.tokens) {
            let (indent, number) = (line.indent, line.number);
            self.function = Some(Function { indent, name, number, apps: BTreeMap::new() });
        }
        self.note_calls(&line.tokens);
        if at_module {
            self.note_function(&line.tokens);
        }
        if line.tokens.last() == Some(&Token::Op(":")) {
            let keyword = line.tokens.iter().find(|token| **token != Token::Word("async"));
            let block = match keyword {
                Some(Token::Word("def" | "class")) => Block::Scope,
                _ if guard => Block::Guard,
                _ => Block::Plain,
            };
            self.blocks.push((line.indent, block));
            return;
        }
        for statement in line.tokens.split(|token| *token == Token::Op(";")) {
            self.statement(statement, line.number, at_module);
        }
    }

    /// Keeps the names of methods that end a server's script.
    fn note_calls(&mut self, tokens: &[Token<'a>]) {
        for window in tokens.windows(3) {
            if let [Token::Op("."), Token::Word(name @ ("launch" | "run")), Token::Op("(")] = window {
                self.module.calls.insert((*name).to_owned());
            }
        }
    }

    /// Keeps a function below a decorator of the functions framework; other decorators may stand between.
    fn note_function(&mut self, tokens: &[Token<'a>]) {
        match tokens {
            [Token::Op("@"), name @ ..] => {
                let full = dotted(name).map(|(name, _)| self.full_name(&name));
                self.is_decorated |= full.is_some_and(|full| FUNCTION_DECORATORS.contains(&full.as_str()));
            }
            [Token::Word("def"), Token::Word(name), ..] if self.is_decorated => {
                if self.module.functions.len() < APP_LIMIT {
                    self.module.functions.push((*name).to_owned());
                }
                self.is_decorated = false;
            }
            _ => self.is_decorated = false,
        }
    }

    /// A dotted name with what its first part was imported as.
    fn full_name(&self, name: &str) -> String {
        let (first, after) = name.split_once('.').map_or((name, None), |(first, rest)| (first, Some(rest)));
        let first = self.imports.get(first).map_or(first, String::as_str);
        after.map_or_else(|| first.to_owned(), |after| format!("{first}.{after}"))
    }

    /// Keeps the package of an absolute import.
    fn note_import(&mut self, name: &str, number: usize) {
        let package = name.split('.').next().unwrap_or(name);
        self.module.imports.entry(package.to_owned()).or_insert(number);
        if self.blocks.is_empty() {
            self.module.needs.insert(package.to_owned());
        }
    }

    fn statement(&mut self, tokens: &[Token<'a>], number: usize, at_module: bool) {
        match tokens {
            [Token::Word("import"), rest @ ..] => self.import(rest, number),
            [Token::Word("from"), rest @ ..] => self.import_from(rest, number),
            [Token::Word("return"), value @ ..] => self.returns(value),
            _ if at_module => self.assignment(tokens, number),
            _ => self.local_assignment(tokens),
        }
    }

    /// `import a.b as c, d`
    fn import(&mut self, tokens: &[Token<'a>], number: usize) {
        for part in tokens.split(|token| *token == Token::Op(",")) {
            let Some((name, rest)) = dotted(part) else { continue };
            self.note_import(&name, number);
            match (rest, part.first()) {
                ([Token::Word("as"), Token::Word(alias)], _) => {
                    self.imports.insert(alias, name);
                }
                ([], Some(Token::Word(first))) => {
                    self.imports.insert(first, (*first).to_owned());
                }
                _ => {}
            }
        }
    }

    /// `from a.b import (c as d, e)`, `from a import *`
    fn import_from(&mut self, tokens: &[Token<'a>], number: usize) {
        let Some((module, [Token::Word("import"), names @ ..])) = dotted(tokens) else { return };
        self.note_import(&module, number);
        for part in names.split(|token| matches!(token, Token::Op("," | "(" | ")"))) {
            match part {
                [Token::Op("*")] if self.stars.len() < STAR_LIMIT => self.stars.push(module.clone()),
                [Token::Word(name)] => {
                    self.imports.insert(name, format!("{module}.{name}"));
                }
                [Token::Word(name), Token::Word("as"), Token::Word(alias)] => {
                    self.imports.insert(alias, format!("{module}.{name}"));
                }
                _ => {}
            }
        }
    }

    /// The maker that a call at the start of `tokens` names, as an index into [`MAKERS`].
    fn maker(&self, tokens: &[Token<'a>]) -> Option<usize> {
        let (name, rest) = dotted(tokens)?;
        if rest.first() != Some(&Token::Op("(")) {
            return None;
        }
        let index = |full: &str| MAKERS.iter().position(|(maker, ..)| *maker == full);
        let first = name.split('.').next().unwrap_or(&name);
        match self.imports.get(first) {
            Some(_) => index(&self.full_name(&name)),
            None => self.stars.iter().find_map(|module| index(&format!("{module}.{name}"))),
        }
    }

    fn assignment(&mut self, tokens: &[Token<'a>], number: usize) {
        let (targets, value) = targets(tokens);
        let served = match value {
            // Only the `server` of a Dash object can be served.
            [Token::Word(object), Token::Op("."), Token::Word("server")] if self.dashes.contains(object) => {
                MAKERS.iter().position(|(_, framework, _)| *framework == "dash")
            }
            _ => {
                let maker = self.maker(value);
                if maker.is_some_and(|maker| MAKERS[maker].1 == "dash") {
                    self.dashes.extend(targets);
                    return;
                }
                maker
            }
        };
        for variable in targets {
            // A later assignment replaces the object.
            self.module.apps.retain(|app| app.factory || app.variable != *variable || served.is_none());
            if let Some(maker) = served {
                self.keep(variable, number, maker, false);
            }
        }
    }

    fn local_assignment(&mut self, tokens: &[Token<'a>]) {
        let (targets, value) = targets(tokens);
        let Some(maker) = self.maker(value) else { return };
        if let Some(function) = &mut self.function {
            function.apps.extend(targets.into_iter().map(|name| (name, maker)));
        }
    }

    fn returns(&mut self, value: &[Token<'a>]) {
        let made = self.maker(value);
        let Some(function) = &self.function else { return };
        let maker = match value {
            [Token::Word(name)] => function.apps.get(name).copied(),
            _ => made,
        };
        let (name, number) = (function.name, function.number);
        if let Some(maker) = maker {
            self.function = None;
            self.keep(name, number, maker, true);
        }
    }

    fn keep(&mut self, variable: &str, line: usize, maker: usize, factory: bool) {
        if self.module.apps.len() == APP_LIMIT {
            return;
        }
        let (_, framework, interface) = MAKERS[maker];
        self.module.apps.push(App {
            line,
            variable: variable.to_owned(),
            factory,
            framework: framework.to_owned(),
            interface: interface.to_owned(),
            ..App::default()
        });
    }
}

/// A dotted name at the start of `tokens`, and what follows it.
fn dotted<'t, 'a>(tokens: &'t [Token<'a>]) -> Option<(String, &'t [Token<'a>])> {
    let (Token::Word(first), mut rest) = tokens.split_first()? else { return None };
    let mut name = (*first).to_owned();
    while let [Token::Op("."), Token::Word(part), after @ ..] = rest {
        name.push('.');
        name.push_str(part);
        rest = after;
    }
    Some((name, rest))
}

/// The names that a statement assigns to, and the value: `a = b = v`, `a: T = v`, `a, b = v` (where `a` counts).
fn targets<'t, 'a>(tokens: &'t [Token<'a>]) -> (Vec<&'a str>, &'t [Token<'a>]) {
    let mut targets = Vec::new();
    let mut rest = tokens;
    while let [Token::Word(name), Token::Op("=" | ":" | ","), ..] = rest {
        let Some(equals) = rest.iter().position(|token| *token == Token::Op("=")) else { break };
        targets.push(*name);
        rest = &rest[equals + 1..];
    }
    (targets, rest)
}

/// The name of a factory whose `def` the line is, when it can be called without arguments.
fn factory<'a>(tokens: &[Token<'a>]) -> Option<&'a str> {
    let [Token::Word("def"), Token::Word(name), Token::Op("("), rest @ ..] = tokens else { return None };
    if !FACTORIES.contains(name) {
        return None;
    }
    let mut depth = 0_usize;
    // Whether the parameter that is being read has a default, or is `*args`, `**options`, `*` or `/`.
    let mut optional = true;
    let mut starts = true;
    for token in rest {
        let closes = matches!(token, Token::Op(")")) && depth == 0;
        if closes || (depth == 0 && *token == Token::Op(",")) {
            if !optional {
                return None;
            }
            if closes {
                return Some(name);
            }
            starts = true;
            continue;
        }
        match token {
            Token::Op("(" | "[" | "{") => depth += 1,
            Token::Op(")" | "]" | "}") => depth = depth.saturating_sub(1),
            Token::Op("=") if depth == 0 => optional = true,
            Token::Word(_) if starts => optional = false,
            _ => {}
        }
        starts = false;
    }
    None
}

fn is_guard(tokens: &[Token<'_>]) -> bool {
    let plain: Vec<Token<'_>> =
        tokens.iter().copied().filter(|token| !matches!(token, Token::Op("(" | ")"))).take(4).collect();
    matches!(
        plain.as_slice(),
        [Token::Word("if"), Token::Word("__name__"), Token::Op("=="), Token::Text("__main__")]
            | [Token::Word("if"), Token::Text("__main__"), Token::Op("=="), Token::Word("__name__")]
    )
}
