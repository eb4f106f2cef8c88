//! Start commands.

use std::fmt::Write as _;

use super::*;
use crate::config::Command;

fn argv(plan: &Plan) -> String {
    plan.image.entrypoint[4..].join(" ")
}

fn node_script(start: &str) -> Value {
    let mut facts = node();
    facts["node"]["package"]["scripts"]["start"] = json!(start);
    facts["node"]["package"]["scripts"]["serve"] = json!("node serve.js --all");
    facts["node"]["package"]["scripts"]["loop"] = json!("npm run loop");
    facts
}

#[test]
fn scripts_become_an_argv() {
    for (script, expected) in [
        ("node dist/server.js", "/opt/node/bin/node dist/server.js"),
        ("cross-env NODE_ENV=production node a.js", "/opt/node/bin/node a.js"),
        ("npm run serve", "/opt/node/bin/node serve.js --all"),
        ("npm run serve -- --port 1", "/opt/node/bin/node serve.js --all --port 1"),
        ("next start -p $PORT", "/opt/node/bin/node /app/node_modules/.bin/next start -p ${PORT}"),
        ("npx serve-handler", "/opt/node/bin/node /app/node_modules/.bin/serve-handler"),
        ("./bin/run", "/app/bin/run"),
        (
            "exec node --max-old-space-size=100 'my server.js'",
            "/opt/node/bin/node --max-old-space-size=100 my server.js",
        ),
    ] {
        let plan = make("node", node_script(script), &Config::default()).unwrap();
        assert_eq!(argv(&plan), expected, "{script}");
        assert_eq!(plan.image.start_origin, "package.json:11 scripts.start");
    }
}

#[test]
fn assignments_become_defaults_and_a_port_is_left_out() {
    let plan = make("node", node_script("PORT=3000 MODE='a b' node s.js"), &Config::default()).unwrap();
    assert!(plan.image.env.contains(&"MODE=a b".to_owned()));
    assert!(!plan.image.env.iter().any(|entry| entry.starts_with("PORT=")));
    assert_eq!(
        plan.notices[0].text,
        "package.json:11 scripts.start sets PORT=3000, which is left out: whoever runs the image chooses the port"
    );
}

#[test]
fn what_a_watcher_runs_is_started() {
    for (script, expected) in [
        ("nodemon src/web.js --all", "/opt/node/bin/node src/web.js --all"),
        ("nodemon -w src -e js,json web.js", "/opt/node/bin/node web.js"),
        ("nodemon --exec ts-node src/web.ts", "/opt/node/bin/node /app/node_modules/.bin/ts-node src/web.ts"),
        (
            "tsx watch --clear-screen=false src/web.ts",
            "/opt/node/bin/node /app/node_modules/.bin/tsx src/web.ts",
        ),
        (
            "ts-node-dev --respawn -r dotenv/config web.ts",
            "/opt/node/bin/node /app/node_modules/.bin/ts-node web.ts",
        ),
    ] {
        let plan = make("node", node_script(script), &Config::default()).unwrap();
        assert_eq!(argv(&plan), expected, "{script}");
        assert_eq!(plan.notices[0].id, "start/dev-server");
    }
}

#[test]
fn programs_that_run_several_come_to_one() {
    let dash = "/usr/bin/dash -c";
    let (serve, node) = ("/opt/node/bin/node serve.js --all", "/opt/node/bin/node");
    for (script, expected, notice) in [
        ("run-s serve", serve.to_owned(), None),
        ("npm-run-all build serve", serve.to_owned(), None),
        (
            "run-s migrate serve",
            format!("{dash} {node} migrate.js && exec {serve}"),
            Some(("start/shell", "dash is added")),
        ),
        ("npx concurrently npm:serve", serve.to_owned(), None),
        (
            "npm-run-all -p serve:*",
            "/opt/node/bin/node one.js".to_owned(),
            Some(("start/several", "starts a server beside what only makes files: `npm run serve:css`")),
        ),
        (
            "concurrently -k -n web,css 'tsc -w' 'PORT=1 nodemon a.js'",
            format!("{node} a.js"),
            Some(("start/several", "starts a server beside what only makes files: `tsc -w`")),
        ),
        (
            "pm2-runtime start a.js -i max --name web -- --all",
            format!("{node} a.js --all"),
            Some(("start/process-manager", "keeps programs running")),
        ),
        ("pm2 start npm --no-daemon -- run serve", serve.to_owned(), Some(("start/process-manager", "pm2"))),
        ("per-env", format!("{node} production.js"), None),
    ] {
        let mut facts = node_script(script);
        let scripts = &mut facts["node"]["package"]["scripts"];
        scripts["migrate"] = json!("node migrate.js");
        scripts["serve:one"] = json!("node one.js");
        scripts["serve:css"] = json!("tailwindcss -i a.css -o b.css --watch");
        scripts["start:production"] = json!("node production.js");
        let plan = make("node", facts, &Config::default()).unwrap();
        assert_eq!(argv(&plan), expected, "{script}");
        let notices: Vec<_> = plan.notices.iter().filter(|one| one.id.starts_with("start/")).collect();
        match notice {
            Some((id, text)) => {
                let said = notices.iter().any(|one| one.id == id && one.text.contains(text));
                assert!(said, "{script}: {notices:?}");
            }
            None => assert!(notices.is_empty(), "{script}: {notices:?}"),
        }
    }
}

