//! `rpack run`: the app's own status comes back.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use crate::archive::Fixture;
use crate::support::TestContext;
use crate::support::debian_repository::Signing;
use crate::support::foreign;
use crate::support::registry::Registry;

#[test]
#[ignore = "needs the network and a C compiler: run by .ci/run"]
fn network_the_status_of_the_app_is_the_status_of_run() {
    let context = TestContext::with_shared_store();
    context.file("Procfile", "web: ./seven\n").file("seven.c", "int main(void) { return 7; }\n");
    let compiled =
        Command::new("gcc").args(["-static", "-o", "seven", "seven.c"]).current_dir(context.app()).status();
    assert!(compiled.unwrap().success());
    context.rpack(&["build", "--name", "seven"]).success();
    let finished = context.rpack(&["run", "seven"]);
    assert_eq!((finished.status, finished.stdout.as_str()), (7, ""), "{}", finished.stderr);
}

#[test]
#[ignore = "needs user namespaces, a C compiler and docker-registry: run by .ci/run"]
fn userns_images_with_dockers_types_are_run_wherever_they_are() {
    let fixture = Fixture::new(7, Signing::Trusted);
    let context = &fixture.context;
    let registry = Registry::open(context.root());
    context.file("one.c", "#include <stdio.h>\nint main(void) { puts(\"started\"); return 7; }\n");
    let compiled =
        Command::new("gcc").args(["-static", "-o", "server", "one.c"]).current_dir(context.app()).status();
    assert!(compiled.unwrap().success());
    let place = format!("docker://{}/shop:1", registry.host);
    let outputs = ["oci:../layout", "oci-archive:../image.tar", "docker-archive:../docker.tar", &place];
    let one = ["build", "--quiet", "--media-types", "docker", "-t", "shop:1"];
    let output = |arguments: &[&str]| {
        let mut command = context.command(arguments);
        command.arg("--definitions").arg(&fixture.definitions);
        context.finish(command.output().unwrap())
    };
    let all: Vec<&str> = one.into_iter().chain(outputs.iter().flat_map(|output| ["-o", *output])).collect();
    output(&all).success();
    // A list of images with the one for this machine.
    let list = context.root().join("list");
    crate::support::copy(&context.root().join("layout"), &list);
    let index: Value = serde_json::from_slice(&fs::read(list.join("index.json")).unwrap()).unwrap();
    let mut member = index["manifests"][0].clone();
    member.as_object_mut().unwrap().remove("annotations");
    member["platform"] = json!({"os": "linux", "architecture": "amd64"});
    let media_type = "application/vnd.docker.distribution.manifest.list.v2+json";
    let document = json!({"schemaVersion": 2, "mediaType": media_type, "manifests": [member]});
    let entry = foreign::blob(&list, media_type, document.to_string().as_bytes());
    foreign::name(&list, &entry);
    for image in ["oci:../list"].into_iter().chain(outputs).chain(["shop:1"]) {
        let mut command = context.command(&["run", image]);
        if image != "shop:1" {
            command.env("RPACK_STORE", context.root().join("other"));
        }
        let finished = context.finish(command.output().unwrap());
        assert_eq!((finished.status, &*finished.stdout), (7, "started\n"), "{image}: {}", finished.stderr);
    }
}
