//! Detection as a whole: trees in memory in, the choice or the complete text of the error out.

use std::fmt::Write as _;
use std::path::PathBuf;

use proptest::prelude::*;

use super::{Candidate, Detection, Error, detect};
use crate::config::{Config, Origin, Resolved};
use crate::definitions::Definitions;
use crate::source::{Seen, Source};
use crate::store::Tree;
use crate::store::tree::Entry;
use crate::ui::Diagnose as _;

/// A source at `/src` with these files.
pub(in crate::detect) fn source(files: &[(&str, &str)]) -> Source {
    let mut tree = Tree::new();
    for (path, text) in files {
        tree.insert(*path, Entry::bytes(*text));
    }
    tree.add_parents();
    Source { root: PathBuf::from("/src"), tree, settings: Vec::new(), commit: None, seen: Seen::default() }
}

/// Everything that a person sees of an error.
pub(in crate::detect) fn rendered(error: &Error) -> String {
    let mut text = format!("error[{}] exit {}: {error}\n", error.id(), error.exit() as u8);
    if let Some(location) = error.location() {
        writeln!(text, "at {location}").unwrap();
    }
    if let Some(detail) = error.detail() {
        writeln!(text, "{detail}").unwrap();
    }
    for hint in error.hints() {
        writeln!(text, "hint: {hint}").unwrap();
    }
    text
}

fn run(files: &[(&str, &str)], config: &Config) -> Result<Detection, Error> {
    detect(&source(files), "", &Definitions::embedded(), config)
}

fn detected(files: &[(&str, &str)]) -> Detection {
    run(files, &Config::default()).unwrap()
}

pub(in crate::detect) fn refused(files: &[(&str, &str)]) -> String {
    rendered(&run(files, &Config::default()).unwrap_err())
}

fn with_language(language: &str) -> Config {
    let origin = Origin::File { path: "rpack.toml".to_owned(), line: 2, column: 12 };
    let language = Resolved { value: language.to_owned(), origin, passed_over: Vec::new() };
    Config { language: Some(language), ..Config::default() }
}

fn shown(candidates: &[Candidate]) -> Vec<String> {
    candidates.iter().map(|one| format!("{} [{}]", super::error::evidence(one), one.role)).collect()
}

const EXPRESS: &str = r#"{"scripts": {"start": "node server.js"}, "dependencies": {"express": "^5.1.0"}}"#;
const FLASK: &str = "from flask import Flask\napp = Flask(__name__)\n";

#[test]
fn a_node_app_is_recognised_with_its_evidence() {
    let found = detected(&[
        ("package.json", EXPRESS),
        (
            "package-lock.json",
            r#"{"lockfileVersion": 3, "packages": {"node_modules/express": {"version": "5.1.0"}}}"#,
        ),
        ("server.js", ""),
        (".nvmrc", "22\n"),
    ]);
    assert_eq!(found.language, "node");
    assert_eq!(
        shown(&found.candidates),
        ["node (110 points): +50 package.json has a start script, +30 package.json depends on express, \
          +15 package-lock.json, +10 the entry file server.js, +5 .nvmrc [app]"]
    );
    assert_eq!(found.notices, []);
    let members: Vec<&String> = found.facts.as_object().unwrap().keys().collect();
    assert_eq!(members, ["files", "node", "programs"]);
    assert_eq!(
        found.facts["files"]["has"],
        serde_json::json!([".nvmrc", "package-lock.json", "package.json", "server.js"])
    );
}

#[test]
fn each_language_is_recognised_by_its_least_trace() {
    for (files, language) in [
        (&[("package.json", "{}")][..], "node"),
        (&[("index.mjs", "")], "node"),
        (&[("requirements.txt", "flask\n")], "python"),
        (&[("main.py", "print(1)")], "python"),
        (&[("main.py", "print(1)"), ("pyproject.toml", "[tool.ruff]\n")], "python"),
        (&[("go.mod", "module m\n")], "go"),
        (&[("main.go", "package main\n")], "go"),
        (&[("Procfile", "web: ./serve\n"), ("serve", "")], "procfile"),
        (&[("Procfile", "web: ./serve\n"), ("serve", ""), ("index.html", "")], "procfile"),
        (&[("index.html", "")], "static"),
        (&[("dist/index.html", "")], "static"),
        (&[("Staticfile", "root: web\n"), ("web/index.html", "")], "static"),
        (&[("hugo.toml", ""), ("content/a.md", "")], "static"),
        (&[("index.html", ""), ("go.mod", "module m\n"), ("main.go", "package main\n")], "go"),
        (&[("Procfile", "web: node dist/server.mjs\n")], "node"),
        (&[("Procfile", "worker: python worker.py\n"), ("worker.py", "")], "python"),
        (&[("pyproject.toml", "[project]\nname = \"x\"\n")], "python"),
        (&[("Pipfile", "")], "python"),
    ] {
        let found = detected(files);
        assert_eq!(found.language, language, "{files:?}");
        assert!(found.facts.get(language).is_some(), "{files:?}");
    }
}

