//! Plans of apps with a front end, from files to the plan.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::{Fake, options};
use crate::config::{Config, Origin, Resolved};
use crate::definitions::Definitions;
use crate::detect;
use crate::plan::{Error, Options, Plan, plan};
use crate::source::{Seen, Source};
use crate::store::Tree;
use crate::store::tree::Entry;
use crate::ui::Diagnose as _;

const VITE: &str =
    r#"{"scripts": {"build": "vite build", "dev": "vite"}, "devDependencies": {"vite": "^8"}}"#;
const FLASK: [(&str, &str); 2] = [
    ("requirements.txt", "flask==3.1.0\ngunicorn==23.0.0\n"),
    ("app.py", "from flask import Flask\napp = Flask(__name__, static_folder='web/dist')\n"),
];

fn make(files: &[(&str, &str)], config: &Config, options: &Options) -> Result<Plan, Error> {
    let mut tree = Tree::new();
    for (path, text) in files {
        tree.insert(*path, Entry::bytes(*text));
    }
    tree.add_parents();
    let source = Source {
        root: PathBuf::from("/src"),
        tree,
        settings: Vec::new(),
        commit: None,
        seen: Seen::default(),
    };
    let definitions = Definitions::embedded();
    let detection = detect::detect(&source, "", &definitions, config).unwrap();
    plan(&detection, config, None, &definitions, &Fake, options)
}

fn made(files: &[(&str, &str)]) -> Plan {
    make(files, &Config::default(), &options()).unwrap()
}

/// Id, folder and command of every step.
fn steps(plan: &Plan) -> Vec<String> {
    let line =
        |step: &crate::plan::model::Step| format!("{} {} {}", step.id, step.directory, step.argv.join(" "));
    plan.steps.iter().map(line).collect()
}

/// What the last layer takes in and leaves out.
fn app_layer(plan: &Plan) -> Value {
    serde_json::to_value(plan.layers.last().unwrap()).unwrap()["contents"][0].clone()
}

