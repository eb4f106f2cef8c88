//! The layers above the file: environment variables and flags, whose values are single texts.
//!
//! A list is words separated by spaces or commas. A value that starts with `[` or `{` is TOML, so that
//! `{ remove = ["git"] }` can be said as well; a command that is no valid TOML list is a line.

use toml::de::DeValue;

use super::check::{Kind, check_argument};
use super::error::{Fault, Place, Problem};
use super::file::unknown_hints;
use super::schema::{self, Found, Key, Merge};
use super::statement::{Edit, Statement, Value};
use super::value::{Reader, Site, list};
use super::{Command, Environment, Flag, Origin, suggest};

/// What a layer of words says.
#[derive(Debug, Default)]
pub(super) struct Words {
    pub(super) statements: Vec<Statement>,
    pub(super) problems: Vec<Problem>,
    /// Variables that mean nothing; an error only under strict.
    pub(super) unknown: Vec<Problem>,
}

/// The layer of the environment.
pub(super) fn environment(environment: &Environment) -> Words {
    let mut words = Words::default();
    let mut found = Vec::new();
    for (name, value) in environment.iter() {
        let Some(name) = name.to_str().filter(|name| name.starts_with(schema::PREFIX)) else { continue };
        if schema::MACHINE.iter().any(|(machine, _)| *machine == name) {
            continue;
        }
        let origin = Origin::Env { name: name.to_owned() };
        match (schema::variable(name), value.to_str()) {
            (Some((key, argument)), Some(value)) => found.push((key, argument, value, origin)),
            (Some(_), None) => words.problems.push(Problem {
                fault: Fault::InvalidValue {
                    key: name.to_owned(),
                    found: value.to_string_lossy().into_owned(),
                    expected: "UTF-8 text".to_owned(),
                },
                place: Place::none(),
                hints: Vec::new(),
            }),
            (None, _) => words.unknown.push(unknown_variable(name)),
        }
    }
    // The full name of a version stands above its short one.
    found.sort_by_key(|(.., origin)| matches!(origin, Origin::Env { name } if name.contains("__")));
    for (key, argument, value, origin) in found {
        if !value.is_empty() || (key.merge() == Merge::Map && key.words.is_empty() && argument.is_some()) {
            words.say(key, argument, value, origin);
        }
    }
    words
}

/// The layer of the command line; of a flag given twice the last one is the stronger.
pub(super) fn flags(flags: &[Flag]) -> Words {
    let mut words = Words::default();
    for flag in flags {
        let origin = Origin::Flag { name: flag.name.clone() };
        let path: Vec<&str> = flag.key.split('.').collect();
        match lookup(&flag.key) {
            Some((key, argument)) => words.say(key, argument, &flag.value, origin),
            None => words.problems.push(Problem {
                fault: Fault::UnknownKey { key: flag.key.clone() },
                place: Place::of(&origin),
                hints: unknown_hints(&path),
            }),
        }
    }
    words
}

/// The key of a dotted name. What stands at an open part may contain dots; an open table may stand alone.
fn lookup(name: &str) -> Option<(&'static Key, Option<String>)> {
    if let Found::Key(key, argument) = schema::find(&name.split('.').collect::<Vec<_>>()) {
        return Some((key, argument));
    }
    schema::KEYS.iter().filter(|key| key.merge() == Merge::Map && key.words.is_empty()).find_map(|key| {
        let rest = name.strip_prefix(key.name.rsplit_once('.')?.0)?;
        match rest.strip_prefix('.') {
            Some(argument) if !argument.is_empty() => Some((key, Some(argument.to_owned()))),
            None if rest.is_empty() => Some((key, None)),
            _ => None,
        }
    })
}

fn unknown_variable(name: &str) -> Problem {
    let suggestions = suggest::variables(name);
    let hints = if suggestions.is_empty() {
        vec![format!("remove it: `unset {name}`")]
    } else {
        vec![format!("did you mean {}?", list(&suggestions).replace(" and ", " or "))]
    };
    Problem { fault: Fault::UnknownVariable { name: name.to_owned() }, place: Place::none(), hints }
}

