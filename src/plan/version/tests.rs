//! Tables of what is asked for, what is offered and what is taken.

use super::*;

const NODES: [&str; 10] = [
    "18.20.8",
    "20.19.0",
    "20.20.2",
    "22.0.0",
    "22.23.3",
    "24.21.0",
    "25.9.0",
    "26.9.0",
    "26.10.0",
    "27.0.0-rc.1",
];

fn line(line: &str, codename: &str, eol: &str) -> Line {
    Line {
        name: line.into(),
        codename: (!codename.is_empty()).then(|| codename.into()),
        lts: !codename.is_empty(),
        eol: Some(eol.into()),
        package: None,
        base: None,
    }
}

fn offers(versions: &[&str]) -> Vec<Offer> {
    let release =
        |version: &&str| Release { version: (*version).into(), path: String::new(), integrity: None };
    versions.iter().map(release).filter_map(Offer::new).collect()
}

fn statement(value: &str, key: &str) -> Statement {
    Statement { value: value.into(), file: "FILE".into(), line: Some(1), key: key.into() }
}

/// The version and the ids of notices, or the error.
fn taken(
    scheme: Scheme,
    patch: Patch,
    default: &str,
    lines: &[Line],
    versions: &[&str],
    statements: &[Statement],
) -> String {
    let wanted = Wanted {
        title: "Tool",
        scheme,
        patch,
        lines,
        default,
        asked: "source",
        mirror: Some("npm"),
        platform: "linux/amd64",
        as_of: "2026-11-01",
        strict: false,
    };
    let mut notices = Vec::new();
    match resolve(&wanted, statements, &offers(versions), &mut notices) {
        Ok(resolution) => notices
            .iter()
            .fold(resolution.offer.release.version, |text, notice| format!("{text} {}", notice.id)),
        Err(Error::VersionNotOffered { nearest, .. }) => format!("not offered: {}", nearest.join(" ")),
        Err(error) => error.to_string(),
    }
}

fn node(statements: &[Statement]) -> String {
    let lines = [
        line("18", "hydrogen", "2025-04-30"),
        line("20", "iron", "2026-04-30"),
        line("22", "jod", "2027-04-30"),
        line("24", "krypton", "2028-04-30"),
        line("25", "", "2026-06-01"),
        line("26", "lithium", "2029-04-30"),
    ];
    taken(Scheme::Npm, Patch::Exact, "24", &lines, &NODES, statements)
}

#[test]
fn node_versions() {
    for (asked, expected) in [
        ("24", "24.21.0"),
        ("v22", "22.23.3"),
        ("22.x", "22.23.3"),
        (">=18", "24.21.0"),
        ("*", "24.21.0"),
        ("", "24.21.0"),
        (">=20.9 <23", "22.23.3"),
        ("^20.9 || ^26", "26.10.0"),
        (">=25", "26.10.0"),
        ("25", "25.9.0 version/end-of-life"),
        ("v22.0.0", "22.0.0"),
        ("26.9.0", "26.9.0"),
        ("20.19.0", "20.19.0 version/end-of-life"),
        ("lts/*", "26.10.0"),
        ("lts/-1", "24.21.0"),
        ("lts/Jod", "22.23.3"),
        ("iron", "20.20.2 version/end-of-life"),
        ("latest", "26.10.0"),
        ("27.0.0-rc.1", "27.0.0-rc.1"),
        ("27", "not offered: 26.10.0 26.9.0 25.9.0 24.21.0 22.23.3"),
        ("22.5.0", "not offered: 22.0.0 22.23.3 20.19.0 20.20.2 24.21.0"),
        ("<4", "not offered: 18.20.8 20.20.2 20.19.0 22.23.3 22.0.0"),
        (
            "abc",
            "`abc` is not a version of Tool: expected a version such as `24` or `24.1.0`, a range such as \
                 `>=22 <25`, or `lts/*`",
        ),
    ] {
        assert_eq!(node(&[statement(asked, "")]), expected, "{asked}");
    }
    assert_eq!(node(&[]), "24.21.0");
}

