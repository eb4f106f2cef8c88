//! The closure of images over real packages.

use std::collections::BTreeMap;

use super::Elf;
use crate::closure::{Error, close};
use crate::package::{LayerInput, Time};
use crate::plan::Plan;
use crate::plan::catalogue::{Catalogue as _, RootRequest};
use crate::plan::model::{FORMAT, Image, Root};
use crate::rootfs::tests::context;
use crate::rootfs::{Context, Purpose, compose};
use crate::store::{Entry, Tree};
use crate::ui::Diagnose as _;

fn root(context: &Context, architecture: &str, packages: &[&str], closure: bool) -> Root {
    let packages = packages.iter().map(|name| ((*name).to_owned(), "base".to_owned())).collect();
    let request = RootRequest {
        base: "debian-13".to_owned(),
        architecture: architecture.to_owned(),
        packages,
        closure,
        with_dependencies: Vec::new(),
        image: None,
    };
    context.root(&request).unwrap()
}

/// A plan without steps that starts `/app/tool`.
fn plan(build_root: Root, runtime_root: Root) -> Plan {
    Plan {
        outcome: None,
        alternatives: Vec::new(),
        format: FORMAT,
        name: "app".to_owned(),
        platform: format!("linux/{}", runtime_root.architecture),
        build_platform: format!("linux/{}", build_root.architecture),
        language: "procfile".to_owned(),
        versions: Vec::new(),
        build_root,
        runtime_root,
        toolchains: Vec::new(),
        steps: Vec::new(),
        prune: None,
        layers: Vec::new(),
        image: Image {
            user: "65532:65532".to_owned(),
            working_directory: "/app".to_owned(),
            env: vec!["PATH=/usr/bin:/bin".to_owned()],
            ports: Vec::new(),
            entrypoint: vec!["./tool".to_owned()],
            cmd: Vec::new(),
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            writable: Vec::new(),
            created: 0,
            compression: crate::oci::Compression::Gzip,
            media_types: crate::oci::MediaTypes::Oci,
            start_origin: "Procfile:1".to_owned(),
            processes: BTreeMap::new(),
        },
        ignored_libraries: Vec::new(),
        notices: Vec::new(),
    }
}

fn layers(plan: &Plan, tool: &Elf, context: &Context) -> Vec<LayerInput> {
    let base = compose(&plan.runtime_root, Purpose::Runtime, context).unwrap();
    let mut app = Tree::new();
    app.insert("app/tool", Entry::bytes(tool.bytes()).with_mode(0o755));
    app.add_parents();
    let layer =
        |id: &str, tree| LayerInput { id: id.to_owned(), comment: String::new(), tree, time: Time::Fixed };
    vec![layer("base", base), layer("app", app)]
}

/// The names, architectures and layers of what `tool` adds.
fn added(plan: &Plan, tool: &Elf, context: &Context) -> Vec<(String, String)> {
    let layers = layers(plan, tool, context);
    let closure = close(plan, &layers, None, context).unwrap();
    assert_eq!(close(plan, &layers, None, context).unwrap(), closure, "kept");
    let row = |added: &crate::closure::Added| {
        assert_eq!(added.package.layer, "libraries");
        assert!(!added.reasons.is_empty());
        (added.package.name.clone(), added.package.architecture.clone())
    };
    closure.added.iter().map(row).collect()
}

#[test]
#[ignore = "network: run by .ci/run"]
fn network_the_closure_adds_what_is_needed_and_not_what_packages_depend_on() {
    let folder = tempfile::tempdir().unwrap();
    let context = context(folder.path());
    let build = root(&context, "amd64", &["libcairo2"], true);
    let plan = plan(build.clone(), root(&context, "amd64", &["@cc"], false));
    let tool = Elf::new().needs(&["libpng16.so.16", "libc.so.6"]);
    assert_eq!(added(&plan, &tool, &context), [("libpng16-16t64".to_owned(), "amd64".to_owned())]);
    // Versions and digests are those of the build root.
    let layers = layers(&plan, &tool, &context);
    let closure = close(&plan, &layers, None, &context).unwrap();
    let package = &closure.added[0].package;
    let of_root = build.packages.iter().find(|one| one.name == package.name).unwrap();
    assert_eq!((&package.version, package.sha256), (&of_root.version, of_root.sha256));
    assert_eq!(closure.added[0].reasons, ["libpng16.so.16 for /app/tool"]);
}

