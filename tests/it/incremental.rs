//! Folders that a tool works on from build to build, and caches of package managers: kept for the app or for all, no part
//! of any result, and with `--cache-to` on their way to other machines.

use std::fs;

use crate::steps::App;

/// Counts its runs in the folder that is kept, and leaves something beside that is not. It fails when it is told to.
const COUNTS: &str = "n=0; if [ -e .tool/cache/runs ]; then read -r n <.tool/cache/runs; fi; echo had $n; \
     [ ! -e .tool/cache/answers ]; mkdir -p .tool/cache/answers; echo $((n+1)) >.tool/cache/runs; \
     read -r text <one.txt || :; echo $text >one.out; [ $text != fail ]";

fn app() -> App {
    let app = App::new(&[("one", COUNTS, "one.txt", None)]);
    let file = app.fixture.definitions.join("buildpacks/procfile/buildpack.toml");
    let text = fs::read_to_string(&file).unwrap();
    let incremental =
        "inputs = [\"one.txt\"]\nincremental = [\".tool/cache\", \"!.tool/cache/answers\", \"{{ '' }}\"]";
    fs::write(&file, text.replacen("inputs = [\"one.txt\"]", incremental, 1)).unwrap();
    app
}

/// Builds with another input; the digest, and what the step had.
#[track_caller]
fn build(app: &App, store: &str, input: &str, status: i32) -> (String, String) {
    app.write("one.txt", input);
    let finished = app.build(store, &[]);
    assert_eq!(finished.status, status, "{}", finished.stderr);
    let had = finished.stderr.lines().find_map(|line| line.trim_start().strip_prefix("procfile/one | "));
    (finished.stdout, had.expect(&finished.stderr).to_owned())
}

#[test]
fn userns_what_a_tool_keeps_is_there_again_and_in_no_result() {
    let app = app();
    let had = |input: &str, status: i32| build(&app, "store", input, status).1;
    assert_eq!(had("a", 0), "had 0");
    assert_eq!(had("b", 0), "had 1");
    // What fails by itself keeps what it has found out.
    assert_eq!(had("fail", 4), "had 2");
    let (digest, had) = build(&app, "store", "c", 0);
    assert_eq!(had, "had 3");
    assert_eq!(build(&app, "fresh", "c", 0), (digest, "had 0".to_owned()));
    for step in fs::read_dir(app.fixture.context.root().join("store/steps")).unwrap() {
        let result = step.unwrap().path().join("fs/app");
        let names = fs::read_dir(result).unwrap().map(|entry| entry.unwrap().file_name());
        assert_eq!(names.collect::<Vec<_>>(), ["one.out"]);
    }
    let mut command = app.fixture.context.command(&["cache", "ls"]);
    command.env("RPACK_STORE", app.fixture.context.root().join("store"));
    let listed = app.fixture.context.finish(command.output().unwrap()).success();
    let line = listed.lines().find(|line| line.contains("kept-")).expect(&listed);
    assert!(line.ends_with("/app/.tool/cache of procfile/one of app"), "{line}");
}

#[test]
fn userns_it_belongs_to_one_app() {
    let (one, two) = (app(), app());
    let store = one.fixture.context.root().join("store");
    assert_eq!(build(&one, store.to_str().unwrap(), "a", 0).1, "had 0");
    assert_eq!(build(&two, store.to_str().unwrap(), "b", 0).1, "had 0");
    assert_eq!(build(&one, store.to_str().unwrap(), "c", 0).1, "had 1");
}

