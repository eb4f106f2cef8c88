//! Every example, end to end: built from the real registries, inspected, started, stopped.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use globset::{GlobBuilder, GlobMatcher};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::support::image::Layout;
use crate::support::registry::tool;
use crate::support::server::{Server, free_port};
use crate::support::{TestContext, app_folder, repository};

/// What an example promises; examples/README.md describes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Expect {
    language: String,
    processes: Vec<String>,
    start: Vec<String>,
    /// The folder that `--app` names.
    app: Option<String>,
    sigterm_exit: i32,
    max_size_mb: f64,
    must_contain: Vec<String>,
    must_not_contain: Vec<String>,
    /// Patterns of what no other image contains, which this one may.
    #[serde(default)]
    may_contain: Vec<String>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    #[serde(default)]
    http: Vec<Http>,
    #[serde(default)]
    logs: Logs,
}

/// `examples/expect.toml`: what holds for every image.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Always {
    must_contain: Vec<String>,
    must_not_contain: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Http {
    path: String,
    status: u16,
    #[serde(default)]
    body_contains: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Logs {
    contains: Vec<String>,
    #[serde(default)]
    contains_after_sigterm: Vec<String>,
}

fn folder() -> PathBuf {
    repository().join("examples")
}

#[track_caller]
fn read<T: DeserializeOwned>(path: &Path) -> T {
    toml::from_str(&fs::read_to_string(path).unwrap())
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn expect(name: &str) -> Expect {
    read(&app_folder(name).join("expect.toml"))
}

/// Also checks that the pattern is one, and relative to the image's root.
#[track_caller]
fn glob(pattern: &str) -> GlobMatcher {
    assert!(!pattern.starts_with('/'), "{pattern}: globs are relative to the image's root");
    GlobBuilder::new(pattern).literal_separator(true).build().unwrap().compile_matcher()
}

/// One test for each app of `examples` and `tests/fixtures/apps`; `_` stands for `-`.
macro_rules! apps {
    ($($name:ident)*) => {
        pub(super) const NAMES: &[&str] = &[$(stringify!($name)),*];

        $(
            #[test]
            #[ignore = "needs the network"]
            fn $name() {
                super::example(&stringify!($name).replace('_', "-"));
            }
        )*
    };
}

/// What `.ci/run` builds and starts: each language, package manager and kind of outcome once, in half of its time.
mod network_gate {
    apps! {
        celery_worker
        django_wsgi
        fastapi_uv
        flask_poetry
        go_http
        go_sqlite
        go_workspace
        node_bun
        node_express
        node_fixed_port
        node_pnpm
        node_pnpm_workspaces
        node_yarn_classic
        node_yarn_pnp
        pep723_script
        procfile_worker
        python_flask
        python_start_list
        python_flask_vite
        python_writes_beside
        shell_start
        static_site
    }
}

/// What `cargo test --release -- --ignored` builds and starts besides.
mod network_rest {
    apps! {
        django_asgi
        django_tailwind
        fastapi_standard
        flask_pipenv
        go_app
        go_lone_file
        go_reads_files
        go_targets
        go_vite_embed
        litestar_pylock
        node_analog
        node_angular_ssr
        node_astro_server
        node_astro_static
        node_cra
        node_docusaurus
        node_eleventy
        node_expo_web
        node_express_typescript
        node_fastify_cli
        node_gatsby
        node_hexo
        node_lone_typescript
        node_nest
        node_next
        node_next_export
        node_npm_workspaces
        node_nuxt
        node_parcel
        node_pnpm_app
        node_react_router
        node_react_router_spa
        node_remix
        node_solid_start
        node_sveltekit
        node_sveltekit_auto
        node_tanstack_start
        node_vite_react
        node_vitepress
        node_yarn_modules
        pdm_bottle
        project_scripts
        python_functions
        starlette_pip
        streamlit_page
    }
}

fn example(name: &str) {
    check(name, &expect(name), &TestContext::of_example(name));
}

fn check(name: &str, expect: &Expect, context: &TestContext) {
    let layout = context.root().join("layout");
    let output = format!("oci:{}:1", layout.display());
    let of_app: Vec<&str> = expect.app.iter().flat_map(|folder| ["--app", folder]).collect();
    let build = [&["build", "--name", name, "-o", &output], &of_app[..]].concat();
    let digest = context.rpack(&build).success();
    assert!(digest.starts_with("sha256:") && digest.len() == 72, "stdout is the digest alone: {digest:?}");

    let detected = context.rpack(&[&["detect", "--json"], &of_app[..]].concat()).success();
    let detected: serde_json::Value = serde_json::from_str(&detected).unwrap();
    assert_eq!(detected["language"], json!(expect.language));

    let image = Layout::open(&layout);
    check_config(&image, expect);
    check_files(&image, expect);
    check_run(context, name, expect);
}

fn check_config(image: &Layout, expect: &Expect) {
    let config = &image.config["config"];
    assert_eq!(config["User"], json!("65532:65532"));
    let directory = expect.app.as_ref().map_or("/app".to_owned(), |folder| format!("/app/{folder}"));
    assert_eq!(config["WorkingDir"], json!(directory));
    assert!(config["Labels"]["org.opencontainers.image.title"].is_string(), "{config}");
    let entrypoint = config["Entrypoint"].as_array().unwrap();
    let argv: Vec<&str> = entrypoint
        .iter()
        .chain(config["Cmd"].as_array().into_iter().flatten())
        .map(|word| word.as_str().unwrap())
        .collect();
    let start = argv.iter().position(|word| *word == "--").map_or(&argv[..], |at| &argv[at + 1..]);
    assert_eq!(start, expect.start);
    let history = image.config["history"].as_array().unwrap();
    assert_eq!(history.len(), image.manifest["layers"].as_array().unwrap().len());
    assert_eq!(image.config["rootfs"]["diff_ids"].as_array().unwrap().len(), history.len());
    if !expect.http.is_empty() {
        assert_eq!(config["ExposedPorts"].as_object().unwrap().len(), 1, "{config}");
    }
}

fn check_files(image: &Layout, expect: &Expect) {
    let paths: BTreeSet<String> = image.paths();
    let always: Always = read(&folder().join("expect.toml"));
    for pattern in always.must_contain.iter().chain(&expect.must_contain) {
        assert!(paths.iter().any(|path| glob(pattern).is_match(path)), "`{pattern}` is not in the image");
    }
    let never = always.must_not_contain.iter().filter(|pattern| !expect.may_contain.contains(pattern));
    for pattern in never.chain(&expect.must_not_contain) {
        let found: Vec<_> = paths.iter().filter(|path| glob(pattern).is_match(path)).take(5).collect();
        assert!(found.is_empty(), "`{pattern}` is in the image: {found:?}");
    }
    for line in image.listing() {
        let mode = &line[..10];
        assert!(!mode.contains(['s', 'S']), "setuid or setgid: {line}");
        let shared = mode.as_bytes()[8] == b'w' && !mode.starts_with('l') && mode.as_bytes()[9] != b't';
        assert!(!shared, "writable by everybody: {line}");
    }
    #[expect(clippy::cast_precision_loss, reason = "megabytes for a message")]
    let size = image.size() as f64 / 1e6;
    assert!(size <= expect.max_size_mb, "{size:.1} MB compressed, at most {} MB", expect.max_size_mb);
}

/// Starts the image with `rpack run`, asks it over HTTP or reads its log, and ends it with SIGTERM.
fn check_run(context: &TestContext, name: &str, expect: &Expect) {
    let port = free_port();
    let port_text = port.to_string();
    let variables: Vec<String> = expect.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let mut arguments = vec!["run", name, "--port", &port_text];
    arguments.extend(variables.iter().flat_map(|variable| ["-e", variable]));
    let mut server = Server::start(context.command(&arguments));
    for request in &expect.http {
        let (status, body) = server.get(port, &request.path);
        assert_eq!(status, request.status, "{}: {body}", request.path);
        assert!(body.contains(&request.body_contains), "{}: {body}", request.path);
    }
    if expect.http.is_empty() {
        std::thread::sleep(std::time::Duration::from_secs(4));
    }
    let ended = server.terminate();
    let printed =
        String::from_utf8_lossy(&ended.stdout).into_owned() + &String::from_utf8_lossy(&ended.stderr);
    for text in expect.logs.contains.iter().chain(&expect.logs.contains_after_sigterm) {
        assert!(printed.contains(text), "`{text}` is not in the log:\n{printed}");
    }
    assert_eq!(ended.status.code(), Some(expect.sigterm_exit), "{printed}");
}

/// The suite follows the version that the app asks for, and the image starts on each.
#[test]
#[ignore = "needs the network: run by .ci/run"]
fn network_python_flask_on_each_base() {
    let expect = expect("python-flask");
    for (version, base) in [("3.11", "debian-12"), ("3.13", "debian-13"), ("3.14", "debian-14")] {
        let context = TestContext::of_example("python-flask");
        context.file(".python-version", version);
        let name = format!("flask-{version}");
        let built = context.rpack(&["build", "--name", &name]);
        // Mirrors of a testing suite may lag behind, and old metadata is never used.
        if built.stderr.contains("error[debian/expired]") && base == "debian-14" {
            continue;
        }
        built.success();
        let plan = context.rpack(&["plan", "--json"]).success();
        let plan: serde_json::Value = serde_json::from_str(&plan).unwrap();
        assert_eq!(
            (&plan["runtime-root"]["base"], &plan["build-root"]["base"]),
            (&json!(base), &json!(base))
        );
        check_run(&context, &name, &expect);
    }
}

#[test]
fn every_app_has_a_test_and_states_what_its_image_must_be() {
    let tested: Vec<String> = [network_gate::NAMES, network_rest::NAMES]
        .concat()
        .iter()
        .map(|name| name.replace('_', "-"))
        .collect();
    let mut found = Vec::new();
    for folder in [folder(), repository().join("tests/fixtures/apps")] {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            if entry.path().is_dir() {
                found.push(entry.file_name().into_string().unwrap());
            }
        }
    }
    let sorted = |names: &[String]| names.iter().cloned().collect::<BTreeSet<_>>();
    assert_eq!((sorted(&tested), tested.len()), (sorted(&found), found.len()));
    for name in found {
        let expect = expect(&name);
        for pattern in expect.must_contain.iter().chain(&expect.must_not_contain) {
            glob(pattern);
        }
        assert!(!expect.start.is_empty() && expect.max_size_mb > 0.0, "{name}");
        assert_eq!(expect.processes.contains(&"web".to_owned()), !expect.http.is_empty(), "{name}");
        assert!(!expect.http.is_empty() || !expect.logs.contains.is_empty(), "{name} shows nothing");
    }
}

#[test]
fn every_example_is_described_and_starts_elsewhere() {
    let tests = include_str!("examples.rs");
    let readme = fs::read_to_string(folder().join("README.md")).unwrap();
    for entry in fs::read_dir(folder()).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_dir()) {
        let name = entry.file_name().into_string().unwrap();
        assert!(tests.contains(&format!("    foreign(\"{name}\");")), "no test starts {name} elsewhere");
        assert!(readme.contains(&format!("[{name}]({name}) |")), "examples/README.md does not list {name}");
        assert!(
            entry.path().join("README.md").is_file() && entry.path().join(".gitignore").is_file(),
            "{name}"
        );
    }
}

