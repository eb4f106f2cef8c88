//! How a command in the sandbox starts, ends, and is reached.

use super::*;

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

/// Ends with the test, so that a failure leaves nothing behind that holds its output open.
struct Caller(Child);

impl Drop for Caller {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn killing_the_caller(isolation: Isolation, pid_one: bool, signal: &str) {
    let fixture = Fixture::new();
    let mark = format!("31{:07}.5", fixture_number(&fixture));
    let script = format!("setsid sleep {mark} & echo ready; sleep {mark}; true");
    let spec = Spec { isolation, pid_one, output: Output::Inherit, ..fixture.writable(&script) };
    let document = fixture.path("spec.json");
    fs::write(&document, serde_json::to_string(&spec).unwrap()).unwrap();
    // Shells start background jobs with SIGINT ignored, which the tests may be.
    let caller = Command::new("env")
        .arg("--default-signal=INT")
        .arg(std::env::current_exe().unwrap())
        .args(["--ignored", "--nocapture", "helper_runs_a_document"])
        .env("SANDBOX_DOCUMENT", &document)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut caller = Caller(caller);
    let mut seen = String::new();
    let mut stdout = caller.0.stdout.take().unwrap();
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
    let status =
        Command::new("kill").args([format!("-{signal}"), caller.0.id().to_string()]).status().unwrap();
    assert!(status.success());
    caller.0.wait().unwrap();
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
            .args(["--ignored", "--nocapture", "helper_runs_a_document"])
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

/// Runs [`helper_reports_what_is_possible`] without privileges in a user and mount namespace in which `prepare`
/// was run first, so that it meets what a container's user meets.
fn possible_after(prepare: &str) -> String {
    let script = format!(
        "{prepare} && exec setpriv --bounding-set -all,+setfcap --inh-caps -all \"$0\" --ignored --nocapture \
         helper_reports_what_is_possible"
    );
    let mut command = Command::new("unshare");
    let output =
        command.args(["-Urm", "sh", "-c", &script]).arg(std::env::current_exe().unwrap()).output().unwrap();
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
#[ignore = "runs where `possible_after` puts it"]
fn helper_reports_what_is_possible() {
    use rpack::ui::Diagnose as _;
    let fixture = Fixture::new();
    let table = sandbox().probe(&fixture.path("outside")).unwrap();
    eprintln!("by the table: {:?}", tier(&table));
    match sandbox().spawn(&fixture.writable("echo x > /srv/f")) {
        Ok(mut running) => {
            let outcome = running.wait().unwrap();
            eprintln!("ran in {:?}: {outcome:?}", running.tier);
        }
        Err(error) => eprintln!("{}: {error}: {:?}", error.id(), error.hints()),
    }
}

#[test]
fn userns_a_masked_process_list_leads_to_host_pids() {
    everyone("userns_a_masked_process_list_leads_to_host_pids", || {
        let seen = possible_after("mount --bind /dev/null /proc/uptime");
        assert!(seen.contains("by the table: B\n"), "{seen}");
        assert!(seen.contains("ran in B: Outcome { code: 0, signal: None }"), "{seen}");
    });
}

#[test]
fn userns_a_refusal_names_its_cause() {
    everyone("userns_a_refusal_names_its_cause", || {
        let seen = possible_after("echo 0 > /proc/sys/user/max_user_namespaces");
        assert!(seen.contains("by the table: D\n"), "{seen}");
        assert!(
            seen.contains("sandbox/refused: this machine refuses a sandbox: cannot create a user namespace"),
            "{seen}"
        );
        assert!(seen.contains("sudo sysctl -w user.max_user_namespaces=15000"), "{seen}");
        assert!(!seen.contains("chroot"), "{seen}");
    });
}
