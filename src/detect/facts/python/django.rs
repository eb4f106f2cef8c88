//! Django projects: where the settings are and what they say.
//!
//! `manage.py` names the settings module. Settings are programs; what is read are the assignments at their module
//! level and in the modules that they import with `*`.

use std::collections::BTreeSet;

use serde::Serialize;

use super::super::Files;
use super::token::{Line, Token, lines};

/// The most modules of settings that are read.
const MODULES: usize = 20;
/// Folders that may hold `manage.py`.
const FOLDERS: [&str; 2] = ["", "src/"];
/// The app that collects static files.
const STATIC_FILES: &str = "django.contrib.staticfiles";

/// A Django project.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Django {
    /// `manage.py`, relative to the source.
    pub manage: String,
    /// Its folder: empty, or `src`.
    pub directory: String,
    /// The settings module that it names.
    pub settings: Option<String>,
    /// The file of that module, when it is in the source.
    pub settings_file: Option<String>,
    /// Whether `django.contrib.staticfiles` is among the installed apps.
    pub static_files: bool,
    /// Whether `STATIC_ROOT` is set.
    pub static_root: bool,
    /// The module and the variable for WSGI, when the module exists: `shop.wsgi:application`.
    pub wsgi: Option<String>,
    /// The same for ASGI.
    pub asgi: Option<String>,
    /// Variables that `SECRET_KEY` is read from, sorted.
    pub secrets: Vec<String>,
}

/// Finds the project.
pub(super) fn read(files: &Files<'_>) -> Option<Django> {
    let folder = FOLDERS.into_iter().find(|folder| files.has(&format!("{folder}manage.py")))?;
    let manage = format!("{folder}manage.py");
    let text = files.program(&manage)?;
    let settings = lines(&text).iter().find_map(|line| settings_module(line))?;
    let mut reader =
        Reader { files, folder, django: Django::default(), read: BTreeSet::new(), stated: Stated::default() };
    reader.module(&settings);
    let Reader { mut django, stated, .. } = reader;
    folder.trim_end_matches('/').clone_into(&mut django.directory);
    django.settings_file = file_of(files, folder, &settings);
    // Without a statement, the modules that Django's template makes.
    let package = settings.split('.').next().unwrap_or(&settings).to_owned();
    let target = |stated: Option<String>, default: &str| {
        let path = stated.unwrap_or_else(|| format!("{package}.{default}.application"));
        let (module, variable) = path.rsplit_once('.')?;
        file_of(files, folder, module).map(|_| format!("{module}:{variable}"))
    };
    django.wsgi = target(stated.wsgi, "wsgi");
    django.asgi = target(stated.asgi, "asgi");
    django.secrets = stated.secrets.into_iter().collect();
    django.settings = Some(settings);
    django.manage = manage;
    Some(django)
}

/// `os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")`
fn settings_module(line: &Line<'_>) -> Option<String> {
    line.tokens.windows(3).find_map(|window| match window {
        [Token::Text("DJANGO_SETTINGS_MODULE"), Token::Op(","), Token::Text(module)] => {
            Some((*module).to_owned())
        }
        _ => None,
    })
}

/// The file of a module below `folder`.
fn file_of(files: &Files<'_>, folder: &str, module: &str) -> Option<String> {
    let path = format!("{folder}{}", module.replace('.', "/"));
    [format!("{path}.py"), format!("{path}/__init__.py")].into_iter().find(|file| files.has(file))
}

/// What settings say of other modules.
#[derive(Default)]
struct Stated {
    wsgi: Option<String>,
    asgi: Option<String>,
    secrets: BTreeSet<String>,
}

struct Reader<'a> {
    files: &'a Files<'a>,
    folder: &'a str,
    django: Django,
    read: BTreeSet<String>,
    stated: Stated,
}

impl Reader<'_> {
    fn module(&mut self, module: &str) {
        if self.read.len() == MODULES || !self.read.insert(module.to_owned()) {
            return;
        }
        let Some(file) = file_of(self.files, self.folder, module) else { return };
        let Some(text) = self.files.program(&file) else { return };
        let package = if file.ends_with("/__init__.py") {
            module
        } else {
            module.rsplit_once('.').map_or("", |(package, _)| package)
        };
        for line in lines(&text) {
            match line.tokens.as_slice() {
                [Token::Word("from"), rest @ .., Token::Word("import"), Token::Op("*")] => {
                    if let Some(other) = absolute(package, rest) {
                        self.module(&other);
                    }
                }
                [Token::Word(name), Token::Op("=" | "+="), value @ ..] => self.assignment(name, value),
                [Token::Word(name), Token::Op(":"), .., Token::Op("="), value] => {
                    self.assignment(name, std::slice::from_ref(value));
                }
                _ => {}
            }
        }
    }

    fn assignment(&mut self, name: &str, value: &[Token<'_>]) {
        let text = || match value {
            [Token::Text(text)] => Some((*text).to_owned()),
            _ => None,
        };
        match name {
            "INSTALLED_APPS" => self.django.static_files |= value.contains(&Token::Text(STATIC_FILES)),
            "STATIC_ROOT" => {
                self.django.static_root = !matches!(value, [Token::Word("None") | Token::Text("")]);
            }
            "WSGI_APPLICATION" => self.stated.wsgi = text(),
            "ASGI_APPLICATION" => self.stated.asgi = text(),
            "SECRET_KEY" => {
                let names = value.iter().filter_map(|token| match token {
                    Token::Text(name) if value.len() > 1 && is_variable(name) => Some((*name).to_owned()),
                    _ => None,
                });
                self.stated.secrets.extend(names);
            }
            _ => {}
        }
    }
}

/// Whether the text may be the name of a variable of the environment.
fn is_variable(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_uppercase())
        && name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
}

/// The module that `from X import *` in `package` reads; `X` may be relative.
fn absolute(package: &str, tokens: &[Token<'_>]) -> Option<String> {
    let dots = tokens.iter().take_while(|token| **token == Token::Op(".")).count();
    let words: Vec<&str> = tokens[dots..]
        .iter()
        .filter_map(|token| match token {
            Token::Word(word) => Some(*word),
            _ => None,
        })
        .collect();
    if dots == 0 {
        return Some(words.join("."));
    }
    let mut parts: Vec<&str> = package.split('.').collect();
    for _ in 1..dots {
        parts.pop()?;
    }
    parts.extend(words);
    Some(parts.join("."))
}
