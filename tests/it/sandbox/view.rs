//! What a command in the sandbox sees and may do.

use super::*;

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
             cat /proc/keys /proc/timer_list; \
             echo 1 > /proc/sys/kernel/printk; grep -E '^(NoNewPrivs|Seccomp):' /proc/self/status",
        ));
        assert_eq!(result.stdout, "NoNewPrivs:\t1\nSeccomp:\t2\n");
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
