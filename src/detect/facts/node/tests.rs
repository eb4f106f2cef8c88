//! Facts of Node.js from trees in memory.

use std::fmt::Write as _;

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
fn a_lock_lists_install_scripts_and_what_disagrees() {
    let manifest = r#"{
        "dependencies": {"left-pad": "^1.3.0", "ok": "~1.2.0", "gone": "*", "git": "git+https://h/x.git#a", "al": "npm:real@^2"},
        "devDependencies": {"dev": "^1 || ^2", "tag": "latest"},
        "optionalDependencies": {"ok": "1.x"}
    }"#;
    let lock = r#"{"lockfileVersion": 3, "packages": {
        "": {"dependencies": {"git": "git+https://h/x.git#b"}, "devDependencies": {"tag": "latest"}},
        "node_modules/left-pad": {"version": "1.2.0", "hasInstallScript": true},
        "node_modules/ok": {"version": "1.9.0"},
        "node_modules/git": {"version": "1.0.0", "resolved": "git+ssh://x"},
        "node_modules/al": {"name": "real", "version": "2.1.0", "hasInstallScript": true},
        "node_modules/dev": {"version": "3.0.0", "dev": true},
        "node_modules/tag": {"version": "7.0.0"},
        "node_modules/dev/node_modules/@s/deep": {"version": "1.0.0", "hasInstallScript": true}
    }}"#;
    let (node, _) = facts(&[("package.json", manifest), ("package-lock.json", lock)]);
    assert_eq!(
        node["lock"],
        json!({
            "kind": "npm", "file": "package-lock.json", "version": "3", "engines": {}, "registries": [],
            "packages": ["@s/deep", "dev", "git", "left-pad", "ok", "real", "tag"],
            "scripts": ["@s/deep", "left-pad", "real"],
            "drift": [
                "dev: package.json wants ^1 || ^2, package-lock.json has 3.0.0",
                "git: package.json wants git+https://h/x.git#a, package-lock.json has git+https://h/x.git#b",
                "gone: package.json wants *, package-lock.json has none",
                "left-pad: package.json wants ^1.3.0, package-lock.json has 1.2.0",
            ],
        })
    );
}

#[test]
fn a_lock_of_version_1_is_compared_too() {
    let manifest = r#"{"dependencies": {"a": "^1.0.0", "b": "^1.0.0"}}"#;
    let lock = r#"{"requires": true, "dependencies": {"a": {"version": "1.0.5", "dependencies": {"c": {"version": "1.0.0"}}}}}"#;
    let (node, _) = facts(&[("package.json", manifest), ("npm-shrinkwrap.json", lock)]);
    assert_eq!(
        node["lock"],
        json!({
            "kind": "npm", "file": "npm-shrinkwrap.json", "engines": {}, "version": "1", "packages": ["a"], "scripts": [], "registries": [],
            "drift": ["b: package.json wants ^1.0.0, npm-shrinkwrap.json has none"],
        })
    );
}

