//! Tags that are versions.
//!
//! In: names of git's tags. Out: the version that they state. A version is what Semantic Versioning says
//! (<https://semver.org/spec/v2.0.0.html>), with or without `v` before it; other tags (`latest`, `web/v1.2.3`) state none.

use std::fs;
use std::path::{Path, PathBuf};

use nodejs_semver::Version;

/// The longest version.
const LONGEST: usize = 128;

/// The highest version among `names`, without the `v`.
pub(super) fn version<'a>(names: impl Iterator<Item = &'a str>) -> Option<String> {
    names.filter_map(read).max().map(|version| version.to_string())
}

fn read(name: &str) -> Option<Version> {
    let text = name.strip_prefix('v').unwrap_or(name);
    let version = Version::parse(text).ok().filter(|_| text.len() <= LONGEST)?;
    // The parser takes more than the specification: `v`, spaces, zeros in front.
    (version.to_string() == text).then_some(version)
}

/// The files of tags that are versions and not packed yet.
pub(super) fn loose(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries
        .filter(|entry| entry.file_name().to_str().is_some_and(|name| read(name).is_some()))
        .map(|entry| entry.path())
        .collect();
    files.sort();
    files
}

#[cfg(test)]
mod tests {
    use super::version;

    #[test]
    fn the_highest_version_counts_and_other_tags_do_not() {
        for (names, expected) in [
            (&["v1.2.3"][..], Some("1.2.3")),
            (&["1.2.3"], Some("1.2.3")),
            (&["latest", "v1.10.0-rc.1", "v1.9.9", "web/v3.0.0"], Some("1.10.0-rc.1")),
            (&["v2.0.0-rc.1", "v2.0.0"], Some("2.0.0")),
            (&["v1.0.0+build.7"], Some("1.0.0+build.7")),
            (&["v1.2", "v1", "vv1.2.3", "v01.2.3", "v1.2.3-", "release", " 1.2.3", "=1.2.3"], None),
            (&[], None),
        ] {
            assert_eq!(version(names.iter().copied()).as_deref(), expected, "{names:?}");
        }
    }
}
