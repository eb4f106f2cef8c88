//! Registries that ask for a credential: the installers show it, and it is nowhere afterwards.

mod go;
mod node;
mod python;

use std::fs;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::support::image::Layout;
use crate::support::{Finished, TestContext};

const TOKEN: &str = "t0ken-of-the-private-registry";

/// `rpack build` to a layout, with further arguments.
fn build(context: &TestContext, arguments: &[&str]) -> Finished {
    let mut command = context.command(&["build", "-o", "oci:../out", "--progress", "plain"]);
    context.finish(command.args(arguments).env("NPM_TOKEN", TOKEN).output().unwrap())
}

/// What a server sees of the name `ci` with the token.
fn basic() -> String {
    format!("Basic {}", STANDARD.encode(format!("ci:{TOKEN}")))
}

/// Checks that the token is neither in the image, nor in the plan with its keys, nor in what was printed.
#[track_caller]
fn is_absent(context: &TestContext, finished: &Finished) {
    assert!(!finished.stderr.contains(TOKEN) && !finished.stdout.contains(TOKEN), "{}", finished.stderr);
    Layout::open(&context.root().join("out")).unpack(&context.root().join("unpacked"));
    let plan = context.rpack(&["plan", "--json"]).success();
    fs::write(context.root().join("plan.json"), plan).unwrap();
    let encoded = STANDARD.encode(format!("ci:{TOKEN}"));
    for place in ["out", "unpacked", "plan.json"] {
        for value in [TOKEN, &encoded] {
            let found = Command::new("grep").args(["-rlaF", value]).arg(context.root().join(place)).output();
            assert_eq!(String::from_utf8_lossy(&found.unwrap().stdout), "", "{value} in {place}");
        }
    }
}
