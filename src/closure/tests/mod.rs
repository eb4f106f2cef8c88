//! Small images and what the loader finds in them.

mod elf;
mod kept;
mod network;
mod size;

use std::collections::BTreeMap;

use super::growth::container;
use super::load::{self, Need, Outcome};
use super::report;
use super::scan::Scan;
use super::search::Target;
use super::view::View;
use crate::definitions::Definitions;
use crate::elf_file::Elf;
use crate::store::{Entry, Tree};

fn tree(files: &[(&str, &Elf)], links: &[(&str, &str)]) -> Tree {
    let mut tree = Tree::new();
    for (path, elf) in files {
        tree.insert(*path, Entry::bytes(elf.bytes()).with_mode(0o755));
    }
    for (path, target) in links {
        tree.insert(*path, Entry::symlink(*target));
    }
    tree.add_parents();
    tree
}

fn load(tree: &Tree, library_path: &[&str]) -> Outcome {
    let mut scan = Scan::default();
    scan.add(tree, |_| false).unwrap();
    let library_path: Vec<String> = library_path.iter().map(|folder| (*folder).to_owned()).collect();
    load::load(&scan.elves, &View::new(vec![tree]), &library_path, Target::debian("amd64").unwrap())
}

/// `library <- chain of files` for everything that is missing.
fn missing(outcome: &Outcome) -> Vec<String> {
    let line = |(need, missing): (&Need, &load::Missing)| {
        let optional = if missing.optional { " (optional)" } else { "" };
        format!("{} <- {}{optional}", need.name, missing.chain.join(" > "))
    };
    outcome.missing.iter().map(line).collect()
}

fn met(outcome: &Outcome, file: &str) -> BTreeMap<String, String> {
    let of = outcome.met.iter().filter(|(need, _)| need.file == file);
    of.map(|(need, path)| (need.name.clone(), path.clone())).collect()
}

const LIBC: &str = "usr/lib/x86_64-linux-gnu/libc.so.6";

fn libc() -> Elf {
    Elf::new().named("libc.so.6")
}

#[test]
fn what_is_missing_is_named_with_the_way_to_it() {
    let tree = tree(
        &[
            (LIBC, &libc()),
            (
                "app/bin/tool",
                &Elf { runpath: Some("$ORIGIN/../lib"), ..Elf::new().needs(&["liba.so.1", "libc.so.6"]) },
            ),
            ("app/lib/liba.so.1", &Elf::new().named("liba.so.1").needs(&["libb.so.2"])),
        ],
        &[],
    );
    let outcome = load(&tree, &[]);
    // The runpath of the program does not count for what the library needs.
    assert_eq!(missing(&outcome), ["libb.so.2 <- app/bin/tool > app/lib/liba.so.1"]);
    assert_eq!(met(&outcome, "app/bin/tool")["liba.so.1"], "app/lib/liba.so.1");
    assert_eq!(met(&outcome, "app/bin/tool")["libc.so.6"], LIBC);
}

#[test]
fn a_library_found_in_company_is_found() {
    let program = Elf { rpath: Some("${ORIGIN}/../lib"), ..Elf::new().needs(&["liba.so.1"]) };
    let alone = Elf::new().named("liba.so.1").needs(&["libb.so.2"]);
    let tree = tree(
        &[
            ("app/bin/tool", &program),
            ("app/lib/liba.so.1", &alone),
            ("app/lib/libb.so.2.1", &Elf::new().named("libb.so.2")),
        ],
        &[("app/lib/libb.so.2", "libb.so.2.1")],
    );
    let outcome = load(&tree, &[]);
    assert_eq!(missing(&outcome), [""; 0]);
    assert_eq!(met(&outcome, "app/lib/liba.so.1")["libb.so.2"], "app/lib/libb.so.2.1");
}

#[test]
fn a_loaded_name_is_not_looked_for_again() {
    let extension =
        Elf { runpath: Some("$ORIGIN/x.libs"), ..Elf::new().needs(&["libfoo-1a2b.so", "libbar.so.3"]) };
    let tree = tree(
        &[
            ("app/x.so", &extension),
            ("app/x.libs/libfoo-1a2b.so", &Elf::new().named("libfoo-1a2b.so").needs(&["libbar.so.3"])),
            ("app/x.libs/libbar-renamed.so", &Elf::new().named("libbar.so.3")),
        ],
        &[("app/x.libs/libbar.so.3", "libbar-renamed.so")],
    );
    assert_eq!(missing(&load(&tree, &[])), [""; 0]);
}

#[test]
fn the_environment_and_absolute_links_count() {
    let tree = tree(
        &[
            ("app/tool", &Elf::new().needs(&["libq.so.1"])),
            ("opt/q/libq.so.1.0", &Elf::new().named("libq.so.1")),
        ],
        &[("srv/lib/libq.so.1", "/opt/q/libq.so.1.0")],
    );
    assert_eq!(missing(&load(&tree, &[])), ["libq.so.1 <- app/tool"]);
    assert_eq!(missing(&load(&tree, &["/srv/lib"])), [""; 0]);
}

