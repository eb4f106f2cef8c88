//! Folders in; paths, digests and complete messages out.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use super::{Commit, Error, Fingerprints, Options, Source, read, snapshot};
use crate::store::{Entry, Kind, Store};
use crate::ui::render;

/// A folder with these files; a path that ends with `/` is an empty folder.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in files {
        write(folder.path(), path, text);
    }
    folder
}

fn write(root: &Path, path: &str, text: &str) {
    let target = root.join(path);
    if path.ends_with('/') {
        fs::create_dir_all(&target).unwrap();
    } else {
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::write(&target, text).unwrap();
    }
}

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(ToString::to_string).collect()
}

fn options(exclude: &[&str], include: &[&str]) -> Options {
    Options { exclude: strings(exclude), include: strings(include) }
}

/// The files and links that take part.
fn files(source: &Source) -> Vec<&str> {
    let files = source.tree.iter().filter(|(_, entry)| !matches!(entry.kind, Kind::Directory { .. }));
    files.map(|(path, _)| path).collect()
}

fn taken(root: &Path, options: &Options) -> Vec<String> {
    strings(&files(&read(root, options).unwrap()))
}

#[test]
fn modes_are_normalised_and_empty_folders_left_out() {
    let folder = folder(&[("bin/run", "x"), ("a.txt", "hello"), ("empty/", ""), ("secret", "s")]);
    for (path, mode) in [("bin/run", 0o700), ("a.txt", 0o666), ("secret", 0o400)] {
        fs::set_permissions(folder.path().join(path), fs::Permissions::from_mode(mode)).unwrap();
    }
    symlink("../a.txt", folder.path().join("bin/link")).unwrap();
    let source = read(folder.path(), &Options::default()).unwrap();
    let found: Vec<(&str, u32)> = source.tree.iter().map(|(path, entry)| (path, entry.mode)).collect();
    assert_eq!(
        found,
        [("a.txt", 0o644), ("bin", 0o755), ("bin/link", 0o777), ("bin/run", 0o755), ("secret", 0o644)]
    );
    assert_eq!(source.tree.get("bin/link"), Some(&Entry::symlink("../a.txt")));
    assert!(matches!(source.tree.get("a.txt").unwrap().kind, Kind::File { size: 5, .. }));
    assert_eq!(source.root, folder.path().canonicalize().unwrap());
}

const ALWAYS_OUT: &[(&str, &str)] = &[
    (".env", ""),
    (".env.local", ""),
    (".git/config", ""),
    ("a/.venv/x", ""),
    ("a/__pycache__/x", ""),
    ("a/b.pyc", ""),
    ("index.js", ""),
    ("node_modules/a/index.js", ""),
    ("node_modules/a/node_modules/b/index.js", ""),
    ("node_modules/c/index.js", ""),
];

#[test]
fn some_things_never_take_part_unless_asked_for() {
    let folder = folder(ALWAYS_OUT);
    let taken = |options| taken(folder.path(), &options);
    assert_eq!(taken(options(&[], &[])), ["index.js"]);
    assert_eq!(taken(options(&[], &["/.env.local"])), [".env.local", "index.js"]);
    assert_eq!(
        taken(options(&[], &["node_modules/a"])),
        ["index.js", "node_modules/a/index.js", "node_modules/a/node_modules/b/index.js"]
    );
    assert_eq!(
        taken(options(&[], &["node_modules/*/index.js"])),
        ["index.js", "node_modules/a/index.js", "node_modules/c/index.js"]
    );
    write(folder.path(), ".rpackignore", "!node_modules/c\n!.env\n");
    assert_eq!(taken(options(&[], &[])), [".env", ".rpackignore", "index.js", "node_modules/c/index.js"]);
}

