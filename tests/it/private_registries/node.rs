//! npm, pnpm, yarn and bun.

use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::Digest as _;

use super::{TOKEN, build, is_absent};
use crate::support::TestContext;
use crate::support::http_server::Server;

/// An archive of npm with one module.
fn package(version: &str) -> Vec<u8> {
    let mut builder =
        tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    for (path, text) in [
        (
            "package/package.json",
            &*format!(r#"{{"name":"@acme/greet","version":"{version}","main":"index.js"}}"#),
        ),
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
fn node_app(server: &Server, version: &str) -> TestContext {
    let archive = package(version);
    let integrity = format!("sha512-{}", STANDARD.encode(sha2::Sha512::digest(&archive)));
    let tarball = format!("{}/npm/@acme/greet/-/greet-{version}.tgz", server.url());
    let release = serde_json::json!({
        "name": "@acme/greet", "version": version, "dist": { "tarball": tarball, "integrity": integrity },
    });
    let document = serde_json::json!({
        "name": "@acme/greet", "dist-tags": { "latest": version }, "versions": { version: release },
        "time": { version: "2026-01-01T00:00:00.000Z" },
    });
    for slash in ["%2f", "%2F"] {
        server.put(&format!("/npm/@acme{slash}greet"), document.to_string());
    }
    server.put(&format!("/npm/@acme/greet/-/greet-{version}.tgz"), archive);
    server.guard("/npm/", &format!("Bearer {TOKEN}"));
    let lock = serde_json::json!({
        "name": "shop", "version": "1.0.0", "lockfileVersion": 3, "requires": true,
        "packages": {
            "": { "name": "shop", "version": "1.0.0", "dependencies": { "@acme/greet": version } },
            "node_modules/@acme/greet": { "version": version, "integrity": integrity },
        },
    });
    let address = server.url().replace("http:", "");
    let context = TestContext::with_shared_store();
    context
        .file(
            "package.json",
            &format!(
                "{{\"name\":\"shop\",\"version\":\"1.0.0\",\"scripts\":{{\"start\":\"node server.js\"}},\"dependencies\":{{\
                 \"@acme/greet\":\"{version}\"}}}}\n"
            ),
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
    let context = node_app(&server, "1.0.0");
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
    let context = node_app(&server, "1.0.0");
    context.file(".npmrc", &format!("@acme:registry={}/npm/\n", server.url()));
    let address = server.url().replace("http:", "");
    fs::write(context.root().join("npmrc"), format!("{address}/npm/:_authToken={TOKEN}\n")).unwrap();
    let finished = build(&context, &["--secret", "id=npmrc,src=../npmrc"]);
    assert_eq!(finished.status, 0, "{}", finished.stderr);
    is_absent(&context, &finished);
}

/// The same app without a lock for another manager, with the file that it reads.
fn app_of(server: &Server, version: &str, manager: &str, (file, text): (&str, &str)) -> TestContext {
    let context = node_app(server, version);
    fs::remove_file(context.app().join("package-lock.json")).unwrap();
    fs::remove_file(context.app().join(".npmrc")).unwrap();
    let address = server.url().replace("http:", "");
    context
        .file(
            "package.json",
            &format!(
                "{{\"name\":\"shop\",\"version\":\"1.0.0\",\"packageManager\":\"{manager}\",\"scripts\":{{\"start\":\"node \
                 server.js\"}},\"dependencies\":{{\"@acme/greet\":\"{version}\"}}}}\n"
            ),
        )
        .file(file, &text.replace("ADDRESS", &address).replace("URL", &server.url()));
    context
}

#[track_caller]
fn takes_the_token(manager: &str, file: (&str, &str)) {
    let server = Server::start();
    // Managers keep what they fetch by name and version, in a cache that all tests share.
    let version = format!("1.{}.{}", std::process::id(), server.url().rsplit(':').next().unwrap());
    let context = app_of(&server, &version, manager, file);
    let finished = build(&context, &["--secret", "id=NPM_TOKEN"]);
    assert_eq!(finished.status, 0, "{}", finished.stderr);
    let requests = server.take_requests();
    assert!(requests.contains(&format!("/npm/@acme/greet/-/greet-{version}.tgz")), "{requests:?}");
    is_absent(&context, &finished);
}

const NPMRC: (&str, &str) = (".npmrc", "@acme:registry=URL/npm/\nADDRESS/npm/:_authToken=${NPM_TOKEN}\n");

#[test]
#[ignore = "needs the network and a sandbox"]
fn network_userns_pnpm_takes_a_token_that_npmrc_names() {
    takes_the_token("pnpm@10.34.9", NPMRC);
}

#[test]
#[ignore = "needs the network and a sandbox"]
fn network_userns_yarn_1_takes_a_token_that_npmrc_names() {
    takes_the_token("yarn@1.22.22", NPMRC);
}

#[test]
#[ignore = "needs the network and a sandbox"]
fn network_userns_yarn_4_takes_a_token_that_yarnrc_names() {
    let text = "nodeLinker: node-modules\nnpmPreapprovedPackages: [\"@acme/*\"]\nunsafeHttpWhitelist: [\"127.0.0.1\"]\nnpmScopes:\n  acme:\n    npmRegistryServer: \
                \"URL/npm\"\n    npmAuthToken: \"${NPM_TOKEN}\"\n    npmAlwaysAuth: true\n";
    takes_the_token("yarn@4.18.1", (".yarnrc.yml", text));
}

#[test]
#[ignore = "needs the network and a sandbox"]
fn network_userns_bun_takes_a_token_that_bunfig_names() {
    let text = "[install.scopes]\nacme = { url = \"URL/npm/\", token = \"$NPM_TOKEN\" }\n";
    takes_the_token("bun@1.4.5", ("bunfig.toml", text));
}
