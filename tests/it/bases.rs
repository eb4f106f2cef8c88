//! Images as bases, end to end: from a real registry and from layouts, read by other people's tools and started.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::support::TestContext;
use crate::support::image::Layout;
use crate::support::registry::Registry;
use crate::support::server::{Server, free_port};

#[track_caller]
fn tool(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A layout with the layers of the image that rpack composes for `name`, without the app, and one layer more that
/// umoci makes: it removes a file and adds a hard link.
fn base(context: &TestContext, name: &str) -> PathBuf {
    let layout = context.root().join("base");
    context.rpack(&["build", "--name", name, "-o", &format!("oci:{}:v1", layout.display())]).success();
    let bundle = context.root().join("bundle");
    let image = format!("{}:v1", layout.display());
    tool("umoci", &["unpack", "--image", &image, bundle.to_str().unwrap()]);
    let root = bundle.join("rootfs");
    fs::remove_dir_all(root.join("app")).unwrap();
    fs::remove_file(root.join("etc/debian_version")).unwrap();
    fs::write(root.join("etc/organisation"), "Acme").unwrap();
    fs::hard_link(root.join("etc/organisation"), root.join("etc/organisation.link")).unwrap();
    tool("umoci", &["repack", "--image", &image, bundle.to_str().unwrap()]);
    tool(
        "umoci",
        &["config", "--image", &image, "--config.label", "org.example.base=yes", "--config.env", "BASE=1"],
    );
    layout
}

fn layers(image: &Layout) -> Vec<Value> {
    let descriptor = |layer: &Value| {
        let mut layer = layer.clone();
        layer.as_object_mut().unwrap().remove("annotations");
        layer
    };
    image.manifest["layers"].as_array().unwrap().iter().map(descriptor).collect()
}

/// Builds the example on `reference` and returns the image's digest.
fn build_on(context: &TestContext, reference: &str, output: &Path) -> String {
    fs::write(context.app().join("rpack.toml"), format!("base.runtime = \"{reference}\"\n")).unwrap();
    let output = format!("oci:{}:1", output.display());
    let mut command = context.command(&["build", "--name", "on-base", "-o", &output]);
    command.env("RPACK_REGISTRY_AUTH", context.root().join("auth.json"));
    context.finish(command.output().unwrap()).success()
}

fn on_a_base(name: &str, path: &str) {
    let context = TestContext::of_example(name);
    let below = base(&context, name);
    let registry = Registry::start(context.root());
    let auths = format!(r#"{{"auths":{{"{}/org":{{"auth":"bWU6c2VjcmV0"}}}}}}"#, registry.host);
    fs::write(context.root().join("auth.json"), auths).unwrap();
    let target = format!("docker://{}/org/base:v1", registry.host);
    let copied = format!("oci:{}:v1", below.display());
    tool("skopeo", &["copy", "-q", "--dest-tls-verify=false", "--dest-creds=me:secret", &copied, &target]);
    let base = Layout::open(&below);
    let inspected = tool("skopeo", &["inspect", "--tls-verify=false", "--creds=me:secret", &target]);
    let pushed: Value = serde_json::from_str(&inspected).unwrap();

    let out = |name: &str| context.root().join(name);
    let by_tag = build_on(&context, &format!("{}/org/base:v1", registry.host), &out("by-tag"));
    let again = build_on(&context, &format!("{}/org/base:v1", registry.host), &out("again"));
    assert_eq!(by_tag, again);
    let by_digest = format!("{}/org/base@{}", registry.host, pushed["Digest"].as_str().unwrap());
    build_on(&context, &by_digest, &out("by-digest"));
    build_on(&context, "oci:../base:v1", &out("by-layout"));
    let image = Layout::open(&out("by-tag"));
    for other in ["by-digest", "by-layout"] {
        assert_eq!(layers(&Layout::open(&out(other))), layers(&image), "{other}");
    }
    let ours = layers(&image);
    assert_eq!(ours[..layers(&base).len()], layers(&base)[..], "the base's layers are unchanged");
    assert!(ours.len() > layers(&base).len());
    let config = &image.config["config"];
    assert_eq!(config["Labels"]["org.example.base"], "yes");
    assert_eq!(config["Labels"]["org.opencontainers.image.base.digest"], pushed["Digest"]);
    assert_eq!(config["User"], "65532:65532");
    let history = image.config["history"].as_array().unwrap();
    let made = history.iter().filter(|entry| entry["empty_layer"] != true).count();
    assert_eq!(made, ours.len());

    let shown = format!("oci:{}:1", out("by-tag").display());
    tool("skopeo", &["inspect", &shown]);
    let bundle = out("unpacked");
    tool(
        "umoci",
        &["unpack", "--image", &format!("{}:1", out("by-tag").display()), bundle.to_str().unwrap()],
    );
    assert_eq!(fs::read_to_string(bundle.join("rootfs/etc/organisation.link")).unwrap(), "Acme");
    assert!(!bundle.join("rootfs/etc/debian_version").exists());

    let port = free_port();
    let mut server = Server::start(context.command(&["run", "--port", &port.to_string(), &shown]));
    assert_eq!(server.get(port, path).0, 200);
    server.terminate();

    // Without credentials the message says what was tried.
    let text = format!("base.runtime = \"{}/org/base:v1\"\n", registry.host);
    fs::write(context.app().join("rpack.toml"), text).unwrap();
    fs::write(context.root().join("auth.json"), "{}").unwrap();
    let mut command = context.command(&["plan"]);
    command.env("RPACK_REGISTRY_AUTH", context.root().join("auth.json")).env("HOME", context.root());
    let refused = context.finish(command.output().unwrap());
    assert_eq!(refused.status, 5, "{}", refused.stderr);
    let expected = "`GET /v2/org/base/manifests/v1` answered `401`: UNAUTHORIZED: authentication required";
    assert!(refused.stderr.contains(expected), "{}", refused.stderr);
    assert!(refused.stderr.contains("asked as nobody: no credential for it was found"), "{}", refused.stderr);
}

#[test]
#[ignore = "needs the network, root, docker-registry, apache2-utils, skopeo and umoci: run by .ci/run"]
fn network_root_tool_go_http_on_an_image() {
    on_a_base("go-http", "/");
}

#[test]
#[ignore = "needs the network, root, docker-registry, apache2-utils, skopeo and umoci: run by .ci/run"]
fn network_root_tool_node_express_on_an_image() {
    on_a_base("node-express", "/");
}
