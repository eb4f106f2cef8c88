//! Facts of Python from trees in memory.

mod locks;
mod programs;

use proptest::prelude::*;
use serde_json::json;

use super::super::Files;
use crate::detect::tests::{refused, source};

fn facts(files: &[(&str, &str)]) -> (serde_json::Value, Vec<String>) {
    let source = source(files);
    let mut notices = Vec::new();
    let python = super::read(&Files::new(&source, ""), &mut notices).unwrap();
    let notices = notices.into_iter().map(|one| format!("{}: {}", one.id, one.text)).collect();
    (serde_json::to_value(python).unwrap(), notices)
}

/// Requirements in short: name, extras, specifier, marker, URL, place.
fn requirements(files: &[(&str, &str)]) -> Vec<String> {
    let (python, _) = facts(files);
    let texts = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    python["requirements"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            format!(
                "{}|{}|{}|{}|{}|{}:{}",
                texts(&one["name"]),
                one["extras"],
                texts(&one["spec"]),
                texts(&one["marker"]),
                texts(&one["url"]),
                texts(&one["file"]),
                one["line"]
            )
        })
        .collect()
}

#[test]
fn requirements_of_every_form_are_read() {
    let text = "# c\r\n--index-url https://host/simple --pre\r\nFlask[Async, dotenv] >=3,<4 ; python_version > \"3.8\" # c\r\n\
        Zope.Interface==7.0\r\nname_x @ https://h/x-1.whl ; os_name == 'posix'\r\ngit+https://h/r.git@v1#egg=Repo_X\r\n\
        https://h/some_wheel-1.0-py3-none-any.whl\r\n-e ./lib\r\n.\r\nlegacy (>=1.0)\r\n\
        multi \\\r\n  ==1.0 \\\r\n  --hash=sha256:00 \\\r\n  --hash=sha256:11\r\nlast";
    assert_eq!(
        requirements(&[("requirements.txt", text)]),
        [
            "flask|[\"async\",\"dotenv\"]|>=3,<4|python_version > \"3.8\"||requirements.txt:3",
            "zope-interface|[]|==7.0|||requirements.txt:4",
            "name-x|[]||os_name == 'posix'|https://h/x-1.whl|requirements.txt:5",
            "repo-x|[]|||git+https://h/r.git@v1#egg=Repo_X|requirements.txt:6",
            "some-wheel|[]|||https://h/some_wheel-1.0-py3-none-any.whl|requirements.txt:7",
            "legacy|[]|>=1.0|||requirements.txt:10",
            "multi|[]|==1.0|||requirements.txt:11",
            "last|[]||||requirements.txt:15",
        ]
    );
    let (python, _) = facts(&[("requirements.txt", text)]);
    assert_eq!(python["local"], json!(["./lib", "."]));
    assert_eq!(python["hashed"], true);
    assert_eq!(
        python["unpinned"],
        json!(["flask (requirements.txt:3)", "legacy (requirements.txt:10)", "last (requirements.txt:15)"])
    );
    assert_eq!(python["requirements"][6]["hashed"], true);
}

#[test]
fn included_files_are_relative_to_the_including_one() {
    let (python, _) = facts(&[
        ("requirements.txt", "-r requirements/prod.txt\n-cconstraints.txt\n"),
        ("requirements/prod.txt", "--requirement=base.txt\ngunicorn\n-r ../extra.txt\n"),
        ("requirements/base.txt", "flask\n"),
        ("extra.txt", "-r requirements/base.txt\n"),
        ("constraints.txt", "gunicorn==23.0.0\nflask<4\n"),
    ]);
    let names: Vec<&str> =
        python["requirements"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["flask", "gunicorn"]);
    assert_eq!(python["dependencies"], json!(["flask", "gunicorn"]));
    assert_eq!(
        python["files"],
        json!([
            "constraints.txt",
            "extra.txt",
            "requirements.txt",
            "requirements/base.txt",
            "requirements/prod.txt"
        ])
    );
    assert_eq!(python["unpinned"], json!(["flask (requirements/base.txt:1)"]));
}

