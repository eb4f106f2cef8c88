//! Images made on others.

use super::*;
use crate::oci::Digest;
use crate::oci::image::{
    DOCKER_CONFIG, DOCKER_INDEX, DOCKER_LAYER_GZIP, DOCKER_MANIFEST, LAYER_GZIP, LAYER_ZSTD,
};
use crate::package::{Base, index as make_index};

/// A base with a merged `/usr`, a directory of its own kind, and fields that rpack does not know.
fn base(history: &serde_json::Value) -> Base {
    let mut files: Tree = [
        ("bin", Entry::symlink("usr/bin")),
        ("usr", Entry::directory()),
        ("usr/bin", Entry::directory().with_mode(0o755)),
        ("usr/bin/old", Entry::bytes("x")),
        ("srv", Entry::directory().with_mode(0o2775)),
        ("tmp", Entry::directory().with_mode(0o1777)),
        ("etc", Entry::directory()),
        ("etc/motd", Entry::bytes("x")),
    ]
    .into_iter()
    .map(|(path, entry)| (path.to_owned(), entry))
    .collect();
    files.add_parents();
    let layer = |media_type: &str, name: &str| model::BaseLayer {
        media_type: media_type.to_owned(),
        digest: Digest::of(name.as_bytes()),
        size: 7,
        diff_id: Digest::of(format!("plain {name}").as_bytes()),
    };
    let layers = vec![layer(LAYER_ZSTD, "one"), layer(LAYER_GZIP, "two")];
    let config = serde_json::json!({
        "architecture": "amd64", "os": "linux", "variant": "v2", "author": "somebody",
        "config": {
            "Cmd": ["/bin/sh"], "Entrypoint": ["/init"], "Healthcheck": {"Test": ["NONE"]},
            "ExposedPorts": {"9000/tcp": {}}, "Labels": {"old": "1"}, "StopSignal": "SIGQUIT",
        },
        "history": history,
        "rootfs": {"type": "layers", "diff_ids": layers.iter().map(|layer| layer.diff_id).collect::<Vec<_>>()},
    });
    Base { layers, config, files }
}

fn on_base(fixture: &Fixture, base: Base, entries: &[(&str, Entry)]) -> Result<Image, Error> {
    let layers = vec![layer("app", Time::Source, entries)];
    let input = Input {
        name: "shop",
        platform: "linux/amd64",
        layers,
        image: &fixture.image,
        base: Some(base),
        history: None,
        ahead: None,
    };
    package(input, &fixture.store, &Reporter::new(Progress::Quiet))
}

#[test]
fn the_media_types_of_docker_are_never_mixed_with_others() {
    let mut fixture = Fixture::new();
    fixture.image.media_types = MediaTypes::Docker;
    let entries = [("app/server", Entry::bytes("1"))];
    let mut below = base(&serde_json::json!([]));
    assert_eq!(on_base(&fixture, below.clone(), &entries).unwrap_err().id(), "package/media-type");
    below.layers.remove(0);
    let digests: Vec<_> = below.layers.iter().map(|layer| layer.digest).collect();
    let image = on_base(&fixture, below, &entries).unwrap();
    assert_eq!(image.layers[0].digest, digests[0], "bytes of a base stay");
    let manifest: serde_json::Value = serde_json::from_str(&fixture.json(&image.manifest.digest)).unwrap();
    let layers = manifest["layers"].as_array().unwrap().iter();
    let all = [&manifest, &manifest["config"]].into_iter().chain(layers);
    let types: Vec<&str> = all.map(|part| part["mediaType"].as_str().unwrap()).collect();
    assert_eq!(types, [DOCKER_MANIFEST, DOCKER_CONFIG, DOCKER_LAYER_GZIP, DOCKER_LAYER_GZIP]);
    assert_eq!(manifest["annotations"], serde_json::Value::Null);
    let annotations = BTreeMap::from([("tier".to_owned(), "web".to_owned())]);
    let several = vec![image.clone(), image];
    let product = make_index(several, annotations.clone(), &fixture.store).unwrap();
    let index: serde_json::Value = serde_json::from_str(&fixture.json(&product.root.digest)).unwrap();
    assert_eq!(
        (&index["mediaType"], &index["manifests"][0]["mediaType"]),
        (&DOCKER_INDEX.into(), &DOCKER_MANIFEST.into())
    );
    assert_eq!((product.is_index(), &index["annotations"]), (true, &serde_json::Value::Null));
    let oci = Fixture::new();
    let image = oci.package(vec![layer("app", Time::Source, &entries)]).unwrap();
    let product = make_index(vec![image.clone(), image], annotations, &oci.store).unwrap();
    let index: serde_json::Value = serde_json::from_str(&oci.json(&product.root.digest)).unwrap();
    assert_eq!(index["annotations"], serde_json::json!({"tier": "web"}));
}

