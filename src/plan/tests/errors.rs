//! Every error, with all that a person sees of it: exit code, id, text, place, evidence, hints.

use super::*;
use crate::config::Command;

fn refused(language: &str, facts: Value, config: &Config) -> String {
    shown(&make(language, facts, config).unwrap_err())
}

/// Planning fails before a registry is asked.
fn refused_offline(language: &str, facts: Value, config: &Config) -> String {
    let definitions = Definitions::embedded();
    let result = plan(&detection(language, facts), config, None, &definitions, &Unreachable, &options());
    shown(&result.unwrap_err())
}

fn with(mut facts: Value, path: &str, value: Value) -> Value {
    *facts.pointer_mut(path).unwrap() = value;
    facts
}

fn strict() -> Config {
    Config { strict: true, ..Config::default() }
}

#[test]
fn versions() {
    let asked = |value: &str| with(node(), "/node/versions", json!([located(value, ".nvmrc", Some(1), "")]));
    let mut text = String::new();
    for value in ["99", "24.1.7", ">=30", "twenty", "lts/foo"] {
        text.push_str(&refused("node", asked(value), &Config::default()));
        text.push('\n');
    }
    let python = |value: &str| {
        with(python(), "/python/versions", json!([located(value, ".python-version", Some(1), "")]))
    };
    text.push_str(&refused("python", python("3.12"), &Config::default()));
    text.push('\n');
    text.push_str(&refused("python", python("3.13.1"), &strict()));
    text.push('\n');
    let go = with(go(), "/go/versions", json!([located("1.30", "go.mod", Some(3), "go")]));
    text.push_str(&refused("go", go, &Config::default()));
    text.push('\n');
    let two = json!([
        located("22", ".nvmrc", Some(1), ""),
        located(">=24", "package.json", Some(9), "engines.node")
    ]);
    text.push_str(&refused("node", with(node(), "/node/versions", two), &strict()));
    text.push('\n');
    let config =
        Config { versions: BTreeMap::from([("uv".into(), file(4, "0.9".into()))]), ..Config::default() };
    text.push_str(&refused("python", super::python(), &config));
    insta::assert_snapshot!(text);
}

/// The root of workspaces with nothing to start.
fn joint() -> Value {
    let member = |path: &str, scripts: Value| json!({ "path": path, "name": path, "scripts": scripts, "closure": [path] });
    let members = json!([
        member("apps/api", json!(["start"])),
        member("apps/web", json!(["start"])),
        member("libs/ui", json!([]))
    ]);
    let workspace = json!({ "file": "pnpm-workspace.yaml", "runner": null, "members": members, "app": null });
    let mut joint = with(with(node(), "/node/workspace", workspace), "/node/package/scripts", json!({}));
    joint["node"]["package"]["main"] = json!(null);
    joint
}

