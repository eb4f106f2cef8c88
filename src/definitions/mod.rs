//! The data that describes ecosystems and bases: embedded at compile time, replaceable from a folder.
//!
//! In: the table that `build.rs` writes, and optionally a folder in the same layout (`--definitions DIR`).
//! Out: file contents by path (`detectors/node.toml`). Nothing is interpreted here; each stage parses its own
//! files. A file in the folder replaces the embedded file of the same path and may add new ones.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

mod embedded {
    include!(concat!(env!("OUT_DIR"), "/embedded.rs"));
}

/// The folders a definitions directory may hold; everything else in it is an error, so that a typo is seen.
const FOLDERS: [&str; 4] = ["bases", "buildpacks", "detectors", "toolchains"];

/// One data file with the place it came from, for messages.
#[derive(Clone, Debug)]
pub struct Definition {
    /// Path below the definitions root, such as `detectors/node.toml`.
    pub path: String,
    /// Where a person finds the file: the same path for embedded ones, else the path on disk.
    pub shown: String,
    /// The raw bytes.
    pub bytes: Cow<'static, [u8]>,
}

/// All data files by path.
#[derive(Clone, Debug)]
pub struct Definitions {
    files: BTreeMap<String, Definition>,
    folder: Option<PathBuf>,
}

/// Why a definitions folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder cannot be read.
    #[error("cannot read definitions at {path}")]
    Read {
        /// What was being read.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The folder holds something that is not a definition.
    #[error(
        "{path} is not a definition: expected files below bases/, buildpacks/, detectors/ or toolchains/"
    )]
    Stray {
        /// The unexpected entry.
        path: PathBuf,
    },
}

impl crate::ui::Diagnose for Error {
    fn id(&self) -> &'static str {
        match self {
            Self::Read { .. } => "definitions/read",
            Self::Stray { .. } => "definitions/stray",
        }
    }

    fn exit(&self) -> crate::ui::ExitCode {
        crate::ui::ExitCode::Usage
    }
}

impl Definitions {
    /// The embedded files alone.
    pub fn embedded() -> Self {
        let files = embedded::EMBEDDED
            .iter()
            .map(|(path, bytes)| {
                let file = Definition {
                    path: (*path).to_owned(),
                    shown: (*path).to_owned(),
                    bytes: Cow::Borrowed(bytes),
                };
                ((*path).to_owned(), file)
            })
            .collect();
        Self { files, folder: None }
    }

    /// The embedded files with those of `folder` over them.
    pub fn with_folder(folder: &Path) -> Result<Self, Error> {
        let mut all = Self::embedded();
        all.folder = Some(std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned()));

        for entry in walkdir::WalkDir::new(folder).sort_by_file_name().min_depth(1) {
            let entry = entry.map_err(|error| Error::Read {
                path: error.path().unwrap_or(folder).to_owned(),
                source: error.into(),
            })?;
            if entry.file_type().is_dir() {
                continue;
            }
            all.add(folder, entry.path())?;
        }
        Ok(all)
    }

    fn add(&mut self, folder: &Path, path: &Path) -> Result<(), Error> {
        let stray = || Error::Stray { path: path.to_owned() };
        let relative = path.strip_prefix(folder).ok().and_then(Path::to_str).ok_or_else(stray)?;
        let first = relative.split('/').next().unwrap_or_default();
        if !FOLDERS.contains(&first) {
            return Err(stray());
        }
        let bytes = std::fs::read(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
        let file = Definition {
            path: relative.to_owned(),
            shown: path.display().to_string(),
            bytes: Cow::Owned(bytes),
        };
        self.files.insert(relative.to_owned(), file);
        Ok(())
    }

    /// The folder whose files stand above the embedded ones, as an absolute path.
    pub fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    /// The file at `path`, if there is one.
    pub fn get(&self, path: &str) -> Option<&Definition> {
        self.files.get(path)
    }

    /// All files below `folder` (`detectors`) whose name ends in `suffix` (`.toml`), sorted by path.
    pub fn below<'a>(&'a self, folder: &'a str, suffix: &'a str) -> impl Iterator<Item = &'a Definition> {
        self.files.values().filter(move |file| {
            file.path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
                && file.path.ends_with(suffix)
        })
    }
}
