//! `--secret`: values from files and variables that steps of the build may see.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::Args;

use super::{Failure, boxed};
use crate::build::{Secret, Secrets};
use crate::config::Environment;
use crate::pipeline::Error;

/// No credential is longer than this many bytes.
const LIMIT: u64 = 256 << 10;

/// What the command line gives to the build in confidence.
#[derive(Args, Debug)]
pub(super) struct SecretArguments {
    /// A value for the steps that ask for it, never in the image: id=ID,src=FILE or id=ID,env=VARIABLE
    #[arg(long = "secret", value_name = "SECRET")]
    secrets: Vec<String>,
}

/// Where a value comes from.
enum From {
    File(PathBuf),
    Variable(String),
}

impl SecretArguments {
    /// Reads all values.
    pub(super) fn read(&self, environment: &Environment) -> Result<Secrets, Error> {
        let mut secrets = Secrets::new();
        for text in &self.secrets {
            let (id, from) = parse(text).ok_or_else(|| {
                boxed(Failure::Argument {
                    flag: "--secret",
                    value: text.clone(),
                    expected: "it takes `id=NAME,src=FILE` or `id=NAME,env=VARIABLE`; names are letters, digits, `_`, \
                               `-` and `.`",
                })
            })?;
            let bytes = match from {
                From::File(path) => read(&path)?,
                From::Variable(name) => environment
                    .get(&name)
                    .map(|value| value.as_bytes().to_vec())
                    .ok_or_else(|| boxed(Failure::NoVariable { id: id.clone(), name }))?,
            };
            secrets.insert(id, Secret::new(bytes));
        }
        Ok(secrets)
    }
}

/// `id=NAME` with `src=FILE` or `env=VARIABLE`, in any order; `id=NAME` alone is the variable of that name.
fn parse(text: &str) -> Option<(String, From)> {
    let (mut id, mut from) = (None, None);
    for part in text.split(',') {
        match part.split_once('=')? {
            ("id", name) => id = Some(name.to_owned()),
            ("src" | "source", path) if !path.is_empty() => from = Some(From::File(path.into())),
            ("env", name) if !name.is_empty() => from = Some(From::Variable(name.to_owned())),
            ("type", "file" | "env") => {}
            _ => return None,
        }
    }
    let id = id.filter(|id| {
        let known = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
        !id.is_empty() && !id.starts_with('.') && id.chars().all(known)
    })?;
    let from = from.unwrap_or_else(|| From::Variable(id.clone()));
    Some((id, from))
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let failed = |source| boxed(Failure::Read { path: path.to_owned(), source });
    let mut bytes = Vec::new();
    File::open(path).map_err(failed)?.take(LIMIT + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > LIMIT {
        return Err(failed(std::io::Error::other("it is longer than 256 KiB, which no credential is")));
    }
    Ok(bytes)
}
