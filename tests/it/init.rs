//! What the start helper of images does to real processes.

#![expect(clippy::unwrap_used, reason = "a failed step of a test ends the test")]

use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// Set for a run of these tests with the helper of the other architecture: the emulator for it. What the helper
/// starts are programs of this machine, which the emulator leaves to the kernel.
const EMULATOR: &str = "RPACK_TEST_EMULATOR";

/// The binary in a folder of its own.
struct Init {
    folder: TempDir,
    emulator: Option<OsString>,
}

fn emulator() -> Option<OsString> {
    std::env::vars_os().find(|(name, _)| name == EMULATOR).map(|(_, path)| path)
}

impl Init {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let bytes = folder.path().join("bytes");
        let emulator = emulator();
        let other = if rpack::pipeline::machine() == "linux/amd64" { "linux/arm64" } else { "linux/amd64" };
        let platform = if emulator.is_some() { other } else { rpack::pipeline::machine() };
        fs::write(&bytes, rpack::init::binary(platform).unwrap()).unwrap();
        // Another process makes the executable: a test that forks while this one has it open for writing would
        // make its start fail with "text file busy".
        let installed = Command::new("install")
            .args(["-m", "755"])
            .arg(&bytes)
            .arg(folder.path().join("rpack-init"))
            .status();
        assert!(installed.unwrap().success());
        Self { folder, emulator }
    }

    /// What starts it, in front of its own arguments.
    fn start(&self) -> Vec<OsString> {
        self.emulator.iter().cloned().chain([self.path().into_os_string()]).collect()
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("rpack-init")
    }

    /// `rpack-init ARGUMENTS` with nothing but PATH in the environment.
    fn command<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Command {
        let start = self.start();
        let mut command = Command::new(&start[0]);
        command
            .args(&start[1..])
            .args(arguments)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// A file of the folder; its absolute path.
    fn file(&self, name: &str, content: &str, mode: u32) -> String {
        let path = self.folder.path().join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path.into_os_string().into_string().unwrap()
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[track_caller]
fn check(output: &Output, code: i32, stdout: &str, stderr: &str) {
    assert_eq!(
        (output.status.code(), text(&output.stdout), text(&output.stderr)),
        (Some(code), stdout, stderr)
    );
}

/// Waits until it is true, for ten seconds at most.
#[track_caller]
fn eventually(mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !condition() {
        assert!(Instant::now() < deadline, "it did not happen");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A running `rpack-init` whose program has printed its first line.
struct Running {
    child: Child,
    output: BufReader<ChildStdout>,
    first_line: String,
}

impl Running {
    fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut first_line = String::new();
        output.read_line(&mut first_line).unwrap();
        Self { child, output, first_line: first_line.trim_end().to_owned() }
    }

    fn send(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// The exit code and what else was printed, after the end of the input.
    #[track_caller]
    fn end(mut self) -> (Option<i32>, String) {
        drop(self.child.stdin.take());
        eventually(|| self.child.try_wait().unwrap().is_some());
        let status = self.child.wait().unwrap();
        assert_eq!(status.signal(), None);
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).unwrap();
        (status.code(), rest)
    }
}

#[test]
fn port_is_filled_in_only_when_unset_or_empty() {
    let init = Init::new();
    let arguments = ["--port", "8080", "--", "sh", "-c", "echo $$PORT; env | grep -c ^PORT=", "--"];
    check(&init.run(&arguments), 0, "8080\n1\n", "");
    check(&init.command(&arguments).env("PORT", "").output().unwrap(), 0, "8080\n1\n", "");
    check(&init.command(&arguments).env("PORT", "9").output().unwrap(), 0, "9\n1\n", "");
    check(&init.run(&["--", "sh", "-c", "echo ${PORT:-none}."]), 0, "none.\n", "");
}

#[test]
fn arguments_are_expanded_and_never_split() {
    let init = Init::new();
    let mut command = init.command(&[
        "--port",
        "80",
        "--",
        "printf",
        "[%s]",
        "$WORDS",
        "--bind=0.0.0.0:$PORT",
        "${NOPE:-a b}",
        "$NOPE",
        "$$5",
        "*",
    ]);
    command.env("WORDS", "two  words $PORT");
    check(&command.output().unwrap(), 0, "[two  words $PORT][--bind=0.0.0.0:80][a b][][$5][*]", "");
}

#[test]
fn bytes_that_are_not_unicode_pass() {
    let init = Init::new();
    let bytes = OsString::from_vec(b"\xff\xfe".to_vec());
    let mut command = init.command(&["--", "printf", "%s:%s", "$X"]);
    let output = command.arg(&bytes).env("X", &bytes).output().unwrap();
    assert_eq!(output.stdout, b"\xff\xfe:\xff\xfe");
}

#[test]
fn the_exit_status_is_the_programs() {
    let init = Init::new();
    for code in [0, 1, 7, 255] {
        check(&init.run(&["--", "sh", "-c", &format!("exit {code}")]), code, "", "");
    }
    check(&init.run(&["--", "sh", "-c", "kill -TERM $$$$"]), 143, "", "");
    check(&init.run(&["--", "sh", "-c", "kill -KILL $$$$"]), 137, "", "");
}

#[test]
fn wrong_usage_is_125_and_says_what_is_wrong() {
    let init = Init::new();
    let usage = "rpack-init: no command; usage: rpack-init [--port N] -- COMMAND [ARGUMENT]...\n";
    check(&init.run(&[]), 125, "", usage);
    check(&init.run(&["--port", "1"]), 125, "", usage);
    check(&init.run(&["--"]), 125, "", "rpack-init: no command after `--`\n");
    let unknown = "rpack-init: unknown option `sh`; the command follows `--`\n";
    check(&init.run(&["sh"]), 125, "", unknown);
    for port in ["0", "65536", "123456", "-1", "8o", "", "99999999999"] {
        let expected = format!("rpack-init: `--port` needs a number from 1 to 65535, found `{port}`\n");
        check(&init.run(&["--port", port, "--", "true"]), 125, "", &expected);
    }
    check(&init.run(&["--port", "65535", "--", "true"]), 0, "", "");
}

#[test]
fn a_program_that_does_not_exist_is_127() {
    let init = Init::new();
    check(&init.run(&["--", "nope-x"]), 127, "", "rpack-init: `nope-x`: not found in PATH=/usr/bin:/bin\n");
    check(&init.run(&["--", "/nope/x"]), 127, "", "rpack-init: `/nope/x`: no such file\n");
    check(
        &init.run(&["--", "$NOPE"]),
        127,
        "",
        "rpack-init: the command is empty after its variables were replaced\n",
    );
}

#[test]
fn a_program_that_cannot_be_started_is_126() {
    let init = Init::new();
    let data = init.file("data", "hello", 0o644);
    let expected = format!("rpack-init: `{data}`: not executable: a folder, or permission denied\n");
    check(&init.run(&["--", &data]), 126, "", &expected);
    let text = init.file("text", "hello", 0o755);
    let expected = format!(
        "rpack-init: `{text}`: not a program: neither for this architecture, nor a script with a `#!` line\n"
    );
    check(&init.run(&["--", &text]), 126, "", &expected);
    let script = init.file("script", "#!/nope/sh\n", 0o755);
    let expected = format!(
        "rpack-init: `{script}`: the interpreter that its first line or its ELF header names is missing\n"
    );
    check(&init.run(&["--", &script]), 126, "", &expected);
}

#[test]
fn the_path_is_searched_in_order_past_what_cannot_be_executed() {
    let init = Init::new();
    let mut path = String::new();
    for (folder, mode) in [("data", 0o644), ("first", 0o755), ("second", 0o755)] {
        fs::create_dir(init.folder.path().join(folder)).unwrap();
        let script = init.file(&format!("{folder}/tool"), &format!("#!/bin/sh\necho {folder} $1\n"), mode);
        write!(path, "{}:", script.strip_suffix("/tool").unwrap()).unwrap();
    }
    path.push_str("/usr/bin:/bin");
    check(&init.command(&["--", "tool", "x"]).env("PATH", &path).output().unwrap(), 0, "first x\n", "");
    let data = init.folder.path().join("data");
    let expected =
        format!("rpack-init: `{}/tool`: not executable: a folder, or permission denied\n", data.display());
    check(&init.command(&["--", "tool"]).env("PATH", &data).output().unwrap(), 126, "", &expected);
}

#[test]
fn the_log_names_the_port_its_origin_and_the_arguments() {
    let init = Init::new();
    let log = |port: Option<&str>, arguments: &[&str]| {
        let mut command = init.command(arguments);
        if let Some(port) = port {
            command.env("PORT", port);
        }
        text(&command.env("RPACK_INIT_LOG", "1").output().unwrap().stderr).to_owned()
    };
    let arguments = "rpack-init: argument `true`\nrpack-init: argument `80`\n";
    assert_eq!(
        log(None, &["--port", "80", "--", "true", "$PORT"]),
        format!("rpack-init: PORT=80 (default of the image: unset or empty)\n{arguments}")
    );
    assert_eq!(
        log(Some("80"), &["--port", "1", "--", "true", "$PORT"]),
        format!("rpack-init: PORT=80 (given by the environment)\n{arguments}")
    );
    assert_eq!(
        log(None, &["--", "true", "80"]),
        format!("rpack-init: PORT is unset or empty, and the image has no default\n{arguments}")
    );
}

#[test]
fn sigterm_ends_a_program_without_a_handler() {
    let init = Init::new();
    let running = Running::start(init.command(&["--", "sh", "-c", "echo ready; exec sleep 60"]));
    running.send(Signal::TERM);
    assert_eq!(running.end(), (Some(143), String::new()));
}

#[test]
fn a_master_ends_its_workers_in_its_own_order() {
    // A worker that gets the signal as well says so.
    let worker = "trap 'echo lost; exit 1' TERM; trap 'echo finished; exit 0' USR1; echo ready; \
        while :; do sleep 0.01; done";
    let script = format!(
        "trap 'echo asked; kill -USR1 $$worker; wait $$worker; exit 9' TERM; sh -c \"{worker}\" & worker=$$!; \
         wait $$worker; exit 8"
    );
    let init = Init::new();
    let running = Running::start(init.command(&["--", "sh", "-c", &script]));
    running.send(Signal::TERM);
    assert_eq!(running.end(), (Some(9), "asked\nfinished\n".to_owned()));
}

#[test]
fn what_a_shell_leaves_behind_is_asked_to_end_and_waited_for() {
    // This shell has no trap: the signal ends it, and nothing is passed on.
    let left = "trap 'sleep 0.3; echo saved; exit 0' TERM; echo ready; while :; do sleep 0.01; done";
    let script = format!("sh -c \"{left}\"; exit 8");
    let init = Init::new();
    let running = Running::start(init.command(&["--", "sh", "-c", &script]));
    running.send(Signal::TERM);
    assert_eq!(running.end(), (Some(143), "saved\n".to_owned()));
}

#[test]
fn signals_are_handled_by_the_program() {
    let init = Init::new();
    let script = "import signal, sys\n\
        names = ['HUP', 'INT', 'QUIT', 'USR1', 'USR2', 'CONT', 'WINCH', 'ALRM', 'TERM']\n\
        signals = [getattr(signal, 'SIG' + name) for name in names]\n\
        assert not signal.pthread_sigmask(signal.SIG_BLOCK, signals), 'inherited a mask'\n\
        print('ready', flush=True)\n\
        while True:\n\
        \x20   taken = signal.sigwait(signals)\n\
        \x20   print(taken.name, flush=True)\n\
        \x20   if taken == signal.SIGTERM: sys.exit(3)\n";
    let mut running = Running::start(init.command(&["--", "python3", "-c", script]));
    assert_eq!(running.first_line, "ready");
    for (signal, name) in [
        (Signal::HUP, "SIGHUP"),
        (Signal::INT, "SIGINT"),
        (Signal::QUIT, "SIGQUIT"),
        (Signal::USR1, "SIGUSR1"),
        (Signal::USR2, "SIGUSR2"),
        (Signal::CONT, "SIGCONT"),
        (Signal::WINCH, "SIGWINCH"),
        (Signal::ALARM, "SIGALRM"),
    ] {
        running.send(signal);
        assert_eq!(running.line(), name);
    }
    running.send(Signal::TERM);
    assert_eq!(running.end(), (Some(3), "SIGTERM\n".to_owned()));
}

#[test]
fn orphans_are_reaped_without_being_pid_1() {
    let init = Init::new();
    // The inner shell ends at once and leaves `sleep` to the nearest reaper, which must not take its end for the
    // program's.
    let script = "sh -c 'sleep 0.3 & echo $$!'; read line; exit 4";
    let mut command = init.command(&["--", "sh", "-c", script]);
    command.stdin(Stdio::piped());
    let running = Running::start(command);
    let parent = || {
        let status = fs::read_to_string(format!("/proc/{}/status", running.first_line)).ok()?;
        status.lines().find_map(|line| line.strip_prefix("PPid:\t").map(str::to_owned))
    };
    eventually(|| parent() == Some(running.child.id().to_string()));
    eventually(|| parent().is_none());
    assert_eq!(running.end(), (Some(4), String::new()));
}

#[test]
fn userns_as_pid_1_it_reaps_forwards_and_reports() {
    let init = Init::new();
    let script = "trap 'echo zombies: $$(grep -l ^State:.Z /proc/[0-9]*/status | wc -l); exit 5' TERM; \
        for i in 1 2 3; do sh -c 'sleep 0.05 & exit'; done; sleep 0.3; echo ready $$PPID; \
        while :; do sleep 0.01; done";
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--pid", "--fork", "--kill-child", "--mount-proc", "--"]);
    command.args(init.start()).args(["--", "sh", "-c", script]);
    let running = Running::start(command);
    assert_eq!(running.first_line, "ready 1");
    let unshare = running.child.id();
    let children = fs::read_to_string(format!("/proc/{unshare}/task/{unshare}/children")).unwrap();
    let pid_1 = Pid::from_raw(children.trim().parse().unwrap()).unwrap();
    kill_process(pid_1, Signal::TERM).unwrap();
    assert_eq!(running.end(), (Some(5), "zombies: 0\n".to_owned()));
}

#[test]
fn an_ignored_sigchld_does_not_lose_the_status() {
    let init = Init::new();
    let script = "import os, signal, sys\n\
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)\n\
        os.execv(sys.argv[1], [*sys.argv[1:], '--', 'sh', '-c', 'exit 6'])\n";
    let status = Command::new("python3").args(["-c", script]).args(init.start()).status().unwrap();
    assert_eq!(status.code(), Some(6));
}

#[test]
fn a_large_environment_and_many_arguments_pass() {
    let init = Init::new();
    let mut command =
        init.command(&["--port", "1", "--", "sh", "-c", "echo $$# $${#A} $$PORT; env | wc -l", "--"]);
    command.args((0..10_000).map(|number| format!("$V{}", number % 1000)));
    command.envs((0..1000).map(|number| (format!("V{number}"), "x".repeat(100))));
    command.env("A", "y".repeat(100_000));
    check(&command.output().unwrap(), 0, "10000 100000 1\n1004\n", "");
}

#[test]
fn an_expansion_beyond_the_kernels_limit_is_an_error_with_a_reason() {
    let init = Init::new();
    let mut command = init.command(&["--", "/bin/echo", &"$A".repeat(1000)]);
    command.env("A", "y".repeat(1000));
    let expected = "rpack-init: `/bin/echo`: arguments and environment are too long together\n";
    check(&command.output().unwrap(), 126, "", expected);
}

/// Every test of this file once more with the other architecture's helper, but for those that need it to be made a
/// reaper of orphans: the emulator keeps that request from the kernel.
#[test]
#[ignore = "needs qemu-aarch64-static on PATH: run by .ci/run"]
fn tool_the_helper_of_the_other_architecture_does_the_same() {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["init::", "--skip", "the_helpers_are_those", "--skip", "without_being_pid_1"])
        .args(["--skip", "what_a_shell_leaves_behind"])
        .args(["--test-threads", "2"])
        .env(EMULATOR, crate::support::emulator())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

/// The command of init/README.md gives the bytes that are embedded.
#[test]
#[ignore = "needs the network and a quarter of an hour: run by hand when init/ changes"]
fn network_the_helpers_are_those_that_their_sources_give() {
    let context = crate::support::TestContext::with_shared_store();
    let init = crate::support::repository().join("init");
    for path in ["Procfile", "rpack.toml", "build"] {
        fs::copy(init.join(path), context.app().join(path)).unwrap();
    }
    crate::support::copy(&init.join("src"), &context.app().join("src"));
    let output = format!("oci:{}:1", context.root().join("layout").display());
    context.rpack(&["build", "-o", &output]).success();
    let image = crate::support::image::Layout::open(&context.root().join("layout"));
    let rootfs = image.unpack(&context.root().join("rootfs"));
    for (platform, architecture) in [("linux/amd64", "amd64"), ("linux/arm64", "arm64")] {
        let made = |name: &str| fs::read(rootfs.join(format!("app/bin/{name}-{architecture}"))).unwrap();
        assert_eq!(made("rpack-init"), rpack::init::binary(platform).unwrap(), "{platform}");
        assert_eq!(made("rpack-site"), rpack::site::binary(platform).unwrap(), "{platform}");
    }
}
