//! A newer index of the archive: what a build writes anew, and `rpack rebase`, which needs no source for it.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::archive::Fixture;
use crate::support::debian_repository::{Package, Signing, sha256};
use crate::support::elf::Elf;
use crate::support::image::Layout;
use crate::support::registry::Registry;
use crate::support::{Finished, TestContext, repository};

/// An app whose program needs a library of the package `libfoo1`, built once, in a layout and in the store.
struct Built {
    fixture: Fixture,
    digest: String,
}

/// The library with what makes this version differ from others.
fn libfoo(version: &str, folder: &'static str, soname: &'static str) -> Package {
    let library = Elf { runpath: Some(folder), ..Elf::new().named(soname) };
    Package::new("libfoo1", version).bytes(
        &format!("./usr/lib/x86_64-linux-gnu/{soname}"),
        library.bytes(),
        0o644,
    )
}

impl Built {
    fn new() -> Self {
        Self::with("")
    }

    /// With further lines of `rpack.toml`.
    fn with(configuration: &str) -> Self {
        let mut fixture = Fixture::new(7, Signing::Trusted);
        fixture.repository.add(libfoo("1.0", "/a", "libfoo.so.1"));
        fixture.publish(0, Signing::Trusted);
        let configuration = format!("name = \"shop\"\nruntime.packages = [\"libfoo1\"]\n{configuration}");
        fixture.context.file("rpack.toml", &configuration);
        fs::write(fixture.context.app().join("server"), Elf::new().needs(&["libfoo.so.1"]).bytes()).unwrap();
        let digest = fixture.build(&["-o", "oci:../layout"]).success();
        Self { fixture, digest }
    }

    /// Publishes another version of the library.
    fn publish(&mut self, package: Package) {
        self.fixture.repository.replace(package);
        self.fixture.publish(0, Signing::Trusted);
    }

    /// A command with a store of its own, in a folder without the source.
    fn elsewhere(&self, store: &str, arguments: &[&str]) -> Finished {
        let folder = self.fixture.context.root().join("elsewhere");
        fs::create_dir_all(&folder).unwrap();
        let mut command = self.fixture.context.command(arguments);
        command.current_dir(folder).env("RPACK_STORE", self.fixture.context.root().join(store));
        command.arg("--progress").arg("plain").arg("--definitions").arg(&self.fixture.definitions);
        self.fixture.context.finish(command.output().unwrap())
    }

    /// The digest that a build from source has in a new store.
    fn source_digest(&self) -> String {
        let store = self.fixture.context.root().join("store-of-source");
        let mut command = self.fixture.context.command(&["build", "--quiet", "--definitions"]);
        command.arg(&self.fixture.definitions).env("RPACK_STORE", store);
        self.fixture.context.finish(command.output().unwrap()).success()
    }

    fn layout(&self) -> PathBuf {
        self.fixture.context.root().join("layout")
    }
}

/// As if time had passed: answers of the archive and of the last build are no longer believed.
fn forget(store: &Path) {
    for entry in fs::read_dir(store.join("metadata")).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if name.starts_with("answer-") || name.starts_with("build-") {
            fs::remove_file(entry.path()).unwrap();
        }
    }
}

/// Digests by what the history says of each layer.
fn layers(layout: &Layout) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let history = layout.config["history"].as_array().unwrap();
    let blobs = layout.manifest["layers"].as_array().unwrap();
    history.iter().zip(blobs).map(|(step, blob)| (text(&step["created_by"]), text(&blob["digest"]))).collect()
}

/// The names of layers that differ.
fn different(one: &[(String, String)], other: &[(String, String)]) -> Vec<String> {
    assert_eq!(one.len(), other.len());
    one.iter().zip(other).filter(|(one, other)| one != other).map(|(one, _)| one.0.clone()).collect()
}

/// Digests are those of the libraries' bytes and of rpack itself.
fn without_digests(text: &str) -> String {
    regex::Regex::new("[0-9a-f]{64}").unwrap().replace_all(text, "[DIGEST]").into_owned()
}

