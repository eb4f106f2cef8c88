//! Steps that do not need each other: at the same time, with one image whatever their number, and none of them left when
//! one fails. The root is made here and has a shell.

use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::archive::Fixture;
use crate::support::debian_repository::{Package, Signing};
use crate::support::{Finished, repository};

/// Longer than any test may take: what waits so long was not stopped.
const FOREVER: &str = "sleep 120";

pub(crate) struct App {
    pub(crate) fixture: Fixture,
}

/// A step as a row: its name below `procfile/`, the script, its input, what it needs.
pub(crate) type Row<'a> = (&'a str, &'a str, &'a str, Option<&'a str>);

impl App {
    pub(crate) fn new(steps: &[Row<'_>]) -> Self {
        let mut fixture = Fixture::new(7, Signing::Trusted);
        let read = |path: &str| fs::read(Path::new(path).canonicalize().unwrap()).unwrap();
        let libraries = "/lib/x86_64-linux-gnu";
        let mut package = Package::new("base-files", "13")
            .file("./etc/debian_version", "13.0\n", 0o644)
            .bytes("./usr/bin/sh", read("/bin/sh"), 0o755)
            .bytes("./usr/bin/mkdir", read("/bin/mkdir"), 0o755)
            .bytes("./usr/bin/sleep", read("/bin/sleep"), 0o755)
            .bytes("./usr/lib/x86_64-linux-gnu/libc.so.6", read("/lib/x86_64-linux-gnu/libc.so.6"), 0o755)
            .bytes("./usr/lib64/ld-linux-x86-64.so.2", read("/lib64/ld-linux-x86-64.so.2"), 0o755);
        // `mkdir` of some systems is linked against them.
        for library in ["libselinux.so.1", "libpcre2-8.so.0"] {
            if Path::new(libraries).join(library).exists() {
                let bytes = read(&format!("{libraries}/{library}"));
                package = package.bytes(&format!("./usr/lib/x86_64-linux-gnu/{library}"), bytes, 0o755);
            }
        }
        fixture.repository.replace(package);
        fixture.publish(0, Signing::Trusted);
        let app = Self { fixture };
        app.define(steps);
        for (name, ..) in steps {
            app.write(&format!("{name}.txt"), name);
        }
        app
    }

    pub(crate) fn define(&self, steps: &[Row<'_>]) {
        let mut text = fs::read_to_string(repository().join("buildpacks/procfile/buildpack.toml")).unwrap();
        let layers = text.find("[[layer]]").unwrap();
        for (name, script, input, needs) in steps.iter().rev() {
            let needs = needs.map(|needs| format!("needs = {needs}\n")).unwrap_or_default();
            let step = format!(
                "[[step]]\nid = \"procfile/{name}\"\ntitle = \"{name}\"\nargv = [\"/bin/sh\", \"-ec\", '''{script}''']\n\
                 inputs = [\"{input}\"]\ncaches = {{ meeting = \"/var/cache/meeting\" }}\n{needs}\n"
            );
            text.insert_str(layers, &step);
        }
        let folder = self.fixture.definitions.join("buildpacks/procfile");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("buildpack.toml"), text).unwrap();
    }

    /// Adds to the definition, before the layer of the app.
    pub(crate) fn add_layer(&self, text: &str) {
        let file = self.fixture.definitions.join("buildpacks/procfile/buildpack.toml");
        let whole = fs::read_to_string(&file).unwrap();
        let app = "[[layer]]\nid = \"app\"";
        fs::write(&file, whole.replacen(app, &format!("{text}\n{app}"), 1)).unwrap();
    }

    pub(crate) fn write(&self, file: &str, text: &str) {
        fs::write(self.fixture.context.app().join(file), text).unwrap();
    }

    /// Starts a build into a store of its own.
    pub(crate) fn start(&self, store: &str, arguments: &[&str]) -> Child {
        let context = &self.fixture.context;
        let mut command = context.command(&["build", "--progress", "plain"]);
        command.args(["--definitions", self.fixture.definitions.to_str().unwrap()]).args(arguments);
        command.env("RPACK_STORE", context.root().join(store));
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    pub(crate) fn build(&self, store: &str, arguments: &[&str]) -> Finished {
        let output = self.start(store, arguments).wait_with_output().unwrap();
        self.fixture.context.finish(output)
    }

    /// Whether a step of the store's build has written `name` to the cache that all share.
    fn met(&self, store: &str, name: &str) -> bool {
        self.fixture.context.root().join(store).join("caches/meeting").join(name).exists()
    }

    /// How many results the store has.
    fn results(&self, store: &str) -> usize {
        fs::read_dir(self.fixture.context.root().join(store).join("steps")).unwrap().count()
    }
}

/// Says that it is there and waits until the other is, as often as that.
fn meeting(own: &str, other: &str, times: u32) -> String {
    format!(
        ": >/var/cache/meeting/{own}; i=0; while [ ! -e /var/cache/meeting/{other} ]; do i=$((i+1)); \
         [ $i -lt {times} ] || exit 9; sleep 0.1; done; echo met >{own}.out"
    )
}

#[test]
fn userns_steps_that_do_not_need_each_other_run_at_the_same_time() {
    let scripts = (meeting("one", "two", 600), meeting("two", "one", 600));
    let app = App::new(&[("one", &scripts.0, "one.txt", None), ("two", &scripts.1, "two.txt", Some("[]"))]);
    app.build("store", &["--jobs", "2"]).success();
    let scripts = (meeting("one", "two", 5), meeting("two", "one", 5));
    app.define(&[("one", &scripts.0, "one.txt", None), ("two", &scripts.1, "two.txt", Some("[]"))]);
    let finished = app.build("other", &["--jobs", "1"]);
    assert_eq!(finished.status, 4, "{}", finished.stderr);
    assert!(finished.stderr.contains("error[build/step]: step `procfile/one` failed"), "{}", finished.stderr);
    assert!(!app.met("other", "two"), "the second step was started beside the first");
}

#[test]
fn userns_the_image_is_the_same_for_any_number_of_jobs() {
    // The first ends last, and counts as the first all the same.
    let one = "sleep 0.5; mkdir shared; echo one >shared/one; echo one >shared/both; echo one >one.out";
    let two = "mkdir shared; echo two >shared/two; echo two >shared/both; [ ! -e one.out ]";
    let three = "read -r both <shared/both; echo $both $(echo shared/*) >three.out; [ ! -e one.txt ]; echo sees $both";
    let app = App::new(&[
        ("one", one, "one.txt", None),
        ("two", two, "two.txt", Some("[]")),
        ("three", three, "three.txt", None),
        (
            "four",
            "[ -e shared/one ]; [ ! -e shared/two ]; [ ! -e three.out ]; : >four.out",
            "four.txt",
            Some("[\"procfile/one\"]"),
        ),
        // What it needs stands on the others.
        (
            "five",
            "[ -e three.out ]; [ -e shared/one ]; [ -e shared/two ]; [ ! -e four.out ]",
            "five.txt",
            Some("[\"procfile/three\"]"),
        ),
    ]);
    let one_by_one = app.build("one", &["--jobs", "1"]);
    let together = app.build("four", &["--jobs", "4"]);
    assert!(together.stderr.contains("  procfile/three | sees two\n"), "{}", together.stderr);
    assert_eq!(together.success(), one_by_one.success());
    let again = app.build("four", &["--jobs", "4", "--name", "again"]);
    for name in ["one", "two", "three", "four", "five"] {
        assert!(again.stderr.contains(&format!("procfile/{name}  {name}  unchanged\n")), "{}", again.stderr);
    }
}

#[test]
fn userns_a_step_that_fails_stops_the_others() {
    let one = format!("trap '' TERM; : >/var/cache/meeting/one; {FOREVER}; {FOREVER}");
    let two = "while [ ! -e /var/cache/meeting/one ]; do sleep 0.1; done; echo two gives up; exit 7";
    let app = App::new(&[
        ("one", &one, "one.txt", None),
        ("two", two, "two.txt", Some("[]")),
        ("three", ": >/var/cache/meeting/three", "three.txt", None),
    ]);
    let began = Instant::now();
    let finished = app.build("store", &["--jobs", "3"]);
    assert!(began.elapsed() < Duration::from_secs(60), "the other step was waited for");
    assert_eq!((finished.status, finished.stdout.as_str()), (4, ""), "{}", finished.stderr);
    assert!(finished.stderr.contains("error[build/step]: step `procfile/two` failed"), "{}", finished.stderr);
    assert!(!app.met("store", "three"), "a step was started after the failure");
    assert_eq!(app.results("store"), 0);
}

#[test]
fn userns_an_interrupt_reaches_all_running_steps() {
    let script = |name: &str| format!(": >/var/cache/meeting/{name}; {FOREVER}");
    let (one, two) = (script("one"), script("two"));
    let app = App::new(&[("one", &one, "one.txt", None), ("two", &two, "two.txt", Some("[]"))]);
    let child = app.start("store", &["--jobs", "2"]);
    let began = Instant::now();
    while !(app.met("store", "one") && app.met("store", "two")) {
        assert!(began.elapsed() < Duration::from_secs(60), "the steps were not started");
        thread::sleep(Duration::from_millis(20));
    }
    let interrupted = Instant::now();
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(interrupted.elapsed() < Duration::from_secs(30));
    assert_eq!(app.results("store"), 0);
}

#[test]
fn userns_a_change_runs_only_what_sees_it_again() {
    let app = App::new(&[
        ("one", "read -r text <one.txt || :; echo $text >one.out", "one.txt", None),
        ("two", "echo two >two.out", "two.txt", Some("[]")),
        ("three", "echo three >three.out", "three.txt", None),
    ]);
    app.build("store", &[]).success();
    app.write("one.txt", "changed");
    let finished = app.build("store", &["-v"]);
    let mut lines: Vec<&str> = (finished.stderr.lines())
        .filter(|line| line.contains("/two  found ") || line.contains("  runs: "))
        .map(|line| line.split_inclusive("  found ").next().unwrap_or(line))
        .collect();
    lines.sort_unstable();
    let expected = [
        "procfile/one  runs: one.txt changed",
        "procfile/three  runs: step procfile/one changed",
        "procfile/two  found ",
    ];
    assert_eq!(lines, expected, "{}", finished.stderr);
}

#[test]
fn userns_a_root_that_cannot_be_made_stops_the_steps() {
    let one = format!(": >/var/cache/meeting/one; {FOREVER}");
    let mut app = App::new(&[("one", &one, "one.txt", None)]);
    // Only the image has it.
    let package = Package::new("only-runtime", "1").file("./usr/share/only", "only\n", 0o644);
    let path = package.path();
    app.fixture.repository.add(package);
    app.fixture.publish(0, Signing::Trusted);
    let file = app.fixture.definitions.join("buildpacks/procfile/buildpack.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replacen("packages = [\"@cc\"]", "packages = [\"@cc\", \"only-runtime\"]", 1))
        .unwrap();
    app.fixture.repository.server.put(&format!("/debian/{path}"), "changed");
    let began = Instant::now();
    let finished = app.build("store", &[]);
    assert!(began.elapsed() < Duration::from_secs(60), "the step was waited for");
    assert!(finished.stderr.contains("only-runtime"), "{}", finished.stderr);
    assert_eq!((finished.status, finished.stdout.as_str()), (1, ""), "{}", finished.stderr);
}