#[test]
fn a_front_end_in_a_folder_adds_its_steps_and_ships_what_they_make() {
    let plan = made(&[&FLASK[..], &[("web/package.json", VITE)]].concat());
    let ids: Vec<&str> = plan.steps.iter().map(|step| step.id.as_str()).collect();
    assert_eq!(
        ids,
        [
            "python/uv",
            "python/venv",
            "python/install",
            "node/install",
            "node/build",
            "python/stdlib",
            "python/compile"
        ]
    );
    let build = plan.steps.iter().find(|step| step.id == "node/build").unwrap();
    assert_eq!(
        (build.directory.as_str(), &build.inputs),
        ("/app/web", &vec!["web/**".to_owned(), "**".to_owned()])
    );
    assert!(
        build.env["PATH"].starts_with("/app/web/node_modules/.bin:/app/node_modules/.bin:/opt/node/bin:")
    );
    let tools: Vec<&str> = plan.toolchains.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(tools, ["node", "npm"]);
    let layers = serde_json::to_string(&plan.layers).unwrap();
    assert!(!layers.contains(r#""from":"toolchain""#), "{layers}");
    assert_eq!(plan.prune, None);
    let path = plan.image.env.iter().find(|line| line.starts_with("PATH=")).unwrap();
    assert!(!path.contains("/opt/node"), "{path}");
    insta::assert_json_snapshot!(app_layer(&plan));
}

#[test]
fn a_front_end_is_named_with_the_reason_and_its_warnings() {
    let plan = made(&[&FLASK[..], &[("web/package.json", VITE)]].concat());
    let notices: Vec<String> = plan.notices.iter().map(|one| format!("{}: {}", one.id, one.text)).collect();
    assert_eq!(
        notices,
        [
            "plan/assets: Node.js builds assets in `web`: web/package.json only builds assets for the program, which names the folder",
            "lock/missing: `web/package.json` has dependencies and there is no `web/package-lock.json`: the next build may install other versions",
        ]
    );
    let strict = Config { strict: true, ..Config::default() };
    let error = make(&[&FLASK[..], &[("web/package.json", VITE)]].concat(), &strict, &options()).unwrap_err();
    assert_eq!(error.id(), "lock/missing");
}

#[test]
fn the_build_command_is_that_of_the_app() {
    let command = Resolved {
        value: "make messages".to_owned(),
        origin: Origin::Env { name: "RPACK_BUILD_COMMAND".to_owned() },
        passed_over: Vec::new(),
    };
    let config = Config { build_command: Some(command), ..Config::default() };
    let plan = make(&[&FLASK[..], &[("package.json", VITE)]].concat(), &config, &options()).unwrap();
    let built: Vec<String> = steps(&plan).into_iter().filter(|line| line.contains("/build ")).collect();
    assert_eq!(built, ["node/build /app npm run build", "python/build /app /bin/sh -c make messages"]);
}

#[test]
fn a_front_end_runs_where_the_image_is_built() {
    let options = Options { platform: "linux/arm64".into(), ..options() };
    let plan =
        make(&[&FLASK[..], &[("web/package.json", VITE)]].concat(), &Config::default(), &options).unwrap();
    let node: Vec<String> = steps(&plan).into_iter().filter(|line| line.starts_with("node/")).collect();
    assert_eq!(
        node,
        [
            "node/install /app/web npm install --include=dev --no-audit --no-fund --no-package-lock",
            "node/build /app/web npm run build",
        ]
    );
}

#[test]
fn a_front_end_that_is_a_member_is_installed_at_the_root() {
    let plan = made(
        &[
            &FLASK[..],
            &[
                ("package.json", r#"{"private": true, "workspaces": ["web", "shared"]}"#),
                ("web/package.json", &VITE.replace(r#"{"scripts""#, r#"{"name": "web", "scripts""#)),
                ("shared/package.json", r#"{"name": "shared"}"#),
            ],
        ]
        .concat(),
    );
    let node: Vec<String> = steps(&plan).into_iter().filter(|line| line.starts_with("node/")).collect();
    assert_eq!(
        node,
        [
            "node/install /app npm install --include=dev --no-audit --no-fund --no-package-lock",
            "node/build /app/web npm run build",
        ]
    );
    let excluded = app_layer(&plan)["exclude"].clone();
    for pattern in
        ["app/{node_modules,.yarn}/**", "app/web/node_modules/**", "app/{shared,web}/node_modules/**"]
    {
        assert!(excluded.as_array().unwrap().contains(&json!(pattern)), "{pattern}: {excluded}");
    }
}

#[test]
fn the_front_end_of_a_go_program_is_built_before_it() {
    let main =
        "package main\n\nimport \"embed\"\n\n//go:embed web/dist\nvar files embed.FS\n\nfunc main() {}\n";
    let plan = made(&[("go.mod", "module m\n\ngo 1.26\n"), ("main.go", main), ("web/package.json", VITE)]);
    let ids: Vec<&str> = plan.steps.iter().map(|step| step.id.as_str()).collect();
    assert_eq!(ids, ["node/install", "node/build", "go/build"]);
}

#[test]
fn tools_of_a_repository_are_no_front_end() {
    let tools = r#"{"devDependencies": {"prettier": "^3", "eslint": "^9"}, "scripts": {"lint": "eslint ."}}"#;
    let plan = made(&[&FLASK[..], &[("package.json", tools)]].concat());
    assert!(steps(&plan).iter().all(|line| line.starts_with("python/")), "{:?}", steps(&plan));
}

/// Id of every step with what it needs.
fn needs(files: &[(&str, &str)]) -> Vec<(String, Option<Vec<String>>)> {
    made(files).steps.into_iter().map(|step| (step.id, step.needs)).collect()
}

/// Writes the list as it is compared.
fn named(list: &[(&str, Option<&[&str]>)]) -> Vec<(String, Option<Vec<String>>)> {
    let texts = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect();
    list.iter().map(|(id, needs)| ((*id).to_owned(), needs.map(texts))).collect()
}

#[test]
fn a_front_end_is_installed_beside_what_the_app_installs() {
    assert_eq!(
        needs(&[&FLASK[..], &[("web/package.json", VITE)]].concat()),
        named(&[
            ("python/uv", None),
            ("python/venv", None),
            ("python/install", None),
            ("node/install", Some(&[])),
            // It may look into what Python has installed.
            ("node/build", None),
            ("python/stdlib", Some(&[])),
            ("python/compile", None),
        ])
    );
    let go = [
        ("go.mod", "module a\n\ngo 1.27\n\nrequire golang.org/x/text v0.3.0\n"),
        ("go.sum", "golang.org/x/text v0.3.0 h1:a=\n"),
        (
            "main.go",
            "package main\n\nimport _ \"embed\"\n\n//go:embed web/dist\nvar s string\n\nfunc main() {}\n",
        ),
        ("web/package.json", VITE),
    ];
    assert_eq!(
        needs(&go),
        named(&[
            ("go/download", None),
            ("node/install", Some(&[])),
            ("node/build", Some(&["node/install"])),
            ("go/build", None),
        ])
    );
}

#[test]
fn what_an_app_of_one_language_needs_is_not_said() {
    let node = [
        (
            "package.json",
            r#"{"scripts": {"build": "tsc", "start": "node a.js"}, "dependencies": {"x": "1"}}"#,
        ),
        ("a.js", "require('http').createServer().listen(process.env.PORT)\n"),
    ];
    assert_eq!(needs(&node), named(&[("node/install", None), ("node/build", None)]));
}
