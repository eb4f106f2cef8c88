//! Images as bases, end to end: from a real registry and from layouts, read by other people's tools and started.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::elf::Elf;
use crate::support::foreign::{self, Layer};
use crate::support::image::Layout;
use crate::support::proxy::{Fault, Proxy};
use crate::support::registry::{Registry, tool};
use crate::support::server::{Server, free_port};
use crate::support::{Finished, TestContext};

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
    let registry = Registry::with_user(context.root());
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

/// A base in a registry, seen through a proxy, and an app on it whose program needs one of its libraries.
struct Known {
    context: TestContext,
    proxy: Proxy,
    /// Of the base's layers and its config.
    blobs: Vec<String>,
    _registry: Registry,
}

impl Known {
    fn new() -> Self {
        let context = TestContext::new();
        let registry = Registry::open(&context.root().join("registry"));
        let proxy = Proxy::start(&registry.host, |_| Fault::None);
        let library = Elf::new().named("libfoo.so.1").bytes();
        let lower = Layer::new()
            .file("etc/os-release", "ID=debian\nVERSION_ID=\"13\"\n")
            .program("usr/lib/x86_64-linux-gnu/libfoo.so.1", &library);
        let upper = Layer::new()
            .hard_link("usr/lib/x86_64-linux-gnu/libbar.so.1", "usr/lib/x86_64-linux-gnu/libfoo.so.1")
            .link("bin", "usr/bin")
            .directory("usr/bin/", 0o755, 0);
        let settings = json!({"config": {"Env": ["BASE=1"]}});
        let below = Layout::open(&foreign::layout(context.root().join("base"), vec![lower, upper], settings));
        let target = format!("docker://{}/org/base:1", registry.host);
        context.rpack(&["copy", "oci:../base", &target]).success();
        let layers = below.manifest["layers"].as_array().unwrap().iter();
        let blobs = layers.chain([&below.manifest["config"]]);
        let blobs = blobs.map(|blob| blob["digest"].as_str().unwrap().to_owned()).collect();
        let text = format!("name = \"shop\"\nbase.runtime = \"{}/org/base:1\"\n", proxy.host);
        context.file("rpack.toml", &text).file("Procfile", "web: ./server\n");
        fs::write(context.app().join("server"), Elf::new().needs(&["libfoo.so.1"]).bytes()).unwrap();
        Self { context, proxy, blobs, _registry: registry }
    }

    /// A command with the store `name`.
    fn rpack(&self, name: &str, arguments: &[&str]) -> Finished {
        let mut command = self.context.command(arguments);
        self.context.finish(command.env("RPACK_STORE", self.store(name)).output().unwrap())
    }

    fn store(&self, name: &str) -> PathBuf {
        self.context.root().join(name)
    }

    /// Builds and pushes under `tag`.
    fn push(&self, store: &str, tag: &str, more: &[&str]) -> String {
        let tag = format!("{}/{tag}", self.proxy.host);
        self.rpack(store, &[&["build", "--push", "-t", &tag], more].concat()).success()
    }

    /// Which blobs of the base were read since the last call, of how many requests in all.
    fn read(&self) -> (usize, usize) {
        let asked = self.proxy.take();
        let is_base = |path: &str| self.blobs.iter().any(|blob| path.ends_with(&format!("/blobs/{blob}")));
        let read = asked.iter().filter(|asked| asked.method == "GET" && is_base(&asked.path)).count();
        (read, asked.len())
    }

    /// How many blobs of the base are in the store.
    fn held(&self, store: &str) -> usize {
        let path = |blob: &String| self.store(store).join("blobs").join(blob.replace(':', "/"));
        self.blobs.iter().filter(|blob| path(blob).exists()).count()
    }
}

