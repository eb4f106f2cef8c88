//! TOML values by the type that their key asks for.
//!
//! In: a parsed value with its span. Out: a checked [`Value`], or problems with their places. The same code
//! reads `rpack.toml` and the TOML that a variable or flag may hold.

use std::ops::Range;

use toml::Spanned;
use toml::de::DeValue;

use super::check::Kind;
use super::error::{Fault, Place, Problem};
use super::schema::Key;
use super::statement::{Edit, Value};
use super::{Command, Origin};
use crate::ui::excerpt;

/// Where a text comes from, to turn spans into places.
#[derive(Debug)]
pub(super) enum Site<'a> {
    /// A file, with its whole text.
    File { path: &'a str, text: &'a str },
    /// A variable or a flag.
    Word(Origin),
}

impl Site<'_> {
    pub(super) fn place(&self, span: Range<usize>) -> Place {
        match self {
            Self::File { path, text } => Place::in_file(path, excerpt(text, span)),
            Self::Word(origin) => Place::of(origin),
        }
    }

    pub(super) fn origin(&self, span: Range<usize>) -> Origin {
        match self {
            Self::File { path, text } => {
                let found = excerpt(text, span);
                Origin::File { path: (*path).to_owned(), line: found.line, column: found.column }
            }
            Self::Word(origin) => origin.clone(),
        }
    }
}

/// Reads values of one site and collects what is wrong with them.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    pub(super) site: Site<'a>,
    pub(super) problems: Vec<Problem>,
}