#[test]
fn programs_that_run_several_at_once_are_taken_for_processes() {
    let mut said = String::new();
    for script in [
        "concurrently 'node api.js' 'node worker.js --queue \"a b\"'",
        "run-p serve loop",
        "wsrun --parallel start",
        "concurrently",
    ] {
        let error = make("node", node_script(script), &Config::default()).unwrap_err();
        let _ = writeln!(said, "{}", shown(&error));
    }
    insta::assert_snapshot!(said);
    // Another script says what is for production; a file would be one of the programs at best.
    let mut facts = node_script("concurrently 'node api.js' 'node worker.js'");
    facts["node"]["entry"] = json!("index.js");
    assert_eq!(make("node", facts.clone(), &Config::default()).unwrap_err().id(), "start/several");
    facts["node"]["package"]["scripts"]["start:prod"] = json!("node api.js");
    facts["node"]["package"]["script_lines"]["start:prod"] = json!(12);
    assert_eq!(argv(&make("node", facts, &Config::default()).unwrap()), "/opt/node/bin/node api.js");
}

#[test]
fn what_a_start_script_prepares_is_built() {
    for (script, build) in [
        ("tsc && node a.js", "tsc"),
        ("npx tsc && node a.js", "npx tsc"),
        ("prisma generate && tsc -p . && node a.js", "prisma generate && tsc -p ."),
        ("run-s compile web", "npm run compile"),
    ] {
        let mut facts = node_script(script);
        facts["node"]["package"]["scripts"].as_object_mut().unwrap().remove("build");
        facts["node"]["package"]["scripts"]["compile"] = json!("tsc");
        facts["node"]["package"]["scripts"]["web"] = json!("node a.js");
        let plan = make("node", facts, &Config::default()).unwrap();
        let step = plan.steps.iter().find(|step| step.id == "node/build").unwrap();
        assert_eq!(step.argv, ["/bin/sh", "-c", build], "{script}");
        assert_eq!(argv(&plan), "/opt/node/bin/node a.js", "{script}");
    }
}

#[test]
fn the_script_of_a_hosting_platform_counts_before_build() {
    let mut facts = node_script("node a.js");
    facts["node"]["package"]["scripts"]["heroku-postbuild"] = json!("cd web && npm install && npm run build");
    let plan = make("node", facts, &Config::default()).unwrap();
    let step = plan.steps.iter().find(|step| step.id == "node/build").unwrap();
    assert_eq!(step.title, "npm run heroku-postbuild");
    assert!(step.network, "it installs packages of another folder");
    assert_eq!(step.env["npm_config_include"], "dev");
}

#[test]
fn a_folder_becomes_the_working_directory() {
    let plan = make("node", node_script("cd ./dist && node server.js"), &Config::default()).unwrap();
    assert_eq!(plan.image.working_directory, "/app/dist");
}

#[test]
fn a_development_server_gives_way_to_what_can_be_started() {
    let mut facts = node_script("nodemon server.js");
    facts["node"]["entry"] = json!("server.js");
    let plan = make("node", facts, &Config::default()).unwrap();
    assert_eq!(argv(&plan), "/opt/node/bin/node server.js");
    assert_eq!(
        plan.notices[0].text,
        "`nodemon server.js` (package.json:11 scripts.start) is for development; `/opt/node/bin/node server.js` is \
         started instead (package.json:11 scripts.start)"
    );
}

