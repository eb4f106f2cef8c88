//! Images for other platforms: everything in them is for the target, they start there, and they are the same from
//! every machine. The programs are run by an emulator here; building uses none.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::support::image::Layout;
use crate::support::server::{Server, free_port};
use crate::support::{TestContext, emulator};

const ARM64: u16 = 183;

/// The values of `e_machine` of all ELF files below `folder`, with the number of files.
fn machines(folder: &Path) -> (BTreeSet<u16>, usize) {
    let (mut machines, mut count) = (BTreeSet::new(), 0);
    for entry in walkdir::WalkDir::new(folder) {
        let entry = entry.unwrap();
        if !entry.file_type().is_file() {
            continue;
        }
        let mut header = Vec::new();
        fs::File::open(entry.path()).unwrap().take(20).read_to_end(&mut header).unwrap();
        if header.len() == 20 && header.starts_with(b"\x7fELF") {
            machines.insert(u16::from_le_bytes([header[18], header[19]]));
            count += 1;
        }
    }
    (machines, count)
}

/// An image for arm64, unpacked.
struct Foreign {
    context: TestContext,
    rootfs: PathBuf,
    config: Value,
}

impl Foreign {
    /// Builds the app, and checks what holds for every image.
    #[track_caller]
    fn build(context: TestContext) -> Self {
        let layout = context.root().join("layout");
        let output = format!("oci:{}:1", layout.display());
        context.rpack(&["build", "--name", "app", "--platform", "linux/arm64", "-o", &output]).success();
        let image = Layout::open(&layout);
        assert_eq!(image.config["architecture"], json!("arm64"));
        assert_eq!(image.config["variant"], Value::Null);
        assert_eq!(image.manifest["mediaType"], json!("application/vnd.oci.image.manifest.v1+json"));
        let rootfs = image.unpack(&context.root().join("rootfs"));
        let (found, count) = machines(&rootfs);
        assert!(count > 0);
        assert_eq!(found, BTreeSet::from([ARM64]), "of {count} files");
        Self { context, rootfs, config: image.config }
    }

