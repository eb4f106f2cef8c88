//! `--timings FILE`: what is in the file after each kind of build, and what is said when there can be none.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::archive::Fixture;
use crate::support::debian_repository::Signing;
use crate::support::{Finished, TestContext};

fn file(fixture: &Fixture, name: &str) -> PathBuf {
    fixture.context.root().join(name)
}

/// Builds with `--timings`; what was printed, and what is in the file.
fn build(fixture: &Fixture, name: &str, arguments: &[&str]) -> (Finished, String) {
    let file = file(fixture, name);
    let finished = fixture.build(&[&["--timings", file.to_str().unwrap()], arguments].concat());
    (finished, fs::read_to_string(file).unwrap())
}

fn events(trace: &Value) -> impl Iterator<Item = &Value> {
    trace["traceEvents"].as_array().unwrap().iter().filter(|event| event["ph"] == "X")
}

/// The trace without times: a line for each span. Layers are packed at the same time, in no order.
fn spans(trace: &Value) -> String {
    // What runs at the same time begins in no order.
    let beside = ["task layer ", "stage steps ", "stage runtime root ", "download debian-13 packages "];
    let (mut first_layer, mut first_other) = (None, None);
    let mut lines: Vec<(usize, String)> = Vec::new();
    for (index, event) in events(trace).enumerate() {
        let arguments = &event["args"];
        let line = format!(
            "{} {} | {} | {} | {} | {}",
            event["cat"].as_str().unwrap(),
            event["name"].as_str().unwrap(),
            if arguments["finished"] == true { "finished" } else { "unfinished" },
            arguments["cache"].as_str().unwrap_or("-"),
            if arguments["bytes"].is_u64() { "bytes" } else { "-" },
            arguments["outcome"].as_str().unwrap_or("-"),
        );
        let place = match beside.iter().position(|start| line.starts_with(start)) {
            Some(0) => *first_layer.get_or_insert(index),
            Some(_) => *first_other.get_or_insert(index),
            None => index,
        };
        lines.push((place, line));
    }
    lines.sort();
    lines.into_iter().map(|(_, line)| line + "\n").collect()
}

/// How much of the time some stage ran.
fn covered(trace: &Value) -> f64 {
    let number = |value: &Value| value.as_f64().unwrap();
    let (mut sum, mut until) = (0.0, 0.0);
    for stage in events(trace).filter(|event| event["cat"] == "stage") {
        let start = number(&stage["ts"]);
        let end = start + number(&stage["dur"]);
        sum += (end - start.max(until)).max(0.0);
        until = end.max(until);
    }
    sum / number(&trace["otherData"]["duration"])
}

#[track_caller]
fn check_spans(name: &str, trace: &str) {
    let trace: Value = serde_json::from_str(trace).unwrap();
    insta::with_settings!({ filters => [("sha256:[0-9a-f]{64}", "[DIGEST]")] }, {
        insta::assert_snapshot!(name, spans(&trace));
    });
}

#[test]
fn a_build_then_one_of_which_nothing_changed_then_one_of_a_file() {
    let fixture = Fixture::new(7, Signing::Trusted);
    let (first, trace) = build(&fixture, "first.json", &[]);
    first.success();
    check_spans("cold", &trace);
    let (second, trace) = build(&fixture, "second.json", &[]);
    second.success();
    check_spans("unchanged", &trace);
    fixture.context.file("server", "another program\n");
    let (third, trace) = build(&fixture, "third.json", &[]);
    third.success();
    check_spans("one_file_changed", &trace);
}

#[test]
fn stages_cover_the_time() {
    let fixture = Fixture::new(7, Signing::Trusted);
    // A machine that does something else just between two stages says nothing about them.
    let shares = ["1\n", "2\n", "3\n"].map(|text| {
        fixture.context.file("server", text);
        let (finished, trace) = build(&fixture, "timings.json", &[]);
        finished.success();
        covered(&serde_json::from_str(&trace).unwrap())
    });
    assert!(shares.iter().any(|share| *share >= 0.95), "{shares:?}");
    assert!(shares.iter().all(|share| *share <= 1.0), "{shares:?}");
}

