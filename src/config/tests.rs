//! Layers in, values or complete messages out.

use std::fs;
use std::path::Path;

use proptest::prelude::*;

use super::statement::{Edit, Statement, Value};
use super::{
    Command, Config, Environment, Error, Flag, Origin, Resolved, Warning, load, merge, reference, schema,
};
use crate::ui::{Diagnose as _, ExitCode, render};

fn read(file: &str, variables: &[(&str, &str)], flags: &[(&str, &str)]) -> Result<Config, Error> {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("rpack.toml"), file).unwrap();
    let flags: Vec<Flag> = flags
        .iter()
        .map(|(key, value)| Flag {
            key: (*key).to_owned(),
            name: format!("--{key}"),
            value: (*value).to_owned(),
        })
        .collect();
    load(folder.path(), "", &variables.iter().copied().collect::<Environment>(), &flags)
}

fn message(file: &str, variables: &[(&str, &str)], flags: &[(&str, &str)]) -> String {
    let error = read(file, variables, flags).unwrap_err();
    assert_eq!(error.exit(), ExitCode::Usage);
    render(&error, false)
}

fn at(line: usize, column: usize) -> Origin {
    Origin::File { path: "rpack.toml".to_owned(), line, column }
}

fn env(name: &str) -> Origin {
    Origin::Env { name: name.to_owned() }
}

fn flag(key: &str) -> Origin {
    Origin::Flag { name: format!("--{key}") }
}

fn only<T>(value: impl Into<T>, origin: Origin) -> Resolved<T> {
    Resolved { value: value.into(), origin, passed_over: Vec::new() }
}

const FULL: &str = r#"name = "shop/checkout"
language = "node"
strict = true
build.command = "npm run build:prod"
build.packages = ["git", "libvips-dev"]
start.command = ["node", "server.js"]
source = { exclude = ["/docs"], include = ["/dist"] }

[build.env]
NEXT_TELEMETRY_DISABLED = "1"

[runtime]
packages = { add = ["libvips42"] }
node.version = "24"
env = { LOG_LEVEL = "info" }

[image]
ports = [8080, 0x1F90, 9_090]
user = "1000:1000"
writable = ["/app/uploads"]
labels."org.opencontainers.image.vendor" = "Acme"

[mirror]
npm = { url = "https://mirror.acme.example/npm/" }
debian-security = "https://mirror.acme.example/debian-security"
"#;

#[test]
fn every_key_of_the_file_with_its_place() {
    let config = read(FULL, &[], &[]).unwrap();
    assert_eq!(config.name, Some(only("shop/checkout", at(1, 1))));
    assert_eq!(config.language, Some(only("node", at(2, 1))));
    assert!(config.strict);
    assert_eq!(config.build_command, Some(only("npm run build:prod", at(4, 7))));
    assert_eq!(config.build_packages, [only("git", at(5, 19)), only("libvips-dev", at(5, 26))]);
    let argv = Command::Argv(vec!["node".to_owned(), "server.js".to_owned()]);
    assert_eq!(config.start, Some(only(argv, at(6, 7))));
    assert_eq!(config.exclude, [only("/docs", at(7, 23))]);
    assert_eq!(config.include, [only("/dist", at(7, 44))]);
    assert_eq!(config.build_env["NEXT_TELEMETRY_DISABLED"], only("1", at(10, 1)));
    assert_eq!(config.runtime_packages, [only("libvips42", at(13, 21))]);
    assert_eq!(config.versions["node"], only("24", at(14, 6)));
    assert_eq!(config.runtime_env["LOG_LEVEL"], only("info", at(15, 9)));
    let ports: Vec<u16> = config.ports.iter().map(|port| port.value).collect();
    assert_eq!(ports, [8080, 9090]);
    assert_eq!(config.user, Some(only("1000:1000", at(19, 1))));
    assert_eq!(config.writable, Some(vec![only("/app/uploads", at(20, 13))]));
    assert_eq!(config.labels["org.opencontainers.image.vendor"], only("Acme", at(21, 8)));
    assert_eq!(config.mirrors["npm"], only("https://mirror.acme.example/npm/", at(24, 1)));
    let security = "https://mirror.acme.example/debian-security";
    assert_eq!(config.mirrors["debian-security"], only(security, at(25, 1)));
    assert_eq!(config.warnings, []);
}

