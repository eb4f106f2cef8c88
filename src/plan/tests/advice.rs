//! What steps that failed point at: the lines that tools print, and what is said of them.

use super::*;
use crate::plan::{Failed, advise};

fn said(step: &str, code: i32, network: bool, output: &[&str]) -> String {
    let output: Vec<String> = output.iter().map(|line| (*line).to_owned()).collect();
    let mut lines = output.clone();
    let failed = Failed { step: step.to_owned(), code, network, output };
    let advised = advise(&Definitions::embedded(), step.split('/').next().unwrap(), &failed);
    lines.insert(0, format!("{step} ended with {code}"));
    lines.push(format!("  {}", advised.id.unwrap_or("build/step")));
    lines.extend(advised.hints.iter().map(|hint| format!("  hint: {hint}")));
    lines.join("\n") + "\n"
}

/// Those of installers and builders, with the network.
fn online(step: &str, outputs: &[&[&str]]) -> String {
    outputs.iter().map(|output| said(step, 1, true, output)).collect::<Vec<_>>().join("\n")
}

#[test]
fn installers_of_python() {
    insta::assert_snapshot!(online(
        "python/install",
        &[
            &["  Error: pg_config executable not found."],
            &["  × Hash mismatch for `flask==3.0`"],
            &[
                "  × No solution found when resolving dependencies:",
                "  ╰─▶ Because tensorflow==2.15.0 has no wheels with a matching Python ABI tag (e.g., `cp313`) and you",
                "      require tensorflow==2.15.0, we can conclude that your requirements are unsatisfiable.",
                "      hint: You require CPython 3.13 (`cp313`), but we only found wheels for `tensorflow` (v2.15.0) with the \
             following Python ABI tags: `cp39`, `cp310`, `cp311`",
            ],
            &[
                "error: Distribution `torch==2.2.0 @ registry` can't be installed because it doesn't have a source \
             distribution or wheel for the current platform",
                "hint: You're using CPython 3.13 (`cp313`), but `torch` (v2.2.0) only has wheels with the following Python \
             implementation tags: `cp311`, `cp312`",
            ],
            &["  × Failed to build `psycopg2==2.9`"],
            &["Because shop-core was not found in the package registry and you require shop-core, ..."],
            &["Found 1 incompatibility"],
            &[
                "error: Failed to fetch: `https://index.example/simple/x/`",
                "  Caused by: HTTP status client error (401 Unauthorized)"
            ],
            &["SyntaxError: invalid syntax"],
        ]
    ));
}

#[test]
fn collecting_static_files() {
    let output = ["django.core.exceptions.ImproperlyConfigured: Set the MAIL_HOST environment variable"];
    insta::assert_snapshot!(said("python/collectstatic", 1, false, &output));
}

#[test]
fn installers_of_node() {
    insta::assert_snapshot!(online(
        "node/install",
        &[
            &["/bin/sh: 1: pg_config: not found"],
            &["../src/a.cc:3:10: error: no member named 'Use' in 'v8::Isolate'", "gyp ERR! build error "],
            &[
                "npm error code EBADENGINE",
                "npm error engine Unsupported engine",
                "npm error engine Not compatible with your version of node/npm: shop@1.0.0",
                r#"npm error notsup Required: {"node":">=99"}"#,
            ],
            &[" ERR_PNPM_UNSUPPORTED_ENGINE  Unsupported environment (bad pnpm and/or Node.js version)"],
            &[
                r#"error a@1.0.0: The engine "node" is incompatible with this module. Expected version ">=99". Got "24.1.0""#
            ],
            &["[ERR_PNPM_IGNORED_BUILDS] Ignored build scripts: better-sqlite3@12.2.0, esbuild@0.25.0."],
            &["npm error code E401"],
            &["npm error code E404"],
            &[
                "npm error `npm ci` can only install packages when your package.json and package-lock.json are in sync"
            ],
        ]
    ));
}

