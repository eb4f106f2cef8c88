//! Facts of Go from trees in memory.

use proptest::prelude::*;
use serde_json::json;

use super::super::Files;
use crate::detect::tests::{refused, source};

fn facts(files: &[(&str, &str)]) -> serde_json::Value {
    let source = source(files);
    serde_json::to_value(super::read(&Files::new(&source, "")).unwrap()).unwrap()
}

const MOD: &str = "// The app.\nmodule example.com/shop // comment\n\ngo 1.22\n\ntoolchain go1.27.1\n\nrequire (\n\t\
    github.com/go-chi/chi/v5 v5.1.0\n\tgolang.org/x/text v0.3.0 // indirect\n)\n\nrequire \"a.b/c\" v1.0.0\n\n\
    replace a.b/c => ../c\nreplace a.b/d v1.0.0 => ./d\nreplace a.b/e => a.b/f v1.2.3\n\nretract [v1.0.0, v1.1.0]\n\
    tool golang.org/x/tools/cmd/stringer\n";

#[test]
fn a_module_is_read_whole() {
    let found = facts(&[
        ("go.mod", MOD),
        ("go.sum", ""),
        (".go-version", "1.26.2\n"),
        ("main.go", "package main\n"),
        ("cmd/tool/main.go", "// Command tool.\n\n/* x */ package main\n"),
        ("internal/gen/main.go", "package main\n"),
        ("examples/a/main.go", "package main\n"),
        ("vendor/x/main.go", "package main\n"),
        ("other/go.mod", "module other\n"),
        ("other/main.go", "package main\n"),
        ("lib/lib.go", "package lib\n"),
        ("lib/lib_test.go", "package main\n"),
    ]);
    assert_eq!(
        found,
        json!({
            "module": "example.com/shop",
            "versions": [
                {"value": "1.26.2", "file": ".go-version", "line": 1, "key": ""},
                {"value": "1.27.1", "file": "go.mod", "line": 6, "key": "toolchain"},
                {"value": "1.22", "file": "go.mod", "line": 4, "key": "go"},
            ],
            "requires": {
                "github.com/go-chi/chi/v5": "v5.1.0", "golang.org/x/text": "v0.3.0", "a.b/c": "v1.0.0",
            },
            "has_sum": true, "vendored": false, "vendor_drift": [], "workspace": false,
            "mains": [".", "cmd/tool"], "cgo": false, "cgo_libraries": [], "embeds": [],
            "standard": true, "reads": [], "front_ends": [],
            "replaces_outside": ["a.b/c => ../c"],
        })
    );
}

#[test]
fn a_workspace_brings_its_modules() {
    let found = facts(&[
        ("go.work", "go 1.25.0\n\nuse (\n\t./api\n\tlib\n)\n"),
        ("api/go.mod", "module api\n"),
        ("api/cmd/serve/main.go", "package main\n"),
        ("lib/go.mod", "module lib\n"),
        ("stray/go.mod", "module stray\n"),
        ("stray/main.go", "package main\n"),
    ]);
    assert_eq!(found["mains"], json!(["api/cmd/serve"]));
    assert_eq!(found["workspace"], true);
    assert_eq!(found["versions"], json!([{"value": "1.25.0", "file": "go.work", "line": 1, "key": "go"}]));
}

#[test]
fn modules_of_a_workspace_are_read_where_they_stand() {
    let found = facts(&[
        ("go.work", "go 1.25.0\n\nuse ./api\nuse ../elsewhere\n"),
        (
            "api/go.mod",
            "module api\n\nrequire a.b/c v1.0.0\n\nreplace a.b/d => ../local\nreplace a.b/e => ../../e\n",
        ),
        ("api/go.sum", ""),
        ("api/main.go", "package main\n"),
        ("local/go.mod", "module local\n"),
        ("local/local.go", "package local\n\n// #include <stdio.h>\nimport \"C\"\n"),
        ("local/cmd/main.go", "package main\n"),
    ]);
    assert_eq!(found["requires"], json!({"a.b/c": "v1.0.0"}));
    assert_eq!(
        (&found["mains"], &found["has_sum"], &found["cgo"]),
        (&json!(["api"]), &json!(true), &json!(true))
    );
    assert_eq!(found["replaces_outside"], json!(["use ../elsewhere", "a.b/e => ../../e"]));
}

