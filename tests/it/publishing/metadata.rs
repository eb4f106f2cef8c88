//! What an image says of itself: labels and annotations.

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
