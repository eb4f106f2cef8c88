//! What ships for another platform, and what is said of it.

use serde_json::json;

use super::*;
use crate::package::Time;
use crate::store::Entry;
use crate::ui::tests::Written;
use crate::ui::{Diagnose as _, Progress};

const AMD64: u16 = 62;
const ARM64: u16 = 183;

/// A file with an ELF header.
fn elf(machine: u16) -> Entry {
    let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
    bytes.resize(18, 0);
    bytes.extend(machine.to_le_bytes());
    bytes.resize(64, 0);
    Entry::bytes(bytes)
}

fn text(text: impl Into<Vec<u8>>) -> Entry {
    Entry::bytes(text)
}

/// What is said of an image for arm64 that was built on amd64 and ships all of `files`.
fn said(files: &[(&str, Entry)]) -> String {
    let work: Tree = files.iter().map(|(path, entry)| ((*path).to_owned(), entry.clone())).collect();
    let layer =
        LayerInput { id: "app".into(), comment: String::new(), tree: work.clone(), time: Time::Fixed };
    let sink = Written::default();
    let reporter = Reporter::to(Progress::Plain, false, sink.clone());
    let checked = check(
        Platforms { target: "linux/arm64", build: "linux/amd64" },
        &[layer],
        &Packages::read(&work),
        &work,
        &reporter,
    );
    let mut said = sink.text();
    if let Err(error) = checked {
        said.extend([format!("{}[{}]: {error}\n", error.exit() as u8, error.id())]);
        said.extend(error.detail().map(|detail| detail + "\n"));
        said.extend(error.hints().into_iter().map(|hint| format!("hint: {hint}\n")));
    }
    said
}

/// npm's record of one package with an installation script.
fn record(name: &str, more: &serde_json::Value) -> Entry {
    let mut entry = json!({ "version": "5.0.1", "hasInstallScript": true });
    entry.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    text(json!({ "packages": { (format!("node_modules/{name}")): entry } }).to_string())
}

const NPM: &str = "app/node_modules/.package-lock.json";

#[test]
fn an_add_on_that_must_be_compiled_is_named() {
    let files = [
        (NPM, record("blake2", &json!({}))),
        ("app/node_modules/blake2/binding.gyp", text("{}")),
        ("app/node_modules/blake2/package.json", text("{}")),
    ];
    assert_eq!(
        said(&files),
        "4[cross/native-build]: `blake2` 5.0.1 has no native code for linux/arm64, and it cannot be compiled on \
         linux/amd64\n\
         blake2: app/node_modules/blake2/binding.gyp is compiled on installation\n\
         hint: choose a version or package that brings binaries for linux/arm64: `npm view blake2 versions`\n\
         hint: or build on a machine that is linux/arm64: `rpack build --platform linux/arm64`\n\
         hint: or leave linux/arm64 out: `rpack build --platform linux/amd64`\n"
    );
}

#[test]
fn an_add_on_with_a_binary_for_the_target_is_fine() {
    let prebuilt = [
        (NPM, record("blake2", &json!({}))),
        ("app/node_modules/blake2/binding.gyp", text("{}")),
        ("app/node_modules/blake2/prebuilds/linux-arm64/blake2.node", elf(ARM64)),
        ("app/node_modules/blake2/prebuilds/linux-x64/blake2.node", elf(AMD64)),
    ];
    assert_eq!(said(&prebuilt), "");
    let companion = json!({ "packages": {
        "node_modules/sharp": {
            "version": "1.0.0", "hasInstallScript": true, "optionalDependencies": { "@img/sharp-linux-arm64": "1" },
        },
        "node_modules/@img/sharp-linux-arm64": { "version": "1.0.0", "optional": true },
    } });
    let companion = [
        (NPM, text(companion.to_string())),
        ("app/node_modules/sharp/binding.gyp", text("{}")),
        ("app/node_modules/@img/sharp-linux-arm64/lib/sharp.node", elf(ARM64)),
    ];
    assert_eq!(said(&companion), "");
}

#[test]
fn a_script_that_fetches_a_binary_is_a_native_build_and_another_is_a_warning() {
    let manifest = |script: &str| text(json!({ "scripts": { "install": script } }).to_string());
    let fetches = [
        (NPM, record("db", &json!({}))),
        ("app/node_modules/db/package.json", manifest("prebuild-install || true")),
    ];
    assert!(said(&fetches).contains("app/node_modules/db/package.json runs `prebuild-install || true`"));
    let thanks = [
        (NPM, record("polyfill", &json!({}))),
        ("app/node_modules/polyfill/package.json", manifest("node x.js")),
    ];
    assert_eq!(
        said(&thanks),
        "warning[cross/scripts]: installation scripts did not run, because they would run for another platform: \
         `polyfill`\n"
    );
}

#[test]
fn an_optional_add_on_is_a_warning() {
    let files = [
        (NPM, record("bufferutil", &json!({ "optional": true }))),
        ("app/node_modules/bufferutil/binding.gyp", text("{}")),
        ("app/node_modules/bufferutil/prebuilds/linux-x64/bufferutil.node", elf(AMD64)),
    ];
    assert_eq!(
        said(&files),
        "warning[cross/optional-native]: optional packages have no native code for linux/arm64: `bufferutil`\n"
    );
}

#[test]
fn an_extension_for_the_build_platform_is_traced_to_its_package() {
    let site = "app/.venv/lib/python3.13/site-packages";
    let (module, recorded) = (format!("{site}/_fast.so"), format!("{site}/fast_json-2.1.dist-info/RECORD"));
    let files = [
        (&*module, elf(AMD64)),
        (&*recorded, text("_fast.so,sha256=x,64\nfast_json-2.1.dist-info/RECORD,,\n")),
    ];
    assert_eq!(
        said(&files),
        format!(
            "4[cross/native-build]: `fast-json` 2.1 has no native code for linux/arm64, and it cannot be compiled on \
             linux/amd64\n\
             fast-json: {module} is for another machine\n\
             hint: choose a version with a wheel for linux/arm64: `pip index versions fast-json`\n\
             hint: or build on a machine that is linux/arm64: `rpack build --platform linux/arm64`\n\
             hint: or leave linux/arm64 out: `rpack build --platform linux/amd64`\n"
        )
    );
}

#[test]
fn files_of_the_app_count_and_those_of_debian_packages_do_not() {
    let mut packaged = elf(AMD64);
    packaged.package = Some("libc6".to_owned());
    assert_eq!(said(&[("usr/lib/libc.so.6", packaged), ("app/bin/tool", elf(ARM64))]), "");
    assert_eq!(
        said(&[("app/bin/tool", elf(AMD64))]),
        "4[cross/foreign-file]: app/bin/tool of the image cannot run on linux/arm64\n\
         app/bin/tool\n\
         hint: leave the files out, or let the build make them for linux/arm64\n\
         hint: or build on a machine that is linux/arm64: `rpack build --platform linux/arm64`\n\
         hint: or leave linux/arm64 out: `rpack build --platform linux/amd64`\n"
    );
}

#[test]
fn an_image_for_the_build_platform_is_not_looked_at() {
    let work: Tree = [("app/tool".to_owned(), elf(ARM64))].into_iter().collect();
    let layer =
        LayerInput { id: "app".into(), comment: String::new(), tree: work.clone(), time: Time::Fixed };
    let same = Platforms { target: "linux/amd64", build: "linux/amd64" };
    check(same, &[layer], &Packages::read(&work), &work, &Reporter::new(Progress::Quiet)).unwrap();
}
