//! A build of which nothing changed is answered from what the last one looked at; whatever matters is noticed.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::archive::Fixture;
use crate::support::debian_repository::Signing;
use crate::support::{Finished, RPACK};

fn fixture() -> Fixture {
    let fixture = Fixture::new(7, Signing::Trusted);
    fixture.context.file(".gitignore", "*.log\nignored/\n").file("static/page.html", "<p>1</p>\n");
    fixture
}

fn build(fixture: &Fixture, arguments: &[&str]) -> Finished {
    let definitions = fixture.definitions.to_str().unwrap();
    let all = [&["build", "--progress", "plain", "-v", "--definitions", definitions], arguments].concat();
    fixture.context.rpack(&all)
}

const UNCHANGED: &str = "app:latest  3 layers, 0.0 MB  nothing changed\n";

/// Builds; the digest, and why it was built.
#[track_caller]
fn built(fixture: &Fixture, arguments: &[&str]) -> (String, String) {
    let finished = build(fixture, arguments);
    assert_eq!(finished.status, 0, "{}", finished.stderr);
    let reason = finished.stderr.lines().find_map(|line| line.strip_prefix("the image is made again: "));
    (finished.stdout, reason.expect(&finished.stderr).to_owned())
}

/// Builds without building anything; the digest.
#[track_caller]
fn unchanged(fixture: &Fixture, arguments: &[&str]) -> String {
    let finished = build(fixture, arguments);
    assert_eq!(finished.stderr, UNCHANGED);
    finished.stdout
}

#[test]
fn the_answer_is_the_same_and_nothing_is_asked_of_the_archive() {
    let fixture = fixture();
    let (digest, reason) = built(&fixture, &[]);
    assert_eq!(reason, "it was not built here before");
    fixture.repository.server.take_requests();
    assert_eq!(unchanged(&fixture, &[]), digest);
    assert_eq!(unchanged(&fixture, &[]), digest);
    assert_eq!(fixture.repository.server.take_requests(), Vec::<String>::new());
}

#[test]
fn every_kind_of_change_is_noticed_and_named() {
    let fixture = fixture();
    let app = fixture.context.app();
    built(&fixture, &[]);
    let change = |change: &dyn Fn(&Path), reason: &str| {
        change(&app);
        let (digest, found) = built(&fixture, &[]);
        assert_eq!(found, reason);
        assert_eq!(unchanged(&fixture, &[]), digest);
        digest
    };
    // The same size within the same second: the time alone would not tell.
    let edited = change(
        &|app| fs::write(app.join("static/page.html"), "<p>2</p>\n").unwrap(),
        "static/page.html changed",
    );
    let back = change(
        &|app| fs::write(app.join("static/page.html"), "<p>1</p>\n").unwrap(),
        "static/page.html changed",
    );
    assert_ne!(edited, back);
    change(&|app| fs::write(app.join("static/new.html"), "").unwrap(), "files were added to static");
    change(&|app| fs::remove_file(app.join("static/new.html")).unwrap(), "static/new.html was removed");
    change(
        &|app| fs::write(app.join("rpack.toml"), "image.user = \"1000:1000\"\n").unwrap(),
        "files were added",
    );
    change(
        &|app| fs::write(app.join("rpack.toml"), "image.user = \"1001:1000\"\n").unwrap(),
        "rpack.toml changed",
    );
    change(&|app| fs::write(app.join(".gitignore"), "*.html\n").unwrap(), ".gitignore changed");
    change(&|app| std::os::unix::fs::symlink("static", app.join("pages")).unwrap(), "files were added");
    change(
        &|app| {
            fs::remove_file(app.join("pages")).unwrap();
            std::os::unix::fs::symlink("./static", app.join("pages")).unwrap();
        },
        "pages changed",
    );
    change(
        &|app| {
            use std::os::unix::fs::PermissionsExt as _;
            fs::set_permissions(app.join("server"), fs::Permissions::from_mode(0o755)).unwrap();
        },
        "server changed",
    );
}

#[test]
fn what_changes_nothing_is_no_change() {
    let fixture = fixture();
    let app = fixture.context.app();
    let (digest, _) = built(&fixture, &[]);
    // Written again with the same content, as an editor or `git checkout` does: another inode, another time.
    fs::write(app.join("server.new"), "a program\n").unwrap();
    fs::rename(app.join("server.new"), app.join("server")).unwrap();
    assert_eq!(unchanged(&fixture, &[]), digest);
    // Files that take no part in a folder that takes no part.
    fs::create_dir(app.join("ignored")).unwrap();
    assert_eq!(built(&fixture, &[]), (digest.clone(), "files were added".to_owned()));
    fs::write(app.join("ignored/a.txt"), "a").unwrap();
    assert_eq!(unchanged(&fixture, &[]), digest);
}