#[test]
fn broken_requirements_are_shown_at_their_place() {
    assert_eq!(
        refused(&[("requirements.txt", "flask\n\n-r missing.txt\n")]),
        "error[python/requirements-missing] exit 2: `requirements.txt` includes `missing.txt`, which is not in the \
         source\nat requirements.txt:3\nhint: add `missing.txt`, delete the line, or check that no ignore rule hides \
         the file\n"
    );
    assert_eq!(
        refused(&[("requirements.txt", "-r ../secret.txt\n")]),
        "error[python/requirements-missing] exit 2: `requirements.txt` includes `../secret.txt`, which is not in the \
         source\nat requirements.txt:1\nhint: add `../secret.txt`, delete the line, or check that no ignore rule \
         hides the file\n"
    );
    assert_eq!(
        refused(&[("requirements.txt", "-r a.txt"), ("a.txt", "\n-r requirements.txt")]),
        "error[python/requirements-cycle] exit 2: `a.txt` includes `requirements.txt`, which is already being read: \
         requirements.txt → a.txt → requirements.txt\nat a.txt:2\nhint: delete one of the lines of the circle\n"
    );
    let invalid = |line: &str, problem: &str, column: usize| {
        assert_eq!(
            refused(&[("requirements.txt", &format!("x\n{line}\n"))]),
            format!(
                "error[python/requirements-invalid] exit 2: `requirements.txt` is not valid: {problem}\n\
                 at requirements.txt:2:{column}\n2 | {line}\n  | {:width$}^\nhint: correct `requirements.txt` at the caret\n",
                "",
                width = column - 1
            )
        );
    };
    invalid("flask = 3", "`= 3` is not a version specifier", 7);
    invalid("flask 3.0", "a version such as `==3.0`, `@ URL` or `;` is needed after `flask`, found `3.0`", 7);
    invalid("flask[a", "`,` or `]` is needed after an extra", 8);
    invalid("flask[a b]", "`,` or `]` is needed after an extra", 9);
    invalid("=1", "a package name is needed", 1);
    invalid("flask @", "a URL is needed after `@`", 8);
    invalid("--colour x", "`--colour` is not an option of requirements files", 1);
    invalid("-r", "`-r` needs a value", 1);
    invalid("flask --pre", "`--pre` is not an option of a requirement", 7);
    invalid("-r https://h/x", "it includes `https://h/x`, and only files of the source can be included", 1);
}

#[test]
fn a_project_states_version_scripts_and_dependencies() {
    let text = "[build-system]\nrequires = [\"hatchling\"]\n\n[project]\nname = \"shop\"\nrequires-python = \">=3.11\"\n\
        dependencies = [\"Flask>=3\", \"uvicorn[standard]\"]\n\n[project.scripts]\nserve = \"shop:main\"\n\n\
        [project.urls]\n\"Home Page\" = \"https://shop.acme.example\"\n";
    let text = text.replace(
        "name = \"shop\"\n",
        "name = \"shop\"\nversion = \"1.4\"\nlicense = \"MIT\"\nauthors = [{name = \"Ada\"}, {email = \"b@acme.example\"}]\n",
    );
    let (python, _) = facts(&[
        ("pyproject.toml", &text),
        (".python-version", "cpython-3.13\n"),
        ("runtime.txt", "python-3.12.1"),
        (".tool-versions", "python 3.14.0"),
    ]);
    assert_eq!(
        python["project"],
        json!({
            "name": "shop", "declared": true, "build_system": true, "poetry": false, "scripts": {"serve": "shop:main"},
            "version": "1.4",
            "about": {
                "description": "", "licenses": "MIT", "authors": "Ada, b@acme.example",
                "url": "https://shop.acme.example", "documentation": "",
            },
        })
    );
    assert_eq!(python["manager"], "pyproject");
    assert_eq!(python["dependencies"], json!(["flask", "uvicorn"]));
    assert_eq!(
        python["versions"],
        json!([
            {"value": "3.13", "file": ".python-version", "line": 1, "key": ""},
            {"value": "3.12.1", "file": "runtime.txt", "line": 1, "key": ""},
            {"value": "3.14.0", "file": ".tool-versions", "line": 1, "key": "python"},
            {"value": ">=3.11", "file": "pyproject.toml", "line": 9, "key": "project.requires-python"},
        ])
    );
}

#[test]
fn poetrys_own_table_is_read() {
    let text = "[tool.poetry]\nname = \"p\"\nversion = \"2.0\"\nauthors = [\"Ada\"]\n[tool.poetry.dependencies]\npython = \"^3.11\"\nDjango = {version = \"5\"}\n";
    let (python, _) = facts(&[("pyproject.toml", text)]);
    assert_eq!(python["manager"], "poetry");
    let project = &python["project"];
    assert_eq!((&project["version"], &project["about"]["authors"]), (&json!("2.0"), &json!("Ada")));
    assert_eq!(python["dependencies"], json!(["django"]));
    assert_eq!(
        python["versions"],
        json!([{"value": "^3.11", "file": "pyproject.toml", "line": 6, "key": "tool.poetry.dependencies.python"}])
    );
}

