//! The files of an image that the kernel or the dynamic loader reads: ELF files and scripts.
//!
//! In: a tree. Out: what each of its ELF files asks for, and the first line of scripts that may be started. Names
//! decide what is opened at all: a Node app has ten thousand files that are text by their ending.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;

use serde::{Deserialize, Serialize};

use super::Error;
use super::elf::{self, Bytes, Elf, Found};
use crate::store::{Content, Entry, Kind, Tree};

/// Endings of files that are text, pictures, archives or byte code and never loaded.
const TEXTS: [&str; 48] = [
    "a",
    "c",
    "cc",
    "cjs",
    "class",
    "cpp",
    "css",
    "csv",
    "cts",
    "d",
    "flow",
    "gif",
    "gyp",
    "gypi",
    "gz",
    "h",
    "hpp",
    "html",
    "jar",
    "jpg",
    "js",
    "json",
    "json5",
    "jsx",
    "ko",
    "less",
    "license",
    "map",
    "markdown",
    "md",
    "mjs",
    "mts",
    "npmignore",
    "o",
    "pem",
    "png",
    "po",
    "py",
    "pyc",
    "pyi",
    "rst",
    "scss",
    "svg",
    "toml",
    "ts",
    "txt",
    "yaml",
    "yml",
];

/// What the kernel reads of the first line of a script.
const LINE: usize = 256;

/// What was found in a tree, by path.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Scan {
    /// Files that a loader of a 64-bit machine could take.
    pub(super) elves: BTreeMap<String, Elf>,
    /// Executable scripts with their interpreter.
    pub(super) scripts: BTreeMap<String, Script>,
    /// ELF files of other kinds of machines, and damaged ones.
    pub(super) foreign: Vec<String>,
}

/// The first line of a script.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Script {
    /// `/usr/bin/env`.
    pub(super) interpreter: String,
    /// The program that `env` looks for on the `PATH`.
    pub(super) program: Option<String>,
}

impl Scan {
    /// Adds the files of `tree`; scripts where `may_start` says so.
    pub(super) fn add(&mut self, tree: &Tree, may_start: impl Fn(&str) -> bool) -> Result<(), Error> {
        for (path, entry) in tree.iter() {
            self.add_file(path, entry, &may_start)?;
        }
        Ok(())
    }

    /// Adds what was found in another tree.
    pub(super) fn merge(&mut self, other: Self) {
        self.elves.extend(other.elves);
        self.scripts.extend(other.scripts);
        self.foreign.extend(other.foreign);
    }

    pub(super) fn add_file(
        &mut self,
        path: &str,
        entry: &Entry,
        may_start: &impl Fn(&str) -> bool,
    ) -> Result<(), Error> {
        let Kind::File { size, content } = &entry.kind else { return Ok(()) };
        let is_script = is_script(path, entry, may_start);
        if *size < 4 || (is_text(path) && !is_script) {
            return Ok(());
        }
        let found = match content {
            Content::Bytes(bytes) => self.read(path, bytes.as_slice(), is_script),
            Content::Path(file) => open(file).and_then(|bytes| self.read(path, &bytes, is_script)),
        };
        found.map_err(|source| Error::Read { path: path.to_owned(), source })
    }

    fn read<B: Bytes + ?Sized>(&mut self, path: &str, bytes: &B, is_script: bool) -> io::Result<()> {
        match elf::read(bytes)? {
            Found::Elf(elf) => {
                self.elves.insert(path.to_owned(), elf);
            }
            Found::Foreign | Found::Damaged => self.foreign.push(path.to_owned()),
            Found::Other if is_script => {
                let mut line = [0; LINE];
                let count = bytes.read_at(&mut line, 0)?;
                if let Some(script) = script(&line[..count]) {
                    self.scripts.insert(path.to_owned(), script);
                }
            }
            Found::Other => {}
        }
        Ok(())
    }
}

