//! Which packages are chosen, and what is said when none can be.

use super::debian_repository::Package;
use super::fixture::{Fixture, failure};
use crate::ui::ExitCode;

#[test]
fn what_cannot_be_resolved_is_explained() {
    let fixture = Fixture::new(vec![
        Package::new("libapp", "1.0"),
        Package::new("app", "1").field("Depends: libapp (>= 2)"),
        Package::new("mail-a", "1").field("Provides: mail").field("Conflicts: mail"),
        Package::new("mail-b", "1").field("Provides: mail").field("Conflicts: mail"),
    ]);
    let found = |names: &[&str]| failure(fixture.resolve(names));
    assert_eq!(
        found(&["libap"]),
        ("debian/unknown-package", ExitCode::Usage, "base `debian-13` has no package `libap`".to_owned())
    );
    let hints = fixture.resolve(&["libap"]).unwrap_err().hints();
    assert_eq!(hints, ["names that look like it: `libapp`"]);
    assert_eq!(
        found(&["app"]).2,
        "base `debian-13` has nothing that satisfies `libapp (>= 2)`, which `app 1` needs; it has libapp 1.0"
    );
    assert_eq!(
        found(&["mail-a", "mail-b"]),
        (
            "debian/conflict",
            ExitCode::Usage,
            "packages `mail-a 1` and `mail-b 1` cannot be in one root: the first conflicts with `mail`"
                .to_owned()
        )
    );
}

#[test]
fn who_needs_whom_is_shown() {
    let fixture = Fixture::new(vec![
        Package::new("app", "1").field("Depends: middle"),
        Package::new("middle", "2").field("Depends: libapp (>= 2)"),
        Package::new("libapp", "1.0"),
        Package::new("other", "1").field("Depends: old"),
        Package::new("old", "3"),
        Package::new("new", "4").field("Breaks: old (<< 5)"),
    ]);
    let detail = |names: &[&str]| fixture.resolve(names).unwrap_err().detail();
    assert_eq!(detail(&["app"]).as_deref(), Some("app 1\n  needs middle 2"));
    assert_eq!(detail(&["new", "other"]).as_deref(), Some("other 1\n  needs old 3"));
    assert_eq!(
        failure(fixture.resolve(&["new", "other"])),
        (
            "debian/conflict",
            ExitCode::Usage,
            "packages `new 4` and `old 3` cannot be in one root: the first breaks `old (<< 5)`".to_owned()
        )
    );
    let hints = fixture.resolve(&["new", "other"]).unwrap_err().hints();
    assert_eq!(hints, ["ask for only one of `new` and `other` in `build.packages` or `runtime.packages`"]);
}

fn chosen(fixture: &Fixture, names: &[&str]) -> Vec<String> {
    let root = fixture.resolve(names).unwrap();
    root.packages.iter().map(|package| format!("{} {}", package.name, package.version)).collect()
}

#[test]
fn an_alternative_that_turns_out_impossible_is_taken_back() {
    let fixture = Fixture::new(vec![
        Package::new("app", "1").field("Depends: first | second, last"),
        Package::new("first", "1").field("Depends: libfirst"),
        Package::new("libfirst", "1"),
        Package::new("second", "1"),
        Package::new("last", "1").field("Conflicts: libfirst"),
        Package::new("lost", "1").field("Depends: broken | second"),
        Package::new("broken", "1").field("Depends: nothing"),
    ]);
    assert_eq!(chosen(&fixture, &["app"]), ["app 1", "last 1", "second 1"]);
    assert_eq!(chosen(&fixture, &["lost"]), ["lost 1", "second 1"]);
}

#[test]
fn provided_names_have_versions_and_architectures() {
    let fixture = Fixture::new(vec![
        Package::new("any", "1").field("Depends: tool:any"),
        Package::new("here", "1").field("Depends: tool:amd64, plain:native"),
        Package::new("there", "1").field("Depends: tool:i386"),
        Package::new("strict", "1").field("Depends: plain:any"),
        Package::new("tool", "1").field("Multi-Arch: allowed"),
        Package::new("plain", "1").field("Provides: name (= 3)"),
        Package::new("virtual", "1").field("Depends: name (>= 3)"),
        Package::new("newer", "1").field("Depends: name (>= 4)"),
        Package::new("foe", "1").field("Breaks: name (<< 4)"),
        Package::new("friend", "1").field("Breaks: name (<< 3)"),
    ]);
    assert_eq!(chosen(&fixture, &["any"]), ["any 1", "tool 1"]);
    assert_eq!(chosen(&fixture, &["here"]), ["here 1", "plain 1", "tool 1"]);
    assert_eq!(chosen(&fixture, &["virtual", "friend"]), ["friend 1", "plain 1", "virtual 1"]);
    for (name, id) in [
        ("there", "debian/unsatisfied"),
        ("strict", "debian/unsatisfied"),
        ("newer", "debian/unknown-package"),
    ] {
        assert_eq!(failure(fixture.resolve(&[name])).0, id, "{name}");
    }
    assert_eq!(failure(fixture.resolve(&["foe", "virtual"])).0, "debian/conflict");
}