#[test]
fn only_files_that_a_build_for_linux_includes_count() {
    let mains = |name: &str, text: &str| facts(&[("go.mod", "module m\n"), (name, text)])["mains"].clone();
    for (name, text, counts) in [
        ("gen.go", "//go:build ignore\n\npackage main\n", false),
        ("gen.go", "// +build ignore\n\npackage main\n", false),
        ("gen.go", "//go:build linux && arm64\n\npackage main\n", true),
        ("x_windows.go", "package main\n", false),
        ("x_arm64.go", "package main\n", true),
        ("x_riscv64.go", "package main\n", false),
        ("x.go", "//go:build cgo\n\npackage main\n", true),
        ("x.go", "/* package main */ package lib\n", false),
        ("_x.go", "package main\n", false),
        (".x.go", "package main\n", false),
    ] {
        let expected = if counts { json!(["."]) } else { json!([]) };
        assert_eq!(mains(name, text), expected, "{name}: {text}");
    }
}

#[test]
fn cgo_is_needed_unless_the_file_asks_for_it() {
    let cgo = |text: &str| facts(&[("go.mod", "module m\n"), ("x.go", text)])["cgo"].clone();
    assert_eq!(cgo("package x\n\n/*\n#include <stdio.h>\n*/\nimport \"C\"\n"), true);
    assert_eq!(cgo("package x\n\nimport (\n\t\"fmt\"\n\t\"C\"\n)\n"), true);
    assert_eq!(cgo("//go:build cgo\n\npackage x\n\nimport \"C\"\n"), false);
    assert_eq!(cgo("package x\n\nimport \"fmt\"\n\nvar s = \"import \\\"C\\\"\"\n"), false);
    assert_eq!(cgo("package x\n\n// import \"C\"\n"), false);
}

#[test]
fn embedded_files_are_named_relative_to_the_source() {
    let text = "package web\n\nimport (\n\t_ \"embed\"\n)\n\n//go:embed dist/* \"a b.txt\" all:assets\nvar files string\n\
        var s = `\n//go:embed no\n` //go:embed neither\nvar (\n\t//go:embed x.html\n\tx string\n)\n";
    let found = facts(&[
        ("go.mod", "module m\n"),
        ("web/web.go", text),
        ("main.go", "package main\n\n//go:embed no\n"),
    ]);
    assert_eq!(found["embeds"], json!(["web/a b.txt", "web/assets", "web/dist/*", "web/x.html"]));
}

#[test]
fn what_a_front_end_makes_is_read_unless_it_is_embedded() {
    let read = |main: &str| {
        let found = facts(&[
            ("go.mod", "module m\n"),
            ("main.go", main),
            ("web/package.json", "{}"),
            ("web/src/a.js", ""),
        ]);
        (found["front_ends"].clone(), found["reads"].clone())
    };
    let body =
        "func main() {\n\thttp.Dir(\"./web/dist\")\n\t_ = []string{\"web/../x\", \"webs/x\", \"web/*\"}\n}\n";
    assert_eq!(
        read(&format!("package main\n\nimport \"net/http\"\n\n{body}")),
        (json!(["web"]), json!(["web", "web/dist"]))
    );
    let embed = "package main\n\nimport \"embed\"\n\n//go:embed web/dist/*\nvar files embed.FS\n\n\
        func main() {\n\tfs.Sub(files, \"web/dist\")\n}\n";
    assert_eq!(read(embed), (json!(["web"]), json!([])));
    assert_eq!(read("package main\n\nfunc main() {}\n"), (json!([]), json!([])));
}

