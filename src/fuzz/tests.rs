//! The committed corpus through every target, so that what fuzzing found once stays found without a nightly compiler.

use std::fs;
use std::path::Path;

use super::TARGETS;

#[test]
fn every_target_takes_its_corpus() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let mut folders: Vec<_> = fs::read_dir(&corpus)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    folders.sort();
    let names: Vec<_> = TARGETS.iter().map(|(name, _)| *name).collect();
    assert_eq!(folders, names);
    for (name, target) in TARGETS {
        let files: Vec<_> =
            fs::read_dir(corpus.join(name)).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(files.len() > 1, "{name} has no corpus");
        for file in files {
            target(&fs::read(&file).unwrap());
        }
    }
}
