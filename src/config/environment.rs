//! The environment: a snapshot of the process's variables, the only place that reads them.
//!
//! Everything else is handed an [`Environment`], so that a test can state it and two builds in one process can
//! differ.

use std::collections::BTreeMap;
use std::env;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::error::{Error, Fault, Place, Problem};

/// Variables by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    variables: BTreeMap<OsString, OsString>,
}

impl Environment {
    /// The variables of this process, now.
    pub fn from_process() -> Self {
        Self { variables: env::vars_os().collect() }
    }

    /// The value, if it is set, not empty and UTF-8.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.get_os(name)?.to_str()
    }

    /// The value, if it is set and not empty.
    pub fn get_os(&self, name: &str) -> Option<&OsStr> {
        self.variables.get(OsStr::new(name)).map(OsString::as_os_str).filter(|value| !value.is_empty())
    }

    /// Whether a switch is on: set, not empty, and none of `0`, `false`, `no`, `off`.
    pub fn is_on(&self, name: &str) -> bool {
        let off =
            |value: &OsStr| ["0", "false", "no", "off"].iter().any(|word| value.eq_ignore_ascii_case(word));
        self.get_os(name).is_some_and(|value| !off(value))
    }

    /// All variables, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        self.variables.iter().map(|(name, value)| (name.as_os_str(), value.as_os_str()))
    }

    /// Whether the process runs in a CI job (`CI`, which every large CI service sets).
    pub fn is_ci(&self) -> bool {
        self.is_on("CI")
    }

    /// Whether colours are unwanted (<https://no-color.org>: any value counts).
    pub fn no_color(&self) -> bool {
        self.get_os("NO_COLOR").is_some()
    }

    /// The user's home folder, when it is absolute.
    pub fn home(&self) -> Option<&Path> {
        self.directory("HOME")
    }

    /// Where the store is: `RPACK_STORE`, else `$XDG_CACHE_HOME/rpack`, else `$HOME/.cache/rpack`.
    ///
    /// A relative `XDG_CACHE_HOME` is passed over, as its specification says.
    pub fn store(&self) -> Result<PathBuf, Error> {
        if let Some(path) = self.get_os("RPACK_STORE") {
            return Ok(PathBuf::from(path));
        }
        let cache = self.directory("XDG_CACHE_HOME").map(Path::to_owned);
        let cache = cache.or_else(|| Some(self.home()?.join(".cache")));
        cache.map(|cache| cache.join("rpack")).ok_or_else(|| {
            let fault = Fault::NoStore;
            Error::invalid(Problem {
                fault,
                place: Place::none(),
                hints: vec!["say where: `RPACK_STORE=/path/to/folder rpack build`".to_owned()],
            })
        })
    }

    /// `SOURCE_DATE_EPOCH` (<https://reproducible-builds.org/specs/source-date-epoch/>), in seconds since 1970.
    pub fn source_date_epoch(&self) -> Result<Option<i64>, Error> {
        let Some(value) = self.get_os("SOURCE_DATE_EPOCH") else { return Ok(None) };
        let seconds =
            value.to_str().and_then(|text| text.parse::<i64>().ok()).filter(|seconds| *seconds >= 0);
        seconds.map(Some).ok_or_else(|| {
            let fault = Fault::Epoch { found: value.to_string_lossy().into_owned() };
            Error::invalid(Problem {
                fault,
                place: Place::none(),
                hints: vec![
                    "for the time of the last commit: `SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)`"
                        .to_owned(),
                ],
            })
        })
    }

    fn directory(&self, name: &str) -> Option<&Path> {
        self.get_os(name).map(Path::new).filter(|path| path.is_absolute())
    }
}

impl<K: Into<OsString>, V: Into<OsString>> FromIterator<(K, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(variables: I) -> Self {
        Self { variables: variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect() }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::Environment;
    use crate::ui::render;

    fn environment(variables: &[(&str, &str)]) -> Environment {
        variables.iter().copied().collect()
    }

    #[test]
    fn the_store_follows_the_user() {
        let store = |variables: &[(&str, &str)]| environment(variables).store().unwrap();
        assert_eq!(store(&[("HOME", "/home/a")]), Path::new("/home/a/.cache/rpack"));
        assert_eq!(store(&[("HOME", "/home/a"), ("XDG_CACHE_HOME", "/c")]), Path::new("/c/rpack"));
        assert_eq!(store(&[("HOME", "/home/a"), ("XDG_CACHE_HOME", "c")]), Path::new("/home/a/.cache/rpack"));
        assert_eq!(store(&[("HOME", "/home/a"), ("RPACK_STORE", "/s")]), Path::new("/s"));
    }

    #[test]
    fn without_a_home_the_store_must_be_named() {
        assert_eq!(
            render(&environment(&[("HOME", "")]).store().unwrap_err(), false),
            "error[config/store]: there is no place for the store: none of `RPACK_STORE`, `XDG_CACHE_HOME` and \
             `HOME` names an absolute folder\n\
             \n\
             hint: say where: `RPACK_STORE=/path/to/folder rpack build`\n"
        );
    }

    #[test]
    fn switches_can_be_off() {
        let ci = |value| environment(&[("CI", value)]).is_ci();
        assert_eq!([ci("true"), ci("1"), ci("false"), ci("0"), ci("")], [true, true, false, false, false]);
    }

    #[test]
    fn the_epoch_is_whole_seconds() {
        let epoch = |value| environment(&[("SOURCE_DATE_EPOCH", value)]).source_date_epoch();
        assert_eq!(epoch("1700000000").unwrap(), Some(1_700_000_000));
        assert_eq!(epoch("").unwrap(), None);
        assert_eq!(
            render(&epoch("yesterday").unwrap_err(), false),
            "error[config/source-date-epoch]: `SOURCE_DATE_EPOCH` is `yesterday`, expected whole seconds since \
             1970\n\
             \n\
             hint: for the time of the last commit: `SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)`\n"
        );
    }
}