#[test]
fn a_worker_with_a_script_and_no_manifest_starts_from_its_procfile() {
    let found = detected(&[("Procfile", "worker: python worker.py\n"), ("worker.py", "")]);
    assert_eq!(
        shown(&found.candidates),
        [
            "python (90 points): +60 Procfile runs `python`, +30 worker.py, and no other manifest of any language [app]"
        ]
    );
    assert_eq!(found.facts["procfile"]["default"], "worker");
    assert_eq!(found.facts["python"]["manager"], "none");
    assert_eq!(found.facts["python"]["mains"], serde_json::json!(["worker.py"]));
}

#[test]
fn a_front_end_beside_a_program_only_makes_assets() {
    let found = detected(&[
        ("requirements.txt", "flask==3.1.0\ngunicorn==23.0.0\n"),
        ("app.py", FLASK),
        (
            "package.json",
            r#"{"scripts": {"build": "vite build", "start": "vite"}, "devDependencies": {"vite": "^7"}}"#,
        ),
    ]);
    assert_eq!(found.language, "python");
    assert_eq!(
        shown(&found.candidates),
        [
            "python (105 points): +50 flask app in app.py:2, +30 depends on flask, +15 all versions are locked, \
             +10 the program app.py [app]",
            "node (-10 points): +50 package.json has a start script, \
             -60 package.json only builds assets for the program [assets]",
        ]
    );
    assert_eq!(found.notices, []);
}

const VITE: &str =
    r#"{"scripts": {"build": "vite build", "dev": "vite"}, "devDependencies": {"vite": "^8"}}"#;

/// The candidates in folders, what is built for the app, and what is said.
fn front_ends(files: &[(&str, &str)]) -> Vec<String> {
    let found = detected(files);
    let below = found.candidates.iter().filter(|one| !one.folder.is_empty());
    let candidates = below.map(|one| format!("{} in {} [{}]", one.language, one.folder, one.role));
    let assets =
        found.assets.iter().map(|one| format!("{} builds {}: {}", one.language, one.folder, one.reason));
    let notices = found.notices.iter().map(|one| format!("{}: {}", one.id, one.text));
    candidates.chain(assets).chain(notices).collect()
}

#[test]
fn a_front_end_in_a_folder_is_built_when_programs_name_the_folder() {
    let built = "node builds frontend: frontend/package.json only builds assets for the program, which names the folder";
    let python = [
        ("requirements.txt", "flask==3.1.0\n"),
        ("app.py", "app = Flask(__name__, static_folder='frontend/dist')\n"),
    ];
    assert_eq!(
        front_ends(&[python[0], python[1], ("frontend/package.json", VITE)]),
        ["node in frontend [assets]", built]
    );
    let settings = [
        ("requirements.txt", "django==5.2\n"),
        ("manage.py", "os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'a.settings.base')\n"),
        ("a/settings/base.py", "STATICFILES_DIRS = [BASE_DIR / 'frontend' / 'dist']\n"),
    ];
    assert_eq!(
        front_ends(&[settings[0], settings[1], settings[2], ("frontend/package.json", VITE)]),
        ["node in frontend [assets]", built]
    );
    let go = "package main\n\nimport \"embed\"\n\n//go:embed all:frontend/dist\nvar files embed.FS\n\nfunc main() {}\n";
    assert_eq!(
        front_ends(&[("go.mod", "module m\n"), ("main.go", go), ("frontend/package.json", VITE)]),
        ["node in frontend [assets]", built]
    );
}

