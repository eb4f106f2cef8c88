//! Locks of every manager: the lines that they give, what they leave out, and what is refused.

use std::fmt::Write as _;

use super::facts;
use crate::detect::tests::refused;

/// Lines, addresses, projects, names and drift.
fn installed(files: &[(&str, &str)]) -> String {
    let (python, notices) = facts(files);
    let install = &python["install"];
    let mut text =
        format!("{} from {}\n", python["manager"].as_str().unwrap(), install["file"].as_str().unwrap());
    for (key, name) in [("lines", "lines"), ("direct", "direct")] {
        let value = install[key].as_str().unwrap();
        if !value.is_empty() {
            write!(text, "{name}:\n{value}").unwrap();
        }
    }
    for key in ["exact", "hashed", "git", "dynamic", "needs_lock"] {
        if install[key] == true {
            writeln!(text, "{key}").unwrap();
        }
    }
    for key in ["files", "folders", "backends", "indexes", "names", "drift"] {
        if install[key] != serde_json::json!([]) {
            writeln!(text, "{key}: {}", install[key]).unwrap();
        }
    }
    for version in python["versions"].as_array().unwrap() {
        writeln!(text, "python {} ({}:{})", version["value"], version["file"], version["line"]).unwrap();
    }
    for notice in notices {
        writeln!(text, "{notice}").unwrap();
    }
    text
}

const UV: &str = r#"version = 1
revision = 3
requires-python = ">=3.11"

[manifest]
members = ["lib", "shop"]

[[package]]
name = "async-timeout"
version = "5.0.1"
source = { registry = "https://registry.example/simple" }
wheels = [{ url = "https://registry.example/a.whl", hash = "sha256:0a" }]

[[package]]
name = "colorama"
version = "0.4.6"
source = { registry = "https://registry.example/simple" }
wheels = [{ url = "https://registry.example/c.whl", hash = "sha256:0c" }]

[[package]]
name = "hiredis"
version = "3.2.1"
source = { registry = "https://registry.example/simple" }
sdist = { url = "https://registry.example/h.tar.gz", hash = "sha256:11" }
wheels = [{ url = "https://registry.example/h.whl", hash = "sha256:12" }]

[[package]]
name = "lib"
version = "0.1.0"
source = { editable = "libs/lib" }
dependencies = [{ name = "redis", extra = ["hiredis"] }, { name = "tool" }]

[[package]]
name = "pytest"
version = "9.0.0"
source = { registry = "https://registry.example/simple" }
wheels = [{ url = "https://registry.example/p.whl", hash = "sha256:0f" }]

[[package]]
name = "redis"
version = "6.2.0"
source = { registry = "https://registry.example/simple" }
dependencies = [{ name = "async-timeout", marker = "python_full_version < '3.11.3'" }]
wheels = [{ url = "https://registry.example/r.whl", hash = "sha256:0e" }]

[package.optional-dependencies]
hiredis = [{ name = "hiredis" }]

[[package]]
name = "shop"
version = "0.1.0"
source = { virtual = "." }
dependencies = [{ name = "colorama", marker = "sys_platform == 'win32'" }, { name = "lib" }, { name = "wheel-of-ours" }]

[package.dev-dependencies]
dev = [{ name = "pytest" }]

[[package]]
name = "tool"
version = "1.0"
source = { git = "https://git.example.com/tool.git?rev=main&subdirectory=python#0123456789abcdef0123456789abcdef01234567" }

[[package]]
name = "wheel-of-ours"
version = "2.0"
source = { path = "vendor/wheel_of_ours-2.0-py3-none-any.whl" }
wheels = [{ filename = "wheel_of_ours-2.0-py3-none-any.whl", hash = "sha256:20" }]
"#;

const SHOP: &str = r#"[project]
name = "shop"
version = "0.1.0"
requires-python = ">=3.11"
dependencies = ["lib", "wheel-of-ours", "colorama ; sys_platform == 'win32'"]
"#;

#[test]
fn a_lock_of_uv_with_a_member_a_commit_and_a_wheel() {
    let member = "[project]\nname = \"lib\"\n[build-system]\nrequires = [\"hatchling\"]\n";
    insta::assert_snapshot!(installed(&[
        ("pyproject.toml", SHOP),
        ("uv.lock", UV),
        ("libs/lib/pyproject.toml", member),
        ("vendor/wheel_of_ours-2.0-py3-none-any.whl", "")
    ]));
}

#[test]
fn what_a_lock_does_not_hold_is_named_with_its_place() {
    let manifest = SHOP.replace("\"lib\"", "\"lib>=2\", \"redis<6\", \"httpx>=1\"");
    let (python, _) = facts(&[("pyproject.toml", &manifest), ("uv.lock", UV)]);
    assert_eq!(
        python["install"]["drift"],
        serde_json::json!([
            "lib: pyproject.toml:5 wants >=2, uv.lock has 0.1.0",
            "redis: pyproject.toml:5 wants <6, uv.lock has 6.2.0",
            "httpx: pyproject.toml:5 wants >=1, uv.lock does not have it"
        ])
    );
}

