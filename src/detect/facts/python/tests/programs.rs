//! What is started: Django projects, pages, workers, declared commands, scripts.

use serde_json::json;

use super::facts;
use crate::detect::tests::refused;

#[test]
fn settings_of_django_are_followed_through_their_imports() {
    let manage = "import os\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop.settings.prod')\n";
    let base = "from ..paths import ROOT\nINSTALLED_APPS = [\n  'django.contrib.staticfiles',  # c\n]\nSECRET_KEY = os.environ['SHOP_KEY']\n\
        WSGI_APPLICATION = 'shop.wsgi.application'\nSTATIC_ROOT = None\n";
    let (python, _) = facts(&[
        ("pyproject.toml", "[project]\nname = 'shop'\ndependencies = ['django']\n"),
        ("src/manage.py", manage),
        ("src/shop/settings/__init__.py", ""),
        ("src/shop/settings/base.py", base),
        (
            "src/shop/settings/prod.py",
            "from .base import *\nSTATIC_ROOT: str = ROOT / 'static'\nSTATIC_ROOT = str(ROOT)\n",
        ),
        ("src/shop/wsgi.py", ""),
    ]);
    assert_eq!(
        python["django"],
        json!({
            "manage": "src/manage.py", "directory": "src", "settings": "shop.settings.prod",
            "settings_file": "src/shop/settings/prod.py", "static_files": true, "static_root": true,
            "wsgi": "shop.wsgi:application", "asgi": null, "secrets": ["SHOP_KEY"],
        })
    );
}

#[test]
fn pages_workers_packages_and_needed_imports() {
    let (python, _) = facts(&[
        ("pages.py", "import streamlit.components as c\n"),
        ("streamlit_app.py", "import streamlit as st\n"),
        ("demo.py", "import gradio as gr\nwith gr.Blocks() as ui:\n    pass\nui.launch(share=False)\n"),
        ("mounted.py", "import gradio\n"),
        (
            "work.py",
            "from celery import Celery\nqueue = Celery('t')\ntry:\n    import orjson\nexcept ImportError:\n    import json\n",
        ),
        ("tool/__init__.py", ""),
        ("tool/__main__.py", "import tool.core, os\nfrom . import core\nfrom yaml import load\n"),
    ]);
    assert_eq!(
        python["screens"],
        json!([
            { "file": "streamlit_app.py", "line": 1, "framework": "streamlit" },
            { "file": "demo.py", "line": 1, "framework": "gradio" },
            { "file": "pages.py", "line": 1, "framework": "streamlit" },
        ])
    );
    assert_eq!(python["workers"][0]["variable"], "queue");
    assert_eq!(python["workers"][0]["framework"], "celery");
    assert_eq!(python["packages"], json!(["tool"]));
    assert_eq!(python["imports"], json!(["celery", "gradio", "os", "streamlit", "yaml"]));
    assert_eq!(python["apps"], json!([]));
}

#[test]
fn a_declared_command_or_entrypoint_decides() {
    let app = ("shop/web.py", "from fastapi import FastAPI\nother = FastAPI()\nsite = FastAPI()\n");
    let of = |more: &str| {
        let manifest = format!("[project]\nname = 'shop'\n{more}");
        let (python, _) = facts(&[("pyproject.toml", &manifest), ("shop/__init__.py", ""), app]);
        (python["program"].clone(), python["apps"][0]["variable"].clone())
    };
    assert_eq!(of(""), (json!(null), json!("other")));
    assert_eq!(of("[tool.fastapi]\nentrypoint = 'shop.web:site'\n"), (json!(null), json!("site")));
    assert_eq!(of("[project.scripts]\nserve = 'shop.web:site'\n"), (json!(null), json!("site")));
    assert_eq!(
        of("[project.scripts]\nserve = 'shop.cli:main'\nx = 'shop.x:x'\n"),
        (json!({ "name": "serve", "target": "shop.cli:main", "named": true }), json!("other"))
    );
    assert_eq!(
        of("[project.scripts]\nx = 'shop.x:x'\n"),
        (json!({ "name": "x", "target": "shop.x:x", "named": false }), json!("other"))
    );
    assert_eq!(of("[project.scripts]\nx = 'shop.x:x'\ny = 'shop.y:y'\n"), (json!(null), json!("other")));
}

#[test]
fn apps_in_two_folders_are_rivals_until_one_is_named() {
    let text = "from flask import Flask\napp = Flask('x')\n";
    let files = [("a/__init__.py", ""), ("a/main.py", text), ("b/__init__.py", ""), ("b/main.py", text)];
    assert_eq!(facts(&files).0["rivals"][0]["file"], "b/main.py");
    let mut one = files.to_vec();
    one.push(("app.py", text));
    assert_eq!((&facts(&one).0["rivals"], &facts(&one).0["apps"][0]["file"]), (&json!([]), &json!("app.py")));
    let mut named = files.to_vec();
    named.push(("pyproject.toml", "[project]\nname = 'x'\n[project.scripts]\nserve = 'b.main:app'\n"));
    let (python, _) = facts(&named);
    assert_eq!((&python["rivals"], &python["apps"][0]["module"]), (&json!([]), &json!("b.main")));
}

#[test]
fn a_broken_script_or_pipfile_is_shown_at_its_place() {
    let mut text =
        refused(&[("main.py", "import x\n# /// script\n# dependencies = [\n#   \"rich>>1\",\n# ]\n# ///\n")]);
    text += &refused(&[("main.py", "# /// script\n# dependencies = 1\n# ///\n")]);
    text += &refused(&[("Pipfile", "[packages]\nflask = \n")]);
    insta::assert_snapshot!(text);
}
