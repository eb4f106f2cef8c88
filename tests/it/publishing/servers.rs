//! The same with registries of different make, and with other people's clients on both sides.

use rpack::http::{Client, Options, Protection, Request};
use rpack::oci::image::{Descriptor, MANIFEST};
use rpack::oci::registry::{Credentials, Places, Registry as RegistryClient, Settings};
use rpack::oci::{Digest, Reference};
use serde_json::{Value, json};

use crate::support::TestContext;
use crate::support::image::{index_of, layout_of, noise};
use crate::support::registry::{Ggcr, Registry, tool, tools};

/// Pushes an index, mounts it elsewhere, pulls it back, and lets skopeo and crane read and write.
fn exchange(host: &str) {
    let context = TestContext::new();
    let layout = context.root().join("image");
    let digest = index_of(&layout, &[noise(1, 300_000), noise(2, 1000)]);
    let source = format!("oci:{}:1", layout.display());
    let place = |name: &str| format!("docker://{host}/{name}");
    assert_eq!(context.rpack(&["copy", &source, &place("team/app:1")]).success(), format!("{digest}\n"));
    assert_eq!(context.rpack(&["copy", &source, &place("other/app:2")]).success(), format!("{digest}\n"));
    let machine = TestContext::new();
    let back = machine.root().join("back");
    let target = format!("oci:{}:1", back.display());
    assert_eq!(machine.rpack(&["copy", &place("other/app:2"), &target]).success(), format!("{digest}\n"));
    assert_eq!(files(&back), files(&layout));

    let raw = tool("skopeo", &["inspect", "--raw", "--tls-verify=false", &place("team/app:1")]);
    assert_eq!(Digest::of(raw.as_bytes()).to_string(), digest);
    let crane = tools().join("crane");
    let crane = |arguments: &[&str]| tool(crane.to_str().unwrap(), arguments);
    assert_eq!(crane(&["digest", "--insecure", &format!("{host}/team/app:1")]).trim(), digest);
    crane(&["copy", "--insecure", &format!("{host}/team/app:1"), &format!("{host}/crane/app:1")]);
    assert_eq!(machine.rpack(&["copy", &place("crane/app:1"), "crane:1"]).success(), format!("{digest}\n"));
}

/// The names of a layout's blobs.
fn files(layout: &std::path::Path) -> Vec<String> {
    let entries = std::fs::read_dir(layout.join("blobs/sha256")).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
#[ignore = "needs docker-registry, skopeo and crane: run by .ci/run"]
fn tool_an_index_and_docker_registry() {
    let folder = tempfile::tempdir().unwrap();
    exchange(&Registry::open(folder.path()).host);
}

#[test]
#[ignore = "needs go-containerregistry, skopeo and crane: run by .ci/run"]
fn tool_an_index_and_go_containerregistry() {
    exchange(&Ggcr::start().host);
}

/// Attaches two documents to an image and lists them, as signatures and bills of materials are.
fn refer(host: &str, keeps_lists: bool) {
    let context = TestContext::new();
    let layout = context.root().join("image");
    let digest = layout_of(&layout, &[noise(1, 1000)]);
    let source = format!("oci:{}:1", layout.display());
    context.rpack(&["copy", &source, &format!("docker://{host}/app:1")]).success();
    let client = RegistryClient::new(
        Client::new(Options::default()),
        Settings::default(),
        Credentials::new(Places::default()),
    );
    let reference: Reference = format!("{host}/app:1").parse().unwrap();
    let subject = client.manifest(&reference).unwrap();
    let blob: Value = serde_json::from_slice::<Value>(&subject.bytes).unwrap()["config"].clone();
    let mut kinds = Vec::new();
    for kind in ["application/spdx+json", "application/vnd.in-toto+json"] {
        // Registries of older times take the type of the config for that of the artifact.
        let config = json!({"mediaType": kind, "digest": blob["digest"], "size": blob["size"]});
        let document = json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": kind, "config": config, "layers": [],
            "subject": {"mediaType": subject.media_type, "digest": digest, "size": subject.bytes.len()},
        });
        let bytes = document.to_string().into_bytes();
        let mut entry = Descriptor::new(MANIFEST, Digest::of(&bytes), bytes.len() as u64);
        entry.artifact_type = Some(kind.to_owned());
        client.attach(&reference, subject.digest, &entry, bytes).unwrap();
        kinds.push((entry.digest, Some(kind.to_owned())));
    }
    let found = client.referrers(&reference, subject.digest, None).unwrap();
    let mut found: Vec<_> = found.into_iter().map(|entry| (entry.digest, entry.artifact_type)).collect();
    found.sort();
    kinds.sort();
    assert_eq!(found, kinds);
    assert_eq!(client.referrers(&reference, subject.digest, Some("application/spdx+json")).unwrap().len(), 1);
    // Whichever way it was: a registry that keeps lists answers with them.
    let address = format!("http://{host}/v2/app/referrers/{digest}");
    let listed =
        Client::new(Options::default()).ask(&Request::get(address, Protection::Transport), 1 << 20).unwrap();
    assert_eq!(listed.status == 200, keeps_lists);
}

#[test]
#[ignore = "needs docker-registry: run by .ci/run"]
fn tool_referrers_by_a_tag() {
    let folder = tempfile::tempdir().unwrap();
    refer(&Registry::open(folder.path()).host, false);
}

#[test]
#[ignore = "needs go-containerregistry: run by .ci/run"]
fn tool_referrers_by_the_registry() {
    refer(&Ggcr::start().host, true);
}