#[test]
fn the_result_is_what_a_build_from_source_makes() {
    for configuration in [
        "",
        "image.writable = [\"/var/lib/shop\"]\n",
        "image.media-types = \"docker\"\n",
        "image.annotations.\"com.acme.tier\" = \"web\"\n",
        "image.compression = \"zstd:5\"\nimage.ports = [9000]\n",
    ] {
        let mut built = Built::with(configuration);
        let before = layers(&Layout::open(&built.layout()));
        built.publish(libfoo("2.0", "/b", "libfoo.so.1"));
        let rebased = built.elsewhere("other", &["rebase", "oci:../layout", "-o", "oci:../new"]);
        let printed = rebased.success();
        let to = built.source_digest();
        assert_ne!(to, built.digest);
        let expected = format!("libfoo1  1.0 → 2.0  libraries\n{} → {to}", built.digest.trim_end());
        assert_eq!(printed, expected, "{configuration}");
        let new = Layout::open(&built.fixture.context.root().join("new"));
        assert_eq!(different(&before, &layers(&new)), ["rpack libraries"]);
    }
}

#[test]
fn what_no_package_brought_is_taken_from_the_old_layer() {
    let mut built = Built::new();
    let embedded = fs::read_to_string(repository().join("buildpacks/procfile/buildpack.toml")).unwrap();
    let mixed = "contents = [{ from = \"runtime-root\" }, { from = \"init\" }, { from = \"files\", files = { \
                 \"/etc/tool[1].conf\" = \"a text\\n\" }, links = { \"/opt/tool\" = \"/usr/lib\" } }]";
    let text = embedded.replace("contents = [{ from = \"init\" }]", mixed);
    let text = text.replace(
        "[[check]]\nid = \"start/shell\"",
        "[[runtime-root]]\nlayer = \"runtime\"\npackages = [\"libfoo1\"]\n\n[[check]]\nid = \"start/shell\"",
    );
    let folder = built.fixture.definitions.join("buildpacks/procfile");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("buildpack.toml"), text).unwrap();
    built.fixture.context.file("rpack.toml", "name = \"shop\"\n");
    built.fixture.build(&["-o", "oci:../mixed"]).success();
    let mixed = Layout::open(&built.fixture.context.root().join("mixed"));
    insta::assert_snapshot!("rebase_label", mixed.config["config"]["Labels"]["rpack.base"].as_str().unwrap());
    built.publish(libfoo("2.0", "/b", "libfoo.so.1"));
    let printed = built.elsewhere("other", &["rebase", "oci:../mixed", "-o", "oci:../new"]).success();
    assert!(printed.ends_with(&format!("→ {}", built.source_digest())), "{printed}");
    let new = Layout::open(&built.fixture.context.root().join("new"));
    assert_eq!(different(&layers(&mixed), &layers(&new)), ["rpack runtime"]);
    assert_eq!(new.paths(), mixed.paths());
}

#[test]
#[ignore = "needs the network: run by .ci/run"]
fn network_real_images_that_are_up_to_date_stay_what_they_are() {
    for example in ["python-flask", "node-express"] {
        let context = TestContext::of_example(example);
        let name = format!("rebase-{example}");
        let digest = context.rpack(&["build", "--quiet", "--name", &name]).success();
        let printed = context.rpack(&["rebase", "--quiet", &name]).success();
        assert_eq!(printed, format!("{}  nothing changed\n", digest.trim_end()));
    }
}