#[test]
fn files_for_other_machines_and_systems_are_left_alone() {
    let missing_anywhere = || Elf::new().needs(&["libnowhere.so.1"]);
    let arm = Elf { machine: 183, ..missing_anywhere() };
    let musl = Elf { needed: vec!["libstdc++.so.6", "libc.musl-x86_64.so.1"], ..Elf::new() };
    let bionic = Elf { needed: vec!["liblog.so", "libc.so"], ..Elf::new() };
    let loader = Elf { interpreter: Some("/lib/ld-musl-x86_64.so.1"), ..missing_anywhere() };
    let tree = tree(
        &[
            ("app/node_modules/x/prebuilds/linux-arm64/x.node", &arm),
            ("app/node_modules/x/prebuilds/linux-x64/x.musl.node", &missing_anywhere()),
            ("app/node_modules/@img/sharp-linuxmusl-x64/lib/sharp.node", &missing_anywhere()),
            ("app/node_modules/y/y.node", &musl),
            ("app/node_modules/z/z.so", &bionic),
            ("app/node_modules/z/tool", &loader),
        ],
        &[],
    );
    assert_eq!(missing(&load(&tree, &[])), [""; 0]);
    // A library of another machine in the way is passed over, as the loader does.
    let tree = self::tree(
        &[
            ("app/tool", &Elf { runpath: Some("/app/arm:/app/x64"), ..Elf::new().needs(&["liba.so"]) }),
            ("app/arm/liba.so", &Elf { machine: 183, ..Elf::new() }),
            ("app/x64/liba.so", &Elf::new()),
        ],
        &[],
    );
    assert_eq!(met(&load(&tree, &[]), "app/tool")["liba.so"], "app/x64/liba.so");
}

#[test]
fn interpreters_and_notes_about_dlopen_are_needs() {
    let program = Elf {
        interpreter: Some("/lib64/ld-linux-x86-64.so.2"),
        dlopen: Some(
            r#"[{"soname":["libnew.so.2","libold.so.1"],"priority":"required"},{"soname":["libzstd.so.1"]},
                {"feature":"idn","soname":["libidn2.so.0"],"priority":"suggested"}]"#,
        ),
        ..Elf::new()
    };
    let tree = tree(&[("app/tool", &program), ("usr/lib/libold.so.1", &Elf::new())], &[]);
    let outcome = load(&tree, &[]);
    assert_eq!(
        missing(&outcome),
        ["/lib64/ld-linux-x86-64.so.2 <- app/tool", "libzstd.so.1 <- app/tool (optional)"]
    );
    assert_eq!(met(&outcome, "app/tool")["libold.so.1"], "usr/lib/libold.so.1");
}

#[test]
fn packages_of_one_folder_load_each_others_libraries() {
    for (path, expected) in [
        ("app/.venv/lib/python3.13/site-packages/torch/lib/a.so", "app/.venv/lib/python3.13/site-packages/"),
        ("app/node_modules/a/node_modules/b/c.node", "app/node_modules/"),
        ("app/lib/a.so", "app"),
        ("a.so", "a.so"),
    ] {
        assert_eq!(container(path), expected);
    }
}

#[test]
fn a_report_names_users_owners_and_reasons() {
    let mut image = tree(
        &[
            ("usr/lib/x86_64-linux-gnu/libpq.so.5.17", &Elf::new().named("libpq.so.5").needs(&["libc.so.6"])),
            (LIBC, &libc()),
            ("app/a.so", &Elf { runpath: Some("$ORIGIN"), ..Elf::new().needs(&["libpq.so.5", "libown.so"]) }),
            ("app/libown.so", &Elf::new()),
        ],
        &[("usr/lib/x86_64-linux-gnu/libpq.so.5", "libpq.so.5.17"), ("lib", "usr/lib")],
    );
    let record = |name: &str, files: &[&str]| {
        let sums: Vec<String> =
            files.iter().map(|file| format!("d41d8cd98f00b204e9800998ecf8427e  {file}\n")).collect();
        [
            (format!("var/lib/dpkg/status.d/{name}"), format!("Package: {name}\nVersion: 1.2-3\n")),
            (format!("var/lib/dpkg/status.d/{name}.md5sums"), sums.concat()),
        ]
    };
    let records = [
        record("libpq5", &["usr/lib/x86_64-linux-gnu/libpq.so.5.17"]),
        // As on releases before the merge of `/lib`.
        record("libc6", &["lib/x86_64-linux-gnu/libc.so.6", "usr/share/doc/libc6/gone"]),
        record("libfontconfig1", &[]),
        record("fontconfig-config", &[]),
    ];
    for (path, text) in records.into_iter().flatten() {
        image.insert(path, Entry::bytes(text));
    }
    image.add_parents();
    let report = report(&image, "amd64", &[], &Definitions::embedded()).unwrap();
    assert_eq!(
        report.text(),
        "\
fontconfig-config 1.2-3  (companion of libfontconfig1)
libc6 1.2-3
  /usr/lib/x86_64-linux-gnu/libc.so.6  <-  /usr/lib/x86_64-linux-gnu/libpq.so.5.17
libfontconfig1 1.2-3  (listed)
libpq5 1.2-3
  /usr/lib/x86_64-linux-gnu/libpq.so.5.17  <-  /app/a.so

outside packages
  /app/libown.so  <-  /app/a.so
"
    );
}
