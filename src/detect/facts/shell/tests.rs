//! Scripts as people write them.

use serde_json::{Value, json};

use super::{Files, read};
use crate::detect::tests::source;

fn facts(files: &[(&str, &str)]) -> Value {
    let source = source(files);
    serde_json::to_value(read(&Files::new(&source, ""))).unwrap()
}

/// `PROGRAM FILE:LINE`, in order.
fn programs(script: &str) -> String {
    let facts = facts(&[("start.sh", script), ("bin/tool", "\0ELF"), ("lib.sh", "jq . \"$1\"\n")]);
    let shown = |one: &Value| {
        format!("{} {}:{}", one["value"].as_str().unwrap(), one["file"].as_str().unwrap(), one["line"])
    };
    facts["programs"].as_array().unwrap().iter().map(shown).collect::<Vec<_>>().join(", ")
}

fn bashism(script: &str) -> String {
    let facts = facts(&[("run.sh", script)]);
    let place = &facts["bashism"];
    format!(
        "{} {} {}",
        facts["interpreter"].as_str().unwrap(),
        place["line"],
        place["value"].as_str().unwrap_or_default()
    )
}

#[test]
fn a_script_is_read_whole() {
    let script =
        "#!/usr/bin/env -S bash -eu\n. ./lib.sh\nwait_for \"$HOST\"\nexec bin/tool --port \"$PORT\"\n";
    assert_eq!(
        facts(&[
            ("start.sh", script),
            ("run.sh", "true\n"),
            ("lib.sh", "wait_for() {\n  nc -z \"$1\" 80\n}\n"),
            ("bin/tool", "\0")
        ]),
        json!({
            "file": "start.sh", "interpreter": "bash", "arguments": ["-eu"], "shebang": true, "bashism": null,
            "programs": [
                {"value": "nc", "file": "lib.sh", "line": 2, "key": ""},
            ],
            "last": null,
        })
    );
}

#[test]
fn programs_are_first_words() {
    for (script, expected) in [
        (
            "curl -fs \"$URL\" | jq .a && sleep 1; PORT=1 ./bin/tool",
            "curl start.sh:1, jq start.sh:1, sleep start.sh:1",
        ),
        (
            "if ! grep -q x f; then sed -i s/a/b/ f; else :; fi\nfor i in 1 2; do date; done",
            "date start.sh:2, grep start.sh:1, sed start.sh:1",
        ),
        (
            "case \"$1\" in\n  web|api) tool-a ;;\n  *) tool-b\n  ;;\nesac\ntool-c",
            "tool-a start.sh:2, tool-b start.sh:3, tool-c start.sh:6",
        ),
        (
            "x=$(hostname -f) y=`uname`\necho \"now: $(date +%s)\"",
            "date start.sh:2, hostname start.sh:1, uname start.sh:1",
        ),
        ("greet() { cat <<-'END'\n\tcurl is not called\n\tEND\n}\ngreet >/dev/null 2>&1", "cat start.sh:1"),
        (
            "command -v gosu >/dev/null || exec env A=1 /usr/bin/node server.js # rm",
            "env start.sh:1, node start.sh:1",
        ),
        ("\"$@\"\n$TOOL x\n'my tool' x\n./missing \\\n  rm", "./missing start.sh:4, my tool start.sh:3"),
        ("sh lib.sh\n. /app/lib.sh", "jq lib.sh:1, sh start.sh:1"),
        ("trap 'kill $p' TERM\nwhile read -r line; do printf '%s' \"$line\"; done <file", ""),
    ] {
        assert_eq!(programs(script), expected, "{script}");
    }
}

#[test]
fn what_only_bash_understands_is_found() {
    for (script, expected) in [
        ("echo \"[[ no ]]\" # [[\ntest a = b\n", "sh null "),
        ("true\nif [[ $a == b && -f c ]]; then true; fi\n", "bash 2 [["),
        ("set -euo pipefail\n", "bash 1 pipefail"),
        ("a=(one two)\n", "bash 1 an array"),
        ("echo ${a[0]}\n", "bash 1 an array"),
        ("echo ${a:-x} ${a%x} ${#a}\n", "sh null "),
        ("echo \"${a:0:2}\"\n", "bash 1 ${…} with `/`, `^`, `,`, `!` or a part"),
        ("source lib\n", "bash 1 source"),
        ("run &> log\n", "bash 1 &>"),
        ("function f { true; }\n", "bash 1 function"),
        ("#!/bin/sh\n(( a++ ))\n", "sh 2 (("),
        ("#!/usr/bin/python3\nif [[1]]: pass\n", "python3 null "),
    ] {
        assert_eq!(bashism(script), expected, "{script}");
    }
}

#[test]
fn a_last_program_below_the_shell_is_found() {
    let last = |script: &str| facts(&[("start.sh", script)])["last"]["value"].clone();
    assert_eq!(last("echo\nnode server.js\n"), "node");
    for script in
        ["exec node server.js", "node a.js &\nwait", "if true; then\n  node a.js\nfi", "a | b", "echo done"]
    {
        assert_eq!(last(script), Value::Null, "{script}");
    }
}

proptest::proptest! {
    #[test]
    fn any_text_is_read(text in "[a-c$(){}'\"`;&|<>#=\\[\\]\\\\ \n!*-]{0,60}") {
        super::script::read(&text);
    }
}
