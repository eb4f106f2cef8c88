//! The view of the source that fact readers use: names at the root, texts with their encoding checked.

use super::super::Error;
use crate::source::Source;
use crate::store::Kind;

/// The largest manifest or lock that is read, in bytes. Locks of large monorepos reach 20 MB.
const MANIFEST_LIMIT: u64 = 64 << 20;
/// The largest program text that is scanned, in bytes; longer ones are generated.
const PROGRAM_LIMIT: u64 = 1 << 20;

/// The files of a source, or of one folder of it: paths are relative to that folder.
#[derive(Debug)]
pub(in crate::detect) struct Files<'a> {
    source: &'a Source,
    /// With a slash behind it; empty for the whole source.
    prefix: String,
    root: Vec<String>,
}

impl<'a> Files<'a> {
    /// The files below `folder`; all of them when it is empty.
    pub(in crate::detect) fn new(source: &'a Source, folder: &str) -> Self {
        let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let root = source.tree.names(&prefix).into_iter().map(str::to_owned).collect();
        Self { source, prefix, root }
    }

    /// The folder in the source; empty for the whole of it.
    pub(in crate::detect) fn folder(&self) -> &str {
        self.prefix.trim_end_matches('/')
    }

    /// The whole source.
    pub(in crate::detect) fn whole(&self) -> Self {
        Self::new(self.source, "")
    }

    /// The files below another folder of the source.
    pub(in crate::detect) fn of(&self, folder: &str) -> Self {
        Self::new(self.source, folder)
    }

    /// `folder` of the app as a folder of the source.
    pub(in crate::detect) fn below(&self, folder: &str) -> String {
        self.full(folder)
    }

    /// The path in the whole source.
    fn full(&self, path: &str) -> String {
        format!("{}{path}", self.prefix)
    }

    /// The names at the root, sorted.
    pub(in crate::detect) fn root(&self) -> &[String] {
        &self.root
    }

    /// Whether a file (or a link) stands at `path`.
    pub(in crate::detect) fn has(&self, path: &str) -> bool {
        self.source
            .tree
            .get(&self.full(path))
            .is_some_and(|entry| matches!(entry.kind, Kind::File { .. } | Kind::Symlink { .. }))
    }

    /// The paths of all files, sorted.
    pub(in crate::detect) fn paths(&self) -> impl Iterator<Item = &'a str> + use<'_, 'a> {
        let below = self.source.tree.starting_with(&self.prefix);
        below
            .filter(|(_, entry)| matches!(entry.kind, Kind::File { .. }))
            .filter_map(|(path, _)| path.strip_prefix(&self.prefix))
    }

    /// The names of the files at the root that end in `suffix`, sorted.
    pub(in crate::detect) fn at_root(&self, suffix: &str) -> impl Iterator<Item = &str> {
        self.root.iter().map(String::as_str).filter(move |name| name.ends_with(suffix) && self.has(name))
    }

    /// The text of a manifest without its byte order mark, or nothing when there is no such file.
    pub(in crate::detect) fn text(&self, path: &str) -> Result<Option<String>, Error> {
        let path = &self.full(path);
        let bytes = match self.source.read(path, MANIFEST_LIMIT) {
            None => return Ok(None),
            Some(Err(source)) => return Err(Error::Read { path: path.to_owned(), source }),
            Some(Ok(bytes)) => bytes,
        };
        let utf16 = bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff");
        let found = if utf16 { ": it is UTF-16" } else { "" };
        let text = String::from_utf8(bytes).map_err(|_| Error::Encoding { path: path.to_owned(), found })?;
        Ok(Some(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text)))
    }

    /// The text of a program; nothing when it is missing, unreadable or too long to have been written by hand.
    pub(in crate::detect) fn program(&self, path: &str) -> Option<String> {
        let bytes = self.source.read(&self.full(path), PROGRAM_LIMIT)?.ok()?;
        Some(String::from_utf8_lossy(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes)).into_owned())
    }
}