#[test]
fn weaker_statements_narrow_or_are_passed_over() {
    assert_eq!(node(&[statement(">=20", ""), statement("<24", "")]), "22.23.3");
    assert_eq!(node(&[statement("22", ""), statement(">=24", "")]), "22.23.3 version/conflict");
}

#[test]
fn a_pin_with_newer_patches_is_noted() {
    let lines = [line("24", "krypton", "2028-04-30")];
    let versions = ["24.20.0", "24.20.1"];
    let pinned = taken(Scheme::Npm, Patch::Exact, "24", &lines, &versions, &[statement("24.20.0", "")]);
    assert_eq!(pinned, "24.20.0 version/newer-patch");
}

#[test]
fn python_versions() {
    let lines = [line("3.13", "", "2029-10-31")];
    for (asked, expected) in [
        ("3.13", "3.13.5"),
        ("3", "3.13.5"),
        (">=3.10", "3.13.5"),
        (">=3.10,<4", "3.13.5"),
        ("~=3.12", "3.13.5"),
        ("==3.13.*", "3.13.5"),
        ("^3.11", "3.13.5"),
        ("~3.13", "3.13.5"),
        ("3.13.5", "3.13.5"),
        ("3.13.2", "3.13.5 version/patch"),
        ("3.13.9", "3.13.5 version/patch"),
        ("python-3.13.2", "3.13.5 version/patch"),
        ("3.12", "not offered: 3.13.5"),
        ("~3.12", "not offered: 3.13.5"),
        ("<3.13", "not offered: 3.13.5"),
        ("!=3.13.5", "not offered: 3.13.5"),
        (
            "pypy3",
            "`pypy3` is not a version of Tool: expected a version such as `3.13`, or a range such as \
                   `>=3.11,<4`",
        ),
    ] {
        let statements = [statement(asked, "")];
        assert_eq!(
            taken(Scheme::Pep440, Patch::Line, "3.13", &lines, &["3.13.5"], &statements),
            expected,
            "{asked}"
        );
    }
}

#[test]
fn go_versions() {
    let lines = [
        line("1.24", "", "2026-02-11"),
        line("1.25", "", "2026-08-12"),
        line("1.26", "", "2027-02-10"),
        line("1.27", "", "2027-08-11"),
    ];
    let versions = ["1.24.4", "1.25.3", "1.26.2", "1.27.4"];
    for (asked, key, expected) in [
        ("1.21", "go", "1.27.4"),
        ("1.24.0", "go", "1.27.4"),
        ("1.26", "go", "1.26.2"),
        ("1.26.5", "go", "1.27.4"),
        ("1.28", "go", "not offered: 1.27.4 1.26.2 1.25.3 1.24.4"),
        ("1.24", "", "1.24.4 version/end-of-life"),
        ("go1.25.3", "toolchain", "1.25.3 version/end-of-life"),
        ("go1.26.1", "toolchain", "1.26.2 version/patch"),
        ("1.26.x", "", "1.26.2"),
        ("1.23", "", "not offered: 1.24.4 1.25.3 1.26.2 1.27.4"),
    ] {
        let statements = [statement(asked, key)];
        assert_eq!(
            taken(Scheme::Go, Patch::Line, "1.27", &lines, &versions, &statements),
            expected,
            "{asked} {key}"
        );
    }
    // What a base does not offer is no default.
    let statements = [statement("1.22", "go")];
    assert_eq!(
        taken(Scheme::Go, Patch::Line, "1.27", &lines, &["1.24.4"], &statements),
        "1.24.4 version/end-of-life"
    );
}

#[test]
fn upstream_versions_of_debian() {
    for (debian, expected) in [
        ("3.13.5-2+deb13u1", "3.13.5"),
        ("1:1.24.4-1~bpo13+1", "1.24.4"),
        ("1.27~rc1-1", "1.27"),
        ("nonsense", ""),
    ] {
        assert_eq!(upstream(debian), expected);
    }
}
