//! What locks of all managers say.

use std::fmt::Write as _;

use serde_json::json;

use super::facts;
use crate::detect::tests::refused;

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
