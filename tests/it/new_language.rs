//! A language that rpack does not know, added by the steps of CONTRIBUTING.md with `--definitions` and no Rust.

use crate::support::TestContext;

const DETECTOR: &str = r#"id = "awk"
name = "AWK"
order = 300
manifests = ["main.awk"]

[[evidence]]
id = "main"
kind = "manifest"
score = 50
when = "'main.awk' in files.has"
reason = "main.awk"
"#;

const BUILDPACK: &str = r#"id = "awk"
title = "AWK"
base = "debian-13"
as-of = "2026-11-01"
port = 8080
init = "always"

[build-root]
packages = ["@build"]

[[runtime-root]]
layer = "base"
packages = ["@cc"]

[[runtime-root]]
layer = "runtime"
packages = ["mawk"]

[[layer]]
id = "base"
comment = "Debian {{ base.version }}"
contents = [{ from = "runtime-root" }]

[[layer]]
id = "runtime"
comment = "mawk"
contents = [{ from = "init" }, { from = "runtime-root" }]

[[layer]]
id = "app"
comment = "the app"
contents = [{ from = "work", include = ["app/*.awk"] }]

[[start]]
when = "'main.awk' in files.has"
argv = ["/usr/bin/mawk", "-f", "main.awk"]
origin = "main.awk"
looks-for = "main.awk"

[image]
example = "mawk -f main.awk"
"#;

fn context() -> TestContext {
    let context = TestContext::with_shared_store();
    context.file("main.awk", "BEGIN { print \"hello from awk\"; exit 3 }\n");
    for (path, text) in [("detectors/awk.toml", DETECTOR), ("buildpacks/awk/buildpack.toml", BUILDPACK)] {
        let path = context.root().join("definitions").join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    context
}

#[test]
fn it_is_recognised() {
    let text = context().rpack(&["--definitions", "../definitions", "detect"]).success();
    assert_eq!(text, "awk          50  app  chosen\n            +50  main.awk\n");
}

#[test]
#[ignore = "downloads Debian packages"]
fn network_userns_it_is_built_and_started() {
    let context = context();
    let finished = context.rpack(&["--definitions", "../definitions", "run"]);
    assert_eq!((finished.stdout.as_str(), finished.status), ("hello from awk\n", 3), "{}", finished.stderr);
}
