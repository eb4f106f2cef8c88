//! What the tests share: a private folder and store, the command, its complete output.

#[expect(dead_code, reason = "the library's own tests use the rest of it")]
pub(crate) mod debian_repository;
pub(crate) mod elf;
pub(crate) mod foreign;
pub(crate) mod http_head;
#[expect(dead_code, reason = "the library's own tests use the rest of it")]
pub(crate) mod http_server;
pub(crate) mod image;
pub(crate) mod proxy;
pub(crate) mod registry;
pub(crate) mod server;
pub(crate) mod token_server;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::{fs, io::Write as _};

/// The binary under test.
pub(crate) const RPACK: &str = env!("CARGO_BIN_EXE_rpack");

/// A folder of its own, removed at the end, with an app in `app/` and a store in `store/`.
pub(crate) struct TestContext {
    root: tempfile::TempDir,
    store: PathBuf,
}

/// What a command printed and how it ended.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl TestContext {
    /// An empty app and an empty store, outside any git work tree: a commit would be recorded in the image.
    pub(crate) fn new() -> Self {
        let root = tempfile::TempDir::new().unwrap();
        fs::create_dir(root.path().join("app")).unwrap();
        let store = root.path().join("store");
        Self { root, store }
    }

    /// An empty app and the store that tests with real downloads share, so that each download is made once.
    pub(crate) fn with_shared_store() -> Self {
        let mut context = Self::new();
        context.store = shared_store();
        context
    }

    /// The same with a copy of the example or fixture `name` as the app.
    pub(crate) fn of_example(name: &str) -> Self {
        let context = Self::with_shared_store();
        copy(&app_folder(name), &context.app());
        context
    }

    pub(crate) fn root(&self) -> &Path {
        self.root.path()
    }

    pub(crate) fn app(&self) -> PathBuf {
        self.root.path().join("app")
    }

    pub(crate) fn store(&self) -> &Path {
        &self.store
    }

    /// Writes a file of the app.
    pub(crate) fn file(&self, path: &str, text: &str) -> &Self {
        let path = self.app().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    /// The command with the given arguments, in the app's folder.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(RPACK);
        command.args(arguments).current_dir(self.app()).stdin(Stdio::null());
        for name in ["CI", "SOURCE_DATE_EPOCH", "NO_COLOR"] {
            command.env_remove(name);
        }
        command.env("RPACK_STORE", &self.store);
        command
    }

    /// Runs it to its end.
    pub(crate) fn rpack(&self, arguments: &[&str]) -> Finished {
        self.finish(self.command(arguments).output().unwrap())
    }

    /// Runs it with text on stdin.
    pub(crate) fn rpack_with_input(&self, arguments: &[&str], input: &str) -> Finished {
        let mut command = self.command(arguments);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        self.finish(child.wait_with_output().unwrap())
    }

    /// The output with this test's own folder shown as `[ROOT]`.
    pub(crate) fn finish(&self, output: Output) -> Finished {
        let text = |bytes: Vec<u8>| {
            String::from_utf8(bytes).unwrap().replace(self.root.path().to_str().unwrap(), "[ROOT]")
        };
        Finished {
            status: output.status.code().unwrap_or(-1),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }
}

impl Finished {
    /// stdout of a command that must have worked.
    #[track_caller]
    pub(crate) fn success(self) -> String {
        assert_eq!(self.status, 0, "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self.stdout
    }
}

/// The folder of the repository.
pub(crate) fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The folder of an app: `examples/NAME`, else `tests/fixtures/apps/NAME`.
pub(crate) fn app_folder(name: &str) -> PathBuf {
    let example = repository().join("examples").join(name);
    if example.is_dir() { example } else { repository().join("tests/fixtures/apps").join(name) }
}

/// The program that runs programs for 64-bit ARM.
#[track_caller]
pub(crate) fn emulator() -> PathBuf {
    let path = std::env::vars_os().find(|(name, _)| name == "PATH").unwrap().1;
    let candidates = std::env::split_paths(&path)
        .flat_map(|folder| ["qemu-aarch64-static", "qemu-aarch64"].map(|name| folder.join(name)));
    candidates.into_iter().find(|path| path.is_file()).expect("qemu-aarch64-static on PATH")
}

/// The store that network tests share.
pub(crate) fn shared_store() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("shared-store")
}

/// Copies a folder; what an earlier local run of the app left there does not come along.
pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (name, target) = (entry.file_name(), to.join(entry.file_name()));
        if ["node_modules", "dist", ".venv"].contains(&name.to_str().unwrap()) {
            continue;
        }
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