#[test]
fn no_lock_file_of_an_example_names_a_registry() {
    let lock = fs::read_to_string(folder().join("node-express/package-lock.json")).unwrap();
    let lock: serde_json::Value = serde_json::from_str(&lock).unwrap();
    for (path, package) in lock["packages"].as_object().unwrap() {
        assert_eq!(package.get("resolved"), None, "{path}");
        let integrity = package["integrity"].as_str();
        assert!(path.is_empty() || integrity.is_some_and(|hash| hash.starts_with("sha512-")), "{path}");
    }
}

/// Other people's tools read the image, and another runtime starts it.
fn foreign(name: &str) {
    let expect = expect(name);
    let context = TestContext::of_example(name);
    let (layout, archive) = (context.root().join("layout"), context.root().join("image.tar"));
    let outputs = [format!("oci:{}:1", layout.display()), format!("docker-archive:{}", archive.display())];
    context.rpack(&["build", "--name", name, "-o", &outputs[0], "-o", &outputs[1]]).success();

    let inspect = tool("skopeo", &["inspect", &outputs[0]]);
    let inspect: serde_json::Value = serde_json::from_str(&inspect).unwrap();
    assert_eq!(inspect["Os"], json!("linux"));
    tool("skopeo", &["inspect", &outputs[1]]);

    let bundle = context.root().join("bundle");
    tool("umoci", &["unpack", "--image", outputs[0].strip_prefix("oci:").unwrap(), bundle.to_str().unwrap()]);
    assert!(bundle.join("rootfs/etc/passwd").exists());

    podman(&context, name, &archive, &expect);
}

