//! What images need besides what was listed: shared libraries and interpreters, found by their evidence.

use std::fs;

use crate::support::TestContext;
use crate::support::elf::Elf;
use crate::support::server::{Server, free_port};

/// A Python app that answers with `expression` after `import`.
fn python(context: &TestContext, requirement: &str, import: &str, expression: &str) {
    context.file("requirements.txt", &format!("{requirement}\n")).file(
        "app.py",
        &format!(
            r#"import os
from http.server import BaseHTTPRequestHandler, HTTPServer

{import}


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write({expression}.encode())


if __name__ == "__main__":
    HTTPServer(("0.0.0.0", int(os.environ["PORT"])), Handler).serve_forever()
"#
        ),
    );
}

/// A Node app that answers with what `body` sends.
fn node(context: &TestContext, dependency: &str, version: &str, body: &str) {
    let package = format!(
        r#"{{"name": "app", "version": "1.0.0", "private": true, "scripts": {{"start": "node server.js"}},
"dependencies": {{"{dependency}": "{version}"}}}}"#
    );
    context
        .file("package.json", &package)
        .file("server.js", &format!("require('http').createServer({body}).listen(process.env.PORT);\n"));
}

/// Builds, starts and asks the app; returns what it answers and the line about its libraries.
fn answer(context: &TestContext, name: &str) -> (String, String) {
    let built = context.rpack(&["build", "--name", name, "--progress", "plain"]);
    assert_eq!(built.status, 0, "{}", built.stderr);
    let mut lines = built.stderr.lines().filter_map(|line| line.strip_prefix("shared libraries  "));
    let added = lines.next_back().unwrap().to_owned();
    let port = free_port();
    let mut server = Server::start(context.command(&["run", name, "--port", &port.to_string()]));
    let (status, body) = server.get(port, "/");
    assert_eq!(status, 200, "{body}");
    server.terminate();
    (body, added)
}

