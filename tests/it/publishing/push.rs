//! What goes over the wire when an image is pushed, copied and pulled, counted at a real registry.

use std::thread;

use crate::support::TestContext;
use crate::support::image::{layout_of, noise};
use crate::support::proxy::{Fault, Proxy};
use crate::support::registry::{Registry, tool};

fn harmless(registry: &Registry) -> Proxy {
    Proxy::start(&registry.host, |_| Fault::None)
}

fn hex(bytes: &[u8]) -> String {
    rpack::oci::Digest::of(bytes).hex()
}

#[test]
#[ignore = "needs docker-registry: run by .ci/run"]
fn tool_what_is_there_is_not_sent() {
    let context = TestContext::new();
    let registry = Registry::open(context.root());
    let proxy = harmless(&registry);
    let (dependencies, app) = (noise(1, 3 << 20), noise(2, 100_000));
    let source = format!("oci:{}:1", context.root().join("image").display());
    let digest = layout_of(&context.root().join("image"), &[dependencies.clone(), app.clone()]);
    let target = |tag: &str| format!("docker://{}/team/app:{tag}", proxy.host);

    // The first time everything goes, the config in one request with the end of its upload.
    assert_eq!(context.rpack(&["copy", &source, &target("1")]).success(), format!("{digest}\n"));
    let asked = proxy.take();
    let sent: u64 = asked.iter().map(|asked| asked.body).sum();
    let count = |method: &str| asked.iter().filter(|asked| asked.method == method).count();
    assert_eq!((count("HEAD"), count("POST"), count("PATCH"), count("PUT"), count("GET")), (4, 3, 0, 4, 0));

    // Nothing changed: one request.
    context.rpack(&["copy", &source, &target("1")]).success();
    assert_eq!(proxy.take_lines(), ["HEAD /v2/team/app/manifests/1"]);

    // Another tag of the same image: no blob is sent.
    context.rpack(&["copy", &source, &target("2")]).success();
    let asked = proxy.take();
    let documents: u64 =
        asked.iter().filter(|asked| asked.path.contains("/manifests/")).map(|asked| asked.body).sum();
    assert_eq!(asked.iter().map(|asked| asked.body).sum::<u64>(), documents);
    assert!(asked.iter().all(|asked| asked.method != "POST"));

    // One layer changed: that and the config are sent, and nothing else.
    let app = noise(3, 100_000);
    layout_of(&context.root().join("image"), &[dependencies.clone(), app.clone()]);
    context.rpack(&["copy", &source, &target("1")]).success();
    let asked = proxy.take();
    assert_eq!(asked.iter().filter(|asked| asked.method == "POST").count(), 2);
    let bodies: u64 = asked.iter().map(|asked| asked.body).sum();
    assert!(bodies < 110_000 && sent > (3 << 20), "{bodies} of {sent}");

    // Another repository of the same registry: everything is mounted.
    context.rpack(&["copy", &source, &format!("docker://{}/other/app:1", proxy.host)]).success();
    let asked = proxy.take();
    let mounts: Vec<_> = asked.iter().filter(|asked| asked.path.contains("?mount=")).collect();
    assert_eq!(mounts.len(), 3);
    assert!(mounts.iter().all(|asked| asked.path.ends_with("&from=team%2Fapp")));
    assert!(asked.iter().all(|asked| !asked.is_upload()));
    let path =
        format!("registry/docker/registry/v2/repositories/other/app/_layers/sha256/{}", hex(&dependencies));
    assert!(context.root().join(path).exists());
}