#[test]
fn the_command_line_and_the_environment_count() {
    let fixture = fixture();
    let (digest, _) = built(&fixture, &[]);
    assert_eq!(built(&fixture, &["--name", "other"]).1, "it was not built here before");
    let labelled = |text: &str| {
        let (digest, reason) = built(&fixture, &["--label", text]);
        assert_eq!(reason, "it was not built here before");
        assert_eq!(unchanged(&fixture, &["--label", text]), digest);
        digest
    };
    let labels = [digest.clone(), labelled("com.acme.team=shop"), labelled("com.acme.team=web")];
    assert!(labels[0] != labels[1] && labels[1] != labels[2] && labels[0] != labels[2]);
    assert_eq!(unchanged(&fixture, &[]), digest);
    let build = |name: &str, value: &str| {
        let definitions = fixture.definitions.to_str().unwrap();
        let mut command = fixture.context.command(&["build", "-v", "--definitions", definitions]);
        let finished = fixture.context.finish(command.env(name, value).output().unwrap());
        assert_eq!(finished.status, 0, "{}", finished.stderr);
        finished.stderr.lines().next().unwrap_or_default().to_owned()
    };
    let reason = "the image is made again: the variable RPACK_IMAGE_USER changed";
    assert_eq!(build("RPACK_IMAGE_USER", "1000:1000"), reason);
    assert!(build("TERM", "dumb").starts_with("the image is made again: the variable RPACK_IMAGE_USER"));
    assert!(build("TERM", "xterm").ends_with("nothing changed"));
}

#[test]
fn a_commit_counts() {
    let fixture = fixture();
    let git = |arguments: &[&str]| {
        let status = Command::new("git")
            .args(["-c", "user.name=a", "-c", "user.email=a@b.example", "-C"])
            .arg(fixture.context.app())
            .args(arguments)
            .status()
            .unwrap();
        assert!(status.success());
    };
    built(&fixture, &[]);
    git(&["init", "--quiet", "-b", "main"]);
    git(&["add", "."]);
    git(&["commit", "--quiet", "-m", "one"]);
    let (digest, reason) = built(&fixture, &[]);
    assert_eq!(reason, "files were added");
    assert_eq!(unchanged(&fixture, &[]), digest);
    git(&["commit", "--quiet", "--allow-empty", "-m", "two"]);
    let (second, reason) = built(&fixture, &[]);
    assert_eq!(reason, "[ROOT]/app/.git/refs/heads/main changed");
    assert_ne!(second, digest);
    git(&["tag", "v1.2.3"]);
    let (tagged, reason) = built(&fixture, &[]);
    assert_eq!(reason, "files were added to [ROOT]/app/.git/refs/tags");
    assert_ne!(tagged, second);
    assert_eq!(unchanged(&fixture, &[]), tagged);
    git(&["switch", "--quiet", "-c", "other"]);
    assert_eq!(built(&fixture, &[]).1, "[ROOT]/app/.git/HEAD changed");
}

#[test]
fn warnings_are_shown_again_and_tags_and_outputs_are_made() {
    let fixture = fixture();
    let build = |arguments: &[&str]| {
        let definitions = fixture.definitions.to_str().unwrap();
        let all = [&["build", "--definitions", definitions], arguments].concat();
        let mut command = fixture.context.command(&all);
        fixture.context.finish(command.env("RPACK_IMAGE_USR", "1000").output().unwrap())
    };
    let first = build(&[]);
    let warning: Vec<&str> = first.stderr.lines().take(2).collect();
    assert!(warning[0].starts_with("warning[config/unknown-variable]: "), "{}", first.stderr);
    let layout = fixture.context.root().join("layout");
    let again = build(&["-t", "shop:2", "-o", &format!("oci:{}", layout.display())]);
    assert_eq!(again.stdout, first.stdout);
    let output = format!("publish to oci:{}", layout.display())
        .replace(fixture.context.root().to_str().unwrap(), "[ROOT]");
    let digest = first.stdout.trim();
    assert_eq!(
        again.stderr,
        format!(
            "{}\n{output}\n{output}  {digest}\nshop:2  3 layers, 0.0 MB  nothing changed\n",
            warning.join("\n")
        )
    );
    assert!(layout.join("blobs/sha256").join(digest.strip_prefix("sha256:").unwrap()).is_file());
    let index = fs::read_to_string(fixture.context.store().join("images/index.json")).unwrap();
    assert!(index.contains("shop:2") && index.contains("app:latest"), "{index}");
}