#[test]
fn a_change_of_the_base_itself_replaces_the_base_alone() {
    let mut built = Built::new();
    let before = layers(&Layout::open(&built.layout()));
    let base = Package::new("base-files", "13.1")
        .file("./etc/debian_version", "13.1\n", 0o644)
        .link("./bin", "usr/bin")
        .file("./usr/bin/true", "#!/bin/sh\n", 0o755);
    built.publish(base);
    let finished = built.elsewhere("other", &["rebase", "oci:../layout", "-o", "oci:../layout"]);
    assert_eq!(finished.stderr.lines().last(), Some("shop:latest  1 of 4 layers replaced"));
    insta::assert_snapshot!("rebase_base", without_digests(&finished.stdout));
    assert!(finished.stdout.ends_with(&format!("→ {}", built.source_digest())), "{}", finished.stdout);
    assert_eq!(different(&before, &layers(&Layout::open(&built.layout()))), ["rpack base"]);
}

#[test]
fn a_newer_index_changes_only_the_layer_that_holds_the_package() {
    let mut built = Built::new();
    let before = layers(&Layout::open(&built.layout()));
    built.publish(libfoo("2.0", "/b", "libfoo.so.1"));
    forget(built.fixture.context.store());
    let definitions = built.fixture.definitions.to_str().unwrap();
    let arguments =
        ["build", "-v", "--progress", "plain", "--definitions", definitions, "-o", "oci:../second"];
    let finished = built.fixture.context.rpack(&arguments);
    assert_eq!(finished.status, 0, "{}", finished.stderr);
    let says_why = |line: &&str| line.contains("  found ") || line.contains("  is written: ");
    let mut said: Vec<&str> = finished.stderr.lines().filter(says_why).collect();
    said.retain(|line| line.starts_with("layer "));
    said.sort_unstable();
    let keys = regex::Regex::new("[0-9a-f]{12}").unwrap();
    insta::assert_snapshot!("rebase_layers_of_a_build", keys.replace_all(&said.join("\n"), "[KEY]"));
    let second = Layout::open(&built.fixture.context.root().join("second"));
    assert_eq!(different(&before, &layers(&second)), ["rpack libraries"]);
}

#[test]
fn an_image_that_is_up_to_date_stays_what_it_is() {
    let built = Built::new();
    let finished = built.elsewhere("other", &["rebase", "oci:../layout", "--tag", "again:1"]);
    assert_eq!(finished.stdout, format!("{}  nothing changed\n", built.digest.trim_end()));
    assert_eq!(finished.stderr.lines().last(), Some("again:1  nothing changed"));
    let json = built.elsewhere("other", &["rebase", "again:1", "--json", "--quiet"]).success();
    let report: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&report["changed"], &report["from"]), (&Value::from(false), &report["to"]));
}

/// An app for two platforms in an archive with a newer version of what both are made on.
struct Both {
    fixture: Fixture,
    /// Of the index as it was.
    digest: String,
}

const BOTH: [&str; 2] = ["--platform", "linux/amd64,linux/arm64"];

impl Both {
    /// Builds it with further arguments.
    fn new(configuration: &str, arguments: &[&str]) -> Self {
        let mut fixture = Fixture::new(7, Signing::Trusted);
        fixture.context.file("rpack.toml", &format!("name = \"shop\"\n{configuration}"));
        let digest = fixture.build(&[&BOTH[..], arguments].concat()).success();
        let base = Package::new("base-files", "13.1")
            .file("./etc/debian_version", "13.1\n", 0o644)
            .link("./bin", "usr/bin")
            .file("./usr/bin/true", "#!/bin/sh\n", 0o755);
        fixture.repository.replace(base);
        fixture.publish(0, Signing::Trusted);
        Self { fixture, digest }
    }

    /// A command with a store of its own.
    fn elsewhere(&self, store: &str, arguments: &[&str]) -> Finished {
        let mut command = self.fixture.context.command(arguments);
        command.env("RPACK_STORE", self.fixture.context.root().join(store));
        command.args(["--progress", "plain", "--definitions"]).arg(&self.fixture.definitions);
        self.fixture.context.finish(command.output().unwrap())
    }

    fn source_digest(&self) -> String {
        self.elsewhere("store-of-source", &[&["build"], &BOTH[..]].concat()).success()
    }
}