#[test]
fn the_layers_and_the_config_of_a_base_are_taken_over() {
    let fixture = Fixture::new();
    let history = serde_json::json!([
        {"created_by": "ADD one"}, {"created_by": "ENV", "empty_layer": true}, {"created_by": "ADD two"},
    ]);
    let below = base(&history);
    let image = on_base(&fixture, below.clone(), &[("app/x", Entry::bytes("1"))]).unwrap();
    let found: Vec<_> = image.layers.iter().map(|layer| (layer.digest, layer.media_type.clone())).collect();
    let expected: Vec<_> =
        below.layers.iter().map(|layer| (layer.digest, layer.media_type.clone())).collect();
    assert_eq!(found[..2], expected[..]);
    let config: serde_json::Value = serde_json::from_str(&fixture.json(&image.config.digest)).unwrap();
    assert_eq!(config["variant"], "v2");
    assert_eq!(config["author"], "somebody");
    let settings = &config["config"];
    assert_eq!(settings["Healthcheck"], serde_json::json!({"Test": ["NONE"]}));
    assert_eq!(settings["ExposedPorts"], serde_json::json!({"8080/tcp": {}, "9000/tcp": {}}));
    assert_eq!(settings["Entrypoint"], serde_json::json!(["/usr/bin/node", "server.js"]));
    assert_eq!((&settings["Cmd"], &settings["StopSignal"]), (&serde_json::Value::Null, &"SIGTERM".into()));
    let made_by: Vec<_> = config["history"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["created_by"].as_str().unwrap())
        .collect();
    assert_eq!(made_by, ["ADD one", "ENV", "ADD two", "rpack app"]);
    let diff_ids: Vec<_> = image.layers.iter().map(|layer| layer.diff_id.to_string()).collect();
    assert_eq!(config["rootfs"]["diff_ids"], serde_json::json!(diff_ids));
    // A history that does not fit is made anew, one entry per layer.
    let image = on_base(&fixture, base(&serde_json::Value::Null), &[("app/x", Entry::bytes("1"))]).unwrap();
    let config: serde_json::Value = serde_json::from_str(&fixture.json(&image.config.digest)).unwrap();
    assert_eq!(config["history"].as_array().unwrap().len(), 3);
}

#[test]
fn files_go_where_the_links_of_a_base_lead() {
    let fixture = Fixture::new();
    let history = serde_json::Value::Null;
    let entries = [
        ("bin/tool", Entry::bytes("1").with_mode(0o755)),
        ("srv/data", Entry::bytes("1")),
        ("etc/motd", Entry::bytes("2")),
    ];
    let image = on_base(&fixture, base(&history), &entries).unwrap();
    assert_eq!(
        fixture.listing(&image, 2),
        [
            "app/ 755 0:0 315532801",
            "etc/ 755 0:0 315532801",
            "etc/motd 644 0:0 1700000000",
            "srv/ 2775 0:0 315532801",
            "srv/data 644 0:0 1700000000",
            "usr/ 755 0:0 315532801",
            "usr/bin/ 755 0:0 315532801",
            "usr/bin/tool 755 0:0 1700000000",
        ]
    );
    let error = on_base(&fixture, base(&history), &[("etc/motd/x", Entry::bytes("1"))]).unwrap_err();
    assert_eq!(error.to_string(), "`/etc/motd` is in layer `base image` and in layer `app`");
    let error = on_base(&fixture, base(&history), &[("etc", Entry::bytes("1"))]).unwrap_err();
    assert_eq!(error.id(), "package/overlap");
    let mut without = base(&history);
    without.files.remove("tmp");
    let image = on_base(&fixture, without, &[("app/x", Entry::bytes("1"))]).unwrap();
    assert!(fixture.listing(&image, 2).contains(&"tmp/ 1777 0:0 315532801".to_owned()));
}