#[test]
fn a_store_that_lost_a_layer_makes_it_again() {
    let fixture = fixture();
    let (digest, _) = built(&fixture, &[]);
    let images = fixture.context.store().join("images/blobs/sha256");
    for entry in fs::read_dir(&images).unwrap() {
        let path = entry.unwrap().path();
        let kept = fixture.context.store().join("blobs/sha256").join(path.file_name().unwrap());
        if fs::read(&path).unwrap().starts_with(&[0x1f, 0x8b]) {
            fs::remove_file(path).unwrap();
            fs::remove_file(kept).unwrap();
        }
    }
    let (again, reason) = built(&fixture, &[]);
    assert_eq!(again, digest);
    assert!(reason.ends_with("is not in the store any more"), "{reason}");
}

#[test]
fn a_damaged_record_is_no_answer() {
    let fixture = fixture();
    let (digest, _) = built(&fixture, &[]);
    let metadata = fixture.context.store().join("metadata");
    for entry in fs::read_dir(metadata).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap().to_str().unwrap().starts_with("build-") {
            let text = fs::read_to_string(&path).unwrap();
            fs::write(&path, &text[..text.len() / 2]).unwrap();
        }
    }
    assert_eq!(built(&fixture, &[]), (digest, "it was not built here before".to_owned()));
}

/// The system calls of a build.
fn traced(fixture: &Fixture, calls: &str) -> Vec<String> {
    let trace = fixture.context.root().join("trace");
    let output = Command::new("strace")
        .args(["-f", "-qq", "-e", &format!("trace={calls}"), "-o"])
        .arg(&trace)
        .args([RPACK, "build", "--quiet", "--definitions"])
        .arg(&fixture.definitions)
        .current_dir(fixture.context.app())
        .env("RPACK_STORE", fixture.context.store())
        .env_remove("CI")
        .output()
        .unwrap();
    fixture.context.finish(output).success();
    let root = fixture.context.root().to_str().unwrap().to_owned();
    fs::read_to_string(trace).unwrap().lines().map(|line| line.replace(&root, "")).collect()
}

#[test]
#[ignore = "needs strace: run by .ci/run"]
fn tool_nothing_changed_starts_no_process_opens_no_socket_and_no_file_of_the_app() {
    let fixture = fixture();
    for number in 0..100 {
        fixture.context.file(&format!("static/{number}.html"), "<p></p>\n");
    }
    built(&fixture, &[]);
    // Files that were just written are read once more.
    std::thread::sleep(std::time::Duration::from_secs(3));
    unchanged(&fixture, &[]);
    let calls = traced(&fixture, "execve,fork,vfork,socket,open,openat");
    let started: Vec<&String> = calls.iter().filter(|call| !call.contains("open")).collect();
    assert_eq!(started.len(), 1, "one process, no socket: {started:?}");
    let opened: Vec<&str> = calls
        .iter()
        .filter(|call| call.contains("\"/app") || call.contains("\"/store"))
        .filter_map(|call| call.split('"').nth(1))
        .collect();
    assert!(opened.iter().all(|path| !path.starts_with("/app")), "{opened:?}");
    assert!(opened.iter().all(|path| !path.contains("/blobs/")), "{opened:?}");
}

#[test]
#[ignore = "needs strace: run by .ci/run"]
fn tool_one_file_changed_opens_and_writes_the_layer_of_the_app_alone() {
    let fixture = fixture();
    for number in 0..100 {
        fixture.context.file(&format!("static/{number}.html"), &format!("<p>{number}</p>\n"));
    }
    built(&fixture, &[]);
    let blobs = || {
        let entries = fs::read_dir(fixture.context.store().join("blobs/sha256")).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect::<Vec<_>>()
    };
    let before = blobs();
    std::thread::sleep(std::time::Duration::from_secs(3));
    fixture.context.file("static/7.html", "<p>seven</p>\n");
    let calls = traced(&fixture, "execve,fork,vfork,connect,open,openat,renameat,renameat2,rename");
    let [processes, connections] =
        ["execve(", "connect("].map(|call| calls.iter().filter(|line| line.contains(call)).count());
    assert_eq!((processes, connections), (1, 0), "{calls:?}");
    // New are the layer of the app, the config and the manifest.
    let new: Vec<String> = blobs().into_iter().filter(|blob| !before.contains(blob)).collect();
    assert_eq!(new.len(), 3, "{new:?}");
    let quoted = |line: &String| line.split('"').nth(1).map(str::to_owned);
    let opened: Vec<String> = calls.iter().filter(|line| line.contains("open")).filter_map(quoted).collect();
    let of = |folder: &str| opened.iter().filter(|path| path.starts_with(folder)).collect::<Vec<_>>();
    // The old layer of the app, whose compressed parts are taken over; nothing of the base or the runtime.
    assert!(of("/store/blobs/").len() <= 1, "{:?}", of("/store/blobs/"));
    assert_eq!(of("/store/trees/").iter().filter(|path| path.contains("/files/")).count(), 0);
}
