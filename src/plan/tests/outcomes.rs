//! What a build may turn out to have made, and processes besides the one that is started.

use super::*;
use crate::config::Command;
use crate::package::settle;
use crate::plan::model::Contents;
use crate::store::{Entry, Tree};

const OUTCOMES: &str = r#"
[[outcome]]
id = "static"
title = "a static site in dist"
files = ["dist/index.html"]
values = { root = "dist", fallback = "{{ 'index.html' if config.strict else '' }}" }

[[outcome]]
id = "server"
title = "a server"

"#;

const STARTS: &str = r#"
[[start]]
when = "outcome.id == 'static'"
argv = ["bin/site", "--root", "{{ outcome.root }}"]
origin = "dist"
looks-for = "dist/index.html"

[[start]]
when = "outcome.id == 'server'"
files = ["build/*.sh"]
argv = ["bin/server"]
origin = "build"
looks-for = "build/*.sh"

[[process]]
name = "queue"
argv = ["bin/queue"]
origin = "language"

"#;

/// The plan of a buildpack with two outcomes, whose static one has its own layer.
fn planned(facts: Value, config: &Config, starts: &str) -> Result<Plan, Error> {
    let folder = tempfile::tempdir().unwrap();
    let path = "buildpacks/procfile/buildpack.toml";
    let good = String::from_utf8(Definitions::embedded().get(path).unwrap().bytes.to_vec()).unwrap();
    let text = good
        .replacen(
            "[[runtime-root]]",
            &format!("{OUTCOMES}{starts}[[runtime-root]]\nwhen = \"outcome.id == 'server'\""),
            1,
        )
        .replacen(
            "include = [\"app\", \"app/**\"]",
            "include = [\"{{ 'app/dist/**' if outcome.id == 'static' else 'app/**' }}\"]",
            1,
        );
    std::fs::create_dir_all(folder.path().join("buildpacks/procfile")).unwrap();
    std::fs::write(folder.path().join(path), text).unwrap();
    let definitions = Definitions::with_folder(folder.path()).unwrap();
    plan(&detection("procfile", facts), config, None, &definitions, &Fake, &options())
}

fn no_processes() -> Value {
    json!({ "procfile": { "processes": {}, "default": null, "program": null } })
}

fn tree(paths: &[&str]) -> Tree {
    let mut tree: Tree = paths.iter().map(|path| ((*path).to_owned(), Entry::bytes(b""))).collect();
    tree.add_parents();
    tree
}

fn summary(plan: &Plan) -> String {
    let Some(Contents::Work { include, .. }) = plan.layers.last().map(|layer| &layer.contents[0]) else {
        panic!("the last layer is the app's");
    };
    let packages = plan.runtime_root.packages.len();
    format!("{} | {} | {packages} packages", plan.image.entrypoint[4..].join(" "), include.join(" "))
}

#[test]
fn files_that_exist_after_the_build_choose() {
    let plan = planned(no_processes(), &Config::default(), STARTS).unwrap();
    let settled = |paths: &[&str]| settle(&plan, &tree(paths), &tree(&["package.json"]));
    assert_eq!(
        summary(&settled(&["app/dist/index.html", "app/build/run.sh"]).unwrap()),
        "/app/bin/site --root dist | app/dist/** | 0 packages"
    );
    assert_eq!(summary(&settled(&["app/build/run.sh"]).unwrap()), "/app/bin/server | app/** | 1 packages");
    let error = settled(&["app/package.json", "app/out/a.js", "app/node_modules/x/y"]).unwrap_err();
    let lines = [vec![error.to_string()], error.detail().into_iter().collect(), error.hints()].concat();
    assert_eq!(
        lines.join("\n"),
        "the build has made nothing that could be started or served\n\
         looked for:\n  a static site in dist: app/dist/index.html\n  a server: app/build/*.sh\nmade: out, out/a.js\n\
         look at what the build script does, and where its output goes\n\
         name what the image starts in rpack.toml: `start.command = \"node dist/server.js\"`\n\
         or the folder that it serves: `static.root = \"dist\"`"
    );
}

