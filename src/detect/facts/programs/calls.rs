//! Calls in one program that write or listen, by their names and the texts among their arguments.

use std::collections::HashMap;

use super::super::python::token::Token;
use super::lexer::{self, Language};
use super::{Listen, Programs, Write};

/// The most tokens of a call's arguments that are looked at.
const ARGUMENT_LIMIT: usize = 200;
/// The longest text that may be a path, in bytes.
const PATH_LIMIT: usize = 200;

/// Calls that write, by the end of their dotted names.
const GO_WRITES: [&str; 12] = [
    "SaveUploadedFile",
    "badger.Open",
    "bbolt.Open",
    "bolt.Open",
    "ioutil.WriteFile",
    "leveldb.OpenFile",
    "os.Create",
    "os.Mkdir",
    "os.MkdirAll",
    "os.OpenFile",
    "os.WriteFile",
    "sqlite.Open",
];
const JAVASCRIPT_WRITES: [&str; 27] = [
    "DailyRotateFile",
    "DatabaseSync",
    "FileAsync",
    "FileStore",
    "FileSync",
    "JSONFile",
    "JSONFilePreset",
    "JSONFileSync",
    "JSONFileSyncPreset",
    "JsonDB",
    "appendFile",
    "appendFileSync",
    "createWriteStream",
    "diskStorage",
    "ensureDir",
    "ensureDirSync",
    "mkdir",
    "mkdirSync",
    "mkdirp",
    "multer",
    "outputFile",
    "outputFileSync",
    "outputJson",
    "transports.File",
    "writeFile",
    "writeFileSync",
    "writeJson",
];
const PYTHON_WRITES: [&str; 22] = [
    "FastHTML",
    "FileHandler",
    "FileSystemCache",
    "PersistentClient",
    "RotatingFileHandler",
    "SqliteDatabase",
    "SqliteDict",
    "SqliteExtDatabase",
    "TimedRotatingFileHandler",
    "TinyDB",
    "aiosqlite.connect",
    "duckdb.connect",
    "fast_app",
    "makedirs",
    "mkdir",
    "os.mkdir",
    "shelve.open",
    "sqlite3.connect",
    "to_csv",
    "touch",
    "write_bytes",
    "write_text",
];
/// Calls that listen.
const GO_LISTENS: [&str; 6] = ["Listen", "ListenAndServe", "ListenAndServeTLS", "Run", "RunTLS", "Start"];
const JAVASCRIPT_LISTENS: [&str; 5] = ["Bun.serve", "Hapi.Server", "Hapi.server", "listen", "serve"];
const PYTHON_LISTENS: [&str; 16] = [
    "HTTPServer",
    "TCPServer",
    "ThreadingHTTPServer",
    "app.run",
    "app.run_server",
    "application.run",
    "bottle.run",
    "launch",
    "make_server",
    "run_app",
    "run_simple",
    "server.run",
    "simple_server.make_server",
    "socketio.run",
    "uvicorn.run",
    "waitress.serve",
];
/// Texts that name a kind of database in settings.
const DATABASES: [&str; 6] =
    ["better-sqlite3", "bun:sqlite", "django.db.backends.sqlite3", "node:sqlite", "sqlite", "sqlite3"];

/// Endings of addresses of databases in files.
const FILES: [&str; 2] = [".db", ".sqlite"];

/// Adds what the program does.
pub(super) fn read(file: &str, text: &str, language: Language, programs: &mut Programs) {
    let tokens = lexer::tokens(text, language);
    let reader = Reader { file, language, constants: constants(&tokens), tokens };
    programs.reads_port |= reader.reads_port();
    for at in 0..reader.tokens.len() {
        if let Some((name, arguments)) = reader.call(at) {
            programs.writes.extend(reader.write(at, &name, arguments));
            programs.listens.extend(reader.listen(at, &name, arguments));
        } else {
            programs.writes.extend(reader.database(at));
            programs.listens.extend(reader.address(at));
        }
    }
}

type Tokens<'a> = [(Token<'a>, usize)];

/// Names that are given a number or a text once and for all: `const port = 3000`.
fn constants<'a>(tokens: &Tokens<'a>) -> HashMap<&'a str, &'a str> {
    let mut found = HashMap::new();
    for (at, window) in tokens.windows(3).enumerate() {
        let [(Token::Word(name), _), (Token::Op("=" | ":="), _), (value, line)] = window else { continue };
        // What follows on the same line may be another choice: `3000 || …`.
        let is_all = tokens
            .get(at + 3)
            .is_none_or(|(next, number)| number > line || matches!(next, Token::Op(";" | "," | ")" | "}")));
        let (Token::Word(value) | Token::Text(value)) = value else { continue };
        if is_all {
            found.entry(*name).or_insert(*value);
        }
    }
    found
}