/// `NAME` of each line that starts a package.
fn packages(context: &TestContext, image: &str) -> Vec<String> {
    let report: serde_json::Value =
        serde_json::from_str(&context.rpack(&["explain", "libs", "--json", image]).success()).unwrap();
    let packages = report["packages"].as_array().unwrap();
    packages.iter().map(|package| package["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
#[ignore = "needs the network: run by .ci/run"]
fn network_psycopg2_from_source_finds_its_library() {
    let context = TestContext::with_shared_store();
    python(&context, "psycopg2==2.9.11", "import psycopg2", "str(psycopg2.__libpq_version__)");
    let (body, added) = answer(&context, "closure-psycopg2");
    assert!(body.starts_with("17"), "{body}");
    assert_eq!(
        added,
        "libcom-err2, libgssapi-krb5-2, libk5crypto3, libkeyutils1, libkrb5-3, libkrb5support0, libldap2, libpq5, \
         libsasl2-2 added"
    );

    let report = context.rpack(&["explain", "libs", "closure-psycopg2"]).success();
    let report = without_versions(&report);
    insta::assert_snapshot!("explain_libs_psycopg2", report);
}

/// The report without what changes with every point release: versions, also behind the name of a library.
fn without_versions(report: &str) -> String {
    let line = |line: &str| match line.split_once(' ') {
        Some((name, rest)) if rest.starts_with(|c: char| c.is_ascii_digit()) => {
            let reason = rest.split_once("  ").map(|(_, reason)| format!("  {reason}")).unwrap_or_default();
            format!("{name} [VERSION]{reason}\n")
        }
        _ => format!("{}\n", line.split(' ').map(major).collect::<Vec<_>>().join(" ")),
    };
    report.lines().map(line).collect()
}

/// `libpq.so.5.17` → `libpq.so.5`
fn major(word: &str) -> String {
    match word.split_once(".so.") {
        Some((stem, version)) => {
            let end = if version.ends_with(',') { "," } else { "" };
            let major = version.trim_end_matches(',').split('.').next().unwrap();
            format!("{stem}.so.{major}{end}")
        }
        None => word.to_owned(),
    }
}

#[test]
#[ignore = "needs the network: run by .ci/run"]
fn network_pycairo_from_source_finds_its_libraries_and_fonts() {
    let context = TestContext::with_shared_store();
    python(&context, "pycairo==1.29.0", "import cairo", "cairo.cairo_version_string()");
    let (body, added) = answer(&context, "closure-pycairo");
    assert!(body.starts_with("1."), "{body}");
    for package in ["libcairo2", "libpixman-1-0", "fontconfig-config", "fonts-dejavu-core"] {
        assert!(added.contains(package), "{added}");
    }
}

#[test]
#[ignore = "needs the network: run by .ci/run"]
fn network_pillow_from_a_wheel_adds_nothing() {
    let context = TestContext::with_shared_store();
    python(&context, "pillow==12.0.0", "from PIL import features", "str(features.version('jpg'))");
    let (_, added) = answer(&context, "closure-pillow");
    assert_eq!(added, "complete");
    let plan: serde_json::Value =
        serde_json::from_str(&context.rpack(&["plan", "--json"]).success()).unwrap();
    let listed = plan["runtime-root"]["packages"].as_array().unwrap();
    let listed: Vec<&str> = listed.iter().map(|package| package["name"].as_str().unwrap()).collect();
    assert_eq!(packages(&context, "closure-pillow"), listed);
}

#[test]
#[ignore = "needs the network: run by .ci/run"]
fn network_sharp_brings_its_own_library() {
    let context = TestContext::with_shared_store();
    let body = "async (request, response) => {
  const sharp = require('sharp');
  const image = sharp({ create: { width: 4, height: 3, channels: 3, background: 'red' } });
  const { format, width } = await sharp(await image.png().toBuffer()).metadata();
  response.end(`${format} ${width}`);
}";
    node(&context, "sharp", "0.34.5", body);
    let (body, added) = answer(&context, "closure-sharp");
    assert_eq!((body.as_str(), added.as_str()), ("png 4", "complete"));
}

#[test]
#[ignore = "needs the network: run by .ci/run"]
fn network_an_addon_compiled_against_debian_finds_its_library() {
    let context = TestContext::with_shared_store();
    let body = "(request, response) => {
  const Libpq = require('libpq');
  new Libpq().connect('host=127.0.0.1 port=1', (error) => response.end(error.message));
}";
    node(&context, "libpq", "1.11.0", body);
    let (body, added) = answer(&context, "closure-libpq");
    assert!(body.contains("127.0.0.1"), "{body}");
    assert_eq!(
        added,
        "libcom-err2, libgssapi-krb5-2, libk5crypto3, libkeyutils1, libkrb5-3, libkrb5support0, libldap2, libpq5, \
         libsasl2-2 added"
    );
}

/// A program that needs `needed`, as `bin/server`, and a Procfile that starts it.
fn program(context: &TestContext, elf: &Elf) {
    context.file("Procfile", "web: ./bin/server\n").file("bin/server", "");
    let path = context.app().join("bin/server");
    fs::write(&path, elf.bytes()).unwrap();
    executable(&path);
}

fn executable(path: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn server() -> Elf {
    Elf {
        interpreter: Some("/lib64/ld-linux-x86-64.so.2"),
        ..Elf::new().needs(&["libc.so.6", "libsodium.so.23"])
    }
}

/// What is left of stderr from the first error on.
fn error(stderr: &str) -> &str {
    stderr.find("error[").map_or(stderr, |at| &stderr[at..])
}

#[test]
#[ignore = "needs the network: run by .ci/run"]
fn network_a_library_that_is_nowhere_fails_the_build() {
    let context = TestContext::with_shared_store();
    program(&context, &server());
    let finished = context.rpack(&["build", "--name", "closure-nowhere"]);
    assert_eq!(finished.status, 1, "{}", finished.stderr);
    insta::assert_snapshot!("missing_library", error(&finished.stderr));

    let image =
        context.rpack(&["build", "--name", "closure-nowhere", "--set", "closure.ignore=libsodium.so.*"]);
    image.success();
    context.rpack(&["build", "--name", "closure-nowhere", "--set", "runtime.packages=libsodium23"]).success();
}

#[test]
#[ignore = "needs the network: run by .ci/run"]
fn network_a_start_command_for_another_machine_fails_the_build() {
    let context = TestContext::with_shared_store();
    program(&context, &Elf { machine: 183, ..server() });
    let finished = context.rpack(&["build", "--name", "closure-machine"]);
    assert_eq!(finished.status, 1, "{}", finished.stderr);
    insta::assert_snapshot!("other_machine", error(&finished.stderr));
}

#[test]
#[ignore = "needs the network: run by .ci/run"]
fn network_a_script_that_starts_the_app_gets_its_shell_and_others_a_note() {
    let context = TestContext::with_shared_store();
    context
        .file("Procfile", "web: ./start.sh\n")
        .file("start.sh", "#!/bin/sh\necho started on $PORT\n")
        .file("tools/deploy", "#!/usr/bin/perl\n");
    executable(&context.app().join("start.sh"));
    executable(&context.app().join("tools/deploy"));
    let built = context.rpack(&["build", "--name", "closure-script", "--progress", "plain"]);
    assert_eq!(built.status, 0, "{}", built.stderr);
    for line in [
        "shared libraries  dash added",
        "`dash` is added to the image: /bin/sh for /app/start.sh",
        "`/app/tools/deploy` needs `/usr/bin/perl`, which the image does not have: if the app runs that, \
         `runtime.packages = [\"perl\"]`",
    ] {
        assert!(built.stderr.lines().any(|found| found == line), "`{line}` is missing in:\n{}", built.stderr);
    }
    let ran = context.rpack(&["run", "closure-script"]);
    assert!(ran.stdout.starts_with("started on "), "{ran:?}");

    context.file("start.sh", "#!/usr/bin/zsh\n");
    let finished = context.rpack(&["build", "--name", "closure-script"]);
    assert_eq!(finished.status, 1, "{}", finished.stderr);
    insta::assert_snapshot!("missing_interpreter", error(&finished.stderr));
}