impl Reader<'_> {
    /// Reads the value of `key`, called `name`. `None` when a problem was noted.
    pub(super) fn value(&mut self, key: &Key, name: &str, found: &Spanned<DeValue<'_>>) -> Option<Value> {
        match (key.kind, found.get_ref()) {
            (kind, _) if kind.is_list() => self.edit(kind, name, found).map(Value::List),
            (Kind::Boolean, DeValue::Boolean(value)) => Some(Value::Boolean(*value)),
            (Kind::Command, DeValue::Array(_)) => {
                let argv: Vec<String> =
                    self.elements(Kind::Variable, name, found)?.into_iter().map(|(text, _)| text).collect();
                if argv.first().is_none_or(String::is_empty) {
                    self.invalid(name, "[]", "a command with at least one word", found.span());
                    return None;
                }
                Some(Value::Command(Command::Argv(argv)))
            }
            (Kind::Command, DeValue::String(_)) => {
                self.text(Kind::Command, name, found).map(|line| Value::Command(Command::Line(line)))
            }
            (Kind::Mirror, DeValue::Table(table)) => {
                let mut url = None;
                for (member, value) in table {
                    if member.get_ref() == "url" {
                        url = Some(self.text(Kind::Mirror, &format!("{name}.url"), value)?);
                    } else {
                        self.unknown_member(name, member, &["url"]);
                        return None;
                    }
                }
                if url.is_none() {
                    self.invalid(name, "{}", "`{ url = \"…\" }`", found.span());
                }
                url.map(Value::Text)
            }
            (kind, _) => self.text(kind, name, found).map(Value::Text),
        }
    }

    fn edit(&mut self, kind: Kind, name: &str, found: &Spanned<DeValue<'_>>) -> Option<Edit> {
        let DeValue::Table(table) = found.get_ref() else {
            let add = self.elements(kind, name, found)?;
            return Some(Edit { add, ..Edit::default() });
        };
        let mut edit = Edit::default();
        let mut complete = true;
        for (member, value) in table {
            let called = format!("{name}.{}", member.get_ref());
            match member.get_ref().as_ref() {
                "add" | "remove" | "set" => {
                    let Some(elements) = self.elements(kind, &called, value) else {
                        complete = false;
                        continue;
                    };
                    match member.get_ref().as_ref() {
                        "add" => edit.add = elements,
                        "set" => edit.set = Some(elements),
                        _ => edit.remove = elements.into_iter().map(|(text, _)| text).collect(),
                    }
                }
                _ => {
                    self.unknown_member(name, member, &["add", "remove", "set"]);
                    complete = false;
                }
            }
        }
        complete.then_some(edit)
    }

    fn elements(
        &mut self,
        kind: Kind,
        name: &str,
        found: &Spanned<DeValue<'_>>,
    ) -> Option<Vec<(String, Origin)>> {
        let DeValue::Array(array) = found.get_ref() else {
            let expected = if kind == Kind::Variable { Kind::Command } else { kind };
            let hints = match found.get_ref() {
                DeValue::String(text) => vec![format!("make it a list: `{name} = [\"{text}\"]`")],
                _ => Vec::new(),
            };
            self.wrong_type(name, found, expected.title(), hints);
            return None;
        };
        let mut elements = Vec::with_capacity(array.len());
        let mut complete = true;
        for (index, element) in array.iter().enumerate() {
            match self.text(kind, &format!("{name}[{index}]"), element) {
                Some(text) => elements.push((text, self.site.origin(element.span()))),
                None => complete = false,
            }
        }
        complete.then_some(elements)
    }

    /// One checked text; ports are written as integers.
    fn text(&mut self, kind: Kind, name: &str, found: &Spanned<DeValue<'_>>) -> Option<String> {
        let text = match (kind, found.get_ref()) {
            (Kind::Ports, DeValue::Integer(number)) => i64::from_str_radix(number.as_str(), number.radix())
                .map_or_else(|_| number.to_string(), |number| number.to_string()),
            (Kind::Ports, _) => {
                self.wrong_type(name, found, "an integer", Vec::new());
                return None;
            }
            (_, DeValue::String(text)) if kind != Kind::Boolean => text.clone().into_owned(),
            (_, other) => {
                let hints = quoting_hints(kind, name, other);
                let expected = if kind.is_list() { "text" } else { kind.title() };
                self.wrong_type(name, found, expected, hints);
                return None;
            }
        };
        match kind.check(&text) {
            Ok(()) => Some(text),
            Err(expected) => {
                self.invalid(name, &text, &expected, found.span());
                None
            }
        }
    }

    pub(super) fn invalid(&mut self, name: &str, found: &str, expected: &str, span: Range<usize>) {
        let fault = Fault::InvalidValue {
            key: name.to_owned(),
            found: found.to_owned(),
            expected: expected.to_owned(),
        };
        self.problems.push(Problem { fault, place: self.site.place(span), hints: Vec::new() });
    }

    pub(super) fn wrong_type(
        &mut self,
        name: &str,
        found: &Spanned<DeValue<'_>>,
        expected: &str,
        hints: Vec<String>,
    ) {
        let fault = Fault::WrongType {
            key: name.to_owned(),
            found: type_name(found.get_ref()).to_owned(),
            expected: expected.to_owned(),
        };
        self.problems.push(Problem { fault, place: self.site.place(found.span()), hints });
    }

    fn unknown_member(&mut self, name: &str, member: &Spanned<std::borrow::Cow<'_, str>>, known: &[&str]) {
        let fault = Fault::UnknownKey { key: format!("{name}.{}", member.get_ref()) };
        let hints = vec![format!("`{name}` has {}", list(known))];
        self.problems.push(Problem { fault, place: self.site.place(member.span()), hints });
    }
}

fn quoting_hints(kind: Kind, name: &str, found: &DeValue<'_>) -> Vec<String> {
    if name.ends_with(']') {
        return Vec::new();
    }
    match found {
        DeValue::Integer(number) => vec![format!("quote it: `{name} = \"{number}\"`")],
        DeValue::Float(number) => vec![format!("quote it: `{name} = \"{number}\"`")],
        DeValue::Boolean(value) => vec![format!("quote it: `{name} = \"{value}\"`")],
        DeValue::String(text) if kind == Kind::Boolean && matches!(text.as_ref(), "true" | "false") => {
            vec![format!("without quotes: `{name} = {text}`")]
        }
        DeValue::Table(table) if kind == Kind::Label => match (name.rsplit_once('.'), table.keys().next()) {
            (Some((parent, first)), Some(next)) => {
                vec![format!(
                    "quote a key that contains dots: `{parent}.\"{first}.{}\" = \"…\"`",
                    next.get_ref()
                )]
            }
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}

fn type_name(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a decimal number",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// Names in words: `a`, `b` and `c`.
pub(super) fn list(names: &[impl AsRef<str>]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{}`", name.as_ref())).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => quoted.concat(),
    }
}