/// The page with its bars and its rows in the order of their names: what runs at the same time begins in no order.
fn in_any_order(page: &str) -> String {
    let is_row = |line: &str| line.starts_with("<g><title>") || line.starts_with("<tr><th scope=");
    let lines: Vec<&str> = page.lines().collect();
    let mut sorted = Vec::new();
    for part in lines.chunk_by(|one, other| is_row(one) == is_row(other)) {
        let mut part = part.to_vec();
        if is_row(part[0]) {
            let name = |line: &&str| {
                line.split('>').nth(2).map(|text| text.split([':', '<']).next().map(str::to_owned))
            };
            part.sort_by_key(name);
        }
        sorted.extend(part);
    }
    sorted.join("\n")
}

#[test]
fn the_page_has_what_the_trace_has() {
    let fixture = Fixture::new(7, Signing::Trusted);
    let (finished, page) = build(&fixture, "timings.html", &[]);
    finished.success();
    let filters = [
        (r"\d+\.\d+ (ms|s|%)", "[TIME]"),
        (r#"(x|x1|x2|width)="[\d.]+""#, "$1=[X]"),
        ("sha256:[0-9a-f]{64}", "[DIGEST]"),
        (r"(?m)^<line .*\n", ""),
        (r"(?s)<style>.*</style>", "<style>[STYLE]</style>"),
        // Layers are packed at the same time, in no order.
        ("layer (base|runtime|app)", "layer [ID]"),
        (r"y=.[\d.]+.", "y=[Y]"),
        // Of what runs at the same time either may enclose the other.
        (r#"class="in-\d""#, "class=[IN]"),
        (r#"height="[\d.]+" role"#, "height=[Y] role"),
        (r"\d+\.?\d* (k?B)\b", "[SIZE]"),
    ];
    insta::with_settings!({ filters => filters }, { insta::assert_snapshot!(in_any_order(&page)) });
}

#[test]
fn a_build_that_fails_has_a_file_up_to_there() {
    let fixture = Fixture::new(7, Signing::Stranger);
    let (finished, trace) = build(&fixture, "timings.json", &[]);
    assert_eq!(finished.status, 1, "{}", finished.stderr);
    check_spans("failed", &trace);
    let trace: Value = serde_json::from_str(&trace).unwrap();
    assert_eq!(trace["otherData"]["succeeded"], false);
    let (_, page) = build(&fixture, "timings.html", &[]);
    assert!(page.contains("<h1>rpack build (failed)</h1>"), "{page}");
}

#[test]
fn a_file_that_cannot_be_is_found_before_the_build() {
    let context = TestContext::new();
    let told = |file: &str| {
        let finished = context.rpack(&["build", "--timings", file]);
        assert_eq!((finished.status, finished.stdout.as_str()), (2, ""));
        finished.stderr
    };
    assert_eq!(
        told("timings.txt"),
        "error[cli/argument]: `--timings timings.txt` is not understood: it takes a file whose name ends in \
         `.html` (a page) or `.json` (a trace)\n"
    );
    assert_eq!(
        told("none/timings.html"),
        "error[cli/write]: cannot write none/timings.html\ncaused by: No such file or directory (os error 2)\n"
    );
}

#[test]
fn a_file_in_the_source_is_warned_of() {
    let fixture = Fixture::new(7, Signing::Trusted);
    let build = || {
        let definitions = fixture.definitions.to_str().unwrap();
        let arguments =
            ["build", "--progress", "plain", "--definitions", definitions, "--timings", "timings.html"];
        let finished = fixture.context.rpack(&arguments);
        assert_eq!(finished.status, 0, "{}", finished.stderr);
        let mut lines = finished.stderr.lines();
        let warning = lines.find(|line| line.starts_with("warning"))?.to_owned();
        Some((warning, lines.next().unwrap().to_owned()))
    };
    // The first finds none.
    assert_eq!(build(), None);
    let warning =
        "warning[timings/in-source]: `timings.html` is a part of the source, so that no two images are alike";
    let hint =
        "hint: write it elsewhere, or leave it out, in `rpack.toml`: `source.exclude = [\"/timings.html\"]`";
    assert_eq!(build(), Some((warning.to_owned(), hint.to_owned())));
    fixture.context.file("rpack.toml", "source.exclude = [\"/timings.html\"]\n");
    assert_eq!(build(), None);
}
