//! Whole plans.

use std::fmt::Write as _;

use super::*;
use crate::config::Command;
use crate::plan::explain;

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
