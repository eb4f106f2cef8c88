//! Which files take part: the ignore files of the tree, what is always left out, and what configuration says.
//!
//! A path is in when `source.include` names it or a folder above it, or else when nothing leaves it out:
//! - the built-in list, with `.rpackignore` after it, so that `!` there takes back what is always left out;
//! - `.gitignore` files, from the root of the work tree down, and `.dockerignore`, unless there is a
//!   `.rpackignore`, which replaces both;
//! - `source.exclude`.
//!
//! What leaves out a folder leaves out everything below it, except that `.rpackignore` and `source.include` may
//! name something deeper; folders on the way to it are entered.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ignore::gitignore::{Gitignore, GitignoreBuilder};

use super::dockerignore::Dockerignore;
use super::{Error, Options};

/// Never part of a build unless asked for: version control, installed dependencies, secrets, caches.
const BUILT_IN: [&str; 11] = [
    ".git",
    ".hg",
    ".svn",
    "node_modules",
    ".venv",
    "__pycache__",
    ".env",
    ".env.*",
    "*.pyc",
    ".DS_Store",
    // What it says reaches the build through the plan; a step that saw it would run again after each update.
    "/rpack.lock",
];

/// No ignore file is as long as this many bytes.
const LIMIT: u64 = 1 << 18;

/// All rules of one tree.
#[derive(Debug)]
pub(super) struct Rules {
    built_in: Gitignore,
    docker: Dockerignore,
    /// Of the folders above the root and of the root; `None` when `.rpackignore` replaces them.
    git: Option<Vec<Gitignore>>,
    exclude: Gitignore,
    include: Gitignore,
    /// Folders on the way to something that is taken back.
    way: Gitignore,
}

/// What the rules say of one path, given what they say of the folder above it.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "five independent rules, each inherited on its own")]
pub(super) struct Verdict {
    built_in: bool,
    git: bool,
    docker: bool,
    exclude: bool,
    include: bool,
}

impl Verdict {
    /// Whether it takes part.
    pub(super) fn is_in(self) -> bool {
        self.include || !(self.built_in || self.git || self.docker || self.exclude)
    }
}

impl Rules {
    /// Reads the ignore files at and above `root`, which is absolute.
    pub(super) fn read(root: &Path, options: &Options) -> Result<Self, Error> {
        let own = read(&root.join(".rpackignore"), ".rpackignore")?;
        let own_lines: Vec<&str> = own.iter().flat_map(|text| text.lines()).collect();
        let mut built_in = GitignoreBuilder::new("");
        for line in BUILT_IN.iter().copied().chain(own_lines.iter().copied()) {
            // As git does, a line that means nothing is passed over.
            let _ = built_in.add_line(None, line);
        }
        let (mut docker, mut git) = (Dockerignore::default(), None);
        if own.is_none() {
            if let Some(text) = read(&root.join(".dockerignore"), ".dockerignore")? {
                docker = Dockerignore::parse(&text).map_err(|invalid| Error::Pattern {
                    pattern: invalid.pattern,
                    reason: invalid.reason.to_owned(),
                    file: ".dockerignore".to_owned(),
                    line: Some(invalid.line),
                })?;
            }
            git = Some(above(root)?);
        }
        let mut way = GitignoreBuilder::new("");
        let taken_back = own_lines.iter().filter_map(|line| line.strip_prefix('!'));
        for pattern in taken_back.chain(options.include.iter().map(String::as_str)) {
            for folder in folders_on_the_way(pattern) {
                let _ = way.add_line(None, &folder);
            }
        }
        Ok(Self {
            built_in: build(&built_in)?,
            docker,
            git,
            exclude: matcher("source.exclude", &options.exclude)?,
            include: matcher("source.include", &options.include)?,
            way: build(&way)?,
        })
    }

    /// The `.gitignore` of a folder below the root, if such files count and it has one.
    pub(super) fn nested(&self, folder: &Path, relative: &str) -> Result<Option<Gitignore>, Error> {
        if self.git.is_none() {
            return Ok(None);
        }
        gitignore(folder, &format!("{relative}/.gitignore"))
    }

