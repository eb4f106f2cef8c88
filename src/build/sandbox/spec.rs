//! What runs in a sandbox: the whole description of one process and the view it gets.
//!
//! In: values chosen by the caller. Out: the same values, checked, as the JSON document that the re-executed
//! process reads from an inherited descriptor; never as arguments, which every process of the host can read.
//!
//! Invariants after [`Spec::check`]: at least one lower and one argument; an upper comes with its work folder;
//! targets are absolute, below `/`, without `.` or `..`; no text holds a NUL byte.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Error;

/// One process and its view of the system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spec {
    /// The folders that make up the root file system, topmost first; never written to.
    pub lowers: Vec<PathBuf>,
    /// The folder that collects what is written to the root; without it the root is read-only.
    ///
    /// It must be empty, belong to the invoking user and not lie on an overlay file system. Its mode becomes 0755.
    pub upper: Option<PathBuf>,
    /// An empty folder on the file system of `upper`, needed with it; used up by one run.
    pub work: Option<PathBuf>,
    /// Files and folders of the host that are visible inside, in the order in which they are mounted.
    pub binds: Vec<Bind>,
    /// Memory file systems; `/tmp` is one even when it is not listed.
    pub tmpfs: Vec<Tmpfs>,
    /// Absolute folders of a read-only root, without links, that can be written to all the same. What is written
    /// is kept in memory and goes with the command.
    pub writable: Vec<String>,
    /// Files that only the command sees, and that are never on a disk.
    pub secrets: SecretFiles,
    /// The command, executed without a shell; a name without `/` is looked up in the `PATH` of `env`.
    pub argv: Vec<String>,
    /// The whole environment of the command.
    pub env: BTreeMap<String, String>,
    /// The working directory, absolute inside the root.
    pub directory: String,
    /// The user the command runs as: 0 for build steps, the image's user for image boots.
    pub uid: u32,
    /// The group the command runs as.
    pub gid: u32,
    /// Whether it shares the host's network; otherwise it has a network of its own with nothing but `lo`.
    pub network: bool,
    /// The host name it sees.
    pub hostname: String,
    /// Whether the command itself is process 1, as on a container platform, instead of running under a reaper.
    pub pid_one: bool,
    /// How far it must be isolated.
    pub isolation: Isolation,
    /// Which system calls assemble the root.
    pub overlay: Overlay,
    /// Where its standard input comes from.
    pub stdin: Stdin,
    /// Where its standard output and error go.
    pub output: Output,
}

/// A file or folder of the host, visible inside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bind {
    /// The path on the host; symbolic links are followed.
    pub source: PathBuf,
    /// The absolute path inside; links are followed within the root, a link as last component is covered.
    pub target: String,
    /// Whether writing is refused.
    pub read_only: bool,
}

/// A memory file system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tmpfs {
    /// The absolute path inside.
    pub target: String,
    /// Permission bits of its root.
    pub mode: u32,
    /// Its limit in bytes; half of the memory when absent.
    pub size: Option<u64>,
}

/// Files on a memory file system of their own, readable by root alone.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretFiles {
    /// The absolute path inside; nothing is mounted there when there are no files.
    pub folder: String,
    /// Their names and contents.
    pub files: BTreeMap<String, Vec<u8>>,
}

impl SecretFiles {
    fn check(&self) -> Result<(), Error> {
        if self.files.is_empty() {
            return Ok(());
        }
        match self
            .files
            .keys()
            .find(|name| name.is_empty() || name.starts_with('.') || name.contains(['/', '\0']))
        {
            Some(name) => Err(Error::Invalid {
                what: format!("`{}` cannot be the name of a secret", name.escape_debug()),
            }),
            None => check_target(&self.folder),
        }
    }
}

impl std::fmt::Debug for SecretFiles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} in {}", self.files.len(), self.folder)
    }
}

/// How far the command must be isolated from the host's processes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Isolation {
    /// Own process ids where the kernel allows a fresh `/proc`, else the host's.
    #[default]
    Auto,
    /// Own process ids or an error.
    Full,
    /// The host's process ids, where a container masks its `/proc`.
    HostPids,
}

/// Which system calls assemble the root.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Overlay {
    /// `fsconfig` with one call per lower (Linux 6.8), else `mount`.
    #[default]
    Auto,
    /// `mount`, with all lowers in one page of options.
    Classic,
}

/// Where standard input comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stdin {
    /// `/dev/null`.
    #[default]
    Null,
    /// The caller's own.
    Inherit,
}

