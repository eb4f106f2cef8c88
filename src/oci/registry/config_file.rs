//! Changes one entry of docker's `config.json` or podman's `auth.json`, and nothing else of it.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::{MapAccess, Visitor};
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use super::credentials::Secret;
use super::docker_config::is_for;

/// The most links that are followed to a file.
const LINKS: usize = 40;

/// What stands in `auths` for a registry.
#[derive(Clone, Default, Serialize)]
pub(super) struct Entry(BTreeMap<&'static str, String>);

impl Entry {
    /// The entry for a secret, as docker writes it.
    pub(super) fn of(secret: &Secret) -> Self {
        let (name, text) = match secret {
            Secret::Password { username, password } => {
                ("auth", STANDARD.encode(format!("{username}:{password}")))
            }
            Secret::Identity(token) => ("identitytoken", token.clone()),
            Secret::Registry(token) => ("registrytoken", token.clone()),
        };
        Self(BTreeMap::from([(name, text)]))
    }
}

/// The members of an object in their order, each as it is written.
#[derive(Default)]
struct Members(Vec<(String, Member)>);

enum Member {
    Written(Box<RawValue>),
    Members(Members),
    Entry(Entry),
}

impl Serialize for Members {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (key, value) in &self.0 {
            match value {
                Member::Written(text) => map.serialize_entry(key, text)?,
                Member::Members(members) => map.serialize_entry(key, members)?,
                Member::Entry(entry) => map.serialize_entry(key, entry)?,
            }
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some((key, value)) = map.next_entry()? {
                    members.push((key, Member::Written(value)));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

/// Writes the entry of `host` in the file under `key`, or removes it; whether a credential was there before. Other
/// processes that do the same wait for each other.
///
/// # Errors
/// What the system, or the file's form, says against it.
pub(super) fn put(file: &Path, (host, key): (&str, &str), entry: Option<Entry>) -> Result<bool, String> {
    let file = target(file);
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if entry.is_some() {
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(shown)?;
    }
    // The folder is the lock: the file is another one after each change.
    let lock = match File::open(folder) {
        Ok(lock) => lock,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(shown(error)),
    };
    lock.lock().map_err(shown)?;
    let bytes = match fs::read(&file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        other => other.map_err(shown)?,
    };
    let Some((text, was_there)) = changed(&bytes, (host, key), entry)? else { return Ok(false) };
    replace(&file, folder, &text).map_err(shown)?;
    Ok(was_there)
}

/// The file with the entry, and whether a credential was there; none when nothing changes.
fn changed(
    bytes: &[u8],
    (host, key): (&str, &str),
    entry: Option<Entry>,
) -> Result<Option<(Vec<u8>, bool)>, String> {
    let is_empty = bytes.trim_ascii().is_empty();
    let mut document = if is_empty { Members::default() } else { object(bytes, "it")? };
    let mut auths = match document.0.iter().rfind(|(name, _)| name == "auths") {
        Some((_, Member::Written(text))) if text.get() != "null" => {
            object(text.get().as_bytes(), "its `auths`")?
        }
        _ => Members::default(),
    };
    let at = auths.0.iter().position(|(key, _)| is_for(key, host));
    // An empty entry stands beside a helper and is no credential.
    let is_filled =
        |value: &Member| matches!(value, Member::Written(text) if !["{}", "null"].contains(&text.get()));
    let was_there = auths.0.iter().any(|(key, value)| is_for(key, host) && is_filled(value));
    if at.is_none() && entry.is_none() {
        return Ok(None);
    }
    // Other spellings of the same registry would be found instead, or come back after the next logout.
    auths.0.retain(|(key, _)| !is_for(key, host));
    if let Some(entry) = entry {
        let at = at.unwrap_or(auths.0.len()).min(auths.0.len());
        auths.0.insert(at, (key.to_owned(), Member::Entry(entry)));
    }
    let place = document.0.iter().position(|(name, _)| name == "auths");
    document.0.retain(|(name, _)| name != "auths");
    document.0.insert(place.unwrap_or(0), ("auths".to_owned(), Member::Members(auths)));
    let mut text = Vec::new();
    // As docker writes it.
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b"\t");
    let mut serializer = serde_json::Serializer::with_formatter(&mut text, formatter);
    document.serialize(&mut serializer).map_err(|error| error.to_string())?;
    text.push(b'\n');
    Ok(Some((text, was_there)))
}

fn object(bytes: &[u8], what: &str) -> Result<Members, String> {
    // The message of the parser may quote the file.
    serde_json::from_slice(bytes).map_err(|error| {
        format!("{what} is not a JSON object (line {}, column {})", error.line(), error.column())
    })
}

/// The file that a chain of links leads to; it need not exist.
fn target(file: &Path) -> PathBuf {
    let mut file = file.to_owned();
    for _ in 0..LINKS {
        let Ok(link) = fs::read_link(&file) else { break };
        file = file.parent().unwrap_or(Path::new("")).join(link);
    }
    file
}

/// Puts a file of the owner alone in place of `file`, as a whole.
fn replace(file: &Path, folder: &Path, text: &[u8]) -> io::Result<()> {
    // Temporary files can be read by their owner alone from the beginning.
    let mut temporary = tempfile::Builder::new().prefix(".config.json.").tempfile_in(folder)?;
    temporary.write_all(text)?;
    if let Ok(former) = fs::metadata(file) {
        let (own, former) = (temporary.as_file().metadata()?, (former.uid(), former.gid()));
        if (own.uid(), own.gid()) != former {
            // Root writes a user's file: the user must still be able to read it.
            std::os::unix::fs::fchown(temporary.as_file(), Some(former.0), Some(former.1))?;
        }
    }
    temporary.as_file().sync_all()?;
    temporary.persist(file).map_err(|error| error.error)?;
    Ok(())
}

#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` hands over")]
fn shown(error: io::Error) -> String {
    error.to_string()
}
