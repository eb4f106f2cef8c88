//! Images into docker's engine and podman's storage, and out of them: with the real programs, and with a `docker` of the
//! test where it is about what an engine answers.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::archive::Fixture;
use crate::support::debian_repository::{Package, Signing, sha256};
use crate::support::image::Layout;
use crate::support::registry::Registry;
use crate::support::{Finished, TestContext, repository};

/// Images of two layers in a store, and the programs that rpack finds.
struct Lab {
    context: TestContext,
    variables: Vec<(String, String)>,
}

/// An image that was written by hand.
struct Image {
    manifest: String,
    config: String,
    layers: Vec<String>,
}

impl Lab {
    fn new() -> Self {
        let context = TestContext::new();
        fs::create_dir(context.root().join("bin")).unwrap();
        let path = format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", context.root().join("bin").display());
        Self { context, variables: vec![("PATH".to_owned(), path)] }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.context.root().join(name)
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    fn rpack(&self, arguments: &[&str]) -> Finished {
        let mut command = self.context.command(arguments);
        command.args(["--progress", "plain"]).envs(self.variables.iter().cloned());
        self.context.finish(command.output().unwrap())
    }

    /// Runs another program where rpack would find it.
    #[track_caller]
    fn tool(&self, program: &str, arguments: &[&str]) -> String {
        let mut command = Command::new(program);
        let output = command.args(arguments).envs(self.variables.iter().cloned()).output().unwrap();
        assert!(
            output.status.success(),
            "{program} {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    /// A program that runs `script`.
    fn program(&self, name: &str, script: &str) {
        let path = self.path("bin").join(name);
        fs::write(&path, format!("#!/bin/sh\ncd {}\n{script}", self.context.root().display())).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// What is left of unfinished work in the store.
    fn unfinished(&self) -> usize {
        fs::read_dir(self.context.store().join("tmp")).unwrap().count()
    }

    /// Puts an image for each platform with a layer for each text into the store.
    fn image(&self, name: &str, platforms: &[&str], texts: &[&str]) -> Image {
        let layout = self.path(&format!("layout-{}", name.replace([':', '/'], "-")));
        fs::create_dir_all(layout.join("blobs/sha256")).unwrap();
        fs::write(layout.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
        let put = |media_type: &str, bytes: &[u8]| {
            fs::write(layout.join("blobs/sha256").join(sha256(bytes)), bytes).unwrap();
            json!({"mediaType": format!("application/vnd.oci.image.{media_type}"), "size": bytes.len(),
                "digest": format!("sha256:{}", sha256(bytes))})
        };
        let layers: Vec<Value> = texts.iter().map(|text| put("layer.v1.tar", &layer(text))).collect();
        let hex = |descriptor: &Value| descriptor["digest"].as_str().unwrap()[7..].to_owned();
        let mut parts = Vec::new();
        let mut config = String::new();
        for platform in platforms {
            let (os, architecture) = platform.split_once('/').unwrap();
            let diff_ids: Vec<&Value> = layers.iter().map(|layer| &layer["digest"]).collect();
            let document = json!({"os": os, "architecture": architecture, "config": {"Cmd": ["/app"]},
                "created": "2001-01-01T00:00:00Z", "rootfs": {"type": "layers", "diff_ids": diff_ids}});
            let document = put("config.v1+json", document.to_string().as_bytes());
            config = hex(&document);
            let manifest = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "config": document, "layers": layers});
            let mut part = put("manifest.v1+json", manifest.to_string().as_bytes());
            part["platform"] = json!({"os": os, "architecture": architecture});
            parts.push(part);
        }
        if parts.len() > 1 {
            let media_type = "application/vnd.oci.image.index.v1+json";
            let index = json!({"schemaVersion": 2, "mediaType": media_type, "manifests": parts});
            parts = vec![put("index.v1+json", index.to_string().as_bytes())];
        }
        let index = json!({"schemaVersion": 2, "manifests": parts});
        fs::write(layout.join("index.json"), index.to_string()).unwrap();
        let digest = self.rpack(&["copy", &format!("oci:{}", layout.display()), name]).success();
        assert_eq!(digest.trim(), parts[0]["digest"]);
        Image { manifest: digest.trim().to_owned(), config, layers: layers.iter().map(hex).collect() }
    }

    /// A `docker` that keeps what it is given in `load-N`, and answers with files.
    fn docker(&self, info: &Value, present: &[&Image]) {
        self.write("info", &info.to_string());
        let ids: Vec<_> = present.iter().map(|image| format!("sha256:{}\n", image.config)).collect();
        self.write("ids", &ids.concat());
        let layers = |image: &&Image| {
            let layers: Vec<_> = image.layers.iter().map(|layer| format!("sha256:{layer}")).collect();
            format!("{}\n", json!(layers))
        };
        self.write("layers", &present.iter().map(layers).collect::<String>());
        self.program(
            "docker",
            "case \"$1 $2\" in\n\
             'info --format') cat info ;;\n\
             'image ls') case \"$3\" in --format) echo 'web:1'; echo '<none>:<none>' ;; *) cat ids ;; esac ;;\n\
             'image inspect') test \"$5\" != 'nope:latest' && cat layers ;;\n\
             'load --quiet') n=$(ls -d load-* 2>/dev/null | wc -l); cat >load-$n; test ! -f refuse-$n || { cat refuse-$n >&2; exit 1; } ;;\n\
             'save '*) cat saved ;;\n\
             *) echo \"unknown: $*\" >&2; exit 9 ;;\n\
             esac\n",
        );
    }

    /// The members of the archive that was loaded, blobs of images only by what they are.
    fn loaded(&self, number: usize) -> BTreeSet<String> {
        let file = fs::File::open(self.path(&format!("load-{number}"))).unwrap();
        let mut archive = tar::Archive::new(file);
        let names =
            archive.entries().unwrap().map(|entry| entry.unwrap().path().unwrap().display().to_string());
        names.collect()
    }
}

/// A layer with one file.
fn layer(text: &str) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_mode(0o755);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(text.len() as u64);
    archive
        .append_data(&mut header, format!("file-{}", &sha256(text.as_bytes())[..8]), text.as_bytes())
        .unwrap();
    archive.into_inner().unwrap()
}

fn blob(hex: &str) -> String {
    format!("blobs/sha256/{hex}")
}

/// What docker says of itself.
fn classic() -> Value {
    json!({"Driver": "overlay2", "DriverStatus": [["Backing Filesystem", "extfs"]], "ServerVersion": "26.1.5"})
}

#[test]
fn docker_is_sent_the_layers_that_it_lacks() {
    let lab = Lab::new();
    let one = lab.image("app:1", &["linux/amd64"], &["base", "one"]);
    let two = lab.image("app:2", &["linux/amd64"], &["base", "two"]);
    lab.docker(&classic(), &[&one]);
    let copied = lab.rpack(&["copy", "app:2", "docker-daemon:"]);
    assert_eq!(copied.stdout.trim(), two.manifest);
    assert!(copied.stderr.contains("publish to docker-daemon:app:2"), "{}", copied.stderr);
    assert!(copied.stderr.contains("layers: 1 sent, 1 there"), "{}", copied.stderr);
    let members = lab.loaded(0);
    assert!(
        !members.contains(&blob(&two.layers[0])) && members.contains(&blob(&two.layers[1])),
        "{members:?}"
    );

    // Layers that lie in another order are other layers for docker.
    let turned = lab.image("app:3", &["linux/amd64"], &["one", "base"]);
    lab.rpack(&["copy", "app:3", "docker-daemon:other/name:4"]).success();
    let members = lab.loaded(1);
    assert!(turned.layers.iter().all(|layer| members.contains(&blob(layer))), "{members:?}");
    // A layer that is there, and again above one that is not, is needed.
    let twice = lab.image("app:5", &["linux/amd64"], &["base", "new", "base"]);
    lab.rpack(&["copy", "app:5", "docker-daemon:"]).success();
    assert!(lab.loaded(2).contains(&blob(&twice.layers[0])));
}

#[test]
fn docker_on_containerd_is_sent_everything() {
    let lab = Lab::new();
    let one = lab.image("app:1", &["linux/amd64"], &["base", "one"]);
    let status = json!([["driver-type", "io.containerd.snapshotter.v1"]]);
    lab.docker(&json!({"Driver": "overlayfs", "DriverStatus": status, "ServerVersion": "26.1.5"}), &[&one]);
    let copied = lab.rpack(&["copy", "app:1", "docker-daemon:"]);
    assert!(copied.stderr.contains("layers: 2 sent, "), "{}", copied.stderr);
    assert!(one.layers.iter().all(|layer| lab.loaded(0).contains(&blob(layer))));
}

#[test]
fn a_docker_that_wants_all_layers_gets_them() {
    let lab = Lab::new();
    let one = lab.image("app:1", &["linux/amd64"], &["base", "one"]);
    lab.docker(&classic(), &[&one]);
    lab.write("refuse-0", "open /blobs: no such file or directory\n");
    let copied = lab.rpack(&["copy", "app:1", "docker-daemon:"]);
    assert_eq!(copied.status, 0, "{}", copied.stderr);
    assert!(
        copied.stderr.contains("all layers are sent, because docker wants them: open /blobs: no such file"),
        "{}",
        copied.stderr
    );
    assert!(copied.stderr.contains("layers: 2 sent, "), "{}", copied.stderr);
    assert!(one.layers.iter().all(|layer| lab.loaded(1).contains(&blob(layer))));
}

#[test]
fn what_engines_answer_and_what_is_not_there_is_explained() {
    let lab = Lab::new();
    let one = lab.image("app:1", &["linux/amd64"], &["base", "one"]);
    lab.image("both:1", &["linux/amd64", "linux/arm64"], &["base"]);
    let mut text = String::new();
    let mut attempt = |lab: &Lab, arguments: &[&str]| {
        let finished = lab.rpack(arguments);
        let Finished { stdout, stderr, status } = finished;
        let status = status.to_string();
        let parts = ["$ rpack ", &arguments.join(" "), "\n", &stdout, &stderr, "[", &status, "]\n\n"];
        text.push_str(&parts.concat());
    };
    let nothing =
        Lab { context: lab.context, variables: vec![("PATH".to_owned(), "/nonexistent".to_owned())] };
    for way in [
        ["app:1", "docker-daemon:"],
        ["docker-daemon:web", "x"],
        ["app:1", "containers-storage:"],
        ["containers-storage:web", "x"],
    ] {
        attempt(&nothing, &["copy", way[0], way[1]]);
    }
    let path = format!("{}:/usr/bin:/bin", nothing.context.root().join("bin").display());
    let lab = Lab { context: nothing.context, variables: vec![("PATH".to_owned(), path)] };
    lab.program(
        "docker",
        "echo 'Cannot connect to the Docker daemon at unix:///var/run/docker.sock.' >&2; exit 1",
    );
    attempt(&lab, &["copy", "app:1", "docker-daemon:"]);
    attempt(&lab, &["copy", "docker-daemon:web", "x"]);
    // Older clients succeed, and say it in their answer.
    lab.docker(&json!({"ServerErrors": ["the engine is not there"]}), &[]);
    attempt(&lab, &["copy", "app:1", "docker-daemon:"]);
    lab.docker(&classic(), &[&one]);
    for number in 0..2 {
        lab.write(&format!("refuse-{number}"), "warning: disk is slow\nError: no space left on device\n");
    }
    attempt(&lab, &["copy", "app:1", "docker-daemon:"]);
    attempt(&lab, &["copy", "both:1", "docker-daemon:"]);
    attempt(&lab, &["copy", "docker-daemon:nope", "x"]);
    attempt(&lab, &["copy", "docker-daemon:", "x"]);
    lab.write("saved", "not an archive");
    attempt(&lab, &["copy", "docker-daemon:web:1", "x"]);
    assert_eq!(lab.unfinished(), 0);
    let store = lab.context.store().to_str().unwrap().replace(lab.context.root().to_str().unwrap(), "[ROOT]");
    insta::with_settings!({ filters => vec![(r"/tmp/\.tmp\w+", "/tmp/[FILE]")] }, {
        insta::assert_snapshot!(text.replace(&store, "[STORE]"));
    });
}

#[test]
fn what_docker_saves_is_read() {
    let lab = Lab::new();
    let one = lab.image("app:1", &["linux/amd64"], &["base", "one"]);
    let archive = format!("docker-archive:{}", lab.path("saved").display());
    lab.rpack(&["copy", "app:1", &archive]).success();
    lab.docker(&classic(), &[&one]);
    let copied = lab.rpack(&["copy", "docker-daemon:web:7", "docker-daemon:", "web:8"]);
    assert_eq!(copied.stdout.trim(), one.manifest, "{}", copied.stderr);
    // It keeps the name that it was asked for by.
    assert!(copied.stderr.contains("publish to docker-daemon:web:7"), "{}", copied.stderr);
    assert_eq!(lab.rpack(&["copy", "web:8", "other"]).success().trim(), one.manifest);
    assert_eq!(lab.unfinished(), 0);
}

/// Rebases an app in `engine` (`docker-daemon:`), whose lower layer is another today: what comes out of the engine then
/// has the config that a build makes.
fn rebase(lab: &Lab, engine: &str) {
    let mut fixture = Fixture::new(7, Signing::Trusted);
    let (definitions, name) = (fixture.definitions.to_str().unwrap().to_owned(), format!("{engine}shop:1"));
    lab.context.file("Procfile", "web: ./server --port $PORT\n").file("server", "a program\n");
    let app = |arguments: &[&str]| lab.rpack(&[arguments, &["--definitions", &definitions]].concat());
    app(&["build", "-t", "shop:1", "-o", engine]).success();
    let base = Package::new("base-files", "13.1").file("./etc/debian_version", "13.1\n", 0o644);
    fixture.repository.replace(base);
    fixture.publish(0, Signing::Trusted);
    // As on another machine: neither the image nor what the archive had is in the store.
    fs::remove_dir_all(lab.context.store()).unwrap();
    let rebased = app(&["rebase", &name, "-o", engine]);
    assert_eq!(rebased.status, 0, "{}", rebased.stderr);
    assert!(rebased.stdout.starts_with("base-files  13 → 13.1  base\nsha256:"), "{}", rebased.stdout);
    assert_eq!(rebased.stderr.lines().last(), Some("shop:1  1 of 3 layers replaced"));
    let again = app(&["rebase", &name]).success();
    assert!(again.ends_with("  nothing changed\n"), "{again}");
    app(&["copy", &name, "oci:../out"]).success();
    fs::remove_dir_all(lab.context.store()).unwrap();
    app(&["build", "-t", "shop:2", "-o", "oci:../built"]).success();
    let [out, built] = ["out", "built"].map(|folder| Layout::open(&lab.path(folder)));
    assert_eq!(out.manifest["config"]["digest"], built.manifest["config"]["digest"]);
    assert_eq!(out.config, built.config);
    assert_eq!(lab.unfinished(), 0);
}

/// podman with a storage of its own.
fn podman() -> Lab {
    let lab = Lab::new();
    let root = lab.context.root().display().to_string();
    lab.write(
        "storage.conf",
        &format!("[storage]\ndriver = \"vfs\"\ngraphroot = \"{root}/images\"\nrunroot = \"{root}/run\"\n"),
    );
    lab.write("containers.conf", "[engine]\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"file\"\n");
    lab.with("CONTAINERS_STORAGE_CONF", &format!("{root}/storage.conf"))
        .with("CONTAINERS_CONF", &format!("{root}/containers.conf"))
}

const NAMES: [&str; 4] = ["image", "ls", "--format", "{{.Repository}}:{{.Tag}} {{.Digest}}"];

fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<_> = text.lines().collect();
    lines.sort_unstable();
    lines
}

#[test]
#[ignore = "needs root, podman and skopeo: run by .ci/run"]
fn root_tool_podman_takes_images_and_gives_them_out() {
    let lab = podman();
    let one = lab.image("app:1", &["linux/amd64"], &["base", "one"]);
    let both = lab.image("registry.example/team/app:2", &["linux/amd64", "linux/arm64"], &["base", "two"]);
    let targets = ["containers-storage:", "containers-storage:other/name:3"];
    lab.rpack(&["copy", "app:1", targets[0], targets[1]]).success();
    lab.rpack(&["copy", "registry.example/team/app:2", "containers-storage:"]).success();
    let names = lab.tool("podman", &NAMES);
    let index: Value = serde_json::from_slice(
        &fs::read(lab.context.store().join("blobs/sha256").join(&both.manifest[7..])).unwrap(),
    )
    .unwrap();
    let own = index["manifests"][0]["digest"].as_str().unwrap();
    assert_eq!(
        sorted(&names),
        [
            format!("localhost/app:1 {}", one.manifest),
            format!("localhost/other/name:3 {}", one.manifest),
            format!("registry.example/team/app:2 {own}"),
        ]
    );
    // Out again: podman compresses what it gives out, so the manifest is another, and the config is not.
    lab.rpack(&["copy", "containers-storage:app:1", "back"]).success();
    lab.rpack(&["copy", "back", &format!("oci:{}", lab.path("back").display())]).success();
    assert!(lab.path("back").join(blob(&one.config)).exists());
    let missing = lab.rpack(&["copy", "containers-storage:nope", "x"]);
    assert!(missing.stderr.contains("error[publish/not-found]"), "{}", missing.stderr);
    assert_eq!(lab.unfinished(), 0);
}

#[test]
#[ignore = "needs root, podman and skopeo: run by .ci/run"]
fn root_tool_skopeo_takes_images_where_podman_is_missing() {
    let lab = podman();
    let one = lab.image("app:1", &["linux/amd64"], &["base", "one"]);
    let skopeo = lab.tool("sh", &["-c", "command -v skopeo"]);
    std::os::unix::fs::symlink(skopeo.trim(), lab.path("bin/skopeo")).unwrap();
    let (context, mut variables) = (lab.context, lab.variables);
    variables[0].1 = context.root().join("bin").display().to_string();
    let mut lab = Lab { context, variables };
    lab.rpack(&["copy", "app:1", "containers-storage:"]).success();
    lab.rpack(&["copy", "containers-storage:app:1", "back"]).success();
    let missing = lab.rpack(&["copy", "containers-storage:nope", "x"]);
    assert!(missing.stderr.contains("error[publish/engine]: `skopeo copy` failed: "), "{}", missing.stderr);
    assert_eq!(lab.unfinished(), 0);
    lab.variables[0].1 = "/usr/sbin:/usr/bin:/sbin:/bin".to_owned();
    assert_eq!(lab.tool("podman", &NAMES), format!("localhost/app:1 {}\n", one.manifest));
}

#[test]
#[ignore = "needs root and podman: run by .ci/run"]
fn root_tool_an_image_of_podmans_storage_is_rebased() {
    rebase(&podman(), "containers-storage:");
}

/// The engine of Debian's package `docker.io`, which .ci/run unpacks and does not install.
struct Dockerd {
    process: Child,
    lab: Lab,
}

impl Dockerd {
    fn start() -> Self {
        let lab = Lab::new();
        let root = lab.context.root().display().to_string();
        let tools = repository().join("target/tools/docker");
        let path = format!("{0}/usr/bin:{0}/usr/sbin:/usr/sbin:/usr/bin:/sbin:/bin", tools.display());
        let host = format!("unix://{root}/docker.sock");
        lab.write("daemon.json", "{}");
        // An own mount namespace: what it mounts ends with it. Without a bridge it touches no network of the machine.
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation=private", "dockerd", "--host", &host]);
        command.args([
            "--config-file",
            &format!("{root}/daemon.json"),
            "--data-root",
            &format!("{root}/data"),
        ]);
        command.args(["--exec-root", &format!("{root}/exec"), "--pidfile", &format!("{root}/docker.pid")]);
        command.args(["--storage-driver", "vfs", "--iptables=false", "--bridge=none"]).env("PATH", &path);
        let log = fs::File::create(lab.path("log")).unwrap();
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let process = command.spawn().unwrap();
        let lab = Lab { context: lab.context, variables: vec![("PATH".to_owned(), path)] };
        let mut dockerd = Self { process, lab: lab.with("DOCKER_HOST", &host) };
        dockerd.wait();
        dockerd
    }