#[test]
fn gitignore_files_apply_from_the_work_tree_down() {
    let folder = folder(&[
        (".git/", ""),
        (".gitignore", "*.log\n/app/dist\n/dist\nbuild/\n"),
        ("app/.gitignore", "!keep.log\n/tmp\n"),
        ("app/a.log", ""),
        ("app/build/x", ""),
        ("app/dist/x", ""),
        ("app/keep.log", ""),
        ("app/src/.gitignore", "*.gen\n"),
        ("app/src/dist/x", ""),
        ("app/src/tmp", ""),
        ("app/src/x.gen", ""),
        ("app/tmp/x", ""),
        ("app/x.gen", ""),
    ]);
    assert_eq!(
        taken(&folder.path().join("app"), &Options::default()),
        [".gitignore", "keep.log", "src/.gitignore", "src/dist/x", "src/tmp", "x.gen"]
    );
}

#[test]
fn outside_of_a_work_tree_the_folders_own_files_apply() {
    let folder =
        folder(&[(".gitignore", "app\n"), ("app/.gitignore", "*.log\n"), ("app/a.log", ""), ("app/b", "")]);
    assert_eq!(taken(&folder.path().join("app"), &Options::default()), [".gitignore", "b"]);
}

#[test]
fn dockerignore_and_gitignore_both_leave_out() {
    let folder = folder(&[
        (".dockerignore", "*\n!src\n!dist/keep\n"),
        (".gitignore", "*.log\n"),
        ("README", ""),
        ("dist/drop", ""),
        ("dist/keep", ""),
        ("src/a", ""),
        ("src/a.log", ""),
    ]);
    assert_eq!(taken(folder.path(), &Options::default()), ["dist/keep", "src/a"]);
    write(folder.path(), ".rpackignore", "README\n");
    assert_eq!(
        taken(folder.path(), &Options::default()),
        [".dockerignore", ".gitignore", ".rpackignore", "dist/drop", "dist/keep", "src/a", "src/a.log"]
    );
}

#[test]
fn configuration_has_the_last_word() {
    let folder = folder(&[
        (".gitignore", "dist\n"),
        ("dist/css/a.css", ""),
        ("dist/js/a.js", ""),
        ("docs/a.md", ""),
        ("docs/b.md", ""),
        ("src/a", ""),
    ]);
    let taken = |exclude: &[&str], include: &[&str]| taken(folder.path(), &options(exclude, include));
    assert_eq!(taken(&["/docs", ".gitignore"], &[]), ["src/a"]);
    assert_eq!(taken(&["/docs"], &["docs/a.md"]), [".gitignore", "docs/a.md", "src/a"]);
    assert_eq!(taken(&["/docs"], &["dist/**/*.js"]), [".gitignore", "dist/js/a.js", "src/a"]);
    assert_eq!(taken(&["/docs"], &["**/dist/css/**"]), [".gitignore", "dist/css/a.css", "src/a"]);
}

#[test]
fn a_link_that_leads_outside_is_an_error_unless_it_is_left_out() {
    let folder = folder(&[("a/b", "")]);
    symlink("../../etc/passwd", folder.path().join("a/link")).unwrap();
    let error = read(folder.path(), &Options::default()).unwrap_err();
    assert_eq!(
        render(&error, false),
        "error[source/link-outside]: the symbolic link `a/link` points to `../../etc/passwd`, which is outside \
         the source tree\n\
         \n\
         hint 1: replace it by what it points to: `cp -rL a/link a/link.copy && rm a/link && \
         mv a/link.copy a/link`\n\
         hint 2: or leave it out, in `rpack.toml`: `source.exclude = [\"/a/link\"]`\n"
    );
    assert_eq!(taken(folder.path(), &options(&["/a/link"], &[])), ["a/b"]);
}

#[test]
fn a_link_to_a_folder_is_not_followed() {
    let folder = folder(&[("a/b", "")]);
    symlink(".", folder.path().join("a/loop")).unwrap();
    assert_eq!(taken(folder.path(), &Options::default()), ["a/b", "a/loop"]);
}

