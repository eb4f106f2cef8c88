//! What is not found any more when layers are replaced.

use globset::GlobSet;

use super::{LIBC, libc};
use crate::closure::kept::{Broken, Kept, broken_with};
use crate::elf_file::Elf;
use crate::oci::image::ContainerConfig;
use crate::package::{LayerInput, Time};
use crate::store::{Entry, Store, Tree};

fn layer(id: &str, tree: Tree) -> LayerInput {
    LayerInput { id: id.to_owned(), comment: String::new(), tree, time: Time::Fixed }
}

/// A base with a C library and a runtime with what else is given, each with the record of its package.
fn runtime(further: &[(&str, Entry)]) -> LayerInput {
    let mut tree = Tree::new();
    tree.insert(LIBC, Entry::bytes(libc().bytes()));
    for (path, entry) in further {
        tree.insert(*path, entry.clone());
    }
    let sums: Vec<String> = further.iter().map(|(path, _)| format!("0  {path}")).collect();
    tree.insert("var/lib/dpkg/status.d/tool.md5sums", Entry::bytes(sums.join("\n")));
    tree.add_parents();
    layer("runtime", tree)
}

fn app() -> LayerInput {
    let mut tree = Tree::new();
    let server = Elf::new().needs(&["libc.so.6", "libnever.so.1"]);
    tree.insert("app/server", Entry::bytes(server.bytes()).with_mode(0o755));
    tree.insert("app/extension.so", Entry::bytes(Elf::new().needs(&["libz.so.1"]).bytes()));
    tree.insert("app/run", Entry::bytes("#!/usr/bin/tool\n").with_mode(0o755));
    tree.insert("app/.venv/bin/tool", Entry::symlink("/usr/bin/tool"));
    tree.insert("app/nothing", Entry::symlink("/usr/bin/nothing"));
    tree.add_parents();
    layer("app", tree)
}

fn broken(before: LayerInput, after: LayerInput, start: &str) -> Vec<Broken> {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let config = ContainerConfig {
        env: vec!["PATH=/usr/bin".to_owned()],
        entrypoint: Some(vec!["/usr/bin/rpack-init".to_owned(), "--".to_owned(), start.to_owned()]),
        working_dir: "/app".to_owned(),
        ..ContainerConfig::default()
    };
    let (before, after) = ([before, app()], [after, app()]);
    let kept =
        Kept { before: &before, after: &after, config: &config, base: "debian-13", architecture: "amd64" };
    broken_with(kept, &GlobSet::empty(), |_| None, &store).unwrap()
}

#[test]
fn what_was_found_and_is_not_is_named_with_its_package() {
    let program = Elf { interpreter: Some("/lib64/ld-linux-x86-64.so.2"), ..Elf::new() };
    let tool = ("usr/bin/tool", Entry::bytes(program.bytes()).with_mode(0o755));
    let library = ("usr/lib/x86_64-linux-gnu/libz.so.1", Entry::bytes(Elf::new().named("libz.so.1").bytes()));
    let whole = || runtime(&[tool.clone(), library.clone()]);
    assert_eq!(broken(whole(), whole(), "tool"), []);
    let lines: Vec<String> = broken(whole(), runtime(&[]), "tool")
        .into_iter()
        .map(|Broken { file, name, package }| {
            format!("{} {name} {}", file.unwrap_or_default(), package.unwrap_or_default())
        })
        .collect();
    assert_eq!(
        lines,
        [
            " /usr/bin/tool tool",
            "/app/.venv/bin/tool /usr/bin/tool tool",
            "/app/extension.so libz.so.1 tool",
            "/app/run /usr/bin/tool tool",
        ]
    );
}

#[test]
fn what_a_new_file_needs_must_be_there() {
    let needy = |needs: &[&'static str]| {
        runtime(&[("usr/lib/x86_64-linux-gnu/libz.so.1", Entry::bytes(Elf::new().needs(needs).bytes()))])
    };
    let file = Some("/usr/lib/x86_64-linux-gnu/libz.so.1".to_owned());
    let expected = Broken { file, name: "libnew.so.2".to_owned(), package: None };
    assert_eq!(broken(needy(&[]), needy(&["libc.so.6", "libnew.so.2"]), "./server"), [expected]);
}
