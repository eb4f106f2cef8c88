//! The store from outside: why something is made again, what is in it, keeping it small, and taking it to another
//! machine. The steps need no network: their root is made here and has a shell.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use crate::archive::Fixture;
use crate::support::debian_repository::{Package, Signing};
use crate::support::registry::Registry;
use crate::support::{Finished, repository};

/// What differs from run to run and from machine to machine.
const CHANGING: [(&str, &str); 7] = [
    // Digests of sources are remembered when these were written a while before.
    (r"(?m)^ +fingerprints-.*\n", ""),
    (r"(?m)^(metadata|all)  \d+ entries", "$1  [COUNT] entries"),
    (r"history/[0-9a-f]{32}", "history/[APP]"),
    (r"\b[0-9a-f]{64}\b", "[DIGEST]"),
    (r"\b[0-9a-f]{12}\b", "[KEY]"),
    (r"\d+\.\d s\b", "[TIME]"),
    (r" *\b\d+(\.\d+)? ([kM]?B)\b", " [SIZE]"),
];

/// An app with two steps, the second of which stands on the first.
struct Apps {
    fixture: Fixture,
}

impl Apps {
    fn new() -> Self {
        let mut fixture = Fixture::new(7, Signing::Trusted);
        let read = |path: &str| fs::read(Path::new(path).canonicalize().unwrap()).unwrap();
        let package = Package::new("base-files", "13")
            .file("./etc/debian_version", "13.0\n", 0o644)
            .bytes("./usr/bin/sh", read("/bin/sh"), 0o755)
            .bytes("./usr/lib/x86_64-linux-gnu/libc.so.6", read("/lib/x86_64-linux-gnu/libc.so.6"), 0o755)
            .bytes("./usr/lib64/ld-linux-x86-64.so.2", read("/lib64/ld-linux-x86-64.so.2"), 0o755);
        fixture.repository.replace(package);
        fixture.publish(0, Signing::Trusted);
        let apps = Self { fixture };
        apps.steps("1");
        apps.app("app");
        apps
    }

    /// Writes the definition; `setting` is a variable of the first step.
    fn steps(&self, setting: &str) {
        let embedded = fs::read_to_string(repository().join("buildpacks/procfile/buildpack.toml")).unwrap();
        let script = |name: &str| {
            format!("read -r text <{name}.txt; echo made $text >{name}.out; echo {name} ran; : >{name}.more")
        };
        let steps = format!(
            "[[step]]\nid = \"procfile/one\"\ntitle = \"first\"\nargv = [\"/bin/sh\", \"-c\", \"{}\"]\ninputs = \
             [\"one.txt\"]\nenv = {{ SETTING = \"{setting}\" }}\n\n[[step]]\nid = \"procfile/two\"\ntitle = \
             \"second\"\nargv = [\"/bin/sh\", \"-c\", \"{}\"]\ninputs = [\"two.txt\"]\n\n",
            script("one"),
            script("two"),
        );
        let folder = self.fixture.definitions.join("buildpacks/procfile");
        fs::create_dir_all(&folder).unwrap();
        let text = embedded.replacen("[[layer]]", &format!("{steps}[[layer]]"), 1);
        fs::write(folder.join("buildpack.toml"), text).unwrap();
    }

    /// Writes an app beside the others.
    fn app(&self, name: &str) {
        let folder = self.fixture.context.root().join(name);
        fs::create_dir_all(&folder).unwrap();
        for (file, text) in [
            ("Procfile", "web: ./server --port $PORT\n"),
            ("server", "a program\n"),
            ("one.txt", "one\n"),
            ("two.txt", name),
        ] {
            fs::write(folder.join(file), format!("{text}\n")).unwrap();
        }
    }

    fn write(&self, file: &str, text: &str) {
        fs::write(self.fixture.context.app().join(file), text).unwrap();
    }

    fn rpack(&self, store: &str, arguments: &[&str]) -> Finished {
        let context = &self.fixture.context;
        let mut command = context.command(arguments);
        command.args(["--definitions", self.fixture.definitions.to_str().unwrap()]);
        command.env("RPACK_STORE", context.root().join(store));
        let auth = context.root().join("auth.json");
        if auth.exists() {
            command.env("RPACK_REGISTRY_AUTH", auth);
        }
        let mut finished = context.finish(command.output().unwrap());
        finished.stderr = finished.stderr.replace(&self.fixture.repository.server.url(), "[ARCHIVE]");
        finished
    }

