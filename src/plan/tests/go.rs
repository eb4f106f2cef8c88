//! What is asked for in programs of Go: where Go comes from, what it compiles with, which program starts.

use super::*;
use crate::config::Command;
use crate::plan::model::Contents;

#[test]
fn cgo_links_against_the_base() {
    let mut facts = go();
    facts["go"]["cgo"] = json!(true);
    let plan = make("go", facts, &Config::default()).unwrap();
    assert_eq!(plan.steps[1].env["CGO_ENABLED"], "1");
    assert_eq!(plan.runtime_root.packages[0].name, "@cc");
}

#[test]
fn modules_that_are_c_inside_bring_a_compiler_and_their_libraries() {
    let mut facts = go();
    facts["go"]["requires"]["github.com/mattn/go-sqlite3"] = json!("v1.14.32");
    facts["go"]["requires"]["github.com/davidbyttow/govips/v2"] = json!("v2.16.0");
    let plan = make("go", facts, &Config::default()).unwrap();
    assert_eq!(plan.steps[1].env["CGO_ENABLED"], "1");
    let packages: Vec<&str> = plan.build_root.packages.iter().map(|package| package.name.as_str()).collect();
    for package in ["build-essential", "libvips-dev", "pkgconf"] {
        assert!(packages.contains(&package), "{packages:?}");
    }
}

#[test]
fn a_target_chooses_the_program_and_flags_reach_the_compiler() {
    let mut facts = go();
    facts["go"]["module"] = json!(null);
    facts["go"]["workspace"] = json!(true);
    facts["go"]["mains"] = json!(["api", "jobs/cmd/worker"]);
    let config = Config {
        go_target: Some(file(1, "worker".into())),
        go_ldflags: Some(file(2, "-X main.version=1.4.0".into())),
        go_tags: Some(file(3, "prod".into())),
        ..Config::default()
    };
    let plan = make("go", facts, &config).unwrap();
    assert_eq!(
        plan.steps[1].argv,
        [
            "go",
            "build",
            "-trimpath",
            "-buildvcs=false",
            "-ldflags=-s -w -X main.version=1.4.0",
            "-tags=prod",
            "-o",
            "/app/bin/worker",
            "./jobs/cmd/worker",
        ]
    );
    assert_eq!(plan.image.entrypoint, ["/app/bin/worker"]);
}

#[test]
fn a_go_program_gets_the_helper_only_when_its_command_needs_it() {
    let config = Config {
        start: Some(file(1, Command::Line("bin/go-http -addr :$PORT".into()))),
        ..Config::default()
    };
    let with = make("go", go(), &config).unwrap();
    let helper = |plan: &Plan| plan.layers.iter().any(|layer| layer.contents.contains(&Contents::Init {}));
    assert!(helper(&with));
    assert_eq!(
        with.image.entrypoint,
        ["/usr/bin/rpack-init", "--port", "8080", "--", "/app/bin/go-http", "-addr", ":${PORT}"]
    );
    let without = make("go", go(), &Config::default()).unwrap();
    assert!(!helper(&without));
    assert_eq!(without.image.entrypoint, ["/app/bin/go-http"]);
}

#[test]
fn main_packages_are_chosen_by_name() {
    for (mains, binary) in [
        (json!([".", "cmd/tool"]), "/app/bin/go-http"),
        (json!(["cmd/only"]), "/app/bin/only"),
        (json!(["cmd/go-http", "cmd/other"]), "/app/bin/go-http"),
        (json!(["cmd/migrate", "cmd/server"]), "/app/bin/server"),
    ] {
        let mut facts = go();
        facts["go"]["mains"] = mains;
        let plan = make("go", facts, &Config::default()).unwrap();
        assert_eq!(plan.image.entrypoint, [binary]);
    }
}

/// The version, who offers it, and the ids of the notices about versions.
fn go_for(value: &str, key: &str) -> (String, String, Vec<String>) {
    let mut facts = go();
    facts["go"]["versions"] = json!([located(value, "go.mod", Some(5), key)]);
    let plan = make("go", facts, &Config::default()).unwrap();
    let notices = plan.notices.iter().filter(|notice| notice.id.starts_with("version/"));
    let ids = notices.map(|notice| notice.id.clone()).collect();
    let packages = plan.build_root.packages.iter().any(|package| package.name.starts_with("golang-"));
    assert_ne!(packages, plan.toolchains.iter().any(|toolchain| toolchain.name == "go"), "one of the two");
    (plan.versions[0].version.clone(), plan.versions[0].source.clone(), ids)
}

#[test]
fn go_comes_from_debian_and_what_debian_has_not_from_the_proxy() {
    let debian = |line: &str| format!("debian-13:golang-{line}-go");
    let proxy = || "go:golang.org/toolchain".to_owned();
    assert_eq!(go_for("1.27.4", "toolchain"), ("1.27.4".to_owned(), debian("1.27"), vec![]));
    assert_eq!(go_for("1.26", ""), ("1.26.2".to_owned(), debian("1.26"), vec![]));
    assert_eq!(go_for("1.22", "go"), ("1.27.4".to_owned(), debian("1.27"), vec![]));
    assert_eq!(
        go_for("1.26.1", "toolchain"),
        ("1.26.1".to_owned(), proxy(), vec!["version/newer-patch".to_owned()])
    );
    assert_eq!(
        go_for("1.22.12", "toolchain"),
        ("1.22.12".to_owned(), proxy(), vec!["version/end-of-life".to_owned()])
    );
    assert_eq!(go_for("1.22", ""), ("1.22.12".to_owned(), proxy(), vec!["version/end-of-life".to_owned()]));
    assert_eq!(
        go_for("1.26.9", "toolchain"),
        ("1.26.2".to_owned(), debian("1.26"), vec!["version/patch".to_owned()])
    );
}

#[test]
fn a_toolchain_from_the_proxy_is_on_the_path() {
    let mut facts = go();
    facts["go"]["versions"] = json!([located("1.22.12", "go.mod", Some(5), "toolchain")]);
    let plan = make("go", facts, &Config::default()).unwrap();
    assert_eq!(plan.toolchains[0].ecosystem, "go");
    assert_eq!(plan.toolchains[0].integrity, "h1:1.22.12");
    assert!(plan.steps[0].env["PATH"].starts_with("/usr/local/go/bin:/usr/local/sbin:"));
}
