//! The lock as a file: TOML, written by hand-set rules so that equal locks are equal bytes and a difference of two
//! versions is readable, read with the place of every fault.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::Path;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::{Error, Image, Lock, Package, Purpose, Root, Tool, VERSION};
use crate::store::tree::is_clean;
use crate::ui::excerpt;

/// The file's name, in the app's folder.
pub const NAME: &str = "rpack.lock";

/// No lock is as long as this many bytes.
const LIMIT: u64 = 64 << 20;

const HEAD: &str = "\
# The exact Debian packages and tools of this app. Written by `rpack lock`; commit it, edit nothing by hand.
# After a change of the app: `rpack lock`. For newer versions: `rpack lock --upgrade [NAME...]`.
";

/// What is read before anything else, so that a newer format is named and not its first unknown field.
#[derive(Deserialize)]
struct Header {
    version: Option<i64>,
}

impl Lock {
    /// Reads the file in `folder`, if there is one.
    ///
    /// # Errors
    /// When it cannot be read, or is not a lock that this rpack understands.
    pub fn read(folder: &Path) -> Result<Option<Self>, Error> {
        let path = folder.join(NAME);
        let failed = |source| Error::Read { path: path.clone(), source };
        let file = match File::open(&path) {
            Ok(file) => file,
            // A folder that does not exist is told by whoever reads the source.
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Ok(None);
            }
            Err(error) => return Err(failed(error)),
        };
        let mut text = String::new();
        file.take(LIMIT + 1).read_to_string(&mut text).map_err(failed)?;
        if text.len() as u64 > LIMIT {
            return Err(failed(io::Error::other(format!("it is larger than {LIMIT} bytes"))));
        }
        Self::parse(&text).map(Some)
    }

    /// Reads the text of a lock.
    ///
    /// # Errors
    /// The first fault with its place.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let header: Header = toml::from_str(text).map_err(|error| broken(text, &error))?;
        match header.version {
            Some(version) if version == i64::from(VERSION) => {}
            Some(found) => return Err(Error::Version { found }),
            None => {
                return Err(Error::Broken {
                    reason: "it states no `version`".to_owned(),
                    line: 1,
                    column: 1,
                    excerpt: excerpt(text, 0..0).text,
                });
            }
        }
        let mut lock: Self = toml::from_str(text).map_err(|error| broken(text, &error))?;
        lock.sort();
        Ok(lock)
    }

    /// Writes the file in `folder`, whole or not at all.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn write(&self, folder: &Path) -> Result<(), Error> {
        let path = folder.join(NAME);
        let failed = |source| Error::Write { path: path.clone(), source };
        let mut file = tempfile::Builder::new().prefix(".rpack.lock-").tempfile_in(folder).map_err(failed)?;
        file.write_all(self.to_text().as_bytes()).map_err(failed)?;
        // A temporary file is private; this one is as public as what was there, or as any source file.
        let mode = fs::metadata(&path).map_or_else(|_| readable(), |metadata| metadata.permissions());
        file.as_file().set_permissions(mode).map_err(failed)?;
        file.persist(&path).map_err(|error| failed(error.error))?;
        Ok(())
    }

    /// The text of the file. Equal locks give equal texts.
    pub fn to_text(&self) -> String {
        let mut text = format!("{HEAD}version = {VERSION}\n");
        self.roots.iter().for_each(|root| write_root(&mut text, root));
        self.images.iter().for_each(|image| write_image(&mut text, image));
        self.tools.iter().for_each(|tool| write_tool(&mut text, tool));
        self.packages.iter().for_each(|package| write_package(&mut text, package));
        text
    }
}

fn readable() -> fs::Permissions {
    use std::os::unix::fs::PermissionsExt as _;
    fs::Permissions::from_mode(0o644)
}

fn broken(text: &str, error: &toml::de::Error) -> Error {
    let place = excerpt(text, error.span().unwrap_or(0..0));
    let reason = error.message().to_owned();
    Error::Broken { reason, line: place.line, column: place.column, excerpt: place.text }
}

