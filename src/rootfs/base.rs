//! The data of a base: `bases/ID.toml`, the partial file that it extends, and `bases/keys/`.
//!
//! In: the definitions, embedded or from a folder. Out: a [`Base`] in which every name refers to something. Tables of
//! the base are merged into those of the partial file key by key, lists are put behind its lists, other values
//! replace its values.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::error::Error;
use crate::definitions::{Definition, Definitions};
use crate::oci::Digest;

/// How root filesystems of one Debian release are composed.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Base {
    /// For people: `Debian GNU/Linux 13 (trixie)`.
    pub name: String,
    /// The release's number: `13`.
    pub version: String,
    /// The release's name: `trixie`.
    pub codename: String,
    /// The day on which security support ends (`2030-06-30`), if it is known.
    pub eol: Option<String>,
    /// Debian's names of the architectures it is offered for.
    pub architectures: Vec<String>,
    /// Dependencies that are left out.
    #[serde(default)]
    pub unneeded: Vec<String>,
    /// Where suites are, by name.
    pub archives: BTreeMap<String, Archive>,
    /// What is merged.
    pub suites: Vec<Suite>,
    /// Lists of packages, by name.
    pub groups: BTreeMap<String, Vec<String>>,
    /// Which top-level directories are links into `/usr`.
    pub usr_merge: UsrMerge,
    /// What is left out.
    pub trim: Trims,
    /// How the bundle of certificates is made.
    pub certificates: Option<Certificates>,
    /// How Java's store of certificates is made.
    pub trust_store: Option<TrustStore>,
    /// Links that depend on packages.
    #[serde(default)]
    pub links: Vec<LinkRow>,
    /// Links that are always there, by path.
    #[serde(default)]
    pub symlinks: BTreeMap<String, String>,
    /// Directories that are always there.
    #[serde(default)]
    pub directories: Vec<DirectoryRow>,
    /// Text files that are always there, by path; one leading line break is dropped.
    #[serde(default)]
    pub files: BTreeMap<String, String>,
    /// The id: name of the file without its ending.
    #[serde(skip)]
    pub id: String,
    /// Digest of the file and of what it extends, part of the identity of every root.
    #[serde(skip)]
    pub digest: Option<Digest>,
}

/// A place with signed suites.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Archive {
    /// Which endpoint serves it: `debian`, `debian-security`.
    pub ecosystem: Option<String>,
    /// A fixed address instead.
    pub url: Option<String>,
    /// Where files are that the archive has dropped; `{timestamp}` stands for a moment (`20261119T021254Z`).
    pub snapshot: Option<String>,
    /// Fingerprints of the primary keys that may sign.
    #[serde(default)]
    pub keys: Vec<String>,
}

/// An index that takes part.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Suite {
    /// `trixie-security`.
    pub name: String,
    /// Name of the archive.
    pub archive: String,
    /// Part of the suite.
    #[serde(default = "main_component")]
    pub component: String,
    /// How its versions compare with those of other suites; nothing means 500, as apt has it.
    pub priority: Option<u32>,
    /// If not empty, the packages that compete with those of ordinary suites. Others have `priority`, or are not
    /// offered without one.
    #[serde(default)]
    pub only: Vec<String>,
}

fn main_component() -> String {
    "main".to_owned()
}

/// The merged-/usr layout.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UsrMerge {
    /// Names at the top.
    pub directories: Vec<String>,
}

/// What is left out, by purpose.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trims {
    /// In images.
    pub runtime: Trim,
    /// In build roots.
    pub build: Trim,
}

/// Globs over paths.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trim {
    /// Left out …
    pub remove: Vec<String>,
    /// … unless listed here.
    pub keep: Vec<String>,
}

/// How the bundle of certificates is made.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Certificates {
    /// The package that brings them.
    pub package: String,
    /// Where they are.
    pub folder: String,
    /// The file that holds all.
    pub bundle: String,
}

/// How Java's store of certificates is made.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrustStore {
    /// The file.
    pub path: String,
    /// It is made when one of these is there; `{version}` in a name stands for numbers and dots.
    pub packages: Vec<String>,
}

/// A link that a maintainer script would make.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkRow {
    /// Path of the link.
    pub link: String,
    /// Its text.
    pub target: String,
    /// The package whose script makes it; `{version}` in its name stands for numbers and dots, and for the same
    /// ones in the target.
    pub package: String,
    /// Of several rows for one link the highest counts, then the highest version.
    #[serde(default)]
    pub priority: i32,
}

/// A directory that is always there.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DirectoryRow {
    /// Its path.
    pub path: String,
    /// Permission bits in octal.
    #[serde(default = "ordinary_mode")]
    pub mode: String,
    /// Owner and group.
    #[serde(default)]
    pub owner: u32,
}

fn ordinary_mode() -> String {
    "0755".to_owned()
}

impl DirectoryRow {
    /// The permission bits.
    pub fn bits(&self) -> u32 {
        u32::from_str_radix(&self.mode, 8).unwrap_or(0o755) & 0o1777
    }
}