#[test]
fn candidates_come_in_order() {
    let mut facts = node();
    facts["node"]["package"]["scripts"] = json!({ "build": "tsc" });
    facts["node"]["package"]["main"] = json!("dist/index.js");
    facts["node"]["entry"] = json!("index.js");
    assert_eq!(
        argv(&make("node", facts.clone(), &Config::default()).unwrap()),
        "/opt/node/bin/node dist/index.js"
    );
    // Without a build nothing makes the file.
    facts["node"]["package"]["scripts"] = json!({});
    assert_eq!(
        argv(&make("node", facts.clone(), &Config::default()).unwrap()),
        "/opt/node/bin/node index.js"
    );
    facts["procfile"] = procfile("npm run nothing");
    assert!(make("node", facts.clone(), &Config::default()).is_err());
    let config =
        Config { start: Some(flag("--start", Command::Line("node x.js".into()))), ..Config::default() };
    assert_eq!(argv(&make("node", facts, &config).unwrap()), "/opt/node/bin/node x.js");
}

#[test]
fn python_objects_get_their_server() {
    let table = [
        (
            "wsgi",
            false,
            "",
            vec!["gunicorn"],
            "/app/.venv/bin/gunicorn m:v --bind 0.0.0.0:${PORT:-8000} --workers ${WEB_CONCURRENCY:-1} --threads 8",
        ),
        (
            "wsgi",
            true,
            "src",
            vec!["gunicorn"],
            "/app/.venv/bin/gunicorn m:v() --bind 0.0.0.0:${PORT:-8000} --workers ${WEB_CONCURRENCY:-1} --threads 8 --chdir=src",
        ),
        (
            "wsgi",
            true,
            "",
            vec!["waitress"],
            "/app/.venv/bin/waitress-serve --listen=0.0.0.0:${PORT:-8000} --call m:v",
        ),
        (
            "asgi",
            true,
            "",
            vec!["uvicorn"],
            "/app/.venv/bin/uvicorn m:v --host 0.0.0.0 --port ${PORT:-8000} --factory",
        ),
        ("asgi", false, "", vec!["hypercorn"], "/app/.venv/bin/hypercorn m:v --bind 0.0.0.0:${PORT:-8000}"),
        ("asgi", false, "", vec!["daphne"], "/app/.venv/bin/daphne -b 0.0.0.0 -p ${PORT:-8000} m:v"),
        (
            "asgi",
            false,
            "src",
            vec![],
            "/app/.venv/bin/uvicorn m:v --host 0.0.0.0 --port ${PORT:-8000} --app-dir=src",
        ),
    ];
    for (interface, factory, directory, names, expected) in table {
        let mut facts = python();
        facts["python"]["requirements"] = names.iter().map(|name| requirement(name, 1)).collect();
        facts["python"]["apps"][0] = json!({ "file": "m.py", "line": 1, "module": "m", "directory": directory,
            "variable": "v", "factory": factory, "framework": "x", "interface": interface });
        assert_eq!(argv(&make("python", facts, &Config::default()).unwrap()), expected);
    }
}

#[test]
fn a_server_that_an_extra_brings_is_not_supplied() {
    let mut facts = python();
    let mut fastapi = requirement("fastapi", 1);
    fastapi["extras"] = json!(["standard"]);
    facts["python"]["requirements"] = json!([fastapi]);
    facts["python"]["apps"][0]["interface"] = json!("asgi");
    let plan = make("python", facts, &Config::default()).unwrap();
    assert_eq!(plan.notices, []);
    assert!(!plan.steps.iter().any(|step| step.id == "python/server"));
}

#[test]
fn the_interpreter_is_that_of_the_virtual_environment_when_there_is_one() {
    let mut facts = worker();
    assert!(
        argv(&make("python", facts.clone(), &Config::default()).unwrap())
            .starts_with("/usr/bin/python3.13 worker.py")
    );
    facts["python"]["requirements"] = json!([requirement("redis", 1)]);
    facts["python"]["requirements_file"] = json!("requirements.txt");
    assert!(
        argv(&make("python", facts, &Config::default()).unwrap())
            .starts_with("/app/.venv/bin/python worker.py")
    );
}

/// What starts the facts of `python()` without its app and requirements, after `change`.
fn started(names: &[&str], change: impl FnOnce(&mut Value)) -> String {
    let mut facts = python();
    facts["python"]["apps"] = json!([]);
    facts["python"]["mains"] = json!([]);
    facts["python"]["requirements"] = names.iter().map(|name| requirement(name, 1)).collect();
    change(&mut facts["python"]);
    argv(&make("python", facts, &Config::default()).unwrap())
}