#[test]
fn a_front_end_is_built_when_it_writes_beside_its_own_folder() {
    let reason =
        "package.json only builds assets for the program, and writes them to a folder beside its own";
    let go = [("go.mod", "module m\n"), ("main.go", "package main\n\nfunc main() {}\n")];
    let config = "export default { build: { outDir: '../internal/pages' } }\n";
    assert_eq!(
        front_ends(&[go[0], go[1], ("web/package.json", VITE), ("web/vite.config.ts", config)]),
        ["node in web [assets]".to_owned(), format!("node builds web: web/{reason}")]
    );
    let tailwind = r#"{"scripts": {"build": "tailwindcss -i src/styles.css -o ../static/css/styles.css"}}"#;
    assert_eq!(
        front_ends(&[go[0], go[1], ("theme/static_src/package.json", tailwind)]),
        [
            "node in theme/static_src [assets]".to_owned(),
            format!("node builds theme/static_src: theme/static_src/{reason}")
        ]
    );
}

#[test]
fn a_front_end_of_its_own_is_not_built() {
    let flask = [("requirements.txt", "flask==3.1.0\n"), ("app.py", FLASK)];
    assert_eq!(
        front_ends(&[flask[0], flask[1], ("web/package.json", VITE)]),
        [
            "node in web [apart]",
            "detect/front-end: web/package.json has a build script that is not run: no program of the app names the folder",
        ]
    );
    let named = ("app.py", "app = Flask(__name__, static_folder='web/dist')\n");
    for manifest in [
        EXPRESS,
        r#"{"scripts": {"start": "node server.js", "build": "tsc"}}"#,
        r#"{"scripts": {"lint": "eslint ."}, "devDependencies": {"eslint": "^9"}}"#,
    ] {
        assert_eq!(front_ends(&[flask[0], named, ("web/package.json", manifest)]), [""; 0], "{manifest}");
    }
    assert_eq!(
        front_ends(&[("package.json", EXPRESS), ("server.js", "'web'"), ("web/package.json", VITE)]),
        [""; 0]
    );
}

#[test]
fn one_front_end_is_built_and_a_broken_one_is_passed_over() {
    let app = "app = Flask(__name__, static_folder='web/dist', template_folder='admin/dist')\n";
    let flask = [("requirements.txt", "flask==3.1.0\n"), ("app.py", app)];
    assert_eq!(
        front_ends(&[flask[0], flask[1], ("admin/package.json", VITE), ("web/package.json", VITE)]),
        [
            "node in admin [assets]",
            "node in web [assets]",
            "node builds admin: admin/package.json only builds assets for the program, which names the folder",
            "detect/front-end: `web` is not built: `admin` is the front end that is",
        ]
    );
    let found = front_ends(&[flask[0], flask[1], ("web/package.json", "{")]);
    assert_eq!(
        found,
        [
            "detect/skipped: `web` is not looked at as a front end: `package.json` is not valid JSON: EOF while parsing an object"
        ]
    );
}