    fn wait(&mut self) {
        let end = Instant::now() + Duration::from_secs(60);
        while !Path::new(&self.lab.path("docker.sock")).exists() {
            let log = || fs::read_to_string(self.lab.path("log")).unwrap();
            assert!(self.process.try_wait().unwrap().is_none() && Instant::now() < end, "{}", log());
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Dockerd {
    fn drop(&mut self) {
        // It ends its containerd.
        let pid = rustix::process::Pid::from_child(&self.process);
        // It may have ended by itself, which the test says then.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.process.wait();
    }
}

#[test]
#[ignore = "needs root and Debian's docker in target/tools: run by .ci/run"]
fn root_tool_dockerd_takes_the_layers_that_it_lacks() {
    let dockerd = Dockerd::start();
    let lab = &dockerd.lab;
    let (base, same) = ("base".repeat(100_000), "app".repeat(100_000));
    lab.image("app:1", &["linux/amd64"], &[&base, "one"]);
    let two = lab.image("app:2", &["linux/amd64"], &[&base, "two", &same]);
    let first = lab.rpack(&["copy", "app:1", "docker-daemon:"]);
    assert!(first.stderr.contains("layers: 2 sent, "), "{}", first.stderr);
    let second = lab.rpack(&["copy", "app:2", "docker-daemon:", "docker-daemon:registry.example/app:2"]);
    assert!(second.stderr.contains("layers: 2 sent, 1 there, 3"), "{}", second.stderr);
    assert!(second.stderr.contains("layers: 3 there, "), "{}", second.stderr);
    let names =
        lab.tool("docker", &["image", "ls", "--no-trunc", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}"]);
    let id = format!("sha256:{}", two.config);
    assert_eq!(sorted(&names)[1..], [format!("app:2 {id}"), format!("registry.example/app:2 {id}")]);
    // The layers of its archives are the plain ones, as they were here.
    let back =
        lab.rpack(&["copy", "docker-daemon:app:2", "back", &format!("oci:{}", lab.path("back").display())]);
    assert_eq!(back.status, 0, "{}", back.stderr);
    for part in two.layers.iter().chain([&two.config]) {
        assert!(lab.path("back").join(blob(part)).exists());
    }
    assert_eq!(lab.unfinished(), 0);
}

#[test]
#[ignore = "needs root and Debian's docker in target/tools: run by .ci/run"]
fn root_tool_an_image_of_dockerd_is_rebased() {
    rebase(&Dockerd::start().lab, "docker-daemon:");
}

#[test]
#[ignore = "needs root, docker-registry and Debian's docker in target/tools: run by .ci/run"]
fn root_tool_docker_pulls_what_is_pushed_and_pushes_what_is_pulled() {
    let dockerd = Dockerd::start();
    let lab = &dockerd.lab;
    let registry = Registry::open(&lab.path("registry"));
    let one = lab.image("app:1", &["linux/amd64"], &["base", "one"]);
    let place = |name: &str| format!("{}/team/{name}", registry.host);
    let pushed = lab.rpack(&["copy", "app:1", &format!("docker://{}", place("app:1"))]);
    assert_eq!(pushed.status, 0, "{}", pushed.stderr);
    lab.tool("docker", &["pull", "--quiet", &place("app:1")]);
    let id = lab.tool("docker", &["image", "inspect", "--format", "{{.Id}}", &place("app:1")]);
    assert_eq!(id.trim(), format!("sha256:{}", one.config));
    lab.tool("docker", &["tag", &place("app:1"), &place("docker:2")]);
    lab.tool("docker", &["push", "--quiet", &place("docker:2")]);
    let back = format!("oci:{}", lab.path("pulled").display());
    let pulled = lab.rpack(&["copy", &format!("docker://{}", place("docker:2")), &back]);
    assert_eq!(pulled.status, 0, "{}", pulled.stderr);
    // docker keeps the config, and compresses and names the layers in its own way.
    assert!(lab.path("pulled").join(blob(&one.config)).exists());
}
