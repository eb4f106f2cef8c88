//! Debian packages of known dependencies.

use super::*;
use crate::plan::buildpack::Buildpack;
use crate::rootfs::tests::context;

/// The names of both roots that are not those of every app, and what is said about them.
fn packages(requirements: Value) -> (Vec<String>, Vec<String>, Vec<String>) {
    let mut facts = python();
    facts["python"]["requirements"] = requirements;
    let plan = make("python", facts, &Config::default()).unwrap();
    let names = |root: &Root| {
        let names = root.packages.iter().map(|package| package.name.clone());
        names.filter(|name| !name.starts_with('@') && !name.starts_with("python3")).collect()
    };
    let notices = plan.notices.iter().filter(|notice| notice.id.starts_with("native/"));
    let notices = notices.map(|notice| notice.text.clone()).collect();
    (names(&plan.build_root), names(&plan.runtime_root), notices)
}

fn wanted(name: &str, extras: &[&str]) -> Value {
    let mut requirement = requirement(name, 1);
    requirement["extras"] = json!(extras);
    requirement
}

const NONE: [String; 0] = [];
const TOOLS: [&str; 2] = ["build-essential", "pkgconf"];

#[test]
fn what_has_no_wheel_compiles_and_the_rest_does_not() {
    let (build, runtime, notices) =
        packages(json!([wanted("gunicorn", &[]), wanted("pillow", &[]), wanted("lxml", &[])]));
    assert_eq!((build, runtime, notices), (NONE.into(), NONE.into(), NONE.into()));

    let (build, runtime, notices) = packages(json!([wanted("gunicorn", &[]), wanted("pycairo", &[])]));
    assert_eq!(build, [TOOLS[0], "libcairo2-dev", TOOLS[1]]);
    assert_eq!(runtime, NONE);
    assert_eq!(notices, ["`pycairo` needs `libcairo2-dev` to compile: added"]);
}

#[test]
fn extras_decide_what_a_dependency_needs() {
    for (extras, build, runtime) in [
        (&["c"][..], &[TOOLS[0], "libpq-dev", TOOLS[1]][..], &[][..]),
        (&["binary"], &[], &[]),
        (&[], &[], &["libpq5"]),
    ] {
        let found = packages(json!([wanted("gunicorn", &[]), wanted("psycopg", extras)]));
        assert_eq!((found.0, found.1), (owned(build), owned(runtime)), "{extras:?}");
    }
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn what_is_compiled_on_request_brings_its_packages() {
    let mut facts = python();
    facts["python"]["requirements"] = json!([wanted("gunicorn", &[]), wanted("lxml", &[])]);
    facts["python"]["no_binary"] = json!(["lxml"]);
    let plan = make("python", facts.clone(), &Config::default()).unwrap();
    let has = |plan: &Plan, name: &str| plan.build_root.packages.iter().any(|package| package.name == name);
    assert!(["libxml2-dev", "libxslt1-dev", "build-essential"].iter().all(|name| has(&plan, name)));
    facts["python"]["no_binary"] = json!([]);
    facts["python"]["requirements"][1]["url"] = json!("https://files.example/lxml-6.0.tar.gz#sha256=00");
    let plan = make("python", facts.clone(), &Config::default()).unwrap();
    assert!(has(&plan, "libxml2-dev"));
    facts["python"]["requirements"][1]["url"] = json!("https://files.example/lxml-6.0-cp313.whl#sha256=00");
    let plan = make("python", facts, &Config::default()).unwrap();
    assert!(!has(&plan, "libxml2-dev"));
}

#[test]
fn programs_are_named_and_not_added() {
    let (_, runtime, notices) = packages(json!([wanted("gunicorn", &[]), wanted("pdf2image", &[])]));
    assert_eq!(runtime, NONE);
    assert_eq!(
        notices,
        ["`pdf2image` runs programs that the image does not have: if the app uses that, \
          `runtime.packages = [\"poppler-utils\"]`"]
    );
}

#[test]
#[ignore = "network: run by .ci/run"]
fn network_every_package_of_a_row_is_in_the_base() {
    let folder = tempfile::tempdir().unwrap();
    let context = context(folder.path());
    let is_offered = |base: &str, package: &str| {
        let source = Source::Debian {
            base: base.to_owned(),
            architecture: "amd64".to_owned(),
            package: package.to_owned(),
        };
        !context.releases(&source).unwrap().is_empty()
    };
    let mut unknown = Vec::new();
    for language in ["node", "python"] {
        let (buildpack, _) = Buildpack::load(&context.definitions, language).unwrap();
        let native = buildpack.native.unwrap();
        let rows = native
            .rows
            .iter()
            .flat_map(|row| row.build.iter().chain(&row.links).chain(&row.runtime).chain(&row.programs));
        for names in rows.chain(&native.tools) {
            if !names.split('|').any(|name| is_offered(&buildpack.base, name.trim())) {
                unknown.push(format!("{language}: {names}"));
            }
        }
    }
    assert_eq!(unknown, NONE, "not in the base");
}