/// Where standard output and error go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Output {
    /// Two pipes that the caller reads.
    #[default]
    Pipe,
    /// The caller's own.
    Inherit,
    /// Nowhere.
    Null,
}

impl Spec {
    /// `argv` as root over `lowers`: read-only root, no network, empty environment, working directory `/`.
    pub fn new(lowers: Vec<PathBuf>, argv: Vec<String>) -> Self {
        Self {
            lowers,
            upper: None,
            work: None,
            binds: Vec::new(),
            tmpfs: Vec::new(),
            writable: Vec::new(),
            secrets: SecretFiles::default(),
            argv,
            env: BTreeMap::new(),
            directory: "/".to_owned(),
            uid: 0,
            gid: 0,
            network: false,
            hostname: "sandbox".to_owned(),
            pid_one: false,
            isolation: Isolation::Auto,
            overlay: Overlay::Auto,
            stdin: Stdin::Null,
            output: Output::Pipe,
        }
    }

    /// Whether the invariants of this module hold.
    pub(super) fn check(&self) -> Result<(), Error> {
        let invalid = |what: String| Err(Error::Invalid { what });
        if self.lowers.is_empty() {
            return invalid("it names no folder for the root file system".to_owned());
        }
        if self.argv.is_empty() {
            return invalid("its command is empty".to_owned());
        }
        if self.upper.is_some() != self.work.is_some() {
            return invalid("`upper` and `work` are needed together".to_owned());
        }
        if !Path::new(&self.directory).is_absolute() {
            return invalid(format!("its working directory `{}` is not absolute", self.directory));
        }
        let targets = self.binds.iter().map(|bind| &bind.target);
        for target in targets.chain(self.tmpfs.iter().map(|tmpfs| &tmpfs.target)) {
            check_target(target)?;
        }
        self.secrets.check()?;
        let variables = self.env.iter().flat_map(|(name, value)| [name, value]);
        let texts = self.argv.iter().chain(variables).chain([&self.directory, &self.hostname]);
        for text in texts {
            if text.contains('\0') {
                return invalid(format!("`{}` holds a NUL byte", text.escape_debug()));
            }
        }
        match self.env.keys().find(|name| name.is_empty() || name.contains('=')) {
            Some(name) => invalid(format!("`{name}` cannot be the name of a variable")),
            None => Ok(()),
        }
    }
}

fn check_target(target: &str) -> Result<(), Error> {
    let path = Path::new(target);
    let plain = path.components().all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
    // `components` swallows inner `.`, so the text is looked at as well.
    let dots = target.split('/').any(|part| part == ".");
    if path.is_absolute() && plain && !dots && path != Path::new("/") && !target.contains('\0') {
        return Ok(());
    }
    Err(Error::Invalid {
        what: format!(
            "`{}` is no place to mount on: it must be an absolute path below `/`",
            target.escape_debug()
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> Spec {
        Spec::new(vec!["/root".into()], vec!["true".to_owned()])
    }

    #[test]
    fn a_plain_spec_is_accepted() {
        assert!(spec().check().is_ok());
    }

    #[test]
    fn targets_that_could_leave_the_root_are_refused() {
        for target in ["", "/", "relative", "/a/../../etc", "/./etc", "/etc/./x", "/a\0b", ".."] {
            let mut spec = spec();
            spec.binds.push(Bind { source: "/usr".into(), target: target.to_owned(), read_only: true });
            assert!(matches!(spec.check(), Err(Error::Invalid { .. })), "{target:?}");
        }
    }

    #[test]
    fn an_upper_needs_its_work_folder() {
        let mut spec = spec();
        spec.upper = Some("/upper".into());
        assert_eq!(
            spec.check().unwrap_err().to_string(),
            "the sandbox cannot run this step: `upper` and `work` are needed together"
        );
    }

    #[test]
    fn variables_that_would_change_others_are_refused() {
        for (name, value) in [("A=B", "x"), ("", "x"), ("A", "x\0B=y")] {
            let mut spec = spec();
            spec.env.insert(name.to_owned(), value.to_owned());
            assert!(matches!(spec.check(), Err(Error::Invalid { .. })), "{name:?}");
        }
    }

    #[test]
    fn the_document_reads_back_as_it_was_written() {
        let mut spec = spec();
        spec.tmpfs.push(Tmpfs { target: "/run".to_owned(), mode: 0o755, size: Some(1 << 20) });
        let text = serde_json::to_string(&spec).unwrap();
        assert_eq!(serde_json::from_str::<Spec>(&text).unwrap(), spec);
    }
}
