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
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rpack::build::sandbox::{
    Bind, Error, Isolation, Outcome, Output, Overlay, Running, Sandbox, Signal, Spec, Tier, Tmpfs,
    resolve_in_root, tier,
};

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
        .args(["--exact", &format!("sandbox::{name}")])
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

#[test]
fn userns_exit_codes() {
    everyone("userns_exit_codes", || {
        let fixture = Fixture::new();
        assert_eq!(run(&fixture.shell("exit 7")).code, 7);
        let killed = run(&fixture.shell("kill -9 $$"));
        assert_eq!((killed.code, killed.signal), (137, Some(9)));
        let missing = sandbox().spawn(&fixture.command(&["no-such-command"])).unwrap_err();
        assert_eq!(missing.status(), 127);
        assert_eq!(missing.to_string(), "`no-such-command` was not found in the sandbox");
        let mut plain = fixture.command(&["/srv/gone"]);
        let refused = sandbox().spawn(&plain).unwrap_err();
        assert_eq!(refused.status(), 126);
        assert!(
            refused.to_string().starts_with("`/srv/gone` cannot be executed in the sandbox"),
            "{refused}"
        );
        fs::write(fixture.path("root/srv/script"), "#!/no/such/interpreter\n").unwrap();
        fs::set_permissions(fixture.path("root/srv/script"), fs::Permissions::from_mode(0o755)).unwrap();
        plain.argv = vec!["/srv/script".to_owned()];
        assert_eq!(
            sandbox().spawn(&plain).unwrap_err().to_string(),
            "`/srv/script` was not found in the sandbox (its interpreter or loader does not exist)"
        );
    });
}

#[test]
fn userns_failed_setup_names_the_step_and_not_on_stderr() {
    everyone("userns_failed_setup_names_the_step_and_not_on_stderr", || {
        let fixture = Fixture::new();
        let mut spec = fixture.shell("true");
        spec.directory = "/nowhere".to_owned();
        let error = sandbox().spawn(&spec).unwrap_err();
        assert_eq!(error.status(), 125);
        let text = error.to_string();
        assert!(text.starts_with("the sandbox cannot change to `/nowhere`: No such file"), "{text}");
        spec.binds.push(Bind { source: "/no/source".into(), target: "/x".to_owned(), read_only: true });
        let text = sandbox().spawn(&spec).unwrap_err().to_string();
        assert!(text.starts_with("the sandbox cannot read `/no/source` to mount it: No such"), "{text}");
    });
}

#[test]
fn userns_environment_and_descriptors_are_exact() {
    everyone("userns_environment_and_descriptors_are_exact", || {
        let fixture = Fixture::new();
        let mut spec = fixture.command(&["env"]);
        spec.env.insert("GREETING".to_owned(), "two words\nand a line".to_owned());
        assert_eq!(printed(&spec), "GREETING=two words\nand a line\nPATH=/usr/bin:/usr/sbin\n");
        let inherited = fs::File::open("/dev/null").unwrap();
        rustix::io::fcntl_setfd(&inherited, rustix::io::FdFlags::empty()).unwrap();
        let listing = printed(&fixture.command(&["ls", "/proc/self/fd"]));
        assert_eq!(listing, "0\n1\n2\n3\n", "3 is the listed folder itself");
        assert_eq!(
            printed(&fixture.shell("id -u; hostname; umask; pwd; cat; ls -m /")),
            "0
sandbox
0022
/
bin, dev, etc, lib, lib64, proc, sbin, srv, tmp, usr
"
        );
    });
}

#[test]
fn userns_root_without_upper_is_read_only() {
    everyone("userns_root_without_upper_is_read_only", || {
        let fixture = Fixture::new();
        let result = run(&fixture.shell("touch /srv/new /usr/new /new; echo x > /tmp/ok && cat /tmp/ok"));
        assert_eq!(result.stdout, "x\n");
        assert_eq!(result.stderr.matches("Read-only file system").count(), 3, "{}", result.stderr);
        assert!(!fixture.path("root/srv/new").exists());
    });
}