#[test]
#[ignore = "network: run by .ci/run"]
fn network_a_library_that_ships_in_the_same_folder_is_taken_to_be_loaded_before() {
    let folder = tempfile::tempdir().unwrap();
    let context = context(folder.path());
    let libc = root(&context, "amd64", &["libc6"], true);
    let plan = plan(libc.clone(), libc);
    let mut layers = layers(&plan, &Elf::new(), &context);
    let addon = Elf::new().needs(&["libsibling.so.1"]);
    let mut insert = |path: &str, elf: &Elf| {
        layers[1].tree.insert(path, Entry::bytes(elf.bytes()));
        layers[1].tree.add_parents();
    };
    insert("app/node_modules/x/x.node", &addon);
    insert("app/node_modules/y/lib/libsibling.so.1.2", &Elf::new().named("libsibling.so.1"));
    let closure = close(&plan, &layers, None, &context).unwrap();
    assert_eq!(closure.added, []);
    assert_eq!(
        closure.notices[0].text,
        "`libsibling.so.1` ships with the app and is found only if the app loads it before what needs it"
    );
    // That of another machine is none, nor is one in another folder.
    let other = Elf { machine: 183, ..Elf::new().named("libsibling.so.1") };
    for (path, elf) in
        [("app/node_modules/y/lib/libsibling.so.1.2", other), ("app/lib/libsibling.so.1", Elf::new())]
    {
        layers[1].tree.remove_subtree("app/node_modules/y");
        layers[1].tree.insert(path, Entry::bytes(elf.bytes()));
        layers[1].tree.add_parents();
        let error = close(&plan, &layers, None, &context).unwrap_err();
        let Error::Missing(unresolved) = error else { panic!("{error}") };
        assert_eq!(unresolved[0].chain, ["app/node_modules/x/x.node"]);
    }
}

#[test]
#[ignore = "network: run by .ci/run"]
fn network_a_package_of_the_build_root_stands_for_that_of_another_architecture() {
    let folder = tempfile::tempdir().unwrap();
    let context = context(folder.path());
    let build = root(&context, "amd64", &["libcairo2"], true);
    let plan = plan(build, root(&context, "arm64", &["@cc"], false));
    let tool = Elf { machine: 183, ..Elf::new().needs(&["libpng16.so.16", "libc.so.6"]) };
    assert_eq!(added(&plan, &tool, &context), [("libpng16-16t64".to_owned(), "arm64".to_owned())]);

    let error = close(&plan, &layers(&plan, &Elf::new(), &context), None, &context).unwrap_err();
    assert_eq!(error.to_string(), "the start command `/app/tool` is not a program for linux/arm64");
}

#[test]
#[ignore = "network: run by .ci/run"]
fn network_groups_of_the_base_bring_every_library_that_their_files_name() {
    let folder = tempfile::tempdir().unwrap();
    let context = context(folder.path());
    let build = root(&context, "amd64", &["libc6"], true);
    for group in ["@base", "@cc", "@python"] {
        let plan = plan(build.clone(), root(&context, "amd64", &[group], false));
        assert_eq!(added(&plan, &Elf::new().needs(&["libc.so.6"]), &context), [], "{group}");
    }
}

#[test]
#[ignore = "network: run by .ci/run"]
fn network_a_program_for_musl_names_the_package_of_its_loader() {
    let folder = tempfile::tempdir().unwrap();
    let context = context(folder.path());
    let libc = root(&context, "amd64", &["libc6"], true);
    let plan = plan(libc.clone(), libc);
    let tool = Elf { interpreter: Some("/lib/ld-musl-x86_64.so.1"), ..Elf::new() };
    let error = close(&plan, &layers(&plan, &tool, &context), None, &context).unwrap_err();
    assert!(matches!(error, Error::Interpreter { .. }));
    assert_eq!(
        error.hints(),
        [
            "add the package that has it to rpack.toml: `runtime.packages = [\"musl\"]`",
            "or start the program itself: the command comes from Procfile:1",
        ]
    );
}
