//! Files with several names.

use std::fs;

use super::{Fixture, layer, on_disk};
use crate::package::Time;

/// The names of the fixture's file `a` in a layer, with what it is a link to.
fn names(fixture: &Fixture, folder: &str) -> Vec<(String, Option<String>)> {
    let root = fixture.store.root().join(folder);
    fs::create_dir_all(&root).unwrap();
    fs::write(root.join("a"), "content").unwrap();
    for name in ["b", "c", "z"] {
        fs::hard_link(root.join("a"), root.join(name)).unwrap();
    }
    for name in ["0", "1"] {
        fs::write(root.join(name), "").unwrap();
        fs::hard_link(root.join(name), root.join(format!("{name}0"))).unwrap();
    }
    let entry = |name: &str| (format!("app/{name}"), on_disk(root.join(name)));
    let mut entries: Vec<_> = ["0", "00", "b", "c", "z"].map(entry).to_vec();
    // What an archive says of all names of a file is the same.
    entries[3].1.mode = 0o755;
    let entries: Vec<_> = entries.iter().map(|(path, entry)| (path.as_str(), entry.clone())).collect();
    let other = [("srv/a", on_disk(root.join("a")))];
    let layers = vec![layer("dependencies", Time::Fixed, &entries), layer("app", Time::Fixed, &other)];
    let image = fixture.package(layers).unwrap();
    let mut found = Vec::new();
    for index in 0..2 {
        let plain = fixture.plain(&image, index);
        for entry in tar::Archive::new(&plain[..]).entries().unwrap().map(Result::unwrap) {
            let path = entry.path().unwrap().display().to_string();
            let link = entry.link_name().unwrap().map(|link| link.display().to_string());
            if !path.ends_with('/') {
                found.push((path, link));
            }
        }
    }
    found
}

#[test]
fn a_file_of_a_step_is_once_in_a_layer() {
    let own = |path: &str| (path.to_owned(), None);
    let found = names(&Fixture::new(), "steps/key/fs");
    let link = ("app/z".to_owned(), Some("app/b".to_owned()));
    assert_eq!(found, [own("app/0"), own("app/00"), own("app/b"), own("app/c"), link, own("srv/a")]);
}

#[test]
fn how_the_store_or_a_checkout_keeps_files_does_not_show() {
    let all = ["app/0", "app/00", "app/b", "app/c", "app/z", "srv/a"].map(|path| (path.to_owned(), None));
    for folder in ["trees/key/fs", "../source"] {
        assert_eq!(names(&Fixture::new(), folder), all);
    }
}
