//! `rpack export`.

use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::process::Stdio;

use super::foreign_image;
use crate::support::TestContext;
use crate::support::debian_repository::sha256;
use crate::support::registry::tool;

/// Names, modes, owners, sizes, times and links of an archive.
fn listing(archive: &Path) -> String {
    tool("tar", &["--utc", "--full-time", "--numeric-owner", "-tvf", archive.to_str().unwrap()])
}

#[test]
fn the_files_of_an_image_as_one_archive() {
    let context = TestContext::new();
    foreign_image(&context);
    let exported = context.rpack(&["export", "oci:../foreign", "-o", "../files.tar"]);
    assert_eq!((exported.status, exported.stdout.as_str()), (0, ""), "{}", exported.stderr);
    let archive = context.root().join("files.tar");
    insta::assert_snapshot!("export", listing(&archive));
    // To stdout, and from a store that has not seen the image: the same bytes.
    let mut command = context.command(&["export", "oci:../foreign"]);
    let output = command.env("RPACK_STORE", context.root().join("other-store")).output().unwrap();
    assert_eq!(sha256(&output.stdout), sha256(&fs::read(&archive).unwrap()));
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let context = TestContext::new();
    let text = "x".repeat(4 << 20);
    let layer = crate::support::foreign::Layer::new().file("large", &text);
    crate::support::foreign::layout(context.root().join("large"), vec![layer], serde_json::json!({}));
    let mut child = context
        .command(&["export", "oci:../large", "--quiet"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_exact(&mut [0; 512]).unwrap();
    drop(stdout);
    let finished = context.finish(child.wait_with_output().unwrap());
    assert_eq!((finished.status, finished.stderr.as_str()), (0, ""));
}

#[test]
fn a_terminal_is_spared() {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    let context = TestContext::new();
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&ours).unwrap();
    unlockpt(&ours).unwrap();
    let name = ptsname(&ours, Vec::new()).unwrap().into_string().unwrap();
    let terminal = fs::OpenOptions::new().read(true).write(true).open(name).unwrap();
    let output = context.command(&["export", "app"]).stdout(terminal).output().unwrap();
    let refused = context.finish(output);
    assert_eq!(refused.status, 2);
    let expected = "error[export/terminal]: the files of `app` are not written to a terminal\n\nhint: name a file, or a \
                    program that reads it: `rpack export app -o files.tar`\n";
    assert_eq!(refused.stderr, expected);
}

#[test]
fn what_cannot_be_written_is_said() {
    let context = TestContext::new();
    foreign_image(&context);
    let refused = context.rpack(&["export", "oci:../foreign", "-o", "../missing/files.tar", "--quiet"]);
    assert_eq!((refused.status, refused.stdout.as_str()), (1, ""));
    assert!(
        refused.stderr.starts_with("error[publish/io]: cannot create a file in ../missing\n"),
        "{}",
        refused.stderr
    );
}

#[test]
#[ignore = "needs umoci and root: run by .ci/run"]
fn root_tool_umoci_unpacks_the_same_files() {
    let context = TestContext::new();
    let layout = foreign_image(&context);
    // umoci takes an image by its tag.
    let index = fs::read_to_string(layout.join("index.json")).unwrap();
    let mut index: serde_json::Value = serde_json::from_str(&index).unwrap();
    index["manifests"][0]["annotations"] = serde_json::json!({"org.opencontainers.image.ref.name": "v1"});
    fs::write(layout.join("index.json"), index.to_string()).unwrap();
    let bundle = context.root().join("bundle");
    tool("umoci", &["unpack", "--image", &format!("{}:v1", layout.display()), bundle.to_str().unwrap()]);
    context.rpack(&["export", "oci:../foreign:v1", "-o", "../files.tar"]).success();
    let ours = context.root().join("ours");
    fs::create_dir(&ours).unwrap();
    let archive = context.root().join("files.tar");
    tool("tar", &["--numeric-owner", "-xpf", archive.to_str().unwrap(), "-C", ours.to_str().unwrap()]);
    let state = |folder: &Path| {
        let format = "%P %y %m %U:%G %s %n %l\n";
        let text = tool("find", &[folder.to_str().unwrap(), "-mindepth", "1", "-printf", format]);
        // The size of a directory is that of its file system.
        let line = |line: &str| match line.split_once(" d ") {
            Some((path, rest)) => {
                format!("{path} d {}", rest.split(' ').take(2).collect::<Vec<_>>().join(" "))
            }
            None => line.to_owned(),
        };
        let mut lines: Vec<String> = text.lines().map(line).collect();
        lines.sort();
        lines
    };
    assert_eq!(state(&ours), state(&bundle.join("rootfs")));
    tool(
        "diff",
        &["-r", "--no-dereference", ours.to_str().unwrap(), bundle.join("rootfs").to_str().unwrap()],
    );
}

#[test]
#[ignore = "needs podman and root: run by .ci/run"]
fn root_tool_podman_imports_the_archive() {
    let context = TestContext::new();
    foreign_image(&context);
    context.rpack(&["export", "oci:../foreign", "-o", "../files.tar"]).success();
    let storage = context.root().join("storage");
    let archive = context.root().join("files.tar");
    let podman = |arguments: &[&str]| {
        let places = [
            "--storage-driver",
            "vfs",
            "--root",
            storage.to_str().unwrap(),
            "--runroot",
            storage.to_str().unwrap(),
        ];
        tool("podman", &[&places[..], arguments].concat())
    };
    podman(&["import", "--quiet", archive.to_str().unwrap(), "flat:1"]);
    let container = podman(&["create", "flat:1", "none"]);
    let back = context.root().join("back.tar");
    podman(&["export", "-o", back.to_str().unwrap(), container.trim()]);
    let names = |archive: &Path| {
        let mut names: Vec<String> =
            tool("tar", &["-tf", archive.to_str().unwrap()]).lines().map(str::to_owned).collect();
        names.sort();
        names
    };
    let ours = names(&archive);
    let theirs: Vec<String> = names(&back).into_iter().filter(|name| ours.contains(name)).collect();
    assert_eq!(theirs, ours);
}
