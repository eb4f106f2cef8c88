//! Facts of Node.js from trees in memory.

use proptest::prelude::*;
use serde_json::json;

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
        \"packageManager\": \"npm@11.0.0\",\r\n  \"workspaces\": [\"a\"],\r\n  \"volta\": {\"node\": \"22.1.0\"}\r\n}\r\n";
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
                "engines": {"node": ">=20.9"}, "package_manager": "npm@11.0.0", "workspaces": true,
            },
            "lock": null,
            "versions": [
                {"value": "v22", "file": ".nvmrc", "line": 3, "key": ""},
                {"value": "20.1.0", "file": ".tool-versions", "line": 2, "key": "nodejs"},
                {"value": ">=20.9", "file": "package.json", "line": 11, "key": "engines.node"},
                {"value": "22.1.0", "file": "package.json", "line": 15, "key": "volta.node"},
            ],
            "entry": null, "typescript_entry": "src/index.ts", "main_file": "dist/server.js", "typescript": true,
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
            "kind": "npm", "file": "package-lock.json", "version": 3,
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
            "kind": "npm", "file": "npm-shrinkwrap.json", "version": 1, "scripts": [],
            "drift": ["b: package.json wants ^1.0.0, npm-shrinkwrap.json has none"],
        })
    );
}

#[test]
fn of_several_locks_the_declared_managers_counts() {
    let locks = [("yarn.lock", ""), ("package-lock.json", "{}"), ("pnpm-lock.yaml", "")];
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

proptest! {
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