#[test]
fn the_manager_is_that_of_the_first_lock() {
    let manager = |files: &[(&str, &str)]| facts(files).0["manager"].clone();
    assert_eq!(manager(&[("requirements.txt", "")]), "pip");
    assert_eq!(manager(&[("requirements/base.txt", "")]), "pip");
    assert_eq!(manager(&[("Pipfile", "")]), "pipenv");
    assert_eq!(manager(&[("setup.py", "")]), "pyproject");
    assert_eq!(manager(&[("pyproject.toml", "[tool.black]\n")]), "none");
    let (python, notices) = facts(&[("requirements.txt", ""), ("uv.lock", "version = 1"), ("pdm.lock", "")]);
    assert_eq!((&python["manager"], &python["other_locks"]), (&json!("uv"), &json!(["pdm.lock"])));
    assert_eq!(
        notices,
        [
            "python/multiple-managers: `uv.lock` is used and `requirements.txt` is not: delete what is not kept up to date"
        ]
    );
    let (_, notices) = facts(&[("requirments.txt", "")]);
    assert_eq!(
        notices,
        ["python/misspelled: `requirments.txt` is not read: did you mean `requirements.txt`?"]
    );
}

#[test]
fn a_broken_project_is_shown_at_its_place() {
    assert_eq!(
        refused(&[("pyproject.toml", "[project]\nname = shop\n")]),
        "error[python/manifest-invalid] exit 2: `pyproject.toml` is not valid: string values must be quoted, expected \
         literal string\nat pyproject.toml:2:8\n2 | name = shop\n  |        ^\nhint: correct `pyproject.toml` at the \
         caret\n"
    );
    assert_eq!(
        refused(&[("pyproject.toml", "[project]\ndependencies = [\"flask 3\"]\n")]),
        "error[python/manifest-invalid] exit 2: `pyproject.toml` has a dependency that is not valid: a version such as \
         `==3`, `@ URL` or `;` is needed after `flask`, found `3`\nat pyproject.toml:2:17\n\
         2 | dependencies = [\"flask 3\"]\n  |                 ^\nhint: correct `pyproject.toml` at the caret\n"
    );
}

/// Apps in short: `module:variable`, `()` for factories, framework, interface, place.
fn apps(files: &[(&str, &str)]) -> Vec<String> {
    let (python, _) = facts(files);
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    python["apps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|app| {
            let call = if app["factory"] == json!(true) { "()" } else { "" };
            let directory = text(&app["directory"]);
            let directory = if directory.is_empty() { directory } else { format!(" in {directory}") };
            format!(
                "{}:{}{call} {} {} {}:{}{directory}",
                text(&app["module"]),
                text(&app["variable"]),
                text(&app["framework"]),
                text(&app["interface"]),
                text(&app["file"]),
                app["line"]
            )
        })
        .collect()
}

#[test]
fn app_objects_are_found_through_imports() {
    for (text, expected) in [
        ("from flask import Flask as F\napp = F(__name__)\n", "m:app flask wsgi m.py:2"),
        ("import flask\n\napp = flask.Flask(\n  __name__\n)\n", "m:app flask wsgi m.py:3"),
        ("import fastapi as f\napi: f.FastAPI = f.FastAPI()\n", "m:api fastapi asgi m.py:2"),
        ("from fasthtml.common import *\napp, rt = fast_app()\n", "m:app fasthtml asgi m.py:2"),
        (
            "from starlette.applications import (\n  Starlette,\n)\na = b = Starlette()\n",
            "m:a starlette asgi m.py:4 m:b starlette asgi m.py:4",
        ),
        ("import falcon.asgi\napp = falcon.asgi.App()\n", "m:app falcon asgi m.py:2"),
        ("from dash import Dash\nx = Dash()\nserver = x.server\n", "m:server dash wsgi m.py:3"),
        (
            "try:\n  from quart import Quart\nexcept ImportError: pass\nif True:\n  app = Quart('x')\n",
            "m:app quart asgi m.py:5",
        ),
        ("from flask import Flask; app = Flask('x')\n", "m:app flask wsgi m.py:1"),
        (
            "from flask import Flask\ndef create_app(config=None, *, x: int = 1, **o) -> Flask:\n  app = Flask('x')\n  return app\n",
            "m:create_app() flask wsgi m.py:2",
        ),
        (
            "from fastapi import FastAPI\ndef make_app():\n  return FastAPI()\n",
            "m:make_app() fastapi asgi m.py:2",
        ),
        ("from flask import Flask\ndef create_app(config):\n  return Flask('x')\n", ""),
        ("from flask import Flask\ndef f():\n  app = Flask('x')\nclass A:\n  app = Flask('x')\n", ""),
        ("from flask import Flask\nif __name__ == '__main__':\n  app = Flask('x')\n", ""),
        ("from flask_cors import Flask\napp = Flask('x')\n# app = flask.Flask()\n", ""),
        ("'''\nfrom flask import Flask\n'''\napp = Flask('x')\n", ""),
    ] {
        assert_eq!(apps(&[("m.py", text)]).join(" "), expected, "{text}");
    }
}