#[test]
fn mistakes_have_their_messages() {
    let message = |error: Error| render(&error, false);
    let folder = folder(&[(".dockerignore", "a\nb[\n"), ("file", "")]);
    assert_eq!(
        message(read(folder.path(), &Options::default()).unwrap_err()),
        "error[source/pattern]: `b[` is not a pattern: `[` without `]`\n --> .dockerignore:2\n"
    );
    let file = folder.path().join("file");
    let expected = format!("error[source/not-a-folder]: {} is not a folder\n", file.display());
    assert_eq!(message(read(&file, &Options::default()).unwrap_err()), expected);
    let missing = folder.path().join("missing");
    assert_eq!(
        message(read(&missing, &Options::default()).unwrap_err()),
        format!(
            "error[source/read]: cannot read {0}\n\
             caused by: No such file or directory (os error 2)\n\
             \n\
             hint: check the path: `ls -ld {0}`\n",
            missing.display()
        )
    );
}

#[test]
fn a_tree_without_end_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("a/".repeat(102))).unwrap();
    let error = read(folder.path(), &Options::default()).unwrap_err();
    assert!(matches!(error, Error::TooDeep { limit: 100, .. }), "{error}");
}

#[test]
fn names_that_are_no_text_are_refused_where_they_take_part() {
    use std::os::unix::ffi::OsStrExt as _;
    let folder = folder(&[("node_modules/", "")]);
    let name = std::ffi::OsStr::from_bytes(b"a\xff");
    fs::write(folder.path().join("node_modules").join(name), "").unwrap();
    assert_eq!(taken(folder.path(), &Options::default()), Vec::<String>::new());
    fs::write(folder.path().join(name), "").unwrap();
    let error = read(folder.path(), &Options::default()).unwrap_err();
    assert!(matches!(&error, Error::NotText { path } if path == "a\u{fffd}"), "{error}");
}

#[test]
fn selections_name_files_from_the_root() {
    let folder = folder(&[
        ("package.json", "{}"),
        ("prisma/schema.prisma", "s"),
        ("src/index.js", "i"),
        ("src/package.json", "{}"),
    ]);
    let source = read(folder.path(), &Options::default()).unwrap();
    let fingerprints = Fingerprints::default();
    let select = |globs: &[&str]| {
        let selection = source.select(&strings(globs), &fingerprints).unwrap();
        strings(&selection.tree.iter().map(|(path, _)| path).collect::<Vec<_>>())
    };
    assert_eq!(select(&["package.json", "missing"]), ["package.json"]);
    assert_eq!(select(&["**/package.json"]), ["package.json", "src", "src/package.json"]);
    assert_eq!(select(&["prisma"]), ["prisma", "prisma/schema.prisma"]);
    assert_eq!(select(&["*.js"]), Vec::<String>::new());
    assert_eq!(select(&["src/**", "!src/package.json"]), ["src", "src/index.js"]);
    assert_eq!(select(&["**"]).len(), 6);
}

#[test]
fn the_digest_covers_paths_modes_and_contents_and_nothing_else() {
    let digest = |files: &[(&str, &str)], change: &dyn Fn(&Path)| {
        let folder = folder(files);
        change(folder.path());
        let source = read(folder.path(), &Options::default()).unwrap();
        source.select(&strings(&["**"]), &Fingerprints::default()).unwrap().digest
    };
    let files = [("a", "1"), ("b/c", "2")];
    let base = digest(&files, &|_| {});
    assert_eq!(base.to_string(), "sha256:42fb768260c79f0840695e6bb9e49ee2bc6899a1e0848fbc9401c9122582c98f");
    assert_eq!(
        base,
        digest(&files, &|root| fs::set_permissions(root.join("a"), fs::Permissions::from_mode(0o600))
            .unwrap())
    );
    assert_ne!(
        base,
        digest(&files, &|root| fs::set_permissions(root.join("a"), fs::Permissions::from_mode(0o755))
            .unwrap())
    );
    assert_ne!(base, digest(&[("a", "2"), ("b/c", "2")], &|_| {}));
    assert_ne!(base, digest(&[("a", "1"), ("b/d", "2")], &|_| {}));
    assert_ne!(base, digest(&files, &|root| symlink("a", root.join("l")).unwrap()));
}

fn store() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    (folder, store)
}

