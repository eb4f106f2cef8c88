//! `rpack build --push`: an index for two platforms under two tags, at a real registry.

use serde_json::Value;

use crate::support::TestContext;
use crate::support::proxy::{Fault, Proxy};
use crate::support::registry::{Registry, tool};

#[test]
#[ignore = "needs the network, docker-registry and skopeo: run by .ci/run"]
fn network_a_build_is_pushed_under_all_its_tags_and_an_unchanged_one_is_one_request_each() {
    let context = TestContext::of_example("static-site");
    let registry = Registry::open(context.root());
    let proxy = Proxy::start(&registry.host, |_| Fault::None);
    let (first, second) = (format!("{}/team/site:1", proxy.host), format!("{}/team/site:latest", proxy.host));
    let build = ["build", "--platform", "linux/amd64,linux/arm64", "-t", &first, "-t", &second, "--push"];
    let digest = context.rpack(&build).success();
    let uploads = |lines: &[String]| lines.iter().filter(|line| line.starts_with("POST")).count();
    let lines = proxy.take_lines();
    let manifests: Vec<&String> =
        lines.iter().filter(|line| line.starts_with("PUT") && line.contains("/manifests/")).collect();
    // Two images by digest, and the index by both tags.
    assert_eq!(manifests.len(), 4, "{manifests:?}");
    assert!(uploads(&lines) > 4);

    for tag in ["1", "latest"] {
        let place = format!("docker://{}/team/site:{tag}", registry.host);
        let raw = tool("skopeo", &["inspect", "--raw", "--tls-verify=false", &place]);
        assert_eq!(format!("{}\n", rpack::oci::Digest::of(raw.as_bytes())), digest);
        let index: Value = serde_json::from_str(&raw).unwrap();
        let platforms: Vec<_> = index["manifests"]
            .as_array()
            .unwrap()
            .iter()
            .map(|part| part["platform"]["architecture"].clone())
            .collect();
        assert_eq!(platforms, ["amd64", "arm64"]);
    }

    assert_eq!(context.rpack(&build).success(), digest);
    assert_eq!(proxy.take_lines(), ["HEAD /v2/team/site/manifests/1", "HEAD /v2/team/site/manifests/latest"]);

    // One file changed: a layer and a config for each platform.
    let page = context.app().join("public/404.html");
    std::fs::write(&page, std::fs::read_to_string(&page).unwrap() + "<!-- again -->\n").unwrap();
    let changed = context.rpack(&build).success();
    assert_ne!(changed, digest);
    let asked = proxy.take();
    let sent: u64 = asked.iter().filter(|asked| asked.is_upload()).map(|asked| asked.body).sum();
    assert_eq!(asked.iter().filter(|asked| asked.method == "POST").count(), 3);
    assert!(sent < 20_000, "{sent}");
}