#[test]
fn apps_come_best_first() {
    let flask = "from flask import Flask\n";
    let app = format!("{flask}other = Flask('x')\napp = Flask('x')\n");
    let factory = format!("{flask}def create_app():\n  return Flask('x')\n");
    assert_eq!(
        apps(&[
            ("zeta.py", &app),
            ("main.py", &factory),
            ("server.py", &app),
            ("app/__init__.py", &app),
            ("app/main.py", &app),
            ("shop/__init__.py", ""),
            (
                "shop/wsgi.py",
                "from django.core.wsgi import get_wsgi_application\napplication = get_wsgi_application()\n"
            ),
            ("plain/main.py", &app),
            ("tests/app.py", &app),
            ("src/lib/__init__.py", ""),
            ("src/lib/main.py", &app),
        ]),
        [
            "server:app flask wsgi server.py:3",
            "server:other flask wsgi server.py:2",
            "app.main:app flask wsgi app/main.py:3",
            "app.main:other flask wsgi app/main.py:2",
            "lib.main:app flask wsgi src/lib/main.py:3 in src",
            "lib.main:other flask wsgi src/lib/main.py:2 in src",
            "shop.wsgi:application django wsgi shop/wsgi.py:2",
            "app:app flask wsgi app/__init__.py:3",
            "zeta:app flask wsgi zeta.py:3",
            "app:other flask wsgi app/__init__.py:2",
            "zeta:other flask wsgi zeta.py:2",
            "main:create_app() flask wsgi main.py:2",
        ]
    );
}

#[test]
fn scripts_at_the_root_come_best_first() {
    let guard = "import x\nif __name__ == \"__main__\":\n  x.run()\n";
    let (python, _) = facts(&[
        ("worker.py", ""),
        ("run.py", ""),
        ("job.py", guard),
        ("lib.py", "# if __name__ == '__main__':\n"),
        ("manage.py", guard),
        ("test_x.py", guard),
        ("sub/main.py", guard),
    ]);
    assert_eq!(python["mains"], json!(["run.py", "worker.py", "job.py"]));
}

proptest! {
    #[test]
    fn no_text_panics(
        text in any::<String>(),
        line in r#"[a-zA-Z0-9_.\[\],;@<>=!~#\\ \r\n:/'"()-]{0,40}"#,
        program in r#"(from|import|flask|Flask| |app|=|\(|\)|def create_app|:|\n|\n  |return|,|\*|'|"|;|#){0,20}"#,
    ) {
        for text in [&text, &line, &program] {
            for name in ["requirements.txt", "pyproject.toml", "runtime.txt"] {
                let source = source(&[(name, text)]);
                let _ = super::read(&Files::new(&source, ""), &mut Vec::new());
            }
            let source = crate::detect::tests::source(&[("main.py", text)]);
            prop_assert!(super::read(&Files::new(&source, ""), &mut Vec::new()).is_ok());
        }
    }
}

#[test]
fn functions_of_the_functions_framework_are_known_by_their_decorators() {
    let text = "import functions_framework\nfrom functions_framework import http as h\n\n@functions_framework.cloud_event\n\
        @other\ndef stored(event):\n    @h\n    def inner(x): ...\n\n@h\ndef hello(request):\n    return \"x\"\n\ndef helper(): ...\n";
    let (python, _) = facts(&[("requirements.txt", ""), ("main.py", text)]);
    assert_eq!(python["functions"], json!(["stored", "hello"]));
}
