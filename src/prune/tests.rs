//! Pruning over trees in memory.

use crate::store::Tree;
use crate::store::tree::Entry;

use super::walk::Walk;

/// What stays of `files` (path and content, or `-> target` of a link) for manifests in `folders`.
fn stays(files: &[(&str, &str)], folders: &[&str], argv: &[&str]) -> Vec<String> {
    let entry = |text: &str| match text.strip_prefix("-> ") {
        Some(target) => Entry::symlink(target),
        None => Entry::bytes(text),
    };
    let mut tree: Tree = files.iter().map(|(path, text)| ((*path).to_owned(), entry(text))).collect();
    tree.add_parents();
    let folders: Vec<String> = folders.iter().map(|folder| (*folder).to_owned()).collect();
    let mut walk = Walk::new(&tree, "x64");
    for folder in &folders {
        walk.follow_manifest(folder).unwrap();
    }
    walk.follow_command("app", argv).unwrap();
    let kept = super::kept(&walk, &folders);
    let is_file =
        |path: &String| !matches!(tree.get(path).unwrap().kind, crate::store::Kind::Directory { .. });
    kept.into_iter().filter(is_file).collect()
}

#[test]
fn nested_packages_are_found_as_node_finds_them() {
    let files = [
        ("app/package.json", r#"{"dependencies": {"a": "1"}, "devDependencies": {"dev": "1"}}"#),
        ("app/node_modules/.package-lock.json", "{}"),
        ("app/node_modules/.bin/a", "-> ../a/cli.js"),
        ("app/node_modules/.bin/dev", "-> ../dev/cli.js"),
        ("app/node_modules/.prisma/client/index.js", ""),
        (
            "app/node_modules/a/package.json",
            r#"{"dependencies": {"b": "2", "@s/c": "1"}, "peerDependencies": {"p": "1"}}"#,
        ),
        ("app/node_modules/a/cli.js", ""),
        ("app/node_modules/a/node_modules/b/package.json", "{}"),
        // A folder of the package's own files.
        ("app/node_modules/a/dist/node_modules/own/index.js", ""),
        ("app/node_modules/b/package.json", "{}"),
        ("app/node_modules/@s/c/package.json", "not JSON"),
        ("app/node_modules/p/package.json", "{}"),
        ("app/node_modules/dev/package.json", r#"{"dependencies": {"b": "1"}}"#),
        ("app/node_modules/dev/cli.js", ""),
        // What a build wrote.
        ("app/.output/server/node_modules/x/package.json", "{}"),
    ];
    assert_eq!(
        stays(&files, &["app"], &["/opt/node/bin/node", "server.js"]),
        [
            "app/node_modules/.bin/a",
            "app/node_modules/.prisma/client/index.js",
            "app/node_modules/@s/c/package.json",
            "app/node_modules/a/cli.js",
            "app/node_modules/a/dist/node_modules/own/index.js",
            "app/node_modules/a/node_modules/b/package.json",
            "app/node_modules/a/package.json",
            "app/node_modules/p/package.json",
        ]
    );
}

#[test]
fn links_into_a_store_are_followed() {
    let files = [
        (
            "app/package.json",
            r#"{"dependencies": {"a": "1", "member": "workspace:*"}, "devDependencies": {"dev": "1"}}"#,
        ),
        ("app/packages/member/package.json", r#"{"dependencies": {"c": "1"}}"#),
        ("app/packages/member/node_modules/c", "-> ../../../node_modules/.pnpm/c@1/node_modules/c"),
        ("app/packages/member/node_modules/dev", "-> ../../../node_modules/.pnpm/dev@1/node_modules/dev"),
        ("app/node_modules/.modules.yaml", ""),
        ("app/node_modules/a", "-> .pnpm/a@1/node_modules/a"),
        ("app/node_modules/dev", "-> .pnpm/dev@1/node_modules/dev"),
        ("app/node_modules/member", "-> ../packages/member"),
        ("app/node_modules/.pnpm/a@1/node_modules/a/package.json", r#"{"dependencies": {"b": "1"}}"#),
        ("app/node_modules/.pnpm/a@1/node_modules/b", "-> ../../b@1/node_modules/b"),
        ("app/node_modules/.pnpm/b@1/node_modules/b/package.json", "{}"),
        ("app/node_modules/.pnpm/c@1/node_modules/c/package.json", "{}"),
        ("app/node_modules/.pnpm/dev@1/node_modules/dev/package.json", "{}"),
        ("app/node_modules/.pnpm/node_modules/b", "-> ../b@1/node_modules/b"),
        ("app/node_modules/.pnpm/node_modules/dev", "-> ../dev@1/node_modules/dev"),
    ];
    assert_eq!(
        stays(&files, &["app", "app/packages/member"], &[]),
        [
            "app/node_modules/.pnpm/a@1/node_modules/a/package.json",
            "app/node_modules/.pnpm/a@1/node_modules/b",
            "app/node_modules/.pnpm/b@1/node_modules/b/package.json",
            "app/node_modules/.pnpm/c@1/node_modules/c/package.json",
            "app/node_modules/.pnpm/node_modules/b",
            "app/node_modules/a",
            "app/node_modules/member",
            "app/packages/member/node_modules/c",
        ]
    );
}

#[test]
fn a_command_keeps_what_it_names() {
    let files = [
        ("app/package.json", r#"{"devDependencies": {"tsx": "1", "next": "1", "@s/hook": "1", "dev": "1"}}"#),
        ("app/node_modules/.bin/next", "-> ../next/cli.js"),
        ("app/node_modules/next/cli.js", ""),
        ("app/node_modules/next/package.json", r#"{"dependencies": {"react": "1"}}"#),
        ("app/node_modules/react/package.json", "{}"),
        ("app/node_modules/tsx/package.json", "{}"),
        ("app/node_modules/@s/hook/package.json", "{}"),
        ("app/node_modules/dev/package.json", "{}"),
    ];
    let argv = [
        "/opt/node/bin/node",
        "--import",
        "tsx",
        "--require=@s/hook/register",
        "/app/node_modules/.bin/next",
    ];
    assert_eq!(
        stays(&files, &["app"], &argv),
        [
            "app/node_modules/.bin/next",
            "app/node_modules/@s/hook/package.json",
            "app/node_modules/next/cli.js",
            "app/node_modules/next/package.json",
            "app/node_modules/react/package.json",
            "app/node_modules/tsx/package.json",
        ]
    );
}

#[test]
fn packages_for_other_platforms_and_optional_peers_go() {
    let files = [
        (
            "app/package.json",
            r#"{"optionalDependencies": {"mac": "1", "musl": "1", "arm": "1", "fits": "1", "not": "1"},
                "peerDependencies": {"peer": "1"}, "peerDependenciesMeta": {"peer": {"optional": true}}}"#,
        ),
        ("app/node_modules/mac/package.json", r#"{"os": ["darwin"]}"#),
        ("app/node_modules/musl/package.json", r#"{"os": "linux", "libc": ["musl"]}"#),
        ("app/node_modules/arm/package.json", r#"{"cpu": ["arm64"]}"#),
        (
            "app/node_modules/fits/package.json",
            r#"{"os": ["linux"], "cpu": ["x64", "arm64"], "libc": ["glibc"]}"#,
        ),
        ("app/node_modules/not/package.json", r#"{"os": ["!linux"]}"#),
        ("app/node_modules/peer/package.json", "{}"),
    ];
    assert_eq!(stays(&files, &["app"], &[]), ["app/node_modules/fits/package.json"]);
}

#[test]
fn circles_and_links_to_the_outside_end() {
    let files = [
        ("app/package.json", r#"{"dependencies": {"a": "1", "loop": "1", "out": "1", "../up": "1"}}"#),
        ("app/node_modules/a/package.json", r#"{"dependencies": {"b": "1"}}"#),
        ("app/node_modules/b/package.json", r#"{"dependencies": {"a": "1"}}"#),
        ("app/node_modules/loop", "-> loop"),
        ("app/node_modules/out", "-> ../../../../etc"),
    ];
    assert_eq!(
        stays(&files, &["app"], &[]),
        ["app/node_modules/a/package.json", "app/node_modules/b/package.json"]
    );
}