fn podman(context: &TestContext, name: &str, archive: &std::path::Path, expect: &Expect) {
    let config = context.root().join("containers.conf");
    fs::write(
        &config,
        "[containers]\ndefault_ulimits = [\"nofile=20000:20000\", \"nproc=8192:8192\"]\nnetns = \"host\"\n\
         [engine]\nruntime = \"runc\"\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"file\"\n",
    )
    .unwrap();
    let storage = context.root().join("containers");
    let podman = |arguments: &[&str]| {
        let mut command = Command::new("podman");
        command.env("CONTAINERS_CONF", &config).arg("--root").arg(&storage).args(["--storage-driver", "vfs"]);
        command.arg("--runroot").arg(context.root().join("run")).args(arguments);
        command
    };
    let loaded = podman(&["load", "-i", archive.to_str().unwrap()]).output().unwrap();
    assert!(loaded.status.success(), "{}", String::from_utf8_lossy(&loaded.stderr));
    let reference = String::from_utf8(loaded.stdout).unwrap().trim().rsplit(": ").next().unwrap().to_owned();
    let port = free_port();
    let variable = format!("PORT={port}");
    let container = format!("rpack-test-{name}-{port}");
    let run = ["run", "--rm", "--name", &container, "--read-only", "-e", &variable, &reference];
    let mut server = Server::start(podman(&run));
    for request in &expect.http {
        let (status, body) = server.get(port, &request.path);
        assert_eq!(status, request.status);
        assert!(body.contains(&request.body_contains), "{body}");
    }
    if expect.http.is_empty() {
        std::thread::sleep(std::time::Duration::from_secs(5));
    }
    let uid = podman(&["top", &container, "huser", "user"]).output().unwrap();
    let uid = String::from_utf8_lossy(&uid.stdout).into_owned();
    assert!(uid.contains("65532") || uid.contains("nonroot"), "{uid}");
    let ended = server.terminate();
    let printed =
        String::from_utf8_lossy(&ended.stdout).into_owned() + &String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(expect.sigterm_exit), "{printed}");
}

#[test]
#[ignore = "needs the network, root, skopeo, umoci and podman: run by .ci/run"]
fn network_root_tool_node_express_elsewhere() {
    foreign("node-express");
}

#[test]
#[ignore = "needs the network, root, skopeo, umoci and podman: run by .ci/run"]
fn network_root_tool_python_flask_elsewhere() {
    foreign("python-flask");
}

#[test]
#[ignore = "needs the network, root, skopeo, umoci and podman: run by .ci/run"]
fn network_root_tool_go_http_elsewhere() {
    foreign("go-http");
}

#[test]
#[ignore = "needs the network, root, skopeo, umoci and podman: run by .ci/run"]
fn network_root_tool_static_site_elsewhere() {
    foreign("static-site");
}

#[test]
#[ignore = "needs the network, root, skopeo, umoci and podman: run by .ci/run"]
fn network_root_tool_procfile_worker_elsewhere() {
    foreign("procfile-worker");
}

#[test]
#[ignore = "needs the network, root, skopeo, umoci and podman: run by .ci/run"]
fn network_root_tool_shell_start_elsewhere() {
    foreign("shell-start");
}