#[test]
fn a_repository_without_a_file_has_an_empty_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let config = load(folder.path(), "", &Environment::default(), &[]).unwrap();
    let empty = Config { folder: folder.path().to_owned(), ..Config::default() };
    assert_eq!(format!("{config:?}"), format!("{empty:?}"));
}

#[test]
fn flags_win_over_the_environment_and_that_over_the_file() {
    let config = read(
        "runtime.node.version = \"22\"\nruntime.env.A = \"file\"\n",
        &[
            ("RPACK_RUNTIME__NODE__VERSION", "24"),
            ("RPACK_NODE_VERSION", "23"),
            ("RPACK_RUNTIME__ENV__A", ""),
            ("RPACK_LANGUAGE", ""),
            ("RPACK_STORE", "/s"),
        ],
        &[("runtime.node.version", "25"), ("runtime.node.version", "26"), ("runtime.env", "B=x=y")],
    )
    .unwrap();
    let version = flag("runtime.node.version");
    assert_eq!(
        config.versions["node"],
        Resolved {
            value: "26".to_owned(),
            origin: version.clone(),
            passed_over: vec![
                (version, "25".to_owned()),
                (env("RPACK_RUNTIME__NODE__VERSION"), "24".to_owned()),
                (env("RPACK_NODE_VERSION"), "23".to_owned()),
                (at(1, 14), "22".to_owned()),
            ],
        }
    );
    let a = Resolved {
        value: String::new(),
        origin: env("RPACK_RUNTIME__ENV__A"),
        passed_over: vec![(at(2, 13), "file".to_owned())],
    };
    assert_eq!(config.runtime_env["A"], a);
    assert_eq!(config.runtime_env["B"], only("x=y", flag("runtime.env")));
    assert_eq!(config.language, None);
}

#[test]
fn lists_add_up_unless_they_say_otherwise() {
    let file = "build.packages = [\"git\", \"curl\"]\nimage.ports = [1]\nsource.exclude = [\"a\"]\n";
    let config = read(
        file,
        &[
            ("RPACK_BUILD__PACKAGES", "g++, git"),
            ("RPACK_IMAGE__PORTS", "{ set = [2, 3] }"),
            ("RPACK_SOURCE__EXCLUDE", "[\"b c\"]"),
        ],
        &[("build.packages", "{ remove = [\"curl\"], add = [\"make\"] }")],
    )
    .unwrap();
    assert_eq!(
        config.build_packages,
        [
            only("git", at(1, 19)),
            only("g++", env("RPACK_BUILD__PACKAGES")),
            only("make", flag("build.packages"))
        ]
    );
    assert_eq!(
        config.ports,
        [only(2_u16, env("RPACK_IMAGE__PORTS")), only(3_u16, env("RPACK_IMAGE__PORTS"))]
    );
    assert_eq!(config.exclude, [only("a", at(3, 19)), only("b c", env("RPACK_SOURCE__EXCLUDE"))]);
}

#[test]
fn words_have_the_types_of_their_keys() {
    let config = read(
        "",
        &[
            ("RPACK_STRICT", "yes"),
            ("RPACK_START__COMMAND", "[ -f x ] && exec node x"),
            ("RPACK_MIRROR__DEBIAN_SECURITY", "https://m.example/d"),
            ("RPACK_IMAGE__LABELS", "{ \"org.acme.team\" = \"shop\" }"),
        ],
        &[("start.command", "[\"node\", \"x\"]"), ("image.labels.org.acme.tier", "web")],
    )
    .unwrap();
    assert!(config.strict);
    let line = Command::Line("[ -f x ] && exec node x".to_owned());
    let start = config.start.unwrap();
    assert_eq!(start.value, Command::Argv(vec!["node".to_owned(), "x".to_owned()]));
    assert_eq!(start.passed_over, [(env("RPACK_START__COMMAND"), line)]);
    assert_eq!(config.mirrors["debian-security"].value, "https://m.example/d");
    assert_eq!(config.labels["org.acme.team"].value, "shop");
    assert_eq!(config.labels["org.acme.tier"].value, "web");
}