#[test]
fn userns_upper_collects_what_was_written() {
    everyone("userns_upper_collects_what_was_written", || {
        for overlay in [Overlay::Auto, Overlay::Classic] {
            let fixture = Fixture::new();
            let script = "echo new > /srv/data/new; rm /srv/gone; rm -r /srv/data; mkdir /srv/data; \
                          echo fresh > /srv/data/fresh; mkdir -m 700 /made; stat -c %a /";
            let spec = Spec { overlay, ..fixture.writable(script) };
            assert_eq!(printed(&spec), "755\n");
            assert_eq!(fixture.result(), ["made", "srv", "srv/data", "srv/data/fresh", "srv/gone"]);
            let gone = fs::symlink_metadata(fixture.path("upper/srv/gone")).unwrap();
            assert!(gone.file_type().is_char_device());
            let name = if is_root() { "trusted.overlay.opaque" } else { "user.overlay.opaque" };
            let mut value = [0; 1];
            rustix::fs::lgetxattr(fixture.path("upper/srv/data"), name, &mut value).unwrap();
            assert_eq!(value, *b"y");
            assert_eq!(fs::read_to_string(fixture.path("root/srv/data/old")).unwrap(), "old");
            fs::remove_dir_all(fixture.path("work")).unwrap();
        }
    });
}

#[test]
fn userns_many_lowers_are_stacked_topmost_first() {
    everyone("userns_many_lowers_are_stacked_topmost_first", || {
        let fixture = Fixture::new();
        let mut spec = fixture.shell("cat /who; ls / | grep -c only");
        for index in 0..120 {
            let lower = fixture.path(&format!("lower{index}"));
            fs::create_dir(&lower).unwrap();
            fs::write(lower.join("who"), format!("{index}\n")).unwrap();
            fs::write(lower.join(format!("only{index}")), "").unwrap();
            spec.lowers.insert(index, lower);
        }
        assert_eq!(printed(&spec), "0\n120\n");
    });
}

#[test]
fn userns_the_host_is_not_visible() {
    everyone("userns_the_host_is_not_visible", || {
        let fixture = Fixture::new();
        let secret = fixture.path("outside/secret");
        fs::write(&secret, "secret").unwrap();
        let script = format!("ls /root /home {} 2>&1; ls /proc/1/root/etc /tmp", secret.display());
        let result = run(&fixture.shell(&script));
        assert_eq!(result.stdout.matches("No such file or directory").count(), 3, "{}", result.stdout);
        assert!(
            printed(&fixture.shell("cat /proc/mounts")).lines().all(|line| !line.contains("/dev/vda / "))
        );
        let numbers = printed(&fixture.shell("ls -d /proc/[0-9]* | wc -l"));
        assert!(numbers.trim().parse::<u32>().unwrap() < 8, "{numbers}");
    });
}

#[test]
fn userns_dangerous_system_calls_are_refused() {
    everyone("userns_dangerous_system_calls_are_refused", || {
        let fixture = Fixture::new();
        let result = run(&fixture.writable(
            "mkdir -p /m; mount -t tmpfs none /m; unshare -m true; unshare -Ur true; chroot / mount --bind /srv /m; \
             cat /proc/kcore | wc -c; echo 1 > /proc/sys/kernel/printk; grep -E '^(NoNewPrivs|Seccomp):' /proc/self/status",
        ));
        assert_eq!(result.stdout, "0\nNoNewPrivs:\t1\nSeccomp:\t2\n");
        assert!(
            result.stderr.matches("unshare failed: Operation not permitted").count() == 2,
            "{}",
            result.stderr
        );
        assert_eq!(result.stderr.matches("mount: ").count(), 2, "{}", result.stderr);
        assert!(
            result.stderr.contains("/proc/sys/kernel/printk: Read-only file system"),
            "{}",
            result.stderr
        );
    });
}

#[test]
fn userns_clone3_and_x32_calls_are_missing() {
    everyone("userns_clone3_and_x32_calls_are_missing", || {
        let fixture = Fixture::new();
        let Some(perl) = perl() else {
            return eprintln!("not run: no `/usr/bin/perl`");
        };
        let script = "$n = $ARGV[0]; $r = syscall($n + 0, 0, 0); print $! + 0, \"\\n\"";
        // clone3 is 435 and x32's getpid 0x40000027 on the architectures that have them.
        let mut numbers = vec![("435", 38)];
        if cfg!(target_arch = "x86_64") {
            numbers.push(("1073741863", 38));
        }
        for (number, errno) in numbers {
            assert_eq!(printed(&fixture.command(&[&perl, "-e", script, number])), format!("{errno}\n"));
        }
    });
}