const POETRY: &str = r#"[tool.poetry]
name = "shop"

[tool.poetry.dependencies]
python = "^3.11"
flask = "^3.0"
redis = {version = "^6.0", extras = ["hiredis"], python = ">=3.8,<4"}
psycopg = {version = "^3.2", optional = true}

[[tool.poetry.source]]
name = "ours"
url = "https://registry.example/ours/simple/"

[build-system]
requires = ["poetry-core"]
build-backend = "poetry.core.masonry.api"
"#;

/// One package of a lock of Poetry.
fn poetry_package(name: &str, version: &str, more: &str) -> String {
    format!(
        "[[package]]\nname = \"{name}\"\nversion = \"{version}\"\noptional = false\nfiles = [{{file = \"{name}.whl\", \
         hash = \"sha256:0{version}\"}}]\n{more}\n"
    )
    .replace("sha256:03.0", "sha256:30")
    .replace("sha256:06.0", "sha256:60")
    .replace("sha256:01.0", "sha256:10")
}

#[test]
fn a_lock_of_poetry_states_groups_and_markers() {
    let lock = [
        poetry_package("Flask", "3.0", "groups = [\"main\"]"),
        poetry_package(
            "redis",
            "6.0",
            "groups = [\"main\", \"dev\"]\nmarkers = {main = \"python_version < \\\"3.12\\\"\"}",
        ),
        poetry_package("colorama", "1.0", "groups = [\"main\"]\nmarkers = \"sys_platform == \\\"win32\\\"\""),
        poetry_package("pytest", "1.0", "groups = [\"dev\"]"),
        "[metadata]\nlock-version = \"2.1\"\npython-versions = \"^3.11\"\n".to_owned(),
    ];
    insta::assert_snapshot!(installed(&[
        ("pyproject.toml", POETRY),
        ("poetry.lock", &lock.concat()),
        ("shop/__init__.py", "")
    ]));
}

#[test]
fn an_older_lock_of_poetry_is_walked_from_the_manifest() {
    let lock = [
        poetry_package(
            "flask",
            "3.0",
            "[package.dependencies]\nclick = \">=8\"\n[package.extras]\nasync = [\"asgiref (>=3.2)\"]\n",
        ),
        poetry_package(
            "click",
            "1.0",
            "[package.dependencies]\ncolorama = {version = \"*\", markers = \"platform_system == \\\"Windows\\\"\"}\n",
        ),
        poetry_package("colorama", "1.0", ""),
        poetry_package("asgiref", "1.0", ""),
        poetry_package(
            "redis",
            "6.0",
            "[package.dependencies]\nhiredis = {version = \">=3\", optional = true, markers = \"extra == \\\"hiredis\\\"\"}\n[package.extras]\nhiredis = [\"hiredis (>=3)\"]\n",
        ),
        poetry_package("hiredis", "3.0", ""),
        poetry_package("pytest", "1.0", ""),
        "[metadata]\nlock-version = \"2.0\"\npython-versions = \"^3.11\"\n".to_owned(),
    ];
    insta::assert_snapshot!(installed(&[("pyproject.toml", POETRY), ("poetry.lock", &lock.concat())]));
}

#[test]
fn a_lock_of_pdm_with_and_without_inherited_metadata() {
    let manifest = "[project]\nname = \"shop\"\ndependencies = [\"uvicorn[standard]\"]\n[tool.pdm]\ndistribution = false\n";
    let packages = "[[package]]\nname = \"uvicorn\"\nversion = \"0.30\"\ngroups = [\"default\"]\nmarker = \"python_version >= \\\"3.11\\\"\"\n\
        dependencies = [\"click>=8\"]\nfiles = [{file = \"u.whl\", hash = \"sha256:01\"}]\n\
        [[package]]\nname = \"uvicorn\"\nversion = \"0.30\"\nextras = [\"standard\"]\ngroups = [\"default\"]\n\
        dependencies = [\"uvicorn==0.30\", \"httptools ; sys_platform != 'win32'\"]\nfiles = [{file = \"u.whl\", hash = \"sha256:01\"}]\n\
        [[package]]\nname = \"click\"\nversion = \"8.1\"\ngroups = [\"default\"]\nfiles = [{file = \"c.whl\", hash = \"sha256:02\"}]\n\
        [[package]]\nname = \"httptools\"\nversion = \"0.6\"\ngroups = [\"default\"]\nfiles = [{file = \"h.whl\", hash = \"sha256:03\"}]\n\
        [[package]]\nname = \"pytest\"\nversion = \"9.0\"\ngroups = [\"dev\"]\nfiles = [{file = \"p.whl\", hash = \"sha256:04\"}]\n";
    let mut text = String::new();
    for strategy in ["\"inherit_metadata\"", ""] {
        let lock = format!(
            "[metadata]\nlock_version = \"4.5.0\"\nstrategy = [{strategy}]\n[[metadata.targets]]\nrequires_python = \">=3.11\"\n{packages}"
        );
        text += &installed(&[("pyproject.toml", manifest), ("pdm.lock", &lock)]);
        text.push('\n');
    }
    insta::assert_snapshot!(text);
}

