//! A scanner that people use reads the image and finds what the plan says is in it.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::support::{TestContext, repository};

/// `syft`, where .ci/run puts it, or from the search path.
fn syft() -> Command {
    let own: PathBuf = repository().join("target/tools/syft");
    let mut command = Command::new(if own.is_file() { own } else { "syft".into() });
    command.env("SYFT_CHECK_FOR_APP_UPDATE", "false");
    command
}

fn names_and_versions<'a>(list: impl Iterator<Item = &'a Value>) -> BTreeSet<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    list.map(|item| (text(&item["name"]), text(&item["version"]))).collect()
}

#[test]
#[ignore = "needs the network and syft: run by .ci/run"]
fn network_tool_syft_finds_the_packages_of_the_plan() {
    for (example, kind, own) in [("python-flask", "python", "flask"), ("node-express", "npm", "express")] {
        let context = TestContext::of_example(example);
        let layout = context.root().join("layout");
        context.rpack(&["build", "-o", &format!("oci:{}:1", layout.display())]).success();
        let plan: Value = serde_json::from_str(&context.rpack(&["plan", "--json"]).success()).unwrap();
        let planned = names_and_versions(plan["runtime-root"]["packages"].as_array().unwrap().iter());

        let output = syft()
            .args(["-q", "-o", "json", &format!("oci-dir:{}", layout.display())])
            .output()
            .expect("syft cannot be started: .ci/run says how it is installed");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let found: Value = serde_json::from_slice(&output.stdout).unwrap();
        let artifacts = found["artifacts"].as_array().unwrap();
        let of_kind =
            |wanted: &'static str| artifacts.iter().filter(move |artifact| artifact["type"] == wanted);

        assert_eq!(names_and_versions(of_kind("deb")), planned, "{example}");
        assert_eq!(found["distro"]["id"], "debian");
        for package in of_kind("deb") {
            let name = package["name"].as_str().unwrap();
            assert!(!package["licenses"].as_array().unwrap().is_empty(), "{name} has no licence");
            assert!(package["purl"].as_str().unwrap().starts_with("pkg:deb/debian/"), "{name}");
        }
        let libc = of_kind("deb").find(|package| package["name"] == "libc6").unwrap();
        let files = libc["metadata"]["files"].as_array().unwrap();
        assert!(files.iter().any(|file| file["digest"]["value"].is_string()), "{libc}");
        assert!(of_kind(kind).any(|package| package["name"] == own), "{example} has {own}");
    }
}