#[test]
fn a_plan_with_outcomes_survives_its_document() {
    let plan = planned(no_processes(), &Config::default(), STARTS).unwrap();
    let document = serde_json::to_vec(&plan).unwrap();
    assert_eq!(serde_json::from_slice::<Plan>(&document).unwrap(), plan);
}

#[test]
fn an_outcome_without_a_start_is_left_out() {
    let (_, server) = STARTS.split_once("[[start]]\nwhen = \"outcome.id == 'server'\"").unwrap();
    let starts = format!("[[start]]\nwhen = \"outcome.id == 'server'\"{server}")
        .replace("files = [\"build/*.sh\"]\n", "");
    let plan = planned(no_processes(), &Config::default(), &starts).unwrap();
    assert_eq!((plan.alternatives.len(), plan.outcome.clone()), (0, None));
    assert_eq!(summary(&plan), "/app/bin/server | app/** | 1 packages");
}

fn two_processes() -> Value {
    json!({ "procfile": {
        "processes": {
            "web": { "command": "bin/web --port $PORT", "line": 1 },
            "worker": { "command": "MODE=a bin/worker", "line": 2 },
            "shell": { "command": "bin/a | bin/b", "line": 3 },
            "release": { "command": "bin/migrate", "line": 4 },
        },
        "default": "web", "program": "web",
    } })
}

fn processes(plan: &Plan) -> Vec<String> {
    let row = |(name, process): (&String, &crate::plan::model::Process)| {
        format!("{name}: {} {:?} ({})", process.argv[4..].join(" "), process.env, process.origin)
    };
    plan.image.processes.iter().map(row).collect()
}

#[test]
fn every_process_is_in_the_image_and_one_is_started() {
    let plan = make("procfile", two_processes(), &Config::default()).unwrap();
    assert_eq!(plan.image.entrypoint[4..].join(" "), "/app/bin/web --port ${PORT}");
    assert_eq!(
        processes(&plan),
        [
            "release: /app/bin/migrate {} (Procfile:4)",
            "web: /app/bin/web --port ${PORT} {} (Procfile:1)",
            "worker: /app/bin/worker {\"MODE\": \"a\"} (Procfile:2)",
        ]
    );
    let label: Value = serde_json::from_str(&plan.image.labels["rpack.processes"]).unwrap();
    assert_eq!(label["worker"]["argv"], json!(plan.image.processes["worker"].argv));
    let left_out: Vec<_> = plan.notices.iter().map(|notice| (&*notice.id, &*notice.text)).collect();
    assert_eq!(
        left_out,
        [(
            "process/left-out",
            "the process `shell` is left out: the start command `bin/a | bin/b` (Procfile:3) needs a shell for `|`, \
             and the image has none; move what prepares the app into `build.command` in rpack.toml, and start one program"
        )]
    );
}

#[test]
fn a_process_can_be_chosen_and_configured() {
    let config = Config { process: Some(flag("--process", "worker".to_owned())), ..Config::default() };
    let plan = make("procfile", two_processes(), &config).unwrap();
    assert_eq!(plan.image.entrypoint[4..].join(" "), "/app/bin/worker");
    assert!(plan.image.env.contains(&"MODE=a".to_owned()));
    let config = Config {
        processes: [("worker".to_owned(), file(3, Command::Line("bin/other".to_owned())))].into(),
        ..config
    };
    let plan = make("procfile", two_processes(), &config).unwrap();
    assert_eq!(plan.image.start_origin, "rpack.toml:3 process.worker");
    let of_language = Config { process: Some(flag("--process", "queue".to_owned())), ..Config::default() };
    let plan = planned(no_processes(), &of_language, STARTS).unwrap();
    assert_eq!(plan.image.entrypoint[4..].join(" "), "/app/bin/queue");
}

#[test]
fn an_unknown_process_lists_the_known_ones() {
    let config = Config { process: Some(flag("--process", "wroker".to_owned())), ..Config::default() };
    assert_eq!(
        shown(&make("procfile", two_processes(), &config).unwrap_err()),
        "2[start/no-process]: there is no process `wroker` (flag --process)\n\
         hint: there is release, shell, web, worker\n\
         hint: name its command in rpack.toml: `process.wroker = \"PROGRAM ARGUMENTS\"`\n"
    );
}