fn write_root(text: &mut String, root: &Root) {
    let purpose = match root.purpose {
        Purpose::Build => "build",
        Purpose::Runtime => "runtime",
    };
    text.push_str("\n[[root]]\n");
    line(text, "purpose", purpose);
    line(text, "platform", &root.platform);
    line(text, "base", &root.base);
    line(text, "architecture", &root.architecture);
    long_list(text, "packages", &root.packages);
    long_list(text, "added", &root.added);
}

fn write_image(text: &mut String, image: &Image) {
    text.push_str("\n[[image]]\n");
    line(text, "reference", &image.reference);
    line(text, "platform", &image.platform);
    line(text, "digest", &image.digest.to_string());
}

fn write_tool(text: &mut String, tool: &Tool) {
    text.push_str("\n[[tool]]\n");
    line(text, "name", &tool.name);
    line(text, "version", &tool.version);
    line(text, "requested", &tool.requested);
    line(text, "origin", &tool.origin);
    list(text, "also", &tool.also);
    line(text, "source", &tool.source);
    for (key, value) in [("path", &tool.path), ("integrity", &tool.integrity)] {
        if let Some(value) = value {
            line(text, key, value);
        }
    }
    list(text, "platforms", &tool.platforms);
}

fn write_package(text: &mut String, package: &Package) {
    text.push_str("\n[[package]]\n");
    line(text, "name", &package.name);
    line(text, "version", &package.version);
    line(text, "architecture", &package.architecture);
    line(text, "base", &package.base);
    line(text, "suite", &package.suite);
    line(text, "archive", &package.archive);
    line(text, "path", &package.path);
    // Writing to a String cannot fail.
    let _ = writeln!(text, "size = {}", package.size);
    line(text, "sha256", &package.sha256.to_string());
    line(text, "date", &stamp(package.date));
    list(text, "roots", &package.roots);
    list(text, "needs", &package.needs);
}

fn line(text: &mut String, key: &str, value: &str) {
    let _ = writeln!(text, "{key} = {}", quoted(value));
}

/// An empty list is left out.
fn list(text: &mut String, key: &str, values: &[String]) {
    if !values.is_empty() {
        let values: Vec<_> = values.iter().map(|value| quoted(value)).collect();
        let _ = writeln!(text, "{key} = [{}]", values.join(", "));
    }
}

/// One element a line, so that two changes of it merge.
fn long_list(text: &mut String, key: &str, values: &[String]) {
    if !values.is_empty() {
        let _ = writeln!(text, "{key} = [");
        for value in values {
            let _ = writeln!(text, "  {},", quoted(value));
        }
        text.push_str("]\n");
    }
}

/// A basic string of TOML.
fn quoted(value: &str) -> String {
    let mut text = String::with_capacity(value.len() + 2);
    text.push('"');
    for c in value.chars() {
        match c {
            '"' | '\\' => text.extend(['\\', c]),
            c if c.is_control() => {
                let _ = write!(text, "\\u{:04X}", u32::from(c));
            }
            c => text.push(c),
        }
    }
    text.push('"');
    text
}

/// `20261119T021254Z`, the form in which snapshot archives name a moment.
pub fn stamp(seconds: i64) -> String {
    let time = Timestamp::from_second(seconds).unwrap_or_default();
    time.strftime("%Y%m%dT%H%M%SZ").to_string()
}

pub(super) fn date<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    let text = String::deserialize(deserializer)?;
    jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", &text)
        .and_then(|time| time.to_zoned(TimeZone::UTC))
        .map(|time| time.timestamp().as_second())
        .map_err(|_| D::Error::custom(format!("`{text}` is not a time such as `20261119T021254Z`")))
}

/// A name becomes part of paths in roots; see
/// <https://www.debian.org/doc/debian-policy/ch-controlfields.html#source>.
pub(super) fn package_name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    if !text.starts_with(|c: char| c.is_ascii_alphanumeric()) || !text.bytes().all(is_inner) {
        return Err(D::Error::custom(format!("`{text}` is not the name of a Debian package")));
    }
    Ok(text)
}

pub(super) fn path<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    if !is_clean(&text) {
        return Err(D::Error::custom(format!("`{text}` is not a path below an archive's root")));
    }
    Ok(text)
}

pub(super) fn optional_path<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    path(deserializer).map(Some)
}