#[test]
fn a_pylock_and_a_lock_of_pipenv() {
    let pylock = "lock-version = \"1.0\"\nrequires-python = \">=3.12\"\ncreated-by = \"uv\"\n\
        [[packages]]\nname = \"click\"\nversion = \"8.1\"\nwheels = [{ name = \"c.whl\", url = \"https://registry.example/c.whl\", hashes = { sha256 = \"0c\" } }]\n\
        [[packages]]\nname = \"repo\"\nvcs = { type = \"git\", url = \"https://git.example.com/r.git\", commit-id = \"abc123\" }\n\
        [[packages]]\nname = \"shop\"\ndirectory = { path = \".\", editable = true }\n";
    let mut text = installed(&[("pylock.toml", pylock)]);
    let pipfile = "[[source]]\nname = \"ours\"\nurl = \"https://registry.example/simple\"\n[packages]\nflask = \"~=3.0\"\n\
        sentry-sdk = {extras = [\"flask\"], version = \"*\"}\n[requires]\npython_version = \"3.11\"\n";
    let lock = r#"{"_meta": {"pipfile-spec": 6, "requires": {"python_version": "3.11"}, "sources": []}, "default": {
        "flask": {"hashes": ["sha256:01"], "markers": "python_version >= '3.9'", "version": "==3.0.1"},
        "pywin32": {"hashes": ["sha256:02"], "markers": "sys_platform == 'win32'", "version": "==1"},
        "sentry-sdk": {"extras": ["flask"], "hashes": ["sha256:03"], "version": "==2.0"}},
        "develop": {"pytest": {"hashes": ["sha256:04"], "version": "==9.0"}}}"#;
    text.push('\n');
    text += &installed(&[("Pipfile", pipfile), ("Pipfile.lock", lock)]);
    insta::assert_snapshot!(text);
}

#[test]
fn manifests_without_a_lock() {
    let mut text = String::new();
    let pyproject = "[project]\nname = \"x\"\ndependencies = [\"flask>=3\", \"tool @ git+https://git.example.com/t.git@v1\"]\n";
    let sources = format!("{SHOP}[tool.uv.sources]\nlib = {{ workspace = true }}\n");
    let script = "# /// script\n# requires-python = \">=3.12\"\n# dependencies = [\n#   \"rich>=13\",\n# ]\n# ///\nimport rich\n";
    let pipfile = "[packages]\nflask = \"*\"\nwindows = {version = \">=1\", sys_platform = \"== 'win32'\"}\n";
    let cases: [&[(&str, &str)]; 7] = [
        &[("pyproject.toml", pyproject)],
        &[("pyproject.toml", &sources)],
        &[("pyproject.toml", POETRY)],
        &[("Pipfile", pipfile)],
        &[("setup.py", "from setuptools import setup\nsetup()\n")],
        &[("main.py", script)],
        &[("environment.yml", "dependencies: [flask]\n"), ("app.py", "")],
    ];
    for files in cases {
        text += &installed(files);
        text.push('\n');
    }
    insta::assert_snapshot!(text);
}

#[test]
fn locks_that_cannot_be_used_are_shown_at_their_place() {
    let mut text = String::new();
    let uv = |from: &str, to: &str| UV.replace(from, to);
    for lock in [
        uv("version = 1\n", "version = 2\n"),
        uv("version = \"0.4.6\"", "version = \"1 --index-url=https://x\""),
        uv("name = \"async-timeout\"\nversion", "name = \"-r secrets\"\nversion"),
        uv("sha256:0e", "sha256:0e --pre"),
        uv("libs/lib", "../lib"),
        uv("python_full_version < '3.11.3'", "python_full_version < "),
        uv("revision = 3", "revision = = 3"),
    ] {
        let lock = lock.replace("'win32'", "'linux'").replace("\"shop\"\nversion = \"0.1.0\"\nsource = { virtual = \".\" }\ndependencies = [", "\"shop\"\nversion = \"0.1.0\"\nsource = { virtual = \".\" }\ndependencies = [{ name = \"async-timeout\" }, { name = \"-r secrets\" }, ");
        text += &refused(&[("pyproject.toml", SHOP), ("uv.lock", &lock)]);
        text.push('\n');
    }
    let old = "[[package]]\nname = \"x\"\nversion = \"1\"\n[metadata]\nlock-version = \"1.0\"\n";
    text += &refused(&[("pyproject.toml", POETRY), ("poetry.lock", old)]);
    text += &refused(&[("pyproject.toml", SHOP), ("pdm.lock", "[metadata]\nlock_version = \"3.1\"\n")]);
    text += &refused(&[("Pipfile", ""), ("Pipfile.lock", "{\"_meta\": {\"pipfile-spec\": 5},\n}")]);
    insta::assert_snapshot!(text);
}
