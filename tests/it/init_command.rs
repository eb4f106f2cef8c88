//! `rpack init`: the file that it writes, and that the file changes nothing by itself.

use std::fs;

use crate::support::debian_repository::{Release, Repository, Signing};
use crate::support::{Finished, TestContext};

struct Fixture {
    context: TestContext,
    _repository: Repository,
}

impl Fixture {
    fn new() -> Self {
        let context = TestContext::new();
        context
            .file("Procfile", "web: bin/web --port $PORT\nworker: bin/worker \"a b\"\n")
            .file("bin/web", "#!/bin/sh\n")
            .file("bin/worker", "#!/bin/sh\n");
        let repository = Repository::new();
        let now = jiff::Timestamp::now().as_second();
        repository.publish(Release {
            date: now - 86_400,
            valid_until: now + 86_400,
            signing: Signing::Trusted,
        });
        repository.write_definitions(&context.root().join("definitions"));
        Self { context, _repository: repository }
    }

    fn rpack(&self, arguments: &[&str]) -> Finished {
        self.context.rpack(&[&["--definitions", "../definitions"], arguments].concat())
    }
}

#[test]
fn it_writes_what_was_found_and_the_plan_stays_the_same() {
    let fixture = Fixture::new();
    let before = fixture.rpack(&["plan", "--json"]).success();
    insta::assert_snapshot!(fixture.rpack(&["init", "--dry-run"]).success());
    let finished = fixture.rpack(&["init"]);
    assert!(finished.stderr.ends_with("./rpack.toml written\n"), "{}", finished.stderr);
    let path = fixture.context.app().join("rpack.toml");
    let written = fs::read_to_string(&path).unwrap();
    assert_eq!(fixture.rpack(&["plan", "--json"]).success(), before);
    // What stands behind the `#` is what the plan says, in the words of the configuration.
    let settings = written.lines().map(|line| line.strip_prefix("# ").unwrap_or(line));
    let settings = settings.filter(|line| line.contains(" = ") && !line.contains('…'));
    fs::write(&path, settings.collect::<Vec<_>>().join("\n")).unwrap();
    let plan = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    let (before, after) = (plan(&before), plan(&fixture.rpack(&["plan", "--json"]).success()));
    assert_eq!(before["image"]["entrypoint"], after["image"]["entrypoint"]);
    assert_eq!(before["image"]["processes"]["worker"]["argv"], after["image"]["processes"]["worker"]["argv"]);
}

#[test]
fn a_file_that_is_there_is_kept() {
    let fixture = Fixture::new();
    fixture.context.file("rpack.toml", "name = \"shop\"\n");
    let finished = fixture.rpack(&["init"]);
    assert_eq!(
        (finished.status, finished.stderr.as_str()),
        (
            2,
            "error[init/exists]: ./rpack.toml is there already\n\nhint 1: print what it would be: `rpack init \
             --dry-run`\nhint 2: replace it: `rpack init --force`\n"
        )
    );
    assert_eq!(fs::read_to_string(fixture.context.app().join("rpack.toml")).unwrap(), "name = \"shop\"\n");
    fixture.rpack(&["init", "--force"]).success();
    assert!(fs::read_to_string(fixture.context.app().join("rpack.toml")).unwrap().contains("\nedition = "));
}

#[test]
fn an_edition_of_a_later_rpack_is_refused() {
    let fixture = Fixture::new();
    fixture.context.file("rpack.toml", "edition = \"2031.01\"\n");
    let finished = fixture.rpack(&["plan"]);
    assert_eq!(
        (finished.status, finished.stderr.as_str()),
        (
            2,
            "error[config/edition]: there is no edition `2031.01` (rpack.toml:1)\n\nhint 1: this rpack has \
             2026.11\nhint 2: a later one needs a newer rpack\n"
        )
    );
}

#[test]
fn an_app_keeps_the_defaults_of_its_edition() {
    let fixture = Fixture::new();
    let definitions = fixture.context.root().join("definitions");
    let embedded = crate::support::repository().join("buildpacks");
    fs::create_dir_all(definitions.join("buildpacks/procfile")).unwrap();
    let editions = fs::read_to_string(embedded.join("editions.toml")).unwrap();
    let later = format!("{editions}\n[[edition]]\nname = \"2027.05\"\nabout = \"a later one\"\n");
    fs::write(definitions.join("buildpacks/editions.toml"), later).unwrap();
    let buildpack = fs::read_to_string(embedded.join("procfile/buildpack.toml")).unwrap();
    let changed = buildpack.replacen(
        "[image]\n",
        "[image]\nlabels = { defaults = \"{{ 'old' if config.edition < '2027.05' else 'new' }}\" }\n",
        1,
    );
    assert_ne!(buildpack, changed);
    fs::write(definitions.join("buildpacks/procfile/buildpack.toml"), changed).unwrap();
    let label = || {
        let plan = fixture.rpack(&["plan", "--json"]).success();
        let plan: serde_json::Value = serde_json::from_str(&plan).unwrap();
        plan["image"]["labels"]["defaults"].as_str().unwrap().to_owned()
    };
    assert_eq!(label(), "new");
    fixture.context.file("rpack.toml", "edition = \"2026.11\"\n");
    assert_eq!(label(), "old");
}
