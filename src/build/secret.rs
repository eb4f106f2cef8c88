//! Secrets of a build: values that some steps may see, and that nothing else does.
//!
//! A step that its plan names a secret for sees the value as a file on a memory file system of its own, and as a
//! variable where the plan says so. The name is part of the step's key, the value is not. Output is shown without the
//! value, and a result that holds it is refused.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use super::{Error, pip_settings};
use crate::plan::model::{SettingsOf, Step};

/// Where a step finds its secrets.
pub(super) const FOLDER: &str = "/run/secrets";
/// What output shows in the place of a value.
const HIDDEN: &str = "•••";
/// A shorter line of a secret is no credential: hiding it would make output unreadable, and every file holds it.
const SHORTEST: usize = 6;
/// What names of settings hold that are credentials.
const NAMES: [&str; 6] = ["auth", "key", "passw", "pwd", "secret", "token"];
/// How many bytes of a file are searched at a time.
const PIECE: usize = 1 << 20;

/// A value that nothing prints.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// Keeps `bytes`, without the line end of a file that an editor wrote.
    pub fn new(mut bytes: Vec<u8>) -> Self {
        if bytes.last() == Some(&b'\n') {
            bytes.pop();
        }
        Self(bytes)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

/// What is given to the build, by id.
pub type Secrets = BTreeMap<String, Secret>;

/// The given secrets that `step` may see.
pub(super) fn of_step(step: &Step, given: &Secrets) -> Secrets {
    let ids = step.secrets.iter().map(|secret| &secret.id);
    ids.filter_map(|id| Some((id.clone(), given.get(id)?.clone()))).collect()
}

/// The variables that carry secrets, or say where they are.
pub(super) fn variables(step: &Step, seen: &Secrets) -> Result<Vec<(String, String)>, Error> {
    let mut variables = Vec::new();
    for secret in &step.secrets {
        let Some(value) = seen.get(&secret.id) else { continue };
        if let Some(name) = &secret.path_variable {
            variables.push((name.clone(), format!("{FOLDER}/{}", secret.id)));
        }
        if secret.variable.is_none() && secret.settings.is_none() {
            continue;
        }
        let text = String::from_utf8(value.0.clone()).ok().filter(|text| !text.contains('\0'));
        let text = text.ok_or_else(|| Error::SecretNotText { id: secret.id.clone() })?;
        if let Some(SettingsOf::Pip) = secret.settings {
            variables.extend(pip_settings::for_uv(&text));
        }
        variables.extend(secret.variable.iter().map(|name| (name.clone(), text.clone())));
    }
    Ok(variables)
}

/// What is confidential of a value: all of it, and in files of credentials what is one. A host or a name beside it
/// stands in locks and logs as well.
fn confidential(value: &[u8]) -> Vec<Vec<u8>> {
    let mut parts = vec![value.to_vec()];
    let Ok(text) = std::str::from_utf8(value) else { return parts };
    let mut add = |part: &str| parts.push(part.trim_matches(['"', '\'']).as_bytes().to_vec());
    let mut words = text.split_whitespace();
    while let Some(word) = words.next() {
        // `.netrc`: `machine HOST login NAME password WORD`.
        if matches!(word, "password" | "account") {
            words.next().map(&mut add);
        }
        // A URL with a name and a password.
        if let Some((_, rest)) = word.split_once("://")
            && let Some((user, _)) = rest.split('/').next().unwrap_or_default().rsplit_once('@')
        {
            add(user.split_once(':').map_or(user, |(_, password)| password));
        }
    }
    for line in text.lines() {
        // `//HOST/:_authToken=WORD`, `password: WORD`, `"token": "WORD"`.
        let Some((name, part)) = line.split_once(['=']).or_else(|| line.split_once(':')) else { continue };
        let name = name.to_ascii_lowercase();
        if NAMES.iter().any(|known| name.contains(known)) {
            add(part.trim().trim_end_matches([',', ';']));
        }
    }
    parts
}

/// What has to be hidden.
#[derive(Clone, Debug, Default)]
pub(super) struct Hidden(Vec<(String, Secret)>);

impl Hidden {
    pub(super) fn new(seen: &Secrets) -> Self {
        let mut parts = Vec::new();
        for (id, secret) in seen {
            for part in confidential(&secret.0).into_iter().filter(|part| part.len() >= SHORTEST) {
                parts.push((id.clone(), Secret(part)));
            }
        }
        parts.sort_by_key(|(_, part)| std::cmp::Reverse(part.0.len()));
        Self(parts)
    }

    /// `text` without the values.
    pub(super) fn hide(&self, text: String) -> String {
        self.0.iter().fold(text, |text, (_, part)| match std::str::from_utf8(&part.0) {
            Ok(value) if text.contains(value) => text.replace(value, HIDDEN),
            _ => text,
        })
    }

    /// The secret that a file below `folder` holds, with the file.
    pub(super) fn find(&self, folder: &Path) -> io::Result<Option<(String, String)>> {
        if self.0.is_empty() {
            return Ok(None);
        }
        for entry in walkdir::WalkDir::new(folder).sort_by_file_name() {
            let entry = entry?;
            if !entry.file_type().is_file() {
                continue;
            }
            if let Some(id) = self.find_in(File::open(entry.path())?)? {
                let path = entry.path().strip_prefix(folder).unwrap_or(entry.path());
                return Ok(Some((id, format!("/{}", path.display()))));
            }
        }
        Ok(None)
    }

    /// The secret that `reader` holds. Pieces overlap by the longest value, so that none is missed between them.
    fn find_in(&self, mut reader: impl io::Read) -> io::Result<Option<String>> {
        let overlap = self.0.first().map_or(0, |(_, part)| part.0.len());
        let mut buffer = Vec::new();
        loop {
            let kept = buffer.len().min(overlap);
            buffer.drain(..buffer.len() - kept);
            let read = reader.by_ref().take(PIECE as u64).read_to_end(&mut buffer)?;
            let found = self.0.iter().find(|(_, part)| contains(&buffer, &part.0));
            if let Some((id, _)) = found {
                return Ok(Some(id.clone()));
            }
            if read == 0 {
                return Ok(None);
            }
        }
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    let Some((first, rest)) = part.split_first() else { return false };
    let mut at = 0;
    while let Some(found) = text[at..].iter().position(|byte| byte == first) {
        at += found + 1;
        if text[at..].starts_with(rest) {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::{Hidden, PIECE, Secret, Secrets};

    fn hidden(value: &str) -> Hidden {
        Hidden::new(&Secrets::from([("token".to_owned(), Secret::new(value.as_bytes().to_vec()))]))
    }

    #[test]
    fn output_is_shown_without_values() {
        for (value, text, shown) in [
            ("hunter2-hunter2\n", "sent hunter2-hunter2", "sent •••"),
            (
                "machine registry.example login me password hunter2",
                "registry.example: hunter2",
                "registry.example: •••",
            ),
            (
                "registry=https://r.example/\n//r.example/:_authToken=hunter2\n",
                "https://r.example/ hunter2",
                "https://r.example/ •••",
            ),
            (
                "index-url = https://ci:hunter2@r.example/simple",
                "r.example with hunter2",
                "r.example with •••",
            ),
            ("{\"token\": \"hunter2\",\n\"user\": \"someone\"}", "someone hunter2", "someone •••"),
        ] {
            assert_eq!(hidden(value).hide(text.to_owned()), shown, "{value}");
        }
    }

    #[test]
    fn a_value_is_found_wherever_it_is_in_a_file() {
        let hidden = hidden("hunter2-hunter2");
        for before in [0, 5, PIECE - 7, PIECE, 2 * PIECE - 1] {
            let mut bytes = vec![b'h'; before];
            bytes.extend_from_slice(b"hunter2-hunter2 and more");
            assert_eq!(hidden.find_in(&bytes[..]).unwrap().as_deref(), Some("token"), "{before}");
        }
        assert_eq!(hidden.find_in(&b"hunter2-hunter"[..]).unwrap(), None);
    }

    #[test]
    fn nothing_prints_a_value() {
        assert_eq!(format!("{:?}", Secret::new(b"hunter2".to_vec())), "•••");
    }
}