fn perl() -> Option<String> {
    Path::new("/usr/bin/perl").exists().then(|| "/usr/bin/perl".to_owned())
}

#[test]
fn userns_network_only_with_permission() {
    everyone("userns_network_only_with_permission", || {
        let fixture = Fixture::new();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let script = format!("exec 3<>/dev/tcp/127.0.0.1/{port} && echo connected");
        let mut spec = fixture.command(&["bash", "-c", &script]);
        let refused = run(&spec);
        assert_eq!((refused.code, refused.stdout.as_str()), (1, ""));
        assert!(refused.stderr.contains("Connection refused"), "`lo` is up: {}", refused.stderr);
        spec.network = true;
        assert_eq!(printed(&spec), "connected\n");
        spec.network = false;
        spec.argv[2] = "cat /proc/net/dev | grep -c :".to_owned();
        assert_eq!(printed(&spec), "1\n");
    });
}

#[test]
fn userns_connections_reach_the_own_loopback() {
    everyone("userns_connections_reach_the_own_loopback", || {
        let fixture = Fixture::new();
        let Some(perl) = perl() else { return eprintln!("not run: no `/usr/bin/perl`") };
        let server = "use IO::Socket::INET; $| = 1; \
            $l = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => 8080, Listen => 5) or die; \
            while ($c = $l->accept) { print $c \"hello\\n\"; close $c }";
        let mut running = sandbox().spawn(&fixture.command(&[&perl, "-e", server])).unwrap();
        let handle = running.handle();
        let refused = handle.connect(9).unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
        let end = Instant::now() + Duration::from_secs(20);
        let mut stream = loop {
            match handle.connect(8080) {
                Ok(stream) => break stream,
                Err(error) => assert!(Instant::now() < end, "{error}"),
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        assert_eq!(text, "hello\n");
        assert_eq!(running.wait_for(Duration::from_millis(1)).unwrap(), None);
        running.kill();
        assert!(handle.connect(8080).is_err());
    });
}

#[test]
fn userns_owners_can_be_set_with_a_single_id() {
    everyone("userns_owners_can_be_set_with_a_single_id", || {
        let fixture = Fixture::new();
        let script = "cd /srv && echo x > f && chown 33:33 f && chgrp 8 f && tar --numeric-owner --owner=33 --group=33 \
                      -cf a.tar f && mkdir out && tar -C out --same-owner -xpf a.tar && cat out/f && id -u";
        assert_eq!(printed(&fixture.writable(script)), "x\n0\n");
        let again = sandbox().spawn(&fixture.writable("true")).unwrap_err().to_string();
        assert!(again.contains("is not empty: it serves one run"), "{again}");
    });
}

#[test]
fn userns_links_in_the_root_do_not_lead_to_the_host() {
    everyone("userns_links_in_the_root_do_not_lead_to_the_host", || {
        let fixture = Fixture::new();
        let outside = fixture.path("outside");
        fs::remove_dir(fixture.path("root/etc")).unwrap();
        symlink(&outside, fixture.path("root/etc")).unwrap();
        fs::write(fixture.path("conf"), "nameserver inside\n").unwrap();
        let mut spec = fixture.shell("cat /etc/resolv.conf");
        let target = "/etc/resolv.conf".to_owned();
        spec.binds.push(Bind { source: fixture.path("conf"), target, read_only: true });
        spec.tmpfs.push(Tmpfs { target: "/etc/deep/er".to_owned(), mode: 0o755, size: Some(1 << 20) });
        assert_eq!(printed(&spec), "nameserver inside\n");
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 0, "nothing was made on the host");
        let root = fs::File::open(fixture.path("root")).unwrap();
        let real = resolve_in_root(root, Path::new("/etc/x")).unwrap();
        assert_eq!(Path::new("/").join(real), outside.join("x"));
    });
}

#[test]
fn userns_mount_points_leave_no_trace_in_the_result() {
    everyone("userns_mount_points_leave_no_trace_in_the_result", || {
        let fixture = Fixture::new();
        symlink("../run/stub.conf", fixture.path("root/etc/resolv.conf")).unwrap();
        fs::write(fixture.path("conf"), "nameserver inside\n").unwrap();
        let mut spec = fixture
            .writable("cat /etc/resolv.conf; test -L /etc/resolv.conf || echo file; echo x > /etc/mine");
        for target in ["/etc/resolv.conf", "/etc/ssl/certs/ca.pem", "/var/cache/one/file"] {
            spec.binds.push(Bind {
                source: fixture.path("conf"),
                target: target.to_owned(),
                read_only: true,
            });
        }
        assert_eq!(printed(&spec), "nameserver inside\nfile\n");
        assert_eq!(fixture.result(), ["etc", "etc/mine"]);
    });
}

#[test]
fn userns_hostile_targets_are_refused() {
    everyone("userns_hostile_targets_are_refused", || {
        let fixture = Fixture::new();
        for target in ["../etc", "/srv/../../etc", "/", "", "/a\0b"] {
            let mut spec = fixture.shell("true");
            spec.binds.push(Bind { source: "/usr".into(), target: target.to_owned(), read_only: true });
            assert!(matches!(sandbox().spawn(&spec), Err(Error::Invalid { .. })), "{target:?}");
        }
        symlink("loop", fixture.path("root/loop")).unwrap();
        for target in ["/loop/x", "/srv/gone/x"] {
            let mut spec = fixture.shell("true");
            spec.binds.push(Bind { source: "/usr".into(), target: target.to_owned(), read_only: true });
            let error = sandbox().spawn(&spec).unwrap_err().to_string();
            assert!(error.starts_with(&format!("the sandbox cannot mount on `{target}`")), "{error}");
        }
    });
}

#[test]
fn userns_background_processes_die_with_the_step() {
    everyone("userns_background_processes_die_with_the_step", || {
        for isolation in [Isolation::Auto, Isolation::HostPids] {
            let fixture = Fixture::new();
            let mark = format!("30{:07}.5", fixture_number(&fixture));
            let script = format!(
                "setsid sleep {mark} >/dev/null 2>&1 & (setsid sh -c 'sleep {mark}; true' &) ; exit 3"
            );
            let spec = Spec { isolation, ..fixture.shell(&script) };
            let mut running = sandbox().spawn(&spec).unwrap();
            assert_eq!(running.wait().unwrap().code, 3);
            assert_eq!(processes_with(&mark), Vec::<String>::new());
        }
    });
}

/// A number that differs between fixtures that exist at the same time.
fn fixture_number(fixture: &Fixture) -> u32 {
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};
    let mut hasher = DefaultHasher::new();
    (fixture.folder.path(), std::process::id()).hash(&mut hasher);
    u32::try_from(hasher.finish() % 9_000_000).unwrap()
}

