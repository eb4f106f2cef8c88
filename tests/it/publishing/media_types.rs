//! Images with the media types of Docker: the same layers, never mixed, read by other people's tools and by rpack.

use std::fs;

use serde_json::{Value, json};

use crate::archive::Fixture;
use crate::support::debian_repository::Signing;
use crate::support::image::Layout;
use crate::support::registry::{Registry, tool};

const TYPES: [&str; 4] = [
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.container.image.v1+json",
    "application/vnd.docker.image.rootfs.diff.tar.gzip",
    "application/vnd.docker.distribution.manifest.list.v2+json",
];

fn built(fixture: &Fixture, name: &str, arguments: &[&str]) -> Layout {
    let folder = fixture.context.root().join(name);
    let output = format!("oci:{}:1", folder.display());
    fixture.build(&[&["-o", &output], arguments].concat()).success();
    Layout::open(&folder)
}

/// Digests and media types of config and layers.
fn parts(image: &Layout) -> (Vec<Value>, Vec<Value>) {
    let layers = image.manifest["layers"].as_array().unwrap();
    let all = || std::iter::once(&image.manifest["config"]).chain(layers);
    (
        all().map(|part| part["digest"].clone()).collect(),
        all().map(|part| part["mediaType"].clone()).collect(),
    )
}

#[test]
fn the_types_are_dockers_throughout_and_the_bytes_are_the_same() {
    let fixture = Fixture::new(7, Signing::Trusted);
    let oci = built(&fixture, "oci", &[]);
    let docker = built(&fixture, "docker", &["--media-types", "docker", "--annotation", "com.acme.tier=web"]);
    assert_eq!(docker.manifest["mediaType"], TYPES[0]);
    assert_eq!(docker.manifest["annotations"], Value::Null);
    let ((digests, types), (oci, _)) = (parts(&docker), parts(&oci));
    assert_eq!(digests, oci);
    let layers = digests.len() - 1;
    assert_eq!(types, [vec![json!(TYPES[1])], vec![json!(TYPES[2]); layers]].concat());
    fixture.context.file("rpack.toml", "image.media-types = \"docker\"\n");
    assert_eq!(built(&fixture, "file", &[]).manifest, docker.manifest);
}

#[test]
fn zstd_and_words_that_are_no_types_are_refused() {
    let fixture = Fixture::new(7, Signing::Trusted);
    let mut all = String::new();
    for flags in [&["--media-types=docker", "--compression=zstd"][..], &["--media-types=Docker"]] {
        let finished = fixture.build(flags);
        assert_eq!((finished.status, &*finished.stdout), (2, ""));
        all.push_str(&finished.stderr);
    }
    insta::assert_snapshot!(all);
}

#[test]
#[ignore = "needs docker-registry, apache2-utils, skopeo and podman: run by .ci/run"]
fn tool_skopeo_podman_and_rpack_read_dockers_types_from_a_registry() {
    let fixture = Fixture::new(7, Signing::Trusted);
    let context = &fixture.context;
    let registry = Registry::with_user(context.root());
    let reference = format!("docker://{}/shop/web:1", registry.host);
    let auth = context.root().join("auth.json");
    fs::write(&auth, registry.auth()).unwrap();
    let rpack = |arguments: &[&str]| {
        let definitions = fixture.definitions.to_str().unwrap();
        let mut command = context.command(&[arguments, &["--quiet", "--definitions", definitions]].concat());
        context.finish(command.env("RPACK_REGISTRY_AUTH", &auth).output().unwrap()).success()
    };
    let digest = rpack(&["build", "--media-types", "docker", "-o", &reference]);
    let raw = tool("skopeo", &["inspect", "--raw", "--tls-verify=false", "--creds=me:secret", &reference]);
    let manifest: Value = serde_json::from_str(&raw).unwrap();
    assert_eq!(manifest["mediaType"], TYPES[0]);
    let folder = context.root().join("read");
    let target = format!("dir:{}", folder.display());
    tool("skopeo", &["copy", "--src-tls-verify=false", "--src-creds=me:secret", &reference, &target]);
    let copied: Value = serde_json::from_slice(&fs::read(folder.join("manifest.json")).unwrap()).unwrap();
    assert_eq!(copied, manifest);
    let [storage, run] = ["podman", "podman-run"].map(|name| format!("{}/{name}", context.root().display()));
    let podman = |arguments: &[&str]| {
        let places = ["--root", &storage, "--runroot", &run, "--storage-driver", "vfs"];
        tool("podman", &[&places, arguments].concat())
    };
    podman(&["pull", "--quiet", "--tls-verify=false", "--creds=me:secret", &reference]);
    let name = reference.trim_start_matches("docker://");
    assert_eq!(podman(&["image", "inspect", "--format={{.ManifestType}}", name]).trim(), TYPES[0]);
    assert_eq!(rpack(&["copy", &reference, "pulled:1"]), digest);
}
