//! What an image says of itself: labels, annotations, and the file for scripts.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::archive::Fixture;
use crate::support::debian_repository::Signing;
use crate::support::image::Layout;

/// What documents have for `key`.
fn texts<'a>(image: &'a Layout, key: &str) -> [&'a Value; 2] {
    [&image.config["config"]["Labels"][key], &image.manifest["annotations"][key]]
}

fn built(fixture: &Fixture, folder: &Path, arguments: &[&str]) -> Layout {
    let output = format!("oci:{}:1", folder.display());
    fixture.build(&[&["-o", &output], arguments].concat()).success();
    Layout::open(folder)
}

#[test]
fn flags_stand_above_the_file_and_annotations_are_no_labels() {
    let fixture = Fixture::new(7, Signing::Trusted);
    let context = &fixture.context;
    let file = "image.labels.\"com.acme.team\" = \"shop\"\nimage.annotations.\"com.acme.tier\" = \"web\"\n";
    context.file("rpack.toml", file);
    let image = built(&fixture, &context.root().join("file"), &[]);
    assert_eq!(texts(&image, "com.acme.team"), [&json!("shop"); 2]);
    assert_eq!(texts(&image, "com.acme.tier"), [&Value::Null, &json!("web")]);
    let title = "org.opencontainers.image.title";
    assert_eq!(texts(&image, title), [&json!("app"); 2]);
    let flags = [
        "--label=com.acme.team=web",
        "--label=org.opencontainers.image.title=",
        "--label=com.acme.query=a=b",
        "--annotation=com.acme.team=on the manifest",
        "--annotation=com.acme.tier=",
    ];
    let image = built(&fixture, &context.root().join("flags"), &flags);
    assert_eq!(texts(&image, "com.acme.team"), [&json!("web"), &json!("on the manifest")]);
    assert_eq!(texts(&image, "com.acme.query"), [&json!("a=b"); 2]);
    assert_eq!(texts(&image, "com.acme.tier"), [&Value::Null; 2]);
    assert_eq!(texts(&image, title), [&Value::Null; 2]);
}

#[test]
fn keys_that_cannot_be_are_refused_before_anything_is_built() {
    let fixture = Fixture::new(7, Signing::Trusted);
    let mut all = String::new();
    for flag in ["--label", "--annotation"] {
        for text in
            ["com.acme.team", "=shop", "org.opencontainers.image.licence=MIT", "rpack.base={}", "a b=c"]
        {
            let finished = fixture.build(&[flag, text]);
            assert_eq!((finished.status, &*finished.stdout), (2, ""), "{text}");
            all.push_str(&finished.stderr);
        }
    }
    insta::assert_snapshot!(all);
}

/// The file without what differs from run to run.
fn metadata(path: &Path) -> Value {
    let mut found: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let timings = found["timings"].as_array_mut().unwrap();
    // Some parts of stages run at the same time.
    timings.retain(|timing| timing["within"].is_null());
    for timing in timings {
        assert!(timing["milliseconds"].as_f64().unwrap() >= 0.0);
        timing["milliseconds"] = json!("[TIME]");
    }
    found["rpack"] = json!("[VERSION]");
    found
}

#[test]
fn the_metadata_file_says_what_was_made_also_when_nothing_changed() {
    let fixture = Fixture::new(7, Signing::Trusted);
    let root = fixture.context.root();
    let file = root.join("out/metadata.json");
    let flag = format!("--metadata-file={}", file.display());
    let layout = root.join("layout");
    let output = format!("oci:{}:1", layout.display());
    let flags = [flag.as_str(), "-t", "shop/web:1.4", "-t", "shop/web:latest", "-o", &output];
    let finished = fixture.build(&flags);
    assert_eq!((finished.status, &*finished.stdout), (2, ""), "{}", finished.stderr);
    assert!(finished.stderr.starts_with("error[cli/write]: cannot write "), "{}", finished.stderr);
    fs::create_dir(root.join("out")).unwrap();
    let digest = fixture.build(&flags).success();
    let first = metadata(&file);
    assert_eq!(first["digest"], json!(digest.trim()));
    assert_eq!(first["unchanged"], json!(false));
    let image = Layout::open(&layout);
    let made = &first["images"][0];
    assert_eq!(made["start-command"], image.config["config"]["Entrypoint"]);
    let digests = |layers: &Value| -> Vec<Value> {
        layers.as_array().unwrap().iter().map(|layer| json!([layer["digest"], layer["size"]])).collect()
    };
    assert_eq!(digests(&made["layers"]), digests(&image.manifest["layers"]));
    fs::remove_file(&file).unwrap();
    assert_eq!(fixture.build(&flags).success(), digest);
    let second = metadata(&file);
    assert_eq!(second["unchanged"], json!(true));
    assert_eq!(second["images"], first["images"]);
    assert_eq!(fs::read_dir(root.join("out")).unwrap().count(), 1);
    let filters = [
        (r"sha256:[0-9a-f]{64}", "[DIGEST]"),
        (r#"size": \d+"#, r#"size": "[SIZE]""#),
        (r"oci:/[^ ]*/layout", "oci:[ROOT]/layout"),
    ];
    insta::with_settings!({ filters => filters.to_vec() }, {
        insta::assert_snapshot!(serde_json::to_string_pretty(&first).unwrap());
    });
}

#[test]
fn copying_writes_metadata_too() {
    let fixture = Fixture::new(7, Signing::Trusted);
    let root = fixture.context.root();
    let digest = fixture.build(&[]).success();
    let file = root.join("metadata.json");
    let (flag, target) = (format!("--metadata-file={}", file.display()), root.join("copy"));
    let target = format!("oci:{}", target.display());
    fixture.context.rpack(&["copy", "--quiet", "app", &target, &flag]).success();
    let found = metadata(&file);
    assert_eq!(found["containerimage.digest"], json!(digest.trim()));
    assert_eq!(found["image.name"], json!("docker.io/library/app:latest"));
    assert_eq!(found["outputs"], json!([{ "destination": target, "digest": digest.trim() }]));
}