#[test]
fn locks_and_managers() {
    let mut text = String::new();
    let drift = json!(["left-pad: package.json wants ^1.3.0, package-lock.json has 1.2.0"]);
    let mut unlocked = node();
    unlocked["node"]["lock"] = json!(null);
    for (facts, config) in [
        (
            with(node_with("pnpm", "yarn.lock", "1", "node-modules"), "/node/lock/kind", json!("yarn")),
            Config::default(),
        ),
        (with(node(), "/node/lock/drift", drift), Config { strict: true, ..Config::default() }),
        (
            with(node_with("berry", "yarn.lock", "8", "pnp"), "/node/lock/drift", json!(["a: none"])),
            Config::default(),
        ),
        (unlocked, strict()),
        (joint(), Config::default()),
    ] {
        text.push_str(&refused_offline("node", facts, &config));
        text.push('\n');
    }
    let unpinned = with(python(), "/python/unpinned", json!(["flask (requirements.txt:3)"]));
    let drift = json!(["flask: pyproject.toml:6 wants >=3, poetry.lock has 2.3.3"]);
    let of = |manager: &str, path: &str, value: Value| {
        let facts =
            with(with(python(), "/python/manager", json!(manager)), "/python/requirements", json!([]));
        with(facts, path, value)
    };
    let file = |facts: Value, file: &str| with(facts, "/python/install/file", json!(file));
    for (facts, config) in [
        (file(of("poetry", "/python/install/drift", drift), "poetry.lock"), Config::default()),
        (file(of("uv", "/python/other_locks", json!(["poetry.lock"])), "uv.lock"), Config::default()),
        (file(of("uv", "/python/install/needs_lock", json!(true)), "pyproject.toml"), Config::default()),
        (file(of("pipenv", "/python/install/lines", json!("flask\n")), "Pipfile"), strict()),
        (file(of("script", "/python/install/lines", json!("rich\n")), "app.py"), strict()),
        (of("none", "/python/imports", json!(["flask", "os", "yaml"])), Config::default()),
        (of("conda", "/python/imports", json!([])), Config::default()),
        (unpinned, strict()),
    ] {
        text.push_str(&refused_offline("python", facts, &config));
        text.push('\n');
    }
    let rivals = with(
        python(),
        "/python/rivals",
        json!([{ "file": "b/main.py", "line": 3, "module": "b.main",
        "variable": "app" }]),
    );
    text.push_str(&refused("python", rivals, &Config::default()));
    text.push('\n');
    let server = with(python(), "/python/requirements", json!([requirement("flask", 1)]));
    text.push_str(&refused("python", server, &strict()));
    text.push('\n');
    for facts in [
        with(go(), "/go/mains", json!(["cmd/a", "cmd/b"])),
        with(go(), "/go/mains", json!([])),
        with(go(), "/go/module", json!(null)),
        with(go(), "/go/has_sum", json!(false)),
        with(go(), "/go/replaces_outside", json!(["example.com/x => ../x"])),
    ] {
        text.push_str(&refused_offline("go", facts, &Config::default()));
        text.push('\n');
    }
    let target = Config { go_target: Some(super::file(3, "worker".into())), ..Config::default() };
    for mains in [json!(["cmd/a", "cmd/b"]), json!(["x/worker", "y/worker"])] {
        text.push_str(&refused_offline("go", with(go(), "/go/mains", mains), &target));
        text.push('\n');
    }
    let secret = json!({ "hugo": false, "index": ".", "staticfile": {
        "root": null, "fallback": false, "directory": false, "dot_files": false, "basic_auth": true,
    } });
    let facts = json!({ "files": { "has": ["Staticfile", "index.html"] }, "static": secret });
    text.push_str(&refused_offline("static", facts, &Config::default()));
    text.push('\n');
    insta::assert_snapshot!(text);
}

#[test]
fn start_commands() {
    let mut text = String::new();
    let script = |value: &str| with(node(), "/node/package/scripts/start", json!(value));
    for value in [
        "node migrate.js | node dist/server.js",
        "node $(cat name)",
        "bash run.sh",
        "node 'server.js",
        "nodemon",
        "npm run missing",
        "cd .. && node server.js",
        "HOST=$NAME node server.js",
    ] {
        text.push_str(&refused("node", script(value), &Config::default()));
        text.push('\n');
    }
    let mut looping = script("npm run start");
    looping["procfile"] = procfile("npm start");
    text.push_str(&refused("node", looping, &Config::default()));
    text.push('\n');
    let none = with(node(), "/node/package/scripts", json!({}));
    text.push_str(&refused("node", none, &Config::default()));
    text.push('\n');
    let mut two = node();
    two["procfile"] = json!({ "processes": {
        "api": { "command": "node api.js", "line": 1 }, "worker": { "command": "node worker.js", "line": 2 },
        "release": { "command": "node migrate.js", "line": 3 },
    }, "default": null, "program": null });
    text.push_str(&refused("node", two, &Config::default()));
    text.push('\n');
    let config = Config { start: Some(file(7, Command::Line("flask run".into()))), ..Config::default() };
    text.push_str(&refused("python", python(), &config));
    insta::assert_snapshot!(text);
}