#[test]
#[ignore = "needs docker-registry: run by .ci/run"]
fn tool_a_copy_within_a_registry_moves_no_bytes() {
    let context = TestContext::new();
    let registry = Registry::open(context.root());
    let source = format!("oci:{}:1", context.root().join("image").display());
    let digest = layout_of(&context.root().join("image"), &[noise(1, 1 << 20), noise(2, 10)]);
    context.rpack(&["copy", &source, &format!("docker://{}/a:1", registry.host)]).success();
    // Another machine: nothing is in its store.
    let other = TestContext::new();
    let proxy = harmless(&registry);
    let place = |name: &str| format!("docker://{}/{name}", proxy.host);
    assert_eq!(other.rpack(&["copy", &place("a:1"), &place("b:1")]).success(), format!("{digest}\n"));
    let asked = proxy.take();
    let gets: Vec<_> =
        asked.iter().filter(|asked| asked.method == "GET").map(|asked| asked.path.as_str()).collect();
    // The manifest, and the config, which says what the image is for.
    assert_eq!(gets.len(), 2, "{gets:?}");
    assert!(asked.iter().all(|asked| !asked.is_upload()));
    // By digest as well, without a tag.
    other.rpack(&["copy", &place("a:1"), &place(&format!("c@{digest}"))]).success();
    assert!(proxy.take_lines().contains(&format!("PUT /v2/c/manifests/{digest}")));
}

#[test]
#[ignore = "needs docker-registry and skopeo: run by .ci/run"]
fn tool_what_others_push_is_pulled_and_what_is_pushed_others_read() {
    let context = TestContext::new();
    let registry = Registry::open(context.root());
    context.file("Procfile", "web: /app/run\n").file("run", "#!/bin/sh\n");
    let layout = context.root().join("image");
    let digest = layout_of(&layout, &[noise(1, 200_000), noise(2, 10)]);
    let place = |name: &str| format!("docker://{}/{name}", registry.host);
    // skopeo pushes, rpack pulls.
    let from = format!("oci:{}:1", layout.display());
    tool(
        "skopeo",
        &["copy", "-q", "--preserve-digests", "--dest-tls-verify=false", &from, &place("skopeo:1")],
    );
    assert_eq!(context.rpack(&["copy", &place("skopeo:1"), "pulled:1"]).success(), format!("{digest}\n"));
    let back = format!("oci:{}:1", context.root().join("back").display());
    assert_eq!(context.rpack(&["copy", "pulled:1", &back]).success(), format!("{digest}\n"));
    // rpack pushes, skopeo reads.
    context.rpack(&["copy", "pulled:1", &place("rpack:1")]).success();
    let raw = tool("skopeo", &["inspect", "--raw", "--tls-verify=false", &place("rpack:1")]);
    assert_eq!(format!("sha256:{}", hex(raw.as_bytes())), digest);
    let again = format!("dir:{}", context.root().join("dir").display());
    tool("skopeo", &["copy", "-q", "--src-tls-verify=false", &place("rpack:1"), &again]);
}

#[test]
#[ignore = "needs docker-registry: run by .ci/run"]
fn tool_eight_processes_push_one_image_and_each_blob_is_sent_once() {
    let context = TestContext::new();
    let registry = Registry::open(context.root());
    let proxy = harmless(&registry);
    let layers: Vec<Vec<u8>> = (1..5).map(|seed| noise(seed, 2 << 20)).collect();
    let size: u64 = layers.iter().map(|layer| layer.len() as u64).sum();
    let digest = layout_of(&context.root().join("image"), &layers);
    let source = format!("oci:{}:1", context.root().join("image").display());
    let target = format!("docker://{}/app:1", proxy.host);
    thread::scope(|scope| {
        let pushes: Vec<_> =
            (0..8).map(|_| scope.spawn(|| context.rpack(&["copy", &source, &target]).success())).collect();
        for push in pushes {
            assert_eq!(push.join().unwrap(), format!("{digest}\n"));
        }
    });
    let asked = proxy.take();
    // The config besides, which is small.
    let sent: u64 = asked.iter().filter(|asked| asked.is_upload()).map(|asked| asked.body).sum();
    assert!(sent > size && sent < size + 1000, "{sent}");
}