#[test]
fn all_images_of_an_index_are_rebased() {
    for configuration in
        ["image.annotations.\"com.acme.tier\" = \"web\"\n", "image.media-types = \"docker\"\n"]
    {
        let both = Both::new(configuration, &["-o", "oci:../index"]);
        let rebased = both.elsewhere("other", &["rebase", "oci:../index", "-o", "oci:../index"]);
        assert_eq!(
            rebased.stderr.lines().last(),
            Some("shop:latest  2 of 6 layers replaced"),
            "{}",
            rebased.stderr
        );
        let lines = ["amd64", "arm64"].map(|name| format!("linux/{name}  base-files  13 → 13.1  base\n"));
        let expected = format!("{}{} → {}", lines.concat(), both.digest.trim_end(), both.source_digest());
        assert_eq!(rebased.stdout, expected);
        let again = both.elsewhere("third", &["rebase", "oci:../index"]).success();
        assert_eq!(again, format!("{}  nothing changed\n", both.source_digest().trim_end()));
    }
}

#[test]
#[ignore = "needs docker-registry: run by .ci/run"]
fn tool_an_index_of_a_registry_is_rebased_where_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let registry = Registry::open(folder.path());
    let place = format!("docker://{}/team/shop:1", registry.host);
    let both = Both::new("", &["-o", &place]);
    let printed = both.elsewhere("other", &["rebase", &place, "-o", &place]).success();
    let to = both.source_digest();
    assert!(printed.ends_with(&format!("{} → {to}", both.digest.trim_end())), "{printed}");
    let copied = both.fixture.context.rpack(&["copy", &place, "oci:../copy"]).success();
    assert_eq!(copied, to);
}

#[test]
fn a_dry_run_says_the_same_and_leaves_tag_and_layout_as_they_are() {
    let mut built = Built::new();
    built.publish(libfoo("2.0", "/b", "libfoo.so.1"));
    let index = || fs::read(built.layout().join("index.json")).unwrap();
    let before = index();
    let arguments = ["rebase", "oci:../layout", "-o", "oci:../layout", "-o", "oci:../new", "--json"];
    let dry = built.elsewhere("other", &[&arguments[..], &["--dry-run"]].concat());
    assert_eq!(dry.stderr.lines().last(), Some("shop:latest  1 of 4 layers would be replaced"));
    insta::assert_snapshot!("rebase_dry_run", without_digests(&dry.stdout));
    assert_eq!(index(), before);
    assert!(!built.fixture.context.root().join("new").exists());
    assert_eq!(built.elsewhere("other", &["rebase", "shop:latest", "--quiet"]).status, 2);

    let written = built.elsewhere("other", &arguments).success();
    assert_eq!(written.replace("\"written\":true", "\"written\":false"), dry.stdout);
    assert_ne!(index(), before);
}

#[test]
fn a_tag_of_the_store_moves_to_the_new_image_and_its_time_can_be_set() {
    let mut built = Built::new();
    built.publish(libfoo("2.0", "/b", "libfoo.so.1"));
    built.elsewhere("other", &["rebase", "oci:../layout", "--tag", "team/shop:1", "--dry-run"]).success();
    let time = |name: &str, arguments: &[&str]| {
        let root = built.fixture.context.root();
        let mut command = built.fixture.context.command(&["rebase", "--quiet", "--definitions"]);
        command.arg(&built.fixture.definitions).env("RPACK_STORE", root.join("other"));
        command.args(arguments).env("SOURCE_DATE_EPOCH", "1700000000");
        built.fixture.context.finish(command.output().unwrap()).success();
        let config = Layout::open(&root.join(name)).config;
        (config["created"].clone(), config["history"][0]["created"].clone())
    };
    let set = Value::from("2023-11-14T22:13:20Z");
    let found = time("new", &["oci:../layout", "--tag", "docker.io/team/shop:1", "-o", "oci:../new"]);
    assert_eq!(found, (set.clone(), set));
    built.publish(libfoo("2.1", "/d", "libfoo.so.1"));
    forget(&built.fixture.context.root().join("other"));
    let finished = built.elsewhere("other", &["rebase", "docker.io/team/shop:1"]);
    assert_eq!(finished.stderr.lines().last(), Some("docker.io/team/shop:1  1 of 4 layers replaced"));
    let to = finished.success();
    let (_, to) = to.trim_end().rsplit_once(" → ").unwrap();
    let again = built.elsewhere("other", &["rebase", "docker.io/team/shop:1"]).success();
    assert_eq!(again, format!("{to}  nothing changed\n"));
}

