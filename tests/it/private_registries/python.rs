//! Indexes of Python.

use std::fs;
use std::io::{Cursor, Write as _};
use std::process::{Command, Output};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{TOKEN, basic, build, is_absent};
use crate::support::TestContext;
use crate::support::http_server::Server;

/// What a start of the image's program in the unpacked image prints.
#[track_caller]
fn printed(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// A wheel with one module.
fn wheel() -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    for (path, text) in [
        ("acme_greet.py", "GREETING = 'hello from acme'\n"),
        ("acme_greet-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: acme-greet\nVersion: 1.0\n"),
        (
            "acme_greet-1.0.dist-info/WHEEL",
            "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        ),
        ("acme_greet-1.0.dist-info/RECORD", ""),
    ] {
        archive.start_file(path, options).unwrap();
        archive.write_all(text.as_bytes()).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

/// An index with the wheel that asks for the name `ci` and the token; the digest of the wheel.
fn index(server: &Server) -> String {
    let bytes = wheel();
    let digest = rpack::oci::Digest::of(&bytes).hex();
    let file = "acme_greet-1.0-py3-none-any.whl";
    let page = format!(
        "<!DOCTYPE html><html><body><a href=\"/files/{file}#sha256={digest}\">{file}</a></body></html>"
    );
    server.put("/simple/acme-greet/", page);
    server.put(&format!("/files/{file}"), bytes);
    server.guard("/simple/", &basic());
    server.guard("/files/", &basic());
    digest
}

/// Checks that the module of the wheel is in the image.
#[track_caller]
fn has_module(context: &TestContext) {
    let site = context.root().join("unpacked/app/.venv/lib");
    let found = printed(&Command::new("find").arg(site).args(["-name", "acme_greet.py"]).output().unwrap());
    assert_eq!(found.lines().count(), 1, "{found}");
}

#[test]
#[ignore = "needs the network and a sandbox"]
fn network_userns_an_index_of_python_takes_a_netrc() {
    let server = Server::start();
    let digest = index(&server);
    let context = TestContext::with_shared_store();
    context
        .file("main.py", "import acme_greet\nprint(acme_greet.GREETING)\n")
        .file("Procfile", "web: python main.py\n")
        .file(
            "requirements.txt",
            &format!("--extra-index-url {}/simple/\nacme-greet==1.0 --hash=sha256:{digest}\n", server.url()),
        );
    let refused = build(&context, &[]);
    assert_eq!(refused.status, 4, "{}", refused.stderr);
    let text = "an index refuses without a credential: give one as a secret, `rpack build --secret id=netrc,";
    assert!(refused.stderr.contains(text), "`{text}` is missing in:\n{}", refused.stderr);

    let netrc = format!("machine 127.0.0.1\nlogin ci\npassword {TOKEN}\n");
    fs::write(context.root().join("netrc"), netrc).unwrap();
    let finished = build(&context, &["--secret", "id=netrc,src=../netrc"]);
    assert_eq!(finished.status, 0, "{}", finished.stderr);
    let requests = server.take_requests();
    assert!(requests.contains(&"/files/acme_greet-1.0-py3-none-any.whl".to_owned()), "{requests:?}");
    is_absent(&context, &finished);
    has_module(&context);
}

#[test]
#[ignore = "needs the network and a sandbox"]
fn network_userns_a_named_index_of_python_takes_variables() {
    let server = Server::start();
    index(&server);
    let context = TestContext::with_shared_store();
    context
        .file("main.py", "import acme_greet\nprint(acme_greet.GREETING)\n")
        .file("Procfile", "web: python main.py\n")
        .file(
            "pyproject.toml",
            &format!(
                "[project]\nname = \"shop\"\nversion = \"1.0\"\nrequires-python = \">=3.13\"\ndependencies = \
             [\"acme-greet==1.0\"]\n\n[[tool.uv.index]]\nname = \"our-index\"\nurl = \"{}/simple/\"\n",
                server.url()
            ),
        );
    let mut command = context.command(&["build", "-o", "oci:../out", "--progress", "plain"]);
    command.args([
        "--secret",
        "id=UV_INDEX_OUR_INDEX_USERNAME",
        "--secret",
        "id=UV_INDEX_OUR_INDEX_PASSWORD",
    ]);
    command.env("UV_INDEX_OUR_INDEX_USERNAME", "ci-of-the-index").env("UV_INDEX_OUR_INDEX_PASSWORD", TOKEN);
    server.guard("/", &format!("Basic {}", STANDARD.encode(format!("ci-of-the-index:{TOKEN}"))));
    let finished = context.finish(command.output().unwrap());
    assert_eq!(finished.status, 0, "{}", finished.stderr);
    is_absent(&context, &finished);
    has_module(&context);
}

/// An app that names no index, and a file outside of it that does.
fn app_with(file: &str, text: &str) -> TestContext {
    let context = TestContext::with_shared_store();
    context
        .file("main.py", "import acme_greet\nprint(acme_greet.GREETING)\n")
        .file("Procfile", "web: python main.py\n")
        .file("requirements.txt", "acme-greet==1.0\n");
    fs::write(context.root().join(file), text).unwrap();
    context
}

#[track_caller]
fn takes_the_index(file: &str, text: &str) {
    let server = Server::start();
    index(&server);
    let url = server.url().replace("http://", &format!("http://ci:{TOKEN}@"));
    let context = app_with(file, &text.replace("URL", &url));
    let finished = build(&context, &["--secret", &format!("id={file},src=../{file}")]);
    assert_eq!(finished.status, 0, "{}", finished.stderr);
    is_absent(&context, &finished);
    has_module(&context);
}

#[test]
#[ignore = "needs the network and a sandbox"]
fn network_userns_uv_reads_a_file_that_holds_the_index() {
    takes_the_index("uv.toml", "[[index]]\nurl = \"URL/simple/\"\n");
}

#[test]
#[ignore = "needs the network and a sandbox"]
fn network_userns_the_configuration_of_pip_holds_the_index() {
    takes_the_index("pip.conf", "[global]\nextra-index-url =\n    URL/simple/\n");
}
