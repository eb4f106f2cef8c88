//! Facts of Node.js from trees in memory.

mod locks;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::Files;
use crate::detect::tests::{refused, source};

fn facts(files: &[(&str, &str)]) -> (serde_json::Value, Vec<String>) {
    let source = source(files);
    let mut notices = Vec::new();
    let node = super::read(&Files::new(&source, ""), &mut notices).unwrap();
    let notices = notices.into_iter().map(|one| format!("{}: {}", one.id, one.text)).collect();
    (serde_json::to_value(node).unwrap(), notices)
}

#[test]
fn a_manifest_is_read_whole_with_bom_and_windows_line_ends() {
    let manifest = "\u{feff}{\r\n  \"name\": \"shop\",\r\n  \"type\": \"module\",\r\n  \"main\": \"./dist/server\",\r\n  \
        \"scripts\": {\r\n    \"build\": \"tsc\",\r\n    \"start\": \"node dist/server.js\"\r\n  },\r\n  \
        \"dependencies\": { \"express\": \"^5.1.0\" },\r\n  \"engines\": {\r\n    \"node\": \">=20.9\"\r\n  },\r\n  \
        \"packageManager\": \"npm@11.0.0\",\r\n  \"workspaces\": [\"a\"],\r\n  \"volta\": {\"node\": \"22.1.0\"},\r\n  \"description\": \"A shop\",\r\n  \
        \"license\": \"MIT\", \"author\": {\"name\": \"Ada\", \"email\": \"a@acme.example\"}, \"homepage\": 1\r\n}\r\n";
    let (node, notices) = facts(&[
        ("package.json", manifest),
        (".nvmrc", "# comment\n\nv22 # jod\n"),
        (".tool-versions", "python 3.12\nnodejs system 20.1.0 # x\n"),
        ("dist/server.js", ""),
        ("src/index.ts", ""),
        ("tsconfig.json", ""),
    ]);
    assert_eq!(
        node,
        json!({
            "package": {
                "name": "shop", "version": null, "type": "module", "main": "./dist/server",
                "scripts": {"build": "tsc", "start": "node dist/server.js"},
                "script_lines": {"build": 6, "start": 7},
                "dependencies": {"express": "^5.1.0"}, "dev_dependencies": {}, "optional_dependencies": {},
                "peer_dependencies": {},
                "engines": {"node": ">=20.9"}, "package_manager": "npm@11.0.0", "workspaces": true,
                "about": {
                    "description": "A shop", "licenses": "MIT", "authors": "Ada <a@acme.example>", "url": "",
                    "documentation": "",
                },
            },
            "lock": null,
            "manager": {
                "name": "npm", "origin": "package.json:13 packageManager", "integrity": null, "linker": "node-modules",
                "versions": [{"value": "11.0.0", "file": "package.json", "line": 13, "key": "packageManager"}],
            },
            "scripts": {"stated": false, "all": false, "settled": []}, "inner": [], "lone_typescript": null,
            "workspace": {"file": "package.json", "runner": null, "members": [], "app": null},
            "outside": [], "install_inputs": [], "without_lifecycle": {}, "lifecycle": [],
            "versions": [
                {"value": "v22", "file": ".nvmrc", "line": 3, "key": ""},
                {"value": "20.1.0", "file": ".tool-versions", "line": 2, "key": "nodejs"},
                {"value": ">=20.9", "file": "package.json", "line": 11, "key": "engines.node"},
                {"value": "22.1.0", "file": "package.json", "line": 15, "key": "volta.node"},
            ],
            "entry": null, "typescript_entry": "src/index.ts", "main_file": "dist/server.js", "typescript": true,
            "secrets": [],
            "writes_beside": false, "remote_fonts": false, "angular": null,
        })
    );
    assert_eq!(notices, Vec::<String>::new());
}

#[test]
fn the_first_entry_file_counts() {
    let entry = |files: &[(&str, &str)]| facts(files).0["entry"].clone();
    assert_eq!(entry(&[("app.js", ""), ("server.cjs", ""), ("src/server.js", "")]), "server.cjs");
    assert_eq!(entry(&[("src/main.mjs", ""), ("lib/server.js", "")]), "src/main.mjs");
    assert_eq!(entry(&[("package.json", "{}")]), json!(null));
}

#[test]
fn dev_engines_state_a_version() {
    let manifest = r#"{"devEngines": {"runtime": [{"name": "bun", "version": "1"}, {"name": "node", "version": "^24"}]}}"#;
    let (node, _) = facts(&[("package.json", manifest)]);
    assert_eq!(
        node["versions"],
        json!([{"value": "^24", "file": "package.json", "line": 1, "key": "devEngines.runtime"}])
    );
}