impl Words {
    fn say(&mut self, key: &'static Key, argument: Option<String>, text: &str, origin: Origin) {
        let open_table = key.merge() == Merge::Map && argument.is_none();
        if open_table {
            self.entries(key, text, &origin);
            return;
        }
        if let Some(argument) = &argument
            && let Err(expected) = check_argument(key.kind, argument)
        {
            self.invalid(&key.named(None), argument, expected, &origin);
            return;
        }
        if let Some(value) = self.value(key, &key.named(argument.as_deref()), text, &origin) {
            self.statements.push(Statement { key, argument, value, origin });
        }
    }

    /// `NAME=value`, or a table in TOML.
    fn entries(&mut self, key: &'static Key, text: &str, origin: &Origin) {
        if text.trim_start().starts_with('{') {
            let Some(table) = self.toml(key, text, origin) else { return };
            if let DeValue::Table(table) = table.get_ref() {
                for (name, value) in table {
                    let name = name.get_ref().to_string();
                    let called = key.named(Some(&name));
                    let mut reader = Reader { site: Site::Word(origin.clone()), problems: Vec::new() };
                    let value = reader.value(key, &called, value);
                    self.problems.append(&mut reader.problems);
                    if let Some(Value::Text(text)) = value {
                        self.say(key, Some(name), &text, origin.clone());
                    }
                }
            }
        } else if let Some((name, value)) = text.split_once('=') {
            self.say(key, Some(name.to_owned()), value, origin.clone());
        } else {
            self.invalid(key.name, text, "`NAME=value`", origin);
        }
    }

    fn value(&mut self, key: &Key, name: &str, text: &str, origin: &Origin) -> Option<Value> {
        let toml = text.trim_start().starts_with(['[', '{']);
        match key.kind {
            Kind::Boolean => {
                let word = text.to_ascii_lowercase();
                match word.as_str() {
                    "true" | "1" | "yes" | "on" => Some(Value::Boolean(true)),
                    "false" | "0" | "no" | "off" => Some(Value::Boolean(false)),
                    _ => {
                        self.invalid(name, text, "`true` or `false`", origin);
                        None
                    }
                }
            }
            Kind::Command if !toml || DeValue::parse(text).is_err() => {
                self.checked(Kind::Command, name, text, origin)?;
                Some(Value::Command(Command::Line(text.to_owned())))
            }
            kind if kind.is_list() && !toml => {
                let parts =
                    text.split(|c: char| c == ',' || c.is_whitespace()).filter(|part| !part.is_empty());
                let checked: Vec<Option<String>> =
                    parts.map(|part| self.checked(kind, name, part, origin)).collect();
                let add = checked.into_iter().collect::<Option<Vec<_>>>()?;
                let add = add.into_iter().map(|part| (part, origin.clone())).collect();
                Some(Value::List(Edit { add, ..Edit::default() }))
            }
            kind if kind.is_list() || (toml && matches!(kind, Kind::Command | Kind::Mirror)) => {
                let value = self.toml(key, text, origin)?;
                let mut reader = Reader { site: Site::Word(origin.clone()), problems: Vec::new() };
                let value = reader.value(key, name, &value);
                self.problems.append(&mut reader.problems);
                value
            }
            kind => self.checked(kind, name, text, origin).map(Value::Text),
        }
    }

    fn toml<'t>(&mut self, key: &Key, text: &'t str, origin: &Origin) -> Option<toml::Spanned<DeValue<'t>>> {
        match DeValue::parse(text.trim()) {
            Ok(value) => Some(value),
            Err(error) => {
                self.invalid(key.name, text, &format!("valid TOML: {}", error.message()), origin);
                None
            }
        }
    }

    fn checked(&mut self, kind: Kind, name: &str, text: &str, origin: &Origin) -> Option<String> {
        match kind.check(text) {
            Ok(()) => Some(text.to_owned()),
            Err(expected) => {
                self.invalid(name, text, &expected, origin);
                None
            }
        }
    }

    fn invalid(&mut self, name: &str, found: &str, expected: &str, origin: &Origin) {
        let fault = Fault::InvalidValue {
            key: name.to_owned(),
            found: found.to_owned(),
            expected: expected.to_owned(),
        };
        self.problems.push(Problem { fault, place: Place::of(origin), hints: Vec::new() });
    }
}
