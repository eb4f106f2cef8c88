//! The sandbox, driven through the `rpack` binary that it re-executes.
//!
//! Tests named `userns_…` run as whoever runs them, and once more as an ordinary user without subordinate ids when
//! that is root. Those named `root_…` need root and say so when they are not run by it.

#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "a failure here is a failed test")]

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rpack::build::sandbox::{
    Bind, Error, Isolation, Outcome, Output, Overlay, Running, Sandbox, Signal, Spec, Tier, Tmpfs,
    resolve_in_root, tier,
};

mod process;
mod view;

const BINARY: &str = env!("CARGO_BIN_EXE_rpack");

fn sandbox() -> Sandbox {
    Sandbox::with_executable(BINARY)
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Runs `body` now, and when that is root, the test of this name once more as an ordinary user.
fn everyone(name: &str, body: impl FnOnce()) {
    body();
    if !is_root() {
        return;
    }
    let output = Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(std::env::current_exe().unwrap())
        .arg(name)
        .env("HOME", "/nonexistent")
        .output();
    match output {
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success(), "as an ordinary user:\n{text}");
            assert!(text.contains("1 passed"), "the test was not found by its name:\n{text}");
        }
        Err(error) => eprintln!("not run as an ordinary user: `setpriv`: {error}"),
    }
}

/// A small root that borrows the host's `/usr`, and folders for results.
struct Fixture {
    folder: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        for name in ["usr", "etc", "srv/data", "srv/other"] {
            fs::create_dir_all(root.join(name)).unwrap();
        }
        for name in ["bin", "sbin", "lib", "lib64"] {
            symlink(format!("usr/{name}"), root.join(name)).unwrap();
        }
        fs::write(root.join("srv/data/old"), "old").unwrap();
        fs::write(root.join("srv/gone"), "gone").unwrap();
        for name in ["upper", "work", "outside"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, argv: &[&str]) -> Spec {
        let mut spec = Spec::new(vec![self.path("root")], argv.iter().map(|&arg| arg.to_owned()).collect());
        spec.binds.push(Bind { source: "/usr".into(), target: "/usr".to_owned(), read_only: true });
        spec.env.insert("PATH".to_owned(), "/usr/bin:/usr/sbin".to_owned());
        spec
    }

    fn shell(&self, script: &str) -> Spec {
        self.command(&["/bin/sh", "-c", script])
    }

    fn writable(&self, script: &str) -> Spec {
        Spec { upper: Some(self.path("upper")), work: Some(self.path("work")), ..self.shell(script) }
    }

    /// Paths in upper, sorted.
    fn result(&self) -> Vec<String> {
        let upper = self.path("upper");
        let entries = walkdir::WalkDir::new(&upper).min_depth(1).sort_by_file_name();
        let relative =
            |entry: walkdir::DirEntry| entry.path().strip_prefix(&upper).unwrap().display().to_string();
        entries.into_iter().map(|entry| relative(entry.unwrap())).collect()
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Result {
    code: i32,
    signal: Option<i32>,
    stdout: String,
    stderr: String,
}

fn run(spec: &Spec) -> Result {
    finish(sandbox().spawn(spec).unwrap())
}

fn finish(mut running: Running) -> Result {
    let mut stderr = running.stderr.take().unwrap();
    let errors = std::thread::spawn(move || {
        let mut text = String::new();
        stderr.read_to_string(&mut text).unwrap();
        text
    });
    let mut stdout = String::new();
    running.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
    let Outcome { code, signal } = running.wait().unwrap();
    Result { code, signal, stdout, stderr: errors.join().unwrap() }
}

/// Runs a script that must succeed in silence on stderr; what it printed.
fn printed(spec: &Spec) -> String {
    let result = run(spec);
    assert_eq!((result.code, result.stderr.as_str()), (0, ""), "stdout: {}", result.stdout);
    result.stdout
}