/// Command lines of this machine's processes that hold `mark`.
fn processes_with(mark: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if line.contains(mark) {
            found.push(line);
        }
    }
    found
}

#[test]
fn userns_host_pids_see_the_host_and_say_so() {
    everyone("userns_host_pids_see_the_host_and_say_so", || {
        let fixture = Fixture::new();
        let spec =
            Spec { isolation: Isolation::HostPids, ..fixture.writable("test $$ -gt 50; echo x > /srv/f") };
        let mut running = sandbox().spawn(&spec).unwrap();
        assert_eq!(running.tier, Tier::B);
        assert!(running.tier.announcement().is_some());
        assert_eq!(running.wait().unwrap(), Outcome { code: 0, signal: None });
        assert_eq!(fixture.result(), ["srv", "srv/f"]);
        let mut own = sandbox().spawn(&fixture.shell("true")).unwrap();
        assert_eq!((own.tier, own.wait().unwrap().code), (Tier::A, 0));
    });
}

#[test]
fn userns_signals_are_passed_on() {
    everyone("userns_signals_are_passed_on", || {
        let fixture = Fixture::new();
        let handler = "trap 'echo got it; exit 9' TERM; echo ready; while :; do sleep 0.05; done";
        for pid_one in [false, true] {
            let mut running = sandbox().spawn(&Spec { pid_one, ..fixture.shell(handler) }).unwrap();
            let mut stdout = running.stdout.take().unwrap();
            let mut ready = [0; 6];
            stdout.read_exact(&mut ready).unwrap();
            running.signal(Signal::TERM).unwrap();
            let mut rest = String::new();
            stdout.read_to_string(&mut rest).unwrap();
            assert_eq!((rest.as_str(), running.wait().unwrap().code), ("got it\n", 9));
        }
        let mut running = sandbox().spawn(&fixture.command(&["sleep", "100"])).unwrap();
        running.signal(Signal::TERM).unwrap();
        assert_eq!(running.wait().unwrap(), Outcome { code: 143, signal: Some(15) });
        let mut deaf =
            sandbox().spawn(&Spec { pid_one: true, ..fixture.command(&["sleep", "100"]) }).unwrap();
        deaf.signal(Signal::TERM).unwrap();
        assert_eq!(deaf.wait_for(Duration::from_millis(200)).unwrap(), None, "process 1 ignores it");
        deaf.kill();
        assert_eq!(deaf.wait().unwrap(), Outcome { code: 137, signal: Some(9) });
    });
}