/// The versions that `{version}` in `pattern` stands for in `name`: nothing when they do not match, an empty text
/// when the pattern has no such part.
pub(super) fn version_in<'a>(pattern: &str, name: &'a str) -> Option<&'a str> {
    let Some((before, after)) = pattern.split_once("{version}") else {
        return (pattern == name).then_some("");
    };
    let version = name.strip_prefix(before)?.strip_suffix(after)?;
    (!version.is_empty() && version.bytes().all(|b| b.is_ascii_digit() || b == b'.')).then_some(version)
}

/// The mark of a file that only others extend.
const PARTIAL: &str = "partial";
/// The name of the partial file that a base takes in.
const EXTENDS: &str = "extends";

impl Base {
    /// Reads `bases/ID.toml` and what it extends.
    ///
    /// # Errors
    /// When there is no such base, or its file is wrong.
    pub fn load(definitions: &Definitions, id: &str) -> Result<Self, Error> {
        let unknown = || Error::UnknownBase { base: id.to_owned(), available: Self::ids(definitions) };
        let file = definitions.get(&path(id)).ok_or_else(unknown)?;
        let wrong = |reason: String| Error::Definition { file: file.shown.clone(), reason };
        let mut table = table(file)?;
        if table.contains_key(PARTIAL) {
            return Err(unknown());
        }
        let mut digests = vec![Digest::of(&file.bytes)];
        if let Some(name) = table.remove(EXTENDS) {
            let name = name.as_str().ok_or_else(|| wrong("`extends` is not text".to_owned()))?;
            let parent = definitions
                .get(&path(name))
                .ok_or_else(|| wrong(format!("it extends `{name}`, and there is no {}", path(name))))?;
            let mut whole = self::table(parent)?;
            if whole.remove(PARTIAL).is_none() {
                return Err(wrong(format!("it extends `{name}`, which is not `partial`")));
            }
            extend(&mut whole, table);
            table = whole;
            digests.push(Digest::of(&parent.bytes));
        }
        let mut base: Self = table.try_into().map_err(|error: toml::de::Error| wrong(error.to_string()))?;
        id.clone_into(&mut base.id);
        let digests: Vec<String> = digests.iter().map(ToString::to_string).collect();
        base.digest = Some(Digest::of(digests.join(" ").as_bytes()));
        base.check().map_err(wrong)?;
        Ok(base)
    }

    /// The ids of all bases, those of newer releases last.
    pub fn ids(definitions: &Definitions) -> Vec<String> {
        definitions
            .below("bases", ".toml")
            .filter(|file| table(file).is_ok_and(|table| table.contains_key("suites")))
            .filter_map(|file| file.path.strip_prefix("bases/")?.strip_suffix(".toml"))
            .map(str::to_owned)
            .collect()
    }

    fn check(&self) -> Result<(), String> {
        for suite in &self.suites {
            if !self.archives.contains_key(&suite.archive) {
                return Err(format!(
                    "suite `{}` is in archive `{}`, which is not defined",
                    suite.name, suite.archive
                ));
            }
        }
        for (name, archive) in &self.archives {
            if archive.ecosystem.is_some() == archive.url.is_some() {
                return Err(format!("archive `{name}` needs either `ecosystem` or `url`"));
            }
            if archive.snapshot.as_ref().is_some_and(|snapshot| !snapshot.contains("{timestamp}")) {
                return Err(format!("the `snapshot` of archive `{name}` has no `{{timestamp}}`"));
            }
            if archive.keys.is_empty() {
                return Err(format!("archive `{name}` names no keys: nothing could be verified"));
            }
        }
        for name in self.groups.keys() {
            self.expand(name)
                .map_err(|missing| format!("group `{name}` includes `@{missing}`, which is not defined"))?;
        }
        let paths = self.symlinks.keys().chain(self.files.keys()).map(String::as_str);
        let paths = paths.chain(self.trust_store.iter().map(|store| store.path.as_str()));
        let paths = paths.chain(self.links.iter().map(|row| row.link.as_str()));
        for path in paths.chain(self.directories.iter().map(|row| row.path.as_str())) {
            if !crate::store::tree::is_clean(path) {
                return Err(format!("`{path}` is not a path relative to the root"));
            }
        }
        if self.eol.as_deref().is_some_and(|eol| eol.parse::<jiff::civil::Date>().is_err()) {
            return Err("`eol` is not a day such as `2030-06-30`".to_owned());
        }
        for row in &self.directories {
            if u32::from_str_radix(&row.mode, 8).is_err() {
                return Err(format!("`{}` is not an octal mode", row.mode));
            }
        }
        Ok(())
    }

    /// The packages of the group `name`, with those of included groups, sorted.
    ///
    /// # Errors
    /// The name of a group that does not exist.
    pub fn expand<'a>(&'a self, name: &'a str) -> Result<BTreeSet<&'a str>, &'a str> {
        let mut packages = BTreeSet::new();
        let mut seen = BTreeSet::new();
        let mut queue = vec![name];
        while let Some(group) = queue.pop() {
            if !seen.insert(group) {
                continue;
            }
            for item in self.groups.get(group).ok_or(group)? {
                match item.strip_prefix('@') {
                    Some(included) => queue.push(included),
                    None => {
                        packages.insert(item.as_str());
                    }
                }
            }
        }
        Ok(packages)
    }
}

