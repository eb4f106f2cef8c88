//! Rules about the tree itself.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::repository;

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            files(&entry.path(), found);
        } else {
            found.push(entry.path());
        }
    }
}

fn below(folders: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in folders {
        files(&repository().join(folder), &mut found);
    }
    found
}

#[test]
fn no_file_is_longer_than_800_lines() {
    let long: Vec<_> = below(&["src", "tests/it", "init"])
        .into_iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .filter(|path| fs::read_to_string(path).unwrap().lines().count() > 800)
        .collect();
    assert_eq!(long, Vec::<PathBuf>::new());
}

#[test]
fn every_source_file_says_what_it_is_for() {
    let silent: Vec<_> = below(&["src", "tests/it", "init"])
        .into_iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .filter(|path| !fs::read_to_string(path).unwrap().starts_with("//!"))
        .collect();
    assert_eq!(silent, Vec::<PathBuf>::new());
}

#[test]
fn every_detector_has_a_buildpack_an_example_and_a_page() {
    for detector in below(&["detectors"]) {
        let id = detector.file_stem().unwrap().to_str().unwrap();
        for file in ["buildpack.toml", "README.md"] {
            let path = repository().join("buildpacks").join(id).join(file);
            assert!(path.exists(), "{} is missing", path.display());
        }
        let examples = fs::read_dir(repository().join("examples")).unwrap();
        let example = examples
            .map(|entry| entry.unwrap().file_name())
            .find(|name| name.to_str().unwrap().starts_with(&format!("{id}-")));
        assert!(example.is_some(), "no example begins with `{id}-`");
    }
}