#[test]
fn configuration() {
    let mut text = String::new();
    let env = |name: &str| BTreeMap::from([(name.to_owned(), file(3, "1".to_owned()))]);
    for config in vec![
        Config { runtime_env: env("PORT"), ..Config::default() },
        Config { runtime_env: env("K_SERVICE"), ..Config::default() },
        Config { runtime_env: env("LD_PRELOAD"), ..Config::default() },
        Config { build_env: env("PYTHONHOME"), ..Config::default() },
        Config { user: Some(file(4, "root".into())), ..Config::default() },
        Config { user: Some(file(4, "0:0".into())), ..Config::default() },
        Config { writable: Some(vec![file(5, "/app/../etc".into())]), ..Config::default() },
        Config { runtime_packages: vec![file(6, "Lib Foo".into())], ..Config::default() },
        Config { ports: vec![file(7, 0)], ..Config::default() },
        Config { language: Some(flag("--language", "cobol".into())), ..Config::default() },
        Config { language: Some(flag("--language", "go".into())), ..Config::default() },
    ] {
        text.push_str(&refused("node", node(), &config));
        text.push('\n');
    }
    let options = Options { platform: "linux/riscv64".into(), ..options() };
    let definitions = Definitions::embedded();
    let detection = detection("node", node());
    let error = plan(&detection, &Config::default(), None, &definitions, &Unreachable, &options).unwrap_err();
    text.push_str(&shown(&error));
    insta::assert_snapshot!(text);
}

#[test]
fn a_failure_of_the_catalogue_is_shown_as_it_is() {
    assert_eq!(
        refused_offline("node", node(), &Config::default()),
        "5[network/no-answer]: the registry does not answer\n"
    );
}

#[test]
fn documents() {
    let plan = make("go", go(), &Config::default()).unwrap();
    let good = String::from_utf8(plan.to_json()).unwrap();
    let needing = |id: &str, needed: &str| {
        let mut plan = plan.clone();
        plan.steps.iter_mut().find(|step| step.id == id).unwrap().needs = Some(vec![needed.to_owned()]);
        String::from_utf8(plan.to_json()).unwrap()
    };
    let mut text = String::new();
    for bad in [
        "{}".to_owned(),
        "[".to_owned(),
        good.replace("\"format\":1", "\"format\":2"),
        good.replace("\"format\":1", "\"format\":1,\n\"extra\":true"),
        good.replace("\"language\":\"go\",", ""),
        needing("go/build", "go/downlaod"),
        needing("go/build", "go/build"),
        needing("go/download", "go/build"),
        needing("go/download", "go/downlaod"),
    ] {
        text.push_str(&shown(&Plan::from_json(bad.as_bytes()).unwrap_err()));
        text.push('\n');
    }
    insta::assert_snapshot!(text);
}

#[test]
fn buildpacks() {
    let good = String::from_utf8(
        Definitions::embedded().get("buildpacks/procfile/buildpack.toml").unwrap().bytes.to_vec(),
    )
    .unwrap();
    let mut text = String::new();
    for (from, to) in [
        ("port = 8080", "prot = 8080"),
        ("when = \"config.build_command\"", "when = \"config.build_command and\""),
        ("when = \"config.build_command\"", "when = \"procfil.default\""),
        ("when = \"config.build_command\"", "when = \"node.lock.fiel\""),
        ("when = \"config.build_command\"", "when = \"config.buildcommand\""),
        (
            "example = \"./bin/server\"",
            "example = \"./bin/server\"\nlabels = { a = \"{{ node.lock }}{{ value.x }}\" }",
        ),
        ("id = \"procfile\"", "id = \"other\""),
        ("inputs = [\"**\"]", "inputs = [\"**\"]\nneeds = [\"procfile/instal\"]"),
        ("inputs = [\"**\"]", "inputs = [\"**\"]\nneeds = [\"[\"]"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("buildpacks/procfile")).unwrap();
        let path = folder.path().join("buildpacks/procfile/buildpack.toml");
        std::fs::write(&path, good.replacen(from, to, 1)).unwrap();
        let definitions = Definitions::with_folder(folder.path()).unwrap();
        let facts = json!({ "files": { "has": [] }, "procfile": procfile("./run") });
        let detection = detection("procfile", facts);
        let error = plan(&detection, &Config::default(), None, &definitions, &Fake, &options()).unwrap_err();
        text.push_str(&shown(&error).replace(&path.display().to_string(), "DIR/buildpack.toml"));
        text.push('\n');
    }
    insta::assert_snapshot!(text);
}
