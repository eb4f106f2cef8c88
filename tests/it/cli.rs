//! The command line as people read it: help, versions, wrong usage.

use crate::support::TestContext;

#[test]
fn help_of_every_command() {
    let context = TestContext::new();
    for command in [
        "",
        "init",
        "build",
        "run",
        "detect",
        "plan",
        "lock",
        "rebase",
        "inspect",
        "diff",
        "export",
        "login",
        "logout",
        "explain",
        "cache",
        "cache ls",
        "cache explain",
        "cache prune",
        "doctor",
        "explain size",
        "explain libs",
    ] {
        let arguments: Vec<&str> = command.split_whitespace().chain(["--help"]).collect();
        let help = context.rpack(&arguments).success();
        let name = if command.is_empty() { "rpack".to_owned() } else { command.replace(' ', "_") };
        insta::assert_snapshot!(format!("help_{name}"), help);
    }
}

#[test]
fn wrong_usage_ends_with_2_and_writes_nothing_to_stdout() {
    let context = TestContext::new();
    for arguments in
        [&["biuld"][..], &["build", "--nope"], &["build", "-o", "tar:x"], &["build", "--set", "x"]]
    {
        let finished = context.rpack(arguments);
        assert_eq!(
            (finished.status, finished.stdout.as_str()),
            (2, ""),
            "{arguments:?}: {}",
            finished.stderr
        );
    }
}

#[test]
fn a_destination_that_is_none_lists_the_forms() {
    let finished = TestContext::new().rpack(&["build", "-o", "tar:x"]);
    for form in ["oci:DIR", "oci-archive:FILE", "docker-archive:FILE"] {
        assert!(finished.stderr.contains(form), "{}", finished.stderr);
    }
}

#[test]
fn detection_as_a_table_and_as_json() {
    let context = TestContext::new();
    context
        .file("go.mod", "module example.com/shop\n\ngo 1.24\n")
        .file("main.go", "package main\n\nfunc main() {}\n");
    let table = context.rpack(&["detect"]).success();
    assert_eq!(
        table,
        "go           60  app  chosen\n            +50  main package in .\n            +10  a main package at the root\n"
    );
    let json: serde_json::Value =
        serde_json::from_str(&context.rpack(&["detect", "--json"]).success()).unwrap();
    assert_eq!(json["language"], "go");
    assert_eq!(json["facts"]["go"]["module"], "example.com/shop");
}

#[test]
fn detection_with_every_rule() {
    let context = TestContext::new();
    context
        .file("Procfile", "worker: bin/worker\n")
        .file("package.json", r#"{"scripts": {"start": "node x.js"}}"#);
    insta::assert_snapshot!(context.rpack(&["detect", "--explain"]).success());
}

#[test]
fn doctor_prints_every_probe_and_where_downloads_come_from() {
    let context = TestContext::new();
    let report = context.rpack(&["doctor", "--offline", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&report.stdout).unwrap();
    assert_eq!(json["probes"].as_array().unwrap().len(), 10);
    let tier = json["isolation"].as_str().unwrap();
    assert_eq!(report.status, i32::from(!["A", "B"].contains(&tier)), "{tier}: {}", report.stderr);
    for ecosystem in ["debian", "debian-security", "npm"] {
        for key in ["url", "origin"] {
            assert!(
                json["endpoints"][ecosystem][key].as_str().is_some_and(|text| !text.is_empty()),
                "{json}"
            );
        }
    }
}

#[test]
fn progress_as_json_is_one_object_a_line() {
    let context = TestContext::new();
    let finished = context.rpack(&["build", "--progress", "json"]);
    assert_eq!(finished.status, 3);
    for line in finished.stderr.lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap_or_else(|error| panic!("{line}: {error}"));
    }
}