#[test]
fn userns_an_image_boots_as_its_user_and_process_one() {
    everyone("userns_an_image_boots_as_its_user_and_process_one", || {
        let fixture = Fixture::new();
        let script = "echo $$; id -u; id -g; grep -E '^Cap(Prm|Eff|Bnd|Amb)' /proc/self/status; touch /x";
        let spec = Spec { pid_one: true, uid: 65532, gid: 65532, ..fixture.shell(script) };
        let result = run(&spec);
        let none = "0000000000000000";
        let expected =
            format!("1\n65532\n65532\nCapPrm:\t{none}\nCapEff:\t{none}\nCapBnd:\t{none}\nCapAmb:\t{none}\n");
        assert_eq!((result.code, result.stdout), (1, expected));
        assert!(result.stderr.contains("Read-only file system"), "{}", result.stderr);
    });
}

#[test]
fn root_image_users_cannot_read_what_is_roots() {
    if !is_root() {
        return eprintln!("not run: needs root");
    }
    let fixture = Fixture::new();
    fs::set_permissions(fixture.path("root/srv/gone"), fs::Permissions::from_mode(0o600)).unwrap();
    let spec =
        Spec { pid_one: true, uid: 65532, gid: 65532, ..fixture.shell("cat /srv/gone; cat /srv/data/old") };
    let result = run(&spec);
    assert_eq!((result.stdout.as_str(), result.code), ("old", 0));
    assert!(result.stderr.contains("Permission denied"));
}

#[test]
fn userns_killing_the_caller_leaves_nothing() {
    everyone("userns_killing_the_caller_leaves_nothing", || {
        for (isolation, pid_one) in [
            (Isolation::Auto, false),
            (Isolation::Auto, true),
            (Isolation::HostPids, false),
            (Isolation::HostPids, true),
        ] {
            for signal in ["KILL", "INT"] {
                killing_the_caller(isolation, pid_one, signal);
            }
        }
    });
}

fn killing_the_caller(isolation: Isolation, pid_one: bool, signal: &str) {
    let fixture = Fixture::new();
    let mark = format!("31{:07}.5", fixture_number(&fixture));
    let script = format!("setsid sleep {mark} & echo ready; sleep {mark}; true");
    let spec = Spec { isolation, pid_one, output: Output::Inherit, ..fixture.writable(&script) };
    let document = fixture.path("spec.json");
    fs::write(&document, serde_json::to_string(&spec).unwrap()).unwrap();
    // Shells start background jobs with SIGINT ignored, which the tests may be.
    let mut caller = Command::new("env")
        .arg("--default-signal=INT")
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "--ignored", "--nocapture", "sandbox::helper_runs_a_document"])
        .env("SANDBOX_DOCUMENT", &document)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut seen = String::new();
    let mut stdout = caller.stdout.take().unwrap();
    while !seen.contains("ready") {
        let mut byte = [0; 1];
        assert_eq!(stdout.read(&mut byte).unwrap(), 1, "the caller ended: {seen}");
        seen.push(char::from(byte[0]));
    }
    // A process that is being executed has no arguments for a moment.
    let end = Instant::now() + Duration::from_secs(10);
    while processes_with(&mark).len() < 2 {
        assert!(Instant::now() < end, "the processes to be ended are not there");
        std::thread::sleep(Duration::from_millis(5));
    }
    let status = Command::new("kill").args([format!("-{signal}"), caller.id().to_string()]).status().unwrap();
    assert!(status.success());
    caller.wait().unwrap();
    let end = Instant::now() + Duration::from_secs(10);
    while !processes_with(&mark).is_empty() {
        assert!(Instant::now() < end, "{isolation:?} {pid_one} {signal}: {:?}", processes_with(&mark));
        std::thread::sleep(Duration::from_millis(5));
    }
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(fixture.folder.path().to_str().unwrap()), "{mounts}");
}

