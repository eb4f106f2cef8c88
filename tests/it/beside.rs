//! Layers that are written while steps run: as soon as nothing comes to them any more, with the same image, and with the
//! failures of a build that writes them at the end.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::PathBuf;
use std::process::Child;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::steps::App;

/// What one step makes, and the next leaves alone.
const LAYER: &str = r#"[[layer]]
id = "dependencies"
comment = "packages"
after = ["procfile/one"]
contents = [{ from = "work", include = ["app/vendor", "app/vendor/**"] }]
"#;
const MAKES: &str = "mkdir vendor; echo one >vendor/a.out; echo two >vendor/b.out";
/// Waits until the test says so, and not for ever.
const WAITS: &str =
    "i=0; while [ ! -e /var/cache/meeting/go ]; do i=$((i+1)); [ $i -lt 600 ] || exit 9; sleep 0.1; done";

fn app(one: &str, two: &str) -> App {
    let app = App::new(&[("one", one, "one.txt", None), ("two", two, "two.txt", None)]);
    app.add_layer(LAYER);
    app
}

/// Lets the step that waits go on.
fn go(app: &App, store: &str) {
    let folder = app.fixture.context.root().join(store).join("caches/meeting");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("go"), "").unwrap();
}

/// Reads what the build says until a line begins so; all of it.
fn until(child: &mut Child, start: &str) -> (String, BufReader<std::process::ChildStderr>) {
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut text = String::new();
    while !text.lines().last().is_some_and(|line| line.starts_with(start)) {
        assert_ne!(stderr.read_line(&mut text).unwrap(), 0, "no `{start}` in:\n{text}");
    }
    (text, stderr)
}

/// A build whose second step ends after the layer of the first is written; its digest and what it said.
fn beside(app: &App, arguments: &[&str]) -> (String, String) {
    let mut child = app.start("beside", &[&["--jobs", "2"], arguments].concat());
    let (mut text, mut stderr) = until(&mut child, "layer dependencies  ");
    go(app, "beside");
    stderr.read_to_string(&mut text).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{text}");
    (String::from_utf8(output.stdout).unwrap(), text)
}

/// The same with one thing after the other.
fn after(app: &App, arguments: &[&str]) -> (String, String) {
    go(app, "after");
    let finished = app.build("after", &[&["--jobs", "1"], arguments].concat());
    assert_eq!(finished.status, 0, "{}", finished.stderr);
    (finished.stdout, finished.stderr)
}

/// When what is called so began and ended, each time, in microseconds.
fn times(trace: &PathBuf, name: &str) -> Vec<(u64, u64)> {
    let trace: Value = serde_json::from_slice(&fs::read(trace).unwrap()).unwrap();
    let events = trace["traceEvents"].as_array().unwrap().iter();
    let found = events.filter(|event| event["ph"] == "X" && event["name"] == name);
    let number = |value: &Value| value.as_u64().unwrap();
    found.map(|event| (number(&event["ts"]), number(&event["ts"]) + number(&event["dur"]))).collect()
}

#[test]
fn userns_a_layer_that_no_later_step_changes_is_written_beside_it() {
    let app = app(MAKES, WAITS);
    let file = |name: &str| app.fixture.context.root().join(name);
    let timings = |file: &PathBuf| ["--timings".to_owned(), file.to_str().unwrap().to_owned()];
    let (early, late) = (file("early.json"), file("late.json"));
    let (digest, stderr) = beside(&app, &timings(&early).each_ref().map(String::as_str));
    assert_eq!(stderr.matches("\nlayer dependencies\n").count(), 1, "{stderr}");
    assert!(!stderr.contains("layer dependencies  cached"), "{stderr}");
    let step = times(&early, "procfile/two  two")[0];
    for layer in ["layer base", "layer runtime", "layer dependencies"] {
        let [(_, end)] = times(&early, layer)[..] else { panic!("{layer} is not there once") };
        assert!(end < step.1, "{layer} ended at {end}, and the step at {}", step.1);
    }
    assert!(times(&early, "layer app")[0].0 > step.1);

    assert_eq!(after(&app, &timings(&late).each_ref().map(String::as_str)).0, digest);
    let step = times(&late, "procfile/two  two")[0];
    assert!(times(&late, "layer dependencies")[0].0 > step.1);
    assert!(times(&late, "layer base")[0].0 > step.1);
}

#[test]
fn userns_a_layer_that_a_later_step_changes_is_what_that_made() {
    let app = app(MAKES, &format!("{WAITS}; echo changed >vendor/b.out"));
    let (digest, stderr) = beside(&app, &[]);
    assert_eq!(stderr.matches("\nlayer dependencies\n").count(), 2, "{stderr}");
    assert_eq!(after(&app, &[]).0, digest);
}

#[test]
fn userns_a_layer_is_not_written_again_beside_steps() {
    let app = app(MAKES, WAITS);
    beside(&app, &[]);
    app.write("two.txt", "changed");
    let finished = app.build("beside", &["--jobs", "2"]);
    assert!(finished.stderr.contains("\nlayer dependencies  cached\n"), "{}", finished.stderr);
    assert_eq!(finished.stderr.matches("layer base").count(), 2, "{}", finished.stderr);
}

#[test]
fn userns_a_layer_that_cannot_be_is_an_error_once() {
    let app = app("mkdir vendor; : >vendor/.wh.x", "sleep 1");
    let [beside, after] = [("beside", "2"), ("after", "1")].map(|(store, jobs)| {
        let finished = app.build(store, &["--jobs", jobs]);
        assert_eq!((finished.status, finished.stdout.as_str()), (1, ""), "{}", finished.stderr);
        assert_eq!(finished.stderr.matches("error[").count(), 1, "{}", finished.stderr);
        finished.stderr[finished.stderr.find("error[").unwrap()..].to_owned()
    });
    assert_eq!(beside, after);
    assert!(beside.starts_with("error[package/reserved-name]: "), "{beside}");
}

#[test]
fn userns_an_interrupt_ends_a_layer_that_is_written() {
    let app =
        App::new(&[("one", "echo one >one.out", "one.txt", None), ("two", "sleep 120", "two.txt", None)]);
    app.add_layer(&LAYER.replace("\"app/vendor\", \"app/vendor/**\"", "\"app/large\""));
    // Whatever compresses it takes some time.
    let mut state = 1_u64;
    let noise = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33).to_le_bytes()
    });
    let noise: Vec<u8> =
        noise.take(16 << 20).flat_map(|bytes| [bytes[0], bytes[1], bytes[2], bytes[3]]).collect();
    fs::write(app.fixture.context.app().join("large"), noise).unwrap();
    let mut child = app.start("store", &["--jobs", "2"]);
    let (text, _stderr) = until(&mut child, "layer dependencies");
    assert!(text.ends_with("layer dependencies\n"), "{text}");
    let interrupted = Instant::now();
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    // Steps have a second; what does not unwind has three more.
    assert!(interrupted.elapsed() < Duration::from_millis(3500), "{:?}", interrupted.elapsed());
    let left = fs::read_dir(app.fixture.context.root().join("store/tmp")).unwrap().count();
    assert_eq!(left, 0, "unfinished entries are left");
}