#[test]
fn the_runner_up_is_shown() {
    let found = detected(&[
        ("requirements.txt", "flask==3.1.0\n"),
        ("app.py", FLASK),
        ("package.json", r#"{"scripts": {"start": "node tool.js"}}"#),
    ]);
    let notices: Vec<String> =
        found.notices.iter().map(|one| format!("{}: {} {}", one.id, one.text, one.warning)).collect();
    assert_eq!(
        notices,
        [
            "detect/runner-up: it may also be node (50 points): +50 package.json has a start script; to choose: `--language node` false"
        ]
    );
}

#[test]
fn tools_beside_a_program_make_no_app() {
    let found = detected(&[
        ("go.mod", "module m\n"),
        ("main.go", "package main\n"),
        ("package.json", r#"{"devDependencies": {"husky": "^9"}}"#),
    ]);
    assert_eq!(found.language, "go");
    assert_eq!(
        shown(&found.candidates)[1],
        "node (-35 points): +25 package.json, -60 package.json has no program and no dependencies but tools [tool]"
    );
}

#[test]
fn two_programs_are_a_warning_and_under_strict_an_error() {
    let files = [("package.json", EXPRESS), ("requirements.txt", "flask\n"), ("app.py", FLASK)];
    let found = detected(&files);
    assert_eq!(found.language, "python");
    let notices: Vec<String> = found.notices.iter().map(|one| format!("{}: {}", one.id, one.text)).collect();
    assert_eq!(
        notices,
        ["detect/ambiguous: built as python (90 points): +50 flask app in app.py:2, +30 depends on flask, \
          +10 the program app.py, although it may be node (80 points): +50 package.json has a start script, \
          +30 package.json depends on express; to choose: `--language python` or `--language node`"]
    );
    assert!(found.notices[0].warning);
    let strict = Config { strict: true, ..Config::default() };
    assert_eq!(
        rendered(&run(&files, &strict).unwrap_err()),
        "error[detect/ambiguous] exit 3: the source may be `python` (90 points) or `node` (80 points), and `strict` \
         forbids to guess\n\
         python (90 points): +50 flask app in app.py:2, +30 depends on flask, +10 the program app.py\n\
         node (80 points): +50 package.json has a start script, +30 package.json depends on express\n\
         hint: `--language python`\nhint: `--language node`\n"
    );
}

#[test]
fn a_tie_falls_to_the_fixed_order() {
    let found = detected(&[
        ("go.mod", "module m\n"),
        ("cmd/x/main.go", "package main\n"),
        ("requirements.txt", ""),
        ("tool.py", "if __name__ == '__main__':\n  pass\n"),
        ("package.json", r#"{"scripts": {"start": "node x"}}"#),
    ]);
    let order: Vec<(&str, i32)> =
        found.candidates.iter().map(|one| (one.language.as_str(), one.score)).collect();
    assert_eq!(order, [("python", 60), ("go", 50), ("node", 50)]);
}

#[test]
fn a_configured_language_decides_and_a_broken_manifest_of_another_only_warns() {
    let files = [("package.json", "{"), ("requirements.txt", "flask\n")];
    let found = run(&files, &with_language("python")).unwrap();
    assert_eq!(found.language, "python");
    assert_eq!(
        shown(&found.candidates),
        [
            "python (55 points): +0 `language` is `python` (rpack.toml:2), +25 manifest of pip, +30 depends on flask [app]"
        ]
    );
    let texts: Vec<&str> = found.notices.iter().map(|one| one.text.as_str()).collect();
    assert_eq!(
        texts,
        ["facts of `node` are left out, as the language is given: `package.json` is not valid JSON: \
          EOF while parsing an object"]
    );
    let found = run(&[("x.txt", "")], &with_language("go")).unwrap();
    assert_eq!((found.language.as_str(), found.facts["go"]["module"].is_null()), ("go", true));
}

#[test]
fn an_unknown_language_lists_the_known_ones() {
    assert_eq!(
        rendered(&run(&[], &with_language("cobol")).unwrap_err()),
        "error[detect/unknown-language] exit 2: `language` is `cobol` (rpack.toml:2), which is none of `go`, `node`, \
         `procfile`, `python`, `shell`, `static`\nat rpack.toml:2:12\nhint: `--language go`\nhint: `--language node`\n\
         hint: `--language procfile`\nhint: `--language python`\nhint: `--language shell`\nhint: `--language static`\n"
    );
}

#[test]
fn nothing_recognised_lists_what_is_there_and_what_is_supported() {
    let advice = "supported:\n  Go: go.mod, go.work\n  Python: requirements.txt, pyproject.toml, Pipfile, setup.py, \
        setup.cfg, uv.lock, poetry.lock, pdm.lock, pylock.toml\n  Node.js: package.json\n  Static site: Staticfile, \
        index.html, hugo.toml, hugo.yaml\n  Shell script: start.sh, run.sh, entrypoint.sh\n  Procfile: Procfile\n\
        hint: run `rpack build DIR` with the folder that holds the app\n\
        hint: name the language: `--language LANGUAGE`, or `language = \"LANGUAGE\"` in `rpack.toml`\n\
        hint: say how to start it: a file `Procfile` with the line `web: COMMAND`\n";
    assert_eq!(
        refused(&[]),
        format!(
            "error[detect/none] exit 3: no language was recognised in `/src`: it holds no file, or ignore rules \
             leave none\n{advice}"
        )
    );
    let names: Vec<String> = (0..22).map(|number| format!("f{number:02}")).collect();
    let files: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "")).collect();
    let listed: Vec<String> = names[..20].iter().map(|name| format!("`{name}`")).collect();
    assert_eq!(
        refused(&files),
        format!(
            "error[detect/none] exit 3: no language was recognised in `/src`: found {} and 2 more\n{advice}",
            listed.join(", ")
        )
    );
}

#[test]
fn apps_in_folders_are_offered_one_by_one() {
    assert_eq!(
        refused(&[
            ("README.md", ""),
            ("backend/requirements.txt", ""),
            ("backend/web/package.json", ""),
            ("docs/package.json", ""),
            ("frontend/package.json", "{}"),
            (".hidden/go.mod", ""),
            ("a/b/c/d/go.mod", ""),
        ]),
        "error[detect/choose-app] exit 3: no language was recognised in `/src`, but 2 folders below it hold a \
         manifest\n/src/backend: requirements.txt\n/src/frontend: package.json\n\
         hint: `rpack build /src/backend`\nhint: `rpack build /src/frontend`\n"
    );
}

#[test]
fn a_single_app_below_is_offered_and_not_entered() {
    assert_eq!(
        refused(&[("README.md", ""), ("shop/go.mod", "module shop\n")]),
        "error[detect/choose-app] exit 3: no language was recognised in `/src`, but 1 folder below it holds a \
         manifest\n/src/shop: go.mod\nhint: `rpack build /src/shop`\n"
    );
}

#[test]
fn a_manifest_that_is_not_text_says_so() {
    let mut source = source(&[]);
    source.tree.insert("requirements.txt", Entry::bytes(*b"\xff\xfef\0"));
    let error = detect(&source, "", &Definitions::embedded(), &Config::default()).unwrap_err();
    assert_eq!(
        rendered(&error),
        "error[detect/encoding] exit 2: `requirements.txt` is not UTF-8 text: it is UTF-16\nat requirements.txt\n\
         hint: save `requirements.txt` as UTF-8\n"
    );
    let path = PathBuf::from("/nonexistent/Procfile");
    let kind = crate::store::tree::Kind::File { size: 1, content: crate::store::tree::Content::Path(path) };
    source.tree.insert("Procfile", Entry::new(kind, 0o644));
    source.tree.remove("requirements.txt");
    let error = detect(&source, "", &Definitions::embedded(), &Config::default()).unwrap_err();
    assert_eq!(
        rendered(&error),
        "error[detect/read] exit 1: cannot read `Procfile` of the source\nat Procfile\n"
    );
}

fn with_detector(text: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("detectors")).unwrap();
    std::fs::write(folder.path().join("detectors/extra.toml"), text).unwrap();
    let definitions = Definitions::with_folder(folder.path()).unwrap();
    let result = detect(&source(&[("package.json", "{}")]), "", &definitions, &Config::default());
    let error = rendered(&result.unwrap_err());
    error.replace(&folder.path().display().to_string(), "DIR")
}