    /// What a build says, and the image's digest.
    #[track_caller]
    fn build(&self, store: &str, arguments: &[&str]) -> (String, String) {
        let finished = self.rpack(store, &[&["build", "--progress", "plain"], arguments].concat());
        assert_eq!(finished.status, 0, "{}", finished.stderr);
        (finished.stderr, finished.stdout)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.fixture.context.root().join(name)
    }
}

/// How many files a folder holds.
fn files(folder: &Path) -> usize {
    let entries = fs::read_dir(folder).unwrap().map(Result::unwrap);
    entries.map(|entry| if entry.path().is_dir() { files(&entry.path()) } else { 1 }).sum()
}

/// Makes all entries of a store two days older than they are.
fn age(store: &Path) {
    for folder in ["steps", "trees", "blobs/sha256", "caches", "metadata", "metadata/layers"] {
        for entry in fs::read_dir(store.join(folder)).unwrap() {
            let file = fs::File::open(entry.unwrap().path()).unwrap();
            let time = file.metadata().unwrap().modified().unwrap();
            file.set_modified(time - Duration::from_secs(2 * 86_400)).unwrap();
        }
    }
}

/// The lines that only `-v` shows, and what steps print.
fn reasons(stderr: &str) -> String {
    let is_reason = |line: &&str| {
        ["  found ", "  runs: ", "  is written: ", "  is composed", " ran", "  comes from "]
            .iter()
            .any(|word| line.contains(word))
    };
    stderr.lines().filter(is_reason).flat_map(|line| [line, "\n"]).collect()
}

/// Lines that come from several threads: without digests, in the order of their text, each once.
fn sorted(lines: &str) -> String {
    let keys = regex::Regex::new(r"\b[0-9a-f]{12,64}\b").unwrap();
    let mut lines: Vec<String> =
        lines.lines().map(|line| format!("{}\n", keys.replace_all(line, "[KEY]"))).collect();
    lines.sort();
    // Two threads may look for the same entry.
    lines.dedup();
    lines.concat()
}

#[test]
fn userns_every_miss_says_why_and_every_hit_its_key() {
    let apps = Apps::new();
    let mut text = String::new();
    let mut build = |what: &str, flags: &[&str]| {
        let (stderr, _) = apps.build("store", &[&["-v"], flags].concat());
        text.extend([what, "\n", &reasons(&stderr), "\n"]);
    };
    build("for the first time", &[]);
    // Asked in another way, so that each part is looked for.
    build("unchanged", &["--strict"]);
    apps.write("two.txt", "changed\n");
    build("a source file of the second step", &[]);
    apps.steps("2");
    build("a variable of the first step", &[]);
    for entry in fs::read_dir(apps.path("store/steps")).unwrap() {
        fs::remove_dir_all(entry.unwrap().path()).unwrap();
    }
    build("results removed by hand", &["--strict"]);
    apps.write("two.txt", "app\n");
    build("back to the beginning", &[]);
    for entry in fs::read_dir(apps.path("store/metadata/history")).unwrap() {
        for record in fs::read_dir(entry.unwrap().path()).unwrap() {
            fs::write(record.unwrap().path(), "damaged").unwrap();
        }
    }
    apps.write("one.txt", "changed as well\n");
    build("records that are damaged", &[]);
    insta::with_settings!({ filters => CHANGING.to_vec() }, {
        insta::assert_snapshot!(text);
    });
}

#[test]
fn userns_without_v_no_reason_is_shown() {
    let apps = Apps::new();
    assert_eq!(reasons(&apps.build("store", &[]).0), "  procfile/one | one ran\n  procfile/two | two ran\n");
    let finished = apps.rpack("store", &["build", "-v", "-q"]);
    assert_eq!(finished.status, 2, "{}", finished.stderr);
}