struct Reader<'a> {
    file: &'a str,
    language: Language,
    constants: HashMap<&'a str, &'a str>,
    tokens: Vec<(Token<'a>, usize)>,
}

impl<'a> Reader<'a> {
    fn token(&self, at: usize) -> Option<Token<'a>> {
        self.tokens.get(at).map(|(token, _)| *token)
    }

    /// `process.env.PORT`, `{ PORT } = process.env`, `os.Getenv("PORT")`, `env:"PORT"`.
    fn reads_port(&self) -> bool {
        self.tokens.windows(2).any(|pair| match (pair[0].0, pair[1].0) {
            (Token::Op("." | "{" | ","), Token::Word("PORT")) => true,
            (_, Token::Text(text)) => text.split(|c: char| !c.is_alphanumeric()).any(|word| word == "PORT"),
            _ => false,
        })
    }

    /// The dotted name of the call that stands at `at`, and the tokens of its arguments.
    fn call(&self, at: usize) -> Option<(String, &Tokens<'a>)> {
        let Token::Word(last) = self.token(at)? else { return None };
        if self.token(at + 1)? != Token::Op("(") {
            return None;
        }
        let mut name = last.to_owned();
        let mut first = at;
        while first >= 2
            && self.token(first - 1) == Some(Token::Op("."))
            && let Some(Token::Word(word)) = self.token(first - 2)
        {
            name = format!("{word}.{name}");
            first -= 2;
        }
        let is_defined = first > 0
            && matches!(self.token(first - 1), Some(Token::Word("def" | "class" | "func" | "function")));
        (!is_defined).then(|| (name, self.arguments(at + 2)))
    }

    /// The tokens up to the bracket that closes the call.
    fn arguments(&self, from: usize) -> &Tokens<'a> {
        let rest = &self.tokens[from..];
        let mut depth = 1_usize;
        let end = rest.iter().take(ARGUMENT_LIMIT).position(|(token, _)| {
            match token {
                Token::Op("(" | "[" | "{") => depth += 1,
                Token::Op(")" | "]" | "}") => depth -= 1,
                _ => {}
            }
            depth == 0
        });
        &rest[..end.unwrap_or(rest.len().min(ARGUMENT_LIMIT))]
    }

    fn write(&self, at: usize, name: &str, arguments: &Tokens<'a>) -> Option<Write> {
        let is = |names: &[&str]| names.iter().any(|known| is_end(name, known));
        let texts = arguments.iter().filter_map(|(token, _)| self.text(*token));
        let texts: Vec<&str> = self.receiver(at).into_iter().chain(texts).collect();
        let writes = match self.language {
            Language::Go if is(&["sql.Open", "sqlx.Open", "sqlx.Connect"]) => {
                texts.first().is_some_and(|driver| driver.starts_with("sqlite"))
            }
            Language::Go => is(&GO_WRITES),
            Language::JavaScript => is(&JAVASCRIPT_WRITES),
            Language::Python if is(&["open"]) => texts.iter().any(|text| is_writing_mode(text)),
            Language::Python if is(&["basicConfig"]) => {
                arguments.iter().any(|(token, _)| *token == Token::Word("filename"))
            }
            Language::Python => is(&PYTHON_WRITES),
        };
        let paths: Vec<&str> = texts.into_iter().filter(|text| is_path(text)).collect();
        let is_elsewhere = paths.first().is_some_and(|path| path.starts_with('/') || *path == ":memory:");
        (writes && !is_elsewhere).then(|| self.place(at, name, &paths))
    }

    /// The text in the brackets before the dot: `Path("a").write_text(…)`.
    fn receiver(&self, at: usize) -> Option<&'a str> {
        let before = |count| at.checked_sub(count).and_then(|at| self.token(at));
        match (before(3)?, before(2)?, before(1)?) {
            (Token::Text(text), Token::Op(")"), Token::Op(".")) => Some(text),
            _ => None,
        }
    }

    /// A text that names a database in a file: `sqlite:///shop.db`, `"sqlite"`, `file:./dev.db`.
    fn database(&self, at: usize) -> Option<Write> {
        let Token::Text(text) = self.token(at)? else { return None };
        if DATABASES.contains(&text) && self.language != Language::Go {
            return Some(self.place(at, text, &[]));
        }
        let path = match text.split_once(':') {
            Some((scheme, path)) if scheme.starts_with("sqlite") && path.starts_with("///") => &path[3..],
            Some(("file", path)) if FILES.iter().any(|ending| path.ends_with(ending)) => path,
            _ => return None,
        };
        // A fourth slash makes the path absolute.
        let is_elsewhere = path.starts_with('/') || path.contains(":memory:");
        (!is_elsewhere).then(|| self.place(at, text, &[path.split('?').next().unwrap_or(path)]))
    }

    fn place(&self, at: usize, what: &str, paths: &[&str]) -> Write {
        let texts = paths.iter().filter(|path| is_path(path)).map(|path| (*path).to_owned()).collect();
        let line = self.tokens[at].1;
        Write { file: self.file.to_owned(), line, what: what.to_owned(), texts, places: Vec::new() }
    }

    fn listen(&self, at: usize, name: &str, arguments: &Tokens<'a>) -> Option<Listen> {
        let is = |names: &[&str]| names.iter().any(|known| is_end(name, known));
        let listens = match self.language {
            Language::Go => is(&GO_LISTENS),
            Language::JavaScript => is(&JAVASCRIPT_LISTENS),
            Language::Python => is(&PYTHON_LISTENS),
        };
        let (port, host) = self.endpoint(arguments);
        let found = Listen { file: self.file.to_owned(), line: self.tokens[at].1, port, host };
        (listens && (found.port.is_some() || found.is_local())).then_some(found)
    }

    /// The field of a server of Go: `Addr: ":8080"`.
    fn address(&self, at: usize) -> Option<Listen> {
        let is_field = self.language == Language::Go
            && self.token(at)? == Token::Word("Addr")
            && self.token(at + 1)? == Token::Op(":");
        let (port, host) = self.endpoint(self.tokens.get(at + 2..at + 3)?);
        let found = Listen { file: self.file.to_owned(), line: self.tokens[at].1, port, host };
        (is_field && found.port.is_some()).then_some(found)
    }

    /// The port and the address among arguments: positional, named, in an object, or joined by a colon.
    fn endpoint(&self, arguments: &Tokens<'a>) -> (Option<u16>, String) {
        let (mut port, mut host) = (None, String::new());
        let mut depth = 0_usize;
        for (at, (token, _)) in arguments.iter().enumerate() {
            match token {
                // Deeper brackets hold a callback or an app, except the first, which holds the options.
                Token::Op("(" | "{" | "[") => depth += 1,
                Token::Op(")" | "}" | "]") => depth = depth.saturating_sub(1),
                _ => {}
            }
            let next = arguments.get(at + 1).map(|(token, _)| *token);
            let is_key = matches!(next, Some(Token::Op("=" | ":")));
            let is_value = !matches!(next, Some(Token::Op("." | "(" | "|" | "?" | "+")));
            let is_other_choice =
                at > 0 && matches!(arguments[at - 1].0, Token::Op("|" | "?") | Token::Word("or"));
            if depth > 1 || is_key || !is_value || is_other_choice {
                continue;
            }
            if let Some(number) = self.number(*token) {
                port = port.or(Some(number));
            } else if let Some(text) = self.text(*token) {
                let (name, number) = text.rsplit_once(':').unwrap_or((text, ""));
                let is_host = name == "localhost" || name.parse::<std::net::IpAddr>().is_ok();
                if is_host || name.is_empty() {
                    port = port.or(number.parse().ok().filter(|number| *number > 0));
                    if is_host && host.is_empty() {
                        name.clone_into(&mut host);
                    }
                }
            }
        }
        (port, host)
    }

    /// A text, or a name that stands for one.
    fn text(&self, token: Token<'a>) -> Option<&'a str> {
        match token {
            Token::Text(text) => Some(text),
            Token::Word(word) => self.constants.get(word).copied(),
            Token::Op(_) => None,
        }
    }

    /// A port, or a name that stands for one.
    fn number(&self, token: Token<'a>) -> Option<u16> {
        let number = |text: &str| text.parse().ok().filter(|number| *number >= 80);
        match token {
            Token::Word(word) => number(word).or_else(|| number(self.constants.get(word)?)),
            Token::Text(text) => number(text),
            Token::Op(_) => None,
        }
    }
}

/// Whether the dotted `name` ends in the dotted `end`.
fn is_end(name: &str, end: &str) -> bool {
    name.strip_suffix(end).is_some_and(|before| before.is_empty() || before.ends_with('.'))
}

/// The second argument of Python's `open`.
fn is_writing_mode(text: &str) -> bool {
    text.len() <= 3
        && text.contains(['w', 'a', 'x', '+'])
        && text.chars().all(|c| matches!(c, 'r' | 'w' | 'a' | 'x' | 'b' | 't' | '+'))
}

/// Whether a text can be a path of its own: no sentence, no pattern, no address.
fn is_path(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= PATH_LIMIT
        && !text.contains([' ', '\n', '\\', '%', '{', '}', '<', '>', '*', '$', '\0'])
        && !text.contains("://")
        && !is_writing_mode(text)
}