    /// Judges `relative` (absolute: `path`) below a folder with the verdict `above`. `nested` are the
    /// `.gitignore` files of the folders between, outermost first.
    pub(super) fn judge(
        &self,
        above: Verdict,
        path: &Path,
        relative: &str,
        is_dir: bool,
        nested: &[Arc<Gitignore>],
    ) -> Verdict {
        let inherit = |matcher: &Gitignore, inherited: bool| {
            if matcher.is_empty() {
                return inherited;
            }
            let found = matcher.matched(relative, is_dir);
            if found.is_none() { inherited } else { found.is_ignore() }
        };
        let git = self.git.as_deref().is_some_and(|outer| {
            // Git does not look below an ignored folder.
            above.git || {
                let nearest = nested.iter().rev().map(|rules| &**rules).chain(outer.iter().rev());
                let mut found = nearest.map(|rules| rules.matched(path, is_dir));
                found.find(|found| !found.is_none()).is_some_and(|found| found.is_ignore())
            }
        });
        Verdict {
            built_in: inherit(&self.built_in, above.built_in),
            git,
            docker: self.docker.is_ignored(relative),
            exclude: inherit(&self.exclude, above.exclude),
            // The matcher knows only "ignored": here this means named, and `!` takes the name back.
            include: inherit(&self.include, above.include),
        }
    }

    /// Whether something below the folder `relative` may take part.
    pub(super) fn enters(&self, verdict: Verdict, relative: &str) -> bool {
        let only_docker = !(verdict.built_in || verdict.git || verdict.exclude);
        verdict.is_in()
            || self.way.matched(relative, true).is_ignore()
            || (only_docker && self.docker.has_negations())
    }
}

/// A matcher over patterns in the syntax of `.gitignore`, relative to the root of the tree. `origin` names where
/// they are from.
pub(super) fn matcher<'a>(
    origin: &str,
    patterns: impl IntoIterator<Item = &'a String>,
) -> Result<Gitignore, Error> {
    let mut builder = GitignoreBuilder::new("");
    builder.allow_unclosed_class(false);
    for pattern in patterns {
        builder.add_line(None, pattern).map_err(|error| Error::Pattern {
            pattern: pattern.clone(),
            reason: reason(error),
            file: origin.to_owned(),
            line: None,
        })?;
    }
    build(&builder)
}

fn build(builder: &GitignoreBuilder) -> Result<Gitignore, Error> {
    builder.build().map_err(|error| Error::Pattern {
        pattern: "all patterns together".to_owned(),
        reason: reason(error),
        file: "ignore rules".to_owned(),
        line: None,
    })
}

fn reason(error: ignore::Error) -> String {
    match error {
        ignore::Error::Glob { err, .. } => err,
        other => other.to_string(),
    }
}

/// The folders that lead to what `pattern` names, as patterns.
fn folders_on_the_way(pattern: &str) -> Vec<String> {
    let pattern = pattern.trim().trim_end_matches('/');
    let (anchor, pattern) = match pattern.strip_prefix("**/") {
        Some(rest) => ("**/", rest),
        None => ("/", pattern.trim_start_matches('/')),
    };
    pattern.match_indices('/').map(|(at, _)| format!("{anchor}{}/", &pattern[..at])).collect()
}

/// Names of files that have a say without taking part.
pub(super) fn has_a_say(name: &str) -> bool {
    [".gitignore", ".dockerignore", ".rpackignore", "rpack.toml", "rpack.lock"].contains(&name)
}

/// The folders from `root` up to the root of git's work tree; `root` alone outside of one.
fn up_to_work_tree(root: &Path) -> impl Iterator<Item = &Path> {
    let work_tree = root.ancestors().position(|folder| folder.join(".git").exists()).unwrap_or(0);
    root.ancestors().take(work_tree + 1)
}

/// The `.gitignore` files above `root` that have a say, whether they are there or not.
pub(super) fn files_above(root: &Path) -> Vec<PathBuf> {
    up_to_work_tree(root).skip(1).map(|folder| folder.join(".gitignore")).collect()
}

/// The `.gitignore` files from the root of git's work tree down to `root`; of `root` alone outside of one.
fn above(root: &Path) -> Result<Vec<Gitignore>, Error> {
    let mut found = Vec::new();
    for folder in up_to_work_tree(root) {
        let shown = if folder == root { ".gitignore".into() } else { folder.join(".gitignore") };
        found.extend(gitignore(folder, &shown.to_string_lossy())?);
    }
    found.reverse();
    Ok(found)
}

fn gitignore(folder: &Path, shown: &str) -> Result<Option<Gitignore>, Error> {
    let Some(text) = read(&folder.join(".gitignore"), shown)? else { return Ok(None) };
    let mut builder = GitignoreBuilder::new(folder);
    for line in text.lines() {
        let _ = builder.add_line(None, line);
    }
    build(&builder).map(Some)
}

/// A file that may be missing; links are not followed out of curiosity: git refuses them too.
fn read(path: &Path, shown: &str) -> Result<Option<String>, Error> {
    match std::fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_file() => {}
        Ok(_) => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io("read", path)(error)),
    }
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(LIMIT + 1).read_to_end(&mut bytes))
        .map_err(Error::io("read", path))?;
    if bytes.len() as u64 > LIMIT {
        return Err(Error::IgnoreTooLarge { path: shown.to_owned(), limit: LIMIT });
    }
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}