#[test]
fn a_library_that_goes_away_is_an_error() {
    let mut built = Built::new();
    built.publish(libfoo("3.0", "/c", "libfoo.so.3"));
    let finished = built.elsewhere("other", &["rebase", "oci:../layout", "--quiet", "-o", "oci:../new"]);
    assert_eq!((finished.status, finished.stdout.as_str()), (1, ""));
    insta::assert_snapshot!("rebase_broken", finished.stderr);
    assert!(!built.fixture.context.root().join("new").exists());
}

#[test]
fn a_package_that_the_base_no_longer_has_is_an_error() {
    let built = Built::new();
    let other = Fixture::new(7, Signing::Trusted);
    let mut command = other.context.command(&["rebase", "--quiet"]);
    command.arg(format!("oci:{}", built.layout().display())).arg("--definitions").arg(&other.definitions);
    let finished = other.context.finish(command.output().unwrap());
    insta::assert_snapshot!("rebase_no_package", finished.stderr);
}

/// Writes the layout's image again with another config.
fn rewrite(built: &Built, change: impl FnOnce(&mut Value)) {
    let root = built.layout();
    let json = |path: PathBuf| serde_json::from_slice::<Value>(&fs::read(path).unwrap()).unwrap();
    let blob = |digest: &Value| root.join("blobs").join(digest.as_str().unwrap().replace(':', "/"));
    let put = |value: &Value| {
        let bytes = serde_json::to_vec(value).unwrap();
        let hex = sha256(&bytes);
        fs::write(root.join("blobs/sha256").join(&hex), &bytes).unwrap();
        (Value::from(format!("sha256:{hex}")), Value::from(bytes.len()))
    };
    let mut index = json(root.join("index.json"));
    let mut manifest = json(blob(&index["manifests"][0]["digest"]));
    let mut config = json(blob(&manifest["config"]["digest"]));
    change(&mut config);
    (manifest["config"]["digest"], manifest["config"]["size"]) = put(&config);
    (index["manifests"][0]["digest"], index["manifests"][0]["size"]) = put(&manifest);
    fs::write(root.join("index.json"), serde_json::to_vec(&index).unwrap()).unwrap();
}

#[test]
fn other_images_are_refused() {
    let mut refusals = String::new();
    let changes: [&dyn Fn(&mut Value); 5] = [
        &|config| {
            config["config"]["Labels"].as_object_mut().unwrap().remove("rpack.base");
        },
        &|config| config["history"][3]["created_by"] = "RUN /bin/sh".into(),
        &|config| {
            let history = config["history"].as_array_mut().unwrap();
            history.push(serde_json::json!({"created_by": "ENV A=1", "empty_layer": true}));
        },
        &|config| config["config"]["Labels"]["rpack.base"] = "{\"base\":1}".into(),
        &|config| {
            let labels = config["config"]["Labels"].as_object_mut().unwrap();
            labels.remove("rpack.base");
            labels.insert("org.opencontainers.image.base.digest".into(), "sha256:0".into());
            labels.insert("org.opencontainers.image.base.name".into(), "registry.example/base:1".into());
        },
    ];
    for change in changes {
        let built = Built::new();
        rewrite(&built, change);
        let finished = built.elsewhere("other", &["rebase", "oci:../layout", "--quiet"]);
        assert_eq!(finished.stdout, "");
        refusals.push_str(&finished.stderr);
        refusals.push('\n');
    }
    insta::assert_snapshot!("rebase_refusals", refusals);
}