fn path(id: &str) -> String {
    format!("bases/{id}.toml")
}

fn table(file: &Definition) -> Result<toml::Table, Error> {
    let wrong = |reason: String| Error::Definition { file: file.shown.clone(), reason };
    let text = std::str::from_utf8(&file.bytes).map_err(|_| wrong("it is not UTF-8 text".to_owned()))?;
    text.parse().map_err(|error: toml::de::Error| wrong(error.to_string()))
}

/// Puts what a base says over what it extends.
fn extend(whole: &mut toml::Table, own: toml::Table) {
    for (key, value) in own {
        match (whole.get_mut(&key), value) {
            (Some(toml::Value::Table(known)), toml::Value::Table(table)) => extend(known, table),
            (Some(toml::Value::Array(known)), toml::Value::Array(list)) => known.extend(list),
            (_, value) => {
                whole.insert(key, value);
            }
        }
    }
}

/// The directory below `/usr/lib` that holds an architecture's libraries, for an architecture of Debian.
pub fn multiarch(architecture: &str) -> &str {
    match architecture {
        "amd64" => "x86_64-linux-gnu",
        "arm64" => "aarch64-linux-gnu",
        "armhf" => "arm-linux-gnueabihf",
        "i386" => "i386-linux-gnu",
        "ppc64el" => "powerpc64le-linux-gnu",
        "riscv64" => "riscv64-linux-gnu",
        "s390x" => "s390x-linux-gnu",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::{Base, version_in};
    use crate::definitions::Definitions;
    use crate::rootfs::Error;

    #[test]
    fn bases_are_whole_files_and_each_can_be_read() {
        let definitions = Definitions::embedded();
        let found: Vec<_> = Base::ids(&definitions)
            .iter()
            .map(|id| Base::load(&definitions, id).unwrap())
            .map(|base| format!("{} {} {}", base.version, base.codename, base.eol.unwrap_or_default()))
            .collect();
        assert_eq!(found, ["12 bookworm 2028-06-30", "13 trixie 2030-06-30", "14 forky "]);
        for partial in ["debian", "registries", "nothing"] {
            let error = Base::load(&definitions, partial).unwrap_err();
            assert!(
                error.to_string().ends_with("there are: `debian-12`, `debian-13`, `debian-14`")
                    || matches!(error, Error::Definition { .. }),
                "{error}"
            );
        }
    }

    #[test]
    fn a_base_adds_to_what_it_extends() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            std::fs::create_dir_all(folder.path().join("bases")).unwrap();
            std::fs::write(folder.path().join("bases").join(name), text).unwrap();
        };
        let base = "extends = \"debian\"\nname = \"Mine\"\nversion = \"13\"\ncodename = \"mine\"\n\
                    unneeded = [\"mine\"]\nsuites = [{ name = \"mine\", archive = \"main\" }]\n\
                    archives.main.keys = [\"A\"]\narchives.security.keys = [\"B\"]\n\
                    groups.static = [\"mine\"]\n";
        write("mine.toml", base);
        let load = || {
            let definitions = Definitions::with_folder(folder.path()).unwrap();
            (Base::load(&definitions, "mine"), Base::load(&definitions, "debian-13").unwrap())
        };
        let (mine, other) = load();
        let mine = mine.unwrap();
        assert_eq!(mine.unneeded.last().map(String::as_str), Some("mine"));
        assert_eq!(mine.unneeded.len(), other.unneeded.len() + 1);
        let members: Vec<_> = mine.expand("static").unwrap().into_iter().collect();
        assert_eq!(members, ["base-files", "ca-certificates", "media-types", "mine", "netbase", "tzdata"]);
        assert_eq!(mine.archives["main"].ecosystem.as_deref(), Some("debian"));

        // What is extended is part of the identity.
        let debian =
            String::from_utf8(Definitions::embedded().get("bases/debian.toml").unwrap().bytes.to_vec());
        write("debian.toml", &format!("# Another comment.\n{}", debian.unwrap()));
        assert_ne!(load().0.unwrap().digest, mine.digest);

        write("mine.toml", &base.replace("\"debian\"", "\"debian-13\""));
        assert!(
            load().0.unwrap_err().to_string().ends_with("it extends `debian-13`, which is not `partial`")
        );
        write("mine.toml", &base.replace("\"debian\"", "\"ubuntu\""));
        let error = load().0.unwrap_err().to_string();
        assert!(error.ends_with("it extends `ubuntu`, and there is no bases/ubuntu.toml"), "{error}");
    }

    #[test]
    fn versions_in_names() {
        assert_eq!(version_in("golang-{version}-go", "golang-1.27-go"), Some("1.27"));
        assert_eq!(version_in("golang-{version}-go", "golang-go"), None);
        assert_eq!(version_in("golang-{version}-go", "golang-x-go"), None);
        assert_eq!(version_in("mawk", "mawk"), Some(""));
        assert_eq!(version_in("mawk", "gawk"), None);
    }
}
