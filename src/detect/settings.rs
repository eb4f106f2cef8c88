//! Files with settings (`.env`) that are left out: what they set is missing in the build and in the image, and that
//! should be seen.
//!
//! Names are shown, values never are.

use std::fs::File;
use std::io::Read as _;

use super::facts::Files;
use crate::config::Config;
use crate::plan::model::Notice;
use crate::source::Source;

/// No such file is as long as this many bytes.
const LIMIT: u64 = 1 << 16;
/// How many names are shown.
const SHOWN: usize = 5;
/// What names of variables begin with that front ends put into their pages while they are built.
const PUBLIC: [&str; 8] =
    ["EXPO_PUBLIC_", "GATSBY_", "NEXT_PUBLIC_", "NUXT_PUBLIC_", "PUBLIC_", "REACT_APP_", "VITE_", "VUE_APP_"];

/// What to say of the files beside the app.
pub(super) fn notices(source: &Source, files: &Files<'_>, config: &Config) -> Vec<Notice> {
    let here = |path: &&String| path.rsplit_once('/').map_or("", |(folder, _)| folder) == files.folder();
    source.settings.iter().filter(here).filter_map(|path| notice(source, path, config)).collect()
}

fn notice(source: &Source, path: &str, config: &Config) -> Option<Notice> {
    let mut text = String::new();
    File::open(source.root.join(path)).ok()?.take(LIMIT).read_to_string(&mut text).ok()?;
    let names = names(&text);
    let is_public = |name: &&str| PUBLIC.iter().any(|prefix| name.starts_with(prefix));
    let missing: Vec<&str> = names
        .iter()
        .copied()
        .filter(is_public)
        .filter(|name| !config.build_env.contains_key(*name))
        .collect();
    let others: Vec<&str> = names
        .iter()
        .copied()
        .filter(|name| !is_public(name) && *name != "PORT" && !config.runtime_env.contains_key(*name))
        .collect();
    let text = match (missing.first(), others.first()) {
        (Some(first), _) => format!(
            "`{path}` is left out, as such files hold secrets, so the build does not know {}: in rpack.toml, \
             `build.env.{first} = \"…\"`; or take the file in: `source.include = [\"/{path}\"]`",
            list(&missing)
        ),
        (None, Some(first)) => format!(
            "`{path}` is left out, as such files hold secrets: {} is for whoever runs the image to set, `rpack run -e \
             {first}=…`; or in rpack.toml, `runtime.env.{first} = \"…\"`",
            list(&others)
        ),
        (None, None) => return None,
    };
    Some(Notice { id: "source/settings".to_owned(), text, warning: !missing.is_empty() })
}

fn list(names: &[&str]) -> String {
    let more = if names.len() > SHOWN { ", …" } else { "" };
    format!("{}{more}", names.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", "))
}

/// The names that are set, each once, in order: `NAME=value` or `export NAME=value`.
fn names(text: &str) -> Vec<&str> {
    let mut names = Vec::new();
    for line in text.lines() {
        let line = line.trim();
        let line = line.strip_prefix("export ").unwrap_or(line);
        let Some((name, value)) = line.split_once('=') else { continue };
        let name = name.trim_end();
        let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if is_name && !value.trim().is_empty() && !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{Config, Files, notices};
    use crate::config::{Origin, Resolved};
    use crate::source::{self, Options};

    /// `warning: TEXT` or `note: TEXT` of an app with these files.
    fn shown(files: &[(&str, &str)], folder: &str, config: &Config) -> Vec<String> {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let source = source::read(root.path(), &Options::default()).unwrap();
        let kind = |warning| if warning { "warning" } else { "note" };
        notices(&source, &Files::new(&source, folder), config)
            .iter()
            .map(|notice| format!("{}: {}", kind(notice.warning), notice.text))
            .collect()
    }

    const ENV: &str = "# a comment\nREACT_APP_API=https://api.example\nexport DATABASE_URL = postgres://me:word@db\nEMPTY=\nPORT=3\n";

    #[test]
    fn what_the_build_misses_is_a_warning_and_the_rest_a_note() {
        let files = [("package.json", "{}"), (".env", ENV), (".env.local", "VITE_A=1"), ("web/.env", ENV)];
        assert_eq!(
            shown(&files, "", &Config::default()),
            [
                "warning: `.env` is left out, as such files hold secrets, so the build does not know REACT_APP_API: in rpack.toml, \
              `build.env.REACT_APP_API = \"…\"`; or take the file in: `source.include = [\"/.env\"]`"
            ]
        );
        let given = Resolved {
            value: "https://other.example".to_owned(),
            origin: Origin::Flag { name: "--set".to_owned() },
            passed_over: Vec::new(),
        };
        let config = Config { build_env: [("REACT_APP_API".to_owned(), given)].into(), ..Config::default() };
        assert_eq!(
            shown(&files, "web", &config),
            [
                "note: `web/.env` is left out, as such files hold secrets: DATABASE_URL is for whoever runs the image to set, \
              `rpack run -e DATABASE_URL=…`; or in rpack.toml, `runtime.env.DATABASE_URL = \"…\"`"
            ]
        );
        assert_eq!(shown(&[(".env", "PORT=3000\n")], "", &Config::default()), [""; 0]);
    }
}