#[test]
fn a_plan_cannot_lead_out_of_the_result() {
    let app = app();
    let definitions = app.fixture.definitions.to_str().unwrap();
    let plan = app.fixture.context.rpack(&["plan", "--json", "--definitions", definitions]).success();
    assert!(plan.contains(r#""/app/.tool/cache""#), "{plan}");
    let file = app.fixture.context.root().join("plan.json");
    for path in ["/app/../../x", "x", "/", "!/app//x"] {
        fs::write(&file, plan.replacen("/app/.tool/cache", path, 1)).unwrap();
        let finished = app.fixture.context.rpack(&["build", "--plan", file.to_str().unwrap()]);
        let text = format!(
            "the step `procfile/one` keeps `{path}`, which is no absolute path without empty, `.` and `..` parts"
        );
        assert!(finished.status == 2 && finished.stderr.contains(&text), "{}", finished.stderr);
    }
}

/// Says whether the cache that all apps share was there.
fn shared() -> App {
    let app = app();
    let file = app.fixture.definitions.join("buildpacks/procfile/buildpack.toml");
    let text = fs::read_to_string(&file).unwrap();
    let counts =
        "[ ! -e /var/cache/meeting/seen ] || echo warm; : >/var/cache/meeting/seen; n=0; if [ -e .tool";
    let text = text.replacen("n=0; if [ -e .tool", counts, 1);
    let text = text.replacen(
        "incremental = ",
        "secrets = [{ id = \"token\", variable = \"TOKEN\" }]\nincremental = ",
        1,
    );
    fs::write(&file, text).unwrap();
    app
}

/// Builds another input on a machine; what the step had, and all that was said.
#[track_caller]
fn on(app: &App, machine: &str, input: &str, arguments: &[&str]) -> (Vec<String>, String) {
    app.write("one.txt", input);
    let finished = app.build(machine, arguments);
    assert_eq!(finished.status, 0, "{}", finished.stderr);
    let lines = finished.stderr.lines();
    let had = lines.filter_map(|line| line.trim_start().strip_prefix("procfile/one | ").map(str::to_owned));
    (had.collect(), finished.stderr)
}

#[test]
fn userns_caches_go_to_another_machine() {
    let app = shared();
    let (to, from) = (["--cache-to", "../cache"], ["--cache-from", "../cache"]);
    assert_eq!(on(&app, "one", "a", &to).0, ["had 0"]);
    let cold: [&str; 0] = [];
    assert_eq!(on(&app, "cold", "b", &cold).0, ["had 0"]);
    assert_eq!(on(&app, "two", "b", &from).0, ["warm", "had 1"]);
    // Where no step runs, they stay as they were exported.
    let both = [to, from].concat();
    assert_eq!(on(&app, "three", "a", &both).0, cold);
    let (had, said) = on(&app, "four", "c", &both);
    assert_eq!(had, ["warm", "had 1"]);
    assert!(!said.contains("warning["), "{said}");
    assert_eq!(on(&app, "five", "d", &from).0, ["warm", "had 2"]);

    for blob in fs::read_dir(app.fixture.context.root().join("cache/blobs/sha256")).unwrap() {
        let path = blob.unwrap().path();
        let mut bytes = fs::read(&path).unwrap();
        // The list is JSON.
        if bytes[0] != b'{' {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs::write(&path, bytes).unwrap();
        }
    }
    let (had, said) = on(&app, "six", "e", &from);
    assert_eq!(had, ["had 0"]);
    assert_eq!(said.matches("warning[cache/damaged]").count(), 1, "{said}");
}

#[test]
fn userns_what_is_too_large_or_may_hold_secrets_stays() {
    let app = shared();
    let cache = app.fixture.context.root().join("one/caches/meeting");
    fs::create_dir_all(&cache).unwrap();
    fs::File::create(cache.join("large")).unwrap().set_len((1 << 30) + 1).unwrap();
    let (_, said) = on(&app, "one", "a", &["--cache-to", "../large"]);
    let line = "caches/meeting of the store does not go along: it has 1.07 GB in 2 files, and at most 1.07 GB in 500000 \
                files do\n";
    assert!(said.contains(line), "{said}");
    assert_eq!(on(&app, "two", "b", &["--cache-from", "../large"]).0, ["had 1"]);

    fs::write(app.fixture.context.root().join("token"), "s3cr3t-T0ken").unwrap();
    on(&app, "three", "c", &["--secret", "id=token,src=../token"]);
    let (_, said) = on(&app, "three", "d", &["--cache-to", "../private"]);
    let line = "caches/meeting of the store does not go along: steps that were given secrets have used it\n";
    assert!(said.contains(line), "{said}");
    assert_eq!(on(&app, "four", "e", &["--cache-from", "../private"]).0, ["had 2"]);
}