    /// The start command in the unpacked image, with the emulator in front of each program. Needs root.
    fn command(&self, port: u16) -> Command {
        fs::copy(emulator(), self.rootfs.join("emulator")).unwrap();
        fs::set_permissions(self.rootfs.join("emulator"), fs::Permissions::from_mode(0o755)).unwrap();
        fs::set_permissions(self.context.root(), fs::Permissions::from_mode(0o755)).unwrap();
        let config = &self.config["config"];
        let words = |key: &str| {
            let list = config[key].as_array().cloned().unwrap_or_default();
            list.into_iter().map(|word| word.as_str().unwrap().to_owned()).collect::<Vec<String>>()
        };
        let argv = [words("Entrypoint"), words("Cmd")].concat();
        let start = argv.iter().position(|word| word == "--").map_or(0, |at| at + 1);
        let mut command = Command::new("unshare");
        let directory = config["WorkingDir"].as_str().unwrap();
        fs::create_dir_all(self.rootfs.join("proc")).unwrap();
        command.args(["--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]);
        command.args(["--setuid=65532", "--setgid=65532"]).arg(format!("--wd={directory}"));
        command.arg(format!("--root={}", self.rootfs.display()));
        command.env_clear();
        for variable in words("Env") {
            let (name, value) = variable.split_once('=').unwrap();
            command.env(name, value);
        }
        command.env("PORT", port.to_string());
        if start > 0 {
            command.arg("/emulator").args(&argv[..start]);
        }
        let program = self.program(&argv[start], &words("Env"));
        command.arg("/emulator").args(self.interpreted(program)).args(&argv[start + 1..]);
        command
    }

    /// The absolute path of a program.
    fn program(&self, word: &str, env: &[String]) -> String {
        if word.contains('/') {
            return word.to_owned();
        }
        let path = env.iter().find_map(|variable| variable.strip_prefix("PATH=")).unwrap();
        path.split(':')
            .map(|folder| format!("{folder}/{word}"))
            .find(|path| self.rootfs.join(&path[1..]).symlink_metadata().is_ok())
            .unwrap()
    }

    /// The program, with the interpreter that its first line names.
    fn interpreted(&self, program: String) -> Vec<String> {
        let bytes = fs::read(self.rootfs.join(&program[1..])).unwrap_or_default();
        let first = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
        match std::str::from_utf8(first).ok().and_then(|line| line.strip_prefix("#!")) {
            Some(interpreter) => vec![interpreter.trim().to_owned(), program],
            None => vec![program],
        }
    }
}

#[test]
#[ignore = "needs the network, root and qemu-aarch64-static: run by .ci/run"]
fn network_root_tool_go_starts_on_arm64() {
    let image = Foreign::build(TestContext::of_example("go-http"));
    let port = free_port();
    let mut server = Server::start(image.command(port));
    let (status, body) = server.get(port, "/");
    assert_eq!(status, 200, "{body}");
}

#[test]
#[ignore = "needs the network, root and qemu-aarch64-static: run by .ci/run"]
fn network_root_tool_python_starts_on_arm64_with_native_wheels() {
    let image = Foreign::build(TestContext::of_example("python-flask"));
    let site = image.rootfs.join("app/.venv/lib/python3.13/site-packages");
    let (_, native) = machines(&site);
    assert!(native >= 2, "markupsafe and msgpack have native code, {native} files found");
    let port = free_port();
    let mut server = Server::start(image.command(port));
    let (status, body) = server.get(port, "/");
    assert_eq!(status, 200, "{body}");
}

/// The example without its add-on, with a build step and a bundler whose program is native.
fn node() -> TestContext {
    let context = TestContext::with_shared_store();
    context
        .file(
            "package.json",
            r#"{"name":"app","version":"1.0.0","private":true,"type":"module",
                "scripts":{"build":"esbuild server.js --outfile=dist/server.js","start":"node dist/server.js"},
                "dependencies":{"@node-rs/crc32":"1.10.6"},"devDependencies":{"esbuild":"0.25.0"}}"#,
        )
        .file(
            "server.js",
            "import { createServer } from 'node:http';\nimport { crc32 } from '@node-rs/crc32';\n\
             createServer((_, answer) => answer.end(`${process.arch} ${crc32('rpack')}`)).listen(process.env.PORT);\n",
        );
    context
}

#[test]
#[ignore = "needs the network, root and qemu-aarch64-static: run by .ci/run"]
fn network_root_tool_node_builds_with_the_hosts_programs_and_ships_the_targets() {
    let image = Foreign::build(node());
    assert!(image.rootfs.join("app/dist/server.js").is_file());
    assert!(image.rootfs.join("app/node_modules/@node-rs/crc32-linux-arm64-gnu").is_dir());
    assert!(!image.rootfs.join("app/node_modules/@node-rs/crc32-linux-x64-gnu").exists());
    let port = free_port();
    let mut server = Server::start(image.command(port));
    assert_eq!(server.get(port, "/"), (200, "arm64 4088055181".to_owned()));
}

#[test]
#[ignore = "needs the network: run by .ci/run"]
fn network_a_worker_without_dependencies_is_for_its_platform() {
    Foreign::build(TestContext::of_example("procfile-worker"));
}

#[test]
#[ignore = "needs the network: run by .ci/run"]
fn network_an_add_on_without_a_binary_for_the_target_is_an_error_that_names_it() {
    let context = TestContext::of_example("node-express");
    let failed = context.rpack(&["build", "--progress", "plain", "--platform", "linux/arm64"]);
    assert_eq!(failed.status, 4, "{}", failed.stderr);
    let error = failed.stderr.lines().skip_while(|line| !line.starts_with("error")).collect::<Vec<_>>();
    assert_eq!(
        error.join("\n"),
        "error[cross/native-build]: `blake2` 5.0.1 has no native code for linux/arm64, and it cannot be compiled on \
         linux/amd64\n\
         blake2: app/node_modules/blake2/binding.gyp is compiled on installation\n\
         \n\
         hint 1: choose a version or package that brings binaries for linux/arm64: `npm view blake2 versions`\n\
         hint 2: or build on a machine that is linux/arm64: `rpack build --platform linux/arm64`\n\
         hint 3: or leave linux/arm64 out: `rpack build --platform linux/amd64`"
    );
}

#[test]
#[ignore = "needs the network: run by .ci/run"]
fn network_source_distributions_cross_when_they_are_pure_python() {
    let context = TestContext::with_shared_store();
    // Published as source only: docopt has no native code.
    context.file("requirements.txt", "docopt==0.6.2\n");
    context.file(
        "main.py",
        "import docopt\nprint(docopt.__version__)\nif __name__ == \"__main__\":\n    pass\n",
    );
    let image = Foreign::build(context);
    assert!(image.rootfs.join("app/.venv/lib/python3.13/site-packages/docopt.py").is_file());
    let python = fs::read_link(image.rootfs.join("app/.venv/bin/python")).unwrap();
    assert_eq!(python, Path::new("/usr/bin/python3.13"));
}

#[test]
#[ignore = "needs the network: run by .ci/run"]
fn network_c_in_a_go_module_is_cross_compiled() {
    let context = TestContext::with_shared_store();
    context.file("go.mod", "module example.com/c\n\ngo 1.24\n").file(
        "main.go",
        "package main\n\n// int twice(int n) { return 2 * n; }\nimport \"C\"\n\nfunc main() { println(C.twice(21)) }\n",
    );
    Foreign::build(context);
}

#[test]
#[ignore = "needs the network, skopeo, umoci and podman: run by .ci/run"]
fn network_root_tool_one_index_serves_both_platforms() {
    let context = TestContext::of_example("go-http");
    let layout = context.root().join("layout");
    let archive = context.root().join("image.tar");
    let outputs = [format!("oci:{}:1", layout.display()), format!("oci-archive:{}:1", archive.display())];
    let both = [
        "build",
        "--name",
        "app",
        "--platform",
        "linux/amd64,linux/arm64",
        "-o",
        &outputs[0],
        "-o",
        &outputs[1],
    ];
    let digest = context.rpack(&both).success();
    let tool = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output().unwrap();
        assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let raw: Value = serde_json::from_str(&tool("skopeo", &["inspect", "--raw", &outputs[0]])).unwrap();
    assert_eq!(raw["mediaType"], json!("application/vnd.oci.image.index.v1+json"));
    let platforms: Vec<_> =
        raw["manifests"].as_array().unwrap().iter().map(|part| &part["platform"]).collect();
    assert_eq!(
        platforms,
        [
            &json!({ "architecture": "amd64", "os": "linux" }),
            &json!({ "architecture": "arm64", "os": "linux" })
        ]
    );
    for output in &outputs {
        for architecture in ["amd64", "arm64"] {
            let config = tool("skopeo", &["--override-arch", architecture, "inspect", "--config", output]);
            let config: Value = serde_json::from_str(&config).unwrap();
            assert_eq!(config["architecture"], json!(architecture), "{output}");
        }
    }
    // A single platform stays a plain manifest, and is the same as in the index.
    for (at, platform) in ["linux/amd64", "linux/arm64"].into_iter().enumerate() {
        let alone = context.rpack(&["build", "--name", "app", "--platform", platform]).success();
        assert_eq!(json!(alone.trim()), raw["manifests"][at]["digest"], "{platform}");
    }
    let plans = context
        .rpack(&["plan", "--name", "app", "--platform", "linux/amd64,linux/arm64", "--json"])
        .success();
    assert_eq!(plans.lines().count(), 2);
    assert_eq!(context.rpack_with_input(&["build", "--plan", "-"], &plans).success(), digest);
    let file = format!("docker-archive:{}", context.root().join("docker.tar").display());
    let refused = context.rpack(&["build", "--platform", "linux/amd64,linux/arm64", "-o", &file]);
    assert!(refused.stderr.contains("error[publish/one-platform]"), "{}", refused.stderr);
}

#[test]
#[ignore = "needs the network: run by .ci/run"]
fn network_images_for_another_platform_are_reproducible() {
    let context = TestContext::of_example("python-flask");
    let build = ["build", "--quiet", "--name", "app", "--platform", "linux/arm64"];
    let first = context.rpack(&build).success();
    let mut elsewhere = context.command(&build);
    elsewhere.env("RPACK_STORE", context.root().join("other store"));
    assert_eq!(context.finish(elsewhere.output().unwrap()).success(), first);
}

#[test]
fn platforms_are_checked_before_anything_is_asked_of_a_registry() {
    let context = TestContext::new();
    context
        .file("go.mod", "module example.com/a\n\ngo 1.24\n")
        .file("main.go", "package main\n\nfunc main() {}\n");
    let twice = context.rpack(&["plan", "--platform", "linux/arm64,linux/arm64"]);
    assert_eq!(twice.status, 2);
    assert!(twice.stderr.contains("each platform is named once"), "{}", twice.stderr);
    let unknown = context.rpack(&["plan", "--offline", "--platform", "linux/riscv64"]);
    assert_eq!(unknown.status, 2);
    assert!(unknown.stderr.contains("error[plan/platform]: `linux/riscv64`"), "{}", unknown.stderr);
}
