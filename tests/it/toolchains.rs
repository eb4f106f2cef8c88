//! Tools from each kind of registry, added by a folder of definitions alone.

use crate::support::TestContext;
use crate::support::http_server::Server;

/// A buildpack whose tools come from everywhere, and whose only step runs them.
const TOOLS: &str = r#"
[[tool]]
name = "uv"
title = "uv"
scheme = "pep440"
default = "0.5.0"
source = { pypi = { project = "uv", wheel = "py3-none-manylinux*_{{ arch.gnu }}*" } }

[[tool]]
name = "maven"
title = "Maven"
scheme = "npm"
default = "3.9.11"
source = { maven = { group = "org.apache.maven", artifact = "apache-maven", classifier = "bin", extension = "tar.gz" } }

[[tool]]
name = "greet"
title = "greet"
scheme = "npm"
default = "1.2.3"
source = { archive = "greet" }

[[toolchain]]
tool = "uv"
target = "/opt/uv"
strip = 2
include = ["uv"]

[[toolchain]]
tool = "maven"
target = "/opt/maven"
strip = 1

[[toolchain]]
tool = "greet"
target = "/opt/greet"
strip = 1
links = { "/usr/local/bin/greet" = "/opt/greet/bin/greet" }

[[step]]
id = "procfile/tools"
title = "run each tool"
argv = ["/bin/sh", "-ec", "{ /opt/uv/uv --version; /opt/maven/bin/mvn -v; greet; } > /app/tools.txt; cat /app/tools.txt"]
env = { JAVA_HOME = "/usr/lib/jvm/java-21-openjdk-{{ arch.debian }}" }
inputs = ["**"]
"#;

/// The folder of definitions in `context`, with the list `greet` that has `versions`.
fn define(context: &TestContext, versions: &[(&str, &str)]) -> String {
    let folder = context.root().join("definitions");
    let buildpack = include_str!("../../buildpacks/procfile/buildpack.toml")
        .replace("packages = [\"@build\"]", "packages = [\"@build\", \"openjdk-21-jre-headless\"]")
        .replacen("[[step]]", &format!("{TOOLS}\n[[step]]"), 1);
    let mut list = "id = \"greet\"\nroot = \"https://downloads.example/greet\"\n\
                    path = \"{version}/greet-{platform}.tar.gz\"\nplatforms = { \"linux/amd64\" = \"x64\" }\n"
        .to_owned();
    for (version, digest) in versions {
        let digests = format!("{{ \"linux/amd64\" = \"{digest}\" }}");
        list.extend(["[[release]]\nversion = \"", version, "\"\nsha256 = ", &digests, "\n"]);
    }
    for (path, text) in [("buildpacks/procfile/buildpack.toml", buildpack), ("toolchains/greet.toml", list)] {
        std::fs::create_dir_all(folder.join(path).parent().unwrap()).unwrap();
        std::fs::write(folder.join(path), text).unwrap();
    }
    folder.to_str().unwrap().to_owned()
}

/// A program in a `.tar.gz`, with its digest.
fn greet() -> (Vec<u8>, String) {
    let mut builder =
        tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    let text = "#!/bin/sh\necho hello from greet\n";
    let mut header = tar::Header::new_gnu();
    header.set_size(text.len() as u64);
    header.set_mode(0o755);
    builder.append_data(&mut header, "greet/bin/greet", text.as_bytes()).unwrap();
    let bytes = builder.into_inner().unwrap().finish().unwrap();
    let digest = rpack::oci::Digest::of(&bytes).hex();
    (bytes, digest)
}

#[test]
#[ignore = "needs the network and a sandbox"]
fn network_tools_from_each_registry_run_in_a_step_and_a_version_needs_no_rust() {
    let context = TestContext::with_shared_store();
    // The store is shared, and the step must run each time.
    let unique = context.root().display().to_string();
    context.file("Procfile", "web: ./server\n").file("server", &unique);
    let server = Server::start();
    let (bytes, digest) = greet();
    server.put("/mirror/greet/1.2.3/greet-x64.tar.gz", bytes);
    let definitions = define(&context, &[("1.2.3", &digest)]);
    let rpack = |arguments: &[&str]| {
        let mut command = context.command(arguments);
        command.args(["--definitions", &definitions]);
        command.env("RPACK_MIRROR__ARCHIVE", format!("{}/mirror", server.url()));
        context.finish(command.output().unwrap())
    };
    let plan = rpack(&["plan"]).success();
    for line in [
        "  uv 0.5.0      pypi:uv\n    default  0.5.0  decides\n",
        "  maven 3.9.11  maven:org.apache.maven:apache-maven\n    default  3.9.11  decides\n",
        "  greet 1.2.3   archive:greet\n    default  1.2.3  decides\n",
    ] {
        assert!(plan.contains(line), "`{line}` is missing in:\n{plan}");
    }
    let built = rpack(&["build", "--progress", "plain"]);
    assert_eq!(built.status, 0, "{}", built.stderr);
    for line in ["uv 0.5.0", "Apache Maven 3.9.11", "hello from greet"] {
        assert!(built.stderr.contains(line), "`{line}` is missing in:\n{}", built.stderr);
    }
    define(&context, &[("1.2.4", &digest)]);
    let gone = rpack(&["plan"]);
    assert_eq!(gone.status, 2);
    let message = "error[version/not-offered]: greet `1.2.3` is not offered: default asks for it and `archive:greet` \
                   for linux/amd64 does not have it\n --> default\nnearest versions: 1.2.4\n";
    assert!(gone.stderr.contains(message), "{}", gone.stderr);
}