#[test]
fn a_lock_without_the_packages_of_other_platforms_has_drifted() {
    let manifest = r#"{"dependencies": {"a": "^1.0.0"}}"#;
    let lock = r#"{"lockfileVersion": 3, "packages": {
        "": {"dependencies": {"a": "^1.0.0"}},
        "node_modules/a": {"version": "1.0.0", "optionalDependencies": {"@a/linux": "1.0.0", "@a/mac": "1.0.0"}},
        "node_modules/a/node_modules/@a/mac": {"version": "1.0.0", "optional": true},
        "node_modules/@s/b": {"version": "1.0.0", "optionalDependencies": {"a": "*", "@a/linux": "^1"}},
        "node_modules/@s/b/node_modules/@a/linux": {"version": "1.0.0", "optional": true}
    }}"#;
    let (node, _) = facts(&[("package.json", manifest), ("package-lock.json", lock)]);
    assert_eq!(node["lock"]["drift"], json!(["@a/linux: a wants 1.0.0, package-lock.json has none"]));
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
fn of_several_locks_the_declared_managers_counts() {
    let locks =
        [("yarn.lock", ""), ("package-lock.json", "{}"), ("pnpm-lock.yaml", "lockfileVersion: 5.4\n")];
    let with = |manifest: &str| {
        let mut files = locks.to_vec();
        files.push(("package.json", manifest));
        let (node, notices) = facts(&files);
        (node["lock"]["kind"].clone(), notices)
    };
    assert_eq!(
        with("{}"),
        (
            json!("pnpm"),
            vec![
                "lock/multiple: `pnpm-lock.yaml` is used and `yarn.lock`, `package-lock.json` ignored: delete the \
                 locks that are not kept up to date"
                    .to_owned()
            ]
        )
    );
    assert_eq!(with(r#"{"packageManager": "yarn@1.22.22"}"#).0, "yarn");
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

const WANTS: &str = r#"{
    "dependencies": {"a": "^1.0.0", "@s/b": "~2.1.0"},
    "devDependencies": {"c": "3.x"},
    "peerDependencies": {"p": "1"}
}"#;

fn lock(files: &[(&str, &str)]) -> serde_json::Value {
    facts(files).0["lock"].clone()
}

#[test]
fn locks_of_pnpm_are_read_from_5_to_9() {
    let old = "lockfileVersion: 5.4\nspecifiers:\n  a: ^1.0.0\n  '@s/b': ~2.1.0\n  c: 3.x\ndependencies:\n  a: 1.0.5\n  \
               '@s/b': 2.1.9\npackages:\n  /a/1.0.5:\n    requiresBuild: true\n  /@s/b/2.1.9_a@1.0.5:\n    dev: false\n";
    assert_eq!(
        lock(&[("package.json", WANTS), ("pnpm-lock.yaml", old)]),
        json!({
            "kind": "pnpm", "file": "pnpm-lock.yaml", "version": "5.4", "engines": {}, "packages": ["@s/b", "a"], "scripts": ["a"],
            "drift": [], "registries": [],
        })
    );
    let middle = "lockfileVersion: '6.0'\ndependencies:\n  a:\n    specifier: ^1.0.0\n    version: 1.0.5\ndevDependencies:\n  \
                  c:\n    specifier: ^4\n    version: 4.0.0\npackages:\n  /a@1.0.5(@s/b@2.1.9):\n    dev: false\n";
    let read = lock(&[("package.json", WANTS), ("pnpm-lock.yaml", middle)]);
    assert_eq!(read["packages"], json!(["a"]));
    assert_eq!(
        read["drift"],
        json!([
            "@s/b: package.json wants ~2.1.0, pnpm-lock.yaml has none",
            "c: package.json wants 3.x, pnpm-lock.yaml has ^4",
        ])
    );
    // A document about pnpm itself, then the app's; a member of the workspace that the lock does not know.
    let new = "lockfileVersion: '9.0'\nimporters:\n  .:\n    packageManagerDependencies:\n      pnpm:\n        specifier: 11\n        \
               version: 11.0.0\n---\nlockfileVersion: '9.0'\nimporters:\n  .:\n    dependencies:\n      a:\n        specifier: ^1.0.0\n        \
               version: 1.0.5\n      '@s/b':\n        specifier: ~2.1.0\n        version: 2.1.9\n      c:\n        specifier: 3.x\n        \
               version: 3.0.0\n      p:\n        specifier: '1'\n        version: 1.0.0\n      old:\n        specifier: '1'\n        \
               version: 1.0.0\npackages:\n  '@s/b@2.1.9':\n    resolution: {integrity: x}\n";
    let member = r#"{"name": "m", "dependencies": {"a": "*"}}"#;
    let read = lock(&[
        ("package.json", WANTS),
        ("pnpm-workspace.yaml", "packages: [m]\n"),
        ("m/package.json", member),
        ("pnpm-lock.yaml", new),
    ]);
    assert_eq!(read["packages"], json!(["@s/b"]));
    assert_eq!(
        read["drift"],
        json!([
            "old: package.json wants none, pnpm-lock.yaml has 1",
            "pnpm-lock.yaml knows nothing of m/package.json"
        ])
    );
}

#[test]
fn locks_tell_which_versions_of_node_packages_want() {
    let npm = r#"{"lockfileVersion": 3, "packages": {
        "": {"engines": {"node": ">=1"}},
        "node_modules/a": {"version": "1.0.5", "engines": {"node": ">=20"}},
        "node_modules/b": {"version": "2.0.0", "engines": {"node": ">=20"}},
        "node_modules/old": {"version": "3.0.0", "engines": ["node >= 0.8"]},
        "node_modules/o": {"version": "4.0.0", "optional": true, "engines": {"node": ">=99"}}
    }}"#;
    assert_eq!(
        lock(&[("package.json", "{}"), ("package-lock.json", npm)])["engines"],
        json!({">=20": "a 1.0.5"})
    );
    let pnpm = "lockfileVersion: '9.0'\nimporters:\n  .: {}\npackages:\n  '@s/b@2.1.9':\n    engines: {node: '>=20'}\n  \
                o@1.0.0:\n    engines: {node: '>=99'}\n    os: [darwin]\n  n@1.0.0(a@1):\n    engines: {node: 18}\n";
    assert_eq!(
        lock(&[("package.json", "{}"), ("pnpm-lock.yaml", pnpm)])["engines"],
        json!({">=20": "@s/b@2.1.9", "18": "n@1.0.0"})
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
fn a_lock_of_yarn_1_names_registries() {
    let text = "# yarn lockfile v1\n\n\n\"@s/b@~2.1.0\", \"@s/b@~2.1.3\":\n  version \"2.1.9\"\n  \
                resolved \"https://registry.example/npm/@s/b/-/b-2.1.9.tgz#00\"\n  dependencies:\n    a \"^1.0.0\"\n\n\
                a@^1.0.0:\n  version \"1.0.5\"\n  resolved \"https://other.example/a/-/a-1.0.5.tgz#00\"\n\n\
                al@npm:real@^2:\n  version \"2.0.0\"\n  resolved \"https://git.example/x.tgz\"\n";
    assert_eq!(
        lock(&[("package.json", WANTS), ("yarn.lock", text)]),
        json!({
            "kind": "yarn", "file": "yarn.lock", "version": "1", "engines": {}, "packages": ["@s/b", "a", "real"], "scripts": [],
            "drift": ["c: package.json wants 3.x, yarn.lock has none"],
            "registries": ["https://other.example/", "https://registry.example/npm/"],
        })
    );
}

#[test]
fn a_lock_of_later_yarn_records_what_each_workspace_wants() {
    let text = "__metadata:\n  version: 8\n  cacheKey: 10c0\n\n\"@s/b@npm:~2.1.0\":\n  version: 2.1.9\n  \
                resolution: \"@s/b@npm:2.1.9\"\n  checksum: 10c0/00\n\n\"shop@workspace:.\":\n  version: 0.0.0-use.local\n  \
                resolution: \"shop@workspace:.\"\n  dependencies:\n    \"@s/b\": \"npm:~2.1.0\"\n    a: \"npm:^1.1.0\"\n    c: \"npm:3.x\"\n";
    assert_eq!(
        lock(&[("package.json", WANTS), ("yarn.lock", text)]),
        json!({
            "kind": "berry", "file": "yarn.lock", "version": "8", "engines": {}, "packages": ["@s/b"], "scripts": [],
            "drift": ["a: package.json wants ^1.0.0, yarn.lock has npm:^1.1.0"], "registries": [],
        })
    );
}

#[test]
fn a_lock_of_bun_may_have_trailing_commas() {
    let text = "{\n  \"lockfileVersion\": 1,\n  \"workspaces\": {\n    \"\": {\n      \"dependencies\": { \"a\": \"^1.0.0\", },\n      \
                \"devDependencies\": { \"c\": \"3.x\", },\n    },\n  },\n  \"packages\": {\n    \
                \"a\": [\"a@1.0.5\", \"\", { \"dependencies\": { \"@s/b\": \"*\" } }, \"sha512-x\"],\n    \
                \"@s/b\": [\"@s/b@2.1.9\", \"\", {}, \"sha512-x\"],\n  }\n}\n";
    assert_eq!(
        lock(&[("package.json", WANTS), ("bun.lock", text)]),
        json!({
            "kind": "bun", "file": "bun.lock", "version": "1", "engines": {}, "packages": ["@s/b", "a"], "scripts": [],
            "drift": ["@s/b: package.json wants ~2.1.0, bun.lock has none"], "registries": [],
        })
    );
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

#[test]
fn bombs_and_conflicts_in_locks_are_refused() {
    let mut bomb = "lockfileVersion: 9\na0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..9 {
        let list = vec![format!("*a{}", level - 1); 10].join(", ");
        writeln!(bomb, "a{level}: &a{level} [{list}]").unwrap();
    }
    let shown = refused(&[("package.json", "{}"), ("pnpm-lock.yaml", &bomb)]);
    assert!(
        shown.starts_with("error[node/manifest-invalid] exit 2: `pnpm-lock.yaml` cannot be read: "),
        "{shown}"
    );
    let conflict = "lockfileVersion: '9.0'\n<<<<<<< HEAD\nimporters: {}\n=======\n>>>>>>> x\n";
    let shown = refused(&[("package.json", "{}"), ("pnpm-lock.yaml", conflict)]);
    assert!(shown.ends_with("hint: resolve the merge conflict in `pnpm-lock.yaml`\n"), "{shown}");
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