#[test]
fn userns_what_is_in_the_store() {
    let apps = Apps::new();
    apps.build("store", &[]);
    let listing = apps.rpack("store", &["cache", "ls"]).success();
    // What was used in the same second stands in the order of its keys.
    let mut listing: Vec<&str> = listing.lines().collect();
    listing.sort_by_key(|line| line.trim_start().rsplit("  ").next().map(str::to_owned));
    let listing = listing.join("\n");
    let steps: serde_json::Value =
        serde_json::from_str(&apps.rpack("store", &["cache", "ls", "steps", "--json"]).success()).unwrap();
    let second =
        steps.as_array().unwrap().iter().find(|step| step["about"].as_str().unwrap().contains("two"));
    let key = second.unwrap()["key"].as_str().unwrap().to_owned();
    let explained = [
        apps.rpack("store", &["cache", "explain", &key[..10]]).success(),
        apps.rpack("store", &["cache", "explain", "app:latest"]).success(),
        apps.rpack("store", &["cache", "explain", "trees/deb-"]).success(),
    ]
    .join("\n");
    let wrong = ["steps/", "0000000000000000"]
        .map(|key| {
            let finished = apps.rpack("store", &["cache", "explain", key]);
            assert_eq!((finished.status, finished.stdout.as_str()), (2, ""), "{key}");
            finished.stderr
        })
        .join("\n");
    insta::with_settings!({ filters => CHANGING.to_vec() }, {
        insta::assert_snapshot!(format!("{listing}\n{explained}\n{wrong}"));
    });
}

#[test]
fn userns_the_store_is_kept_small_and_tagged_images_stay() {
    let apps = Apps::new();
    let (_, digest) = apps.build("store", &[]);
    let count = |folder: &str| fs::read_dir(apps.path("store").join(folder)).unwrap().count();
    fs::create_dir(apps.path("store/tmp/left-by-a-build-that-was-killed")).unwrap();
    let prune =
        |arguments: &[&str]| apps.rpack("store", &[&["cache", "prune"], arguments].concat()).success();
    let before = [count("steps"), count("trees"), count("blobs/sha256")];
    let mut text = prune(&["--max-size", "0", "--dry-run"]);
    assert_eq!([count("steps"), count("trees"), count("blobs/sha256")], before);
    text += &prune(&[]);
    assert_eq!(([count("steps"), count("trees"), count("blobs/sha256")], count("tmp")), (before, 0));
    text += &prune(&["--max-size", "0"]);
    // What is left are the blobs of the image.
    assert_eq!([count("steps"), count("trees"), files(&apps.path("store/metadata"))], [0, 0, 0]);
    let finished = apps.rpack("store", &["explain", "size", "app"]);
    assert_eq!(finished.status, 0, "{}", finished.stderr);
    assert_eq!(apps.build("store", &[]).1, digest);
    text += &prune(&["--all"]);
    assert_eq!([count("steps"), count("trees"), count("blobs/sha256"), count("images/blobs/sha256")], [0; 4]);
    let finished = apps.rpack("store", &["cache", "prune", "--max-size", "much"]);
    assert_eq!(finished.status, 2);
    text += &finished.stderr;
    assert_eq!(apps.build("store", &[]).1, digest);
    insta::with_settings!({ filters => CHANGING.to_vec() }, {
        insta::assert_snapshot!(text);
    });
}