#[test]
fn all_problems_are_reported_at_once() {
    let file = "naem = \"shop\"\n[build]\npakages = [\"git\"]\n[runtime.node]\nversion = 24\n";
    assert_eq!(
        message(file, &[("RPACK_IMAGE__PORTS", "http")], &[("image.user", "app")]),
        "\
error[config/unknown-key]: `naem` is not a key
 --> rpack.toml:1:1
  |
1 | naem = \"shop\"
  | ^^^^

hint: did you mean `name`?

error[config/unknown-key]: `build.pakages` is not a key
 --> rpack.toml:3:1
  |
3 | pakages = [\"git\"]
  | ^^^^^^^

hint: did you mean `build.packages`?

error[config/wrong-type]: `runtime.node.version` is an integer, expected text
 --> rpack.toml:5:11
  |
5 | version = 24
  |           ^^

hint: quote it: `runtime.node.version = \"24\"`

error[config/invalid-value]: `image.ports` is `http`, expected a port from 1 to 65535 (environment variable \
`RPACK_IMAGE__PORTS`)

error[config/invalid-value]: `image.user` is `app`, expected a numeric user and group such as `65532:65532` \
(flag `--image.user`)
"
    );
}

#[test]
fn each_kind_of_mistake_has_its_message() {
    let mut all = String::new();
    for file in [
        "name = \"a\nlanguage = \"node\"\n",
        "name = \"a\"\nname = \"b\"\n",
        "packages = []\n",
        "startCommand = \"node server.js\"\n",
        "[image]\nbananas = 1\n",
        "runtime.node = \"24\"\n",
        "runtime.python.version = 3.10\n",
        "strict = \"true\"\n",
        "build.packages = \"git\"\n",
        "build.packages = [\"git\", 3]\n",
        "build.packages = { plus = [\"git\"] }\n",
        "image.ports = [70000]\n",
        "image.ports = [\"80\"]\n",
        "image.labels.org.acme = \"x\"\n",
        "image.writable = [\"uploads\"]\n",
        "build.env.A-B = \"x\"\n",
        "mirror.npm = { uri = \"https://m.example\" }\n",
        "mirror.npm = {}\n",
        "mirror.rubygems = \"https://m.example\"\n",
        "start.command = []\n",
        "source.exclude = [\"a[b\"]\n",
        "name = 1979-05-27\n",
    ] {
        all.push_str(&message(file, &[], &[]));
        all.push('\n');
    }
    insta::assert_snapshot!(all);
}

#[test]
fn words_that_mean_nothing_have_their_message() {
    let flags = [
        ("strict", "perhaps"),
        ("runtime.env", "A"),
        ("runtime.env.1A", "x"),
        ("build.packages", "[\"git\""),
        ("image.labels", "{ a = 1 }"),
        ("deploy.memory", "1Gi"),
        ("build.pakages", "git"),
        ("image.labels.org.opencontainers.image.vender", "Acme"),
        ("image.annotations.rpack.base", "{}"),
    ];
    insta::assert_snapshot!(message("", &[], &flags));
}

#[test]
fn unknown_variables_warn_and_are_errors_under_strict_and_in_ci() {
    let unknown = [("RPACK_NODE_VERSON", "24"), ("RPACK_BANANAS", "1"), ("RPACK_NODE_VERSION", "24")];
    let warnings = read("", &unknown, &[]).unwrap().warnings;
    let warning = |name: &str, hint: &str| Warning {
        id: "config/unknown-variable".to_owned(),
        text: format!("`{name}` is not a variable of rpack"),
        hint: Some(hint.to_owned()),
    };
    assert_eq!(
        warnings,
        [
            warning("RPACK_BANANAS", "remove it: `unset RPACK_BANANAS`"),
            warning("RPACK_NODE_VERSON", "did you mean `RPACK_NODE_VERSION`?"),
        ]
    );
    let expected = "error[config/unknown-variable]: `RPACK_BANANAS` is not a variable of rpack\n\
                    \n\
                    hint: remove it: `unset RPACK_BANANAS`\n\
                    \n\
                    error[config/unknown-variable]: `RPACK_NODE_VERSON` is not a variable of rpack\n\
                    \n\
                    hint: did you mean `RPACK_NODE_VERSION`?\n";
    assert_eq!(message("strict = true", &unknown, &[]), expected);
    assert_eq!(message("", &[&unknown[..], &[("CI", "1")]].concat(), &[]), expected);
}

#[test]
fn root_is_possible_and_said() {
    let warnings = read("image.user = \"0:0\"", &[], &[]).unwrap().warnings;
    assert_eq!(
        warnings,
        [Warning {
            id: "config/root-user".to_owned(),
            text: "`image.user` is `0:0` (rpack.toml:1): the app will run as root".to_owned(),
            hint: Some("remove it, and name what the app writes to in `image.writable`".to_owned()),
        }]
    );
}

#[test]
fn a_file_that_is_no_text_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rpack.toml");
    fs::write(&path, [0xff, 0xfe]).unwrap();
    let error = load(folder.path(), "", &Environment::default(), &[]).unwrap_err();
    assert_eq!(render(&error, false), "error[config/not-text]: `rpack.toml` is not UTF-8 text\n");
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    let error = load(folder.path(), "", &Environment::default(), &[]).unwrap_err();
    let expected =
        format!("error[config/read]: cannot read {}\ncaused by: it is not a regular file\n", path.display());
    assert_eq!(render(&error, false), expected);
}

