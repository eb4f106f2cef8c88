//! What is installed: lines for the installer, projects of the source tree, and the names that result.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde::Serialize;

use super::marker::Marker;
use super::requirement::Requirement;

/// What the manager's files ask the installer for. Empty for `requirements.txt`, which it reads itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "facts that conditions read one by one")]
pub struct Install {
    /// The lock, or the manifest when there is none.
    pub file: String,
    /// Whether the lines come from a lock.
    pub exact: bool,
    /// Whether all [`lines`](Self::lines) have digests.
    pub hashed: bool,
    /// Requirements, in the form of `requirements.txt`.
    pub lines: String,
    /// Those that can have no digest: commits, folders' archives.
    pub direct: String,
    /// Archives of the source tree that lines name, sorted.
    pub files: Vec<String>,
    /// Projects of the source tree to be built and installed; `.` is the root.
    pub folders: Vec<String>,
    /// What builds the [`folders`](Self::folders) (`build-system.requires`), sorted.
    pub backends: Vec<String>,
    /// Whether what is required is known only to the project's build.
    pub dynamic: bool,
    /// Whether only the manager's lock says where packages come from.
    pub needs_lock: bool,
    /// Whether a line names a commit.
    pub git: bool,
    /// Private indexes, in the order in which they are asked; before the default one: `NAME=URL`, or the URL alone
    /// where there is no name or the URL names variables.
    pub indexes: Vec<String>,
    /// What the installer reads the credentials of named indexes from: `UV_INDEX_NAME_USERNAME`, `…_PASSWORD`.
    pub credentials: Vec<String>,
    /// Normalised names of all that is installed on Linux, with `NAME[EXTRA]`; without a lock only what is asked for
    /// directly. Sorted.
    pub names: Vec<String>,
    /// What the manifest asks for and the lock does not hold:
    /// `flask: pyproject.toml:6 wants >=3, uv.lock has 2.3.3`.
    pub drift: Vec<String>,
}

impl Install {
    /// Lines for a manifest without a lock.
    pub(super) fn of(file: &str, wanted: &[Requirement]) -> Self {
        let mut install = Self { file: file.to_owned(), ..Self::default() };
        let mut names = BTreeSet::new();
        for one in wanted {
            if !Marker::parse(&one.marker, &[]).is_ok_and(|marker| marker.is_possible()) {
                continue;
            }
            let extras =
                if one.extras.is_empty() { String::new() } else { format!("[{}]", one.extras.join(",")) };
            let marker = if one.marker.is_empty() { String::new() } else { format!(" ; {}", one.marker) };
            let (text, what) = match &one.url {
                Some(url) => (&mut install.direct, format!(" @ {url}")),
                None => (&mut install.lines, one.spec.clone()),
            };
            let _ = writeln!(text, "{}{extras}{what}{marker}", one.name);
            install.git |= one.url.as_ref().is_some_and(|url| url.starts_with("git+"));
            names.insert(one.name.clone());
            names.extend(one.extras.iter().map(|extra| format!("{}[{extra}]", one.name)));
        }
        install.names = names.into_iter().collect();
        install
    }
}

/// The variables for the credentials of the indexes that have names.
pub(super) fn credentials(indexes: &[String]) -> Vec<String> {
    let names = indexes.iter().filter_map(|index| Some(index.split_once("://")?.0.split_once('=')?.0));
    let variable = |name: &str| {
        name.chars()
            .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' })
            .collect::<String>()
    };
    names
        .flat_map(|name| ["USERNAME", "PASSWORD"].map(|part| format!("UV_INDEX_{}_{part}", variable(name))))
        .collect()
}