#[test]
fn userns_an_app_that_runs_keeps_its_files_and_nothing_else() {
    let apps = Apps::new();
    apps.write("server", "#!/bin/sh\necho up\nread -r line\n. ./more.sh\n");
    apps.write("more.sh", "echo still here\n");
    let server = apps.fixture.context.app().join("server");
    fs::set_permissions(server, fs::Permissions::from_mode(0o755)).unwrap();
    apps.build("store", &[]);
    let mut command = apps.fixture.context.command(&["run", "-q", "app"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    assert_eq!(line, "up\n");
    age(&apps.path("store"));
    let text = apps.rpack("store", &["cache", "prune", "--all"]).success();
    child.stdin.take().unwrap().write_all(b"\n").unwrap();
    stdout.read_line(&mut line).unwrap();
    assert_eq!((line.as_str(), child.wait().unwrap().code()), ("up\nstill here\n", Some(0)));
    insta::with_settings!({ filters => CHANGING.to_vec() }, {
        insta::assert_snapshot!(text);
    });
}

#[test]
fn userns_builds_and_prunes_at_once_do_not_disturb_each_other() {
    let apps = Apps::new();
    let names: Vec<String> = (0..4).map(|number| format!("app-{number}")).collect();
    for name in &names {
        apps.app(name);
    }
    let expected: Vec<String> =
        names.iter().map(|name| apps.build("alone", &[&format!("../{name}")]).1).collect();
    for round in 0..4 {
        thread::scope(|scope| {
            for (name, expected) in names.iter().zip(&expected).chain(names.iter().zip(&expected)) {
                let apps = &apps;
                scope.spawn(move || {
                    let (_, digest) = apps.build("store", &[&format!("../{name}")]);
                    assert_eq!(digest, *expected, "{name} in round {round}");
                });
            }
            for _ in 0..5 {
                apps.rpack("store", &["cache", "prune", "--max-size", "0"]).success();
            }
        });
        // Nobody has used anything for long, so that the next prune removes what the next builds look for.
        age(&apps.path("store"));
    }
    let count = |folder: &str| fs::read_dir(apps.path("store").join(folder)).unwrap().count();
    apps.rpack("store", &["cache", "prune", "--all"]).success();
    assert_eq!([count("steps"), count("trees"), count("blobs/sha256"), count("tmp")], [0; 4]);
}

#[test]
fn userns_another_machine_starts_warm() {
    let apps = Apps::new();
    let (_, digest) = apps.build("store", &["--cache-to", "../cache"]);
    let all = files(&apps.path("cache"));
    apps.fixture.repository.server.take_requests();
    let (stderr, found) =
        apps.build("other", &["-v", "--cache-from", "dir:../cache", "--cache-to", "../cache"]);
    assert_eq!(found, digest);
    assert_eq!(files(&apps.path("cache")), all);
    apps.build("further", &["--cache-from", "../cache", "--cache-to", "../second"]);
    assert_eq!(files(&apps.path("second")), all);
    let packages = apps.fixture.repository.server.take_requests();
    assert!(!packages.iter().any(|path| path.contains("/pool/")), "{packages:?}");
    let mut text = sorted(&reasons(&stderr));
    let cache = stderr.lines().find(|line| line.contains(" of it new")).unwrap();
    text.extend([cache, "\n"]);
    apps.write("two.txt", "changed\n");
    let (stderr, changed) =
        apps.build("third", &["-v", "--cache-from", "../cache", "--cache-to", "../cache"]);
    assert_ne!(changed, digest);
    text.push_str(&sorted(&reasons(&stderr)));
    insta::with_settings!({ filters => CHANGING.to_vec() }, {
        insta::assert_snapshot!(text);
    });
}

#[test]
fn userns_a_damaged_cache_is_a_miss_with_a_note() {
    let apps = Apps::new();
    let (_, digest) = apps.build("store", &["--cache-to", "../cache"]);
    let blobs = apps.path("cache/blobs/sha256");
    for (number, entry) in fs::read_dir(&blobs).unwrap().enumerate() {
        let path = entry.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        let mut damaged = bytes.clone();
        damaged[bytes.len() / 2] ^= 1;
        for (kind, damaged) in [("flipped", damaged), ("cut", bytes[..bytes.len() / 2].to_vec())] {
            fs::write(&path, damaged).unwrap();
            let (stderr, found) = apps.build(&format!("{kind}-{number}"), &["--cache-from", "../cache"]);
            assert_eq!(found, digest, "{kind} {}", path.display());
            let warnings = stderr.lines().filter(|line| line.starts_with("warning[cache/")).count();
            assert!(warnings <= 1, "{stderr}");
        }
        fs::write(&path, bytes).unwrap();
    }
    let (stderr, _) = apps.build("untouched", &["--cache-from", "../cache"]);
    assert!(!stderr.contains("warning[cache/"), "{stderr}");
}

#[test]
fn userns_a_cache_that_is_none() {
    let apps = Apps::new();
    let (_, digest) = apps.build("store", &[]);
    fs::create_dir(apps.path("cache")).unwrap();
    let mut text = String::new();
    for mark in ["", "no JSON", r#"{"format":2}"#, r#"{"format":1,"index":"sha256:../../etc/passwd"}"#] {
        fs::write(apps.path("cache/rpack-cache.json"), mark).unwrap();
        let (stderr, found) = apps.build("store", &["--cache-from", "../cache"]);
        assert_eq!(found, digest);
        let warnings = stderr.lines().filter(|line| line.starts_with("warning"));
        text.extend(warnings.flat_map(|line| [line, "\n"]));
    }
    let (stderr, _) = apps.build("store", &["--cache-from", "../nowhere"]);
    text.extend(stderr.lines().filter(|line| line.contains("nowhere")).flat_map(|line| [line, "\n"]));
    for arguments in [["--cache-to", "."], ["--cache-to", "s3:bucket"], ["--cache-from", "registry:app/B"]] {
        let finished = apps.rpack("store", &["build", arguments[0], arguments[1]]);
        assert_eq!((finished.status, finished.stdout.as_str()), (2, ""), "{}", finished.stderr);
        text.push_str(&finished.stderr);
    }
    insta::assert_snapshot!(text);
}

/// The files with the content of blobs and manifests that a registry has.
fn contents(registry: &Path) -> Vec<PathBuf> {
    let entries = walkdir::WalkDir::new(registry).sort_by_file_name().into_iter().map(Result::unwrap);
    entries.map(walkdir::DirEntry::into_path).filter(|path| path.ends_with("data")).collect()
}

#[test]
#[ignore = "needs docker-registry and apache2-utils: run by .ci/run"]
fn tool_a_cache_in_a_registry_starts_another_machine_and_nothing_is_sent_twice() {
    let apps = Apps::new();
    let root = apps.fixture.context.root();
    let registry = Registry::with_user(root);
    fs::write(root.join("auth.json"), registry.auth()).unwrap();
    let place = format!("registry:{}/shop/cache:main", registry.host);
    let flags = ["--cache-from", &place, "--cache-to", &place];
    let (stderr, digest) = apps.build("one", &flags);
    assert!(stderr.contains(&format!("no cache in {place} yet\n")), "{stderr}");
    assert!(reasons(&stderr).contains("one ran"), "{stderr}");
    let first = contents(&root.join("registry")).len();

    let (stderr, found) = apps.build("two", &[&["-v"], &flags[..2]].concat());
    assert_eq!(found, digest);
    assert!(!stderr.contains(" ran\n") && !stderr.contains("warning["), "{stderr}");
    assert!(stderr.contains(&format!("comes from the cache in {place}\n")), "{stderr}");
    assert_eq!(contents(&root.join("registry")).len(), first);

    // What another machine has used is there already; the list may be shorter.
    let (stderr, found) = apps.build("three", &flags);
    assert_eq!(found, digest);
    assert!(!stderr.contains("warning["), "{stderr}");
    assert!(contents(&root.join("registry")).len() <= first + 2);
    let second = contents(&root.join("registry")).len();
    apps.build("three", &flags);
    assert!(contents(&root.join("registry")).len() <= second + 2);

    for path in contents(&root.join("registry")) {
        let mut bytes = fs::read(&path).unwrap();
        // Manifests and lists are JSON.
        if bytes[0] != b'{' {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs::write(&path, bytes).unwrap();
        }
    }
    let (stderr, found) = apps.build("four", &flags);
    assert_eq!(found, digest);
    assert_eq!(stderr.matches("warning[cache/damaged]").count(), 1, "{stderr}");
    assert!(reasons(&stderr).contains("one ran"), "{stderr}");
    // What was damaged has been sent again.
    let (stderr, found) = apps.build("five", &flags[..2]);
    assert_eq!(found, digest);
    assert!(!reasons(&stderr).contains("one ran"), "{stderr}");
}

#[test]
#[ignore = "needs docker-registry and apache2-utils: run by .ci/run"]
fn tool_a_registry_that_refuses_a_cache_fails_no_build() {
    let apps = Apps::new();
    let root = apps.fixture.context.root();
    let registry = Registry::with_user(root);
    let wrong = registry.auth().replace("bWU6c2VjcmV0", "bWU6d3Jvbmc=");
    fs::write(root.join("auth.json"), wrong).unwrap();
    let place = format!("registry:{}/shop/cache:main", registry.host);
    let (_, digest) = apps.build("store", &[]);
    // Nothing is asked where nothing is missing.
    let (stderr, found) = apps.build("store", &["--cache-from", &place]);
    assert_eq!(found, digest);
    assert!(stderr.ends_with("nothing changed\n") && !stderr.contains("warning["), "{stderr}");
    let (stderr, found) = apps.build("new", &["--cache-from", &place, "--cache-to", &place]);
    assert_eq!(found, digest);
    let warnings: String =
        stderr.lines().filter(|line| line.starts_with("warning")).flat_map(|line| [line, "\n"]).collect();
    let filters = [(registry.host.as_str(), "[HOST]"), (root.to_str().unwrap(), "[ROOT]")];
    insta::with_settings!({ filters => filters.to_vec() }, {
        insta::assert_snapshot!(warnings);
    });
}
