//! The apps in `examples/` and what `expect.toml` states about their images.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use globset::GlobBuilder;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// `examples/NAME/expect.toml`; the format is documented in `examples/README.md`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Expectation {
    language: String,
    processes: Vec<String>,
    start: Vec<String>,
    sigterm_exit: i32,
    max_size_mb: u64,
    must_contain: Vec<String>,
    must_not_contain: Vec<String>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    #[serde(default)]
    http: Vec<Request>,
    logs: Option<Logs>,
}

/// `examples/expect.toml`: what holds for every image.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Always {
    must_contain: Vec<String>,
    must_not_contain: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Request {
    path: String,
    status: u16,
    body_contains: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Logs {
    contains: Vec<String>,
    #[serde(default)]
    contains_after_sigterm: Vec<String>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples")
}

/// The folders of the examples, sorted.
fn examples() -> BTreeSet<PathBuf> {
    let entries =
        fs::read_dir(folder()).expect("examples/ exists").map(|entry| entry.expect("readable").path());
    entries.filter(|path| path.is_dir()).collect()
}

#[track_caller]
fn read<T: DeserializeOwned>(path: &Path) -> T {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[track_caller]
fn check_globs(globs: &[String]) {
    for glob in globs {
        GlobBuilder::new(glob).literal_separator(true).build().expect("a valid glob");
        assert!(!glob.starts_with('/'), "{glob}: globs are relative to the image's root");
    }
}

#[test]
fn every_example_states_what_its_image_must_be() {
    let always: Always = read(&folder().join("expect.toml"));
    check_globs(&always.must_contain);
    check_globs(&always.must_not_contain);
    let names: Vec<_> =
        examples().iter().map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect();
    assert_eq!(names, ["go-http", "node-express", "procfile-worker", "python-flask"]);
    let readme = fs::read_to_string(folder().join("README.md")).unwrap();
    for example in examples() {
        let name = example.file_name().unwrap().to_str().unwrap();
        let expectation: Expectation = read(&example.join("expect.toml"));
        assert!(readme.contains(&format!("[{name}]({name}) |")), "examples/README.md does not list {name}");
        assert!(example.join("README.md").is_file() && example.join(".gitignore").is_file(), "{name}");
        assert!(["go", "node", "python"].contains(&expectation.language.as_str()), "{name}");
        assert!(!expectation.start.is_empty() && !expectation.processes.is_empty(), "{name}");
        assert!([0, 143].contains(&expectation.sigterm_exit), "{name}");
        assert!((1..=100).contains(&expectation.max_size_mb), "{name}");
        check_globs(&expectation.must_contain);
        check_globs(&expectation.must_not_contain);
        assert!(!expectation.env.contains_key("PORT"), "{name}: the test chooses PORT");
        assert_eq!(expectation.processes.contains(&"web".to_owned()), !expectation.http.is_empty(), "{name}");
        for request in &expectation.http {
            assert!(
                request.path.starts_with('/') && (200..600).contains(&request.status),
                "{name}: {request:?}"
            );
            assert_ne!(request.body_contains.as_deref(), Some(""), "{name}: {request:?}");
        }
        if let Some(logs) = &expectation.logs {
            let lines = logs.contains.iter().chain(&logs.contains_after_sigterm);
            assert!(!logs.contains.is_empty() && lines.clone().all(|line| !line.is_empty()), "{name}");
        }
    }
}

#[test]
fn no_lock_file_of_an_example_names_a_registry() {
    let lock = fs::read_to_string(folder().join("node-express/package-lock.json")).unwrap();
    let lock: serde_json::Value = serde_json::from_str(&lock).unwrap();
    for (path, package) in lock["packages"].as_object().unwrap() {
        assert_eq!(package.get("resolved"), None, "{path}");
        assert!(
            path.is_empty() || package["integrity"].as_str().is_some_and(|hash| hash.starts_with("sha512-"))
        );
    }
}