#[test]
fn a_snapshot_is_a_copy_made_once() {
    let folder = folder(&[("bin/run", "x"), ("a", "hello")]);
    fs::set_permissions(folder.path().join("bin/run"), fs::Permissions::from_mode(0o755)).unwrap();
    symlink("../a", folder.path().join("bin/link")).unwrap();
    let (_folder, store) = store();
    let source = read(folder.path(), &Options::default()).unwrap();
    let selection = source.select(&strings(&["**"]), &Fingerprints::default()).unwrap();
    let lower = snapshot(&selection, &store, "app").unwrap();
    let copy = store.read_directory(&lower).unwrap();
    let found: Vec<(&str, u32)> = copy.iter().map(|(path, entry)| (path, entry.mode)).collect();
    assert_eq!(
        found,
        [
            ("app", 0o755),
            ("app/a", 0o644),
            ("app/bin", 0o755),
            ("app/bin/link", 0o777),
            ("app/bin/run", 0o755)
        ]
    );
    fs::write(folder.path().join("a"), "other").unwrap();
    assert_eq!(fs::read_to_string(lower.join("app/a")).unwrap(), "hello");
    assert_eq!(snapshot(&selection, &store, "app").unwrap(), lower);
    assert_ne!(snapshot(&source_of(&source, &["bin/**"]), &store, "app").unwrap(), lower);
}

fn source_of(source: &Source, globs: &[&str]) -> super::Selection {
    source.select(&strings(globs), &Fingerprints::default()).unwrap()
}

#[test]
fn times_in_a_snapshot_follow_the_content() {
    let folder = folder(&[("a", "same"), ("b", "same"), ("c", "diff")]);
    let (_folder, store) = store();
    let source = read(folder.path(), &Options::default()).unwrap();
    let lower = snapshot(&source_of(&source, &["**"]), &store, "app").unwrap();
    let [a, b, c] = ["a", "b", "c"].map(|name| fs::metadata(lower.join("app").join(name)).unwrap().mtime());
    assert_eq!(a, b);
    assert_ne!(a, c);
    assert!((1_000_000_000..1_500_000_000).contains(&a));
}

#[test]
fn a_file_that_changes_under_the_build_is_an_error() {
    let folder = folder(&[("a", "hello"), ("d/b", "x")]);
    let (_folder, store) = store();
    let source = read(folder.path(), &Options::default()).unwrap();
    let selection = source_of(&source, &["**"]);
    fs::write(folder.path().join("a"), "HELLO").unwrap();
    let error = snapshot(&selection, &store, "app").unwrap_err();
    let root = folder.path().canonicalize().unwrap();
    assert_eq!(
        render(&error, false),
        format!(
            "error[source/changed]: {} changed while it was being read\n\
             \n\
             hint: build again when nothing writes to the folder\n",
            root.display()
        )
    );
    assert_eq!(fs::read_dir(store.root().join("tmp")).unwrap().count(), 0);
    fs::write(folder.path().join("a"), "longer than before").unwrap();
    let error = source.select(&strings(&["a"]), &Fingerprints::default()).unwrap_err();
    assert!(matches!(&error, Error::Changed { path } if *path == root.join("a")), "{error}");
    fs::remove_file(folder.path().join("a")).unwrap();
    symlink("d/b", folder.path().join("a")).unwrap();
    let error = snapshot(&selection, &store, "app").unwrap_err();
    assert!(matches!(&error, Error::Changed { path } if *path == root.join("a")), "{error}");
}