#[test]
#[ignore = "needs docker-registry: run by .ci/run"]
fn tool_a_base_that_is_known_is_not_downloaded_again() {
    let known = Known::new();
    let first = known.push("one", "team/shop:1", &["--cache-to", "../cache"]);
    assert_eq!(known.read().0, 3, "two layers and the config");

    // Another machine, to which came what this one knows. The target can mount the layers.
    let second = known.push("two", "team/shop:2", &["--cache-from", "../cache"]);
    assert_eq!((second.as_str(), known.read().0, known.held("two")), (first.as_str(), 0, 0));
    let third = known.push("two", "other/shop:1", &[]);
    assert_eq!((third.as_str(), known.read().0, known.held("two")), (first.as_str(), 0, 0));
    // Nothing changed, and nothing is lost.
    let again = known.push("two", "other/shop:1", &[]);
    assert_eq!((again.as_str(), known.read()), (first.as_str(), (0, 1)));

    // Who wants the bytes gets them: a layout, and files. How to get them is kept as long as the image is.
    known.rpack("two", &["cache", "prune", "--max-size", "0"]).success();
    let listed = known.rpack("two", &["cache", "ls"]).success();
    assert!(listed.contains("where a layer of a base image can be had"), "{listed}");
    let name = format!("{}/other/shop:1", known.proxy.host);
    let copied = known.rpack("two", &["copy", &name, "oci:../copied"]).success();
    assert_eq!((copied.as_str(), known.read().0, known.held("two")), (first.as_str(), 2, 2));
    known.rpack("two", &["export", "oci:../copied", "-o", "../copied.tar"]).success();
    let list = tool("tar", &["-tf", known.store("copied.tar").to_str().unwrap()]);
    for file in ["usr/lib/x86_64-linux-gnu/libbar.so.1", "app/server"] {
        assert!(list.lines().any(|line| line == file), "{list}");
    }

    // The first machine, after everything but its notes has gone.
    for folder in ["blobs/sha256", "images/blobs/sha256", "trees"] {
        for entry in fs::read_dir(known.store("one").join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
            removed.unwrap();
        }
    }
    known.context.file("static/new", "new");
    let changed = known.push("one", "team/shop:3", &[]);
    assert_ne!(changed, first);
    assert_eq!((known.read().0, known.held("one")), (0, 0));
    let exported =
        known.rpack("one", &["export", &format!("{}/team/shop:3", known.proxy.host), "-o", "../tar"]);
    assert_eq!((exported.status, known.read().0), (0, 2), "{}", exported.stderr);
}

#[test]
#[ignore = "needs docker-registry: run by .ci/run"]
fn tool_outputs_with_all_layers_fetch_those_of_a_known_base() {
    let known = Known::new();
    let digest = known.push("one", "team/shop:1", &["--cache-to", "../cache"]);
    let other = Registry::open(&known.store("other-registry"));
    let elsewhere = format!("docker://{}/shop:1", other.host);
    for (store, output) in
        [("two", "oci:../layout"), ("three", "oci-archive:../archive"), ("four", &elsewhere)]
    {
        known.push(store, "team/shop:2", &["--cache-from", "../cache"]);
        assert_eq!(known.held(store), 0);
        known.read();
        let built = known.rpack(store, &["build", "-t", "shop:1", "-o", output]).success();
        assert_eq!((&built, known.read().0, known.held(store)), (&digest, 2, 2), "{output}");
        assert_eq!(known.rpack(store, &["copy", output, "oci:../back"]).success(), digest);
    }

    // Layers of a layout are always taken into the store: it may be another one tomorrow.
    let from = ["build", "--cache-from", "../cache"];
    let text = "name = \"shop\"\nbase.runtime = \"oci:../base\"\n";
    known.context.file("rpack.toml", text);
    known.rpack("five", &from).success();
    assert_eq!((known.read(), known.held("five")), ((0, 0), 3));

    // A library that the base does not have is missed, whether its files are here or not.
    let program = Elf::new().needs(&["libmissing.so.1"]).bytes();
    fs::write(known.context.app().join("server"), program).unwrap();
    let failed = known.rpack("six", &from);
    assert!(failed.stderr.contains("libmissing.so.1"), "{}", failed.stderr);
}
