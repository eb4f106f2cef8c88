//! Start commands.

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
         started instead (server.js)"
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