#[test]
fn fonts_that_a_build_fetches_are_found_by_imports() {
    let with = |manifest: &str, page: &str| {
        let (node, _) = facts(&[("package.json", manifest), ("src/app/layout.tsx", page)]);
        node["remote_fonts"] == true
    };
    let next = r#"{"dependencies": {"next": "16.0.0"}}"#;
    assert!(with(next, "import {\n  Geist,\n} from \"next/font/google\";\n"));
    assert!(with(next, "import { Geist } from 'next/font/google'\n"));
    assert!(!with(
        next,
        "// import { Geist } from 'next/font/google'\nimport local from 'next/font/local'\n"
    ));
    assert!(!with("{}", "import { Geist } from 'next/font/google'\n"));
}

#[test]
fn broken_manifests_are_shown_at_their_place() {
    assert_eq!(
        refused(&[("package.json", "{\r\n  \"scripts\": {\r\n\t\"ä\": \"x\",\r\n  }\r\n}")]),
        "error[node/manifest-invalid] exit 2: `package.json` is not valid JSON: trailing comma\n\
         at package.json:4:3\n4 |   }\n  |   ^\nhint: correct `package.json` at the caret\n"
    );
    assert_eq!(
        refused(&[("package.json", "{\"name\": \"a\n\"}")]),
        "error[node/manifest-invalid] exit 2: `package.json` is not valid JSON: control character \
         (\\u0000-\\u001F) found while parsing a string\n\
         at package.json:1:12\n1 | {\"name\": \"a\n  |            ^\nhint: correct `package.json` at the caret\n"
    );
    assert_eq!(
        refused(&[("package.json", "{\n  \"scripts\": {\"start\": [\"node\"]}\n}")]),
        "error[node/manifest-invalid] exit 2: `package.json` has the wrong kind of value for `scripts.start`: a \
         string is needed\nat package.json:2:15\n2 |   \"scripts\": {\"start\": [\"node\"]}\n  |               ^\n\
         hint: correct `package.json` at the caret\n"
    );
    assert_eq!(
        refused(&[("package.json", "[]")]),
        "error[node/manifest-invalid] exit 2: `package.json` is not a JSON object\nat package.json:1:1\n1 | []\n  | ^\n\
         hint: correct `package.json` at the caret\n"
    );
    assert_eq!(
        refused(&[("package.json", "")]),
        "error[node/manifest-invalid] exit 2: `package.json` is not valid JSON: EOF while parsing a value\n\
         at package.json:1:1\n1 | \n  | ^\nhint: correct `package.json` at the caret\n"
    );
    assert_eq!(
        refused(&[("package.json", "{}"), ("package-lock.json", "{\n<<<<<<< HEAD\n")]),
        "error[node/manifest-invalid] exit 2: `package-lock.json` is not valid JSON: key must be a string\n\
         at package-lock.json:2:1\n2 | <<<<<<< HEAD\n  | ^\nhint: resolve the merge conflict in `package-lock.json`\n"
    );
}

#[test]
fn what_an_app_says_of_installation_scripts() {
    let scripts = |files: &[(&str, &str)]| {
        let scripts = facts(files).0["scripts"].clone();
        (scripts["stated"].clone(), scripts["all"].clone(), scripts["settled"].clone())
    };
    let settled = |names: Value| (json!(true), json!(false), names);
    let pnpm =
        r#"{"packageManager": "pnpm@10.0.0", "pnpm": {"onlyBuiltDependencies": ["a@1 || 2", "@s/b"]}}"#;
    assert_eq!(scripts(&[("package.json", pnpm)]), settled(json!(["@s/b", "a"])));
    let file = "allowBuilds:\n  c@1.0.0: true\nignoredBuiltDependencies: [d]\n";
    assert_eq!(
        scripts(&[("package.json", pnpm), ("pnpm-workspace.yaml", file)]),
        settled(json!(["@s/b", "a", "c", "d"]))
    );
    let all =
        scripts(&[("package.json", pnpm), ("pnpm-workspace.yaml", "dangerouslyAllowAllBuilds: true\n")]);
    assert_eq!(all.1, json!(true));
    let bun = r#"{"packageManager": "bun@1.4.0", "trustedDependencies": ["a"]}"#;
    assert_eq!(scripts(&[("package.json", bun)]), settled(json!(["a"])));
    let npm = r#"{"packageManager": "npm@12.0.0", "allowScripts": {"a": true, "b@2": false}}"#;
    assert_eq!(scripts(&[("package.json", npm)]), settled(json!(["a", "b"])));
    assert_eq!(scripts(&[("package.json", "{}")]), (json!(false), json!(false), json!([])));
}

