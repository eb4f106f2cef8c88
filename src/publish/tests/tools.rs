//! Other programs read what is published.

use std::process::Command;

use super::*;
use crate::publish::unpack;

fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
#[ignore = "needs skopeo: run by .ci/run"]
fn tool_skopeo_reads_layers_of_zstd() {
    let fixture = Fixture::new();
    let image = fixture.image_of("linux/amd64", "1", Compression::Zstd { level: 3 });
    let source = format!("oci:{}:v1", fixture.path("out").display());
    fixture.publish(&image, &source, "team/app").unwrap();
    let plain = fixture.path("plain");
    let target = format!("dir:{}", plain.display());
    run("skopeo", &["--insecure-policy", "copy", "--dest-decompress", &source, &target]);
    for layer in &image.layers {
        let archive = fs::read(plain.join(layer.diff_id.hex())).unwrap();
        assert_eq!(Digest::of(&archive), layer.diff_id);
    }
    let root = unpack(&image, &fixture.store).unwrap().root;
    assert_eq!(fs::read_to_string(root.join("app/version")).unwrap(), "1");
}

#[test]
#[ignore = "needs skopeo and umoci: run by .ci/run"]
fn tool_skopeo_and_umoci_read_every_form() {
    let fixture = Fixture::new();
    let image = fixture.image("1");
    let path = |name: &str| fixture.path(name).display().to_string();
    let (layout, archive, docker) = (path("out"), path("oci.tar"), path("docker.tar"));
    fixture.publish(&image, &format!("oci:{layout}:v1"), "team/app").unwrap();
    fixture.publish(&image, &format!("oci-archive:{archive}:v1"), "team/app").unwrap();
    fixture.publish(&image, &format!("docker-archive:{docker}"), "team/app:v1").unwrap();
    let digest = image.manifest.digest.to_string();
    for source in [format!("oci:{layout}:v1"), format!("oci-archive:{archive}:v1")] {
        let facts: Value = serde_json::from_str(&run("skopeo", &["inspect", &source])).unwrap();
        assert_eq!(facts["Digest"], digest.as_str(), "{source}");
        assert_eq!(facts["Labels"], json!({"org.opencontainers.image.title": "app"}));
        assert_eq!(facts["Created"], "2023-11-14T22:13:20Z");
    }
    run("skopeo", &["inspect", &format!("docker-archive:{docker}:team/app:v1")]);
    let copy = path("copy");
    run(
        "skopeo",
        &["--insecure-policy", "copy", &format!("docker-archive:{docker}"), &format!("oci:{copy}:v1")],
    );
    run(
        "skopeo",
        &["--insecure-policy", "copy", &format!("oci:{layout}:v1"), &format!("dir:{}", path("dir"))],
    );
    let bundle = path("bundle");
    run("umoci", &["unpack", "--rootless", "--image", &format!("{layout}:v1"), &bundle]);
    let root = fixture.path("bundle/rootfs");
    assert_eq!(fs::read_to_string(root.join("app/version")).unwrap(), "1");
    assert_eq!(fs::metadata(root.join("data")).unwrap().mode() & 0o7777, 0o1777);
    let unpacked = unpack(&image, &fixture.store).unwrap();
    run(
        "diff",
        &["--recursive", "--no-dereference", root.to_str().unwrap(), unpacked.root.to_str().unwrap()],
    );
}
