//! Apps in a folder of a larger source: `--app`.

use serde_json::{Value, json};

use crate::support::TestContext;

fn detected(context: &TestContext, arguments: &[&str]) -> Value {
    let text = context.rpack(&[&["detect", "--json"], arguments].concat()).success();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn an_app_with_nothing_around_it_is_read_alone() {
    let context = TestContext::new();
    context
        .file("package.json", r#"{"name": "tools", "scripts": {"start": "node tools.js"}}"#)
        .file("services/api/requirements.txt", "")
        .file("services/api/main.py", "if __name__ == \"__main__\":\n    print(1)\n");
    let found = detected(&context, &["--app", "./services/api/"]);
    assert_eq!(
        (&found["language"], &found["facts"]["files"]["has"]),
        (&"python".into(), &json!(["main.py", "requirements.txt"]))
    );
    assert_eq!(found.get("folder"), None);
}

#[test]
fn a_module_of_a_go_workspace_keeps_its_workspace() {
    let context = TestContext::new();
    context
        .file("go.work", "go 1.24\n\nuse (\n\t./api\n\t./lib\n)\n")
        .file("api/go.mod", "module example.com/api\n\ngo 1.24\n")
        .file("api/main.go", "package main\n\nfunc main() {}\n")
        .file("lib/go.mod", "module example.com/lib\n\ngo 1.24\n");
    let found = detected(&context, &["--app", "api"]);
    assert_eq!((&found["language"], &found["folder"]), (&"go".into(), &"api".into()));
}

#[test]
fn a_member_of_a_node_workspace_keeps_what_installs_it() {
    let context = TestContext::new();
    context
        .file(
            "package.json",
            r#"{"workspaces": ["apps/*", "libs/*"], "engines": {"node": "22"}, "scripts": {"prepare": "x"}}"#,
        )
        .file("package-lock.json", r#"{"lockfileVersion": 3, "packages": {"": {}}}"#)
        .file(
            "apps/web/package.json",
            r#"{"name": "web", "scripts": {"start": "node ."}, "dependencies": {"ui": "*"}}"#,
        )
        .file("apps/web/.nvmrc", "24")
        .file("apps/admin/package.json", r#"{"name": "admin", "scripts": {"postinstall": "y"}}"#)
        .file("libs/ui/package.json", r#"{"name": "ui", "scripts": {"build": "z", "prepare": "y"}}"#)
        .file("tools/package.json", r#"{"name": "tools", "scripts": {"start": "node ."}}"#);
    let found = detected(&context, &["--app", "apps/web"]);
    let node = &found["facts"]["node"];
    assert_eq!((&found["language"], &found["folder"]), (&"node".into(), &"apps/web".into()));
    assert_eq!(
        (&node["package"]["name"], &node["lock"]["file"]),
        (&"web".into(), &"package-lock.json".into())
    );
    assert_eq!(
        node["workspace"]["app"],
        json!({"path": "apps/web", "name": "web", "scripts": ["start"], "closure": ["libs/ui", "apps/web"]})
    );
    // Of other members nothing runs.
    assert_eq!(
        node["lifecycle"],
        json!([{"folder": "libs/ui", "scripts": ["prepare"]}, {"folder": "", "scripts": ["prepare"]}])
    );
    let versions: Vec<_> = node["versions"].as_array().unwrap().iter().map(|one| &one["value"]).collect();
    assert_eq!(versions, ["24", "22"]);
    // What no glob leads to is no member.
    let found = detected(&context, &["--app", "tools"]);
    assert_eq!((&found["facts"]["node"]["workspace"], found.get("folder")), (&Value::Null, None));
}

#[test]
fn a_program_of_a_go_module_keeps_its_module() {
    let context = TestContext::new();
    context
        .file("go.mod", "module example.com/shop\n\ngo 1.24\n")
        .file("cmd/orders/main.go", "package main\n\nfunc main() {}\n")
        .file("cmd/billing/main.go", "package main\n\nfunc main() {}\n")
        .file("site/index.html", "");
    let found = detected(&context, &["--app", "cmd/orders"]);
    assert_eq!((&found["language"], &found["folder"]), (&"go".into(), &"cmd/orders".into()));
    assert_eq!(found["facts"]["go"]["mains"], json!(["."]));
    // A folder without programs is no part of the module.
    let found = detected(&context, &["--app", "site"]);
    assert_eq!((&found["language"], found.get("folder")), (&"static".into(), None));
}

#[test]
fn the_only_folder_with_an_app_need_not_be_named() {
    let context = TestContext::new();
    context
        .file("README.md", "")
        .file("docs/index.html", "")
        .file("shop/go.mod", "module example.com/shop\n\ngo 1.24\n")
        .file("shop/main.go", "package main\n\nfunc main() {}\n");
    let found = context.rpack(&["detect", "--json"]);
    assert_eq!(found.stderr, "app shop  (the only folder with an app; `--app shop`)\n");
    let found: Value = serde_json::from_str(&found.success()).unwrap();
    assert_eq!(
        (&found["language"], &found["facts"]["go"]["mains"]),
        (&"go".into(), &serde_json::json!(["."]))
    );
    context.file("web/package.json", "{}");
    let finished = context.rpack(&["detect"]);
    assert_eq!(
        (finished.status, finished.stderr.as_str()),
        (
            3,
            "error[detect/choose-app]: no language was recognised in `[ROOT]/app`, but 2 folders below it hold a manifest\n\
             [ROOT]/app/shop: go.mod\n[ROOT]/app/web: package.json\n\n\
             hint 1: `rpack build [ROOT]/app/shop`\nhint 2: `rpack build [ROOT]/app/web`\n"
        )
    );
}

#[test]
fn a_folder_that_is_not_there() {
    let context = TestContext::new();
    for folder in ["apps/wbe", "..", "/etc"] {
        let finished = context.rpack(&["detect", "--app", folder]);
        assert_eq!(
            (finished.status, finished.stderr),
            (
                2,
                format!(
                    "error[source/no-such-app]: there is no folder `{folder}` below .\n\nhint: name a folder below the source, such as `--app apps/web`\n"
                )
            )
        );
    }
}

#[test]
fn the_file_of_the_app_is_stronger_than_that_of_the_repository() {
    let context = TestContext::new();
    context
        .file("rpack.toml", "name = \"all\"\nstart.command = \"bin/all\"\n")
        .file("web/rpack.toml", "name = \"web\"\nlanguage = \"procfile\"\n")
        .file("web/Procfile", "web: bin/web\n");
    assert_eq!(detected(&context, &["--app", "web"])["language"], "procfile");
    context.file("web/rpack.toml", "language = 3\n");
    let finished = context.rpack(&["detect", "--app", "web"]);
    assert!(finished.stderr.contains("web/rpack.toml:1:12"), "{}", finished.stderr);
}