#[test]
fn builders_of_node() {
    let said = |code, output: &[&str]| said("node/build", code, false, output);
    insta::assert_snapshot!(
        [
            said(134, &["FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory"]),
            said(
                1,
                &[r#"You are using Node.js 18.20.8. For Next.js, Node.js version ">=20.9.0" is required."#]
            ),
            said(1, &["Failed to fetch `Inter` from Google Fonts."]),
            said(1, &["Error: getaddrinfo EAI_AGAIN api.example.com"]),
            said(1, &["src/app.ts(3,1): error TS2304: Cannot find name 'x'."]),
        ]
        .join("\n")
    );
}

#[test]
fn commands_of_go() {
    let offline = |output: &[&str]| said("go/build", 1, false, output);
    insta::assert_snapshot!(
        [
            online("go/download", &[
                &["go: example.com/dep@v1.0.0 requires go >= 1.99 (running go 1.27.4; GOTOOLCHAIN=local)"],
                &["fatal: could not read Username for 'https://git.example': terminal prompts disabled"],
                &["verifying module: git.example/a@v1.0.0: reading https://sum.example/lookup: 410 Gone"],
            ]),
            offline(&["main.go:4:2: package iter is not in std (/usr/lib/go-1.22/src/iter)"]),
            offline(&["go: inconsistent vendoring in /app:"]),
            offline(&["main.go:5:2: no required module provides package example.com/x; to add it:"]),
            offline(&["main.go:5:2: missing go.sum entry for module providing package example.com/x"]),
            offline(&["x.go:4:10: fatal error: pcap.h: No such file or directory"]),
        ]
        .join("\n")
    );
}

#[test]
fn any_command() {
    let mut texts = Vec::new();
    for (code, network, output) in [
        (137, false, &["Killed"][..]),
        (1, true, &["x.go:1:1: /usr/lib/go/pkg/tool/compile: signal: killed"]),
        (1, true, &["g++: fatal error: Killed signal terminated program cc1plus"]),
        (1, false, &["MemoryError"]),
        (1, false, &["curl: (6) Could not resolve host: files.example.com"]),
        (
            1,
            false,
            &[
                "requests.exceptions.ConnectionError: HTTPSConnectionPool(host='api.example.com', port=443): Max",
            ],
        ),
        (
            1,
            false,
            &["go: example.com/x@v1.0.0: dial tcp: lookup files.example.com on [::1]:53: read udp: refused"],
        ),
        (1, true, &["curl: (6) Could not resolve host: files.example.com"]),
    ] {
        texts.push(said("procfile/build", code, network, output));
    }
    insta::assert_snapshot!(texts.join("\n"));
}

#[test]
fn a_front_end_of_an_app_in_another_language() {
    let failed = Failed {
        step: "node/build".to_owned(),
        code: 134,
        network: false,
        output: vec![
            "FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory".to_owned(),
        ],
    };
    assert_eq!(advise(&Definitions::embedded(), "python", &failed).id, Some("node/heap"));
}

#[test]
fn a_step_of_an_unknown_language() {
    let failed = Failed { step: "cobol/build".to_owned(), code: 1, network: false, output: Vec::new() };
    let advised = advise(&Definitions::embedded(), "cobol", &failed);
    assert_eq!((advised.id, advised.hints), (None, Vec::<String>::new()));
}

#[test]
fn the_network_can_be_given_to_all_steps() {
    let network = |config: &Config| -> Vec<(String, bool)> {
        let plan = make("node", node(), config).unwrap();
        plan.steps.into_iter().map(|step| (step.id, step.network)).collect()
    };
    let steps = |build| vec![("node/install".to_owned(), true), ("node/build".to_owned(), build)];
    assert_eq!(network(&Config::default()), steps(false));
    assert_eq!(network(&Config { build_network: true, ..Config::default() }), steps(true));
}
