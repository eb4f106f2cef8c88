//! Which base a plan is made on: what the app asks for, what the configuration names, and never two.

use super::*;

fn asks(version: &str) -> Value {
    let mut facts = python();
    facts["python"]["versions"] = json!([located(version, ".python-version", Some(1), "")]);
    facts
}

fn on(base: &str) -> Config {
    Config { base: Some(file(2, base.to_owned())), ..Config::default() }
}

/// Both roots' base, the version, and the ids of notices; or the error.
fn made(facts: Value, config: &Config) -> String {
    match make("python", facts, config) {
        Ok(plan) => {
            assert_eq!(plan.build_root.base, plan.runtime_root.base);
            let python = &plan.versions[0];
            let notices: Vec<_> = plan.notices.iter().map(|notice| notice.id.as_str()).collect();
            format!("{} {} {}", plan.runtime_root.base, python.source, notices.join(" "))
                .trim_end()
                .to_owned()
        }
        Err(error) => shown(&error),
    }
}

#[test]
fn the_base_follows_the_version_that_the_app_asks_for() {
    for (asked, expected) in [
        ("3.11", "debian-12 debian-12:python3.11"),
        ("3.11.2", "debian-12 debian-12:python3.11"),
        ("3.11.9", "debian-12 debian-12:python3.11 version/patch"),
        (">=3.9,<3.12", "debian-12 debian-12:python3.11"),
        ("3.13", "debian-13 debian-13:python3.13"),
        (">=3.11", "debian-13 debian-13:python3.13"),
        ("3.14", "debian-14 debian-14:python3.14"),
        (">=3.14", "debian-14 debian-14:python3.14"),
    ] {
        assert_eq!(made(asks(asked), &Config::default()), expected, "{asked}");
    }
    assert_eq!(made(python(), &Config::default()), "debian-13 debian-13:python3.13");
}

#[test]
fn everything_in_the_plan_follows_the_version() {
    let mut plan = make("python", asks("3.11"), &Config::default()).unwrap();
    // They name the default that is not used.
    plan.versions.iter_mut().for_each(|version| version.statements.clear());
    let text = String::from_utf8(plan.to_json()).unwrap();
    assert!(!text.contains("3.13") && text.contains("/usr/lib/python3.11") && text.contains("Debian 12: "));
}

#[test]
fn a_configured_base_offers_its_own_lines_only() {
    assert_eq!(made(asks(">=3.9"), &on("debian-12")), "debian-12 debian-12:python3.11");
    assert_eq!(made(python(), &on("debian-12")), "debian-12 debian-12:python3.11");
    assert_eq!(made(python(), &on("debian-14")), "debian-14 debian-14:python3.14");
    insta::assert_snapshot!(
        [
            made(asks("3.13"), &on("debian-12")),
            made(asks("3.12"), &on("debian-12")),
            made(asks("3.12"), &Config::default()),
            made(python(), &on("debian-9")),
            made(python(), &on("debian")),
        ]
        .join("\n")
    );
}

fn with_buildpack(change: impl Fn(String) -> String) -> Result<Plan, Error> {
    let folder = tempfile::tempdir().unwrap();
    let path = "buildpacks/python/buildpack.toml";
    let good = String::from_utf8(Definitions::embedded().get(path).unwrap().bytes.to_vec()).unwrap();
    std::fs::create_dir_all(folder.path().join("buildpacks/python")).unwrap();
    std::fs::write(folder.path().join(path), change(good)).unwrap();
    let definitions = Definitions::with_folder(folder.path()).unwrap();
    plan(&detection("python", asks("3.11")), &Config::default(), None, &definitions, &Fake, &options())
}

#[test]
fn two_tools_of_different_bases_are_refused() {
    let other = "[[tool]]\nname = \"other\"\ntitle = \"Go\"\nscheme = \"go\"\ndefault = \"1.27\"\n\
                 source = \"debian\"\nline = [{ line = \"1.27\", package = \"golang-1.27-go\", base = \"debian-13\" }]\n\n";
    let error = with_buildpack(|good| good.replacen("[build-root]", &format!("{other}[build-root]"), 1));
    assert_eq!(
        shown(&error.unwrap_err()),
        "2[plan/mixed-bases]: Python 3.11.2 comes from base `debian-12` and Go 1.27.4 from base `debian-13`: an \
         image has one base\n\
         hint: force one in rpack.toml, `base.name = \"debian-12\"` or `base.name = \"debian-13\"`, and ask for \
         versions that it has\n"
    );
}

#[test]
fn the_end_of_a_base_is_told_by_the_buildpacks_day() {
    let plan = with_buildpack(|good| good.replacen("2026-11-01", "2029-01-01", 1)).unwrap();
    let notices: Vec<_> = plan.notices.iter().map(|n| (n.id.as_str(), n.text.as_str(), n.warning)).collect();
    assert!(
        notices.contains(&(
            "base/end-of-life",
            "base `debian-12` gets no more security fixes since 2028-06-30",
            true
        )),
        "{notices:?}"
    );
}
