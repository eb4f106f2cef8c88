//! Registries that ask for a credential: the installers show it, and it is nowhere afterwards.

use std::fs;
use std::io::{Cursor, Write as _};
use std::process::{Command, Output};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::Digest as _;

use crate::support::http_server::Server;
use crate::support::image::Layout;
use crate::support::{Finished, TestContext};

const TOKEN: &str = "t0ken-of-the-private-registry";

/// `rpack build` to a layout, with further arguments.
fn build(context: &TestContext, arguments: &[&str]) -> Finished {
    let mut command = context.command(&["build", "-o", "oci:../out", "--progress", "plain"]);
    context.finish(command.args(arguments).env("NPM_TOKEN", TOKEN).output().unwrap())
}

/// Checks that the token is neither in the image, nor in the plan with its keys, nor in what was printed.
#[track_caller]
fn is_absent(context: &TestContext, finished: &Finished) {
    assert!(!finished.stderr.contains(TOKEN) && !finished.stdout.contains(TOKEN), "{}", finished.stderr);
    Layout::open(&context.root().join("out")).unpack(&context.root().join("unpacked"));
    let plan = context.rpack(&["plan", "--json"]).success();
    fs::write(context.root().join("plan.json"), plan).unwrap();
    let encoded = STANDARD.encode(format!("ci:{TOKEN}"));
    for place in ["out", "unpacked", "plan.json"] {
        for value in [TOKEN, &encoded] {
            let found = Command::new("grep").args(["-rlaF", value]).arg(context.root().join(place)).output();
            assert_eq!(String::from_utf8_lossy(&found.unwrap().stdout), "", "{value} in {place}");
        }
    }
}

/// What a start of the image's program in the unpacked image prints.
#[track_caller]
fn printed(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// An archive of npm with one module.
fn package() -> Vec<u8> {
    let mut builder =
        tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    for (path, text) in [
        ("package/package.json", r#"{"name":"@acme/greet","version":"1.0.0","main":"index.js"}"#),
        ("package/index.js", "module.exports = 'hello from acme';\n"),
    ] {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, path, text.as_bytes()).unwrap();
    }
    builder.into_inner().unwrap().finish().unwrap()
}

/// An app whose dependency `@acme/greet` is in a registry that asks for the token.
fn node_app(server: &Server) -> TestContext {
    let archive = package();
    let integrity = format!("sha512-{}", STANDARD.encode(sha2::Sha512::digest(&archive)));
    let tarball = format!("{}/npm/@acme/greet/-/greet-1.0.0.tgz", server.url());
    let version = serde_json::json!({
        "name": "@acme/greet", "version": "1.0.0", "dist": { "tarball": tarball, "integrity": integrity },
    });
    let document = serde_json::json!({
        "name": "@acme/greet", "dist-tags": { "latest": "1.0.0" }, "versions": { "1.0.0": version },
    });
    server.put("/npm/@acme%2fgreet", document.to_string());
    server.put("/npm/@acme/greet/-/greet-1.0.0.tgz", archive);
    server.guard("/npm/", &format!("Bearer {TOKEN}"));
    let lock = serde_json::json!({
        "name": "shop", "version": "1.0.0", "lockfileVersion": 3, "requires": true,
        "packages": {
            "": { "name": "shop", "version": "1.0.0", "dependencies": { "@acme/greet": "1.0.0" } },
            "node_modules/@acme/greet": { "version": "1.0.0", "integrity": integrity },
        },
    });
    let address = server.url().replace("http:", "");
    let context = TestContext::with_shared_store();
    context
        .file(
            "package.json",
            "{\"name\":\"shop\",\"version\":\"1.0.0\",\"scripts\":{\"start\":\"node server.js\"},\"dependencies\":{\
             \"@acme/greet\":\"1.0.0\"}}\n",
        )
        .file("package-lock.json", &lock.to_string())
        .file("server.js", "console.log(require('@acme/greet'));\n")
        .file(
            ".npmrc",
            &format!("@acme:registry={}/npm/\n{address}/npm/:_authToken=${{NPM_TOKEN}}\n", server.url()),
        );
    context
}

#[test]
#[ignore = "needs the network and a sandbox"]
fn network_userns_npm_takes_a_token_that_npmrc_names() {
    let server = Server::start();
    let context = node_app(&server);
    let refused = build(&context, &[]);
    assert_eq!(refused.status, 4, "{}", refused.stderr);
    for text in [
        "warning[secret/missing]: .npmrc:2 names the variable `NPM_TOKEN`, and there is no secret of this name",
        "`rpack build --secret id=NPM_TOKEN`",
        "the registry refuses without a credential: name a variable in `.npmrc`",
    ] {
        assert!(refused.stderr.contains(text), "`{text}` is missing in:\n{}", refused.stderr);
    }
    assert!(server.take_requests().iter().all(|request| request.ends_with(" without credential")));

    let finished = build(&context, &["--secret", "id=NPM_TOKEN"]);
    assert_eq!(finished.status, 0, "{}", finished.stderr);
    assert!(!finished.stderr.contains("secret/"), "{}", finished.stderr);
    let requests = server.take_requests();
    assert!(requests.contains(&"/npm/@acme/greet/-/greet-1.0.0.tgz".to_owned()), "{requests:?}");
    is_absent(&context, &finished);
    let module = context.root().join("unpacked/app/node_modules/@acme/greet/index.js");
    assert_eq!(fs::read_to_string(module).unwrap(), "module.exports = 'hello from acme';\n");
    assert!(!context.root().join("unpacked/app/.npmrc").exists());
}

#[test]
#[ignore = "needs the network and a sandbox"]
fn network_userns_npm_reads_a_file_that_holds_the_token() {
    let server = Server::start();
    let context = node_app(&server);
    context.file(".npmrc", &format!("@acme:registry={}/npm/\n", server.url()));
    let address = server.url().replace("http:", "");
    fs::write(context.root().join("npmrc"), format!("{address}/npm/:_authToken={TOKEN}\n")).unwrap();
    let finished = build(&context, &["--secret", "id=npmrc,src=../npmrc"]);
    assert_eq!(finished.status, 0, "{}", finished.stderr);
    is_absent(&context, &finished);
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
    let authorization = format!("Basic {}", STANDARD.encode(format!("ci:{TOKEN}")));
    server.guard("/simple/", &authorization);
    server.guard("/files/", &authorization);
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