#[test]
fn folders_with_a_manifest_of_their_own_are_inner() {
    let files = [
        ("package.json", r#"{"workspaces": ["packages/*"]}"#),
        ("packages/a/package.json", "{}"),
        ("client/package.json", "{}"),
        ("a/b/c/d/package.json", "{}"),
    ];
    assert_eq!(facts(&files).0["inner"], json!(["client"]));
}

#[test]
fn typescript_alone_counts_when_node_runs_it() {
    let lone = |files: &[(&str, &str)]| facts(files).0["lone_typescript"].clone();
    assert_eq!(lone(&[("server.ts", "import http from 'node:http'")]), "server.ts");
    assert_eq!(lone(&[("server.ts", "import express from 'express'")]), json!(null));
    assert_eq!(lone(&[("server.ts", ""), ("package.json", "{}")]), json!(null));
    assert_eq!(lone(&[("src/server.ts", "")]), json!(null));
}

#[test]
fn who_names_the_manager_and_its_version() {
    let manager = |files: &[(&str, &str)]| {
        let manager = facts(files).0["manager"].clone();
        let versions: Vec<String> = manager["versions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| format!("{} ({})", one["value"].as_str().unwrap(), one["key"].as_str().unwrap()))
            .collect();
        let text = |key: &str| manager[key].as_str().unwrap().to_owned();
        format!("{} by {}, {}: {}", text("name"), text("origin"), text("linker"), versions.join(", "))
    };
    let cases = [
        manager(&[(
            "package.json",
            r#"{"packageManager": "pnpm@9.1.0+sha512.00ff", "engines": {"pnpm": ">=8"}}"#,
        )]),
        manager(&[
            ("package.json", r#"{"packageManager": "yarn@4.1.0"}"#),
            (".yarnrc.yml", "nodeLinker: node-modules"),
        ]),
        manager(&[("package.json", "{}"), (".yarnrc.yml", "yarnPath: .yarn/releases/yarn-3.6.4.cjs\n")]),
        manager(&[("package.json", "{}"), ("yarn.lock", ""), ("mise.toml", "[tools]\nyarn = \"1.22.19\"\n")]),
        manager(&[("package.json", "{}"), ("bun.lockb", ""), (".bun-version", "1.2.3\n")]),
        manager(&[(
            "package.json",
            r#"{"devEngines": {"packageManager": {"name": "npm", "version": "^11"}}}"#,
        )]),
        manager(&[("package.json", r#"{"engines": {"pnpm": "10"}}"#)]),
        manager(&[("package.json", "{}"), ("pnpm-workspace.yaml", "nodeLinker: hoisted\n")]),
        manager(&[("package.json", "{}")]),
    ];
    assert_eq!(
        cases,
        [
            "pnpm by package.json:1 packageManager, node-modules: 9.1.0 (packageManager), >=8 (engines.pnpm)",
            "berry by package.json:1 packageManager, node-modules: 4.1.0 (packageManager)",
            "berry by .yarnrc.yml yarnPath, pnp: 3.6.4 (yarnPath)",
            "yarn by yarn.lock, node-modules: 1.22.19 (tools.yarn)",
            "bun by bun.lockb, node-modules: 1.2.3 ()",
            "npm by package.json:1 devEngines.packageManager, node-modules: ^11 (devEngines.packageManager)",
            "pnpm by package.json:1 engines.pnpm, node-modules: 10 (engines.pnpm)",
            "pnpm by pnpm-workspace.yaml, node-modules: ",
            "npm by , node-modules: ",
        ]
    );
}

#[test]
fn members_know_what_they_need() {
    let (node, notices) = facts(&[
        (
            "package.json",
            r#"{"workspaces": {"packages": ["./apps/*/", "libs/**", "!libs/old", "[", "none/*"]}, "devDependencies": {"turbo": "2"}}"#,
        ),
        ("turbo.json", "{}"),
        (
            "apps/web/package.json",
            r#"{"name": "web", "scripts": {"build": "x", "prepare": "y", "preprepare": "z"},
            "dependencies": {"ui": "workspace:*", "far": "^1", "util": "^2.0.0", "kit": "workspace:core@*", "tar": "file:../../vendor/t.tgz"}}"#,
        ),
        ("libs/ui/package.json", r#"{"name": "ui", "devDependencies": {"core": "*"}}"#),
        ("libs/deep/core/package.json", r#"{"name": "core", "version": "1.0.0"}"#),
        ("libs/util/package.json", r#"{"name": "util", "version": "1.0.0"}"#),
        ("libs/old/package.json", r#"{"name": "old"}"#),
        ("other/package.json", r#"{"name": "other"}"#),
    ]);
    assert_eq!(
        node["workspace"],
        json!({"file": "package.json", "runner": "turbo", "members": [
            {"path": "apps/web", "name": "web", "scripts": ["build", "prepare", "preprepare"],
             "closure": ["libs/deep/core", "libs/ui", "apps/web"]},
            {"path": "libs/deep/core", "name": "core", "scripts": [], "closure": ["libs/deep/core"]},
            {"path": "libs/ui", "name": "ui", "scripts": [], "closure": ["libs/deep/core", "libs/ui"]},
            {"path": "libs/util", "name": "util", "scripts": [], "closure": ["libs/util"]},
        ], "app": null})
    );
    assert_eq!(
        notices,
        [
            "node/workspace-glob: `package.json` has the workspace `[`, which is no glob: unclosed character class; missing ']'"
        ]
    );
    assert_eq!(node["lifecycle"], json!([{"folder": "apps/web", "scripts": ["prepare"]}]));
    assert_eq!(
        node["install_inputs"],
        json!([
            "apps/web/.npmrc",
            "apps/web/package.json",
            "libs/deep/core/.npmrc",
            "libs/deep/core/package.json",
            "libs/ui/.npmrc",
            "libs/ui/package.json",
            "libs/util/.npmrc",
            "libs/util/package.json",
            "vendor/t.tgz",
            "vendor/t.tgz/**",
        ])
    );
}

#[test]
fn the_folder_of_an_angular_app_is_where_its_build_goes() {
    let of = |angular: &str| facts(&[("package.json", "{}"), ("angular.json", angular)]).0["angular"].clone();
    let app = |path: &str| {
        format!(
            r#"{{"projects": {{
                "shop": {{"projectType": "application", "architect": {{"build": {{"options": {{"outputPath": {path}}}}}}}}},
                "ui": {{"projectType": "library"}}
            }}}}"#
        )
    };
    assert_eq!(of(&app(r#""./out/shop/""#)), "out/shop");
    assert_eq!(of(&app(r#"{"base": "out"}"#)), "out");
    assert_eq!(of(&app("null")), "dist/shop");
    assert_eq!(of(&app(r#""../out""#)), "dist/shop");
    let two = r#"{"projects": {"a": {"projectType": "application"}, "b": {"projectType": "application"}}"#;
    assert_eq!(of(&format!("{two}}}")), Value::Null);
    assert_eq!(of(&format!("{two}, \"defaultProject\": \"b\"}}")), "dist/b");
}

#[test]
fn an_installation_sees_manifests_without_their_scripts_around_it() {
    let manifest = r#"{"scripts": {"preinstall": "npx only-allow pnpm", "postinstall": "node x.js", "start": "node ."}}"#;
    let (node, _) = facts(&[("package.json", manifest)]);
    assert_eq!(node["lifecycle"], json!([{"folder": "", "scripts": ["postinstall"]}]));
    let seen: serde_json::Value =
        serde_json::from_str(node["without_lifecycle"]["package.json"].as_str().unwrap()).unwrap();
    assert_eq!(seen, json!({"scripts": {"start": "node ."}}));
}

proptest! {
    #[test]
    fn no_lock_panics(text in any::<String>(), line in r#"[ a-z@:"/,{}\[\]&*-]{0,40}"#) {
        for (file, text) in [("pnpm-lock.yaml", &text), ("yarn.lock", &line), ("bun.lock", &line), ("mise.toml", &line),
                             (".yarnrc.yml", &line), ("pnpm-workspace.yaml", &text)] {
            let source = source(&[("package.json", r#"{"packageManager": "yarn@4"}"#), (file, text)]);
            let _ = super::read(&Files::new(&source, ""), &mut Vec::new());
        }
    }

    #[test]
    fn no_text_panics(manifest in any::<String>(), lock in any::<String>(), range in r"[0-9x.*^~<>=| v-]{0,20}") {
        let source = source(&[("package.json", &manifest), ("package-lock.json", &lock)]);
        let _ = super::read(&Files::new(&source, ""), &mut Vec::new());
        let manifest = serde_json::json!({"dependencies": {"a": range}}).to_string();
        let lock = serde_json::json!({"packages": {"node_modules/a": {"version": range}}}).to_string();
        let source = crate::detect::tests::source(&[("package.json", &manifest), ("package-lock.json", &lock)]);
        let _ = super::read(&Files::new(&source, ""), &mut Vec::new());
    }
}