#[test]
fn pages_workers_commands_and_packages_of_python() {
    let screen = |framework: &str| json!([{ "file": "page.py", "line": 1, "framework": framework }]);
    let worker = |framework: &str| {
        json!([{ "file": "m.py", "line": 1, "module": "m", "directory": "", "variable": "v", "factory": false,
                 "framework": framework, "interface": "worker" }])
    };
    let command = |named: bool| json!({ "name": "shop", "target": "shop.cli:main", "named": named });
    let mut text = String::new();
    for (names, key, value) in [
        (vec!["streamlit"], "screens", screen("streamlit")),
        (vec!["gradio"], "screens", screen("gradio")),
        (vec!["chainlit"], "screens", screen("chainlit")),
        (vec!["panel"], "screens", screen("panel")),
        (vec!["nicegui"], "screens", screen("nicegui")),
        (vec!["celery"], "workers", worker("celery")),
        (vec!["huey"], "workers", worker("huey")),
        (vec!["google-adk"], "packages", json!([])),
        (vec![], "packages", json!(["shop"])),
    ] {
        writeln!(text, "{}", started(&names, |python| python[key] = value)).unwrap();
    }
    for named in [true, false] {
        let with = |python: &mut Value| {
            python["program"] = command(named);
            python["install"]["folders"] = json!(["."]);
        };
        writeln!(text, "{}", started(&[], with)).unwrap();
    }
    insta::assert_snapshot!(text);
}

#[test]
fn django_is_served_by_what_is_installed() {
    let django = |wsgi: Option<&str>, asgi: Option<&str>| {
        json!({ "manage": "src/manage.py", "directory": "src", "settings": "shop.settings",
                "settings_file": "src/shop/settings.py", "static_files": true, "static_root": true, "wsgi": wsgi,
                "asgi": asgi, "secrets": ["SHOP_KEY"] })
    };
    let (wsgi, asgi) = (Some("shop.wsgi:application"), Some("shop.asgi:application"));
    let mut text = String::new();
    for (names, wsgi, asgi) in [
        (vec!["django", "gunicorn"], wsgi, asgi),
        (vec!["django", "channels", "daphne", "uvicorn"], wsgi, asgi),
        (vec!["django"], None, asgi),
    ] {
        writeln!(text, "{}", started(&names, |python| python["django"] = django(wsgi, asgi))).unwrap();
    }
    let mut facts = python();
    facts["python"]["django"] = django(wsgi, asgi);
    let plan = make("python", facts, &Config::default()).unwrap();
    let step = plan.steps.iter().find(|step| step.id == "python/collectstatic").unwrap();
    writeln!(text, "{} with {}", step.argv.join(" "), step.env["SECRET_KEY"]).unwrap();
    assert!(
        !plan.image.env.iter().any(|variable| variable.contains("only-for-the-build")),
        "{:?}",
        plan.image.env
    );
    insta::assert_snapshot!(text);
}

#[test]
fn a_lock_of_python_is_installed_by_its_lines() {
    let mut facts = python();
    facts["python"]["manager"] = json!("poetry");
    facts["python"]["requirements"] = json!([]);
    let install = &mut facts["python"]["install"];
    for (key, value) in [
        ("file", json!("poetry.lock")),
        ("exact", json!(true)),
        ("hashed", json!(true)),
        ("git", json!(true)),
        ("lines", json!("flask==3.0 \\\n    --hash=sha256:30\n")),
        ("direct", json!("tool @ git+https://git.example.com/t.git@abc\n")),
        ("folders", json!([".", "libs/a"])),
        ("backends", json!(["poetry-core"])),
        (
            "indexes",
            json!(["ours=https://registry.example/simple", "https://${TOKEN}@registry.example/simple"]),
        ),
        ("credentials", json!(["UV_INDEX_OURS_USERNAME", "UV_INDEX_OURS_PASSWORD"])),
        ("names", json!(["flask", "gunicorn", "tool"])),
    ] {
        install[key] = value;
    }
    facts["python"]["secrets"] = json!([located("TOKEN", "pyproject.toml", Some(9), "")]);
    let plan = make("python", facts, &Config::default()).unwrap();
    let mut text = String::new();
    for step in plan.steps.iter().filter(|step| step.id != "python/uv") {
        let network = if step.network { " with network" } else { "" };
        writeln!(text, "{}{network} {:?}: {}", step.id, step.inputs, step.argv.join(" ")).unwrap();
        let ids: Vec<_> = step.secrets.iter().map(|secret| secret.id.as_str()).collect();
        writeln!(text, "  secrets: {}", ids.join(" ")).unwrap();
        for (path, content) in &step.files {
            writeln!(text, "  {path}: {content:?}").unwrap();
        }
    }
    assert!(plan.build_root.packages.iter().any(|package| package.name == "git"));
    insta::assert_snapshot!(text);
}