#[test]
fn unchanged_files_are_not_read_again() {
    let folder = folder(&[("old", "hello"), ("new", "hello")]);
    let old = folder.path().join("old");
    let (_folder, store) = store();
    let source = read(folder.path(), &Options::default()).unwrap();
    let digest = |name: &str| {
        let fingerprints = Fingerprints::open(&store, &source);
        let digest = source.select(&strings(&[name]), &fingerprints).unwrap().digest;
        fingerprints.save().unwrap();
        digest
    };
    // The time of a file's last change cannot be set back, so it has to pass.
    std::thread::sleep(std::time::Duration::from_millis(3100));
    fs::write(folder.path().join("new"), "hello").unwrap();
    let before = (digest("old"), digest("new"));
    // Whatever is remembered answers, so a digest planted in the index is what comes out.
    let index = fs::read_dir(store.root().join("metadata")).unwrap().next().unwrap().unwrap().path();
    let text = fs::read_to_string(&index).unwrap();
    assert!(text.contains("\"old\"") && !text.contains("\"new\""), "{text}");
    let hello = crate::oci::Digest::of(b"hello").to_string();
    let planted = crate::oci::Digest::of(b"planted").to_string();
    fs::write(&index, text.replace(&hello, &planted)).unwrap();
    assert_ne!(digest("old"), before.0);
    assert_eq!(digest("new"), before.1);
    // A changed file is read, and a damaged index remembers nothing.
    fs::write(&old, "HELLO").unwrap();
    assert_ne!(digest("old"), before.0);
    fs::write(&old, "hello").unwrap();
    fs::write(&index, "{").unwrap();
    assert_eq!((digest("old"), digest("new")), before);
}

fn git(root: &Path, arguments: &[&str]) {
    let status = Command::new("git")
        .arg("-C")
        .arg(root)
        .args(["-c", "user.name=A", "-c", "user.email=a@acme.example", "-c", "commit.gpgsign=false"])
        .args(arguments)
        .env("GIT_COMMITTER_DATE", "1700000000 +0000")
        .env("GIT_AUTHOR_DATE", "1600000000 +0000")
        .output()
        .unwrap();
    assert!(status.status.success(), "{status:?}");
}

#[test]
fn the_commit_is_read_without_running_what_the_repository_names() {
    let folder = folder(&[("app/a", "1")]);
    let root = folder.path();
    assert_eq!(read(root, &Options::default()).unwrap().commit, None);
    git(root, &["init", "-q", "-b", "main"]);
    assert_eq!(read(root, &Options::default()).unwrap().commit, None);
    git(root, &["add", "-A"]);
    git(root, &["commit", "-q", "-m", "first"]);
    git(root, &["remote", "add", "origin", "https://me:s3cret@git.acme.example/shop.git"]);
    let trap = root.join("trap");
    write(root, "trap", "#!/bin/sh\ntouch \"$(dirname \"$0\")/sprung\"\n");
    fs::set_permissions(&trap, fs::Permissions::from_mode(0o755)).unwrap();
    for name in ["core.fsmonitor", "gpg.program", "core.pager", "core.sshCommand"] {
        git(root, &["config", name, trap.to_str().unwrap()]);
    }
    git(root, &["config", "log.showSignature", "true"]);
    let Commit { revision, time, url, version } =
        read(&root.join("app"), &Options::default()).unwrap().commit.unwrap();
    assert_eq!(version, None);
    assert_eq!(revision.len(), 40);
    assert_eq!(time, 1_700_000_000);
    assert_eq!(url.as_deref(), Some("https://git.acme.example/shop.git"));
    assert!(!root.join("sprung").exists());
}

#[test]
fn a_tag_of_the_commit_states_its_version() {
    let folder = folder(&[("a", "1")]);
    let root = folder.path();
    let version = || read(root, &Options::default()).unwrap().commit.unwrap().version;
    git(root, &["init", "-q", "-b", "main"]);
    git(root, &["add", "-A"]);
    git(root, &["commit", "-q", "-m", "first"]);
    for tag in ["latest", "web/v9.0.0", "v1.9.0"] {
        git(root, &["tag", tag]);
    }
    assert_eq!(version().as_deref(), Some("1.9.0"));
    git(root, &["tag", "-a", "-m", "annotated", "v1.10.0"]);
    assert_eq!(version().as_deref(), Some("1.10.0"));
    git(root, &["pack-refs", "--all"]);
    assert_eq!(version().as_deref(), Some("1.10.0"));
    git(root, &["commit", "-q", "--allow-empty", "-m", "second"]);
    assert_eq!(version(), None);
}
