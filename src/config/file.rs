//! The layer of the repository: `rpack.toml`.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::check::check_argument;
use super::error::{Error, Fault, Place, Problem};
use super::schema::{self, Found};
use super::statement::Statement;
use super::suggest;
use super::value::{Reader, Site, list};

/// The file's name.
pub(super) const NAME: &str = "rpack.toml";

/// No configuration is as long as this many bytes.
const LIMIT: u64 = 1 << 20;

/// Reads the file in `folder` of `repository`; a missing one says nothing.
pub(super) fn read(repository: &Path, folder: &str) -> Result<(Vec<Statement>, Vec<Problem>), Error> {
    let name = if folder.is_empty() { NAME.to_owned() } else { format!("{folder}/{NAME}") };
    let path = repository.join(&name);
    let failed = |source| Error::Read { path: path.clone(), source };
    let metadata = match std::fs::metadata(&path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((Vec::new(), Vec::new())),
        Err(error) => return Err(failed(error)),
    };
    if !metadata.is_file() {
        return Err(failed(io::Error::other("it is not a regular file")));
    }
    let mut bytes = Vec::new();
    File::open(&path).and_then(|file| file.take(LIMIT + 1).read_to_end(&mut bytes)).map_err(failed)?;
    let bare = |fault| Ok((Vec::new(), vec![Problem { fault, place: Place::none(), hints: Vec::new() }]));
    if bytes.len() as u64 > LIMIT {
        return bare(Fault::TooLarge { limit: LIMIT });
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(parse(&name, &text)),
        Err(_) => bare(Fault::NotText),
    }
}

/// Reads a text that stands in `path`.
pub(super) fn parse(path: &str, text: &str) -> (Vec<Statement>, Vec<Problem>) {
    let site = Site::File { path, text };
    let (table, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        // What follows from a broken line would only hide it.
        let problem = |error: toml::de::Error| Problem {
            fault: Fault::Syntax { message: error.message().to_owned() },
            place: site.place(error.span().unwrap_or(0..0)),
            hints: Vec::new(),
        };
        return (Vec::new(), errors.into_iter().map(problem).collect());
    }
    let mut walk = Walk { reader: Reader { site, problems: Vec::new() }, statements: Vec::new() };
    walk.table(table.get_ref(), &[]);
    let mut problems = walk.reader.problems;
    problems.sort_by_key(|problem| match &problem.place.origin {
        Some(super::Origin::File { line, column, .. }) => (*line, *column),
        _ => (0, 0),
    });
    (walk.statements, problems)
}

struct Walk<'a> {
    reader: Reader<'a>,
    statements: Vec<Statement>,
}

impl Walk<'_> {
    fn table(&mut self, table: &DeTable<'_>, path: &[&str]) {
        for (name, value) in table {
            let path = [path, &[name.get_ref().as_ref()]].concat();
            match schema::find(&path) {
                Found::Key(key, argument) => self.key(key, argument, name, value),
                Found::Table => match value.get_ref() {
                    DeValue::Table(inner) => self.table(inner, &path),
                    _ => self.reader.wrong_type(&path.join("."), value, "a table", member_hints(&path)),
                },
                Found::Unknown => self.unknown(&path, name),
            }
        }
    }

    fn key(
        &mut self,
        key: &'static schema::Key,
        argument: Option<String>,
        name: &Spanned<std::borrow::Cow<'_, str>>,
        value: &Spanned<DeValue<'_>>,
    ) {
        let called = key.named(argument.as_deref());
        if let Some(argument) = &argument
            && let Err(expected) = check_argument(key.kind, argument)
        {
            self.reader.invalid(&key.named(None), argument, expected, name.span());
            return;
        }
        if let Some(read) = self.reader.value(key, &called, value) {
            let origin = self.reader.site.origin(name.span());
            self.statements.push(Statement { key, argument, value: read, origin });
        }
    }

    fn unknown(&mut self, path: &[&str], name: &Spanned<std::borrow::Cow<'_, str>>) {
        let fault = Fault::UnknownKey { key: path.join(".") };
        let place = self.reader.site.place(name.span());
        self.reader.problems.push(Problem { fault, place, hints: unknown_hints(path) });
    }
}

/// What to say about a key that does not exist.
pub(super) fn unknown_hints(path: &[&str]) -> Vec<String> {
    let suggestions = suggest::keys(path);
    if !suggestions.is_empty() {
        return vec![format!("did you mean {}?", list(&suggestions).replace(" and ", " or "))];
    }
    let tables = (0..path.len()).rev().map(|depth| &path[..depth]);
    tables.map(member_hints).find(|hints| !hints.is_empty()).unwrap_or_default()
}

fn member_hints(table: &[&str]) -> Vec<String> {
    let members = schema::members(table);
    if members.is_empty() {
        return Vec::new();
    }
    if let [only] = members.as_slice() {
        return vec![format!("did you mean `{}.{only}`?", table.join("."))];
    }
    let table = if table.is_empty() { NAME.to_owned() } else { table.join(".") };
    vec![format!("`{table}` has {}", list(&members))]
}
