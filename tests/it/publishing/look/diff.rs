//! `rpack diff`.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::{foreign_image, lower, serve, settings, status, upper, without_digests};
use crate::archive::Fixture;
use crate::support::TestContext;
use crate::support::debian_repository::{Package, Signing};
use crate::support::elf::Elf;
use crate::support::foreign::{self, Layer};
use crate::support::http_server::Server;
use crate::support::image::Layout;

/// Two versions of an app in two layouts.
fn two_versions() -> Fixture {
    let mut fixture = Fixture::new(7, Signing::Trusted);
    let library =
        |version: &str, text: &str| {
            let bytes = Elf::new().named("libfoo.so.1").bytes();
            Package::new("libfoo1", version)
                .bytes("./usr/lib/x86_64-linux-gnu/libfoo.so.1", bytes, 0o644)
                .file("./usr/share/foo/data", text, 0o644)
        };
    fixture.repository.add(library("1.0", "data"));
    fixture.publish(0, Signing::Trusted);
    let context = &fixture.context;
    context.file("rpack.toml", "name = \"shop\"\nruntime.packages = [\"libfoo1\"]\nruntime.env.MODE = \"a\"\nimage.labels.old = \"1\"\n");
    context.file("static/same", "same").file("static/changed", "one").file("static/removed", "x");
    fs::write(context.app().join("server"), Elf::new().needs(&["libfoo.so.1"]).bytes()).unwrap();
    fixture.build(&["-o", "oci:../one"]).success();
    fixture.repository.replace(library("2.0", "other data"));
    fixture.publish(0, Signing::Trusted);
    let context = &fixture.context;
    context.file(
        "rpack.toml",
        "name = \"shop\"\nruntime.packages = [\"libfoo1\"]\nruntime.env.MODE = \"b\"\nimage.ports = [9000]\n",
    );
    context.file("static/changed", "other").file("static/added/deep", "new");
    context.file("Procfile", "web: ./server --port $PORT --fast\n");
    fs::remove_file(context.app().join("static/removed")).unwrap();
    forget(context.store());
    fixture.build(&["-o", "oci:../other"]).success();
    fixture
}

/// As if time had passed: answers of the archive are no longer believed.
fn forget(store: &Path) {
    for entry in fs::read_dir(store.join("metadata")).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name().to_str().unwrap().starts_with("answer-") {
            fs::remove_file(entry.path()).unwrap();
        }
    }
}

fn layers(layout: &Path) -> Vec<String> {
    let digest = |layer: &Value| layer["digest"].as_str().unwrap().to_owned();
    Layout::open(layout).manifest["layers"].as_array().unwrap().iter().map(digest).collect()
}

fn remove(layout: &Path, digest: &str) {
    fs::remove_file(layout.join("blobs").join(digest.replace(':', "/"))).unwrap();
}

#[test]
fn two_versions_of_an_app() {
    let fixture = two_versions();
    let context = &fixture.context;
    let (one, other) = (context.root().join("one"), context.root().join("other"));
    // A store without these images, and layouts without the layers of both: they are not needed.
    let shared: Vec<String> =
        layers(&one).into_iter().filter(|digest| layers(&other).contains(digest)).collect();
    assert_eq!(shared.len(), 2);
    for digest in &shared {
        remove(&one, digest);
        remove(&other, digest);
    }
    let store = context.root().join("empty-store");
    let run = |arguments: &[&str]| {
        let mut command = context.command(&[&["diff"], arguments].concat());
        context.finish(command.env("RPACK_STORE", &store).output().unwrap())
    };
    let text = run(&["oci:../one", "oci:../other"]).success();
    insta::assert_snapshot!("diff", without_digests(&text));
    let json: Value =
        serde_json::from_str(&run(&["oci:../one", "oci:../other", "--json"]).success()).unwrap();
    insta::assert_snapshot!("diff_json", without_digests(&serde_json::to_string_pretty(&json).unwrap()));
    let coded = run(&["oci:../one", "oci:../other", "--exit-code"]);
    assert_eq!((coded.status, coded.stdout), (1, text));
}

#[test]
fn equal_digests_are_seen_without_opening_a_layer() {
    let context = TestContext::new();
    let layout = foreign_image(&context);
    for digest in layers(&layout) {
        remove(&layout, &digest);
    }
    let same = context.rpack(&["diff", "oci:../foreign", "oci:../foreign", "--exit-code"]).success();
    assert_eq!(without_digests(&same), "sha256:[DIGEST]  both are the same image\n");
}