#[test]
fn a_detector_is_checked_when_it_is_loaded() {
    let head = "id = \"extra\"\nname = \"Extra\"\norder = 1\nmanifests = []\n";
    let row = |when: &str| {
        format!("{head}[[evidence]]\nid = \"a\"\nscore = 1\nwhen = \"{when}\"\nreason = \"r\"\n")
    };
    assert_eq!(
        with_detector(&row("node.pakage")),
        "error[detect/definition] exit 2: the detector `DIR/detectors/extra.toml` is invalid: evidence `a`: \
         `node.pakage` is not a fact: `node` knows `angular`, `entry`, `inner`, `install_inputs`, `lifecycle`, `lock`, \
         `lone_typescript`, `main_file`, `manager`, `outside`, `package`, `remote_fonts`, `scripts`, `secrets`, `typescript`, \
         `typescript_entry`, `versions`, `without_lifecycle`, `workspace`, `writes_beside`\n"
    );
    assert_eq!(
        with_detector(&row("nod")),
        "error[detect/definition] exit 2: the detector `DIR/detectors/extra.toml` is invalid: evidence `a`: `nod` \
         is not a fact: rpack knows `files`, `go`, `lists`, `manifests`, `node`, `procfile`, `programs`, `python`, `shell`, `static`\n"
    );
    assert_eq!(
        with_detector(&row("node.package.scripts.start")),
        "error[detect/definition] exit 2: the detector `DIR/detectors/extra.toml` is invalid: evidence `a`: \
         `node.package.scripts.start` has no value\n"
    );
    assert_eq!(
        with_detector(&row("node and")),
        "error[detect/definition] exit 2: the detector `DIR/detectors/extra.toml` is invalid: evidence `a`: \
         syntax error: unexpected end of input, expected expression\n"
    );
    assert_eq!(
        with_detector(
            &head.replace("extra", "node").replace("manifests = []", "manifests = []\nevidence = []")
        ),
        "error[detect/definition] exit 2: the detector `detectors/node.toml` is invalid: \
         `DIR/detectors/extra.toml` has the same id `node`\n"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_source_panics(texts in prop::collection::vec(any::<String>(), 8)) {
        let names = ["package.json", "package-lock.json", "requirements.txt", "pyproject.toml", "go.mod", "main.go",
            "app.py", "Procfile"];
        for (index, name) in names.iter().enumerate() {
            let _ = run(&[(name, &texts[index]), ("package.json", "{}")], &Config::default());
        }
    }
}
