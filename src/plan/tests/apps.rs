//! The plan of every app under `examples` and `tests/fixtures/apps`, as `rpack plan` shows it.

use std::fs;
use std::path::Path;

use serde::Deserialize;

use super::{WithPins, options};
use crate::config::{self, Environment};
use crate::definitions::Definitions;
use crate::detect;
use crate::plan::{Options, explain, plan};
use crate::source::{self, Source};

/// What the app's `expect.toml` says of its plan; `tests/it/examples.rs` reads the rest.
#[derive(Deserialize)]
struct Expect {
    language: String,
    /// The folder that `--app` names.
    app: Option<String>,
}

/// The plan, as it is printed.
fn planned(folder: &Path) -> String {
    let name = folder.file_name().unwrap().to_str().unwrap();
    let expect: Expect = toml::from_str(&fs::read_to_string(folder.join("expect.toml")).unwrap()).unwrap();
    let app = expect.app.unwrap_or_default();
    let config = config::load(folder, &app, &Environment::default(), &[]).unwrap();
    let whole = source::read(folder, &source::Options::default()).unwrap();
    // A commit of this repository would be recorded.
    let source = Source { commit: None, ..whole };
    let member = if detect::is_member(&source, &app).unwrap() { app.as_str() } else { "" };
    let definitions = Definitions::embedded();
    let detection = detect::detect(&source, member, &definitions, &config).unwrap();
    assert_eq!(detection.language, expect.language, "{name}");
    let options = Options { folder_name: name.to_owned(), ..options() };
    let plan = plan(&detection, &config, None, &definitions, &WithPins, &options)
        .unwrap_or_else(|error| panic!("{name}: {error}"));
    explain(&plan)
}

fn of_folder(folder: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut apps: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    apps.retain(|path| path.is_dir());
    apps.sort();
    for app in apps {
        let name = app.file_name().unwrap().to_str().unwrap();
        insta::assert_snapshot!(format!("app_{name}"), planned(&app));
    }
}

#[test]
fn plans_of_the_examples() {
    of_folder("examples");
}

#[test]
fn plans_of_the_fixtures() {
    of_folder("tests/fixtures/apps");
}