#[test]
fn keys_are_sorted_complete_and_their_examples_are_valid() {
    assert!(schema::KEYS.iter().map(|key| key.name).is_sorted());
    for key in &schema::KEYS {
        assert!(!key.doc.is_empty() && key.doc.ends_with('.'), "{}", key.name);
        read(key.example, &[], &[]).unwrap_or_else(|error| panic!("{}", render(&error, false)));
    }
}

#[test]
fn the_reference_is_up_to_date() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let written = fs::read_to_string(root.join("docs/configuration.md")).unwrap_or_default();
    if written != reference() {
        let fresh = root.join("target/configuration.md");
        fs::write(&fresh, reference()).unwrap();
        panic!("docs/configuration.md is out of date: `cp target/configuration.md docs/configuration.md`");
    }
}

/// Statements about three scalars and one list, at the given layer.
fn layer(layer: usize) -> impl Strategy<Value = Vec<Statement>> {
    let key = |name: &'static str| schema::KEYS.iter().find(|key| key.name == name).unwrap();
    let origin = at(layer, 1);
    let texts = prop::collection::vec("[a-d]", 0..4);
    let scalars = prop::collection::btree_map(0_usize..3, "[a-z]{1,3}", 0..4);
    (scalars, texts.clone(), texts.clone(), prop::option::of(texts)).prop_map(
        move |(scalars, add, remove, set)| {
            let own = |texts: Vec<String>| texts.into_iter().map(|text| (text, origin.clone())).collect();
            let mut statements: Vec<Statement> = scalars
                .into_iter()
                .map(|(index, text)| {
                    let (name, argument) =
                        [("name", None), ("build.env.NAME", Some("A")), ("build.env.NAME", Some("B"))][index];
                    let argument = argument.map(str::to_owned);
                    Statement { key: key(name), argument, value: Value::Text(text), origin: origin.clone() }
                })
                .collect();
            let edit = Edit { set: set.map(&own), remove, add: own(add) };
            let value = Value::List(edit);
            statements.push(Statement {
                key: key("build.packages"),
                argument: None,
                value,
                origin: origin.clone(),
            });
            statements
        },
    )
}

proptest! {
    #[test]
    fn a_weaker_layer_never_changes_a_stronger_value(weak in layer(1), middle in layer(2), strong in layer(3)) {
        let without = merge::merge([middle.clone(), strong.clone()].concat());
        let with = merge::merge([weak, middle, strong].concat());
        if let Some(name) = &without.name {
            prop_assert_eq!(&with.name.as_ref().unwrap().value, &name.value);
            prop_assert_eq!(&with.name.as_ref().unwrap().origin, &name.origin);
        }
        for (name, value) in &without.build_env {
            prop_assert_eq!(&with.build_env[name].value, &value.value);
            prop_assert_eq!(&with.build_env[name].origin, &value.origin);
        }
        for element in &without.build_packages {
            prop_assert!(with.build_packages.iter().any(|found| found.value == element.value));
        }
        for element in &with.build_packages {
            prop_assert!([at(1, 1), at(2, 1), at(3, 1)].contains(&element.origin));
            prop_assert_eq!(with.build_packages.iter().filter(|found| found.value == element.value).count(), 1);
        }
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "[a-z.\"=\\[\\]{}\n 0-9#é]{0,60}") {
        let (_, problems) = super::file::parse("rpack.toml", &text);
        for problem in problems {
            prop_assert!(problem.location().is_some());
        }
    }
}