/// Whether the entry is read as a script that may be started. What Debian's own scripts need is a matter of their
/// packages.
pub(super) fn is_script(path: &str, entry: &Entry, may_start: &impl Fn(&str) -> bool) -> bool {
    entry.mode & 0o111 != 0 && entry.package.is_none() && may_start(path)
}

/// Opens a file of the store or of the source; the source may have changed since it was listed.
fn open(path: &std::path::Path) -> io::Result<File> {
    let metadata = fs::symlink_metadata(path)?;
    if metadata.is_file() { File::open(path) } else { Err(io::Error::other("it is not a regular file")) }
}

fn is_text(path: &str) -> bool {
    let name = path.rsplit_once('/').map_or(path, |(_, name)| name);
    name.rsplit_once('.').is_some_and(|(_, ending)| TEXTS.binary_search(&ending).is_ok())
}

/// The interpreter of `#!INTERPRETER [ARGUMENT]`; through `env` the program that it looks for, also behind `-S` and
/// assignments.
fn script(head: &[u8]) -> Option<Script> {
    let line = head.strip_prefix(b"#!")?.split(|byte| matches!(byte, b'\n' | b'\r')).next()?;
    let line = std::str::from_utf8(line).ok()?;
    let mut words = line.split_whitespace();
    let interpreter = words.next()?.to_owned();
    let program = (interpreter.rsplit('/').next() == Some("env"))
        .then(|| words.find(|word| !word.starts_with('-') && !word.contains('=')).map(str::to_owned))
        .flatten();
    Some(Script { interpreter, program })
}

#[cfg(test)]
mod tests {
    use super::{Scan, Script, TEXTS, is_text, script};
    use crate::store::{Entry, Tree};

    fn line(text: &str) -> Option<(String, Option<String>)> {
        script(text.as_bytes()).map(|Script { interpreter, program }| (interpreter, program))
    }

    #[test]
    fn first_lines() {
        let env = |program: &str| Some(("/usr/bin/env".to_owned(), Some(program.to_owned())));
        assert_eq!(line("#!/bin/sh\necho"), Some(("/bin/sh".to_owned(), None)));
        assert_eq!(line("#! /usr/bin/perl -w\r\n"), Some(("/usr/bin/perl".to_owned(), None)));
        assert_eq!(line("#!/usr/bin/env node\n"), env("node"));
        assert_eq!(line("#!/usr/bin/env -S LANG=C python3 -u\n"), env("python3"));
        assert_eq!(line("#!/usr/bin/env\n"), Some(("/usr/bin/env".to_owned(), None)));
        for none in ["#!", "#!\n/bin/sh", "# !/bin/sh", "", "#!\u{7f}\n"] {
            assert!(line(none).is_none_or(|(interpreter, _)| interpreter == "\u{7f}"), "{none:?}");
        }
    }

    #[test]
    fn only_scripts_that_may_start_are_read() {
        let mut tree = Tree::new();
        tree.insert("app/bin/run.js", Entry::bytes("#!/usr/bin/env node\n").with_mode(0o755));
        tree.insert("app/bin/data", Entry::bytes("#!/bin/sh\n"));
        tree.insert("app/lib/tool", Entry::bytes("#!/bin/sh\n").with_mode(0o755));
        let mut scan = Scan::default();
        scan.add(&tree, |path| path.starts_with("app/bin/")).unwrap();
        assert_eq!(scan.scripts.keys().collect::<Vec<_>>(), ["app/bin/run.js"]);
    }

    #[test]
    fn endings_are_sorted_for_the_search() {
        assert!(TEXTS.is_sorted());
        assert!(is_text("app/a.min.js") && is_text("README.md"));
        for loaded in ["x/libz.so.1", "a.node", "bin/tool", "x.cpython-313-x86_64-linux-gnu.so", "js"] {
            assert!(!is_text(loaded), "{loaded}");
        }
    }
}
