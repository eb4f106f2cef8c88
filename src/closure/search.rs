//! Where the dynamic loader looks for a library.
//!
//! In: what the file that needs it says, what the files that loaded that file say, the image's environment. Out:
//! folders in order, as <https://man7.org/linux/man-pages/man8/ld.so.8.html> describes them. Images hold no
//! `/etc/ld.so.cache`, so folders of `/etc/ld.so.conf.d` do not count: the loader would not look there.

use super::elf::{self, Elf};

/// An architecture as the loader names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Target<'a> {
    /// `e_machine` of its files.
    pub(super) machine: u16,
    /// `x86_64-linux-gnu`.
    pub(super) triplet: &'a str,
}

impl<'a> Target<'a> {
    /// The target for Debian's name of the architecture.
    pub(super) fn debian(architecture: &'a str) -> Option<Self> {
        Some(Self { machine: elf::machine(architecture)?, triplet: crate::rootfs::multiarch(architecture) })
    }

    /// What `$PLATFORM` stands for.
    fn platform(self) -> &'a str {
        self.triplet.split('-').next().unwrap_or_default()
    }

    /// The folders that the loader of Debian is built with.
    fn trusted(self) -> [String; 4] {
        [
            format!("/lib/{}", self.triplet),
            format!("/usr/lib/{}", self.triplet),
            "/lib".to_owned(),
            "/usr/lib".to_owned(),
        ]
    }
}

/// A loaded file, as far as its search path matters.
#[derive(Clone, Copy, Debug)]
pub(super) struct Loader<'a> {
    pub(super) elf: &'a Elf,
    /// Its folder, without a slash in front.
    pub(super) origin: &'a str,
}

/// The folders for libraries that the first of `chain` needs; the others loaded it, the program last.
pub(super) fn folders(chain: &[Loader<'_>], library_path: &[String], target: Target<'_>) -> Vec<String> {
    let Some(first) = chain.first() else { return Vec::new() };
    let mut folders = Vec::new();
    let mut add = |list: &[String], origin: &str| {
        folders.extend(list.iter().map(|folder| expand(folder, origin, target)));
    };
    if first.elf.runpath.is_none() {
        for loader in chain.iter().filter(|loader| loader.elf.runpath.is_none()) {
            add(&loader.elf.rpath, loader.origin);
        }
    }
    add(library_path, chain.last().map_or("", |program| program.origin));
    if let Some(runpath) = &first.elf.runpath {
        add(runpath, first.origin);
    }
    if !first.elf.no_default {
        folders.extend(target.trusted());
    }
    folders
}

/// Replaces the loader's tokens, with and without braces.
fn expand(folder: &str, origin: &str, target: Target<'_>) -> String {
    let origin = format!("/{origin}");
    let library = format!("lib/{}", target.triplet);
    let mut text = folder.to_owned();
    for (token, value) in
        [("ORIGIN", origin.as_str()), ("PLATFORM", target.platform()), ("LIB", library.as_str())]
    {
        text = text.replace(&format!("${{{token}}}"), value).replace(&format!("${token}"), value);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Elf, Loader, Target, folders};

    fn texts(list: &[&str]) -> Vec<String> {
        list.iter().map(|text| (*text).to_owned()).collect()
    }

    const TRUSTED: [&str; 4] = ["/lib/aarch64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/lib", "/usr/lib"];

    #[test]
    fn rpath_is_inherited_until_a_file_has_a_runpath() {
        let target = Target::debian("arm64").unwrap();
        let program = Elf { rpath: texts(&["$ORIGIN/../lib", "/opt/$LIB"]), ..Elf::default() };
        let library = Elf { rpath: texts(&["${ORIGIN}/deps"]), ..Elf::default() };
        let modern = Elf { runpath: Some(texts(&["/srv/${PLATFORM}"])), ..library.clone() };
        let chain =
            |first| [Loader { elf: first, origin: "app/libs" }, Loader { elf: &program, origin: "app/bin" }];
        let environment = texts(&["/env"]);
        let mut expected =
            texts(&["/app/libs/deps", "/app/bin/../lib", "/opt/lib/aarch64-linux-gnu", "/env"]);
        expected.extend(texts(&TRUSTED));
        assert_eq!(folders(&chain(&library), &environment, target), expected);
        let mut expected = texts(&["/env", "/srv/aarch64"]);
        expected.extend(texts(&TRUSTED));
        assert_eq!(folders(&chain(&modern), &environment, target), expected);
        // A library with a runpath does not pass its own rpath on either.
        let plain = Elf::default();
        let through = [Loader { elf: &plain, origin: "x" }, Loader { elf: &modern, origin: "app/libs" }];
        assert_eq!(folders(&through, &[], target), TRUSTED);
    }

    #[test]
    fn a_file_may_forbid_the_usual_folders() {
        let alone = Elf { no_default: true, runpath: Some(texts(&["$ORIGIN"])), ..Elf::default() };
        let chain = [Loader { elf: &alone, origin: "app" }];
        assert_eq!(folders(&chain, &[], Target::debian("amd64").unwrap()), ["/app"]);
    }
}