#[test]
fn files_that_texts_name_are_read_while_the_program_runs() {
    let main = "package main\n\nimport \"os\"\n\nfunc main() {\n\tos.ReadFile(\"config/app.yaml\")\n\t_ = `./web/`\n\t\
        _ = []string{\"ui/*.html\", \"internal\", \"go.mod\", \"missing\", \"/\", \".env\", \"seed.json\"}\n}\n";
    let found = facts(&[
        ("go.mod", "module m\n"),
        ("main.go", main),
        ("internal/x.go", "package internal\n"),
        (".env", ""),
        ("config/app.yaml", ""),
        ("config/other.yaml", ""),
        ("seed.json", ""),
        ("ui/a.html", ""),
        ("web/a.css", ""),
    ]);
    assert_eq!(found["reads"], json!(["config/app.yaml", "seed.json", "ui", "web"]));
}

#[test]
fn imports_of_the_standard_library_have_no_host() {
    let standard = |text: &str| facts(&[("x.go", text)])["standard"].clone();
    assert_eq!(standard("package main\n\nimport (\n\t\"fmt\"\n\t\"net/http\"\n)\n"), true);
    assert_eq!(standard("package main\n\nimport \"example.com/x\"\n"), false);
}

#[test]
fn broken_modules_are_shown_at_their_place() {
    assert_eq!(
        refused(&[("go.mod", "module m\n\n  requires a v1\n")]),
        "error[go/manifest-invalid] exit 2: `go.mod` is not valid: `requires` is not a directive\n\
         at go.mod:3:3\n3 |   requires a v1\n  |   ^\n\
         hint: correct `go.mod` at the caret, or run `go mod edit` to see what Go says of it\n"
    );
    assert_eq!(
        refused(&[("go.mod", "module m\nrequire (\n\ta v1\n")]),
        "error[go/manifest-invalid] exit 2: `go.mod` is not valid: the block of `require` is not closed with `)`\n\
         at go.mod:2:1\n2 | require (\n  | ^\nhint: close the block in `go.mod`\n"
    );
    assert_eq!(
        refused(&[("go.mod", "module m\nrequire (\n\ta\n)\n")]),
        "error[go/manifest-invalid] exit 2: `go.mod` is not valid: `require` needs a module path and a version\n\
         at go.mod:3:2\n3 |  a\n  |  ^\nhint: correct `go.mod` at the caret, or run `go mod edit` to see what Go \
         says of it\n"
    );
    assert_eq!(
        refused(&[("go.mod", "module \"m\n")]),
        "error[go/manifest-invalid] exit 2: `go.mod` is not valid: a quote is not closed\n\
         at go.mod:1:8\n1 | module \"m\n  |        ^\nhint: correct `go.mod` at the caret, or run `go mod edit` to see \
         what Go says of it\n"
    );
    assert_eq!(
        refused(&[("go.mod", "module a b\n")]),
        "error[go/manifest-invalid] exit 2: `go.mod` is not valid: `module` needs exactly one argument, found 2\n\
         at go.mod:1:1\n1 | module a b\n  | ^\nhint: correct `go.mod` at the caret, or run `go mod edit` to see what \
         Go says of it\n"
    );
}

proptest! {
    #[test]
    fn no_text_panics(
        text in any::<String>(),
        module in r#"(module|require|replace|use|\(|\)|=>|"|`|//|[a-z./ \n]){0,12}"#,
        program in r#"(package main|import|"C"|"embed"|\(|\)|`|"|'|//go:embed|/\*|\*/|\\|[ä \n]){0,14}"#,
    ) {
        for text in [&text, &module, &program] {
            let source = source(&[("go.mod", text), ("go.work", text)]);
            let _ = super::read(&Files::new(&source, ""));
            let source = crate::detect::tests::source(&[("x.go", text)]);
            prop_assert!(super::read(&Files::new(&source, "")).is_ok());
        }
    }
}