#[test]
#[ignore = "the caller in `userns_killing_the_caller_leaves_nothing`"]
fn helper_runs_a_document() {
    let document = std::env::vars().find(|(name, _)| name == "SANDBOX_DOCUMENT");
    let Some((_, path)) = document else { return };
    let spec: Spec = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let mut running = sandbox().spawn(&spec).unwrap();
    running.wait().unwrap();
}

#[test]
fn userns_standard_input_is_null_unless_inherited() {
    everyone("userns_standard_input_is_null_unless_inherited", || {
        let fixture = Fixture::new();
        assert_eq!(printed(&fixture.shell("cat; readlink /proc/self/fd/0")), "/dev/null\n");
        let document = fixture.path("spec.json");
        let spec = Spec {
            stdin: rpack::build::sandbox::Stdin::Inherit,
            output: Output::Inherit,
            ..fixture.command(&["cat"])
        };
        fs::write(&document, serde_json::to_string(&spec).unwrap()).unwrap();
        let mut caller = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--ignored", "--nocapture", "sandbox::helper_runs_a_document"])
            .env("SANDBOX_DOCUMENT", &document)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        caller.stdin.take().unwrap().write_all(b"typed by the caller\n").unwrap();
        let output = caller.wait_with_output().unwrap();
        assert!(String::from_utf8_lossy(&output.stdout).contains("typed by the caller"));
    });
}

#[test]
fn userns_probes_give_a_table_and_leave_nothing() {
    everyone("userns_probes_give_a_table_and_leave_nothing", || {
        let fixture = Fixture::new();
        let probes = sandbox().probe(&fixture.path("outside")).unwrap();
        assert_eq!(probes.len(), 10);
        assert_eq!(tier(&probes), Tier::A, "{probes:#?}");
        let failed: Vec<_> = probes.iter().filter(|probe| !probe.passed).collect();
        assert!(failed.iter().all(|probe| !probe.detail.is_empty() && probe.remedy.is_none()), "{failed:#?}");
        assert_eq!(fs::read_dir(fixture.path("outside")).unwrap().count(), 0);
    });
}

#[test]
fn userns_upper_on_an_overlay_has_its_remedy() {
    use rpack::ui::Diagnose as _;
    everyone("userns_upper_on_an_overlay_has_its_remedy", || {
        // A sandbox's own root is an overlay, so a second one inside it meets the case; mounting there is denied
        // to it, so it is met by asking for the error of a folder on the overlay of another sandbox.
        let fixture = Fixture::new();
        let mut outer = sandbox().spawn(&fixture.writable("mkdir /u /w; echo; sleep 100")).unwrap();
        let mut line = [0; 1];
        outer.stdout.as_mut().unwrap().read_exact(&mut line).unwrap();
        let inside = PathBuf::from(format!("/proc/{}/root", outer.pid));
        let mut spec = fixture.shell("true");
        spec.upper = Some(inside.join("u"));
        spec.work = Some(inside.join("w"));
        match sandbox().spawn(&spec) {
            Err(error @ Error::Upper { .. }) => assert!(error.hints()[0].contains("-v rpack:")),
            Err(Error::Setup { source, .. }) => {
                assert_eq!(source.kind(), std::io::ErrorKind::PermissionDenied, "not its own process");
            }
            other => panic!("{other:?}"),
        }
    });
}