#[test]
fn images_of_other_programs() {
    let context = TestContext::new();
    foreign_image(&context);
    let mut settings = settings();
    settings["config"]["Cmd"] = json!(["node", "other.js"]);
    settings["config"]["Healthcheck"] = json!({"Test": ["NONE"]});
    let upper = Layer::new()
        .file("etc/gone", "removed above")
        .file("usr/lib/first", "rewritten")
        .link("usr/lib/second", "first")
        .directory("var/mail/", 0o755, 0)
        .directory("empty/", 0o755, 0)
        .file("var/lib/dpkg/status", &status(&[("libc6", "2.41-13")]))
        .file_as("srv/server.js", "serve()", 0o755, 0)
        .link("srv/link", "/etc/os-release");
    foreign::layout(context.root().join("second"), vec![lower(), upper], settings);
    let text = context.rpack(&["diff", "oci:../foreign", "oci:../second"]).success();
    insta::assert_snapshot!("diff_of_others", without_digests(&text));
}

#[test]
fn further_names_of_files_of_a_layer_of_both() {
    let context = TestContext::new();
    let linked = |target: &str| Layer::new().hard_link("srv/list", target).file("srv/file", target);
    let one = linked("var/lib/dpkg/status");
    foreign::layout(context.root().join("one"), vec![lower(), one], json!({}));
    foreign::layout(context.root().join("two"), vec![lower(), linked("usr/lib/second")], json!({}));
    let text = context.rpack(&["diff", "oci:../one", "oci:../two"]).success();
    insta::assert_snapshot!("diff_linked", without_digests(&text));
}

#[test]
fn a_long_list_of_files_is_shortened() {
    let context = TestContext::new();
    foreign_image(&context);
    let many = |layer: Layer, number: usize| layer.file(&format!("many/{number:03}"), "x");
    let added = (0..30).fold(Layer::new(), many);
    let mut settings = settings();
    settings["history"].as_array_mut().unwrap().push(json!({"created_by": "COPY many"}));
    foreign::layout(context.root().join("many"), vec![lower(), upper(), added], settings);
    let text = context.rpack(&["diff", "oci:../foreign", "oci:../many"]).success();
    insta::assert_snapshot!("diff_many", without_digests(&text));
    let json = context.rpack(&["diff", "oci:../foreign", "oci:../many", "--json"]).success();
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["files"]["entries"].as_array().unwrap().len(), 30);
}

#[test]
fn layers_of_both_are_not_fetched_from_a_registry() {
    let context = TestContext::new();
    let server = Server::start();
    let layer = |text: &str| Layer::new().file("app/file", text);
    let one = foreign::layout(context.root().join("a"), vec![lower(), layer("1")], settings());
    let other = foreign::layout(context.root().join("b"), vec![lower(), layer("22")], settings());
    let (shared, [first, second]) =
        (layers(&one)[0].clone(), [&one, &other].map(|image| layers(image)[1].clone()));
    serve(&server, &one, "1");
    serve(&server, &other, "2");
    let host = server.url().strip_prefix("http://").unwrap().to_owned();
    let name = |tag: &str| format!("docker://{host}/app:{tag}");
    let text = context.rpack(&["diff", &name("1"), &name("2")]).success();
    assert!(text.contains("\n    ~ /app/file  content 1 B → 2 B\n"), "{text}");
    let requests = server.take_requests();
    let fetched = |digest: &str| requests.iter().filter(|path| path.ends_with(digest)).count();
    assert_eq!([&shared, &first, &second].map(|digest| fetched(digest)), [0, 1, 1], "{requests:?}");
}

#[test]
fn an_index_and_its_image_for_this_platform_are_the_same() {
    let context = TestContext::new();
    let layout = foreign_image(&context);
    let index: Value = serde_json::from_slice(&fs::read(layout.join("index.json")).unwrap()).unwrap();
    let mut member = index["manifests"][0].clone();
    member["platform"] = json!({"os": "linux", "architecture": "amd64"});
    let media_type = "application/vnd.oci.image.index.v1+json";
    let index = json!({"schemaVersion": 2, "mediaType": media_type, "manifests": [member]});
    let other = context.root().join("index");
    fs::create_dir(&other).unwrap();
    crate::support::copy(&layout.join("blobs"), &other.join("blobs"));
    let entry = foreign::blob(&other, media_type, &serde_json::to_vec(&index).unwrap());
    foreign::name(&other, &entry);
    let arguments = ["diff", "oci:../foreign", "oci:../index", "--platform", "linux/amd64", "--exit-code"];
    let text = context.rpack(&arguments).success();
    assert_eq!(without_digests(&text), "sha256:[DIGEST]  both have the same image for linux/amd64\n");
}
